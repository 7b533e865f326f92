package stream

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"strconv"
	"sync"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go/jetstream"
)

// SubscriberConfig tunes a Subscriber.
type SubscriberConfig struct {
	// MaxInFlight is how many messages this process handles at once.
	MaxInFlight int
	// Grace bounds how long Close waits for handlers that are still running.
	Grace time.Duration
	Log   *slog.Logger
}

// Subscriber is Watermill's Subscriber over durable pull consumers, with many messages in flight.
//
// It asks the broker for exactly as many messages as it has free slots, so none waits in a buffer
// of the client while its acknowledgement clock runs, and none is stranded there at shutdown. A
// message being handled is reported as in progress until its handler returns.
type Subscriber struct {
	js        jetstream.JetStream
	consumers map[string]Consumer
	cfg       SubscriberConfig

	closeOnce sync.Once
	closing   chan struct{}
	running   sync.WaitGroup
}

const (
	defaultMaxInFlight = 64
	defaultGrace       = 20 * time.Second
	// A pull waits this long for messages. It bounds how long Close waits for the last pull, and
	// how many empty pulls an idle worker makes.
	pullWait = time.Second
	// After a failed pull the next waits this long: the broker is gone or changing its leader.
	pullRetry = 250 * time.Millisecond
	// With fewer free slots than this share, a pull waits a moment for more: one pull for several
	// messages costs the broker less than one for each.
	gatherShare = 8
	gatherWait  = 2 * time.Millisecond
)

// NewSubscriber subscribes to the given consumers; a consumer's topic is its name.
func NewSubscriber(js jetstream.JetStream, cfg SubscriberConfig, consumers ...Consumer) *Subscriber {
	if cfg.MaxInFlight <= 0 {
		cfg.MaxInFlight = defaultMaxInFlight
	}
	if cfg.Grace <= 0 {
		cfg.Grace = defaultGrace
	}
	byName := make(map[string]Consumer, len(consumers))
	for _, c := range consumers {
		byName[c.Name] = c
	}
	return &Subscriber{js: js, consumers: byName, cfg: cfg, closing: make(chan struct{})}
}

// Subscribe starts pulling for the consumer of this name. The channel closes after the last
// message in flight was settled with the broker. When ctx ends, pulling ends; handlers keep
// running until they return or the grace period is over.
func (s *Subscriber) Subscribe(ctx context.Context, topic string) (<-chan *message.Message, error) {
	c, ok := s.consumers[topic]
	if !ok {
		return nil, errors.New("subscribe: no consumer of this name")
	}
	cons, err := c.ensure(ctx, s.js)
	if err != nil {
		return nil, err
	}
	select {
	case <-s.closing:
		return nil, errors.New("subscribe: subscriber is closed")
	default:
	}
	p := &puller{
		sub: s, consumer: c, cons: cons,
		out:   make(chan *message.Message),
		slots: make(chan struct{}, cmp.Or(c.MaxInFlight, s.cfg.MaxInFlight)), held: map[uint64]struct{}{},
	}
	s.running.Add(1)
	go func() {
		defer s.running.Done()
		p.run(ctx)
	}()
	return p.out, nil
}

// Close ends all subscriptions and waits for what is in flight.
func (s *Subscriber) Close() error {
	s.closeOnce.Do(func() { close(s.closing) })
	s.running.Wait()
	return nil
}

// puller is one subscription.
type puller struct {
	sub      *Subscriber
	consumer Consumer
	cons     jetstream.Consumer
	out      chan *message.Message
	slots    chan struct{} // one token for each message pulled and not settled

	mu   sync.Mutex
	held map[uint64]struct{} // the places in the stream of what is being handled
}

// hold claims a message for one handler. A broker that was killed, or whose consumer was deleted,
// delivers again what a handler here still works on; false tells that this is such a message.
func (p *puller) hold(sequence uint64) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	_, busy := p.held[sequence]
	p.held[sequence] = struct{}{}
	return !busy
}

func (p *puller) letGo(sequence uint64) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.held, sequence)
}

func (p *puller) run(ctx context.Context) {
	defer close(p.out)
	pulling, stop := context.WithCancel(ctx) // ends with the router or with Close
	defer stop()
	go func() {
		select {
		case <-p.sub.closing:
			stop()
		case <-pulling.Done():
		}
	}()
	// Handlers outlive ctx: a call to a provider is not cut because the process is asked to end.
	work, cut := context.WithCancel(context.WithoutCancel(ctx))
	defer cut()

	var handlers sync.WaitGroup
	for pulling.Err() == nil {
		free := p.acquire(pulling)
		if free == 0 {
			break
		}
		taken := p.pull(work, free, &handlers)
		p.release(free - taken)
	}
	finished := make(chan struct{})
	go func() { handlers.Wait(); close(finished) }()
	grace := time.NewTimer(p.sub.cfg.Grace)
	defer grace.Stop()
	select {
	case <-finished:
	case <-grace.C:
		cut()
		<-finished
	}
}

