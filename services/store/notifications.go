package store

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/verification"
)

// NotificationsConfig is what keeping notifications takes.
type NotificationsConfig struct {
	Keys *keyring.Keyring
	Now  func() time.Time
}

// Notifications creates, reads and cancels notifications. It is safe for concurrent use, and keeps in
// memory what is being answered, and the logs that receipts were about last.
type Notifications struct {
	cfg      NotificationsConfig
	pub      *stream.Publisher
	parts    *stream.Reader
	progress *stream.Reader
	inFlight inFlight
	called   calledParts
}

// NewNotifications opens the store. The streams must exist.
func NewNotifications(ctx context.Context, js jetstream.JetStream, cfg NotificationsConfig) (*Notifications, error) {
	s := &Notifications{cfg: cfg, pub: stream.NewPublisher(js)}
	var err error
	if s.parts, err = stream.NewReader(ctx, js, stream.Notifications); err != nil {
		return nil, err
	}
	s.progress, err = stream.NewReader(ctx, js, stream.Progress)
	return s, err
}

// IDFor is the id that a request under an idempotency key gets. It is another one than that of a verification
// under the same key.
func (s *Notifications) IDFor(clientID, idempotencyKey string) string {
	sum, err := s.cfg.Keys.Sum(s.cfg.Keys.CurrentID(), keyring.Idempotency, "notification", clientID, idempotencyKey)
	if err != nil {
		return "" // a keyring without its root key: Create says so
	}
	return uuidOf(sum)
}

// Destination is what stands for an address where it is looked up.
func (s *Notifications) Destination(channel, to string) (string, error) {
	return destinationOf(s.cfg.Keys, sameTo(events.Channel(channel), to))
}

// Create makes the records of all recipients' messages and queues them, all or none. Under an idempotency key
// that was used before it returns the first answer again and true. It fails with notification.ErrTooLarge,
// verification.ErrIdempotencyMismatch, ErrIdempotencyInProgress, or ErrUnavailable; only where the broker's
// answer was lost, that leaves open whether it was queued.
func (s *Notifications) Create(ctx context.Context, r notification.Request) (notification.View, bool, error) {
	fingerprint, err := s.fingerprint(r.Notification.Credential, r.IdempotencyKey, r.RawBody)
	if err != nil {
		return notification.View{}, false, err
	}
	if r.IdempotencyKey == "" {
		v, err := s.publish(ctx, r, nil)
		return v, false, err
	}
	id := r.Notification.ID
	if !s.inFlight.begin(id) {
		return notification.View{}, false, verification.ErrIdempotencyInProgress
	}
	defer s.inFlight.end(id)
	v, err := s.replay(ctx, id, fingerprint)
	if !errors.Is(err, verification.ErrNotFound) {
		return v, err == nil, err
	}
	v, err = s.publish(ctx, r, fingerprint, stream.ExpectingNone(events.NotificationByID(id, 0)))
	if errors.Is(err, stream.ErrConflict) { // another process was first under this key: its answer counts
		v, err = s.replay(ctx, id, fingerprint)
		return v, err == nil, err
	}
	return v, false, err
}

// Repeated is the first answer to a request under an idempotency key; verification.ErrNotFound where there was
// none. It fails like Create.
func (s *Notifications) Repeated(ctx context.Context, account, idempotencyKey, id string, body []byte) (notification.View, error) {
	fingerprint, err := s.fingerprint(account, idempotencyKey, body)
	if err != nil {
		return notification.View{}, err
	}
	return s.replay(ctx, id, fingerprint)
}

func (s *Notifications) fingerprint(account, idempotencyKey string, body []byte) ([]byte, error) {
	if idempotencyKey == "" {
		return nil, nil
	}
	sum, err := s.cfg.Keys.Sum(s.cfg.Keys.CurrentID(), keyring.Idempotency, account, string(body))
	if err != nil {
		return nil, fmt.Errorf("hash request: %w", err)
	}
	return sum, nil
}

func (s *Notifications) replay(ctx context.Context, id string, fingerprint []byte) (notification.View, error) {
	first, err := s.part(ctx, id, 0)
	if err != nil {
		return notification.View{}, err
	}
	if subtle.ConstantTimeCompare(first.Fingerprint, fingerprint) != 1 {
		return notification.View{}, verification.ErrIdempotencyMismatch
	}
	return notification.Accepted(notificationOf(first), single(first)), nil
}

