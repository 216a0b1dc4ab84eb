import { chromium, type Browser, type BrowserContextOptions, type LaunchOptions, type Page } from 'playwright-core'

/** What is needed of a test: tap's `t` fits. */
interface Test {
  teardown (fn: () => Promise<void>): void
}

interface OpenPage {
  page: Page
  /**
   * Console errors and uncaught exceptions of the page, in order. A resource that fails to load
   * is a console error too.
   */
  errors: string[]
}

/** A real browser, that asks nothing of the network by itself. */
export async function launchChromium ({ args = [], ...launch }: LaunchOptions = {}): Promise<Browser> {
  return await chromium.launch({
    ...launch,
    executablePath: process.env['CHROMIUM_PATH'] ?? '/usr/bin/chromium',
    args: [
      '--no-sandbox', // containers run as root, where the sandbox refuses to start
      '--disable-gpu',
      '--disable-quic',
      // Tests run offline: nothing may be asked of the network behind their back.
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
      ...args
    ]
  })
}

/** Opens an empty page in a real browser, which is closed when the test ends. */
export async function openPage (t: Test, options?: BrowserContextOptions, launch?: LaunchOptions): Promise<OpenPage> {
  const browser = await launchChromium(launch)
  t.teardown(() => browser.close())

  const context = await browser.newContext(options)
  const page = await context.newPage()
  const errors: string[] = []
  page.on('console', message => {
    if (message.type() === 'error') errors.push(message.text())
  })
  page.on('pageerror', error => errors.push(String(error)))
  return { page, errors }
}
