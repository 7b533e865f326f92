package notification_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
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
	"github.com/assent-io/assent/workers/notification"
)

// shares are those that are configured unasked.
func shares(l events.Lane) int {
	return map[events.Lane]int{events.LaneVerification: 60, events.LaneTransactional: 25, events.LaneBulk: 15}[l]
}

const (
	life     = time.Hour
	waitLong = 40 * time.Second // a test that waits longer has failed
	consumer = "sms-bulk"
	// What must never be seen outside of a Sender.
	secretName = "Wilhelmina"
	secretText = "your parcel"
)

func number(i int) string { return fmt.Sprintf("+141555%05d", i) }

// clock runs, and a test may move it on.
type clock struct {
	mu    sync.Mutex
	ahead time.Duration
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return time.Now().Add(c.ahead)
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ahead += d
}

// lines collects what is logged.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(p)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// verdict is what a worker told the broker about one part.
type verdict struct {
	word  string // +ACK, -NAK or +TERM
	delay time.Duration
}

// suppressed lists destinations with the cause.
type suppressed map[string]string

func (s suppressed) Suppressed(_ context.Context, _, _, destination string, _ events.Lane) (string, bool, error) {
	cause, found := s[destination]
	return cause, found, nil
}

// plain is a text whose {{name}} is filled in.
type plain events.NotificationBody

func parse(b events.NotificationBody) (notification.Body, error) {
	if b.Text == "broken" {
		return nil, errors.New("unclosed placeholder")
	}
	return plain(b), nil
}

func (p plain) Fill(variables map[string]string) (events.NotificationBody, error) {
	name, ok := variables["name"]
	if !ok {
		return events.NotificationBody{}, errors.New("name is missing")
	}
	return events.NotificationBody{Subject: p.Subject, Text: strings.ReplaceAll(p.Text, "{{name}}", name)}, nil
}

// carried lists providers in their order; those that say nothing about it may always be called.
type carried []delivery.Candidate

func (c carried) Candidates(_ delivery.Message, avoid []string) []delivery.Candidate {
	found := slices.Clone(c)
	for i := range found {
		if found[i].Admit == nil {
			found[i].Admit = open
		}
	}
	slices.SortStableFunc(found, func(a, b delivery.Candidate) int {
		return strings.Compare(fmt.Sprint(slices.Contains(avoid, a.Provider)), fmt.Sprint(slices.Contains(avoid, b.Provider)))
	})
	return found
}

func open(context.Context, time.Duration) (func(error), delivery.Refusal) {
	return func(error) {}, delivery.Refusal{}
}

// carrier counts what it takes, by the id of the message.
type carrier struct {
	mu    sync.Mutex
	calls map[string]int
	texts map[string]string
	most  int // calls at once
	busy  int
	// answer says what a call comes to; nil takes all.
	answer func(ctx context.Context, m delivery.Message) error
}

func (c *carrier) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	c.mu.Lock()
	if c.calls == nil {
		c.calls, c.texts = map[string]int{}, map[string]string{}
	}
	c.calls[m.ID]++
	c.texts[m.ID] = m.Notice.Text.Reveal()
	c.busy++
	c.most = max(c.most, c.busy)
	answer := c.answer
	c.mu.Unlock()
	defer func() {
		c.mu.Lock()
		c.busy--
		c.mu.Unlock()
	}()
	if answer != nil {
		if err := answer(ctx, m); err != nil {
			return delivery.Receipt{}, err
		}
	}
	return delivery.Receipt{ID: "SM-" + m.ID}, nil
}

// counts are the calls by message.
func (c *carrier) counts() map[string]int {
	c.mu.Lock()
	defer c.mu.Unlock()
	counts := map[string]int{}
	for id, n := range c.calls {
		counts[id] = n
	}
	return counts
}

// house is a real broker and all that workers of notifications need.
type house struct {
	t        testing.TB
	server   *embednats.Server
	js       jetstream.JetStream
	pub      *stream.Publisher
	keys     *keyring.Keyring
	clock    *clock
	lines    *lines
	log      *slog.Logger
	registry *prometheus.Registry
	metrics  *notification.Metrics
	verdicts chan verdict
}

