package template

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"golang.org/x/text/language"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/gsm7"
	bodies "github.com/assent-io/assent/events/template"
)

// The limits of what a channel carries, once the variables are filled in.
const (
	MaxSegments  = 10   // parts of a text message
	MaxSpoken    = 1000 // characters of a call
	MaxPushTitle = 100  // characters
	// MaxPush is how many bytes title and text of a push have together, as JSON writes them: APNs and FCM take 4 KB of
	// everything.
	MaxPush = 3000
)

// Compiled is a version of a template that is ready to be composed from, for any number of recipients. It is safe
// for concurrent use.
type Compiled struct {
	template Template
	variants []compiledVariant
	defaults map[string]any
	// free says that variables were not declared: any value that can be written is taken.
	free bool

	mu      sync.Mutex
	formats map[string]*formats // by locale
}

type compiledVariant struct {
	Variant
	body *bodies.Body
	uses []string
}

// Message is what one recipient gets.
type Message struct {
	// Channel and Locale are those of the variant that was chosen.
	Channel events.Channel
	Locale  string
	// Body has placeholders, Filled what goes into them. Recipients of one variant share the body.
	Body   events.NotificationBody
	Filled map[string]string
	// Rendered is the body, filled in.
	Rendered events.NotificationBody
}

// ErrBroken says that a stored template cannot be read. Prepare lets none such through.
var ErrBroken = errors.New("stored template cannot be read")

// Compile makes a prepared template ready.
func Compile(t Template) (*Compiled, error) {
	c := &Compiled{template: t, defaults: map[string]any{}, formats: map[string]*formats{}}
	for _, v := range t.Variants {
		body, err := bodies.Parse(v.Body)
		if err != nil {
			return nil, fmt.Errorf("%w: %s %s", ErrBroken, v.Channel, v.Locale)
		}
		c.variants = append(c.variants, compiledVariant{v, body, body.Variables()})
	}
	for name, v := range t.Variables {
		if v.Default == nil {
			continue
		}
		value, err := decodeValue(v.Default)
		if err != nil {
			return nil, fmt.Errorf("%w: default of %s", ErrBroken, name)
		}
		c.defaults[name] = value
	}
	return c, nil
}

// Own makes a text that comes with a request ready, as a template of one variant would be. Its variables are not
// declared, and take strings and numbers. Faults name subject, title, text or html.
func Own(channel events.Channel, locale string, body events.NotificationBody) (*Compiled, []Fault) {
	if locale == "" {
		locale = "en"
	}
	v := Variant{Channel: channel, Locale: locale, Source: body}
	var f faults
	uses := v.prepare(&f, "", new(effort))
	for i := range f {
		f[i].Field = strings.TrimPrefix(f[i].Field, "/")
	}
	if len(f) > 0 {
		return nil, f
	}
	t := Template{DefaultLocale: locale, Variants: []Variant{v}, Variables: map[string]Variable{}}
	for _, name := range uses {
		t.Variables[name] = Variable{Type: String, Required: true, MaxLength: LongestValue}
	}
	c, err := Compile(t)
	if err != nil {
		return nil, []Fault{{"", "cannot be read"}}
	}
	c.free = true
	return c, nil
}

// Version is that of the template; zero for a text of the request's own.
func (c *Compiled) Version() int { return c.template.Version }

// Name is that of the template; empty for a text of the request's own.
func (c *Compiled) Name() string { return c.template.Name }

// Has tells whether the template has texts for a channel.
func (c *Compiled) Has(channel events.Channel) bool {
	return slices.ContainsFunc(c.variants, func(v compiledVariant) bool { return v.Channel == channel })
}

// Compose makes one recipient's message: the variant of the channel and locale, or of the locale's language, or of
// the template's default, with the variables written as the locale does. Faults name each variable that is missing,
// unknown or wrong, and a text that would be too long; no fault shows a value. Nothing of a message with faults may be sent.
func (c *Compiled) Compose(channel events.Channel, locale string, variables map[string]any) (Message, []Fault) {
	v, ok := c.choose(channel, locale)
	if !ok {
		return Message{}, []Fault{{"channel", "is not one that the template has a text for"}}
	}
	var f faults
	m := Message{Channel: channel, Locale: v.Locale, Body: v.Body, Filled: make(map[string]string, len(v.uses))}
	c.refuseUnknown(&f, variables)
	to := c.formatsOf(formatLocale(locale, v.Locale))
	for _, name := range v.uses {
		value, given := variables[name]
		if !given || value == nil {
			if value, given = c.defaults[name]; !given {
				if c.template.Variables[name].Required {
					f.add("variables/"+name, "is missing")
				}
				m.Filled[name] = ""
				continue
			}
		}
		declared := c.template.Variables[name]
		if _, isNumber := numberOf(value); isNumber && c.free {
			declared.Type = Number
		}
		written, detail := declared.format(value, to)
		if detail != "" {
			f.add("variables/"+name, detail)
			continue
		}
		m.Filled[name] = written
	}
	c.checkUnused(&f, v, variables, to)
	if len(f) > 0 {
		return Message{}, f
	}
	rendered, err := v.body.Fill(m.Filled)
	if err != nil {
		return Message{}, fillFaults(channel, err)
	}
	if f := checkRendered(channel, rendered); len(f) > 0 {
		return Message{}, f
	}
	m.Rendered = rendered
	return m, nil
}

