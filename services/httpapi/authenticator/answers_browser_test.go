package authenticator_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/internal/browsertest"
)

// open gives a page on a phone that joined as Ana with Example Bank.
func open(t *testing.T) (*service, *browsertest.Browser, *browsertest.Tab) {
	t.Helper()
	s := serve(t)
	b := browsertest.Start(t)
	p := b.Tab(t).Speaks("en-GB")
	p.Look(390, 844, false)
	p.Open(s.page(""))
	joins(p, s.invites("Example Bank", ana))
	p.Sees("h1", "No requests right now.")
	return s, b, p
}

const ana = "ana@example.com"

func TestEveryEndOfAQuestion(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.Expect("status of 409")

	for _, end := range []struct {
		what             string
		options          []func(*prompt)
		do               func(v *prompt)
		heading, text    string
		status           api.Status
		reason, decision string
	}{
		{
			"a second wrong number refuses", nil, func(*prompt) {
				p.Type("#number", "12")
				p.Press("Enter")
				p.Sees("#fault", "That number doesn't match. Look at the screen where you started and try once more. A second wrong number refuses the request.")
				require.Equal(t, "12", p.JS(`document.getElementById("number").value`), "what was typed stays")
				p.Type("#number", "13") // over what is selected
				p.Press("Enter")
			},
			"Refused.", "The number didn't match twice, so nothing was approved. If it was you, start again at Example Bank.", api.StatusDenied, "wrong_number", "approve",
		},
		{
			"denied", nil, func(*prompt) { p.Click(`button[value="deny"]`) },
			"Denied.", "Nothing was approved. You can close this page.", api.StatusDenied, "", "deny",
		},
		{
			"not me", nil, func(*prompt) { p.Click(`button[value="not_me"]`) },
			"Thank you. Nothing was approved,", "and Example Bank has been warned. To change your password, go to its site yourself; don't use a link.",
			api.StatusDenied, "not_me", "not_me",
		},
		{
			"no number is asked for",
			[]func(*prompt){func(v *prompt) { v.NumberLength = 0 }},
			func(*prompt) {
				p.Gone("#number")
				approves(p)
			},
			"Approved", "You can close this page and go back to the screen where you started.", api.StatusApproved, "", "approve",
		},
		{
			"the number is chosen where there are choices",
			[]func(*prompt){func(v *prompt) { v.NumberLength, v.Choices = 0, []string{"12", "47", "93"} }},
			func(*prompt) {
				p.Click("button.approve")
				p.Sees("#fault", "Choose the number that is shown on your sign-in screen.")
				p.Click(`input[value="47"]`)
				p.Axe()
				p.Click("button.approve")
			},
			"Approved", "You can close this page", api.StatusApproved, "", "approve",
		},
		{
			"answered elsewhere", nil, func(v *prompt) { s.ends(v, api.StatusApproved, "") },
			"Answered on your other device at", "If that wasn't you, contact Example Bank.", api.StatusApproved, "", "",
		},
		{
			"withdrawn", nil, func(v *prompt) { s.ends(v, api.StatusCanceled, "") },
			"Example Bank withdrew this request.", "There is nothing to do.", api.StatusCanceled, "", "",
		},
		{
			"expired", nil, func(v *prompt) { s.ends(v, api.StatusExpired, "") },
			"This request has expired.", "Start again at Example Bank if you still need it.", api.StatusExpired, "", "",
		},
		{
			"failed", nil, func(v *prompt) { s.ends(v, api.StatusFailed, "internal") },
			"This request was closed.", "Nothing was approved from this device.", api.StatusFailed, "internal", "",
		},
	} {
		t.Run(end.what, func(t *testing.T) {
			p := p.In(t)
			v := s.asks(ana, end.options...)
			p.Sees("h1", "Is this you?")
			before := len(s.answered())
			end.do(v)
			p.Sees("h1", end.heading)
			p.Sees(".outcome", end.text)
			s.mu.Lock()
			require.Equal(t, []string{string(end.status), end.reason}, []string{string(v.status), v.reason})
			s.mu.Unlock()
			if end.decision == "" {
				require.Len(t, s.answered(), before)
			} else {
				last := s.answered()[len(s.answered())-1]
				require.Equal(t, end.decision, string(last.Decision))
			}
			p.Click("#main .lower button")
			p.Sees("h1", "No requests right now.")
		})
	}
	p.Click(`nav a[href="#history"]`)
	p.Sees(".history", "You approved · refused: wrong number")
	p.Sees(".history", "You said it wasn't you")
	require.Equal(t, "5", p.JS(`document.querySelectorAll(".history li").length`), "what was not answered here is not told")
	p.Click("#main .lower button")
	p.Sees(".history", "You have answered nothing here yet.")
	p.Silent()
}