func (s *Notifications) publish(
	ctx context.Context, r notification.Request, fingerprint []byte, options ...stream.Option,
) (notification.View, error) {
	parts, err := s.divide(r, fingerprint)
	if err != nil {
		return notification.View{}, err
	}
	drafts := make([]stream.Draft, len(parts))
	for i, p := range parts {
		if drafts[i], err = s.draft(p); err != nil {
			return notification.View{}, err
		}
	}
	drafts[0].Options = append(drafts[0].Options, options...)
	if _, err := s.pub.PutAll(ctx, drafts); err != nil {
		if errors.Is(err, stream.ErrConflict) {
			return notification.View{}, err
		}
		return notification.View{}, unavailable(err)
	}
	return notification.Accepted(notificationOf(parts[0]), single(parts[0])), nil
}

// draft is a part as it is published: to its lane, or to where it waits for its time. Schedules and atomic
// batches go together.
func (s *Notifications) draft(p events.NotificationQueued) (stream.Draft, error) {
	data, err := events.Encode(p)
	if err != nil {
		return stream.Draft{}, err
	}
	if len(data) > maxPartSize {
		return stream.Draft{}, notification.ErrTooLarge
	}
	subject := events.NotificationSubject(p.Lane, p.Channel, p.ID, p.Part)
	if !p.SendAt.After(s.cfg.Now()) {
		life := p.ExpiresAt.Sub(s.cfg.Now()) + stream.NotificationGrace
		return stream.Draft{Subject: subject, Data: data, Options: []stream.Option{stream.WithTTL(life)}}, nil
	}
	life := p.ExpiresAt.Sub(p.SendAt) + stream.NotificationGrace
	return stream.Draft{
		Subject: events.LaterSubject(p.Channel, p.ID, p.Part), Data: data,
		Options: []stream.Option{stream.Scheduled(p.SendAt, subject, life)},
	}, nil
}

// part reads one part; verification.ErrNotFound where there is none, or no longer.
func (s *Notifications) part(ctx context.Context, id string, part int) (events.NotificationQueued, error) {
	if !events.ValidID(id) {
		return events.NotificationQueued{}, verification.ErrNotFound
	}
	rec, err := s.parts.Last(ctx, events.NotificationByID(id, part))
	if errors.Is(err, stream.ErrAbsent) {
		return events.NotificationQueued{}, verification.ErrNotFound
	}
	if err != nil {
		return events.NotificationQueued{}, unavailable(err)
	}
	return events.Decode[events.NotificationQueued](rec.Data)
}

// notificationOf is what part 0 says of the whole.
func notificationOf(first events.NotificationQueued) notification.Notification {
	n := notification.Notification{
		ID: first.ID, Credential: first.Credential, Lane: string(first.Lane), Batch: first.Batch,
		Template: first.Template, TemplateVersion: first.TemplateVersion, Brand: first.Brand, Metadata: first.Metadata,
		CreatedAt: first.CreatedAt, SendAt: first.SendAt, ExpiresAt: first.ExpiresAt,
	}
	for _, p := range first.Parts {
		n.Parts = append(n.Parts, notification.Part{Channel: string(p.Channel), Count: p.Count})
	}
	for _, r := range first.Refused {
		n.Refused = append(n.Refused, notification.Refused(r))
	}
	return n
}

// single is the message of a notification that is no batch, before anything happened to it.
func single(first events.NotificationQueued) *notification.Message {
	if first.Batch || len(first.Recipients) == 0 {
		return nil
	}
	m := messageOf(first, 0)
	m.Progress = notification.Progress{State: notification.Queued}
	return &m
}

func messageOf(p events.NotificationQueued, place int) notification.Message {
	r := p.Recipients[place]
	return notification.Message{
		ID: events.MessageID(p.ID, p.Part, place),
		Recipient: notification.Recipient{
			Index: r.Index, Channel: string(p.Channel), ToMasked: r.ToMasked, UserID: r.UserID, DeviceID: r.DeviceID, Locale: r.Locale,
		},
	}
}
