package store

import (
	"context"
	"fmt"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// Check compares a code and says whether it was the right one. It fails like Resolve, and for the
// code of an authenticator app like Authenticators.
func (s *Verifications) Check(ctx context.Context, id string, code verification.Code) (verification.Verification, bool, error) {
	a, err := s.activation(ctx, id)
	if err != nil {
		return verification.Verification{}, false, err
	}
	if a.Channel == events.TOTP {
		return s.checkApp(ctx, a, code)
	}
	hash, err := s.cfg.Keys.Sum(a.KeyID, keyring.Checks, id, code.Reveal())
	if err != nil {
		return verification.Verification{}, false, fmt.Errorf("hash code: %w", err)
	}
	v, err := s.Resolve(ctx, id, verification.Checked{Hash: hash})
	return v, err == nil && v.Status == verification.Approved, err
}

// checkApp has the code of an authenticator app compared with the device's secret. A verification
// that is closed compares nothing: each code works once, and this one may be meant for the next.
func (s *Verifications) checkApp(ctx context.Context, a events.VerificationActivated, code verification.Code) (verification.Verification, bool, error) {
	v, err := s.Get(ctx, a.ID)
	switch {
	case err != nil:
		return v, false, err
	case v.Status.Closed():
		return v, false, verification.ErrClosed
	case s.cfg.Authenticators == nil:
		return v, false, verification.ErrChallenge
	}
	right, err := s.cfg.Authenticators.CheckCode(ctx, v.Credential, v.DeviceID, code)
	if err != nil {
		return v, false, fmt.Errorf("compare with authenticator: %w", err)
	}
	v, err = s.Resolve(ctx, a.ID, verification.Compared{Right: right})
	return v, err == nil && v.Status == verification.Approved, err
}

// Await returns as soon as the verification differs from the revision seen, is closed (by expiry
// too), or ctx ends: then it is the verification as it was last known, without an error.
//
// Tens of thousands of requests are parked here at once, and the stack of each is kept for it. So
// what a waiter holds stands on the heap, and whatever needs a large frame is done and gone before
// the goroutine parks: that halves the memory of a parked request.
func (s *Verifications) Await(ctx context.Context, id string, seen uint64) (*verification.Verification, error) {
	w, err := s.await(ctx, id)
	if err != nil {
		return nil, err
	}
	defer w.cancel()
	for w.v.Revision == seen && !w.v.Status.Closed() && w.park(ctx) {
		if err := w.learn(ctx); err != nil {
			return nil, err
		}
	}
	return w.v, nil
}

// waiter is one call of Await.
type waiter struct {
	s       *Verifications
	a       events.VerificationActivated
	v       *verification.Verification
	changed <-chan stream.Record
	cancel  func()
	news    stream.Record // what woke it; without a sequence: read again
}

// await registers before it reads, so that no change falls between.
func (s *Verifications) await(ctx context.Context, id string) (*waiter, error) {
	if !events.ValidID(id) {
		return nil, verification.ErrNotFound
	}
	w := &waiter{s: s}
	w.changed, w.cancel = s.changes.Wait(id)
	var err error
	if w.a, err = s.activation(ctx, id); err != nil {
		w.cancel()
		return nil, err
	}
	v, err := s.Get(ctx, id)
	if err != nil {
		w.cancel()
		return nil, err
	}
	w.v = &v
	return w, nil
}

// park waits for a change or for the end of the verification; false when ctx ended first.
func (w *waiter) park(ctx context.Context) bool {
	expiry := time.NewTimer(max(w.v.ExpiresAt.Sub(w.s.now()), time.Millisecond))
	defer expiry.Stop()
	select {
	case w.news = <-w.changed:
		return true
	case <-expiry.C:
		w.news = stream.Record{} // read again: an answer of the last moment may not have been told yet
		return true
	case <-ctx.Done():
		return false
	}
}

// learn brings the verification up to what woke the waiter.
func (w *waiter) learn(ctx context.Context) error {
	var v verification.Verification
	var err error
	switch {
	case w.news.Sequence == 0:
		v, err = w.s.Get(ctx, w.a.ID)
	case w.news.Sequence <= w.v.Revision: // read before it was told
		v = w.v.At(w.s.now())
	default:
		v, err = w.s.folded(w.a, w.news, nil)
	}
	if err == nil {
		w.v = &v
	}
	return err
}