func TestBoundFieldsComeFirstAndWhole(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	s.asks(ana, func(v *prompt) {
		v.NumberLength = 0
		v.Context = `{"action":"Pay","fields":[{"label":"Amount","value":"1.250,00 EUR"},{"label":"To","value":"<b>شركة</b> Café Lumière with a long name that goes on and on"}]}`
	})
	p.Sees("h1", "Do you agree to this?")
	p.Sees(".bound", "Amount 1.250,00 EUR To <b>شركة</b> Café Lumière with a long name that goes on and on")
	shoot(p, "bound")
	approves(p)
	p.Sees("h1", "Approved")
	p.Silent()
}

func TestTheNewestQuestionReplacesAndSaysSo(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	first := s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Type("#number", "4")
	var second *prompt
	s.alter(func() { first.end(api.StatusCanceled, "replaced", false) })
	second = s.asks(ana, func(v *prompt) { v.Context = `{"action":"Another sign-in"}` })
	p.Sees("main", "Another sign-in")
	p.Sees(".note.replaced", "Newest request; the one before has ended.")
	require.Empty(t, p.JS(`document.getElementById("number").value`), "a number belongs to its question")
	p.Type("#number", "47")
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	require.Equal(t, api.StatusApproved, s.status(second))
	p.Silent()
}

func TestTwoAccountsSideBySide(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.Click(`nav a[href="#settings"]`)
	p.Click(`.settings a[href="#join"]`)
	joins(p, s.invites("Shop", "a.k@example.com"))
	one := s.asks("a.k@example.com")
	p.Sees(".question", "Shop a.k@example.com")
	other := s.asks(ana)
	p.Sees(".note", "1 more request is waiting.")
	p.Type("#number", "47")
	p.Click("button.approve")
	// The end of the first is seen before the one that waits.
	p.Sees("h1", "Approved")
	p.Click("#main .lower button")
	p.Sees(".question", "Example Bank ana@example.com")
	p.Click(`button[value="deny"]`)
	p.Sees("h1", "Denied.")
	require.Equal(t, []api.Status{api.StatusApproved, api.StatusDenied}, []api.Status{s.status(one), s.status(other)})
	require.NotEqual(t, s.of(ana).public, s.of("a.k@example.com").public, "each account has a key of its own")
	p.Silent()
}

func TestAnAnswerIsSentOnceHoweverOftenItIsTried(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.Expect("ERR_")
	v := s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Type("#number", "47")
	s.alter(func() { s.away = true })
	s.CloseClientConnections()
	p.Click("button.approve")
	p.Sees("#fault", "Your answer was not sent. The server can't be reached.")
	p.Sees("#notices", "Offline. Codes still work; requests can't arrive. Last contact")
	shoot(p, "not-sent")
	p.Axe()
	require.Equal(t, "47", p.JS(`document.getElementById("number").value`))
	s.alter(func() { s.away = false })
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	require.Len(t, s.answered(), 1)
	require.Equal(t, api.StatusApproved, s.status(v))
	p.Gone("#notices .warn")
}

func TestAnAnswerWhoseReceiptIsLostIsTheSameAnswerAgain(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.Expect("ERR_")
	s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Type("#number", "12")
	p.JS(`(() => {
		const real = window.fetch
		let lost = 0
		window.sent = []
		window.fetch = async (url, options) => {
			if (!String(url).endsWith("/responses")) return real(url, options)
			window.sent.push(options.body)
			if (lost++ > 0) return real(url, options)
			throw new TypeError("the answer is lost")
		}
		return true
	})()`)
	p.Click("button.approve")
	p.Sees("#fault", "Your answer was not sent.")
	p.Click("button.approve")
	p.Sees("#fault", "That number doesn't match.")
	require.Equal(t, "true", p.JS("window.sent.length === 2 && window.sent[0] === window.sent[1]"), "answered_at and signature stay")
}

func TestAClockThatIsWrongIsCorrectedAndSaid(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		by   time.Duration
		says string
	}{
		"fast": {11 * time.Minute, "⚠ This device's clock is 11 min fast. Codes corrected."},
		"slow": {-11 * time.Minute, "⚠ This device's clock is 11 min slow. Codes corrected."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			p := browsertest.Start(t).Tab(t).Speaks("en-US")
			p.Skewed(test.by)
			p.Expect("status of 403") // the first look, which tells the right time
			p.Open(s.page(""))
			joins(p, s.invites("Example Bank", ana))
			v := s.asks(ana)
			p.Sees("h1", "Is this you?")
			p.Type("#number", "47")
			p.Click("button.approve")
			p.Sees("h1", "Approved")
			require.Equal(t, api.StatusApproved, s.status(v))
			p.Click(`nav a[href="#codes"]`)
			p.Sees(".warn", test.says)
			showsCode(t, p, 0, codesOf(s.of(ana).secret))
			shoot(p, "clock-"+name)
			p.Silent()
		})
	}
}
