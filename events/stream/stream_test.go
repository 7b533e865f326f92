package stream_test

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/stream"
)

// broker is a real server with the real topology, one for each test.
type broker struct {
	js  jetstream.JetStream
	pub *stream.Publisher
}

func start(t *testing.T, top stream.Topology) broker {
	t.Helper()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, top))
	return broker{js, stream.NewPublisher(js)}
}

func (b broker) reader(t *testing.T, name string) *stream.Reader {
	t.Helper()
	r, err := stream.NewReader(t.Context(), b.js, name)
	require.NoError(t, err)
	return r
}

func TestEnsureMayRunTwiceAndChangeTheQuota(t *testing.T) {
	b := start(t, stream.Topology{})
	require.NoError(t, stream.Ensure(t.Context(), b.js, stream.Topology{SendQuota: 7}))
	s, err := b.js.Stream(t.Context(), stream.Windows)
	require.NoError(t, err)
	require.EqualValues(t, 7, s.CachedInfo().Config.MaxMsgsPerSubject)
	require.NoError(t, stream.Exists(t.Context(), b.js))
}

func TestCompareAndSetLetsExactlyOneOfManyWin(t *testing.T) {
	b := start(t, stream.Topology{})
	subject := events.OutcomeSubject("race")
	var won, lost atomic.Int64
	var wg sync.WaitGroup
	for range 32 {
		wg.Go(func() {
			_, err := b.pub.Put(t.Context(), subject, []byte("{}"), stream.Expecting(0))
			switch {
			case err == nil:
				won.Add(1)
			case errors.Is(err, stream.ErrConflict):
				lost.Add(1)
			default:
				t.Error(err)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, won.Load())
	require.EqualValues(t, 31, lost.Load())
}

func TestAMessageThatIsTooLargeIsRefusedAsSuch(t *testing.T) {
	b := start(t, stream.Topology{})
	for name, size := range map[string]int{"for its stream": 65 << 10, "for the broker": 2 << 20} {
		_, err := b.pub.Put(t.Context(), events.OutcomeSubject("large"), make([]byte, size))
		require.ErrorIs(t, err, stream.ErrTooLarge, name)
	}
}

func TestExpectingNoneGuardsAllChannelsOfAnID(t *testing.T) {
	b := start(t, stream.Topology{})
	guard := stream.ExpectingNone(events.ActivationByID("x"))
	_, err := b.pub.Put(t.Context(), events.ActivationSubject(events.SMS, "x"), []byte("{}"), guard)
	require.NoError(t, err)
	_, err = b.pub.Put(t.Context(), events.ActivationSubject(events.Voice, "x"), []byte("{}"), guard)
	require.ErrorIs(t, err, stream.ErrConflict)
}

func TestAWindowTakesItsQuotaAndOpensWhenSendsLeave(t *testing.T) {
	b := start(t, stream.Topology{SendQuota: 3})
	subject := events.WindowSubject(events.WindowDestination, "h")
	var accepted, full atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			_, err := b.pub.Put(t.Context(), subject, []byte("{}"), stream.WithTTL(2*time.Second))
			if err == nil {
				accepted.Add(1)
			} else if errors.Is(err, stream.ErrFull) {
				full.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 3, accepted.Load())
	require.EqualValues(t, 61, full.Load())
	require.Eventually(t, func() bool {
		_, err := b.pub.Put(t.Context(), subject, []byte("{}"), stream.WithTTL(time.Minute))
		return err == nil
	}, 15*time.Second, 50*time.Millisecond, "the window opens again")
	all, err := b.reader(t, stream.Windows).All(t.Context(), subject)
	require.NoError(t, err)
	require.LessOrEqual(t, len(all), 3)
}

func TestReadsFindTheLastAndAllInOrder(t *testing.T) {
	b := start(t, stream.Topology{})
	r := b.reader(t, stream.Deliveries)
	_, err := r.Last(t.Context(), events.DeliveriesOf("a"))
	require.ErrorIs(t, err, stream.ErrAbsent)
	none, err := r.All(t.Context(), events.DeliveriesOf("a"))
	require.NoError(t, err)
	require.Empty(t, none)
	for _, s := range []string{events.DeliverySent, events.DeliveryDelivered, events.DeliverySent} {
		_, err := b.pub.Put(t.Context(), events.DeliverySubject("a", s), []byte(s))
		require.NoError(t, err)
	}
	_, err = b.pub.Put(t.Context(), events.DeliverySubject("b", events.DeliverySent), []byte("other"))
	require.NoError(t, err)
	all, err := r.All(t.Context(), events.DeliveriesOf("a"))
	require.NoError(t, err)
	got := make([]string, 0, len(all))
	for _, rec := range all {
		got = append(got, string(rec.Data))
	}
	require.Equal(t, []string{"sent", "delivered", "sent"}, got)
	last, err := r.Last(t.Context(), events.DeliveriesOf("a"))
	require.NoError(t, err)
	require.Equal(t, all[2], last)
}

func TestAReportIsStoredOnceAndLeavesWithItsVerification(t *testing.T) {
	b := start(t, stream.Topology{})
	report := events.DeliverySettled{EventID: "same", ID: "a", Channel: events.SMS, Send: 1, Status: events.DeliverySent}
	for range 2 {
		require.NoError(t, b.pub.Settle(t.Context(), report))
	}
	all, err := b.reader(t, stream.Deliveries).All(t.Context(), events.DeliveriesOf("a"))
	require.NoError(t, err)
	require.Len(t, all, 1)
	s, err := b.js.Stream(t.Context(), stream.Deliveries)
	require.NoError(t, err)
	raw, err := s.GetMsg(t.Context(), all[0].Sequence)
	require.NoError(t, err)
	require.Equal(t, "1800s", raw.Header.Get(jetstream.MsgTTLHeader), "the longest life and the grace")
}

// subscribe runs a router with one handler on the sms consumer until the test ends, and returns
// what stops it early and waits.
func (b broker) subscribe(t *testing.T, inFlight int, dead func(consumer, kind string), h message.NoPublishHandlerFunc) (stop func()) {
	t.Helper()
	log := discard()
	sub := stream.NewSubscriber(b.js, stream.SubscriberConfig{MaxInFlight: inFlight, Log: log}, stream.Consumer{
		Stream: stream.Activations, Name: "sms", Filters: []string{events.ActivationsOf(events.SMS)}, MaxAckPending: 1000,
	})
	r, err := stream.NewRouter(log, 10*time.Second)
	require.NoError(t, err)
	r.AddMiddleware(stream.Middleware(b.sealing().Counting(dead))...)
	r.AddConsumerHandler("sms", "sms", sub, h)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	<-r.Running()
	stop = sync.OnceFunc(func() { cancel(); _ = sub.Close(); <-done })
	t.Cleanup(stop)
	return stop
}

func (b broker) activate(t *testing.T, id string, data string) {
	t.Helper()
	_, err := b.pub.Put(t.Context(), events.ActivationSubject(events.SMS, id), []byte(data))
	require.NoError(t, err)
}

func TestManyMessagesAreInFlightAtOnceAndNeverMoreThanAllowed(t *testing.T) {
	b := start(t, stream.Topology{})
	const n, limit = 100, 16
	var running, peak atomic.Int64
	full, release := make(chan struct{}), make(chan struct{})
	var handled sync.WaitGroup
	handled.Add(n)
	b.subscribe(t, limit, nil, func(*message.Message) error {
		now := running.Add(1)
		defer running.Add(-1)
		for p := peak.Load(); now > p; p = peak.Load() {
			if peak.CompareAndSwap(p, now) {
				break
			}
		}
		if now == limit {
			close(full)
		}
		<-release
		handled.Done()
		return nil
	})
	for i := range n {
		b.activate(t, string(rune('a'+i%26))+string(rune('a'+i/26)), "{}")
	}
	<-full // all slots are taken at once, or the test hangs and says so
	close(release)
	handled.Wait()
	require.EqualValues(t, limit, peak.Load())
}

func TestARefusedMessageComesAgainAndKnowsItsAttempt(t *testing.T) {
	b := start(t, stream.Topology{})
	attempts := make(chan int, 8)
	b.subscribe(t, 4, nil, func(m *message.Message) error {
		d := stream.DeliveryOf(m.Context())
		attempts <- d.Attempt
		if d.Attempt < 3 {
			d.RetryAfter(10 * time.Millisecond)
			return errors.New("not yet")
		}
		return nil
	})
	b.activate(t, "again", "{}")
	require.Equal(t, []int{1, 2, 3}, []int{<-attempts, <-attempts, <-attempts})
}

func TestAPanicIsARefusalNotACrash(t *testing.T) {
	b := start(t, stream.Topology{})
	second := make(chan struct{})
	b.subscribe(t, 1, nil, func(m *message.Message) error {
		d := stream.DeliveryOf(m.Context())
		if d.Attempt == 1 {
			d.RetryAfter(time.Millisecond)
			panic("handler fault")
		}
		close(second)
		return nil
	})
	b.activate(t, "panics", "{}")
	<-second
}

func TestClosingCutsNoHandlerAndLosesNoAck(t *testing.T) {
	b := start(t, stream.Topology{})
	const n = 8
	var started sync.WaitGroup
	started.Add(n)
	release := make(chan struct{})
	var cut atomic.Int64
	stop := b.subscribe(t, n, nil, func(m *message.Message) error {
		started.Done()
		<-release
		if m.Context().Err() != nil {
			cut.Add(1)
		}
		return nil
	})
	for i := range n {
		b.activate(t, string(rune('a'+i)), "{}")
	}
	started.Wait()
	stopped := make(chan struct{})
	go func() { stop(); close(stopped) }()
	close(release)
	<-stopped
	require.Zero(t, cut.Load())
	cons, err := b.js.Consumer(t.Context(), stream.Activations, "sms")
	require.NoError(t, err)
	require.Eventually(t, func() bool {
		info, err := cons.Info(t.Context())
		return err == nil && info.NumAckPending == 0 && info.NumPending == 0 && info.AckFloor.Consumer == n
	}, 5*time.Second, 20*time.Millisecond, "all acked, none delivered twice")
}

func TestNumbersBeginHighAndGoOnAcrossEnsure(t *testing.T) {
	b := start(t, stream.Topology{})
	var last uint64
	for range 3 {
		n, err := b.pub.Put(t.Context(), events.NumberSubject, nil)
		require.NoError(t, err)
		require.Equal(t, max(last+1, 10_000_001), n)
		last = n
		require.NoError(t, stream.Ensure(t.Context(), b.js, stream.Topology{}))
	}
	s, err := b.js.Stream(t.Context(), stream.Numbers)
	require.NoError(t, err)
	require.EqualValues(t, 1, s.CachedInfo().State.Msgs, "the counter takes no room")
}

func TestASubjectTakesAsManyGuessesAsItsQuota(t *testing.T) {
	b := start(t, stream.Topology{})
	subject := events.GuessSubject("login", "somebody")
	for range stream.GuessQuota {
		_, err := b.pub.Put(t.Context(), subject, []byte("{}"), stream.WithTTL(time.Minute))
		require.NoError(t, err)
	}
	_, err := b.pub.Put(t.Context(), subject, []byte("{}"))
	require.ErrorIs(t, err, stream.ErrFull)
	_, err = b.pub.Put(t.Context(), events.UsedSubject("device", 7), []byte("{}"), stream.Expecting(0))
	require.NoError(t, err)
	_, err = b.pub.Put(t.Context(), events.UsedSubject("device", 7), []byte("{}"), stream.Expecting(0))
	require.ErrorIs(t, err, stream.ErrConflict)
}

func TestEveryReportOfALongHistoryIsRead(t *testing.T) {
	t.Parallel()
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	p := stream.NewPublisher(js)
	const calls = 300
	for i := range calls {
		require.NoError(t, p.Settle(t.Context(), events.DeliverySettled{ID: "v1", Channel: events.SMS, Send: 1, Status: events.DeliveryRetrying, Attempt: i + 1}))
	}
	require.NoError(t, p.Settle(t.Context(), events.DeliverySettled{ID: "v2", Channel: events.SMS, Send: 1, Status: events.DeliverySent}))
	r, err := stream.NewReader(t.Context(), js, stream.Deliveries)
	require.NoError(t, err)
	reports, err := r.Reports(t.Context(), "v1")
	require.NoError(t, err)
	require.Len(t, reports, calls)
	require.Equal(t, calls, reports[calls-1].Attempt)
}
