package store_test

import (
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

func guesses(t *testing.T, h *house) *store.Guesses {
	t.Helper()
	g, err := store.NewGuesses(t.Context(), h.js(), store.GuessesConfig{Keys: h.keys, Now: h.clock.now})
	require.NoError(t, err)
	return g
}

func TestGuessesAreCountedAcrossProcessesAndRightOnesGivenBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := guesses(t, h), guesses(t, h)
	for range 3 * stream.GuessQuota { // right ones never run out
		right, err := one.Guess(t.Context(), "login", "shop/ana")
		require.NoError(t, err)
		right(t.Context())
	}
	for i := range stream.GuessQuota {
		_, err := []*store.Guesses{one, two}[i%2].Guess(t.Context(), "login", "shop/ana")
		require.NoError(t, err)
	}
	_, err := two.Guess(t.Context(), "login", "shop/ana")
	var limit *verification.LimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, "login", limit.Policy)
	require.Equal(t, stream.GuessQuota, limit.Quota)
	require.Equal(t, stream.GuessWindow, limit.Window)
	require.Greater(t, limit.RetryAfter, stream.GuessWindow-time.Minute)
	require.LessOrEqual(t, limit.RetryAfter, stream.GuessWindow)

	_, err = two.Guess(t.Context(), "login", "shop/bob")
	require.NoError(t, err, "others guess on")
	_, err = two.Guess(t.Context(), "temporary", "shop/ana")
	require.NoError(t, err, "other kinds are counted by themselves")
	for _, kind := range []string{"", "a.b", "*", ">", "Login", "a b"} {
		_, err = two.Guess(t.Context(), kind, "shop/ana")
		require.Error(t, err, kind)
	}
}

func TestGuessesMadeAtOnceCountToo(t *testing.T) {
	t.Parallel()
	h := build(t)
	g := guesses(t, h)
	var taken, refused atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			_, err := g.Guess(t.Context(), "login", "shop/ana")
			switch limit := (*verification.LimitError)(nil); {
			case err == nil:
				taken.Add(1)
			case errors.As(err, &limit):
				refused.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, stream.GuessQuota, taken.Load())
	require.EqualValues(t, 32-stream.GuessQuota, refused.Load())
}
