package governor

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

// Config is what a Client is made of.
type Config struct {
	// Process is different for each process of the fleet.
	Process string
	Shares  Shares
	Metrics *Metrics
	Log     *slog.Logger
	// Now is a clock that never goes back, of this process only.
	Now func() time.Time
	// Lease changes the times of the governor's lease; zero: the usual.
	Lease stream.LeaseConfig
}

// Client is how one worker process asks the governor, which it may become itself. It is safe for concurrent use.
type Client struct {
	cfg     Config
	nc      *nats.Conn
	service *service

	life   context.Context //nolint:containedctx // of the client itself
	cancel context.CancelFunc
	parts  sync.WaitGroup
	ends   []func()
	kicked chan struct{}

	running sync.Mutex // of parts and closed; it is the innermost lock
	closed  bool

	mu     sync.Mutex
	gates  []*Gate
	paused map[events.ProviderKey]time.Time // without accounts
}

// The times of a client.
const (
	askTimeout  = 500 * time.Millisecond
	reportEvery = 250 * time.Millisecond
	reportLeast = 25 * time.Millisecond // between two reports that cannot wait
	aliveEvery  = time.Second           // a process without traffic says that it is there
	lookEvery   = 50 * time.Millisecond // for a governor, where there is none
)

// Start joins the fleet: it follows the operators' pauses and wants to be the governor. The buckets must exist.
func Start(ctx context.Context, js jetstream.JetStream, cfg Config) (*Client, error) {
	c := &Client{cfg: cfg, nc: js.Conn(), kicked: make(chan struct{}, 1), paused: map[events.ProviderKey]time.Time{}}
	var err error
	if c.service, err = newService(ctx, js, cfg); err != nil {
		return nil, fmt.Errorf("join the governor: %w", err)
	}
	kv, err := js.KeyValue(ctx, stream.Providers)
	if err != nil {
		return nil, fmt.Errorf("open pauses of providers: %w", err)
	}
	end, err := stream.Follow(ctx, js, kv, ">", c.heardPause)
	if err != nil {
		return nil, fmt.Errorf("follow pauses of providers: %w", err)
	}
	sub, err := c.nc.Subscribe(events.GovernorStateSubject, c.heardStates)
	if err != nil {
		end()
		return nil, fmt.Errorf("listen to the governor: %w", err)
	}
	c.ends = append(c.ends, end, func() { _ = sub.Unsubscribe() })
	c.life, c.cancel = context.WithCancel(context.WithoutCancel(ctx))
	c.parts.Go(func() { c.service.lease.Run(c.life) })
	c.parts.Go(c.reports)
	return c, nil
}

// Close hands back what was granted, gives up the lease, and ends what Start began. Nothing is admitted after.
func (c *Client) Close() {
	c.running.Lock()
	c.closed = true
	c.running.Unlock()
	c.cancel()
	c.parts.Wait()
	for _, end := range c.ends {
		end()
	}
}

// run does something beside the rest, unless the client ends; it tells which.
func (c *Client) run(f func()) bool {
	c.running.Lock()
	defer c.running.Unlock()
	if !c.closed {
		c.parts.Go(f)
	}
	return !c.closed
}

// Gate is the gate of one provider's account on one channel. It is asked for once, at the start.
func (c *Client) Gate(key events.ProviderKey, quota Quota) *Gate {
	g := newGate(c, key, quota)
	c.mu.Lock()
	c.gates = append(c.gates, g)
	g.pause(c.pausedSince(key))
	c.mu.Unlock()
	c.kick() // the governor learns how many share the quota
	return g
}

func (c *Client) pausedSince(key events.ProviderKey) bool {
	return !c.paused[events.ProviderKey{Provider: key.Provider}].IsZero() ||
		!c.paused[events.ProviderKey{Provider: key.Provider, Channel: key.Channel}].IsZero()
}

