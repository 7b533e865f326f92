// The inbox page: the list, its filters and keys, and the live feed that changes them.
import { h, ltr, byId, kinds, address, relative, exact, call, say } from './dom.js'
import { follow } from './feed.js'
import { open, said, state } from './detail.js'
import { firstRun } from './examples.js'
import { carrier, dialogs } from './carrier.js'

const most = 500 // rows kept in the page
const list = byId('list'), pane = byId('listpane'), empty = byId('empty'), detail = byId('detail'), search = byId('search'), more = byId('more')
const messages = new Map() // by id, in order of arrival
const rows = new Map()
const unread = new Set()
const held = [] // arrived while the person reads further down
const filter = { channel: '', words: '' }
let opened = null // {id, update}
let paused = false
let feedState = 'reconnecting'
let phase = 'loading' // loading, ready, cleared, or a fault's words

// --- rows

function words(m) {
  if (m.last_answer) return `You answered: ${said(m.last_answer.answer)}`
  if (m.call && m.call.state !== 'ended') return `☎ ${state(m)}`
  return m.subject && m.channel === 'email' ? m.subject : m.text.split('\n').join(' ') || m.data.action || m.data.brand || m.status
}

function row(m) {
  const link = h('a', { href: `#m=${m.id}` }, h('span', { class: 'mark' }), h('span', { class: 'who' }), h('span', { class: 'when' }), h('span', { class: 'say', dir: 'auto' }))
  const li = h('li', {}, link)
  rows.set(m.id, li)
  refresh(m)
  return li
}

function refresh(m) {
  const li = rows.get(m.id)
  if (!li) return
  const [mark, who, when, text] = li.firstElementChild.children
  li.classList.toggle('new', unread.has(m.id))
  mark.title = unread.has(m.id) ? 'Not opened yet' : ''
  who.replaceChildren(ltr(address(m)))
  if (!when.firstChild) when.append(`${kinds[m.channel]} `, h('time', { datetime: m.received_at, title: exact(m.received_at) }, relative(Date.parse(m.received_at))))
  text.textContent = words(m)
  li.hidden = !matches(m)
  if (opened?.id === m.id) li.firstElementChild.setAttribute('aria-current', 'true')
  else li.firstElementChild.removeAttribute('aria-current')
}

function matches(m) {
  if (filter.channel && m.channel !== filter.channel) return false
  const q = filter.words.toLowerCase()
  if (!q) return true
  const plain = (s) => s.toLowerCase().replace(/[\s().-]/g, '')
  return plain(m.to).includes(plain(q)) || [m.text, m.subject, m.code, address(m)].some((s) => s.toLowerCase().includes(q))
}

function place(m, seen = false) {
  const isNew = !messages.has(m.id)
  messages.set(m.id, m)
  if (!isNew) {
    refresh(m)
    if (opened?.id === m.id) opened.update(m)
    return
  }
  phase = 'ready'
  if (!seen) unread.add(m.id)
  if (!seen) say(`New ${kinds[m.channel].toLowerCase()} to ${address(m)}`)
  if (pane.scrollTop > 8) held.push(m.id)
  else list.prepend(row(m))
  if (messages.size > most) drop(messages.keys().next().value)
}

function drop(id) {
  messages.delete(id)
  unread.delete(id)
  rows.get(id)?.remove()
  rows.delete(id)
}

function showHeld() {
  for (const id of held.splice(0)) if (messages.has(id)) list.prepend(row(messages.get(id)))
  pane.scrollTop = 0
  settle()
}

// settle brings everything around the rows up to date.
function settle() {
  for (const b of document.querySelectorAll('.bar [data-channel]')) {
    const c = b.dataset.channel
    b.querySelector('b').textContent = [...messages.values()].filter((m) => !c || m.channel === c).length
    b.setAttribute('aria-pressed', String(filter.channel === c))
  }
  more.hidden = held.length === 0
  more.textContent = `${held.length} new, show`
  document.title = unread.size ? `(${unread.size}) Assent sandbox` : 'Assent sandbox'
  showEmpty()
}

let emptyShown = ''
function showEmpty() {
  const visible = [...messages.values()].some(matches)
  const kind = visible ? '' : messages.size > 0 ? `filtered ${filter.channel} ${filter.words}` : phase === 'ready' ? 'first' : phase
  if (kind === emptyShown) return // what a person reads or copies there stays in place
  emptyShown = kind
  document.body.classList.toggle('fresh', kind === 'first' && !opened)
  const button = (text, onclick) => h('button', { type: 'button', onclick }, text)
  if (kind === '') empty.replaceChildren()
  else if (kind === 'loading') empty.replaceChildren(h('p', { class: 'quiet' }, 'Loading messages…'))
  else if (kind === 'first') empty.replaceChildren(...firstRun())
  else if (kind === 'cleared') empty.replaceChildren(h('p', {}, 'Cleared. New messages will appear here.'))
  else if (kind.startsWith('filtered')) {
    const what = { sms: 'texts', email: 'emails', voice: 'calls', push: 'pushes' }[filter.channel] ?? 'messages'
    empty.replaceChildren(h('p', {}, `No ${what}`, filter.words ? ` that match “${filter.words}”` : '', '.'), button('Show everything', () => {
      filter.channel = filter.words = search.value = ''
      refilter()
    }))
  } else empty.replaceChildren(h('p', { class: 'bad', role: 'alert' }, `The inbox can’t be read: ${kind}`), button('Retry', load))
}

