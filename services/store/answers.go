package store

import (
	"context"
	"fmt"
	"time"

	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/services/verification"
)

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
