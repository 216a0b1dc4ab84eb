/** Where the live reload has its client and its events. A page that says so was made in development, and is for nobody else. */
export const DEV_PREFIX = '/__dev/'
