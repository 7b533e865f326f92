package webpage

import (
	"strings"
	"time"
)

// Part is a piece of a sentence.
type Part struct {
	Kind Kind
	Text string
	// Words stand behind the text of a time.
	Words string
	At    time.Time // of a time
}

// Kind is what a part is, so that the template isolates it as that.
type Kind string

// The kinds of parts.
const (
	Text Kind = "text"
	Name Kind = "name" // of a brand or device: may be written in the other direction
	Code Kind = "code" // a number, host or address: is written from the left in every language
	Time Kind = "time" // carries its machine form
)

// Named is what the named parts of a sentence stand for.
type Named map[string]Part

// Split cuts a sentence at its named parts, which stand in braces. A part without a name is left out.
func Split(sentence string, named Named) []Part {
	var parts []Part
	for sentence != "" {
		before, rest, found := strings.Cut(sentence, "{")
		if before != "" {
			parts = append(parts, Part{Kind: Text, Text: before})
		}
		if !found {
			break
		}
		name, after, _ := strings.Cut(rest, "}")
		if p, ok := named[name]; ok {
			parts = append(parts, p)
		}
		sentence = after
	}
	return parts
}

// Plain is a sentence without mark-up.
func Plain(parts []Part) string {
	var b strings.Builder
	for _, p := range parts {
		b.WriteString(p.Text)
		b.WriteString(p.Words)
	}
	return b.String()
}

// Clock is a time of today. It names its zone: a page does not know where the person is.
func Clock(t time.Time) Part {
	t = t.UTC()
	return Part{Kind: Time, Text: t.Format("15:04") + " UTC", At: t}
}
