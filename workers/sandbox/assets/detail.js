// One opened message. It is built once; what changes is put into its place, so that a person
// who types or selects is never interrupted.
import { h, ltr, address, kinds, providers, moment, clock, copyButton, call, say, base } from './dom.js'

// open shows a message and returns an update function for when it changes.
export function open(place, m, onBack) {
  const meta = h('p', { class: 'meta' })
  const body = parts[m.channel](m)
  const result = h('p', { class: 'result' })
  const sent = h('details', {}, h('summary', {}, 'What was sent (request, headers)'), h('div', {}))
  const calls = h('details', {}, h('summary', {}, 'Callbacks'), h('div', {}))
  place.replaceChildren(h('article', { class: 'message' },
    h('button', { id: 'back', type: 'button', onclick: onBack }, '← Messages'),
    h('header', {}, h('h2', {}, ...heading(m)), meta),
    ...body.elements, result, sent, m.channel === 'push' ? null : calls))
  place.scrollTop = 0

  let current = m
  const details = async () => {
    const d = await call('GET', `messages/${m.id}`).catch(() => null) // it may have been cleared
    if (!d) return
    if (sent.lastElementChild.childElementCount === 0) sent.lastElementChild.replaceChildren(...request(d))
    const list = d.callbacks
    calls.firstElementChild.textContent = list.length ? 'Callbacks: ' + list.map((c) => `${c.name} ${c.status || 'failed'}`).join(', ') : 'Callbacks: none'
    calls.lastElementChild.replaceChildren(callbacks(list))
  }
  const update = (next) => {
    current = next
    meta.replaceChildren(`${providers[next.provider]} · `, moment(next.received_at, clock(next.received_at)), ` · ${state(next)}`)
    body.update?.(next)
    if (next.last_answer) result.replaceChildren(...answered(next.last_answer))
    details()
  }
  body.send = async (answer) => {
    result.replaceChildren('Sending…')
    try {
      const a = await call('POST', `messages/${current.id}/answer`, answer)
      result.replaceChildren(...answered(a))
      say(result.textContent)
      return true
    } catch (e) {
      result.replaceChildren(h('span', { class: 'bad', role: 'alert' }, e.message))
      return false
    }
  }
  update(m)
  return update
}

const heading = (m) => [`${kinds[m.channel]} to `, ltr(address(m))]

export function state(m) {
  if (!m.call) return m.status
  return { ringing: 'ringing…', speaking: 'speaking…', waiting: 'waiting for keys', ended: m.status }[m.call.state] ?? m.status
}

// said is an answer in the words of its button.
export const said = (answer) => ({ not_me: 'this wasn’t me' })[answer] ?? answer.replace(/^approve (\d+)$/, 'approve with $1')

// answered says what was sent and what came of it. An answer from Assent may be a problem document.
function answered(a) {
  const took = `It answered ${a.status} in ${a.took_ms} ms.`
  if (a.answer === 'hung up') return ['You hung up.']
  if (a.answered) return [h('span', { class: 'good' }, '✓ '), `Sent to Assent: ${said(a.answer)}. ${took}`]
  let why = a.body.slice(0, 500)
  try {
    const p = JSON.parse(a.body)
    why = p.code === 'verification_closed' ? `Too late: ${p.detail}` : p.detail ?? why
  } catch { /* not JSON: shown as it is */ }
  return [h('span', { class: 'bad' }, '✕ '), `Sent to Assent: ${said(a.answer)}. ${took} ${why}`]
}

function code(digits) {
  const half = Math.ceil(digits.length / 2)
  const shown = h('bdi', { class: 'digits', dir: 'ltr' }, h('span', {}, digits.slice(0, half)), h('span', {}, digits.slice(half)))
  const copy = copyButton('Copy code', digits, () => shown)
  copy.classList.add('primary', 'copycode')
  return h('div', { class: 'code' }, shown, copy)
}

const link = (url) => h('p', {}, h('a', { class: 'primary', href: url, target: '_blank', rel: 'noopener noreferrer' }, 'Open the link'))

// linked turns the link inside a text into one that can be pressed.
function linked(text, url) {
  const at = url ? text.indexOf(url) : -1
  if (at < 0) return [text]
  return [text.slice(0, at), h('a', { href: url, target: '_blank', rel: 'noopener noreferrer' }, url), text.slice(at + url.length)]
}

