package delivery_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
)

// What must never be seen outside of a Sender.
const (
	number = "+14155550123"
	code   = "482913"
	token  = "3kZq9LinkTokenThatOpensTheDoor7Yp2"
)

const (
	life     = 5 * time.Minute
	waitLong = 30 * time.Second // a test that waits longer has failed
	consumer = "sms"
)

// clock stands still until a test moves it.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

// journal collects what is logged.
type journal struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (j *journal) Write(p []byte) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.Write(p)
}

func (j *journal) String() string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.buf.String()
}

// verdict is what a worker told the broker about one message.
type verdict struct {
	word  string // +ACK, -NAK or +TERM
	delay time.Duration
}

// house is a real broker and all that a worker of text messages needs.
type house struct {
	t        *testing.T
	server   *embednats.Server
	js       jetstream.JetStream
	pub      *stream.Publisher
	keys     *keyring.Keyring
	clock    *clock
	journal  *journal
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *delivery.Metrics
	verdicts chan verdict
	letters  chan string // the kinds of the dead letters that the workers counted
}

func build(t *testing.T) *house {
	t.Helper()
	h := &house{
		t: t, server: embednatstest.Start(t, t.TempDir()), keys: newKeys(t), clock: &clock{at: time.Now().UTC().Round(0)}, journal: &journal{},
		registry: prometheus.NewRegistry(), verdicts: make(chan verdict, 1024),
		letters: make(chan string, 16),
	}
	h.log = slog.New(slog.NewJSONHandler(h.journal, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.metrics = delivery.NewMetrics(h.registry)
	nc, js := h.connect()
	h.js, h.pub = js, stream.NewPublisher(js)
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	// Acknowledgements are messages too: a second subscriber sees what the broker is told.
	_, err := nc.Subscribe("$JS.ACK.>", func(m *nats.Msg) {
		word, rest, _ := strings.Cut(string(m.Data), " ")
		if word == "+WPI" {
			return
		}
		var nak struct {
			Delay time.Duration `json:"delay"`
		}
		_ = json.Unmarshal([]byte(rest), &nak) // only a NAK has one
		h.verdicts <- verdict{word, nak.Delay}
	})
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	return h
}

func newKeys(t *testing.T) *keyring.Keyring {
	t.Helper()
	k, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	return k
}

// connect is a connection of its own, as another process would have.
func (h *house) connect() (*nats.Conn, jetstream.JetStream) {
	h.t.Helper()
	js := embednatstest.Connect(h.t, h.server)
	return js.Conn(), js
}

// activation asks for one text message with a code, unless change says otherwise.
func (h *house) activation(change ...func(*events.VerificationActivated)) events.VerificationActivated {
	h.t.Helper()
	now := h.clock.now()
	a := events.VerificationActivated{
		Version: events.Version, ID: uuid.NewString(), Credential: "shop", Channel: events.SMS, Challenge: events.Code,
		Send: 1, ToMasked: "+1•••23", Destination: "hash", Locale: "en", Brand: "Shop", KeyID: h.keys.CurrentID(),
		Context: events.Context{Action: "sign in", Place: "Lisbon"}, CodeLength: 6, MaxChecks: 5,
		CreatedAt: now, RequestedAt: now, ExpiresAt: now.Add(life),
	}
	a.Content = h.seal(a.ID, events.DeliveryContent{To: number, Code: code, Token: token})
	for _, c := range change {
		c(&a)
	}
	return a
}

func (h *house) seal(id string, content any) events.Sealed {
	h.t.Helper()
	plain, err := json.Marshal(content)
	require.NoError(h.t, err)
	s, err := h.keys.Seal(keyring.Channel(events.SMS), id, plain)
	require.NoError(h.t, err)
	return s
}

// publish puts activations where the worker of text messages finds them.
func (h *house) publish(as ...events.VerificationActivated) {
	h.t.Helper()
	for _, a := range as {
		data, err := events.Encode(a)
		require.NoError(h.t, err)
		h.publishRaw(a.ID, data)
	}
}

func (h *house) publishRaw(id string, data []byte) {
	h.t.Helper()
	_, err := h.pub.Put(h.t.Context(), events.ActivationSubject(events.SMS, id), data)
	require.NoError(h.t, err)
}

// work runs a worker on a connection of its own until the test ends or stop is called.
func (h *house) work(send delivery.SenderFunc, change ...func(*delivery.Handler)) (stop func()) {
	h.t.Helper()
	_, js := h.connect()
	return h.workOn(js, send, change...)
}

func (h *house) workOn(js jetstream.JetStream, send delivery.SenderFunc, change ...func(*delivery.Handler)) (stop func()) {
	h.t.Helper()
	pub := stream.NewPublisher(js).Counting(func(_, kind string) { h.letters <- kind })
	streams, err := delivery.NewStreams(h.t.Context(), js, pub)
	require.NoError(h.t, err)
	handler := &delivery.Handler{
		Channel: events.SMS, Routes: carried{{Provider: "twilio", Sender: send, Route: "+1"}}, Keys: h.keys, Journal: streams,
		Policy: delivery.Policy{
			SendTimeout: delivery.DefaultSendTimeout, Unknown: delivery.Resend, Hold: delivery.DefaultHold, MaxAttempts: delivery.DefaultMaxAttempts,
		},
		Now: h.clock.now, Log: h.log, Metrics: h.metrics,
	}
	for _, c := range change {
		c(handler)
	}
	sub := stream.NewSubscriber(js, stream.SubscriberConfig{MaxInFlight: 16, Log: h.log}, stream.Consumer{
		Stream: stream.Activations, Name: consumer, Filters: []string{events.ActivationsOf(events.SMS)}, MaxAckPending: 1000,
	})
	r, err := stream.NewRouter(h.log, waitLong)
	require.NoError(h.t, err)
	r.AddMiddleware(stream.Middleware(pub)...)
	r.AddConsumerHandler(consumer, consumer, sub, handler.Handle)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	<-r.Running()
	stop = sync.OnceFunc(func() { cancel(); _ = sub.Close(); <-done })
	h.t.Cleanup(stop)
	return stop
}

// reports reads what is stored of a verification's deliveries, oldest first.
func (h *house) reports(ctx context.Context, id string) ([]events.DeliverySettled, error) {
	r, err := stream.NewReader(ctx, h.js, stream.Deliveries)
	if err != nil {
		return nil, err
	}
	records, err := r.All(ctx, events.DeliveriesOf(id))
	if err != nil {
		return nil, err
	}
	settled := make([]events.DeliverySettled, 0, len(records))
	for _, rec := range records {
		d, err := events.Decode[events.DeliverySettled](rec.Data)
		if err != nil {
			return nil, err
		}
		settled = append(settled, d)
	}
	return settled, nil
}

// only is the one report there must be of how a message ended.
func (h *house) only(id string) events.DeliverySettled {
	h.t.Helper()
	var ends []events.DeliverySettled
	for _, r := range h.told(id) {
		switch r.Status {
		case events.DeliveryBegun, events.DeliveryRetrying, events.DeliveryUnknown:
		default:
			ends = append(ends, r)
		}
	}
	require.Len(h.t, ends, 1)
	return ends[0]
}

// told is what is reported of a verification, oldest first.
func (h *house) told(id string) []events.DeliverySettled {
	h.t.Helper()
	all, err := h.reports(h.t.Context(), id)
	require.NoError(h.t, err)
	return all
}

// words are the statuses of what is reported of a verification, with the provider and the attempt.
func (h *house) words(id string) []string {
	h.t.Helper()
	var words []string
	for _, r := range h.told(id) {
		words = append(words, strings.TrimSpace(fmt.Sprintf("%s %s %d", r.Status, r.Provider, r.Attempt)))
	}
	return words
}

// carried lists providers in their order; those that say nothing about it may always be called.
type carried []delivery.Candidate

func (c carried) Candidates(_ delivery.Message, avoid []string) []delivery.Candidate {
	found := slices.Clone(c)
	for i := range found {
		if found[i].Admit == nil {
			found[i].Admit = func(context.Context, time.Duration) (func(error), delivery.Refusal) {
				return func(error) {}, delivery.Refusal{}
			}
		}
	}
	slices.SortStableFunc(found, func(a, b delivery.Candidate) int {
		return strings.Compare(fmt.Sprint(slices.Contains(avoid, a.Provider)), fmt.Sprint(slices.Contains(avoid, b.Provider)))
	})
	return found
}

// settled is a journal whose reports go through a function.
type settled struct {
	delivery.Journal
	settle func(context.Context, events.DeliverySettled) error
}

func (s settled) Settle(ctx context.Context, d events.DeliverySettled) error {
	return s.settle(ctx, d)
}

// reporting is a journal whose reports are read through a function.
type reporting struct {
	delivery.Journal
	reports func(context.Context, string) ([]events.DeliverySettled, error)
}

func (r reporting) Reports(ctx context.Context, id string) ([]events.DeliverySettled, error) {
	return r.reports(ctx, id)
}

// buried reads all dead letters, oldest first.
func (h *house) buried() []events.DeadLetter {
	h.t.Helper()
	s, err := h.js.Stream(h.t.Context(), stream.DeadLetters)
	require.NoError(h.t, err)
	info, err := s.Info(h.t.Context())
	require.NoError(h.t, err)
	var letters []events.DeadLetter
	for seq := info.State.FirstSeq; info.State.Msgs > 0 && seq <= info.State.LastSeq; seq++ {
		raw, err := s.GetMsg(h.t.Context(), seq)
		require.NoError(h.t, err)
		letter, err := events.Decode[events.DeadLetter](raw.Data)
		require.NoError(h.t, err)
		letters = append(letters, letter)
	}
	return letters
}

// settledAll waits until the broker waits for nothing more, and asserts that it was told no more
// than was already received: nothing is acknowledged twice.
func (h *house) settledAll() {
	h.t.Helper()
	cons, err := h.js.Consumer(h.t.Context(), stream.Activations, consumer)
	require.NoError(h.t, err)
	require.Eventually(h.t, func() bool {
		info, err := cons.Info(h.t.Context())
		return err == nil && info.NumAckPending == 0 && info.NumPending == 0
	}, waitLong, 10*time.Millisecond)
	require.Empty(h.t, h.verdicts)
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

func requireNoSecrets(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{number, strings.TrimPrefix(number, "+"), code, token} {
		require.NotContains(t, text, secret)
	}
}

// took is a carrier that takes every message and passes it on.
func took(sent chan<- delivery.Message) delivery.SenderFunc {
	return func(_ context.Context, m delivery.Message) (delivery.Receipt, error) {
		sent <- m
		return delivery.Receipt{ID: "SM-" + m.ID}, nil
	}
}
