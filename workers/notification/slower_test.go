package notification

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
)

func TestWhatIsThrottledWaitsTwiceAsLongEachTime(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	for life, longest := range map[time.Duration]time.Duration{
		time.Minute: maxPause, time.Hour: maxPause, 7 * 24 * time.Hour: 7 * 24 * time.Hour / throttledRounds,
	} {
		r := &run{q: events.NotificationQueued{SendAt: at, ExpiresAt: at.Add(life)}, past: history{messages: make([]past, 1)}}
		p := &r.past.messages[0]
		for want := firstThrottle; want < longest; want *= 2 {
			require.Equal(t, want, r.slower(0, firstThrottle))
			p.throttled++
		}
		require.Equal(t, longest, r.slower(0, firstThrottle))
		p.throttled = 1_000_000
		require.Equal(t, longest, r.slower(0, firstThrottle))
	}
}

// A part's messages wait together, never less than their provider asks for.
func TestMessagesThatWaitAboutAsLongWaitTogether(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	r := &run{past: history{messages: make([]past, 3)}}
	first := r.joined(8*time.Second, time.Second, now)
	require.GreaterOrEqual(t, first, 8*time.Second)
	r.past.messages[0] = past{throttled: 1, next: now.Add(first)}
	require.Equal(t, first, r.joined(8*time.Second, time.Second, now))
	require.GreaterOrEqual(t, r.joined(20*time.Second, 20*time.Second, now), 20*time.Second)
	r.past.messages[0].next = now.Add(7 * time.Second)
	require.Equal(t, 7*time.Second, r.joined(8*time.Second, time.Second, now))
	require.GreaterOrEqual(t, r.joined(8*time.Second, 8*time.Second, now), 8*time.Second)
}
