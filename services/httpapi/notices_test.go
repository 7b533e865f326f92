package httpapi_test

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

// notices keeps notifications in memory, in clear, and one part for each.
type notices struct {
	mu       sync.Mutex
	requests map[string]notification.Request
	facts    map[string]*notification.Facts
	created  int
	err      error
}

func newNotices() *notices {
	return &notices{requests: map[string]notification.Request{}, facts: map[string]*notification.Facts{}}
}

func (n *notices) IDFor(client, key string) string { return idFor("notification "+client, key) }

func (n *notices) Destination(channel, to string) (string, error) { return channel + ":" + to, nil }

func (n *notices) Repeated(_ context.Context, _, _, id string, body []byte) (notification.View, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.requests[id]
	switch {
	case !ok:
		return notification.View{}, verification.ErrNotFound
	case string(r.RawBody) != string(body):
		return notification.View{}, verification.ErrIdempotencyMismatch
	}
	return notification.Accepted(r.Notification, single(r)), nil
}

func (n *notices) Create(_ context.Context, r notification.Request) (notification.View, bool, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.err != nil {
		return notification.View{}, false, n.err
	}
	r.Notification.Parts = []notification.Part{{Channel: r.Addressees[0].Channel, Count: len(r.Addressees)}}
	n.requests[r.Notification.ID] = r
	n.facts[r.Notification.ID] = &notification.Facts{Count: len(r.Addressees), ExpiresAt: r.Notification.ExpiresAt}
	n.created++
	return notification.Accepted(r.Notification, single(r)), false, nil
}

func single(r notification.Request) *notification.Message {
	if r.Notification.Batch {
		return nil
	}
	m := message(r, 0)
	m.State = notification.Queued
	return &m
}

func message(r notification.Request, place int) notification.Message {
	return notification.Message{ID: events.MessageID(r.Notification.ID, 0, place), Recipient: r.Addressees[place].Recipient}
}

func (n *notices) Get(_ context.Context, id string) (notification.View, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r, ok := n.requests[id]
	if !ok {
		return notification.View{}, verification.ErrNotFound
	}
	return n.view(r), nil
}

func (n *notices) view(r notification.Request) notification.View {
	f := n.facts[r.Notification.ID]
	v := notification.View{Notification: r.Notification, Counts: notification.Counts{}, Message: single(r)}
	progress := f.Fold(r.Notification.CreatedAt)
	v.Counts.Add(progress)
	v.State = v.Counts.Whole(r.Notification.SendAt.After(r.Notification.CreatedAt))
	if v.Message != nil {
		v.Message.Progress = progress[0]
	}
	if wait, waits := f.Waits(); waits {
		v.Wait = &wait
	}
	return v
}

func (n *notices) Message(_ context.Context, messageID string) (notification.Message, notification.Notification, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	id, part, place, _ := events.ParseMessageID(messageID)
	r, ok := n.requests[id]
	if !ok || part != 0 || place >= len(r.Addressees) {
		return notification.Message{}, notification.Notification{}, verification.ErrNotFound
	}
	m := message(r, place)
	m.Progress = n.facts[id].Fold(r.Notification.CreatedAt)[place]
	return m, r.Notification, nil
}

func (n *notices) Messages(ctx context.Context, of notification.Notification, state notification.State, after string, limit int) ([]notification.Message, string, error) {
	var page []notification.Message
	for place := range of.Parts[0].Count {
		m, _, err := n.Message(ctx, events.MessageID(of.ID, 0, place))
		if err != nil {
			return nil, "", err
		}
		name := strings.TrimPrefix(m.ID, of.ID+"-")
		if after != "" && !strings.HasPrefix(after, "0-") {
			return nil, "", verification.ErrNotFound
		}
		if name <= after || state != "" && m.State != state {
			continue
		}
		if len(page) == limit {
			return page, strings.TrimPrefix(page[limit-1].ID, of.ID+"-"), nil
		}
		page = append(page, m)
	}
	return page, "", nil
}

