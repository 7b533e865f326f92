package governor

import (
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// lonelyGate is a gate whose client asks nobody, and its clock.
func lonelyGate(q Quota) (*Gate, *time.Time) {
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	c := &Client{cfg: Config{Shares: DefaultShares(), Now: func() time.Time { return now }}, kicked: make(chan struct{}, 1)}
	return newGate(c, events.ProviderKey{Channel: events.SMS, Provider: "twilio"}, q), &now
}

func TestWhatWasGrantedIsForItsTimeOnly(t *testing.T) {
	t.Parallel()
	for _, x := range []struct {
		quota Quota
		err   error
		after time.Duration
		units int // that may be used by another message
		slots int
	}{
		{Quota{Rate: 10}, delivery.ErrNotAsked, 50 * time.Millisecond, 1, 0},
		{Quota{Rate: 10}, delivery.ErrNotAsked, 300 * time.Millisecond, 0, 0},
		{Quota{Rate: 10}, delivery.ErrStale, 300 * time.Millisecond, 0, 0},
		{Quota{Rate: 10, Concurrency: 5}, delivery.ErrStale, 300 * time.Millisecond, 0, 0},
		{Quota{Concurrency: 5}, delivery.ErrNotAsked, 300 * time.Millisecond, 0, 1},
	} {
		g, now := lonelyGate(x.quota)
		if x.quota.Rate > 0 {
			g.reserve[0] = 1
		}
		if x.quota.Concurrency > 0 {
			g.slots[0] = 1
		}
		done, _ := g.Admit(t.Context(), events.LaneVerification, 1, 0)
		require.NotNil(t, done)
		require.Equal(t, 1, g.tally().Flying.Verification)
		*now = now.Add(x.after)
		done(x.err)
		require.Equal(t, x.units, g.reserve[0], x)
		require.Equal(t, x.slots, g.slots[0], x)
		require.Zero(t, g.back, "nor does the governor grant it to others: the provider would have had it in another time")
		require.Equal(t, x.slots, g.tally().Flying.Verification)
	}
}

func TestWhatIsWrongWithAMessageIsNoFailureOfItsProvider(t *testing.T) {
	t.Parallel()
	g, _ := lonelyGate(Quota{})
	end := func(err error) events.ProviderReport {
		done, _ := g.Admit(t.Context(), events.LaneVerification, 1, 0)
		require.NotNil(t, done)
		done(err)
		return g.tally()
	}
	refused := errors.New("status 403")
	r := end(delivery.Misconfigured(refused))
	require.Equal(t, []int{0, 1, 1}, []int{r.OK, r.Failed, r.Run})
	r = end(delivery.Permanent(events.ReasonNotConfigured, refused))
	require.Equal(t, []int{1, 0, 0}, []int{r.OK, r.Failed, r.Run})
}
