package authenticator_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/internal/browsertest"
)

// shoot keeps pictures of a page as people see it.
func shoot(p *browsertest.Tab, name string) {
	for _, look := range []struct {
		name          string
		width, height int64
		dark          bool
	}{
		{"phone-light", 390, 844, false},
		{"phone-dark", 390, 844, true},
		{"desktop-light", 1280, 800, false},
		{"desktop-dark", 1280, 800, true},
	} {
		p.Look(look.width, look.height, look.dark)
		p.Shoot(name + "-" + look.name)
	}
	p.Look(390, 844, false)
}

// fits expects that nothing is wider than a phone, nor than the smallest there is.
func fits(p *browsertest.Tab) {
	for _, width := range []int64{320, 390} {
		p.Look(width, 844, false)
		p.Holds(`[document.documentElement, document.getElementById("main")].every((e) => e.scrollWidth <= e.clientWidth)`)
	}
}

// joins types a code into the join page, and leaves it.
func joins(p *browsertest.Tab, code string) {
	p.Sees("h1", "Join")
	p.Type("#code", code)
	p.Click("form button[type=submit]")
	p.Sees("h1", "You joined")
	p.Click("#main .lower > button:last-child")
}

// approves approves a question without a number: a press that comes too soon has to be repeated.
func approves(p *browsertest.Tab) {
	p.Click("button.approve")
	p.Holds(`(fault => !fault?.checkVisibility() || (document.querySelector("button.approve").click(), false))(document.getElementById("fault"))`)
}

func TestAPersonJoinsAndAnswers(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := browsertest.Start(t).Tab(t).Person().Speaks("en-GB")
	p.Look(390, 844, false)
	p.Open(s.page(""))
	p.Sees("h1", "Join")
	p.Sees("main", "This browser becomes your second factor")
	shoot(p, "join")
	p.Axe()
	joins(p, s.invites("Example Bank", "ana@example.com"))
	p.Sees("h1", "No requests right now.")
	p.Sees("main", "Connected")
	shoot(p, "idle")
	p.Axe()
	require.Equal(t, "Chrome, Android", s.of("ana@example.com").name)

	v := s.asks("ana@example.com")
	p.Sees("h1", "Is this you?")
	p.Sees("main", "Sign in & more")
	p.Sees("main", "Near Lyon (estimate)")
	require.Equal(t, "Request – Example Bank", p.JS("document.title"))
	shoot(p, "question")
	p.Axe()
	p.Click("button.approve")
	p.Sees("#fault", "Enter the two digits shown on your sign-in screen.")
	p.Type("#number", "12")
	p.Click("button.approve")
	p.Sees("#fault", "That number doesn't match.")
	shoot(p, "wrong")
	p.Axe()
	p.JS(`document.getElementById("number").value = ""`)
	p.Type("#number", "٤٧")
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	shoot(p, "approved")
	require.Equal(t, api.StatusApproved, s.status(v))
	p.Axe()
	p.Click("#main .lower button")
	p.Sees("h1", "No requests right now.")
	p.Click(`nav a[href="#codes"]`)
	p.Sees("h1", "Codes")
	p.Sees(".codes", "Example Bank")
	shoot(p, "codes")
	p.Axe()
	p.Click(`nav a[href="#history"]`)
	p.Sees(".history", "You approved")
	shoot(p, "history")
	p.Axe()
	p.Click(`nav a[href="#settings"]`)
	p.Sees("h1", "Settings")
	shoot(p, "settings")
	p.Axe()
	p.Silent()
}

func TestItIsThereAtOnceOnASlowPhone(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := browsertest.Start(t).Tab(t)
	p.Slow(4)
	for range 3 {
		p.Open("about:blank")
		p.Open(s.page(""))
		p.Sees("h1", "Join")
		t.Logf("interactive after %s ms with a processor four times as slow", p.JS(`Math.round(performance.getEntriesByName("interactive")[0].startTime)`))
	}
	p.Silent()
}

func TestTheKeyboardIsEnough(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	s.asks(ana)
	p.Sees("h1", "Is this you?")
	focus := func() string {
		return p.JS(`(({ id, value, textContent, tagName }) => id || value || textContent || tagName)(document.activeElement)`)
	}
	require.Equal(t, "Is this you?", focus(), "reading comes first")
	var order []string
	for range 5 {
		p.Press("Tab")
		order = append(order, focus())
	}
	require.Equal(t, []string{"number", "approve", "deny", "not_me", "Requests"}, order)
	for range 4 {
		p.Press("Shift+Tab")
	}
	p.Press("4")
	p.Press("7")
	p.Press("Enter")
	p.Sees("h1", "Approved")
	require.Contains(t, focus(), "Approved")
	p.Press("Tab")
	p.Press("Enter")
	p.Sees("h1", "No requests right now.")
	p.Silent()
}

func TestColoursThatPeopleForceAndMotionThatTheyDoNotWant(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.Prefers("prefers-reduced-motion", "reduce")
	p.Prefers("forced-colors", "active")
	p.Click(`nav a[href="#codes"]`)
	p.Sees(".codes .code", " ")
	require.Equal(t, "0s", p.JS(`getComputedStyle(document.querySelector(".ring .left")).transitionDuration`))
	p.Shoot("codes-forced-colours")
	s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Shoot("question-forced-colours")
	p.Axe()
	p.Silent()
}

func TestTheHistoryIsBounded(t *testing.T) {
	t.Parallel()
	_, _, p := open(t)
	require.Equal(t, "100 104", p.JS(`import(new URL("accounts.js", document.querySelector("script[type=module]").src)).then(async ({ note, history }) => {
		for (let i = 0; i < 105; i++) await note({ id: "n" + i, at: i, decision: "deny", status: "denied", here: true })
		const all = await history()
		return all.length + " " + all[0].at
	})`))
	p.Silent()
}
