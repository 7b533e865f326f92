package delivery

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/events"
)

var errCarrier = errors.New("carrier said no")

// waiting is a handler whose clock stands still, and an activation with this much life left.
func waiting(left time.Duration) (*Handler, events.VerificationActivated) {
	now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
	h := &Handler{Channel: events.SMS, Now: func() time.Time { return now }}
	return h, events.VerificationActivated{ExpiresAt: now.Add(left)}
}

// wait is how long until the next attempt after one that came to nothing.
func wait(h *Handler, a events.VerificationActivated, attempt int, err error) time.Duration {
	return h.within(a, untilNext(attempt, AfterOf(err)))
}

func TestAWaitIsPositiveAndNeverOutlivesTheVerification(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		left := time.Duration(rapid.Int64Range(int64(-time.Hour), int64(time.Hour)).Draw(rt, "left"))
		attempt := rapid.IntRange(1, 1<<20).Draw(rt, "attempt")
		asked := time.Duration(rapid.Int64Range(0, int64(24*time.Hour)).Draw(rt, "asked"))
		h, a := waiting(left)
		got := wait(h, a, attempt, RetryAfter(asked, errCarrier))
		require.Positive(rt, got)
		require.LessOrEqual(rt, got, max(left, 0)+time.Millisecond, "the message must settle as soon as its time is over")
		require.LessOrEqual(rt, got, max(asked+firstBackoff, lastBackoff+lastBackoff/2))
		if left > minLife {
			require.LessOrEqual(rt, got, left-minLife/2, "another attempt must still fit")
		} else {
			require.Greater(rt, got, left, "too little is left for an attempt: the next look must find it expired")
		}
	})
}

func TestAWaitIsAtLeastWhatTheProviderAskedFor(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		asked := time.Duration(rapid.Int64Range(0, int64(9*time.Minute)).Draw(rt, "asked"))
		attempt := rapid.IntRange(1, 50).Draw(rt, "attempt")
		h, a := waiting(10 * time.Minute)
		require.GreaterOrEqual(rt, wait(h, a, attempt, RetryAfter(asked, errCarrier)), asked)
	})
}

func TestWaitsDoubleUpToABoundAndVaryByHalf(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		attempt := rapid.IntRange(1, 40).Draw(rt, "attempt")
		h, a := waiting(10 * time.Minute)
		middle := lastBackoff
		if attempt <= 5 {
			middle = []time.Duration{500, 1000, 2000, 4000, 8000}[attempt-1] * time.Millisecond
		}
		got := wait(h, a, attempt, errCarrier)
		require.GreaterOrEqual(rt, got, middle/2)
		require.Less(rt, got, middle+middle/2)
	})
}

// Two attempts apart, even the luckiest draw is above the unluckiest.
func TestWaitsGrow(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		attempt := rapid.IntRange(1, 3).Draw(rt, "attempt")
		h, a := waiting(10 * time.Minute)
		require.Greater(rt, wait(h, a, attempt+2, errCarrier), wait(h, a, attempt, errCarrier))
	})
}

func TestAFleetDoesNotComeBackAtOnce(t *testing.T) {
	h, a := waiting(5 * time.Minute)
	seen := map[time.Duration]bool{}
	for range 200 {
		seen[wait(h, a, 4, errCarrier)] = true
	}
	require.Greater(t, len(seen), 100)
}

// However a carrier refuses, a life of attempts is short enough to count, and ends within a
// millisecond of the verification.
func TestAttemptsOfAWholeLifeEndWithIt(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		life := time.Duration(rapid.Int64Range(int64(30*time.Second), int64(10*time.Minute)).Draw(rt, "life"))
		now := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		h := &Handler{Channel: events.SMS, Now: func() time.Time { return now }}
		a := events.VerificationActivated{ExpiresAt: now.Add(life)}
		attempt := 1
		for ; now.Before(a.ExpiresAt); attempt++ {
			asked := time.Duration(rapid.Int64Range(0, int64(2*time.Minute)).Draw(rt, "asked"))
			now = now.Add(wait(h, a, attempt, RetryAfter(asked, errCarrier)))
			require.Less(rt, attempt, 100)
		}
		require.LessOrEqual(rt, now.Sub(a.ExpiresAt), time.Millisecond)
	})
}
