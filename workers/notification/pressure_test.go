package notification

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
)

// load tells slots for so long that verifications lie with the broker for d.
func load(s *Slots, now *time.Time, d, lasts time.Duration) {
	for end := now.Add(lasts); now.Before(end); *now = now.Add(20 * time.Millisecond) {
		s.waited(d, *now)
		s.yield(*now)
	}
}

func TestBulkMakesRoomWhileVerificationsWaitLongerThanUsual(t *testing.T) {
	t.Parallel()
	s, now := NewSlots(256, shares(60, 25, 15)), time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	cycle := func(n int) (taken int) {
		all := s.take(events.LaneBulk, n)
		for _, slot := range all {
			slot.release()
		}
		return len(all)
	}
	const usual = -3 * time.Second // the broker's clock is ahead
	load(s, &now, usual, time.Second)
	require.Equal(t, 38, cycle(100), "nothing is late")
	load(s, &now, usual+late/2, time.Second)
	require.Equal(t, 38, cycle(100), "nor is this")

	inUse := s.take(events.LaneBulk, 100)
	load(s, &now, usual+5*late, 2*time.Second)
	require.Len(t, inUse, 38)
	for _, slot := range inUse {
		slot.release()
	}
	require.Equal(t, 9, cycle(100), "a quarter stays bulk's, whatever waits")
	require.Len(t, s.take(events.LaneTransactional, 64), 64, "transactional messages keep theirs")

	load(s, &now, usual, 500*time.Millisecond)
	require.Less(t, cycle(100), 38, "it comes back slowly")
	load(s, &now, usual, 5*time.Second)
	require.Equal(t, 38, cycle(100))
}

func TestWhatIsUsualIsLearnedAnew(t *testing.T) {
	t.Parallel()
	s, now := NewSlots(256, shares(60, 25, 15)), time.Date(2026, 11, 22, 9, 0, 0, 0, time.UTC)
	load(s, &now, 0, time.Second)
	load(s, &now, time.Second, 3*usual) // a clock was set
	require.Len(t, s.take(events.LaneBulk, 100), 38)
}
