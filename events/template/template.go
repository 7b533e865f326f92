// Package template fills texts that have placeholders. A placeholder is a name in double braces, {{name}}, and
// nothing else: no functions, no conditions. What is filled in is data and never read as a template again; in HTML
// it is escaped for the place where it stands. What variables mean, their types and their languages, is not known
// here: values are strings. The API parses bodies to refuse what is wrong with them, workers to fill them.
package template

import (
	"bytes"
	"fmt"
	"html/template"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/assent-io/assent/events"
)

// The parts of a body, as faults name them.
const (
	Subject = "subject"
	Text    = "text"
	HTML    = "html"
)

// The limits of a body before it is filled, and after.
const (
	MaxSubject = 255       // characters, of a subject or title
	MaxText    = 20_000    // characters
	MaxHTML    = 100 << 10 // bytes; mail programs clip what is longer
	// MaxVariables is how many names one body may use.
	MaxVariables = 64
	// MaxName is the length of a variable's name.
	MaxName = 64
)

// piece is a literal, or the name of a variable.
type piece struct {
	literal string
	name    string
	at      int // where it stands in the part, in characters from 0
}

// Body is a text that was parsed. It is safe for concurrent use, and keeps no value that was filled in.
type Body struct {
	subject, text []piece
	html          *template.Template // nil: there is none
	// plain is the HTML where it has no placeholder.
	plain string
	// urls are the variables that stand for a whole web address somewhere in the HTML.
	urls      []string
	variables []string
	buffers   sync.Pool
}

// Parse reads a body. What is wrong with it are Faults, each with its part and position.
func Parse(body events.NotificationBody) (*Body, error) {
	b := &Body{buffers: sync.Pool{New: func() any { return new(bytes.Buffer) }}}
	var faults Faults
	limited := func(part string, n, most int, unit string) bool {
		if n > most {
			faults = append(faults, Fault{part, most, fmt.Sprintf("must be at most %d %s, not %d", most, unit, n)})
		}
		return n <= most
	}
	if limited(Subject, utf8.RuneCountInString(body.Subject), MaxSubject, "characters") {
		b.subject = b.lex(Subject, body.Subject, &faults)
	}
	if limited(Text, utf8.RuneCountInString(body.Text), MaxText, "characters") {
		b.text = b.lex(Text, body.Text, &faults)
	}
	if limited(HTML, len(body.HTML), MaxHTML, "bytes") {
		b.parseHTML(b.lex(HTML, body.HTML, &faults), &faults)
	}
	if len(b.variables) > MaxVariables {
		faults = append(faults, Fault{"", 0, fmt.Sprintf("must use at most %d variables", MaxVariables)})
	}
	if len(faults) > 0 {
		return nil, faults
	}
	slices.Sort(b.variables)
	return b, nil
}

// Variables are the names that the body uses, each once, by name.
func (b *Body) Variables() []string { return slices.Clone(b.variables) }

// lex cuts a part into pieces, and notes the names.
func (b *Body) lex(part, source string, faults *Faults) []piece {
	var pieces []piece
	fault := func(at int, detail string) {
		*faults = append(*faults, Fault{part, utf8.RuneCountInString(source[:at]), detail})
	}
	checkLiteral(part, source, fault)
	at, characters, counted := 0, 0, 0
	for at < len(source) && len(*faults) < maxFaults && len(b.variables) <= MaxVariables {
		open := strings.Index(source[at:], "{{")
		if open < 0 {
			break
		}
		open += at
		length := strings.Index(source[open+2:], "}}")
		if length < 0 {
			fault(open, "opens a placeholder that is not closed with }}")
			return nil
		}
		end := open + 2 + length + 2
		name := strings.Trim(source[open+2:end-2], " \t")
		if !ValidName(name) {
			fault(open, "must hold a variable's name only: letters, digits and underscores, the first a letter")
			at = open + 2 // the next may begin within
			continue
		}
		if open > at {
			pieces = append(pieces, piece{literal: source[at:open]})
		}
		characters += utf8.RuneCountInString(source[counted:open])
		counted = open
		pieces = append(pieces, piece{name: name, at: characters})
		if !slices.Contains(b.variables, name) {
			b.variables = append(b.variables, name)
		}
		at = end
	}
	if at < len(source) {
		pieces = append(pieces, piece{literal: source[at:]})
	}
	return pieces
}

// ValidName tells whether s can name a variable.
func ValidName(s string) bool {
	if s == "" || len(s) > MaxName {
		return false
	}
	for i := range len(s) {
		c := s[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return true
}

// Fill puts values in the place of the names. It fails with *VariableError where one is missing, holds what no
// message may hold, or is no web address where one must stand; and with Faults where what comes out is too long.
// No error holds a value. Variables that the body does not use change nothing.
func (b *Body) Fill(variables map[string]string) (events.NotificationBody, error) {
	var filled events.NotificationBody
	for _, name := range b.variables {
		value, ok := variables[name]
		if !ok {
			return filled, &VariableError{name, "is missing"}
		}
		if detail := CheckValue(value); detail != "" {
			return filled, &VariableError{name, detail}
		}
	}
	subject, err := fillSubject(b.subject, variables)
	if err != nil {
		return filled, err
	}
	text := fillText(b.text, variables)
	html, err := b.fillHTML(variables)
	if err != nil {
		return filled, err
	}
	var faults Faults
	for _, p := range []struct {
		part    string
		n, most int
		unit    string
	}{
		{Subject, utf8.RuneCountInString(subject), MaxSubject, "characters"},
		{Text, utf8.RuneCountInString(text), MaxText, "characters"},
		{HTML, len(html), 2 * MaxHTML, "bytes"},
	} {
		if p.n > p.most {
			faults = append(faults, Fault{p.part, p.most, fmt.Sprintf("is %d %s long when it is filled, more than %d", p.n, p.unit, p.most)})
		}
	}
	if len(faults) > 0 {
		return filled, faults
	}
	return events.NotificationBody{Subject: subject, Text: text, HTML: html}, nil
}

// fillSubject fills what becomes a header: no value may end its line.
func fillSubject(pieces []piece, variables map[string]string) (string, error) {
	for _, p := range pieces {
		if p.name != "" && strings.ContainsAny(variables[p.name], "\n\t") {
			return "", &VariableError{p.name, "must not hold line breaks or tabs, since it stands in the subject"}
		}
	}
	return fillText(pieces, variables), nil
}

func fillText(pieces []piece, variables map[string]string) string {
	switch {
	case len(pieces) == 0:
		return ""
	case len(pieces) == 1 && pieces[0].name == "":
		return pieces[0].literal
	}
	size := 0
	for _, p := range pieces {
		size += len(p.literal) + len(variables[p.name])
	}
	var out strings.Builder
	out.Grow(size)
	for _, p := range pieces {
		if p.name == "" {
			out.WriteString(p.literal)
			continue
		}
		out.WriteString(variables[p.name])
	}
	return out.String()
}