function sms(m) {
  const input = h('input', { name: 'text', autocomplete: 'off', maxlength: '1600', placeholder: 'YES, NO or a number' })
  const self = {}
  const reply = h('form', { class: 'reply', onsubmit: async (e) => {
    e.preventDefault()
    if (input.value.trim() === '') return input.focus()
    if (await self.send({ text: input.value })) input.value = ''
  } }, h('label', {}, 'Reply', input), h('button', {}, 'Send reply'))
  self.elements = [h('p', { class: 'bubble', dir: 'auto' }, ...linked(m.text, m.link)), m.code && code(m.code), m.link && link(m.link), reply].filter(Boolean)
  return self
}

function email(m) {
  const views = {
    HTML: () => h('iframe', { src: new URL(`messages/${m.id}/html`, base).href, title: `Mail: ${m.subject}` }),
    Text: () => h('pre', { class: 'source', tabindex: '0' }, m.text || 'This mail has no text part.'),
    Source: () => {
      const source = h('pre', { class: 'source', tabindex: '0' }, 'Loading…')
      call('GET', `messages/${m.id}`).then((d) => { source.textContent = d.html || 'This mail has no HTML part.' }, (e) => { source.textContent = e.message })
      return source
    },
  }
  const view = h('div', {})
  const tabs = h('div', { class: 'tabs', role: 'group', 'aria-label': 'Part of the mail' })
  const show = (name) => {
    for (const b of tabs.children) b.setAttribute('aria-pressed', String(b.textContent === name))
    view.replaceChildren(views[name]())
  }
  for (const name of Object.keys(views)) tabs.append(h('button', { type: 'button', onclick: () => show(name) }, name))
  show('HTML')
  const head = h('dl', {}, h('dt', {}, 'From'), h('dd', {}, ltr(m.from)), h('dt', {}, 'Subject'), h('dd', { dir: 'auto' }, m.subject))
  return { elements: [m.code && code(m.code), m.link && link(m.link), h('div', { class: 'mail' }, head, tabs, view)].filter(Boolean) }
}

function voice(m) {
  const script = h('ol', { class: 'script', 'aria-label': 'Script as spoken' })
  const digits = h('div', {})
  const pressed = h('p', { class: 'quiet' })
  const self = {}
  let keys = ''
  let wants = 0
  const send = async () => {
    const now = keys
    keys = ''
    if (now) await self.send({ keys: now })
  }
  const press = (key) => {
    keys += key
    pressed.textContent = `Keys: ${[...keys].join(' ')}`
    if (key === '#' || (wants > 0 && keys.length >= wants)) send()
  }
  const pad = h('div', { class: 'keypad', role: 'group', 'aria-label': 'Keypad' },
    [...'123456789*0#'].map((key) => h('button', { type: 'button', onclick: () => press(key) }, key)))
  const hangUp = h('button', { type: 'button', onclick: () => self.send({ hang_up: true }) }, 'Hang up')
  const sendKeys = h('button', { type: 'button', onclick: send }, 'Send keys')
  const controls = h('div', { class: 'message controls' }, pad, pressed, h('div', { class: 'reply' }, sendKeys, hangUp))
  self.elements = [script, digits, controls]
  self.update = (next) => {
    for (const line of next.call.lines.slice(script.childElementCount)) script.append(h('li', { dir: 'auto' }, line))
    if (next.code && digits.childElementCount === 0) digits.append(code(next.code))
    wants = next.call.wants
    const waiting = next.call.state === 'waiting'
    pad.hidden = !waiting
    hangUp.hidden = !waiting
    sendKeys.hidden = !waiting || wants === 1
    if (keys === '') pressed.textContent = next.call.keys ? `Keys sent: ${[...next.call.keys].join(' ')}` : ''
  }
  return self
}

// fieldsOf reads what exactly is agreed to, out of the text that is signed.
function fieldsOf(d) {
  try {
    const list = JSON.parse(d.context).fields
    return Array.isArray(list) ? list.filter((f) => typeof f?.label === 'string' && typeof f?.value === 'string') : []
  } catch {
    return []
  }
}

// choicesOf reads the numbers that a question offers. What is none offers nothing.
function choicesOf(d) {
  try {
    const list = JSON.parse(d.choices)
    return Array.isArray(list) ? list.filter((n) => /^\d{1,4}$/.test(n)) : []
  } catch {
    return []
  }
}

