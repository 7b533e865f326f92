package httpapi

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/plaintext"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

// The limits of messages: characters, but bytes where it is said. Those of mails, with base64 around them, fit
// into one part; that of pushes leaves room for what else providers want in 4 KB.
const (
	maxSubject       = 255
	maxTitle         = 100
	maxTemplateName  = 64
	maxTextBytes     = 100 << 10
	maxHTMLBytes     = 100 << 10
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
	draft    *draft
	list     []notification.Body
	bodies   map[notification.Body]int
	template *template.Compiled                    // nil: not opened yet, or the request has a text of its own
	own      map[events.Channel]*template.Compiled // the request's own text by channel; nil: it has faults
	version  int                                   // of the template
	// used are the channels of those who were found.
	used []string
}

// compose gives a recipient their body and what is filled in, and checks what comes of it.
func (t *wordings) compose(ctx context.Context, p *person) error {
	a := &p.addressee
	if !slices.Contains(t.used, a.Channel) {
		t.used = append(t.used, a.Channel)
	}
	text, err := t.text(ctx, events.Channel(a.Channel))
	if err != nil || text == nil {
		return err
	}
	m, wrong := text.Compose(events.Channel(a.Channel), a.Locale, p.asked.Variables)
	for _, x := range wrong {
		t.fault(p, len(m.Filled) > 0 || len(p.asked.Variables) > 0, x)
	}
	if len(wrong) > 0 {
		return nil
	}
	body := notification.Body(m.Body)
	place, known := t.bodies[body]
	if !known {
		place = len(t.list)
		t.bodies[body], t.list = place, append(t.list, body)
	}
	a.Body, a.Variables = place, m.Filled
	return nil
}

// fault is one of a message: of a variable, of a text that the request's recipients share, or of a text that the
// variables of one make too long.
func (t *wordings) fault(p *person, filled bool, x template.Fault) {
	switch {
	case x.Field == "channel":
		p.f.add(p.field(p.named()), "cannot get this template: it has no text for "+p.addressee.Channel)
	case strings.HasPrefix(x.Field, "variables"):
		p.f.add(p.field(x.Field), x.Detail)
	case filled:
		p.f.add(p.field("variables"), "make a message whose "+x.Field+" "+x.Detail)
	case t.draft.request.Template != "":
		p.f.add(p.field(p.named()), "cannot get this template: its "+x.Field+" "+x.Detail)
	default:
		t.draft.f.add(x.Field, x.Detail)
	}
}

// text is what a recipient on a channel gets, ready to be composed; nil where that is a fault of the request.
func (t *wordings) text(ctx context.Context, channel events.Channel) (*template.Compiled, error) {
	if t.draft.request.Template != "" {
		return t.open(ctx)
	}
	text, known := t.own[channel]
	if known {
		return text, nil
	}
	end, err := t.turn(ctx, channel)
	if err != nil {
		return nil, err
	}
	defer end()
	text, wrong := template.Own(channel, t.draft.request.Locale, t.body(channel))
	for _, x := range wrong {
		t.draft.f.add(x.Field, x.Detail)
	}
	t.own[channel] = text
	return text, nil
}

// long tells whether the body is so long that all of it is read in one turn.
func (d *draft) long() bool { return len(d.body) >= longBody }

// turn waits until a mail's HTML may be read: that can take long, however short it is. Who reads a long body has
// their turn already.
func (t *wordings) turn(ctx context.Context, channel events.Channel) (end func(), err error) {
	if channel != events.Email || t.draft.request.HTML == "" || t.draft.long() {
		return func() {}, nil
	}
	return t.draft.s.long.turn(ctx)
}

// open reads the template once: all get the version that the first got.
func (t *wordings) open(ctx context.Context) (*template.Compiled, error) {
	if t.template != nil || t.draft.f.has("template") || t.draft.f.has("template_version") {
		return t.template, nil
	}
	wanted := 0
	if v := t.draft.request.TemplateVersion; v != nil {
		wanted = *v
	}
	opened, err := t.draft.s.config.Templates.Open(ctx, t.draft.client.Account, t.draft.request.Template, wanted)
	switch {
	case errors.Is(err, verification.ErrNotFound) && wanted != 0:
		t.draft.f.add("template_version", "is not a version of a template of this account")
	case errors.Is(err, verification.ErrNotFound):
		t.draft.f.add("template", "is not a template of this account")
	case err != nil:
		return nil, fmt.Errorf("open template: %w", err)
	default:
		t.template, t.version = opened, opened.Version()
	}
	return t.template, nil
}

// body is the request's own text as a channel carries it.
func (t *wordings) body(channel events.Channel) events.NotificationBody {
	r := t.draft.request
	switch channel {
	case events.Email:
		return events.NotificationBody{Subject: cmp.Or(r.Subject, r.Brand, subjectless), Text: r.Text, HTML: r.HTML}
	case events.Push:
		return events.NotificationBody{Subject: cmp.Or(r.Title, r.Brand), Text: r.Text}
	default:
		return events.NotificationBody{Text: r.Text}
	}
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
