package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// Tickets keeps short-lived things that are named by a secret or must happen once: login sessions,
// activation codes, temporary codes. Whoever reads the bucket learns neither names nor contents.
// It is safe for concurrent use.
//
// Keys are <kind>.<keyed hash of kind and name>.
type Tickets struct {
	cfg   TicketsConfig
	table *table
}

// TicketsConfig is what keeping tickets takes.
type TicketsConfig struct {
	Keys     *keyring.Keyring
	Replicas int
	Now      func() time.Time
}

const ticketsBucket = "ASSENT_TICKETS"

// NewTickets opens the bucket, and makes it where it is missing.
func NewTickets(ctx context.Context, js jetstream.JetStream, cfg TicketsConfig) (*Tickets, error) {
	t, err := openTable(ctx, js, ticketsBucket, cfg.Replicas)
	if err != nil {
		return nil, err
	}
	return &Tickets{cfg, t}, nil
}

// ticket is what is sealed. The broker drops it a little late, so it says itself when it has ended.
type ticket struct {
	Version   int       `json:"version"`
	ExpiresAt time.Time `json:"expires_at"`
	Content   []byte    `json:"content"`
}

// Issue stores content under a kind and name for a time, in place of what stood there.
func (t *Tickets) Issue(ctx context.Context, kind, name string, content []byte, life time.Duration) error {
	if life <= 0 {
		return errors.New("issue ticket: its life is over before it begins")
	}
	keys, err := t.keys(kind, name)
	if err != nil {
		return err
	}
	b, err := t.seal(keys[0], content, life)
	if err != nil {
		return err
	}
	// One of an earlier key would be found again once this one is used.
	if err := t.drop(ctx, keys[1:]); err != nil {
		return err
	}
	return t.table.put(ctx, keys[0], b, life)
}

// seal is what is stored of a ticket.
func (t *Tickets) seal(key string, content []byte, life time.Duration) ([]byte, error) {
	b, err := json.Marshal(ticket{events.Version, t.cfg.Now().Add(life).UTC(), content})
	if err != nil {
		return nil, fmt.Errorf("encode ticket: %w", err)
	}
	sealed, err := t.cfg.Keys.Seal(keyring.Tickets, key, b)
	if err != nil {
		return nil, fmt.Errorf("seal ticket: %w", err)
	}
	if b, err = json.Marshal(sealed); err != nil {
		return nil, fmt.Errorf("encode ticket: %w", err)
	}
	return b, nil
}

// changeTries bounds how often a lost compare-and-set is tried again. Each time somebody else's change was stored.
const changeTries = 100

