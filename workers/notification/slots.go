package notification

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/assent-io/assent/events"
)

// slotsForPart is how many slots there are for each part that begins calls at once: with more parts the
// handfuls, and with them what one write stands for, would be smaller.
const slotsForPart = 16

// Slots bound the calls that notifications have in flight in one process on one channel: all together what the
// share of verifications leaves, and bulk no more than its own share, so that a part is free for transactional
// ones. They are safe for concurrent use.
type Slots struct {
	// free has one token for each slot that may be taken.
	free  map[events.Lane]chan struct{}
	turns map[events.Lane]chan struct{}
	// queues counts the parts that wait for a turn.
	queues map[events.Lane]*atomic.Int32

	pressure *pressure
	mu       sync.Mutex
	kept     int // of bulk's slots, that are kept free
	wanted   int // that ought to be
}

// NewSlots divides what verifications leave of maxInFlight by the lanes' shares, in percent. Each lane has one
// slot at least.
func NewSlots(maxInFlight int, share func(events.Lane) int) *Slots {
	s := &Slots{free: map[events.Lane]chan struct{}{}, turns: map[events.Lane]chan struct{}{}, queues: map[events.Lane]*atomic.Int32{}}
	rest := maxInFlight * (100 - share(events.LaneVerification)) / 100
	bulk := 0
	if both := share(events.LaneTransactional) + share(events.LaneBulk); both > 0 {
		bulk = rest * share(events.LaneBulk) / both
	}
	bulk = max(bulk, 1)
	s.pressure = newPressure(bulk)
	for lane, n := range map[events.Lane]int{events.LaneBulk: bulk, events.LaneTransactional: max(rest-bulk, 1)} {
		s.free[lane] = tokens(n)
		s.queues[lane] = new(atomic.Int32)
		s.turns[lane] = tokens(max(n/slotsForPart, 1))
	}
	return s
}

func tokens(n int) chan struct{} {
	c := make(chan struct{}, n)
	for range n {
		c <- struct{}{}
	}
	return c
}

// waited takes in how long a verification lay with the broker before this process had it. Where that is longer
// than usual, bulk gives up some of its slots for a while.
func (s *Slots) waited(d time.Duration, now time.Time) { s.pressure.waited(d, now) }

// yield keeps as many of bulk's slots free as there is need to. Those in use follow when they are given back.
func (s *Slots) yield(now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for s.wanted = s.pressure.keep(now); s.kept > s.wanted; s.kept-- {
		s.free[events.LaneBulk] <- struct{}{}
	}
}

// keep takes a slot that is given back out of use, where one more is to be kept free.
func (s *Slots) keep(c chan struct{}) bool {
	if c != s.free[events.LaneBulk] {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.kept >= s.wanted {
		return false
	}
	s.kept++
	return true
}

// slot is a place for one call, and where it goes back to.
type slot struct {
	of   *Slots
	free chan struct{}
}

func (s slot) release() {
	if !s.of.keep(s.free) {
		s.free <- struct{}{}
	}
}

// take takes up to n slots that are free now.
func (s *Slots) take(lane events.Lane, n int) []slot {
	var taken []slot
	for _, c := range s.of(lane) {
		for len(taken) < n {
			select {
			case <-c:
				taken = append(taken, slot{s, c})
				continue
			default:
			}
			break
		}
	}
	return taken
}

// of lists whose slots a lane may take: transactional messages also those of bulk, where they are free.
func (s *Slots) of(lane events.Lane) []chan struct{} {
	if lane == events.LaneTransactional {
		return []chan struct{}{s.free[lane], s.free[events.LaneBulk]}
	}
	return []chan struct{}{s.free[lane]}
}

// turn is where a part waits until it may begin calls; what is taken from it goes back to it.
func (s *Slots) turn(lane events.Lane) chan struct{} { return s.turns[lane] }

// queue notes that a part waits for its turn, until leave is called.
func (s *Slots) queue(lane events.Lane) (leave func()) {
	s.queues[lane].Add(1)
	return func() { s.queues[lane].Add(-1) }
}

// queued tells whether a part waits for its turn.
func (s *Slots) queued(lane events.Lane) bool { return s.queues[lane].Load() > 0 }