// refuseUnknown names variables that the template does not declare: mostly misspelt ones.
func (c *Compiled) refuseUnknown(f *faults, variables map[string]any) {
	var unknown []string
	for name := range variables {
		if _, declared := c.template.Variables[name]; !declared {
			unknown = append(unknown, name)
		}
	}
	slices.Sort(unknown)
	for i, name := range unknown {
		if i == bodies.MaxVariables {
			return
		}
		if !bodies.ValidName(name) {
			f.add("variables", "has a name that no variable can have")
			return
		}
		f.add("variables/"+name, "is not a variable of this text")
	}
}

// checkUnused looks at the values that this variant does not show, so that a request is right or wrong whatever
// its recipients' languages.
func (c *Compiled) checkUnused(f *faults, v compiledVariant, variables map[string]any, to *formats) {
	for _, name := range sortedNames(c.template.Variables) {
		declared := c.template.Variables[name]
		if slices.Contains(v.uses, name) {
			continue
		}
		value, given := variables[name]
		switch {
		case given && value != nil:
			if _, detail := declared.format(value, to); detail != "" {
				f.add("variables/"+name, detail)
			}
		case declared.Required:
			f.add("variables/"+name, "is missing")
		}
	}
}

// choose finds the variant for a reader.
func (c *Compiled) choose(channel events.Channel, locale string) (compiledVariant, bool) {
	for _, wanted := range []string{locale, languageOf(locale), c.template.DefaultLocale} {
		for _, v := range c.variants {
			if v.Channel == channel && wanted != "" && strings.EqualFold(v.Locale, wanted) {
				return v, true
			}
		}
	}
	return compiledVariant{}, false
}

// languageOf is the language of a locale: pt of pt-BR.
func languageOf(locale string) string {
	first, _, _ := strings.Cut(locale, "-")
	return first
}

// formatLocale is the reader's locale where the text is in its language, and the text's otherwise: a German date in
// an English sentence helps nobody.
func formatLocale(reader, text string) string {
	if reader != "" && strings.EqualFold(languageOf(reader), languageOf(text)) {
		if _, err := language.Parse(reader); err == nil {
			return reader
		}
	}
	return text
}

// maxFormats bounds what is kept of locales, which requests choose.
const maxFormats = 64

func (c *Compiled) formatsOf(locale string) *formats {
	c.mu.Lock()
	defer c.mu.Unlock()
	to, ok := c.formats[locale]
	if !ok {
		to = formatsFor(locale)
		if len(c.formats) < maxFormats {
			c.formats[locale] = to
		}
	}
	return to
}

func fillFaults(channel events.Channel, err error) []Fault {
	var variable *bodies.VariableError
	if errors.As(err, &variable) {
		return []Fault{{"variables/" + variable.Name, variable.Detail}}
	}
	var f faults
	var long bodies.Faults
	if !errors.As(err, &long) {
		return []Fault{{"variables", "cannot be filled into the text"}}
	}
	for _, x := range long {
		f.add(partName(channel, x.Part), x.Detail)
	}
	return f
}

// checkRendered names what is too long for a channel.
func checkRendered(channel events.Channel, body events.NotificationBody) []Fault {
	var f faults
	most := func(part string, n, limit int, unit string) {
		if n > limit {
			f.add(part, fmt.Sprintf("is %d %s long when it is filled, more than the %d that %s carries", n, unit, limit, channel))
		}
	}
	switch channel { //nolint:exhaustive // mails have the limits of bodies
	case events.SMS:
		most("text", gsm7.Segments(body.Text).Segments, MaxSegments, "parts")
	case events.Voice:
		most("text", utf8.RuneCountInString(body.Text), MaxSpoken, "characters")
	case events.Push:
		most("title", utf8.RuneCountInString(body.Subject), MaxPushTitle, "characters")
		most("text", jsonSize(body.Subject)+jsonSize(body.Text), MaxPush, "bytes of JSON")
	case events.Email:
		if strings.TrimSpace(body.Subject) == "" {
			f.add("subject", "is empty when it is filled")
		}
	}
	if strings.TrimSpace(body.Text) == "" { // of a mail too: its text part
		f.add("text", "is empty when it is filled")
	}
	return f
}

// jsonSize is how many bytes a text has within JSON: providers get <, > and & in six each.
func jsonSize(s string) int {
	written, err := json.Marshal(s)
	if err != nil {
		return len(s) // strings can be written
	}
	return len(written) - len(`""`)
}

// WithExamples is the variables, and for those that have no value their example: for previews.
func (c *Compiled) WithExamples(variables map[string]any) map[string]any {
	all := make(map[string]any, len(c.template.Variables))
	for name, v := range c.template.Variables {
		if v.Example == nil {
			continue
		}
		if value, err := decodeValue(v.Example); err == nil {
			all[name] = value
		}
	}
	for name, value := range variables {
		all[name] = value
	}
	return all
}

// Variables are the names that the text for a channel and locale uses.
func (c *Compiled) Variables(channel events.Channel, locale string) []string {
	v, _ := c.choose(channel, locale)
	return slices.Clone(v.uses)
}
