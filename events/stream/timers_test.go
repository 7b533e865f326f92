package stream_test

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/stream"
)

const timed = "0199b1c2-0000-7000-8000-000000000001"

func due(t *testing.T, js jetstream.JetStream) jetstream.Consumer {
	t.Helper()
	c, err := js.CreateOrUpdateConsumer(t.Context(), stream.Timers, jetstream.ConsumerConfig{Durable: "due", FilterSubject: events.DueSubjects})
	require.NoError(t, err)
	return c
}

func next(t *testing.T, c jetstream.Consumer) (events.TimerDue, jetstream.Msg) {
	t.Helper()
	m, err := c.Next(jetstream.FetchMaxWait(10 * time.Second))
	require.NoError(t, err)
	got, err := events.Decode[events.TimerDue](m.Data())
	require.NoError(t, err)
	require.NoError(t, m.DoubleAck(t.Context()))
	return got, m
}

func TestATimerComesAtItsTimeAlsoAfterTheBrokerWasStartedAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := embednatstest.Start(t, dir)
	js := embednatstest.Connect(t, s)
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	p := stream.NewPublisher(js)
	at := time.Now().Add(1500 * time.Millisecond)
	require.NoError(t, p.Schedule(t.Context(), at, events.TimerDue{Kind: events.TimerFallback, ID: timed, Step: 1}))
	require.NoError(t, p.Schedule(t.Context(), at, events.TimerDue{Kind: events.TimerFallback, ID: timed, Step: 2}))
	s.Shutdown()

	js = embednatstest.Connect(t, embednatstest.Start(t, dir))
	c := due(t, js)
	one, m := next(t, c)
	two, _ := next(t, c)
	require.Equal(t, events.DueSubject(events.TimerFallback, timed), m.Subject())
	require.ElementsMatch(t, []int{1, 2}, []int{one.Step, two.Step})
	meta, err := m.Metadata()
	require.NoError(t, err)
	require.False(t, meta.Timestamp.Before(at), "never before its time")
}

func TestATimerThatIsMadeAgainTakesThePlaceOfTheFirst(t *testing.T) {
	t.Parallel()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	p, c := stream.NewPublisher(js), due(t, js)
	first := events.TimerDue{Kind: events.TimerReceipt, ID: timed, Send: 1, Provider: "twilio"}
	require.NoError(t, p.Schedule(t.Context(), time.Now().Add(time.Minute), first))
	again := first
	again.Provider = "backup"
	require.NoError(t, p.Schedule(t.Context(), time.Now(), again))
	got, _ := next(t, c)
	require.Equal(t, "backup", got.Provider)
}

func TestATimerThatIsTakenBackDoesNotCome(t *testing.T) {
	t.Parallel()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	p, c := stream.NewPublisher(js), due(t, js)
	soon := time.Now().Add(time.Second)
	require.NoError(t, p.Schedule(t.Context(), soon, events.TimerDue{Kind: events.TimerFallback, ID: timed, Step: 1}))
	require.NoError(t, p.Schedule(t.Context(), soon, events.TimerDue{Kind: events.TimerReceipt, ID: timed, Send: 7}))
	require.NoError(t, p.Unschedule(t.Context(), events.TimerFallback, timed))
	require.NoError(t, p.Unschedule(t.Context(), events.TimerFallback, timed), "none is not an error")
	later := events.TimerDue{Kind: events.TimerFallback, ID: timed, Step: 3}
	require.NoError(t, p.Schedule(t.Context(), soon.Add(time.Second), later))
	one, _ := next(t, c)
	two, _ := next(t, c)
	require.Equal(t, 7, one.Send, "of the other kind")
	require.Equal(t, 3, two.Step, "the one that was taken back never came")
}
