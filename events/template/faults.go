package template

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxFaults is how many faults one body is told of.
const maxFaults = 16

// Fault is one thing that is wrong with a body.
type Fault struct {
	// Part is subject, text or html; empty where it is about all of them.
	Part string
	// Position counts characters from 0.
	Position int
	Detail   string
}

func (f Fault) Error() string {
	if f.Part == "" {
		return f.Detail
	}
	return fmt.Sprintf("%s, position %d: %s", f.Part, f.Position, f.Detail)
}

// Faults is all that is wrong with a body.
type Faults []Fault

func (f Faults) Error() string {
	all := make([]string, 0, len(f))
	for _, x := range f {
		all = append(all, x.Error())
	}
	return "body: " + strings.Join(all, "; ")
}

// VariableError says which variable keeps a body from being filled. It never holds the value.
type VariableError struct{ Name, Detail string }

func (e *VariableError) Error() string { return "variable " + e.Name + " " + e.Detail }

// CheckValue says what is wrong with a value, whatever body it goes into; empty where nothing is. Line breaks are
// fine: a subject refuses them itself.
func CheckValue(value string) string {
	for _, r := range value {
		switch {
		case r >= 0x20 && r < 0x7f, r == '\n', r == '\t': // nearly everything
		case r == utf8.RuneError:
			return "holds a character that is not valid Unicode"
		case unicode.Is(unicode.Bidi_Control, r):
			return "must not hold characters that change the direction of text"
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			return "must not hold control characters"
		}
	}
	return ""
}

// mark tells whether r is one of the marks that writers of right-to-left scripts need. They turn the direction of
// no text but their own place; the others of their kind can make a text read as another.
func mark(r rune) bool { return r == '\u200e' || r == '\u200f' || r == '\u061c' }

// checkLiteral finds the first character that a part must not hold.
func checkLiteral(part, source string, fault func(at int, detail string)) {
	for at, r := range source {
		switch {
		case r >= 0x20 && r < 0x7f, mark(r): // nearly everything
			continue
		case r == '\n' || r == '\t' || r == '\r' && part == HTML:
			if part != Subject {
				continue
			}
			fault(at, "must not hold line breaks or tabs")
		case r == utf8.RuneError:
			fault(at, "holds a character that is not valid Unicode")
		case unicode.Is(unicode.Bidi_Control, r):
			fault(at, "must not hold characters that change the direction of text")
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			fault(at, "must not hold control characters")
		default:
			continue
		}
		return
	}
}