// acquire waits for a free slot and takes all there are.
func (p *puller) acquire(pulling context.Context) int {
	select {
	case p.slots <- struct{}{}:
	case <-pulling.Done():
		return 0
	}
	free := 1 + p.acquireMore()
	if want := cap(p.slots) / gatherShare; free < want {
		gather := time.NewTimer(gatherWait)
		defer gather.Stop()
		for free < want {
			select {
			case p.slots <- struct{}{}:
				free++
				continue
			case <-gather.C:
			}
			break
		}
		free += p.acquireMore()
	}
	return free
}

func (p *puller) acquireMore() int {
	for n := 0; ; n++ {
		select {
		case p.slots <- struct{}{}:
		default:
			return n
		}
	}
}

func (p *puller) release(n int) {
	for range n {
		<-p.slots
	}
}

// pull asks for n messages, starts a handler for each that comes, and says how many came.
func (p *puller) pull(work context.Context, n int, handlers *sync.WaitGroup) int {
	batch, err := p.cons.Fetch(n, jetstream.FetchMaxWait(pullWait))
	taken := 0
	if err == nil {
		for m := range batch.Messages() {
			taken++
			handlers.Go(func() {
				defer p.release(1)
				p.deliver(work, m)
			})
		}
		err = batch.Error()
	}
	if err != nil && !errors.Is(err, jetstream.ErrNoMessages) {
		p.recover(work, err)
	}
	return taken
}

// recover waits a moment after a failed pull and makes the consumer anew where it was lost with
// its stream's leader or deleted by hand.
func (p *puller) recover(ctx context.Context, cause error) {
	if p.sub.cfg.Log != nil {
		p.sub.cfg.Log.Warn("pull failed, trying again", "consumer", p.consumer.Name, "err", cause)
	}
	t := time.NewTimer(pullRetry)
	defer t.Stop()
	select {
	case <-t.C:
	case <-p.sub.closing:
		return
	}
	ctx, cancel := context.WithTimeout(ctx, readTimeout)
	defer cancel()
	if cons, err := p.consumer.ensure(ctx, p.sub.js); err == nil {
		p.cons = cons
	}
}

// deliver hands one message to the router and settles it as the handler decided.
func (p *puller) deliver(ctx context.Context, m jetstream.Msg) {
	meta, err := m.Metadata()
	if err != nil {
		_ = m.TermWithReason("no JetStream metadata")
		return
	}
	if !p.hold(meta.Sequence.Stream) {
		_ = m.NakWithDelay(ackWait / 3) // by then the first may have told what it did
		return
	}
	defer p.letGo(meta.Sequence.Stream)
	d := &Delivery{
		Subject: m.Subject(), Sequence: meta.Sequence.Stream, Attempt: int(meta.NumDelivered), //nolint:gosec // counts deliveries, far below the border
		StoredAt: meta.Timestamp, Consumer: p.consumer.Name,
	}
	id := m.Headers().Get(jetstream.MsgIDHeader)
	if id == "" {
		id = strconv.FormatUint(d.Sequence, 10) // Watermill wants one for its own bookkeeping
	}
	wm := message.NewMessage(id, m.Data())
	for k, v := range m.Headers() {
		if len(v) > 0 {
			wm.Metadata[k] = v[0]
		}
	}
	mctx, cancel := context.WithCancel(context.WithValue(ctx, deliveryKey{}, d))
	defer cancel()
	wm.SetContext(mctx)
	select {
	case p.out <- wm:
	case <-ctx.Done():
		_ = m.Nak()
		return
	}
	beat := time.NewTicker(ackWait / 3)
	defer beat.Stop()
	for {
		select {
		case <-beat.C:
			_ = m.InProgress()
		case <-wm.Acked():
			_ = m.Ack()
			return
		case <-wm.Nacked():
			d.refuse(m)
			return
		case <-ctx.Done():
			return // the grace period is over: the broker delivers again
		}
	}
}

// Delivery is what the broker knows about a message being handled, and what a refused one becomes.
type Delivery struct {
	Subject  string
	Sequence uint64
	Consumer string
	StoredAt time.Time
	// Attempt is 1 for the first delivery and rises with each repetition.
	Attempt int

	mu       sync.Mutex
	after    time.Duration
	terminal string
}

type deliveryKey struct{}

// DeliveryOf is the delivery that a handler's context belongs to; nil outside of one.
func DeliveryOf(ctx context.Context) *Delivery {
	d, _ := ctx.Value(deliveryKey{}).(*Delivery)
	return d
}

// RetryAfter lets the broker deliver a refused message again after d.
func (d *Delivery) RetryAfter(after time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.after = after
}

// Terminate ends a refused message for good.
func (d *Delivery) Terminate(reason string) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.terminal = reason
}

func (d *Delivery) refuse(m jetstream.Msg) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case d.terminal != "":
		_ = m.TermWithReason(d.terminal)
	case d.after > 0:
		_ = m.NakWithDelay(d.after)
	default:
		_ = m.NakWithDelay(pullRetry) // never at once: a failing handler must not spin
	}
}
