package authenticator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

func trial(v *prompt) {
	v.Trial, v.NumberLength = true, 0
}

// A trial does not give way to a request, so both are open.
func TestARequestBesideATrialReplacesNothing(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	tried := s.asks(ana, trial)
	p.Sees("h1", "Let's try it. Press Approve.")
	real := s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Sees(".note", "1 more request is waiting.")
	require.False(t, p.Has(".note.replaced"), "the trial has not ended")
	p.Click(".note button")
	p.Sees("h1", "Let's try it. Press Approve.")
	approves(p)
	p.Sees(".outcome", "It works. Requests look like this.")
	require.Equal(t, []api.Status{api.StatusApproved, api.StatusPending}, []api.Status{s.status(tried), s.status(real)})
	p.Click("#main .lower button")
	p.Sees("h1", "Is this you?")
	p.Type("#number", "47")
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	p.Silent()
}

// Between two looks one request may end and another take its place.
func TestAReplacedRequestDoesNotSeemToWait(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	first := s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.JS(`(() => {
		const real = window.fetch
		const gate = new Promise((resolve) => { window.letThrough = resolve })
		window.fetch = async (url, options) => {
			if (String(url).endsWith("/prompts?wait=0")) {
				window.listing = true
				await gate
			}
			return real(url, options)
		}
		return true
	})()`)
	p.Holds("window.listing")
	s.ends(first, api.StatusCanceled, "replaced")
	s.asks(ana, func(v *prompt) { v.Context = `{"action":"Another sign-in"}` })
	p.JS("letThrough()")
	p.Sees("main", "Another sign-in")
	p.Sees(".note.replaced", "Newest request; the one before has ended.")
	p.Gone(".note:not(.replaced)")
	p.Type("#number", "47")
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	p.Click("#main .lower button")
	p.Sees("h1", "No requests right now.")
	p.Silent()
}
