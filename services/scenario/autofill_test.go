package scenario_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// FilledInBy is the same question for a page and an app.
func (q question) FilledInBy(origin, appHash string) question {
	return q.with(func(c *api.CreateVerification) { c.Origin, c.AppHash = origin, appHash })
}

func TestPhonesAndBrowsersFindTheCodeInTheLastLine(t *testing.T) {
	t.Parallel()
	s := Together(t)
	for name, c := range map[string]struct {
		ask    func(person) question
		origin string
		hash   string
		line   string // with CODE for the code
	}{
		"for a page":                      {text, "example.com", "", "@example.com #CODE"},
		"for an app":                      {text, "", "FA+9qCX9VSu", "FA+9qCX9VSu"},
		"for both":                        {text, "example.com", "FA+9qCX9VSu", "@example.com #CODE FA+9qCX9VSu"},
		"for both, in another language":   {func(p person) question { return text(p).Locale("de") }, "example.com", "FA+9qCX9VSu", "@example.com #CODE FA+9qCX9VSu"},
		"for both, after a call, by text": {textAfterCall, "example.com", "FA+9qCX9VSu", "@example.com #CODE FA+9qCX9VSu"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := s.in(t)
			ana := somebody()
			v := s.Create(c.ask(ana).Brand("Example Bank").FilledInBy(c.origin, c.hash))
			var got []message
			eventually(t, "the text comes", func() bool { got = s.messages(ana.number, "&channel=sms"); return len(got) > 0 })
			m := got[0]
			require.Len(t, m.Code, 6)
			lines := strings.Split(m.Text, "\n")
			require.Len(t, lines, 2, "%q", m.Text)
			require.Contains(t, lines[0], m.Code)
			require.Equal(t, strings.ReplaceAll(c.line, "CODE", m.Code), lines[1])
			require.LessOrEqual(t, len(m.Text), 140)
			require.True(t, s.Check(v, m.Code).Valid)
		})
	}
}

// textAfterCall asks by a call first, and by a text where nobody takes it.
func textAfterCall(p person) question {
	return call(p).Then(api.FallbackStep{Channel: api.ChannelSMS, After: 2})
}

// Locale is the same question in another language.
func (q question) Locale(tag string) question {
	return q.with(func(c *api.CreateVerification) { c.Locale = tag })
}