func (n *notices) Deliveries(ctx context.Context, messageID string) ([]events.DeliverySettled, error) {
	m, of, err := n.Message(ctx, messageID)
	return []events.DeliverySettled{
		{Status: events.DeliveryRequested, Channel: events.Channel(m.Channel), Send: 1, At: of.CreatedAt},
		{Status: events.DeliveryBegun, Channel: events.Channel(m.Channel), Send: 1, Attempt: 1, Provider: "twilio", At: of.CreatedAt},
		{Status: events.DeliverySent, Channel: events.Channel(m.Channel), Send: 1, Attempt: 1, Provider: "twilio", ProviderID: "SM1", At: of.CreatedAt},
		{Status: events.DeliverySent, Channel: events.Channel(m.Channel), Send: 1, Attempt: 1, Provider: "twilio", ProviderID: "SM1", At: of.CreatedAt},
	}, err
}

func (n *notices) Cancel(_ context.Context, id string) (notification.View, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	r := n.requests[id]
	f := n.facts[id]
	places, _ := f.Withdrawable(r.Notification.CreatedAt)
	f.Log = append(f.Log, notification.Entry{Canceled: places, At: r.Notification.CreatedAt})
	if len(places) == 0 {
		return n.view(r), notification.ErrClosed
	}
	return n.view(r), nil
}

func (n *notices) CancelMessage(ctx context.Context, messageID string) (notification.Message, error) {
	before, of, err := n.Message(ctx, messageID)
	if err != nil || before.State != notification.Queued {
		return before, errors.Join(err, notification.ErrClosed)
	}
	_, _, place, _ := events.ParseMessageID(messageID)
	n.log(of.ID, notification.Entry{Canceled: []int{place}, At: of.CreatedAt})
	m, _, err := n.Message(ctx, messageID)
	return m, err
}

func (n *notices) log(id string, e notification.Entry) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.facts[id].Log = append(n.facts[id].Log, e)
}

func (n *notices) request(id string) notification.Request {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.requests[id]
}

// letterheads knows one template, parcel, of which a variable name is needed; version 2 is the newest.
type letterheads struct {
	noTemplates
	err error
}

func (l letterheads) Open(ctx context.Context, account, name string, version int) (*template.Compiled, error) {
	if l.err != nil {
		return nil, l.err
	}
	if account != shop || name != "parcel" || version > 2 {
		return nil, verification.ErrNotFound
	}
	t := template.Template{
		Name: name, Account: account, Version: cmp.Or(version, 2), DefaultLocale: "en",
		Variables: map[string]template.Variable{"name": {Type: template.String, Required: true, MaxLength: 2000}},
	}
	for _, channel := range []events.Channel{events.SMS, events.Email, events.Push} {
		for _, locale := range []string{"en", "de"} {
			body := events.NotificationBody{Text: locale + " {{name}}"}
			if channel != events.SMS {
				body.Subject = "Parcel"
			}
			t.Variants = append(t.Variants, template.Variant{Channel: channel, Locale: locale, Source: body})
		}
	}
	wrong, _, err := template.Prepare(&t, ctx.Err)
	if err != nil {
		return nil, err //nolint:wrapcheck // the server's own error, as of the real store
	}
	if len(wrong) > 0 {
		return nil, errors.New(wrong[0].Field + " " + wrong[0].Detail)
	}
	return template.Compile(t)
}

// stops is who gets no messages, by destination.
type stops map[string]string

func (s stops) Suppressed(_ context.Context, account, client, destination string, lane events.Lane) (string, bool, error) {
	if account != shop || client != shop || lane == "" {
		return "", false, errors.New("asked for somebody else")
	}
	cause, suppressed := s[destination]
	if cause == "broken" {
		return "", false, errors.New("secret detail")
	}
	return cause, suppressed, nil
}
