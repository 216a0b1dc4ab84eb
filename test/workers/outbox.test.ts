import { once } from 'node:events'
import { MessageChannel } from 'node:worker_threads'
import t from 'tap'
import { Outbox } from '../../lib/workers/outbox.js'

t.test('what is said in one turn is one message, in order, and bodies are handed over', async (t) => {
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => { port1.close() })
  const outbox = new Outbox<unknown>(port1)
  const refused: Error[] = []
  const body = new Uint8Array([1, 2, 3])
  outbox.post({ id: 1, body }, [body.buffer], error => { refused.push(error) })
  outbox.post({ id: 2 }, [], error => { refused.push(error) })
  t.same((await once(port2, 'message'))[0], [{ id: 1, body: new Uint8Array([1, 2, 3]) }, { id: 2 }])
  t.equal(body.length, 0)
  t.same(refused, [])
})

t.test('what can not be sent is told, and keeps back nothing else', async (t) => {
  const { port1, port2 } = new MessageChannel()
  t.teardown(() => { port1.close() })
  const outbox = new Outbox<unknown>(port1)
  const refused: unknown[] = []
  const received: unknown[] = []
  port2.on('message', (messages: unknown[]) => { received.push(...messages) })
  const body = new Uint8Array([1, 2, 3])
  outbox.post({ id: 1, body }, [body.buffer], () => { refused.push(1) })
  outbox.post({ id: 2, value: () => {} }, [], error => { refused.push(2, error.name) })
  outbox.post({ id: 3 }, [], () => { refused.push(3) })
  outbox.send({ id: 4 })
  while (received.length < 3) await once(port2, 'message')
  t.same(received, [{ id: 1, body: new Uint8Array([1, 2, 3]) }, { id: 3 }, { id: 4 }])
  t.same(refused, [2, 'DataCloneError'])
  t.throws(() => { outbox.send({ value: () => {} }) }, { name: 'DataCloneError' }, 'what is sent at once says so at once')
})
