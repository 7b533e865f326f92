package store_test

import (
	"context"
	"crypto/rand"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// authenticators stands for the devices: one of them shows one code, which works once.
type authenticators struct {
	mu     sync.Mutex
	code   verification.Code
	asked  []string
	failed error
}

func (a *authenticators) CheckCode(_ context.Context, account, deviceID string, code verification.Code) (bool, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.asked = append(a.asked, account+" "+deviceID)
	if a.failed != nil || code != a.code {
		return false, a.failed
	}
	a.code = ""
	return true, nil
}

func (a *authenticators) show(code verification.Code) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.code = code
}

const authenticator = "0199b1c2-0000-7000-8000-0000000000d1"

// app is a verification by the code of an authenticator app.
func (h *house) app(change ...func(*verification.Params)) verification.Activation {
	a := h.activation(append([]func(*verification.Params){func(p *verification.Params) {
		p.Channel, p.DeviceID, p.UserID, p.ToMasked = verification.TOTP, authenticator, "ana", "totp"
	}}, change...)...)
	a.To = ""
	return a
}

func (h *house) storeFor(a *authenticators) *store.Verifications {
	return h.store(func(c *store.Config) { c.Authenticators = a })
}

func TestTheCodeOfAnAuthenticatorIsComparedByWhoKnowsItsSecret(t *testing.T) {
	h := build(t)
	apps := &authenticators{code: "287082"}
	one, two := h.storeFor(apps), h.storeFor(apps)
	a := h.app()
	create(t, one, a)
	v, valid, err := two.Check(t.Context(), a.Verification.ID, "111111")
	require.NoError(t, err)
	require.False(t, valid)
	require.Equal(t, verification.MaxChecks-1, v.ChecksLeft())
	v, valid, err = two.Check(t.Context(), a.Verification.ID, "287082")
	require.NoError(t, err)
	require.True(t, valid)
	require.Equal(t, verification.Approved, v.Status)
	require.Equal(t, []string{"shop " + authenticator, "shop " + authenticator}, apps.asked)
	v, err = one.Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, verification.Approved, v.Status)

	apps.show("359152")
	_, _, err = one.Check(t.Context(), v.ID, "359152")
	require.ErrorIs(t, err, verification.ErrClosed)
	require.Len(t, apps.asked, 2, "a closed one uses no code up")
}

func TestWrongCodesOfAnAuthenticatorCloseItsVerification(t *testing.T) {
	h := build(t)
	s := h.storeFor(&authenticators{code: "287082"})
	a := h.app(func(p *verification.Params) { p.MaxChecks = 2 })
	create(t, s, a)
	var v verification.Verification
	for range 2 {
		var err error
		v, _, err = s.Check(t.Context(), a.Verification.ID, "000000")
		require.NoError(t, err)
	}
	require.Equal(t, verification.Failed, v.Status)
	require.Equal(t, verification.TooManyChecks, v.Reason)
}

func TestOneCodeApprovesOneOfTwoVerifications(t *testing.T) {
	h := build(t)
	s := h.storeFor(&authenticators{code: "287082"})
	var approved atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		v := create(t, s, h.app())
		wg.Go(func() {
			_, valid, err := s.Check(t.Context(), v.ID, "287082")
			if err != nil {
				t.Error(err)
			}
			if valid {
				approved.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, approved.Load())
}

func TestWhatKeepsAnAuthenticatorsCodeFromBeingCompared(t *testing.T) {
	h := build(t)
	limit := &verification.LimitError{Policy: "device", Quota: 5, Window: 10 * time.Minute, RetryAfter: time.Minute}
	for name, failed := range map[string]error{"too many guesses": limit, "no such device": verification.ErrNotFound} {
		s := h.storeFor(&authenticators{code: "287082", failed: failed})
		v := create(t, s, h.app())
		after, valid, err := s.Check(t.Context(), v.ID, "287082")
		require.ErrorIs(t, err, failed, name)
		require.False(t, valid)
		require.Equal(t, v.ID, after.ID)
		require.NotContains(t, err.Error(), "287082")
		got, err := s.Get(t.Context(), v.ID)
		require.NoError(t, err)
		require.Zero(t, got.ChecksUsed, "what was not compared does not count")
	}
	s := h.store()
	v := create(t, s, h.app())
	_, _, err := s.Check(t.Context(), v.ID, "287082")
	require.ErrorIs(t, err, verification.ErrChallenge, "nobody can compare")
}

func TestAnAuthenticatorIsSentNothingAndTakesNoLimit(t *testing.T) {
	h := build(t)
	s := h.storeFor(&authenticators{})
	for range stream.DefaultSendQuota + 3 {
		create(t, s, h.app())
	}
	a := h.app()
	v := create(t, s, a)
	st, err := h.js().Stream(t.Context(), stream.Windows)
	require.NoError(t, err)
	info, err := st.Info(t.Context())
	require.NoError(t, err)
	require.Zero(t, info.State.Msgs)

	activations, err := h.js().Stream(t.Context(), stream.Activations)
	require.NoError(t, err)
	raw, err := activations.GetLastMsgForSubject(t.Context(), "assent.activation.totp."+v.ID)
	require.NoError(t, err)
	e, err := events.Decode[events.VerificationActivated](raw.Data)
	require.NoError(t, err)
	require.Empty(t, e.SecretHash, "no hash that a guess could be compared with")
	require.Empty(t, e.Destination)
	plain, err := h.keys.Open(keyring.Channel(events.TOTP), v.ID, e.Content)
	require.NoError(t, err)
	require.JSONEq(t, `{"to":""}`, string(plain))

	_, err = s.Resend(t.Context(), v.ID)
	require.ErrorIs(t, err, verification.ErrChallenge)
	deliveries, err := s.Deliveries(t.Context(), v.ID)
	require.NoError(t, err)
	require.Empty(t, deliveries)
	_, _, err = s.Code(t.Context(), v.ID)
	require.ErrorIs(t, err, verification.ErrChallenge)
	forged, err := verification.NewToken(rand.Reader, v.ID)
	require.NoError(t, err)
	_, err = s.ByLink(t.Context(), forged)
	require.ErrorIs(t, err, verification.ErrNotFound)

	got, err := s.Resolve(t.Context(), v.ID, verification.Cancel{})
	require.NoError(t, err)
	require.Equal(t, verification.Canceled, got.Status)
	_, err = s.Resend(t.Context(), v.ID)
	require.ErrorIs(t, err, verification.ErrClosed)
}

func TestAnIdempotencyKeyWorksForAnAuthenticatorToo(t *testing.T) {
	h := build(t)
	s := h.storeFor(&authenticators{})
	again := func() verification.Activation {
		a := h.app(func(p *verification.Params) { p.ID = s.IDFor("shop", "key") })
		a.IdempotencyKey, a.Body = "key", []byte("body")
		return a
	}
	first := create(t, s, again())
	second, replayed, err := s.Create(t.Context(), again())
	require.NoError(t, err)
	require.True(t, replayed)
	require.Equal(t, first, second)
	require.NotEqual(t, first.ID, uuid.Nil.String())
}
