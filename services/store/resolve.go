package store

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// resolveTries bounds how often a lost compare-and-set is tried again. Each loss means that
// somebody else's change was stored, and a verification takes only a handful of changes.
const resolveTries = 16

// Resolve applies a fact under compare-and-set and returns the verification as it reads after.
// It fails with ErrNotFound, ErrClosed, ErrChallenge, or ErrUnavailable.
func (s *Verifications) Resolve(ctx context.Context, id string, f verification.Fact) (verification.Verification, error) {
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
		after, refused := verification.Apply(before, f, s.cfg.Now())
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
func (s *Verifications) activationFor(ctx context.Context, id string, f verification.Fact) (events.VerificationActivated, error) {
	if _, ok := f.(verification.Undelivered); ok {
		a, _, err := s.freshActivation(ctx, id)
		return a, err
	}
	return s.activation(ctx, id)
}

func unchanged(a, b verification.Verification) bool {
	return a.Status == b.Status && a.Reason == b.Reason && a.ChecksUsed == b.ChecksUsed
}

func (s *Verifications) putOutcome(ctx context.Context, v verification.Verification, revision uint64) (uint64, error) {
	data, err := events.Encode(outcomeOf(v))
	if err != nil {
		return 0, err
	}
	life := v.ExpiresAt.Sub(s.cfg.Now()) + stream.Grace
	return s.pub.Put(ctx, events.OutcomeSubject(v.ID), data, stream.Expecting(revision), stream.WithTTL(life))
}

// Check compares a code and says whether it was the right one. It fails like Resolve.
func (s *Verifications) Check(ctx context.Context, id string, code verification.Code) (verification.Verification, bool, error) {
	a, err := s.activation(ctx, id)
	if err != nil {
		return verification.Verification{}, false, err
	}
	hash, err := s.cfg.Keys.Sum(a.KeyID, keyring.Checks, id, code.Reveal())
	if err != nil {
		return verification.Verification{}, false, fmt.Errorf("hash code: %w", err)
	}
	v, err := s.Resolve(ctx, id, verification.Checked{Hash: hash})
	return v, err == nil && v.Status == verification.Approved, err
}

// Await returns as soon as the verification differs from the revision seen, is closed (by expiry
// too), or ctx ends: then it is the verification as it was last known, without an error.
func (s *Verifications) Await(ctx context.Context, id string, seen uint64) (verification.Verification, error) {
	if !idForm.MatchString(id) {
		return verification.Verification{}, verification.ErrNotFound
	}
	changed, cancel := s.changes.Wait(id) // before reading, so that no change falls between
	defer cancel()
	a, err := s.activation(ctx, id)
	if err != nil {
		return verification.Verification{}, err
	}
	v, err := s.Get(ctx, id)
	if err != nil {
		return v, err
	}
	expiry := time.NewTimer(v.ExpiresAt.Sub(s.cfg.Now()))
	defer expiry.Stop()
	for v.Revision == seen && !v.Status.Closed() {
		select {
		case rec := <-changed:
			if rec.Sequence == 0 {
				v, err = s.Get(ctx, id)
			} else {
				v, err = s.folded(a, rec, nil)
			}
			if err != nil {
				return v, err
			}
		case <-expiry.C:
			v = v.At(s.cfg.Now())
			if !v.Status.Closed() { // the timer's clock and ours may differ by a hair
				expiry.Reset(time.Millisecond)
			}
		case <-ctx.Done():
			return v, nil
		}
	}
	return v, nil
}