function refilter() {
  for (const m of messages.values()) refresh(m)
  const url = new URL(location.href)
  for (const [k, v] of [['channel', filter.channel], ['q', filter.words]]) v ? url.searchParams.set(k, v) : url.searchParams.delete(k)
  history.replaceState(null, '', url)
  settle()
}

// --- reading the list, and what changes it

async function load() {
  let got
  try {
    got = (await call('GET', 'messages?limit=100&unspoken=true')).messages
  } catch (e) {
    if (messages.size === 0) phase = e.message
    settle()
    return
  }
  const first = phase === 'loading'
  const present = new Set(got.map((m) => m.id))
  for (const id of [...messages.keys()]) if (!present.has(id)) drop(id)
  for (const m of got.reverse()) place(m, first)
  if (first) phase = 'ready'
  settle()
  if (!opened) route()
}

function onEvent(name, data) {
  if (paused) return
  if (name === 'message') place(data)
  else if (name === 'cleared') {
    for (const id of [...messages.keys()]) drop(id)
    held.length = 0
    phase = 'cleared'
    close()
  } else if (name === 'reset') {
    load()
    carrier.read()
  } else if (name === 'behaviour') carrier.read()
  settle()
}

function showState() {
  const now = paused ? 'paused' : feedState
  byId('live').dataset.state = now
  byId('live').title = paused ? 'Press to go on' : 'Press to pause'
  byId('livewords').textContent = { live: 'Live', reconnecting: 'Reconnecting…', paused: 'Paused' }[now]
}

// --- opening and closing

const atId = () => new URLSearchParams(location.hash.slice(1)).get('m')

async function route() {
  const id = atId()
  if (!id) return close()
  if (opened?.id === id) return
  let m = messages.get(id)
  if (!m) {
    try {
      m = await call('GET', `messages/${id}`)
    } catch (e) {
      close()
      detail.replaceChildren(h('p', { class: 'nothing' }, e.message))
      return
    }
  }
  const before = opened?.id
  opened = { id, update: open(detail, m, back) }
  unread.delete(id)
  for (const one of [before, id]) if (messages.has(one)) refresh(messages.get(one))
  document.body.classList.add('reading')
  settle()
}

const back = () => {
  const id = opened?.id
  location.hash = ''
  rows.get(id)?.firstElementChild.focus()
}

function close() {
  const id = opened?.id
  opened = null
  document.body.classList.remove('reading')
  detail.replaceChildren(h('p', { class: 'nothing' }, 'Choose a message to read and answer it.'))
  if (messages.has(id)) refresh(messages.get(id))
}

// --- keys

function move(step) {
  const visible = [...list.children].filter((li) => !li.hidden)
  if (visible.length === 0) return
  const focused = visible.findIndex((li) => li.contains(document.activeElement))
  const from = focused >= 0 ? focused : visible.findIndex((li) => li === rows.get(opened?.id))
  const to = visible[Math.min(visible.length - 1, Math.max(0, from + step))]
  to.firstElementChild.focus()
  if (opened && matchMedia('(min-width: 761px)').matches) location.replace(to.firstElementChild.href)
}

function onKey(e) {
  if (e.ctrlKey || e.metaKey || e.altKey || document.querySelector('dialog[open]')) return
  const typing = e.target.matches('input, select, textarea')
  if (e.key === 'Escape') {
    if (typing) e.target.blur()
    else if (opened) back()
    return
  }
  if (typing) return
  const inList = list.contains(document.activeElement) || document.activeElement === document.body
  if (inList && (e.key === 'ArrowDown' || e.key === 'ArrowUp')) {
    e.preventDefault()
    move(e.key === 'ArrowDown' ? 1 : -1)
    return
  }
  if (!byId('letters').checked) return
  const keys = {
    j: () => move(1), k: () => move(-1), '/': () => search.focus(), '?': () => byId('keys').showModal(),
    c: () => detail.querySelector('.copycode')?.click(),
  }
  if (keys[e.key]) {
    e.preventDefault()
    keys[e.key]()
  }
}

// --- start

byId('app').hidden = false
const query = new URLSearchParams(location.search)
filter.channel = kinds[query.get('channel')] ? query.get('channel') : ''
filter.words = search.value = query.get('q') ?? ''
for (const b of document.querySelectorAll('.bar [data-channel]')) {
  b.addEventListener('click', () => {
    filter.channel = b.dataset.channel
    refilter()
  })
}
search.addEventListener('input', () => {
  filter.words = search.value.trim()
  refilter()
})
more.addEventListener('click', showHeld)
pane.addEventListener('scroll', () => { if (pane.scrollTop <= 8 && held.length) showHeld() })
byId('clear').addEventListener('click', () => call('DELETE', 'messages').catch((e) => { phase = e.message; settle() }))
byId('live').addEventListener('click', () => {
  paused = !paused
  if (!paused) load() // what was missed
  showState()
})
addEventListener('hashchange', route)
addEventListener('keydown', onKey)
setInterval(() => {
  if (document.hidden) return
  for (const t of list.querySelectorAll('time')) {
    const text = relative(Date.parse(t.dateTime))
    if (t.textContent !== text) t.textContent = text
  }
}, 1000)
dialogs()
close()
settle()
route()
follow(onEvent, (s) => {
  feedState = s
  showState()
})
