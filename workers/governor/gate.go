package governor

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// Gate admits the calls of one process to one provider. It is safe for concurrent use.
type Gate struct {
	client *Client
	key    events.ProviderKey
	own    Quota // of this process's configuration

	holds  atomic.Pointer[Quota] // the least of all processes, as far as is known; it changes under mu
	paused atomic.Bool
	away   atomic.Pointer[away] // nil: the provider is there, as far as is known
	flying [lanes]atomic.Int64
	ok     atomic.Int64
	run    atomic.Int64

	mu        sync.Mutex
	failed    int
	throttled time.Duration
	probe     string
	looking   time.Time // until when the next call may look, whose probe waited for its record; zero: there is none
	queues    [lanes]queue
	term      uint64
	seen      int
	processes int // that share the quota, when last heard
	reserve   [lanes]int
	slots     [lanes]int // calls that were granted and are not made yet
	until     time.Time  // what is not used by then goes back
	back      int
	asked     time.Time // when what is used was counted last
	used      int       // units since that
	alone     lonely
}

// away says why nobody calls a provider, and until when. After that one may look, where its circuit is open.
type away struct {
	reason string
	until  time.Time
	open   bool
}

// queue is who waits in one lane.
type queue struct {
	waiters []*waiter
	asking  bool // a goroutine asks for them
	missed  int  // asks without an answer in a row
}

type waiter struct {
	units int
	ready chan admission // of one place
}

// admission is what a waiter gets: a call, or a refusal.
type admission struct {
	at    time.Time
	units int  // of a rate that it has
	slot  bool // it has one of the calls at once, and is counted as flying
	probe bool
	no    delivery.Refusal
}

// lonely is the part of the quota that a process spends where there is no governor.
type lonely struct {
	tokens float64
	at     time.Time // zero: there is a governor
}

const (
	lanes = 3
	// maxRuns bounds an ask.
	maxRuns = 64
	// slotLife is for how long calls at once go from one message of a process to the next, without a word
	// from the governor.
	slotLife = time.Second
)

// index is the place of a lane in the order of urgency. An unknown one is bulk.
func index(l events.Lane) int {
	switch l {
	case events.LaneVerification:
		return 0
	case events.LaneTransactional:
		return 1
	default:
		return 2
	}
}

func newGate(c *Client, key events.ProviderKey, quota Quota) *Gate {
	g := &Gate{client: c, key: key, own: quota}
	g.holds.Store(&quota)
	return g
}

// Paced tells whether the provider has a rate: the units of a message matter, and what was granted is for now only.
// Both may begin and end while other processes have another configuration.
func (g *Gate) Paced() bool { return g.quota().Rate > 0 }

// quota is what holds now.
func (g *Gate) quota() Quota { return *g.holds.Load() }

// Admit allows one call of so many units, whose end must be told to done, or says for how long to leave the
// provider alone. It waits for a part of the quota, at most for patience. Without a quota it asks nobody.
func (g *Gate) Admit(ctx context.Context, lane events.Lane, units int, patience time.Duration) (done func(error), no delivery.Refusal) {
	if g.paused.Load() {
		return nil, delivery.Refusal{Wait: pausePatience, Reason: events.WaitPaused}
	}
	l := index(lane)
	look := false
	if a := g.away.Load(); a != nil {
		now := g.client.cfg.Now()
		if a.open && g.lookOn() {
			return g.begin(l, admission{at: now, probe: true}), delivery.Refusal{}
		}
		if wait := a.until.Sub(now); wait > 0 {
			return nil, delivery.Refusal{Wait: wait, Reason: a.reason}
		}
		look = a.open
	}
	if !g.quota().limited() && !look {
		return g.begin(l, admission{}), delivery.Refusal{}
	}
	return g.wait(ctx, l, max(1, units), patience, look)
}

func (g *Gate) wait(ctx context.Context, l, units int, patience time.Duration, look bool) (func(error), delivery.Refusal) {
	g.mu.Lock()
	q := &g.queues[l]
	if !look && len(q.waiters) == 0 {
		if a, ok := g.take(l, units, g.client.cfg.Now()); ok {
			g.mu.Unlock()
			return g.begin(l, a), delivery.Refusal{}
		}
	}
	w := &waiter{units: units, ready: make(chan admission, 1)}
	q.waiters = append(q.waiters, w)
	if !q.asking {
		q.asking = g.client.run(func() { g.asks(l) })
	}
	g.mu.Unlock()

	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case a := <-w.ready:
		return g.admitted(l, a)
	case <-timer.C:
	case <-ctx.Done():
	}
	g.mu.Lock()
	if i := slices.Index(q.waiters, w); i >= 0 {
		q.waiters = slices.Delete(q.waiters, i, i+1)
		g.mu.Unlock()
		return nil, delivery.Refusal{Wait: crowded, Reason: events.WaitThrottled}
	}
	g.mu.Unlock()
	return g.admitted(l, <-w.ready) // it came in the last moment
}

