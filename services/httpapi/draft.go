package httpapi

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

// The codes of refused recipients.
const (
	codeInvalidRecipient = "invalid_recipient"
	codeSuppressed       = string(api.ProblemCodeSuppressed)
)

// draft is a request to notify people while it is read. Faults of the whole refuse the request; those of one
// recipient of a batch refuse that recipient.
type draft struct {
	s       *Server
	client  credential.Credential
	key     string
	body    []byte
	now     time.Time
	request api.CreateNotification
	f       faults
	people  []*person
	texts   wordings
	refused []notification.Refused
	// turn is given back while a store is asked.
	turn *turn
}

// person is one recipient while they are read.
type person struct {
	// field is the pointer of one of their fields.
	field     func(name string) string
	asked     api.CreateRecipient
	f         faults
	code      string // of their faults
	addressee notification.Addressee
}

func newDraft(s *Server, client credential.Credential, key string, body []byte) *draft {
	return &draft{s: s, client: client, key: key, body: body, now: s.config.Now().UTC().Truncate(time.Millisecond)}
}

// lane is the lane that is asked for, for the metrics.
func (d *draft) lane() string {
	if d.request.Lane == api.LaneTransactional {
		return notification.Transactional
	}
	return notification.Bulk
}

// read checks everything. It fails with a refusal where nobody is left to send to, or with what the stores fail
// with.
func (d *draft) read(ctx context.Context) (notification.Request, error) {
	var none notification.Request
	defer func() { d.turn.end() }()
	var err error
	if len(d.body) >= longBody {
		if d.turn, err = d.s.long.turn(ctx); err != nil {
			return none, err
		}
	}
	var all faults
	if d.request, all, err = decodeBody[api.CreateNotification](d.s.shapes, d.body, maxBatchFaults); err != nil {
		return none, err
	}
	if d.turn == nil && d.request.HTML != "" { // the styles of a mail can take long, however short it is
		if d.turn, err = d.s.long.turn(ctx); err != nil {
			return none, err
		}
	}
	d.gather(all)
	n := d.whole()
	if d.request.Recipients != nil && len(d.f) > 0 { // of a batch nobody is looked for in vain
		return none, invalid(d.f)
	}
	if err := d.resolveAll(ctx); err != nil {
		return none, err
	}
	d.texts = wordings{draft: d, bodies: map[notification.Body]int{}, own: map[events.Channel]*template.Compiled{}}
	if err := d.texts.open(ctx); err != nil {
		return none, err
	}
	for i, p := range d.people {
		d.finish(p)
		pause(i)
	}
	d.texts.check()
	d.turn.end()
	if err := d.withoutSuppressed(ctx); err != nil {
		return none, err
	}
	n.Template, n.TemplateVersion = d.request.Template, d.texts.version
	r := notification.Request{Notification: n, Bodies: d.texts.list, IdempotencyKey: d.key, RawBody: d.body}
	for _, p := range d.people {
		if len(p.f) == 0 {
			r.Addressees = append(r.Addressees, p.addressee)
			continue
		}
		d.refused = append(d.refused, notification.Refused{
			Index: p.addressee.Index, Code: p.code, Pointer: p.f[0].Pointer, Detail: p.f[0].Detail,
		})
	}
	r.Notification.Refused = d.refused
	return r, d.refusal(len(r.Addressees))
}

// refusal is why nothing of the request is sent; nil where something is.
func (d *draft) refusal(accepted int) error {
	f, suppressed := d.f, len(d.f) == 0
	for _, p := range d.people {
		suppressed = suppressed && p.code == codeSuppressed
		if accepted == 0 || len(d.f) > 0 {
			for _, x := range p.f {
				f.add(strings.TrimPrefix(x.Pointer, "#/"), x.Detail)
			}
		}
	}
	switch {
	case len(d.f) == 0 && accepted > 0:
		return nil
	case suppressed:
		return &refusal{code: api.ProblemCodeSuppressed, faults: f}
	default:
		return invalid(f)
	}
}

// gather makes the list of people, and gives each the faults of their own part of the body.
func (d *draft) gather(all faults) {
	r := d.request
	if r.Recipients == nil {
		d.f = all
		d.people = []*person{{
			field: func(name string) string { return name },
			asked: api.CreateRecipient{
				To: r.To, Channel: r.Channel, DeviceID: r.DeviceID, UserID: r.UserID, Locale: r.Locale, Variables: r.Variables,
			},
		}}
		return
	}
	for i, asked := range r.Recipients {
		d.people = append(d.people, &person{
			field: func(name string) string { return strings.TrimSuffix(fmt.Sprintf("recipients/%d/%s", i, name), "/") },
			asked: d.withDefaults(asked), addressee: notification.Addressee{Recipient: notification.Recipient{Index: i}},
		})
	}
	if len(d.people) == 0 {
		d.f.add("recipients", "must have at least one")
	}
	for _, x := range all {
		if p := d.of(x.Pointer); p != nil {
			p.f, p.code = append(p.f, x), codeInvalidRecipient
			continue
		}
		if len(d.f) < maxFaults {
			d.f = append(d.f, x)
		}
	}
	if len(all) >= maxBatchFaults { // there may be more, of recipients that would then be taken for good
		d.f.add("recipients", "have too many faults to tell who is meant")
	}
	for _, x := range []struct{ name, value string }{{"to", r.To}, {"device_id", r.DeviceID}, {"user_id", r.UserID}} {
		if x.value != "" {
			d.f.add(x.name, "must not be given together with recipients")
		}
	}
}

