// The live feed. A browser has few connections per host, so one tab holds the stream and the
// others listen to it; whichever tab is left takes over.
import { base } from './dom.js'

const names = ['message', 'cleared', 'behaviour', 'phones', 'reset', 'resumed']

// follow calls onEvent(name, data) for each event, and onState('live' | 'reconnecting').
export function follow(onEvent, onState) {
  const source = new URL('events', base).href
  const tabs = 'BroadcastChannel' in window ? new BroadcastChannel(source) : null
  let leading = false
  let state = 'reconnecting'
  const told = (next) => {
    state = next
    onState(next)
    if (leading) tabs?.postMessage({ state: next })
  }

  const lead = () => {
    leading = true
    const stream = new EventSource(source)
    for (const name of names) {
      stream.addEventListener(name, (e) => {
        const data = JSON.parse(e.data)
        onEvent(name, data)
        tabs?.postMessage({ name, data })
      })
    }
    stream.onopen = () => told('live')
    stream.onerror = () => {
      told('reconnecting')
      if (stream.readyState === EventSource.CLOSED) setTimeout(lead, 2000) // an error page instead of a stream
    }
  }

  if (tabs) {
    tabs.onmessage = ({ data }) => {
      if (data.hello && leading) tabs.postMessage({ state })
      else if (!leading && data.state) told(data.state)
      else if (!leading && data.name) onEvent(data.name, data.data)
    }
  }
  // Locks exist in secure contexts only; elsewhere each tab has its own stream.
  if (tabs && navigator.locks) {
    navigator.locks.request(source, () => {
      lead()
      return new Promise(() => {}) // held until the tab goes
    })
    navigator.locks.query().then(({ held }) => {
      if (!leading && held.some((l) => l.name === source)) {
        onEvent('reset', {})
        tabs.postMessage({ hello: true })
      }
    })
  } else lead()
}
