package notification

import (
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/events"
)

func shares(verification, transactional, bulk int) func(events.Lane) int {
	all := map[events.Lane]int{events.LaneVerification: verification, events.LaneTransactional: transactional, events.LaneBulk: bulk}
	return func(l events.Lane) int { return all[l] }
}

func TestSlotsAreDividedByTheShares(t *testing.T) {
	t.Parallel()
	s := NewSlots(256, shares(60, 25, 15))
	require.Len(t, s.take(events.LaneBulk, 1000), 38, "15 of 100, of all")
	require.Empty(t, s.take(events.LaneBulk, 1))
	require.Len(t, s.take(events.LaneTransactional, 1000), 64, "bulk cannot take these")

	s = NewSlots(256, shares(60, 25, 15))
	all := s.take(events.LaneTransactional, 1000)
	require.Len(t, all, 102, "what bulk does not use")
	require.Empty(t, s.take(events.LaneBulk, 1))
	for _, slot := range all {
		slot.release()
	}
	require.Len(t, s.take(events.LaneBulk, 1000), 38, "each slot goes back to where it came from")
}

func TestWhateverTheSharesEachLaneHasASlotAndVerificationsTheirs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		verification := rapid.IntRange(1, 98).Draw(t, "verification")
		transactional := rapid.IntRange(1, 99-verification).Draw(t, "transactional")
		bulk := 100 - verification - transactional
		inFlight := rapid.IntRange(1, 2000).Draw(t, "in flight")
		s := NewSlots(inFlight, shares(verification, transactional, bulk))
		ofBulk := len(s.take(events.LaneBulk, 10_000))
		ofTransactional := len(s.take(events.LaneTransactional, 10_000))
		require.Positive(t, ofBulk)
		require.Positive(t, ofTransactional)
		require.LessOrEqual(t, ofBulk+ofTransactional, max(inFlight*(100-verification)/100, 2))
		require.LessOrEqual(t, ofBulk, max(inFlight*bulk/100, 1))
	})
}
