// The carrier's behaviour, and the page's dialogs.
import { h, byId, call } from './dom.js'
import { command, registering } from './examples.js'

const channels = { sms: 'Texts', email: 'Mails', voice: 'Calls', push: 'Pushes' }

function words(rule) {
  const who = rule.provider || rule.channel ? [channels[rule.channel], rule.provider].filter(Boolean).join(', ') + ':' : 'Carrier'
  const does = {
    normal: 'is normal', slow: `is slow: it answers after ${rule.delay} s`, refuse: 'is refusing everything',
    throttle: `is throttling: it answers 429${rule.retry_after ? `, Retry-After ${rule.retry_after}` : ', without Retry-After'}`,
    unavailable: 'is unavailable: it answers 503', hang: 'hangs: it takes requests and never answers',
  }[rule.mode]
  return `${who} ${does}${rule.count ? ` (${rule.count} more)` : ''}.`
}

function show(b) {
  byId('carrier').value = b.mode
  const rules = (b.mode === 'normal' ? [] : [b]).concat(b.rules)
  byId('banner').hidden = rules.length === 0
  const text = rules.map(words).join(' ')
  if (byId('bannerwords').textContent !== text) byId('bannerwords').textContent = text
}

async function set(mode) {
  try {
    show(await call('PUT', 'behaviour', { mode }))
  } catch (e) {
    byId('banner').hidden = false
    byId('bannerwords').replaceChildren(h('span', { role: 'alert' }, `The carrier was not changed: ${e.message}`))
  }
}

export const carrier = {
  read: () => call('GET', 'behaviour').then(show, () => {}), // the next event asks again
}

export function dialogs() {
  byId('carrier').addEventListener('change', (e) => set(e.target.value))
  byId('normal').addEventListener('click', () => set('normal'))
  for (const b of document.querySelectorAll('[data-dialog]')) b.addEventListener('click', () => byId(b.dataset.dialog).showModal())
  const letters = byId('letters')
  letters.checked = localStorage.getItem('assent-sandbox-letters') !== 'off'
  letters.addEventListener('change', () => localStorage.setItem('assent-sandbox-letters', letters.checked ? 'on' : 'off'))
  byId('phoneform').addEventListener('submit', async (e) => {
    e.preventDefault()
    const form = new FormData(e.target)
    const result = byId('phoneresult')
    try {
      const phone = await call('POST', 'phones', { name: form.get('name'), platform: form.get('platform') })
      result.replaceChildren(h('p', { role: 'status' }, h('span', { class: 'good' }, '✓ '), `${phone.name} is ready. Register it and ask it something:`), ...command(registering(phone)))
    } catch (e) {
      result.replaceChildren(h('p', { class: 'bad', role: 'alert' }, e.message))
    }
  })
}
