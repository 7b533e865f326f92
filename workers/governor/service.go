package governor

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

// leaseName is that of the governor's lease.
const leaseName = "governor"

// tell is between two broadcasts of how all providers stand.
const tell = time.Second

// service is the governor where this process holds the lease, and nothing where it does not.
type service struct {
	nc      *nats.Conn
	lease   *stream.Lease
	shares  Shares
	metrics *Metrics
	log     *slog.Logger
	now     func() time.Time

	mu      sync.Mutex
	ledger  *Ledger // nil: another governs
	term    uint64
	paused  map[events.ProviderKey]time.Time // without accounts
	pending map[asker]string                 // where answers go that come with a turn
	told    time.Time
	changed bool // a state, since that
	subs    []*nats.Subscription
	end     context.CancelFunc // of the turns
	turns   sync.WaitGroup
}

// asker is one ask that waits for a turn.
type asker struct {
	process string
	key     events.ProviderKey
	lane    events.Lane
}

func newService(ctx context.Context, js jetstream.JetStream, cfg Config) (*service, error) {
	s := &service{
		nc: js.Conn(), shares: cfg.Shares, metrics: cfg.Metrics, log: cfg.Log, now: cfg.Now,
		paused: map[events.ProviderKey]time.Time{}, pending: map[asker]string{},
	}
	lease := cfg.Lease
	lease.Name, lease.Holder, lease.Changed = leaseName, cfg.Process, s.govern
	var err error
	s.lease, err = stream.NewLease(ctx, js, lease)
	return s, err
}

// govern begins or ends this process's time as the governor.
func (s *service) govern(term uint64) {
	s.metrics.lead(term != 0)
	if term == 0 {
		s.retire()
		return
	}
	s.mu.Lock()
	s.term = term
	s.ledger = NewLedger(s.term, s.shares, s.now())
	for k, since := range s.paused {
		s.ledger.Pause(k.Provider, k.Channel, since)
	}
	s.told, s.changed = time.Time{}, true
	s.mu.Unlock()
	s.log.Info("this process governs the providers' quotas")
	for subject, heard := range map[string]nats.MsgHandler{events.GovernorAskSubject: s.asked, events.GovernorShowSubject: s.show} {
		sub, err := s.nc.Subscribe(subject, heard)
		if err != nil {
			s.log.Error("the governor cannot listen", "err", err)
			continue
		}
		s.subs = append(s.subs, sub)
	}
	ctx, cancel := context.WithCancel(context.Background())
	s.end = cancel
	s.turns.Go(func() { s.take(ctx) })
}

func (s *service) retire() {
	s.log.Info("this process does not govern the providers' quotas any more")
	for _, sub := range s.subs {
		_ = sub.Unsubscribe() // a connection that is gone has ended it
	}
	s.subs = nil
	s.end()
	s.turns.Wait()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.ledger, s.term = nil, 0
	clear(s.pending)
}

// take makes turns until ctx ends.
func (s *service) take(ctx context.Context) {
	tick := time.NewTicker(turn)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
			s.turn()
		}
	}
}

// governs tells whether the ledger may be asked. Whoever could not renew the lease grants nothing.
func (s *service) governs() bool { return s.ledger != nil && s.lease.Term() == s.term }

func (s *service) turn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.governs() {
		return
	}
	now := s.now()
	for _, g := range s.ledger.Turn(now) {
		who := asker{g.Process, g.Key, g.Lane}
		if reply, ok := s.pending[who]; ok {
			delete(s.pending, who)
			s.answer(reply, g.Key, g.Lane, g.Answer)
		}
	}
	if s.changed || now.Sub(s.told) >= tell {
		s.told, s.changed = now, false
		s.publish(events.GovernorStateSubject, s.ledger.States(now))
	}
}

func (s *service) answer(reply string, key events.ProviderKey, lane events.Lane, a events.GovernorAnswer) {
	s.metrics.grant(key, lane, a)
	s.publish(reply, a)
}

// publish does not wait: what is lost is asked again.
func (s *service) publish(subject string, v any) {
	b, err := json.Marshal(v)
	if err == nil {
		err = s.nc.Publish(subject, b)
	}
	if err != nil {
		s.log.Warn("the governor's answer is lost", "err", err)
	}
}

// asked takes in reports, and an ask. To one who does not govern any more there is no answer but that.
func (s *service) asked(m *nats.Msg) {
	q, err := events.Decode[events.GovernorAsk](m.Data)
	if err != nil || q.Process == "" {
		s.log.Warn("the governor was told what it cannot read")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if !s.governs() {
		if m.Reply != "" {
			s.publish(m.Reply, events.GovernorAnswer{Version: events.Version})
		}
		return
	}
	now := s.now()
	for _, r := range q.Reports {
		if s.ledger.Report(now, q.Process, q.Term, r) {
			s.changed = true
		}
	}
	if q.Ask == nil || m.Reply == "" {
		return
	}
	a, ok := s.ledger.Ask(now, q.Process, *q.Ask)
	if !ok {
		s.pending[asker{q.Process, q.Ask.Key, q.Ask.Lane}] = m.Reply
		return
	}
	s.answer(m.Reply, q.Ask.Key, q.Ask.Lane, a)
}

// show answers with how all providers stand.
func (s *service) show(m *nats.Msg) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if m.Reply != "" && s.governs() {
		s.publish(m.Reply, s.ledger.States(s.now()))
	}
}

// pause notes an operator's word.
func (s *service) pause(key events.ProviderKey, since time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if since.IsZero() {
		delete(s.paused, key)
	} else {
		s.paused[key] = since
	}
	if s.ledger != nil {
		s.ledger.Pause(key.Provider, key.Channel, since)
		s.changed = true
	}
}

// showTimeout bounds a question to the governor. It answers in a moment, or is not there.
const showTimeout = time.Second

// Show asks the governor how all providers stand. It fails where none answers in a second.
func Show(ctx context.Context, nc *nats.Conn) (events.GovernorStates, error) {
	ctx, cancel := context.WithTimeout(ctx, showTimeout)
	defer cancel()
	m, err := nc.RequestWithContext(ctx, events.GovernorShowSubject, nil)
	if err != nil {
		return events.GovernorStates{}, fmt.Errorf("ask the governor: %w", err)
	}
	return events.Decode[events.GovernorStates](m.Data)
}
