package stream

import (
	"context"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
)

// Seal seals the payload of a dead letter for its subject and consumer.
type Seal func(subject, consumer string, payload []byte) (events.Sealed, error)

// Sealing is the same publisher with a seal for its dead letters. One that has none, or whose seal
// fails, stores them without the payload: a letter that tells of it is better than none.
func (p *Publisher) Sealing(seal Seal) *Publisher {
	other := *p
	other.seal = seal
	return &other
}

// Counting is the same publisher, which tells of each dead letter that it stored.
func (p *Publisher) Counting(stored func(consumer, kind string)) *Publisher {
	other := *p
	other.stored = stored
	return &other
}

// Letter puts a message aside: the payload that its consumer met at its subject and sequence, sealed. It
// returns once the broker has it. The place is the letter's id, so a repetition is dropped.
func (p *Publisher) Letter(ctx context.Context, l events.DeadLetter, payload []byte) error {
	l.Version, l.Data, l.Sealed, l.Size = events.Version, nil, nil, len(payload)
	if l.At.IsZero() {
		l.At = time.Now().UTC()
	}
	if p.seal != nil {
		if s, err := p.seal(l.Subject, l.Consumer, payload); err == nil {
			l.Sealed = &s
		}
	}
	data, err := events.Encode(l)
	if err != nil {
		return err
	}
	id := fmt.Sprintf("dead-%s-%d", l.Consumer, l.Sequence)
	if _, err := p.Put(ctx, events.DeadLetterSubject(l.Consumer), data, WithID(id)); err != nil {
		return fmt.Errorf("store dead letter: %w", err)
	}
	if p.stored != nil {
		p.stored(l.Consumer, l.Kind)
	}
	return nil
}

// What a letter may be found by has its form, and nothing else of an unknown payload is in clear.
var accountForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// name keeps what an undecodable payload may still tell of whose it is.
func name(l *events.DeadLetter, payload []byte) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(payload, &fields) != nil {
		return
	}
	text := func(field string) (s string) {
		if json.Unmarshal(fields[field], &s) != nil {
			return ""
		}
		return s
	}
	if id := text("id"); events.ValidID(id) {
		l.VerificationID = id
	}
	if account := text("credential"); accountForm.MatchString(account) {
		l.Credential = account
	}
	if c := events.Channel(text("channel")); c == events.TOTP || slices.Contains(events.Channels(), c) {
		l.Channel = c
	}
}