// answering is the part of a push in which a person decides: by plain buttons, by picking the number of the
// other screen, or by typing it.
function answering(d, send) {
  const place = h('div', { class: 'answers' })
  const decide = async (answer) => {
    const parts = place.querySelectorAll('button, input')
    for (const p of parts) p.disabled = true // one press is one answer
    const taken = await send(answer)
    for (const p of parts) p.disabled = false
    return taken
  }
  const button = (words, answer, kind = null) => h('button', { type: 'button', class: kind, onclick: () => decide(answer) }, words)
  const choices = choicesOf(d)
  const length = Number(d.number_length) || 0
  if (choices.length > 0) {
    place.append(h('p', {}, 'To approve, pick the number on the other screen:'),
      h('div', { class: 'choices', role: 'group', 'aria-label': 'Numbers to pick from' },
        choices.map((number) => button(number, { decision: 'approve', number }, 'primary'))))
  } else if (length > 0) {
    const input = h('input', { name: 'number', inputmode: 'numeric', autocomplete: 'off', required: true, pattern: `[0-9]{${length}}`, maxlength: String(length), title: `${length} digits` })
    place.append(h('form', { class: 'reply', onsubmit: async (e) => {
      e.preventDefault()
      if (await decide({ decision: 'approve', number: input.value })) input.value = ''
    } }, h('label', {}, 'Number on the other screen', input), h('button', { class: 'primary' }, 'Approve')))
  } else place.append(button('Approve', { decision: 'approve' }, 'primary'))
  place.append(button('Deny', { decision: 'deny' }), button('This wasn’t me', { decision: 'not_me' }))
  return place
}

function push(m) {
  const d = m.data
  const self = {}
  const rows = [
    ['What', d.action], ['Where', d.place && `Near ${d.place} (estimate)`], ['Device', d.device], ['Network', d.ip],
    ['Asked', d.requested_at && clock(d.requested_at)], ['Expires', d.expires_at && clock(d.expires_at)],
  ].filter(([, v]) => v)
  const shown = m.text ? m.text.split('\n') : []
  const fields = fieldsOf(d)
  const card = h('div', { class: 'push' },
    h('h3', { dir: 'auto' }, h('bdi', {}, shown[0] || d.brand || 'Push')),
    fields.length > 0 && h('dl', { class: 'fields' }, fields.map((f) => [h('dt', {}, h('bdi', {}, f.label)), h('dd', {}, h('bdi', {}, f.value))])),
    shown.length > 1 && h('p', { dir: 'auto' }, shown.slice(1).join('\n')),
    rows.length > 0 && h('dl', {}, rows.map(([k, v]) => [h('dt', {}, k), h('dd', {}, h('bdi', {}, v))])))
  if (m.code) card.append(code(m.code))
  else if (!d.respond_to) card.append(h('p', { class: 'quiet' }, 'This push asks nothing that could be answered.'))
  else if (m.phone) card.append(answering(d, (answer) => self.send(answer)))
  else card.append(h('p', { class: 'quiet' }, 'It went to a device whose key is not here, so only that device can answer. A phone added on this page can answer from here.'))
  self.elements = [card]
  return self
}

const parts = { sms, email, voice, push }

function request(d) {
  const rows = Object.entries(d.request.headers).sort().map(([k, v]) => h('tr', {}, h('th', { scope: 'row' }, k), h('td', {}, ltr(v))))
  return [
    h('p', {}, ltr(`${d.request.method} ${d.request.path}`)), h('table', {}, h('tbody', {}, rows)),
    h('pre', { class: 'source', tabindex: '0' }, readable(d.request)),
  ]
}

// readable shows a form one field a line, and JSON indented.
function readable(r) {
  if ((r.headers['Content-Type'] ?? '').startsWith('application/x-www-form-urlencoded')) {
    return [...new URLSearchParams(r.body)].map(([k, v]) => `${k} = ${v}`).join('\n')
  }
  try {
    return JSON.stringify(JSON.parse(r.body), null, 2)
  } catch {
    return r.body
  }
}

function callbacks(list) {
  if (list.length === 0) return h('p', { class: 'quiet' }, 'None were asked for, or none were sent yet.')
  return h('table', {}, h('tbody', {}, list.map((c) => h('tr', {},
    h('th', { scope: 'row' }, c.name), h('td', { class: c.status >= 200 && c.status < 300 ? 'good' : 'bad' }, c.status ? `${c.status} in ${c.took_ms} ms` : c.error),
    h('td', {}, ltr(c.url)), h('td', {}, moment(c.at, clock(c.at)), c.attempt > 1 ? ` attempt ${c.attempt}` : '')))))
}
