package stream

import (
	"fmt"
	"time"

	"github.com/nats-io/nats.go"

	"github.com/assent-io/assent/events"
)

// Listen hands every receipt, and every message that is asked for again without one, to learn, as it is
// stored; quiet ends it. It hears nothing of what is stored while the connection is down: it is for what is
// learned from many.
func Listen(nc *nats.Conn, learn func(events.DeliverySettled)) (quiet func(), err error) {
	heard := func(m *nats.Msg) {
		if d, err := events.Decode[events.DeliverySettled](m.Data); err == nil {
			learn(d)
		}
	}
	var subs []*nats.Subscription
	quiet = func() {
		for _, s := range subs {
			_ = s.Unsubscribe()
		}
	}
	for _, status := range []string{events.DeliveryDelivered, events.DeliveryRequested} {
		s, err := nc.Subscribe(events.DeliveriesWith(status), heard)
		if err != nil {
			quiet()
			return nil, fmt.Errorf("listen to receipts: %w", err)
		}
		subs = append(subs, s)
	}
	return quiet, nc.FlushTimeout(5 * time.Second)
}
