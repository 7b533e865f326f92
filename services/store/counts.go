package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// Counts counts what happened in rolling windows whose limits their callers know, across all processes.
// It is safe for concurrent use.
type Counts struct {
	cfg    CountsConfig
	js     jetstream.JetStream
	pub    *stream.Publisher
	reader *stream.Reader
}

// CountsConfig is what counting takes.
type CountsConfig struct {
	Keys *keyring.Keyring
	Now  func() time.Time
}

// NewCounts opens the counts. The streams must exist.
func NewCounts(ctx context.Context, js jetstream.JetStream, cfg CountsConfig) (*Counts, error) {
	reader, err := stream.NewReader(ctx, js, stream.Counts)
	if err != nil {
		return nil, err
	}
	return &Counts{cfg, js, stream.NewPublisher(js), reader}, nil
}

// addTries bounds how often one is counted anew because another came between. Each time somebody was
// counted, so it holds for as many at once as a window has room for.
const addTries = 2 * stream.MaxCount

// Add counts one more, which leaves after window, unless limit stand already: then it fails with a
// *verification.LimitError and counts nothing. A limit of zero is none. It returns how many stand, at
// most stream.MaxCount.
func (c *Counts) Add(ctx context.Context, kind, key string, limit int, window time.Duration) (int, error) {
	if window <= 0 {
		return 0, errors.New("count: the window is over before it begins")
	}
	subject, err := c.subject(kind, key)
	if err != nil {
		return 0, err
	}
	entry, err := events.Encode(events.WindowEntry{Version: events.Version, ID: uuid.NewString(), At: c.cfg.Now().UTC()})
	if err != nil {
		return 0, err
	}
	for range addTries {
		stand, err := c.reader.All(ctx, subject)
		if err != nil {
			return 0, unavailable(err)
		}
		if limit > 0 && len(stand) >= min(limit, stream.MaxCount) {
			return len(stand), c.limited(kind, limit, window, stand[0])
		}
		var last uint64
		if len(stand) > 0 {
			last = stand[len(stand)-1].Sequence
		}
		_, err = c.pub.Put(ctx, subject, entry, stream.Expecting(last), stream.WithTTL(window))
		switch {
		case err == nil:
			return len(stand) + 1, nil
		case errors.Is(err, stream.ErrFull):
			return stream.MaxCount, nil // more make no difference
		case !errors.Is(err, stream.ErrConflict):
			return 0, unavailable(err)
		}
	}
	return 0, verification.ErrUnavailable
}

// limited says when the oldest leaves the window.
func (c *Counts) limited(kind string, limit int, window time.Duration, oldest stream.Record) error {
	after := oldest.StoredAt.Add(window).Sub(c.cfg.Now())
	return &verification.LimitError{Policy: kind, Quota: limit, Window: window, RetryAfter: max(time.Second, min(after, window))}
}

// Count is how many stand.
func (c *Counts) Count(ctx context.Context, kind, key string) (int, error) {
	subject, err := c.subject(kind, key)
	if err != nil {
		return 0, err
	}
	stand, err := c.reader.All(ctx, subject)
	if err != nil {
		return 0, unavailable(err)
	}
	return len(stand), nil
}

// Reset forgets them.
func (c *Counts) Reset(ctx context.Context, kind, key string) error {
	subject, err := c.subject(kind, key)
	if err != nil {
		return err
	}
	if err := stream.Purge(ctx, c.js, stream.Counts, subject); err != nil {
		return unavailable(err)
	}
	return nil
}

// subject is where the count of a kind and key stands. It tells nobody whose it is.
func (c *Counts) subject(kind, key string) (string, error) {
	if !kindForm.MatchString(kind) {
		return "", fmt.Errorf("count: %q is no kind", kind)
	}
	sum, err := c.cfg.Keys.Sum(c.cfg.Keys.CurrentID(), keyring.Tickets, "count", kind, key)
	if err != nil {
		return "", fmt.Errorf("hash count: %w", err)
	}
	return events.CountSubject(kind, fmt.Sprintf("%x", sum[:16])), nil
}