// withDefaults lets the fields at the top stand where a recipient is silent.
func (d *draft) withDefaults(asked api.CreateRecipient) api.CreateRecipient {
	if asked.Channel == "" {
		asked.Channel = d.request.Channel
	}
	if asked.Locale == "" {
		asked.Locale = d.request.Locale
	}
	if len(d.request.Variables) > 0 {
		merged := make(api.Variables, len(d.request.Variables)+len(asked.Variables))
		for name, v := range d.request.Variables {
			merged[name] = v
		}
		for name, v := range asked.Variables {
			merged[name] = v
		}
		asked.Variables = merged
	}
	return asked
}

// of finds whose field a pointer names; nil for one of the whole.
func (d *draft) of(pointer string) *person {
	rest, found := strings.CutPrefix(pointer, "#/recipients/")
	if !found {
		return nil
	}
	first, _, _ := strings.Cut(rest, "/")
	i, err := strconv.Atoi(first)
	if err != nil || i < 0 || i >= len(d.people) {
		return nil
	}
	return d.people[i]
}

// whole checks what all recipients share.
func (d *draft) whole() notification.Notification {
	r, f := d.request, &d.f
	n := notification.Notification{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: d.client.Account, Client: d.client.ClientID, Lane: d.lane(), Batch: r.Recipients != nil,
		Brand: r.Brand, Metadata: r.Metadata, CreatedAt: d.now, SendAt: d.now,
	}
	if d.key != "" {
		n.ID = d.s.config.Notifications.IDFor(d.client.ClientID, d.key)
	}
	if r.Lane != "" && !r.Lane.Valid() {
		f.add("lane", "must be bulk or transactional")
	}
	f.channel("channel", r.Channel)
	f.locale("locale", r.Locale)
	f.metadata("metadata", r.Metadata)
	f.sentText("brand", r.Brand, maxBrand)
	if strings.Contains(r.Brand, "{{") {
		f.add("brand", "must not hold {{")
	}
	if r.SendAt != "" {
		at, err := time.Parse(time.RFC3339, r.SendAt)
		switch {
		case err != nil:
			f.add("send_at", "must be a time such as 2026-11-22T08:00:00Z")
		case at.Before(d.now.Add(-sendAtSkew)):
			f.add("send_at", "must not be in the past")
		case at.After(d.now.Add(notification.MaxAhead)):
			f.add("send_at", "must be at most 30 days ahead")
		case at.After(d.now):
			n.SendAt = at.UTC()
		}
	}
	life := notification.DefaultLife(n.Lane)
	if r.ExpiresIn != nil {
		if life = time.Duration(*r.ExpiresIn) * time.Second; life < notification.MinLife || life > notification.MaxLife {
			f.add("expires_in", fmt.Sprintf("must be from %d to %d seconds", notification.MinLife/time.Second, notification.MaxLife/time.Second))
		}
	}
	n.ExpiresAt = n.SendAt.Add(life)
	d.wording()
	return n
}

// sendAtSkew is how far a client's clock may be behind ours.
const sendAtSkew = time.Minute

// finish gives a recipient who was found their text.
func (d *draft) finish(p *person) {
	if !p.found() || d.f.has("template") || d.f.has("text") {
		return
	}
	d.texts.compose(p)
	p.judge()
}

// found tells whether it is known where a recipient's message goes.
func (p *person) found() bool { return p.addressee.Channel != "" && p.addressee.To != "" }

// withoutSuppressed asks of all who would be sent something whether they may be.
func (d *draft) withoutSuppressed(ctx context.Context) error {
	if len(d.f) > 0 { // nothing is sent
		return nil
	}
	for i, p := range d.people {
		if !p.found() || len(p.f) > 0 {
			continue
		}
		if err := d.suppressed(ctx, p); err != nil {
			return err
		}
		pause(i)
	}
	return nil
}

func (d *draft) suppressed(ctx context.Context, p *person) error {
	if d.s.config.Listed == nil {
		return nil
	}
	a := p.addressee
	destination, err := d.s.config.Notifications.Destination(a.Channel, a.To)
	if err != nil {
		return fmt.Errorf("look for suppression: %w", err)
	}
	cause, suppressed, err := d.s.config.Listed.Suppressed(ctx, d.client.Account, d.client.ClientID, destination, laneOf(d.lane()))
	if err != nil {
		return fmt.Errorf("look for suppression: %w: %w", verification.ErrUnavailable, err)
	}
	if suppressed {
		p.code = codeSuppressed
		p.f.add(p.field(p.named()), "gets no messages ("+cause+"); remove it from the suppressions first")
	}
	return nil
}

// named is the field that names the recipient.
func (p *person) named() string {
	switch {
	case p.asked.DeviceID != "":
		return "device_id"
	case p.asked.UserID != "":
		return "user_id"
	default:
		return "to"
	}
}