const (
	// crowded is how long a message leaves a provider alone whose quota others use up: the next turns are theirs.
	crowded = 2 * turn
	// throttlePause is how long calls leave a provider alone that throttles without saying how long.
	throttlePause = time.Second
)

func (g *Gate) admitted(l int, a admission) (func(error), delivery.Refusal) {
	if a.no.Reason != "" {
		return nil, a.no
	}
	return g.begin(l, a), delivery.Refusal{}
}

// begin counts a call that is going to be made.
func (g *Gate) begin(l int, a admission) func(error) {
	if !a.slot { // a slot was turned into a call under the lock
		g.flying[l].Add(1)
	}
	return func(err error) { g.ended(l, a, err) }
}

// take uses what was granted: to the lane itself, or to one that is less urgent.
func (g *Gate) take(l, units int, now time.Time) (a admission, ok bool) {
	if g.away.Load() != nil {
		return admission{}, false
	}
	quota := g.quota()
	from, slot := -1, -1
	for i := l; i < lanes; i++ {
		if from < 0 && g.reserve[i] >= units {
			from = i
		}
		if slot < 0 && g.slots[i] > 0 {
			slot = i
		}
	}
	if quota.Rate > 0 && from < 0 || quota.Concurrency > 0 && slot < 0 {
		return admission{}, false
	}
	a.at = now
	if quota.Rate > 0 {
		g.reserve[from] -= units
		g.used += units
		a.units = units
	}
	if quota.Concurrency > 0 {
		g.slots[slot]--
		g.flying[l].Add(1)
		a.slot = true
	}
	return a, true
}

// serve hands what was granted to those who wait, the most urgent first.
func (g *Gate) serve(now time.Time) {
	for l := range g.queues {
		q := &g.queues[l]
		for len(q.waiters) > 0 {
			a, ok := g.take(l, q.waiters[0].units, now)
			if !ok {
				break
			}
			q.waiters[0].ready <- a
			q.waiters = q.waiters[1:]
		}
	}
}

// ended counts what a call came to. What is wrong with a message is no failure of its provider, and a provider
// that throttles works.
func (g *Gate) ended(l int, a admission, err error) {
	g.flying[l].Add(-1)
	switch {
	case errors.Is(err, delivery.ErrStale) && a.probe:
		g.lookLater()
		return
	case errors.Is(err, delivery.ErrNotAsked):
		g.unused(l, a)
		return
	}
	class := delivery.ClassTransient
	if err != nil {
		class = delivery.ClassOf(err)
	}
	urgent := a.probe
	switch {
	case err == nil, class == delivery.ClassPermanent:
		g.ok.Add(1)
		if g.run.Load() != 0 {
			g.run.Store(0)
		}
		g.looked(a, events.ProbeOK)
	case class == delivery.ClassRetryAfter:
		g.throttle(max(delivery.AfterOf(err), throttlePause))
		g.looked(a, events.ProbeOK)
		urgent = true
	default:
		g.run.Add(1)
		g.mu.Lock()
		g.failed++
		g.mu.Unlock()
		g.looked(a, events.ProbeFailed)
		urgent = true
	}
	if a.slot {
		urgent = g.passOn(l, a) || urgent
	}
	if urgent {
		g.client.kick()
	}
}

// looked notes what a probe came to.
func (g *Gate) looked(a admission, result string) {
	if !a.probe {
		return
	}
	g.mu.Lock()
	g.probe = result
	g.mu.Unlock()
}

// lookLater keeps a probe for the call that is about to ask for it again. Given back, it would be refused: whoever
// needs long to write records would never see that the provider is back.
func (g *Gate) lookLater() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.looking = g.client.cfg.Now().Add(keep)
}

// lookOn takes the probe that was kept.
func (g *Gate) lookOn() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.looking.IsZero() {
		return false
	}
	g.looking = time.Time{}
	return true
}

func (g *Gate) throttle(d time.Duration) {
	d = min(d, maxThrottle)
	until := g.client.cfg.Now().Add(d)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.throttled = max(g.throttled, d)
	g.ok.Add(1)
	if a := g.away.Load(); a == nil || a.until.Before(until) {
		g.away.Store(&away{reason: events.WaitThrottled, until: until})
	}
}

