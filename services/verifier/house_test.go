package verifier_test

import (
	"cmp"
	"context"
	"crypto/rand"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/services/verifier"
)

const waitLong = 30 * time.Second // a test that waits longer has failed

// clock is a wall clock that a test can push forward.
type clock struct{ ahead atomic.Int64 }

func (c *clock) now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) forward(d time.Duration) { c.ahead.Add(int64(d)) }

// house is a real broker, a store as the api has one, and as many verifiers as a test asks for.
type house struct {
	t      *testing.T
	server *embednats.Server
	js     jetstream.JetStream
	pub    *stream.Publisher
	keys   *keyring.Keyring
	clock  *clock
	store  *store.Verifications
	// settled holds what verifiers told the broker about messages: +ACK, -NAK or +TERM.
	settled chan string
	// counted holds what Verifier.Resolved was told: the kind and the result.
	counted chan string
}

func build(t *testing.T) *house {
	t.Helper()
	s := embednatstest.Start(t, t.TempDir())
	keys, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	h := &house{
		t: t, server: s, keys: keys, clock: &clock{},
		settled: make(chan string, 4096), counted: make(chan string, 4096),
	}
	h.js = h.connect()
	require.NoError(t, stream.Ensure(t.Context(), h.js, stream.Topology{}))
	h.pub, h.store = stream.NewPublisher(h.js), h.newStore()
	// Acknowledgements are messages too: a second subscriber sees what the broker is told.
	_, err = h.js.Conn().Subscribe("$JS.ACK.>", func(m *nats.Msg) {
		if word, _, _ := strings.Cut(string(m.Data), " "); word != "+WPI" {
			h.settled <- word
		}
	})
	require.NoError(t, err)
	require.NoError(t, h.js.Conn().Flush())
	return h
}

// connect is a connection of its own, as another process would have.
func (h *house) connect() jetstream.JetStream { return embednatstest.Connect(h.t, h.server) }

func (h *house) newStore() *store.Verifications { return h.storeOn(h.connect()) }

func (h *house) storeOn(js jetstream.JetStream) *store.Verifications {
	h.t.Helper()
	s, err := store.NewVerifications(h.t.Context(), js, store.Config{
		Keys: h.keys, Limits: store.Limits{SendQuota: stream.DefaultSendQuota, SendWindow: stream.DefaultSendWindow}, Now: h.clock.now,
	})
	require.NoError(h.t, err)
	h.t.Cleanup(s.Close)
	return s
}

// verify runs a verifier; wrap may stand between it and its store.
func (h *house) verify(wrap ...func(verifier.Resolver) verifier.Resolver) {
	h.t.Helper()
	h.verifyWith(func(v *verifier.Verifier) {
		for _, w := range wrap {
			v.Verifications = w(v.Verifications)
		}
	})
}

// verifyWith runs a verifier with a store and connections of its own until the test ends.
func (h *house) verifyWith(change func(*verifier.Verifier)) {
	h.t.Helper()
	log := slog.New(slog.DiscardHandler)
	v := &verifier.Verifier{
		Verifications: h.newStore(), Log: log,
		Resolved: func(kind, status string) { h.counted <- kind + " " + status },
	}
	change(v)
	js := h.connect()
	sub := stream.NewSubscriber(js, stream.SubscriberConfig{MaxInFlight: 32, Log: log}, verifier.Consumers()...)
	router, err := stream.NewRouter(log, waitLong)
	require.NoError(h.t, err)
	router.AddMiddleware(stream.Middleware(stream.NewPublisher(js))...)
	router.AddConsumerHandler(verifier.ResponsesConsumer, verifier.ResponsesConsumer, sub, v.HandleResponse)
	router.AddConsumerHandler(verifier.DeliveriesConsumer, verifier.DeliveriesConsumer, sub, v.HandleDelivery)
	router.AddConsumerHandler(verifier.TimersConsumer, verifier.TimersConsumer, sub, v.HandleTimer)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = router.Run(ctx) }()
	<-router.Running()
	h.t.Cleanup(func() { cancel(); _ = sub.Close(); <-done })
}

// ask creates a verification to a number of its own; the steps of its fallback go to the same number.
func (h *house) ask(challenge verification.Challenge, steps ...verification.Step) verification.Verification {
	h.t.Helper()
	return h.askAs(uuid.NewString(), challenge, steps...)
}