func build(t testing.TB) *house {
	t.Helper()
	keys, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	h := &house{
		t: t, server: embednatstest.Start(t, t.TempDir()), keys: keys, clock: &clock{}, lines: &lines{},
		registry: prometheus.NewRegistry(), verdicts: make(chan verdict, 4096),
	}
	h.log = slog.New(slog.NewJSONHandler(h.lines, &slog.HandlerOptions{Level: slog.LevelDebug}))
	h.metrics = notification.NewMetrics(h.registry, delivery.NewMetrics(h.registry))
	h.js = embednatstest.Connect(t, h.server)
	h.pub = stream.NewPublisher(h.js)
	require.NoError(t, stream.Ensure(t.Context(), h.js, stream.Topology{}))
	// Acknowledgements are messages too: a second subscriber sees what the broker is told.
	_, err = h.js.Conn().Subscribe("$JS.ACK.>", func(m *nats.Msg) {
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
	require.NoError(t, h.js.Conn().Flush())
	return h
}

// part is one of so many text messages, with a name to fill in.
func (h *house) part(n int, change ...func(*events.NotificationQueued, *events.NotificationContent)) events.NotificationQueued {
	h.t.Helper()
	now := h.clock.now().UTC()
	q := events.NotificationQueued{
		Version: events.Version, ID: uuid.NewString(), Credential: "shop", Lane: events.LaneBulk, Channel: events.SMS,
		Brand: "Shop", CreatedAt: now, SendAt: now, ExpiresAt: now.Add(life),
	}
	c := events.NotificationContent{Bodies: []events.NotificationBody{{Text: "{{name}}, " + secretText + " is here"}}}
	for i := range n {
		q.Recipients = append(q.Recipients, events.NotificationRecipient{Index: i, ToMasked: "+1•••", Destination: fmt.Sprintf("hash-%d", i)})
		c.Recipients = append(c.Recipients, events.NotificationFilling{To: number(i), Variables: map[string]string{"name": fmt.Sprintf("%s %d", secretName, i)}})
	}
	for _, f := range change {
		f(&q, &c)
	}
	plain, err := json.Marshal(c)
	require.NoError(h.t, err)
	q.Content, err = h.keys.Seal(keyring.Channel(events.SMS), events.PartID(q.ID, q.Part), plain)
	require.NoError(h.t, err)
	return q
}

func (h *house) publish(q events.NotificationQueued) {
	h.t.Helper()
	data, err := events.Encode(q)
	require.NoError(h.t, err)
	_, err = h.pub.Put(h.t.Context(), events.NotificationSubject(q.Lane, q.Channel, q.ID, q.Part), data)
	require.NoError(h.t, err)
}

// handler is a worker's, on a connection.
func (h *house) handler(js jetstream.JetStream, routes delivery.Routes, change ...func(*notification.Handler)) *notification.Handler {
	h.t.Helper()
	journal, err := notification.NewStreams(h.t.Context(), js, stream.NewPublisher(js))
	require.NoError(h.t, err)
	handler := &notification.Handler{
		Channel: events.SMS, Routes: routes, Keys: h.keys, Journal: journal, Suppressions: suppressed{}, Parse: parse,
		Policy: delivery.Policy{
			SendTimeout: delivery.DefaultSendTimeout, Unknown: delivery.Resend, Hold: delivery.DefaultHold, MaxAttempts: delivery.DefaultMaxAttempts,
		},
		Slots: notification.NewSlots(256, shares), Now: h.clock.now, Log: h.log, Metrics: h.metrics,
	}
	for _, c := range change {
		c(handler)
	}
	return handler
}

// work runs a worker on a connection of its own until the test ends or stop is called.
func (h *house) work(routes delivery.Routes, change ...func(*notification.Handler)) (stop func()) {
	h.t.Helper()
	return h.workOn(embednatstest.Connect(h.t, h.server), routes, change...)
}

func (h *house) workOn(js jetstream.JetStream, routes delivery.Routes, change ...func(*notification.Handler)) (stop func()) {
	h.t.Helper()
	handler := h.handler(js, routes, change...)
	sub := stream.NewSubscriber(js, stream.SubscriberConfig{Grace: time.Second, Log: h.log}, handler.Slots.Consumers(events.SMS)...)
	r, err := stream.NewRouter(h.log, waitLong)
	require.NoError(h.t, err)
	r.AddMiddleware(stream.Middleware(stream.NewPublisher(js))...)
	r.AddConsumerHandler(consumer, consumer, sub, handler.Handle)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan struct{})
	go func() { defer close(done); _ = r.Run(ctx) }()
	<-r.Running()
	stop = sync.OnceFunc(func() { cancel(); _ = sub.Close(); <-done })
	h.t.Cleanup(stop)
	return stop
}

// told reads the log of a part.
func (h *house) told(q events.NotificationQueued) stream.PartLog {
	h.t.Helper()
	r, err := stream.NewReader(h.t.Context(), h.js, stream.Progress)
	require.NoError(h.t, err)
	log, err := r.PartLog(h.t.Context(), events.ProgressOf(q.ID, q.Part))
	require.NoError(h.t, err)
	return log
}

// ends are the words of how each message ended, by its place, and asserts that each ended once.
func (h *house) ends(q events.NotificationQueued) map[int]events.MessageEnded {
	h.t.Helper()
	ends := map[int]events.MessageEnded{}
	for _, e := range h.told(q).Entries {
		for _, ended := range e.Ended {
			switch ended.Status {
			case events.DeliverySent, events.DeliveryFailed, events.DeliveryExpired:
				require.NotContains(h.t, ends, ended.Place, "a message ends once")
				ends[ended.Place] = ended
			}
		}
	}
	return ends
}

// cancel withdraws as the API does.
func (h *house) cancel(q events.NotificationQueued, change func(*events.NotificationProgressed)) {
	h.t.Helper()
	e := events.NotificationProgressed{Version: events.Version, ID: q.ID, Part: q.Part, At: h.clock.now().UTC()}
	change(&e)
	data, err := events.Encode(e)
	require.NoError(h.t, err)
	for {
		_, err = h.pub.Put(h.t.Context(), events.ProgressSubject(q.ID, q.Part), data, stream.Expecting(h.told(q).Sequence))
		if !errors.Is(err, stream.ErrConflict) {
			break
		}
	}
	require.NoError(h.t, err)
}

// receive stores a provider's report.
func (h *house) receive(q events.NotificationQueued, r events.MessageReceipt) {
	h.t.Helper()
	r.Version, r.ID, r.Part, r.At = events.Version, q.ID, q.Part, h.clock.now().UTC()
	data, err := events.Encode(r)
	require.NoError(h.t, err)
	_, err = h.pub.Put(h.t.Context(), events.ReceiptSubject(q.ID, q.Part), data)
	require.NoError(h.t, err)
}

// acked waits until a part is acknowledged, and lists what the broker was told before.
func (h *house) acked() (before []verdict) {
	h.t.Helper()
	for {
		v := next(h.t, h.verdicts)
		if v.word == "+ACK" {
			return before
		}
		before = append(before, v)
	}
}

// next is what comes next on a channel, or the end of the test.
func next[T any](t testing.TB, c <-chan T) T {
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
