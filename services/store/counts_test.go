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

func counts(t *testing.T, h *house) *store.Counts {
	t.Helper()
	c, err := store.NewCounts(t.Context(), h.js(), store.CountsConfig{Keys: h.keys, Now: h.clock.now})
	require.NoError(t, err)
	return c
}

func TestAttemptsAreCountedAcrossProcessesUntilTheyAreForgotten(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := counts(t, h), counts(t, h)
	ctx := t.Context()
	n, err := two.Count(ctx, "attempts", "shop/ana")
	require.NoError(t, err)
	require.Zero(t, n)
	for i := range 3 {
		n, err = []*store.Counts{one, two}[i%2].Add(ctx, "attempts", "shop/ana", 3, 10*time.Minute)
		require.NoError(t, err)
		require.Equal(t, i+1, n)
	}
	n, err = two.Add(ctx, "attempts", "shop/ana", 3, 10*time.Minute)
	require.Equal(t, 3, n)
	var limit *verification.LimitError
	require.ErrorAs(t, err, &limit)
	require.Equal(t, "attempts", limit.Policy)
	require.Equal(t, 3, limit.Quota)
	require.Equal(t, 10*time.Minute, limit.Window)
	require.Greater(t, limit.RetryAfter, 9*time.Minute)
	require.LessOrEqual(t, limit.RetryAfter, 10*time.Minute)
	n, err = one.Count(ctx, "attempts", "shop/ana")
	require.NoError(t, err)
	require.Equal(t, 3, n, "what was refused does not count")
	n, err = one.Add(ctx, "attempts", "shop/ana", 4, 10*time.Minute)
	require.NoError(t, err, "another realm allows more")
	require.Equal(t, 4, n)

	for _, other := range [][2]string{{"attempts", "shop/bob"}, {"validations", "shop/ana"}} {
		n, err = one.Add(ctx, other[0], other[1], 3, time.Minute)
		require.NoError(t, err)
		require.Equal(t, 1, n)
	}
	require.NoError(t, one.Reset(ctx, "attempts", "shop/ana"))
	require.NoError(t, one.Reset(ctx, "attempts", "nobody"))
	n, err = two.Add(ctx, "attempts", "shop/ana", 3, 10*time.Minute)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	n, err = two.Count(ctx, "attempts", "shop/bob")
	require.NoError(t, err)
	require.Equal(t, 1, n, "nobody else is forgotten")

	for _, kind := range []string{"", "a.b", "*", ">", "Attempts", "a b"} {
		_, err = one.Add(ctx, kind, "x", 1, time.Minute)
		require.Error(t, err, kind)
		_, err = one.Count(ctx, kind, "x")
		require.Error(t, err, kind)
		require.Error(t, one.Reset(ctx, kind, "x"), kind)
	}
	_, err = one.Add(ctx, "attempts", "x", 1, 0)
	require.Error(t, err)
}

func TestAttemptsMadeAtOnceKeepTheLimit(t *testing.T) {
	t.Parallel()
	h := build(t)
	const limit, attempts = 7, 40
	var counted, refused atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		c := counts(t, h)
		for range attempts / 2 {
			wg.Go(func() {
				_, err := c.Add(t.Context(), "attempts", "shop/ana", limit, time.Minute)
				switch full := (*verification.LimitError)(nil); {
				case err == nil:
					counted.Add(1)
				case errors.As(err, &full):
					refused.Add(1)
				default:
					t.Error(err)
				}
			})
		}
	}
	wg.Wait()
	require.EqualValues(t, limit, counted.Load())
	require.EqualValues(t, attempts-limit, refused.Load())
}

func TestEachAttemptLeavesWithItsOwnWindow(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := counts(t, h)
	_, err := c.Add(t.Context(), "attempts", "x", 2, time.Second)
	require.NoError(t, err)
	_, err = c.Add(t.Context(), "attempts", "x", 2, time.Hour)
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		n, err := c.Count(t.Context(), "attempts", "x")
		return err == nil && n == 1
	}, waitLong, tick)
	n, err := c.Add(t.Context(), "attempts", "x", 2, time.Hour)
	require.NoError(t, err)
	require.Equal(t, 2, n)
}

func TestWithoutALimitNothingIsRefused(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := counts(t, h)
	for i := range stream.MaxCount + 3 {
		n, err := c.Add(t.Context(), "attempts", "x", 0, time.Hour)
		require.NoError(t, err)
		require.Equal(t, min(i+1, stream.MaxCount), n)
	}
	_, err := c.Add(t.Context(), "attempts", "x", 10*stream.MaxCount, time.Hour)
	var limit *verification.LimitError
	require.ErrorAs(t, err, &limit)
}
