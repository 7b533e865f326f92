// Package template is what a client's templates are: texts for each channel and locale, with variables that have
// types. It checks them, makes mails of their HTML, formats values in a reader's language, and says which body a
// recipient gets. It is pure. Package store keeps templates, the API shows them and composes notifications from
// them; how a placeholder is filled is known to events/template alone.
package template

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"golang.org/x/text/language"

	"github.com/assent-io/assent/events"
	bodies "github.com/assent-io/assent/events/template"
)

// Template is one version of a client's texts. A version never changes.
type Template struct {
	Account string `json:"account"`
	Name    string `json:"name"`
	// Version counts from 1.
	Version int `json:"version"`
	// DefaultLocale is that of readers for whose language there is no variant.
	DefaultLocale string              `json:"default_locale"`
	Variables     map[string]Variable `json:"variables,omitempty"`
	Variants      []Variant           `json:"variants"`
	// CreatedBy is the client that saved this version.
	CreatedBy string    `json:"created_by,omitempty"`
	CreatedAt time.Time `json:"created_at"`
}

// Variant is the text of a template on one channel in one language.
type Variant struct {
	Channel events.Channel `json:"channel"`
	Locale  string         `json:"locale"`
	// Source is what the client wrote. The subject of a push is its title.
	Source events.NotificationBody `json:"source"`
	// Body is what is sent of it: its styles inlined, and with a text part. Prepare makes it.
	Body events.NotificationBody `json:"body"`
}

// Summary is what a list tells of a template, or of one of its versions.
type Summary struct {
	Name      string
	Version   int
	CreatedAt time.Time
}

// What saving a template fails with.
var (
	// ErrVersion: another version is the newest.
	ErrVersion = errors.New("template has another version")
	// ErrFull: the template has as many versions as one may have.
	ErrFull = errors.New("template has too many versions")
	// ErrLarge: all its texts together are too large.
	ErrLarge = errors.New("template is too large")
)

// Fault is one thing that is wrong with a template, or with the variables for one.
type Fault struct {
	// Field is the place of the fault, as a JSON pointer without its leading slash.
	Field  string
	Detail string
}

// The limits of a template.
const (
	MaxVariants = 100
	// MaxRecord is the size of a template as it is stored, in bytes.
	MaxRecord = 900 << 10
)

var nameForm = regexp.MustCompile(`^[a-z0-9][a-z0-9_-]{0,63}$`)

// NameRule says in words what ValidName asks for.
const NameRule = "must be 1 to 64 small letters, digits, dashes or underscores, the first a letter or digit"

// ValidName tells whether s can name a template.
func ValidName(s string) bool { return nameForm.MatchString(s) }

// faults gathers what is wrong.
type faults []Fault

func (f *faults) add(field, detail string) { *f = append(*f, Fault{field, detail}) }

// Prepare checks a template and makes the bodies of its variants. Warnings are about what may be meant as it is.
// Whoever saves a template prepares it; a stored one is prepared already. A hundred mails take long: ended is
// asked before each, and what it fails with ends the work.
func Prepare(t *Template, ended func() error) (wrong, warnings []Fault, err error) {
	var f faults
	if !ValidName(t.Name) {
		f.add("name", NameRule)
	}
	if !validLocale(t.DefaultLocale) {
		f.add("default_locale", localeRule)
	}
	if len(t.Variables) > bodies.MaxVariables {
		f.add("variables", fmt.Sprintf("must be at most %d, not %d", bodies.MaxVariables, len(t.Variables)))
		return f, nil, nil
	}
	for _, name := range sortedNames(t.Variables) {
		t.Variables[name].check(&f, name)
	}
	if n := len(t.Variants); n == 0 || n > MaxVariants {
		f.add("variants", fmt.Sprintf("must be 1 to %d, not %d", MaxVariants, n))
		return f, nil, nil
	}
	used := map[string]bool{}
	var taken effort
	for i := range t.Variants {
		if err := ended(); err != nil {
			return nil, nil, fmt.Errorf("prepare template: %w", err)
		}
		field := fmt.Sprintf("variants/%d", i)
		for _, name := range t.Variants[i].prepare(&f, field, &taken) {
			used[name] = true
			if _, declared := t.Variables[name]; !declared {
				f.add(field, fmt.Sprintf("uses the variable %s, which is not declared", name))
			}
		}
	}
	t.checkPlaces(&f)
	for _, name := range sortedNames(t.Variables) {
		if !used[name] && bodies.ValidName(name) {
			warnings = append(warnings, Fault{"variables/" + name, "is declared and never used"})
		}
	}
	return f, warnings, nil
}

