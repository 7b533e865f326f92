package authenticator_test

import (
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
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
	request := s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Sees(".note", "1 more request is waiting.")
	require.False(t, p.Has(".note.replaced"), "the trial has not ended")
	p.Click(".note button")
	p.Sees("h1", "Let's try it. Press Approve.")
	approves(p)
	p.Sees(".outcome", "It works. Requests look like this.")
	require.Equal(t, []api.Status{api.StatusApproved, api.StatusPending}, []api.Status{s.status(tried), s.status(request)})
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

func TestAPressLeadsToTheQuestionOfItsNotification(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	worker := p.Worker()
	tried := s.asks(ana, trial)
	p.Sees("h1", "Let's try it.")
	s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Click(`nav a[href="#codes"]`)
	p.Sees("h1", "Codes")
	worker.JS(`pages().then(([page]) => page.postMessage({ type: "open", verification: "` + tried.VerificationID + `" }))`)
	p.Sees("h1", "Let's try it.")
	p.Click(".note button")
	p.Sees("h1", "Is this you?")
	// As where no page was open.
	p.Open(s.page("requests=" + tried.VerificationID))
	p.Reload()
	p.Sees("h1", "Let's try it.")
	p.Silent()
}

func TestANotificationGoesWithItsQuestion(t *testing.T) {
	t.Parallel()
	s, b, p := open(t)
	b.Permit(t, s.URL, "notifications", browser.PermissionSettingGranted)
	worker := p.Worker()
	// Whoever asks for the notifications while the first one is being shown makes Chromium forget it.
	worker.JS(`(show => { self.shown = 0; self.registration.showNotification = async (...all) => { await show(...all); self.shown++ } })(
		self.registration.showNotification.bind(self.registration))`)
	push := func(v *prompt, n string) {
		// With respond_to it stays until it is taken away.
		p.Push(`{"verification_id":"` + v.VerificationID + `","title":"Are you signing in?","respond_to":"x"}`)
		require.Eventually(t, func() bool { return worker.JS(`self.shown`) == n }, 30*time.Second, 20*time.Millisecond)
	}
	none := `navigator.serviceWorker.ready.then((r) => r.getNotifications()).then((all) => all.length === 0)`

	v := s.asks(ana)
	p.Sees("h1", "Is this you?")
	tried := s.asks(ana, trial, func(v *prompt) { v.CreatedAt = v.CreatedAt.Add(-time.Minute) })
	p.Sees(".note", "1 more request is waiting.")
	push(tried, "1")
	require.Equal(t, "false", p.JS(none))
	s.ends(tried, api.StatusExpired, "") // it was never shown
	p.Holds(none)
	p.Type("#number", "47")
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	push(v, "2") // it was under way for long
	p.Holds(none)
	p.Silent()
}
