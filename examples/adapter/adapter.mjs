// An adapter in front of a pretend carrier. docs/adapters.md is the contract; Node.js 20, no dependencies.
//   ADAPTER_SECRET=whsec_… PORT=8090 node adapter.mjs
import { createHmac, randomUUID, timingSafeEqual } from 'node:crypto'
import { createServer } from 'node:http'
import { setTimeout } from 'node:timers/promises'

const key = Buffer.from((process.env.ADAPTER_SECRET ?? '').replace(/^whsec_/, ''), 'base64')
if (key.length < 24) throw new Error('ADAPTER_SECRET: want whsec_ and the base64 of 24 bytes or more')
const taken = new Map() // by webhook-id: what is asked for again is not sent again
const outbox = [] // what the pretend carrier got; a real adapter keeps no codes

const sign = (id, time, body) => 'v1,' + createHmac('sha256', key).update(`${id}.${time}.`).update(body).digest('base64')

function authentic({ 'webhook-id': id, 'webhook-timestamp': time, 'webhook-signature': given = '' }, body) {
  if (!id || !(Math.abs(Date.now() / 1000 - time) <= 300)) return false
  const want = Buffer.from(sign(id, time, body))
  return given.split(' ').map((s) => Buffer.from(s)).some((s) => s.length === want.length && timingSafeEqual(s, want))
}

async function report(message, id, status) {
  const body = JSON.stringify({ message_id: message.message_id, id, status })
  for (const pause of message.receipt_url ? [0, 1, 5, 30] : []) {
    await setTimeout(pause * 1000)
    const time = Math.floor(Date.now() / 1000)
    const headers = { 'content-type': 'application/json', 'webhook-id': randomUUID(), 'webhook-timestamp': String(time) }
    headers['webhook-signature'] = sign(headers['webhook-id'], time, body)
    const signal = AbortSignal.timeout(10_000)
    const res = await fetch(message.receipt_url, { method: 'POST', headers, body, signal }).catch(() => undefined)
    if (res && res.status < 500) return
  }
}

async function take(req, answer) {
  if (req.method === 'GET' && req.url === '/outbox') return answer(200, outbox)
  let body = Buffer.alloc(0)
  for await (const chunk of req) if ((body = Buffer.concat([body, chunk])).length > 65_536) return answer(413, {})
  if (!authentic(req.headers, body)) return answer(401, {})
  const message = JSON.parse(body)
  if (message.type !== 'message.v1') return answer(400, {})

  for (const [name, m] of taken) if (m.until < Date.now()) taken.delete(name)
  const before = taken.get(req.headers['webhook-id'])
  if (before) return answer(409, { id: before.id })
  if (message.to.endsWith('0000')) return answer(422, { reason: 'undeliverable', detail: 'no_such_number' })

  // Here a real adapter calls its carrier. It notes the id before it waits, so that a repetition finds it.
  const id = randomUUID()
  taken.set(req.headers['webhook-id'], { id, until: Date.parse(message.expires_at) + 300_000 })
  const text = message.text ?? message.script.map((line) => line.text ?? '').join(' ')
  outbox.push({ id, channel: message.channel, to: message.to, text })
  console.log(`${message.channel} ${id} to …${message.to.slice(-2)}`)
  answer(201, { id })
  await report(message, id, 'delivered')
}

const server = createServer((req, res) => {
  const answer = (status, body) => res.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
  take(req, answer).catch(() => res.headersSent || answer(500, {}))
})
server.listen(process.env.PORT ?? 8090, '127.0.0.1', () => console.log(`listening on http://127.0.0.1:${server.address().port}`))
