package httpapi

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/plaintext"
	"github.com/assent-io/assent/services/verification"
)

// The limits of messages: characters, but bytes where it is said. Those of mails, with base64 around them, fit
// into one part; that of pushes leaves room for what else providers want in 4 KB.
const (
	maxSubject       = 255
	maxTitle         = 100
	maxTemplateName  = 64
	maxSMS           = 1600
	maxSegments      = 10
	maxSpoken        = 1000
	maxPushBytes     = 3000
	maxTextBytes     = 100 << 10
	maxHTMLBytes     = 200 << 10
	maxVariables     = 64
	maxVariableName  = 64
	maxVariableValue = 2000
)

// subjectless is the subject of mails where neither subject nor brand is given.
const subjectless = "Notification"

// wording checks the texts of the request itself, as far as that does not depend on the recipient.
func (d *draft) wording() {
	r, f := d.request, &d.f
	switch {
	case r.Template != "" && (r.Text != "" || r.HTML != "" || r.Subject != "" || r.Title != ""):
		f.add("template", "must not be given together with text, subject, html or title")
	case r.Template != "" && d.s.config.Templates == nil:
		f.add("template", "cannot be used: this deployment has no templates")
	case r.Template == "" && r.Text == "":
		f.add("text", "is required, or template instead")
	}
	f.text("template", r.Template, maxTemplateName)
	if v := r.TemplateVersion; v != nil {
		if *v < 1 {
			f.add("template_version", "must be from 1")
		}
		if r.Template == "" {
			f.add("template_version", "needs a template")
		}
	}
	f.text("subject", r.Subject, maxSubject)
	f.text("title", r.Title, maxTitle)
	f.prose("text", r.Text, maxTextBytes)
	f.prose("html", r.HTML, maxHTMLBytes)
	f.variables(func(name string) string { return name }, r.Variables)
}

// prose checks a text of several lines.
func (f *faults) prose(field, s string, most int) {
	switch {
	case s == "":
		return
	case len(s) > most:
		f.add(field, fmt.Sprintf("must be at most %d bytes, not %d", most, len(s)))
		return
	case strings.TrimSpace(s) == "":
		f.add(field, "must not be blank")
	}
	for _, r := range s {
		switch {
		case !plaintext.Unshowable(r), r == '\n', r == '\r', r == '\t':
		case r == utf8.RuneError:
			f.add(field, "holds a character that is not valid Unicode")
		case r == '\u200e', r == '\u200f', r == '\u061c': // marks that languages written from the right need
		default:
			f.add(field, "must not hold control characters, or characters that change the direction of text")
		}
	}
}

func (f *faults) variables(field func(string) string, variables map[string]any) {
	if n := len(variables); n > maxVariables {
		f.add(field("variables"), fmt.Sprintf("must be at most %d, not %d", maxVariables, n))
		return
	}
	for _, name := range slices.Sorted(maps.Keys(variables)) {
		at := join(field("variables"), name)
		if n := utf8.RuneCountInString(name); name == "" || n > maxVariableName {
			f.add(at, fmt.Sprintf("must have a name of 1 to %d characters", maxVariableName))
			continue
		}
		value, ok := variables[name].(string)
		if n := utf8.RuneCountInString(value); ok && n > maxVariableValue {
			f.add(at, fmt.Sprintf("must be at most %d characters, not %d", maxVariableValue, n))
		} else if ok && strings.TrimSpace(value) != "" {
			f.prose(at, value, 4*maxVariableValue)
		}
	}
}

// wordings are the bodies of a notification, each once.
type wordings struct {
	draft   *draft
	list    []notification.Body
	bodies  map[notification.Body]int
	fillers []Filler
	version int // of the template
	// used are the channels of those who were found.
	used []string
}

// compose gives a recipient their body and what is filled in, and checks what comes of it.
func (t *wordings) compose(ctx context.Context, p *person) error {
	a := &p.addressee
	if !slices.Contains(t.used, a.Channel) {
		t.used = append(t.used, a.Channel)
	}
	body := t.own(a.Channel)
	a.Variables = plain(p.asked.Variables)
	if t.draft.request.Template != "" {
		composed, ok, err := t.template(ctx, p)
		if err != nil || !ok {
			return err
		}
		body = composed
	}
	place, known := t.bodies[body]
	if !known {
		filler, err := t.parse(events.NotificationBody(body))
		if err != nil {
			t.fault(p, "text", err.Error())
			return nil
		}
		place = len(t.list)
		t.bodies[body], t.list, t.fillers = place, append(t.list, body), append(t.fillers, filler)
	}
	a.Body = place
	filled, err := t.fillers[place].Fill(a.Variables)
	if err != nil {
		p.f.add(p.field("variables"), err.Error())
		return nil
	}
	if field, detail := t.overlong(a.Channel, filled); field != "" {
		if filled == events.NotificationBody(body) { // nothing was filled in
			t.fault(p, field, detail)
		} else {
			p.f.add(p.field("variables"), "make the "+field+" too long: it "+detail)
		}
	}
	return nil
}

// fault is one of a text that the request shares; a template's texts are told of at the recipient.
func (t *wordings) fault(p *person, field, detail string) {
	if t.draft.request.Template != "" {
		p.f.add(p.field(p.named()), "cannot get this template: its "+field+" "+detail)
		return
	}
	t.draft.f.add(field, detail)
}

