// Small pieces that every part of the page uses: elements, words, times, copying, calls.

export const base = new URL('..', import.meta.url) // …/sandbox/, wherever that is mounted

export function h(tag, attributes = {}, ...children) {
  const e = document.createElement(tag)
  for (const [k, v] of Object.entries(attributes)) {
    if (k.startsWith('on')) e.addEventListener(k.slice(2), v)
    else if (v === true) e.setAttribute(k, '')
    else if (v !== false && v !== null && v !== undefined) e.setAttribute(k, v)
  }
  e.append(...children.flat(Infinity).filter((c) => c !== null && c !== undefined && c !== false))
  return e
}

export const byId = (id) => document.getElementById(id)
export const kinds = { sms: 'Text', email: 'Email', voice: 'Call', push: 'Push' }
export const providers = { twilio: 'Twilio', sendgrid: 'SendGrid', apns: 'APNs', fcm: 'FCM', webpush: 'Web Push' }

// ltr keeps numbers and addresses in their order inside any text.
export const ltr = (text) => h('bdi', { dir: 'ltr' }, text)

export function address(m) {
  if (m.phone) return m.phone.name
  const us = /^\+1(\d{3})(\d{3})(\d{4})$/.exec(m.to)
  if (us) return `+1 ${us[1]} ${us[2]} ${us[3]}`
  return m.channel === 'push' && m.to.length > 20 ? m.to.slice(0, 10) + '…' : m.to
}

export function relative(at, now = Date.now()) {
  const s = Math.max(0, Math.round((now - at) / 1000))
  if (s < 3) return 'now'
  if (s < 60) return `${s} s`
  if (s < 3600) return `${Math.floor(s / 60)} min`
  if (s < 86400) return `${Math.floor(s / 3600)} h`
  return new Date(at).toLocaleDateString()
}

export const exact = (at) => new Date(at).toLocaleString(undefined, { dateStyle: 'medium', timeStyle: 'long' })
export const clock = (at) => new Date(at).toLocaleTimeString([], { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false })
export const moment = (at, text) => h('time', { datetime: new Date(at).toISOString(), title: exact(at) }, text)

let lastSaid = 0
let waiting = null

// say announces one sentence to screen readers, at most one every three seconds; the newest wins.
export function say(sentence) {
  clearTimeout(waiting)
  waiting = setTimeout(() => {
    lastSaid = Date.now()
    byId('status').textContent = sentence
  }, Math.max(0, lastSaid + 3000 - Date.now()))
}

// copyButton copies text; where there is no clipboard it selects the element that shows it.
export function copyButton(label, text, shown) {
  const button = h('button', { type: 'button', onclick: async () => {
    try {
      await navigator.clipboard.writeText(text)
      button.textContent = 'Copied'
      say('Copied')
    } catch {
      getSelection().selectAllChildren(shown())
      button.textContent = 'Selected: now copy it'
      say('The text is selected. Copy it with your keyboard.')
    }
    setTimeout(() => { button.textContent = label }, 2000)
  } }, label)
  return button
}

// call speaks to the sandbox's JSON API. A refusal is an Error that says what the sandbox said.
export async function call(method, path, body) {
  let res
  try {
    res = await fetch(new URL(path, base), {
      method, headers: body === undefined ? {} : { 'Content-Type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body),
    })
  } catch {
    throw new Error('The sandbox can’t be reached.')
  }
  if (res.status === 204) return null
  const value = await res.json().catch(() => ({}))
  if (!res.ok) {
    const fields = (value.errors ?? []).map((e) => `${e.pointer ?? e.parameter}: ${e.detail}`).join('; ')
    throw new Error([value.detail ?? `The sandbox answered ${res.status}.`, fields].filter(Boolean).join(' '))
  }
  return value
}
