package authenticator_test

import (
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/internal/browsertest"
)

// deaf lets the page send its answers, and hear nothing else from then on until heard.
func deaf(p *browsertest.Tab) {
	p.JS(`(() => {
		const real = window.fetch
		window.undeafen = () => { window.fetch = real; dispatchEvent(new Event("online")); return true }
		let sent = false
		window.fetch = async (url, options) => {
			if (String(url).endsWith("/responses")) {
				sent = true
				return real(url, options)
			}
			const answer = sent ? undefined : await real(url, options)
			if (sent) throw new TypeError("it does not get through")
			return answer
		}
		dispatchEvent(new Event("online")) // the look that waits goes through here too
		return true
	})()`)
}

// overslept is a page that finds that a request has ended by the clock, and ticks before the server can be reached.
func overslept(p *browsertest.Tab) {
	p.JS(`(async () => {
		const real = Date.now
		Date.now = () => real() + 3600_000
		await new Promise((resolve) => setTimeout(resolve, 2500))
		Date.now = real
	})()`)
}

// Who approved and looks again after the end is told what became of it, and never that nothing was approved.
func TestWhatWasSentIsNotSaidToHaveExpired(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.Expect("status of 404")
	approve := func() *prompt {
		v := s.asks(ana)
		p.Sees("h1", "Is this you?")
		p.Type("#number", "47")
		deaf(p)
		p.Click("button.approve")
		p.Sees(".progress", "Your answer is on its way…")
		p.Sees("#notices", "Offline.")
		require.Equal(t, api.StatusApproved, s.status(v))
		return v
	}
	approve()
	overslept(p)
	p.Sees(".progress", "Your answer is on its way…")
	p.JS("undeafen()")
	p.Sees("h1", "Approved")
	p.Click("#main .lower button")
	p.Click(`nav a[href="#history"]`)
	p.Sees(".history", "You approved")
	require.NotContains(t, p.Text(".history"), "expired")
	p.Click(`nav a[href="#requests"]`)

	v := approve()
	s.alter(func() { s.prompts = slices.DeleteFunc(s.prompts, func(one *prompt) bool { return one == v }) }) // as after its grace
	p.JS("undeafen()")
	p.Sees("h1", "This request was closed.")
	p.Sees(".outcome", "Start again at Example Bank if you still need it.")
	require.NotContains(t, p.Text(".outcome"), "Nothing was approved")
	p.Click("#main .lower button")
	p.Click(`nav a[href="#history"]`)
	p.Sees(".history", "You approved · outcome unknown")
	p.Silent()
}

func TestAnAnswerWhoseReceiptIsLostIsInTheHistory(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	v := s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.JS(`(() => {
		const real = window.fetch
		window.fetch = async (url, options) => {
			const answer = await real(url, options)
			if (String(url).endsWith("/responses")) throw new TypeError("the receipt is lost")
			return answer
		}
		return true
	})()`)
	p.Type("#number", "47")
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	require.Equal(t, api.StatusApproved, s.status(v))
	p.Click("#main .lower button")
	p.Click(`nav a[href="#history"]`)
	p.Sees(".history", "You approved")
	p.Silent()
}

// A number that does not match may be known before the failure of the call that brought it.
func TestALateFailureTakesNothingBack(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	// Of two answers the first arrives, and its receipt is lost once the test says so; the second is sent once the test says so.
	p.JS(`(() => {
		const real = window.fetch
		window.held = []
		window.letGo = async (n) => { held[n](); await new Promise((resolve) => setTimeout(resolve, 200)) }
		window.fetch = async (url, options) => {
			if (!String(url).endsWith("/responses")) return real(url, options)
			const arrives = held.length % 2 === 0
			const gate = new Promise((resolve) => held.push(resolve))
			if (arrives) await real(url, options)
			await gate
			if (arrives) throw new TypeError("the receipt is lost")
			return real(url, options)
		}
		return true
	})()`)
	wrong := func() {
		s.asks(ana)
		p.Sees("h1", "Is this you?")
		p.Type("#number", "12")
		p.Click("button.approve")
		p.Sees("#fault", "That number doesn't match.")
	}
	wrong()
	p.Type("#number", "4") // over what is selected
	p.JS("letGo(0)")
	p.Sees("#fault", "That number doesn't match.")
	p.Press("7")
	require.Equal(t, "47", p.JS(`document.getElementById("number").value`), "nobody is disturbed while they type")
	p.Click("button.approve")
	p.Sees(".progress", "Sending your answer…")
	p.JS("letGo(1)")
	p.Sees("h1", "Approved")
	p.Click("#main .lower button")

	wrong()
	p.Type("#number", "47")
	p.Click("button.approve")
	p.Sees(".progress", "Sending your answer…")
	p.JS("letGo(2)")
	require.False(t, p.Has("#fault"))
	p.Sees(".progress", "Sending your answer…")
	p.JS("letGo(3)")
	p.Sees("h1", "Approved")
	require.Len(t, s.answered(), 4)
	p.Silent()
}
