package notification

import (
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

const (
	// partsAtOnce is how many parts of one lane a process holds at once on one channel, which bounds its memory.
	partsAtOnce = 8
	// maxAckPending bounds the parts that all workers of a lane hold or have put off at once. Those that wait for
	// a provider that is away must not keep the parts of others back, and each is looked at again and again.
	maxAckPending = 4096
)

// Consumers are those of one channel's notifications, one for each lane.
func Consumers(c events.Channel) []stream.Consumer {
	var all []stream.Consumer
	for _, lane := range []events.Lane{events.LaneTransactional, events.LaneBulk} {
		all = append(all, stream.Consumer{
			Stream: stream.Notifications, Name: string(c) + "-" + string(lane), Filters: []string{events.NotificationsOf(lane, c)},
			MaxAckPending: maxAckPending, MaxInFlight: partsAtOnce,
		})
	}
	return all
}