// unused puts back what a call that was not made had.
func (g *Gate) unused(l int, a admission) {
	g.looked(a, events.ProbeUnused)
	if a.units == 0 && !a.slot {
		if a.probe {
			g.client.kick()
		}
		return
	}
	now := g.client.cfg.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if a.units > 0 && now.Sub(a.at) > keep {
		// The time that it was granted for is over, in which the provider would have taken it. It is lost: put back,
		// by this process or by the governor, all that a stall held up would go at once.
		g.client.kick()
		return
	}
	g.reserve[l] += a.units
	g.used -= a.units
	if a.slot {
		g.slots[l]++
	}
	g.until = now.Add(keep)
	g.serve(now)
	g.client.kick()
}

// passOn lets the next message have the call of the one that ended, where only calls at once are counted. It
// tells whether nobody had a use for it.
func (g *Gate) passOn(l int, a admission) (free bool) {
	now := g.client.cfg.Now()
	if a.units > 0 || a.probe || now.Sub(a.at) >= slotLife {
		return true
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range l + 1 {
		q := &g.queues[i]
		if len(q.waiters) > 0 && g.away.Load() == nil && g.quota().Rate == 0 {
			g.flying[i].Add(1)
			q.waiters[0].ready <- admission{at: a.at, slot: true}
			q.waiters = q.waiters[1:]
			return false
		}
	}
	return true
}

// pause notes an operator's word.
func (g *Gate) pause(on bool) {
	g.paused.Store(on)
	g.client.cfg.Metrics.pause(g.key, on)
	if on {
		g.mu.Lock()
		g.refuse(delivery.Refusal{Wait: pausePatience, Reason: events.WaitPaused})
		g.mu.Unlock()
	}
}

// refuse sends all who wait away.
func (g *Gate) refuse(no delivery.Refusal) {
	for l := range g.queues {
		for _, w := range g.queues[l].waiters {
			w.ready <- admission{no: no}
		}
		g.queues[l].waiters = nil
	}
}

// told takes in how the provider stands with all.
func (g *Gate) told(s events.ProviderState) {
	now := g.client.cfg.Now()
	g.client.cfg.Metrics.stand(g.key, s.State)
	g.mu.Lock()
	defer g.mu.Unlock()
	if s.Processes > 0 {
		g.processes = s.Processes
	}
	if s.State != "" { // a new governor may not have heard of the provider yet
		least := g.own.least(Quota{s.Rate, s.Concurrency})
		g.holds.Store(&least)
	}
	switch s.State {
	case events.ProviderOpen:
		g.leave(&away{reason: events.WaitUnavailable, until: now.Add(time.Duration(s.Wait) * time.Millisecond), open: true})
	case events.ProviderThrottled:
		g.leave(&away{reason: events.WaitThrottled, until: now.Add(time.Duration(s.Wait) * time.Millisecond)})
	case events.ProviderPaused: // the bucket says it
	default:
		// What the provider told this process a moment ago, the governor may not know yet.
		if a := g.away.Load(); a != nil && (a.reason != events.WaitThrottled || !now.Before(a.until)) {
			g.away.Store(nil)
		}
	}
}

// leave notes that the provider is away. What was granted goes back.
func (g *Gate) leave(a *away) {
	g.away.Store(a)
	g.handBack()
}

// handBack lets the next report say what is not going to be used.
func (g *Gate) handBack() {
	for l := range g.reserve {
		g.back += g.reserve[l]
		g.reserve[l], g.slots[l] = 0, 0
	}
}

// report is what the governor has not heard yet. worth tells that it should.
func (g *Gate) report(last bool) (r events.ProviderReport, term uint64, worth bool) {
	now := g.client.cfg.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	if last || !now.Before(g.until) {
		g.handBack()
	}
	if !g.looking.IsZero() && (last || !now.Before(g.looking)) {
		g.looking, g.probe = time.Time{}, events.ProbeUnused
	}
	r = g.tally()
	g.client.cfg.Metrics.wait(g.key, r.Waiting)
	return r, g.term, r.OK+r.Failed+r.Back+r.Flying.Sum() > 0 || r.Throttled > 0 || r.Probe != ""
}

// tally takes what is to be told, once.
func (g *Gate) tally() events.ProviderReport {
	r := events.ProviderReport{
		Key: g.key, Rate: g.own.Rate, Concurrency: g.own.Concurrency, Seen: g.seen, Back: g.back,
		OK: int(g.ok.Swap(0)), Failed: g.failed, Run: int(g.run.Load()), Throttled: milliseconds(g.throttled), Probe: g.probe,
	}
	for l, name := range events.Lanes() {
		r.Flying.Add(name, int(g.flying[l].Load())+g.slots[l])
		r.Waiting.Add(name, len(g.queues[l].waiters))
	}
	g.back, g.failed, g.throttled, g.probe = 0, 0, 0, ""
	return r
}