func (h *house) askAs(id string, challenge verification.Challenge, steps ...verification.Step) verification.Verification {
	h.t.Helper()
	v, secrets, err := verification.New(verification.Params{
		ID: id, Credential: "shop", Channel: verification.SMS, Challenge: challenge, Fallback: steps,
	}, h.clock.now(), rand.Reader)
	require.NoError(h.t, err)
	a := verification.Activation{Verification: v, Secrets: secrets, To: "+1415" + id[len(id)-7:]}
	for range steps {
		a.Roads = append(a.Roads, verification.Road{To: a.To})
	}
	v, _, err = h.store.Create(h.t.Context(), a)
	require.NoError(h.t, err)
	return v
}

func (h *house) get(id string) verification.Verification {
	h.t.Helper()
	v, err := h.newStore().Get(h.t.Context(), id)
	require.NoError(h.t, err)
	return v
}

func (h *house) answer(id string, d events.Decision) {
	h.t.Helper()
	require.NoError(h.t, h.pub.Respond(h.t.Context(), events.ResponseReceived{
		EventID: uuid.NewString(), ID: id, Kind: events.ResponseSMS, Decision: d, ReceivedAt: h.clock.now(),
	}))
}

func (h *house) report(id string, send int, status, reason string) {
	h.t.Helper()
	h.tell(events.DeliverySettled{ID: id, Send: send, Status: status, Reason: reason})
}

// tell stores a report, of a text message unless it names another channel.
func (h *house) tell(d events.DeliverySettled) {
	h.t.Helper()
	d.Channel, d.At = cmp.Or(d.Channel, events.SMS), h.clock.now()
	require.NoError(h.t, h.pub.Settle(h.t.Context(), d))
}

// put stores any bytes under a subject.
func (h *house) put(subject, data string) {
	h.t.Helper()
	_, err := h.pub.Put(h.t.Context(), subject, []byte(data))
	require.NoError(h.t, err)
}

// drained waits until the broker waits for nothing of this consumer, and says how often it handed
// out messages.
func (h *house) drained(streamName, consumer string) (deliveries uint64) {
	h.t.Helper()
	cons, err := h.js.Consumer(h.t.Context(), streamName, consumer)
	require.NoError(h.t, err)
	require.Eventually(h.t, func() bool {
		info, err := cons.Info(h.t.Context())
		if err != nil || info.NumAckPending != 0 || info.NumPending != 0 {
			return false
		}
		deliveries = info.Delivered.Consumer
		return true
	}, waitLong, 10*time.Millisecond)
	return deliveries
}

// writes is how many outcomes were ever stored.
func (h *house) writes() uint64 {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), stream.Outcomes)
	require.NoError(h.t, err)
	return s.CachedInfo().State.LastSeq
}

// watched is a Resolver that something stands before: an error of it keeps the call from being made.
type watched struct {
	verifier.Resolver
	before func(id string) error
}

func (w watched) Resolve(ctx context.Context, id string, f verification.Fact) (verification.Verification, error) {
	if err := w.before(id); err != nil {
		return verification.Verification{}, err
	}
	return w.Resolver.Resolve(ctx, id, f)
}

func (w watched) Undelivered(ctx context.Context, d events.DeliverySettled) (verification.Move, error) {
	if err := w.before(d.ID); err != nil {
		return verification.Move{}, err
	}
	return w.Resolver.Undelivered(ctx, d)
}

// resolving is a Resolver whose facts are applied by a function, and that tells of what a message closed
// that did not arrive.
type resolving struct {
	verifier.Resolver
	resolve func(context.Context, string, verification.Fact) (verification.Verification, error)
	closed  func(id string)
}

func (r resolving) Undelivered(ctx context.Context, d events.DeliverySettled) (verification.Move, error) {
	move, err := r.Resolver.Undelivered(ctx, d)
	if err == nil && move.Close {
		r.closed(d.ID)
	}
	return move, err
}

func (r resolving) Resolve(ctx context.Context, id string, f verification.Fact) (verification.Verification, error) {
	return r.resolve(ctx, id, f)
}

// tally counts by key.
type tally struct {
	mu sync.Mutex
	n  map[string]int
}

func (c *tally) add(key string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.n == nil {
		c.n = map[string]int{}
	}
	c.n[key]++
}

func (c *tally) of(key string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.n[key]
}

// next is what comes next on a channel, or the end of the test.
func next[T any](t *testing.T, c <-chan T) T {
	t.Helper()
	limit := time.NewTimer(waitLong)
	defer limit.Stop()
	select {
	case v := <-c:
		return v
	case <-limit.C:
		require.FailNow(t, "waited in vain")
		panic("unreachable")
	}
}