// checkPlaces makes sure that there is one variant for each channel and locale, and one that every reader can have.
func (t *Template) checkPlaces(f *faults) {
	for i, v := range t.Variants {
		same := func(o Variant) bool { return o.Channel == v.Channel && strings.EqualFold(o.Locale, v.Locale) }
		if first := slices.IndexFunc(t.Variants, same); first < i {
			f.add(fmt.Sprintf("variants/%d", i), fmt.Sprintf("is for the same channel and locale as variants/%d", first))
		}
		fallback := func(o Variant) bool {
			return o.Channel == v.Channel && strings.EqualFold(o.Locale, t.DefaultLocale)
		}
		isFirst := slices.IndexFunc(t.Variants, func(o Variant) bool { return o.Channel == v.Channel }) == i
		if isFirst && !slices.ContainsFunc(t.Variants, fallback) {
			f.add("variants", fmt.Sprintf("must have one for %s in the default_locale", v.Channel))
		}
	}
}

// prepare checks a variant, makes its body, and returns the variables it uses.
func (v *Variant) prepare(f *faults, field string, taken *effort) []string {
	if !validLocale(v.Locale) {
		f.add(field+"/locale", localeRule)
		return nil
	}
	before := len(*f)
	v.checkParts(f, field)
	if len(*f) > before {
		return nil
	}
	v.Body = v.Source
	source, err := bodies.Parse(v.Source)
	if addBodyFaults(f, field, v.Channel, err); err != nil {
		return nil
	}
	if v.Source.HTML == "" {
		return source.Variables()
	}
	var text string
	v.Body.HTML, text = mail(v.Source.HTML, v.Locale, taken, func(detail string) { f.add(field+"/html", detail) })
	if v.Body.Text == "" {
		v.Body.Text = text
	}
	if len(*f) == before && strings.TrimSpace(v.Body.Text) == "" {
		f.add(field+"/text", "is required, since the html has no words")
	}
	if len(*f) > before {
		return nil
	}
	made, err := bodies.Parse(v.Body)
	if addBodyFaults(f, field, v.Channel, err); err != nil {
		return nil
	}
	if !slices.Equal(made.Variables(), source.Variables()) {
		f.add(field+"/html", "loses a placeholder when it is read as HTML")
		return nil
	}
	return source.Variables()
}

// checkParts checks that a variant has the parts of its channel, and no others.
func (v *Variant) checkParts(f *faults, field string) {
	need := func(part, given string) {
		if strings.TrimSpace(given) == "" {
			f.add(field+"/"+part, "is required")
		}
	}
	without := func(part, given string) {
		if given != "" {
			f.add(field+"/"+part, "does not go with "+string(v.Channel))
		}
	}
	switch v.Channel {
	case events.SMS, events.Voice:
		need("text", v.Source.Text)
		without("subject", v.Source.Subject)
		without("html", v.Source.HTML)
	case events.Email:
		need("subject", v.Source.Subject)
		if v.Source.HTML == "" {
			need("text", v.Source.Text)
		}
	case events.Push:
		need("text", v.Source.Text)
		without("html", v.Source.HTML)
	default:
		f.add(field+"/channel", "must be sms, voice, email or push")
	}
}

// addBodyFaults notes what events/template found, by the names that the parts have on the channel.
func addBodyFaults(f *faults, field string, channel events.Channel, err error) {
	if err == nil {
		return
	}
	wrong, ok := err.(bodies.Faults) //nolint:errorlint // Parse returns it as it is
	if !ok {
		f.add(field, "cannot be read")
		return
	}
	for _, w := range wrong {
		at := field
		if part := partName(channel, w.Part); part != "" {
			at += "/" + part
		}
		detail := w.Detail
		if w.Position > 0 {
			detail += fmt.Sprintf(" (at position %d)", w.Position)
		}
		f.add(at, detail)
	}
}

// partName is how a part of a body is called on a channel.
func partName(channel events.Channel, part string) string {
	if channel == events.Push && part == bodies.Subject {
		return "title"
	}
	return part
}

const (
	maxLocale  = 35
	localeRule = "must be a language tag such as en or pt-BR"
)

// validLocale tells whether s is a BCP 47 tag of a language that is known.
func validLocale(s string) bool {
	if s == "" || len(s) > maxLocale || strings.ContainsRune(s, '_') {
		return false
	}
	_, err := language.Parse(s)
	return err == nil
}

func sortedNames(variables map[string]Variable) []string {
	names := make([]string, 0, len(variables))
	for name := range variables {
		names = append(names, name)
	}
	slices.Sort(names)
	return names
}
