package accept_test

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/browsertest"
	"github.com/assent-io/assent/services/verification"
)

// face is a way that the page can look, with words that show it is that one.
type face struct {
	name, words string
	shows       func(b *bench, p *tab)
}

func afterPressing(button string) func(*bench, *tab) {
	return func(b *bench, p *tab) {
		p.Open(b.link)
		b.clock.forward(reads)
		p.press(button)
	}
}

func afterHearing(f verification.Fact) func(*bench, *tab) {
	return func(b *bench, p *tab) {
		b.records.change(func(s *records) { s.apply(f) })
		p.Open(b.link)
	}
}

var faces = []face{
	{"question", "Is this you?", func(b *bench, p *tab) { p.Open(b.link) }},
	{"number", "Two digits.", func(b *bench, p *tab) {
		b.asksForANumber()
		p.Open(b.link)
	}},
	{"Hindi", "क्या यह आप हैं?", func(b *bench, p *tab) {
		b.asksForANumber()
		p.Open(b.link + "?lang=hi")
	}},
	{"Arabic", "هل هذا أنت؟", func(b *bench, p *tab) {
		b.asksForANumber()
		p.Open(b.link + "?lang=ar")
		require.Equal(p.t, "rtl ltr", p.JS(`getComputedStyle(document.body).direction + " " + getComputedStyle(document.getElementById("number")).direction`))
	}},
	{"payment", "Do you agree to this?", func(b *bench, p *tab) {
		b.records.change(func(s *records) {
			s.v.Context.Fields = []verification.Field{{Label: "Amount", Value: "€1,249.00"}, {Label: "Payee", Value: "Café Lumière"}}
		})
		p.Open(b.link)
	}},
	{"too soon", "Read the details", func(b *bench, p *tab) {
		p.Open(b.link)
		p.press("approve")
	}},
	{"no number", askForNumber, func(b *bench, p *tab) {
		b.asksForANumber()
		afterPressing("approve")(b, p)
	}},
	{"wrong number", doesNotMatch, func(b *bench, p *tab) {
		b.asksForANumber()
		p.Open(b.link)
		b.clock.forward(reads)
		p.types("74").press("approve")
	}},
	{"approved", "Approved", afterPressing("approve")},
	{"denied", "Denied.", afterPressing("deny")},
	{"not me", "Thank you.", afterPressing("not_me")},
	{"leads on", "Continue to", func(b *bench, p *tab) {
		app, _ := elsewhere(p.t)
		b.records.change(func(s *records) { s.redirect = app })
		afterPressing("approve")(b, p)
		p.Open(b.link) // a second time it stays
	}},
	{"on its way", "Your answer is on its way", func(b *bench, p *tab) {
		b.records.change(func(s *records) { s.verifierAway = true })
		afterPressing("approve")(b, p)
		p.Open(b.link + "?n=15") // which goes nowhere by itself
	}},
	{"not saved", "Your answer was not saved.", func(b *bench, p *tab) {
		b.records.change(func(s *records) { s.writeErr = errors.New("no broker") })
		afterPressing("approve")(b, p)
	}},
	{"answered", "Already answered", afterHearing(verification.Answered{Decision: verification.Approve})},
	{"withdrawn", "withdrew this request", afterHearing(verification.Cancel{})},
	{"failed", "This request was closed", afterHearing(verification.Undelivered{Send: 1, Reason: "undeliverable"})},
	{"expired", "This request has expired", func(b *bench, p *tab) {
		b.clock.forward(5 * time.Minute)
		p.Open(b.link)
	}},
	{"unknown", "This link isn't complete", func(b *bench, p *tab) { p.Open(b.link + "/x") }},
	{"away", "This page can't be shown right now", func(b *bench, p *tab) {
		b.records.change(func(s *records) { s.readErr = verification.ErrUnavailable })
		p.Open(b.link)
	}},
}

func TestEveryFaceIsForEverybody(t *testing.T) {
	t.Parallel()
	p := newTab(browsertest.Start(t), t).person()
	for _, f := range faces {
		t.Run(f.name, func(t *testing.T) {
			p := &tab{p.In(t), t}
			f.shows(start(t), p)
			require.Contains(t, p.text(), f.words)
			for _, s := range []screen{{"light", 390, 844, false}, {"dark", 1280, 800, true}} {
				p.Look(s.width, s.height, s.dark)
				p.Axe()
			}
		})
	}
	p.Silent()
}
