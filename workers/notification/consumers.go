package notification

import (
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

const (
	// bulkAtOnce is how many parts of the bulk lane a process holds at once on one channel. Parts whose provider takes
	// nothing hold some of the places for a while, and must leave others for those of healthy providers. A part is
	// mostly some ten KB, and 760 KB at most, so this is what bounds the memory.
	bulkAtOnce = 32
	// transactionalAtOnce is the least for the other lane, where most parts are one message: with fewer than there are
	// slots for calls, some of the slots could not be used.
	transactionalAtOnce = 64
	// maxAckPending bounds the parts that all workers of a lane hold or have put off at once. Those that wait for a
	// provider that is away stay among them: beyond the bound the broker delivers no new part, not those of healthy
	// providers either. So it is more than waits in any lane; what is held at once is bounded by each process.
	maxAckPending = 1 << 20
)

// Consumers are those of one channel's notifications, one for each lane, with as many transactional parts at once as
// that lane has slots.
func (s *Slots) Consumers(c events.Channel) []stream.Consumer {
	var all []stream.Consumer
	for _, lane := range []events.Lane{events.LaneTransactional, events.LaneBulk} {
		atOnce := bulkAtOnce
		if lane == events.LaneTransactional {
			atOnce = max(cap(s.free[lane]), transactionalAtOnce)
		}
		all = append(all, stream.Consumer{
			Stream: stream.Notifications, Name: string(c) + "-" + string(lane), Filters: []string{events.NotificationsOf(lane, c)},
			MaxAckPending: maxAckPending, MaxInFlight: atOnce,
		})
	}
	return all
}
