package notification

import (
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// stats are what one run tells when it ends: one line for a part, not one for each message.
type stats struct {
	began   time.Time
	done    bool
	entries int
	ended   map[string]int         // by status
	classes map[delivery.Class]int // of the errors
	err     error                  // one of them
	fault   error                  // why the run was given up
}

func (s *stats) count(e events.MessageEnded) {
	if s.ended == nil {
		s.ended = map[string]int{}
	}
	s.ended[e.Status]++
}

// note counts an error; one of no class came before any call.
func (s *stats) note(class delivery.Class, err error) {
	if s.classes == nil {
		s.classes = map[delivery.Class]int{}
	}
	s.classes[class]++
	if s.err == nil || class == delivery.ClassMisconfigured {
		s.err = err
	}
}

func (s *stats) tell(r *run) {
	log := r.h.Log.With("notification_id", r.q.ID, "part", r.q.Part, "channel", string(r.q.Channel), "lane", string(r.q.Lane))
	if s.fault != nil {
		log.Warn("part cannot go on", "err", s.fault)
	}
	for class, n := range s.classes {
		switch class {
		case delivery.ClassMisconfigured:
			log.Error("messages refused: the provider's configuration needs the operator", "messages", n, "err", s.err)
		default:
			log.Warn("messages came to nothing", "class", string(class), "messages", n, "err", s.err)
		}
	}
	if s.done || len(s.ended) > 0 {
		log.Info("part worked on", "ended", s.done, "sent", s.ended[events.DeliverySent], "failed", s.ended[events.DeliveryFailed],
			"expired", s.ended[events.DeliveryExpired], "retrying", s.ended[events.DeliveryRetrying], "unknown", s.ended[events.DeliveryUnknown],
			"entries", s.entries, "duration_ms", r.h.Now().Sub(s.began).Milliseconds())
	}
}