// Change stores what change makes of a ticket's content; the ticket ends when it would have. change may be called again where
// somebody else was faster; where it fails nothing is stored, and its error comes back. Without a ticket it is
// verification.ErrNotFound.
func (t *Tickets) Change(ctx context.Context, kind, name string, change func(content []byte) ([]byte, error)) error {
	keys, err := t.keys(kind, name)
	if err != nil {
		return err
	}
	for range changeTries {
		if err := t.change(ctx, keys, change); !errors.Is(err, stream.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: lost %d compare-and-sets", verification.ErrUnavailable, changeTries)
}

// change fails with stream.ErrConflict where the ticket was changed meanwhile.
func (t *Tickets) change(ctx context.Context, keys []string, change func(content []byte) ([]byte, error)) error {
	for i, key := range keys {
		b, revision, err := t.table.latest(ctx, key)
		if errors.Is(err, verification.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		k, err := t.unseal(key, b)
		if err != nil {
			return err
		}
		content, err := change(k.Content)
		if err != nil {
			return err
		}
		life := k.ExpiresAt.Sub(t.cfg.Now())
		if b, err = t.seal(keys[0], content, life); err != nil {
			return err
		}
		if i == 0 {
			_, err = t.table.update(ctx, key, b, revision, life)
			return err
		}
		if _, err = t.table.create(ctx, keys[0], b, life); err != nil { // one of an earlier key moves to the present one
			return err
		}
		return t.drop(ctx, keys[1:])
	}
	return verification.ErrNotFound
}

// Once takes a kind and name for a time: of all who take it, in all processes, one is the first, and the
// others come too late. After verification.ErrUnavailable it may be taken.
func (t *Tickets) Once(ctx context.Context, kind, name string, life time.Duration) (first bool, err error) {
	if life <= 0 {
		return false, errors.New("take ticket: its life is over before it begins")
	}
	keys, err := t.keys(kind, name)
	if err != nil {
		return false, err
	}
	for _, key := range keys[1:] { // taken before the present key was
		b, _, err := t.table.latest(ctx, key)
		if err == nil {
			_, err = t.open(key, b)
		}
		if !errors.Is(err, verification.ErrNotFound) {
			return false, err
		}
	}
	return t.take(ctx, keys[0], life)
}

func (t *Tickets) take(ctx context.Context, key string, life time.Duration) (first bool, err error) {
	b, err := t.seal(key, nil, life)
	if err != nil {
		return false, err
	}
	_, err = t.table.create(ctx, key, b, life)
	if !errors.Is(err, stream.ErrConflict) {
		return err == nil, err
	}
	stands, revision, err := t.table.latest(ctx, key)
	if errors.Is(err, verification.ErrNotFound) { // it has ended since, and whoever comes next is the first
		return false, nil
	}
	if err != nil {
		return false, err
	}
	if _, err = t.open(key, stands); !errors.Is(err, verification.ErrNotFound) {
		return false, err
	}
	// It has ended, and the broker has not dropped it yet.
	_, err = t.table.update(ctx, key, b, revision, life)
	if errors.Is(err, stream.ErrConflict) {
		return false, nil
	}
	return err == nil, err
}

// Look reads a ticket; verification.ErrNotFound without one.
func (t *Tickets) Look(ctx context.Context, kind, name string) ([]byte, error) {
	content, _, _, err := t.read(ctx, kind, name, t.table.get)
	return content, err
}

// Use reads a ticket and removes it: of all who use one name, in all processes, one succeeds, and the
// others fail with verification.ErrNotFound. After verification.ErrUnavailable it may be used up.
func (t *Tickets) Use(ctx context.Context, kind, name string) ([]byte, error) {
	content, key, revision, err := t.read(ctx, kind, name, t.table.latest)
	if err != nil {
		return nil, err
	}
	err = t.table.removeRevision(ctx, key, revision)
	if errors.Is(err, stream.ErrConflict) {
		return nil, verification.ErrNotFound
	}
	if err != nil {
		return nil, err
	}
	return content, nil
}

// Revoke removes a ticket; nothing to remove is no error.
func (t *Tickets) Revoke(ctx context.Context, kind, name string) error {
	keys, err := t.keys(kind, name)
	if err != nil {
		return err
	}
	return t.drop(ctx, keys)
}

// drop removes what stands under the keys. It looks first: a removal leaves a mark, also of nothing.
func (t *Tickets) drop(ctx context.Context, keys []string) error {
	for _, key := range keys {
		_, _, err := t.table.latest(ctx, key)
		if errors.Is(err, verification.ErrNotFound) {
			continue
		}
		if err != nil {
			return err
		}
		if err := t.table.remove(ctx, key); err != nil {
			return err
		}
	}
	return nil
}

// reading is table.get or table.latest.
type reading func(ctx context.Context, key string) (value []byte, revision uint64, err error)

func (t *Tickets) read(ctx context.Context, kind, name string, get reading) (content []byte, key string, revision uint64, err error) {
	keys, err := t.keys(kind, name)
	if err != nil {
		return nil, "", 0, err
	}
	for _, key := range keys {
		b, revision, err := get(ctx, key)
		if errors.Is(err, verification.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, "", 0, err
		}
		content, err := t.open(key, b)
		return content, key, revision, err
	}
	return nil, "", 0, verification.ErrNotFound
}

func (t *Tickets) open(key string, b []byte) ([]byte, error) {
	k, err := t.unseal(key, b)
	return k.Content, err
}

func (t *Tickets) unseal(key string, b []byte) (ticket, error) {
	var sealed events.Sealed
	if err := json.Unmarshal(b, &sealed); err != nil {
		return ticket{}, fmt.Errorf("decode ticket: %w", err)
	}
	b, err := t.cfg.Keys.Open(keyring.Tickets, key, sealed)
	if err != nil {
		return ticket{}, fmt.Errorf("open ticket: %w", err)
	}
	var k ticket
	if err := json.Unmarshal(b, &k); err != nil {
		return ticket{}, fmt.Errorf("decode ticket: %w", err)
	}
	if !t.cfg.Now().Before(k.ExpiresAt) {
		return ticket{}, verification.ErrNotFound
	}
	return k, nil
}

// keys are where a ticket may stand: one for each key of the keyring, the current one's first.
func (t *Tickets) keys(kind, name string) ([]string, error) {
	if !kindForm.MatchString(kind) {
		return nil, fmt.Errorf("ticket: %q is no kind", kind)
	}
	ids := t.cfg.Keys.IDs()
	keys := make([]string, 0, len(ids))
	for _, id := range ids {
		sum, err := t.cfg.Keys.Sum(id, keyring.Tickets, "ticket", kind, name)
		if err != nil {
			return nil, fmt.Errorf("hash ticket: %w", err)
		}
		keys = append(keys, fmt.Sprintf("%s.%x", kind, sum))
	}
	return keys, nil
}
