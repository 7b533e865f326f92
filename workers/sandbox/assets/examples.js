// The commands a newcomer can paste: one per kind of message.
import { h, base, copyButton, call } from './dom.js'

const api = () => document.body.dataset.api || new URL('..', base).href.replace(/\/$/, '')
const client = () => document.body.dataset.client || 'CLIENT_ID'

function post(path, body, before = '') {
  return `${before}curl ${before && '-sS '}-u ${client()}:SECRET ${api()}${path} \\\n  -H 'Content-Type: application/json' \\\n  -d '${JSON.stringify(body)}'`
}

const ask = (body) => post('/v1/verifications', { brand: 'Example Bank', ...body })
const context = { action: 'Sign in', place: 'Lyon', ip: '203.0.113.7' }

export const examples = {
  Code: () => ask({ to: '+14155550100', channel: 'sms' }),
  Link: () => ask({ to: 'ana@example.com', channel: 'email', challenge: 'link', context }),
  Call: () => ask({ to: '+14155550100', channel: 'voice', challenge: 'approval', context }),
}

// registering is three commands: a user, the phone as the user's device, and a question to it.
export function registering(phone) {
  const id = ` | grep -o '"id":"[^"]*"' | head -1 | cut -d'"' -f4)`
  const device = { kind: 'push', name: phone.name.replaceAll("'", '’'), platform: phone.platform, push_token: phone.push_token, public_key: phone.public_key }
  return [
    post('/v1/users', { name: 'Ana' }, 'USER_ID=$(') + id,
    post('/v1/users/$USER_ID/devices', device, 'DEVICE_ID=$(').replace(/(\S+\/v1\/users\/\$USER_ID\/devices)/, '"$1"') + id,
    post('/v1/verifications', { brand: 'Example Bank', device_id: 'ID', context }).replace('"ID"', `"'$DEVICE_ID'"`),
  ].join('\n\n')
}

export function command(text) {
  const shown = h('pre', { class: 'command', tabindex: '0' }, text)
  return [shown, copyButton('Copy', text, () => shown)]
}

// firstRun stands where the list will be.
export function firstRun() {
  const place = h('div', { class: 'firstrun' })
  const tabs = h('div', { class: 'tabs', role: 'group', 'aria-label': 'Kind of message' })
  const show = (name) => {
    for (const b of tabs.children) b.setAttribute('aria-pressed', String(b.textContent === name))
    if (name !== 'Push') {
      place.replaceChildren(...command(examples[name]()))
      return
    }
    const button = h('button', { type: 'button', class: 'primary', onclick: async () => {
      try {
        const phone = await call('POST', 'phones', { platform: 'apns', name: 'Ana’s phone' })
        place.replaceChildren(h('p', {}, 'Ana’s phone is ready. Register it and ask it something:'), ...command(registering(phone)))
      } catch (e) {
        place.append(h('p', { class: 'bad', role: 'alert' }, e.message))
      }
    } }, 'Add a phone')
    place.replaceChildren(h('p', {}, 'A push needs a phone that is registered. The sandbox can play one:'), button)
  }
  for (const name of [...Object.keys(examples), 'Push']) {
    tabs.append(h('button', { type: 'button', 'aria-pressed': 'false', onclick: () => show(name) }, name))
  }
  show('Code')
  return [
    h('p', {}, h('strong', {}, 'Nothing yet.'), ' Send yourself a code:'), tabs, place,
    h('p', { class: 'quiet' }, 'It appears here within a second. SECRET is the client’s secret: the terminal printed it when Assent started.'),
  ]
}