func (t *wordings) parse(body events.NotificationBody) (Filler, error) {
	if t.draft.s.config.ParseBody != nil {
		return t.draft.s.config.ParseBody(body)
	}
	for _, s := range []string{body.Subject, body.Text, body.HTML} {
		if strings.Contains(s, "{{") || strings.Contains(s, "}}") {
			return nil, errors.New("must not hold {{ or }}: this deployment fills in no placeholders")
		}
	}
	return fixed(body), nil
}

// fixed is a body without placeholders.
type fixed events.NotificationBody

func (b fixed) Fill(variables map[string]string) (events.NotificationBody, error) {
	if len(variables) > 0 {
		return events.NotificationBody{}, errors.New("must not be given: this deployment fills in no placeholders")
	}
	return events.NotificationBody(b), nil
}

// own is the request's own text as a channel carries it.
func (t *wordings) own(channel string) notification.Body {
	r := t.draft.request
	switch events.Channel(channel) {
	case events.Email:
		return notification.Body{Subject: cmp.Or(r.Subject, r.Brand, subjectless), Text: r.Text, HTML: r.HTML}
	case events.Push:
		return notification.Body{Subject: cmp.Or(r.Title, r.Brand), Text: r.Text}
	default:
		return notification.Body{Text: r.Text}
	}
}

// template is the text of a template for a recipient; false where there is none, which is a fault of theirs or
// of the request.
func (t *wordings) template(ctx context.Context, p *person) (notification.Body, bool, error) {
	r, a := t.draft.request, &p.addressee
	wanted := t.version // all get the version that the first got
	if wanted == 0 && r.TemplateVersion != nil {
		wanted = *r.TemplateVersion
	}
	body, filled, version, wrong, err := t.draft.s.config.Templates.Compose(
		ctx, t.draft.client.Account, r.Template, wanted, events.Channel(a.Channel), a.Locale, p.asked.Variables)
	if errors.Is(err, verification.ErrNotFound) {
		if wanted != 0 {
			t.draft.f.add("template_version", "is not a version of this template")
		} else {
			t.draft.f.add("template", "is not a template of this account")
		}
		return notification.Body{}, false, nil
	}
	if err != nil {
		return notification.Body{}, false, fmt.Errorf("compose template: %w", err)
	}
	for _, x := range wrong {
		if x.Field == "" {
			p.f.add(p.field(p.named()), "cannot get this template: "+x.Detail)
		} else {
			p.f.add(join(p.field("variables"), x.Field), x.Detail)
		}
	}
	if len(wrong) > 0 {
		return notification.Body{}, false, nil
	}
	t.version, a.Variables = version, filled
	return notification.Body(body), true, nil
}

// overlong names the part of a message that its channel does not carry, and says why; empty where it is fine.
func (t *wordings) overlong(channel string, body events.NotificationBody) (field, detail string) {
	characters := utf8.RuneCountInString(body.Text)
	over := func(field string, n, most int, unit string) (string, string) {
		return field, fmt.Sprintf("must be at most %d %s for %s, not %d", most, unit, channel, n)
	}
	switch events.Channel(channel) {
	case events.SMS:
		if characters > maxSMS {
			return over("text", characters, maxSMS, "characters")
		}
		if count := t.draft.s.config.Segments; count != nil {
			if n := count(body.Text); n > maxSegments {
				return over("text", n, maxSegments, "segments")
			}
		}
	case events.Voice:
		if characters > maxSpoken {
			return over("text", characters, maxSpoken, "characters")
		}
	case events.Push:
		data, err := json.Marshal([]string{body.Subject, body.Text})
		if n := len(data); err != nil || n > maxPushBytes {
			return over("text", n, maxPushBytes, "bytes with the title")
		}
	case events.Email:
		if n := utf8.RuneCountInString(body.Subject); n > maxSubject {
			return over("subject", n, maxSubject, "characters")
		}
		if n := len(body.Text); n > maxTextBytes {
			return over("text", n, maxTextBytes, "bytes")
		}
		if n := len(body.HTML); n > maxHTMLBytes {
			return over("html", n, maxHTMLBytes, "bytes")
		}
	default:
	}
	return "", ""
}

// check finds parts of the text that no channel of the recipients carries.
func (t *wordings) check() {
	r := t.draft.request
	if len(t.used) == 0 {
		return
	}
	for _, x := range []struct {
		field, value string
		channel      events.Channel
	}{{"subject", r.Subject, events.Email}, {"html", r.HTML, events.Email}, {"title", r.Title, events.Push}} {
		if x.value != "" && !slices.Contains(t.used, string(x.channel)) {
			t.draft.f.add(x.field, "is for "+string(x.channel)+" only")
		}
	}
}

// plain is what a text of the request's own is filled with.
func plain(variables map[string]any) map[string]string {
	if len(variables) == 0 {
		return nil
	}
	filled := make(map[string]string, len(variables))
	for name, v := range variables {
		switch v := v.(type) {
		case string:
			filled[name] = v
		case float64:
			filled[name] = strconv.FormatFloat(v, 'f', -1, 64)
		case bool:
			filled[name] = strconv.FormatBool(v)
		}
	}
	return filled
}
