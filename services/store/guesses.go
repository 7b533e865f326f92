package store

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// Guesses counts wrong answers to what is no verification: passwords, temporary codes, authenticators.
// The broker refuses what is too many, so it holds across all processes. It is safe for concurrent use.
type Guesses struct {
	cfg    GuessesConfig
	js     jetstream.JetStream
	pub    *stream.Publisher
	reader *stream.Reader
}

// GuessesConfig is what counting takes.
type GuessesConfig struct {
	Keys *keyring.Keyring
	Now  func() time.Time
}

// NewGuesses opens the counts. The streams must exist.
func NewGuesses(ctx context.Context, js jetstream.JetStream, cfg GuessesConfig) (*Guesses, error) {
	reader, err := stream.NewReader(ctx, js, stream.Guesses)
	if err != nil {
		return nil, err
	}
	return &Guesses{cfg, js, stream.NewPublisher(js), reader}, nil
}

// kindForm keeps what a caller names usable as one token of a subject.
var kindForm = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,31}$`)

// Guess counts one guess before it is looked at, so that guesses made at once count too. It fails with
// a *verification.LimitError. right gives the guess back; one that cannot be given back now leaves by
// itself with its window.
func (g *Guesses) Guess(ctx context.Context, kind, key string) (right func(context.Context), err error) {
	if !kindForm.MatchString(kind) {
		return nil, fmt.Errorf("count guess: %q is no kind", kind)
	}
	sum, err := g.cfg.Keys.Sum(g.cfg.Keys.CurrentID(), keyring.Tickets, "guess", kind, key)
	if err != nil {
		return nil, fmt.Errorf("hash guess: %w", err)
	}
	entry, err := events.Encode(events.WindowEntry{Version: events.Version, ID: uuid.NewString(), At: g.cfg.Now().UTC()})
	if err != nil {
		return nil, err
	}
	subject := events.GuessSubject(kind, fmt.Sprintf("%x", sum[:16]))
	sequence, err := g.pub.Put(ctx, subject, entry, stream.WithTTL(stream.GuessWindow))
	if errors.Is(err, stream.ErrFull) {
		return nil, g.limited(ctx, kind, subject)
	}
	if err != nil {
		return nil, unavailable(err)
	}
	return func(ctx context.Context) {
		_ = stream.Delete(context.WithoutCancel(ctx), g.js, stream.Guesses, sequence)
	}, nil
}

// limited says when the oldest guess leaves the window.
func (g *Guesses) limited(ctx context.Context, kind, subject string) error {
	e := &verification.LimitError{
		Policy: kind, Quota: stream.GuessQuota, Window: stream.GuessWindow, RetryAfter: stream.GuessWindow,
	}
	if guesses, err := g.reader.All(ctx, subject); err == nil && len(guesses) > 0 {
		e.RetryAfter = guesses[0].StoredAt.Add(stream.GuessWindow).Sub(g.cfg.Now())
	}
	e.RetryAfter = max(time.Second, e.RetryAfter)
	return e
}

// usedLife is longer than a one-time code matches: three time steps of half a minute, and what the
// clocks of two processes differ.
const usedLife = 3 * time.Minute

// useStep marks the one-time code of a device's time step as used; false when it was.
func (g *Guesses) useStep(ctx context.Context, deviceID string, step int64) (bool, error) {
	entry, err := events.Encode(events.WindowEntry{Version: events.Version, ID: deviceID, At: g.cfg.Now().UTC()})
	if err != nil {
		return false, err
	}
	_, err = g.pub.Put(ctx, events.UsedSubject(deviceID, step), entry, stream.Expecting(0), stream.WithTTL(usedLife))
	if errors.Is(err, stream.ErrConflict) {
		return false, nil
	}
	if err != nil {
		return false, unavailable(err)
	}
	return true, nil
}
