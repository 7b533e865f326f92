package store

import (
	"context"
	"errors"
	"fmt"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/letter"
	"github.com/assent-io/assent/services/verification"
)

// LettersConfig is what keeping dead letters takes.
type LettersConfig struct {
	// Verifications are those that letters are about; the root key in their keyring opens letters.
	Verifications *Verifications
	// Operator is the account that sees the letters of which nobody knows whose they are.
	Operator string
}

// Letters lists, replays and drops dead letters. An account sees its own; the others are not found. It is
// safe for concurrent use.
type Letters struct {
	cfg       LettersConfig
	js        jetstream.JetStream
	letters   *stream.Reader
	responses *stream.Reader
	parts     *stream.Reader
}

// NewLetters opens the stream of dead letters, which must exist.
func NewLetters(ctx context.Context, js jetstream.JetStream, cfg LettersConfig) (*Letters, error) {
	l := &Letters{cfg: cfg, js: js}
	var err error
	if l.letters, err = stream.NewReader(ctx, js, stream.DeadLetters); err != nil {
		return nil, err
	}
	if l.responses, err = stream.NewReader(ctx, js, stream.Responses); err != nil {
		return nil, err
	}
	l.parts, err = stream.NewReader(ctx, js, stream.Notifications)
	return l, err
}

const (
	// window is how many letters are read at once. One is up to 90 KB, that of a notification's part up to 1 MB.
	window = 25
	// maxWindows bounds what one list looks through for the few that it is asked for.
	maxWindows = 200
)

// Letters finds the account's letters, newest first: what can still be replayed is never older than a
// verification's life. A page may hold fewer than the limit, even none, and yet have a next, which is the
// Before of the page that follows; zero: there is none.
func (l *Letters) Letters(ctx context.Context, account string, filter letter.Filter) (page []letter.Letter, next uint64, err error) {
	list := newest{l.js, l.letters, stream.DeadLetters, window, maxWindows}
	next, err = list.page(ctx, filter.Before, filter.Limit, func(r stream.Record) (bool, error) {
		// One that this program cannot read is one of a later version. It waits for that.
		d, err := events.Decode[events.DeadLetter](r.Data)
		if err != nil || !l.visible(account, d) || !fits(filter, d) {
			return false, nil //nolint:nilerr // as is said above
		}
		f, err := l.look(ctx, r, d)
		if err == nil {
			page = append(page, f.letter)
		}
		return err == nil, err
	})
	if err != nil {
		return nil, 0, err
	}
	return page, next, nil
}

func (l *Letters) visible(account string, d events.DeadLetter) bool {
	if d.Credential == "" {
		return account == l.cfg.Operator
	}
	return account == d.Credential
}

func fits(f letter.Filter, d events.DeadLetter) bool {
	return (f.Kind == "" || f.Kind == kindOf(d)) && (f.Reason == "" || f.Reason == d.Reason) && (f.Channel == "" || f.Channel == string(d.Channel))
}

// kindOf is the kind of a letter. Those of before there were kinds are undecodable.
func kindOf(d events.DeadLetter) letter.Kind {
	if d.Kind == "" {
		return letter.Undecodable
	}
	return letter.Kind(d.Kind)
}

// Letter reads one; verification.ErrNotFound without it.
func (l *Letters) Letter(ctx context.Context, account string, id uint64) (letter.Letter, error) {
	f, err := l.find(ctx, account, id)
	return f.letter, err
}

// DropLetter removes one; verification.ErrNotFound without it.
func (l *Letters) DropLetter(ctx context.Context, account string, id uint64) error {
	d, _, err := l.read(ctx, account, id)
	if err != nil {
		return err
	}
	removed, err := stream.Remove(ctx, l.js, stream.DeadLetters, id)
	if err != nil {
		return unavailable(err)
	}
	if !removed {
		return fmt.Errorf("letter of consumer %s: %w", d.Consumer, verification.ErrNotFound)
	}
	return nil
}

// ReplayLetter publishes what the letter keeps once more, removes the letter, and returns the verification, or
// the notification, that it is about. A message to a person goes out as the next send in the place of the one that was not
// delivered; it counts towards the limits like any other. A part of a notification goes on where its log ends. Of all who replay one letter, in all processes, one
// succeeds. It fails with verification.ErrNotFound, *letter.RefusedError, *verification.LimitError, or
// ErrUnavailable.
func (l *Letters) ReplayLetter(ctx context.Context, account string, id uint64) (verificationID string, err error) {
	for range resolveTries {
		f, err := l.find(ctx, account, id)
		if err != nil {
			return "", err
		}
		if f.letter.Obstacle != "" {
			return "", &letter.RefusedError{Obstacle: f.letter.Obstacle}
		}
		err = l.publish(ctx, f)
		if errors.Is(err, stream.ErrConflict) {
			continue // somebody was faster: the next look says how it stands
		}
		if err != nil {
			return "", err
		}
		removed, err := stream.Remove(ctx, l.js, stream.DeadLetters, id)
		// An activation or a part was published under compare-and-set, so this was the one. Of other events the
		// broker has dropped all but the first, and whoever removes the letter has replayed it. A letter that
		// cannot be removed now is replayed all the same, and in the worst case can be again, which changes nothing.
		if f.activation == nil && f.part == nil && err == nil && !removed {
			return "", verification.ErrNotFound
		}
		return f.letter.VerificationID, nil
	}
	return "", fmt.Errorf("%w: lost %d compare-and-sets", verification.ErrUnavailable, resolveTries)
}

func (l *Letters) publish(ctx context.Context, f opened) error {
	if f.activation != nil {
		_, err := l.cfg.Verifications.sendAgain(ctx, *f.activation, f.sequence, asked{})
		return err
	}
	var options []stream.Option
	if f.part != nil { // in its own place, from where its worker takes it and its log goes on
		options = append(options, stream.Expecting(f.sequence))
	} else {
		options = append(options, stream.WithID(fmt.Sprintf("replay-%d", f.letter.ID)))
	}
	if f.life > 0 {
		options = append(options, stream.WithTTL(f.life))
	}
	_, err := l.cfg.Verifications.pub.Put(ctx, f.subject, f.payload, options...)
	if err != nil && !errors.Is(err, stream.ErrConflict) {
		return unavailable(err)
	}
	return err
}

// find reads a letter and looks into it.
func (l *Letters) find(ctx context.Context, account string, id uint64) (opened, error) {
	d, rec, err := l.read(ctx, account, id)
	if err != nil {
		return opened{}, err
	}
	return l.look(ctx, rec, d)
}

// read is a letter of the account as it is stored.
func (l *Letters) read(ctx context.Context, account string, id uint64) (events.DeadLetter, stream.Record, error) {
	rec, err := l.letters.At(ctx, id)
	if errors.Is(err, stream.ErrAbsent) {
		return events.DeadLetter{}, rec, verification.ErrNotFound
	}
	if err != nil {
		return events.DeadLetter{}, rec, unavailable(err)
	}
	d, err := events.Decode[events.DeadLetter](rec.Data)
	if err != nil || !l.visible(account, d) {
		return events.DeadLetter{}, rec, verification.ErrNotFound
	}
	return d, rec, nil
}