// heardPause takes in one entry of the bucket: its key is the provider, and the channel behind a dot where
// it is one of them only.
func (c *Client) heardPause(e jetstream.KeyValueEntry) {
	provider, channel, _ := strings.Cut(e.Key(), ".")
	key := events.ProviderKey{Provider: provider, Channel: events.Channel(channel)}
	var since time.Time
	if len(e.Value()) > 0 {
		p, err := events.Decode[events.ProviderPause](e.Value())
		if err != nil {
			c.cfg.Log.Warn("a pause of a provider cannot be read", "provider", provider, "err", err)
			return
		}
		since = p.At
	}
	c.mu.Lock()
	if since.IsZero() {
		delete(c.paused, key)
	} else {
		c.paused[key] = since
	}
	for _, g := range c.gates {
		g.pause(c.pausedSince(g.key))
	}
	c.mu.Unlock()
	c.service.pause(key, since)
}

// heardStates takes in what the governor tells all.
func (c *Client) heardStates(m *nats.Msg) {
	s, err := events.Decode[events.GovernorStates](m.Data)
	if err != nil {
		return
	}
	known := map[events.ProviderKey]events.ProviderState{}
	for _, p := range s.Providers {
		known[p.Key] = p
	}
	for _, g := range c.all() {
		g.told(known[g.key])
	}
}

func (c *Client) all() []*Gate {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.gates
}

// kick lets the next report go soon.
func (c *Client) kick() {
	select {
	case c.kicked <- struct{}{}:
	default:
	}
}

// reports tells the governor what calls came to, until the client ends.
func (c *Client) reports() {
	tick := time.NewTicker(reportEvery)
	defer tick.Stop()
	soon := time.NewTimer(time.Hour)
	defer soon.Stop()
	armed := false
	last := c.cfg.Now().Add(-aliveEvery)
	for {
		select {
		case <-c.life.Done():
			c.report(true, true)
			_ = c.nc.FlushTimeout(askTimeout) // what is lost is missed by nobody for long
			return
		case <-c.kicked:
			if !armed {
				armed = true
				soon.Reset(reportLeast)
			}
			continue
		case <-soon.C:
			armed = false
		case <-tick.C:
		}
		alive := c.cfg.Now().Sub(last) >= aliveEvery
		if alive {
			last = c.cfg.Now()
		}
		c.report(alive, false)
	}
}

func (c *Client) report(whole, last bool) {
	if !c.nc.IsConnected() {
		return // nothing is kept for a governor of another time
	}
	q := events.GovernorAsk{Version: events.Version, Process: c.cfg.Process}
	byTerm := map[uint64][]events.ProviderReport{}
	for _, g := range c.all() {
		if r, term, worth := g.report(last); worth || whole {
			byTerm[term] = append(byTerm[term], r)
		}
	}
	for q.Term, q.Reports = range byTerm {
		if b, err := json.Marshal(q); err == nil {
			_ = c.nc.Publish(events.GovernorAskSubject, b) // as above
		}
	}
}

// errNoGovernor: nobody governs just now.
var errNoGovernor = errors.New("there is no governor")

// ask makes one round trip to the governor.
func (c *Client) ask(r events.ProviderReport, term uint64, w events.ProviderAsk) (events.GovernorAnswer, error) {
	b, err := json.Marshal(events.GovernorAsk{
		Version: events.Version, Process: c.cfg.Process, Term: term, Reports: []events.ProviderReport{r}, Ask: &w,
	})
	if err != nil {
		return events.GovernorAnswer{}, fmt.Errorf("ask the governor: %w", err)
	}
	ctx, cancel := context.WithTimeout(c.life, askTimeout)
	defer cancel()
	m, err := c.nc.RequestWithContext(ctx, events.GovernorAskSubject, b)
	if errors.Is(err, nats.ErrNoResponders) {
		return events.GovernorAnswer{}, errNoGovernor
	}
	if err != nil {
		return events.GovernorAnswer{}, fmt.Errorf("ask the governor: %w", err)
	}
	a, err := events.Decode[events.GovernorAnswer](m.Data)
	if err == nil && a.Term == 0 {
		err = errNoGovernor
	}
	return a, err
}
