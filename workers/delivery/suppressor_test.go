package delivery_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
)

// providerCode is a provider's refusal with its code.
type providerCode string

func (c providerCode) Error() string  { return "refused with " + string(c) }
func (c providerCode) Detail() string { return string(c) }

func (h *house) suppressor(list delivery.SuppressionList) *delivery.Suppressor {
	return &delivery.Suppressor{Keys: h.keys, List: list, Now: h.clock.now, Log: h.log}
}

func TestWhoRepliedStopIsPutOnTheListByTheWorker(t *testing.T) {
	h := build(t)
	h.work(func(context.Context, delivery.Message) (delivery.Receipt, error) {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonUnsubscribed, providerCode("21610"))
	}, func(d *delivery.Handler) { d.Suppressor = h.suppressor(h.pub) })
	list, err := stream.FollowSuppressions(t.Context(), h.js)
	require.NoError(t, err)
	t.Cleanup(list.Close)
	a := h.activation()
	h.publish(a)
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, 5*time.Millisecond)
	s, err := list.Entry(t.Context(), "any", "", a.Destination, events.LaneVerification)
	require.NoError(t, err)
	require.NotNil(t, s)
	require.Equal(t, events.CauseStop, s.Cause)
	require.Equal(t, "21610", s.Detail)
	require.Equal(t, "twilio", s.Provider)
	require.Empty(t, s.Account, "the sender is everybody's")
	to, err := h.keys.Open(keyring.Channel(events.SMS), a.Destination, s.Address)
	require.NoError(t, err)
	require.Equal(t, number, string(to))
	require.Eventually(t, func() bool { return len(h.told(a.ID)) > 1 }, waitLong, 5*time.Millisecond, "and the message is settled as before")
	require.NotContains(t, h.journal.String(), number[1:])
}

// noted keeps what was put on the list.
type noted struct {
	entries []events.Suppression
	err     error
}

func (n *noted) Suppress(_ context.Context, s events.Suppression) (bool, error) {
	n.entries = append(n.entries, s)
	return n.err == nil, n.err
}

func TestOnlyWhatMeansTheAddressIsNoted(t *testing.T) {
	h := build(t)
	for name, c := range map[string]struct {
		channel events.Channel
		err     error
		cause   string
	}{
		"a mailbox that is not there":  {events.Email, delivery.Permanent(events.ReasonUndeliverable, providerCode("5.1.1")), events.CauseBounce},
		"a mailbox that is full":       {events.Email, delivery.Permanent(events.ReasonUndeliverable, providerCode("5.2.2")), ""},
		"a mailbox without a code":     {events.Email, delivery.Permanent(events.ReasonUndeliverable, providerCode("550")), ""},
		"an app that is gone":          {events.Push, delivery.Permanent(events.ReasonDeviceGone, errors.New("410")), events.CauseDeviceGone},
		"a number that does not exist": {events.SMS, delivery.Permanent(events.ReasonUndeliverable, providerCode("21211")), ""},
		"a number that said stop":      {events.SMS, delivery.Permanent(events.ReasonUnsubscribed, providerCode("21610")), events.CauseStop},
		"a refused text":               {events.SMS, delivery.Permanent(events.ReasonMessageRefused, providerCode("30007")), ""},
		"a provider that is away":      {events.SMS, errors.New("no answer"), ""},
		"a provider that is throttled": {events.SMS, delivery.RetryAfter(time.Second, errors.New("429")), ""},
		"nothing":                      {events.SMS, nil, ""},
	} {
		for _, broken := range []error{nil, errors.New("broker away")} {
			n := &noted{err: broken}
			h.suppressor(n).Refused(t.Context(), delivery.Addressee{
				Channel: c.channel, Destination: "hash", To: number, ToMasked: "+1•••23",
			}, "acme", c.err)
			if c.cause == "" {
				require.Empty(t, n.entries, name)
				continue
			}
			require.Len(t, n.entries, 1, name)
			require.Equal(t, c.cause, n.entries[0].Cause, name)
			require.Equal(t, events.CoversAll, n.entries[0].Covers, name)
		}
	}
	(*delivery.Suppressor)(nil).Refused(t.Context(), delivery.Addressee{}, "acme", delivery.Permanent(events.ReasonUnsubscribed, providerCode("21610")))
	require.NotContains(t, h.journal.String(), number[1:])
}
