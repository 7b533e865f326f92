package delivery

import (
	"context"
	"log/slog"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
)

// SuppressionList takes the addresses that get no messages any more; stream.Publisher is one.
type SuppressionList interface {
	// Suppress stores an entry where there is none yet; added tells that it did. It bounds itself in time.
	Suppress(ctx context.Context, s events.Suppression) (added bool, err error)
}

// Suppressor puts an address on the list where a provider's refusal of one message means that it will
// refuse all: the person replied STOP, there is no such mailbox, the app is gone. A nil Suppressor notes nothing.
type Suppressor struct {
	// Keys seals addresses with the channel's key.
	Keys *keyring.Keyring
	List SuppressionList
	Now  func() time.Time
	Log  *slog.Logger
}

// Addressee is where one message was to go.
type Addressee struct {
	Channel events.Channel
	// Destination is the keyed hash of To.
	Destination string
	To          Address
	ToMasked    string
}

// Refused notes what a call's error says of its addressee; most say nothing. That it cannot be noted is
// logged and no more: the next message to the address is refused as well.
func (s *Suppressor) Refused(ctx context.Context, to Addressee, provider string, err error) {
	cause := causeOf(to.Channel, err)
	if s == nil || cause == "" || to.Destination == "" || to.To == "" {
		return
	}
	log := s.Log.With("channel", string(to.Channel), "provider", provider, "cause", cause)
	address, err2 := s.Keys.Seal(keyring.Channel(to.Channel), to.Destination, []byte(to.To.Reveal()))
	if err2 != nil {
		log.Warn("address was not noted as one that gets no messages", "err", err2)
		return
	}
	// Also when the grace of a shutdown has just ended.
	added, err2 := s.List.Suppress(context.WithoutCancel(ctx), events.Suppression{
		Destination: to.Destination, Channel: to.Channel, ToMasked: to.ToMasked, Covers: events.CoversAll, Cause: cause,
		Address: address, Provider: provider, Detail: DetailOf(err), At: s.Now().UTC(),
	})
	switch {
	case err2 != nil:
		log.Warn("address was not noted as one that gets no messages", "err", err2)
	case added:
		log.Info("address gets no messages")
	}
}

// causeOf is why an address gets no messages after this error; empty where it still may.
func causeOf(c events.Channel, err error) string {
	switch reason := ReasonOf(err); {
	case reason == events.ReasonUnsubscribed:
		return events.CauseStop
	case reason == events.ReasonDeviceGone && c == events.Push:
		return events.CauseDeviceGone
	case reason == events.ReasonUndeliverable && c == events.Email && events.HardBounce(DetailOf(err)):
		return events.CauseBounce
	default:
		return ""
	}
}
