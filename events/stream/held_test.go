package stream_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

func TestWhatIsBeingHandledIsNotHandledASecondTimeBesides(t *testing.T) {
	t.Parallel()
	b := start(t, stream.Topology{})
	c := stream.Consumer{Stream: stream.Activations, Name: "sms", Filters: []string{events.ActivationsOf(events.SMS)}, MaxAckPending: 10}
	sub := stream.NewSubscriber(b.js, stream.SubscriberConfig{MaxInFlight: 4}, c)
	t.Cleanup(func() { _ = sub.Close() })
	messages, err := sub.Subscribe(t.Context(), c.Name)
	require.NoError(t, err)
	subject := events.ActivationSubject(events.SMS, "a")
	_, err = b.pub.Put(t.Context(), subject, []byte("{}"))
	require.NoError(t, err)
	first := <-messages

	// A new consumer knows nothing of what the old one has delivered.
	require.NoError(t, b.js.DeleteConsumer(t.Context(), c.Stream, c.Name))
	require.Eventually(t, func() bool {
		cons, err := b.js.Consumer(t.Context(), c.Stream, c.Name)
		return err == nil && cons.CachedInfo().Delivered.Consumer > 0
	}, waitLong, tick, "it is delivered again")
	_, err = b.pub.Put(t.Context(), events.ActivationSubject(events.SMS, "b"), []byte("{}"))
	require.NoError(t, err)
	other := <-messages
	require.Equal(t, "b", last(stream.DeliveryOf(other.Context()).Subject), "the first is still being handled")
	other.Ack()
	first.Ack()
	require.Eventually(t, func() bool {
		cons, err := b.js.Consumer(t.Context(), c.Stream, c.Name)
		return err == nil && cons.CachedInfo().NumAckPending == 0
	}, waitLong, tick, "its acknowledgement settles it for the new consumer too")
}

func last(subject string) string { return subject[len(subject)-1:] }
