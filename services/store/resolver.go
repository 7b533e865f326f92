package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// Resolver reads verifications, applies facts to them, and takes the steps of their fallbacks. It needs
// no key, so the verifier, which needs no more than this, holds none. It is safe for concurrent use.
type Resolver struct {
	js           jetstream.JetStream
	pub          *stream.Publisher
	activations  *stream.Reader
	outcomes     *stream.Reader
	deliveries   *stream.Reader
	windows      *stream.Reader
	proofs       *stream.Reader
	prompts      *stream.Reader
	recent       *recent
	limits       Limits
	promptLimits PromptLimits
	now          func() time.Time
	list         SuppressionList      // may be nil
	kept         func(channel string) // may be nil
}

// Limits is how many sends one destination and one user may get in which time.
type Limits struct {
	SendQuota  int
	SendWindow time.Duration
}

// NewResolver opens the streams it reads, which must exist.
func NewResolver(ctx context.Context, js jetstream.JetStream, limits Limits, now func() time.Time) (*Resolver, error) {
	s := &Resolver{js: js, pub: stream.NewPublisher(js), recent: newRecent(), limits: limits, now: now}
	for _, r := range []struct {
		reader **stream.Reader
		stream string
	}{
		{&s.activations, stream.Activations},
		{&s.outcomes, stream.Outcomes},
		{&s.deliveries, stream.Deliveries},
		{&s.windows, stream.Windows},
		{&s.proofs, stream.Proofs},
		{&s.prompts, stream.Prompts},
	} {
		var err error
		if *r.reader, err = stream.NewReader(ctx, js, r.stream); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// activation reads the record that never changes but for the count of its sends; recent ones
// come from this process's memory.
func (s *Resolver) activation(ctx context.Context, id string) (events.VerificationActivated, error) {
	// What outlived its grace is gone from the broker, its outcome too: memory must not answer for it.
	if e, ok := s.recent.get(id); ok && s.now().Before(e.ExpiresAt.Add(events.Grace)) {
		return e, nil
	}
	e, _, err := s.freshActivation(ctx, id)
	if err == nil {
		s.recent.put(e)
	}
	return e, err
}

// freshActivation reads the record and its sequence from the broker.
func (s *Resolver) freshActivation(ctx context.Context, id string) (events.VerificationActivated, uint64, error) {
	if !events.ValidID(id) {
		return events.VerificationActivated{}, 0, verification.ErrNotFound
	}
	rec, err := s.activations.Last(ctx, events.ActivationByID(id))
	if errors.Is(err, stream.ErrAbsent) {
		return events.VerificationActivated{}, 0, verification.ErrNotFound
	}
	if err != nil {
		return events.VerificationActivated{}, 0, unavailable(err)
	}
	e, err := events.Decode[events.VerificationActivated](rec.Data)
	return e, rec.Sequence, err
}

// fresh is a verification as the broker has it now, with its record and that one's sequence.
func (s *Resolver) fresh(ctx context.Context, id string) (a events.VerificationActivated, sequence uint64, v verification.Verification, err error) {
	if a, sequence, err = s.freshActivation(ctx, id); err != nil {
		return a, sequence, v, err
	}
	rec, err := s.outcomes.Latest(ctx, events.OutcomeSubject(id))
	v, err = s.folded(a, rec, err)
	return a, sequence, v, err
}

// Get is a verification as it reads now; ErrNotFound when there is none, or no longer.
func (s *Resolver) Get(ctx context.Context, id string) (verification.Verification, error) {
	a, err := s.activation(ctx, id)
	if err != nil {
		return verification.Verification{}, err
	}
	rec, err := s.outcomes.Last(ctx, events.OutcomeSubject(id))
	return s.folded(a, rec, err)
}

// Asked is a verification as it was asked, without what became of it since: most are in memory. It fails as
// Get does.
func (s *Resolver) Asked(ctx context.Context, id string) (verification.Verification, error) {
	a, err := s.activation(ctx, id)
	if err != nil {
		return verification.Verification{}, err
	}
	return fold(a, nil, 0), nil
}

// folded is the fold of an activation and what reading its outcome came to.
func (s *Resolver) folded(a events.VerificationActivated, rec stream.Record, err error) (verification.Verification, error) {
	if errors.Is(err, stream.ErrAbsent) {
		return fold(a, nil, 0).At(s.now()), nil
	}
	if err != nil {
		return verification.Verification{}, unavailable(err)
	}
	o, err := events.Decode[events.VerificationChanged](rec.Data)
	if err != nil {
		return verification.Verification{}, err
	}
	if events.EarlierLife(a.CreatedAt, o.ChangedAt) {
		// An id that comes from an idempotency key returns when its records have left, and the broker
		// drops two records of one life only to the second. This one's outcome is no answer to the next.
		return fold(a, nil, rec.Sequence).At(s.now()), nil
	}
	return fold(a, &o, rec.Sequence).At(s.now()), nil
}

// resolveTries bounds how often a lost compare-and-set is tried again. Each loss means that
// somebody else's change was stored, and a verification takes only a handful of changes.
const resolveTries = 16

// Resolve applies a fact under compare-and-set and returns the verification as it reads after.
// It fails with ErrNotFound, ErrClosed, ErrChallenge, or ErrUnavailable.
func (s *Resolver) Resolve(ctx context.Context, id string, f verification.Fact) (verification.Verification, error) {
	a, err := s.activationFor(ctx, id, f)
	if err != nil {
		return verification.Verification{}, err
	}
	// Most verifications are changed once. So the first try expects no outcome without asking;
	// where there is one, the broker refuses and the second try has read it.
	rec, err := stream.Record{}, stream.ErrAbsent
	for range resolveTries {
		before, err2 := s.folded(a, rec, err)
		if err2 != nil {
			return verification.Verification{}, err2
		}
		after, refused := verification.Apply(before, f, s.now())
		if refused != nil && rec.Sequence == 0 {
			// A refusal may rest on the guess; only what was read may refuse.
			if rec, err = s.outcomes.Latest(ctx, events.OutcomeSubject(id)); errors.Is(err, stream.ErrAbsent) {
				return after, refused
			}
			continue
		}
		if refused != nil || unchanged(before, after) {
			return after, refused
		}
		seq, err3 := s.putOutcome(ctx, after, before.Revision)
		if err3 == nil {
			after.Revision = seq
			s.stopLadder(ctx, after)
			return after, nil
		}
		if !errors.Is(err3, stream.ErrConflict) {
			return verification.Verification{}, unavailable(err3)
		}
		rec, err = s.outcomes.Latest(ctx, events.OutcomeSubject(id))
	}
	return verification.Verification{}, fmt.Errorf("%w: lost %d compare-and-sets", verification.ErrUnavailable, resolveTries)
}

// activationFor reads the half that does not change. Facts that speak of a send need its count as
// it stands now.
func (s *Resolver) activationFor(ctx context.Context, id string, f verification.Fact) (events.VerificationActivated, error) {
	if _, ok := f.(verification.Undelivered); ok {
		a, _, err := s.freshActivation(ctx, id)
		return a, err
	}
	return s.activation(ctx, id)
}

func unchanged(a, b verification.Verification) bool {
	return a.Status == b.Status && a.Reason == b.Reason && a.ChecksUsed == b.ChecksUsed
}

func (s *Resolver) putOutcome(ctx context.Context, v verification.Verification, revision uint64) (uint64, error) {
	data, err := events.Encode(outcomeOf(v))
	if err != nil {
		return 0, err
	}
	life := v.ExpiresAt.Sub(s.now()) + events.Grace
	return s.pub.Put(ctx, events.OutcomeSubject(v.ID), data, stream.Expecting(revision), stream.WithTTL(life))
}
