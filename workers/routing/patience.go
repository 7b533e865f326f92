package routing

import (
	"slices"
	"sync"
	"time"

	"github.com/assent-io/assent/events"
)

// How long a receipt takes is learned for each provider and country from the last of them.
const (
	window     = 256
	enough     = 20 // receipts before anything is concluded
	percentile = 0.99
	slack      = 2 // a receipt is missed when it takes so many times what nearly all take
	leastWait  = 5 * time.Second
	mostWait   = 2 * time.Minute
	// A route whose receipts fail to come is left for others for a while, once this share of the last
	// ones was missed.
	missedOf    = 20
	missedShare = 0.5
	missedPause = time.Minute
)

// Patience knows how long the receipts of each route take, and which routes stopped giving any. It is
// safe for concurrent use.
type Patience struct {
	channel events.Channel
	now     func() time.Time

	mu     sync.Mutex
	routes map[route]*learned
}

type route struct{ provider, country string }

type learned struct {
	took   []time.Duration // the last of them, in a ring
	next   int
	wait   time.Duration // computed from them; zero: not yet
	missed []bool        // of the last messages that were judged, in a ring
	at     int
	until  time.Time // left for others until then
}

// NewPatience learns of one channel, and knows nothing yet: a call's receipt comes when it has ended, a
// text's when it has arrived.
func NewPatience(channel events.Channel, now func() time.Time) *Patience {
	return &Patience{channel: channel, now: now, routes: map[route]*learned{}}
}

// maxRoutes bounds the memory: there are some 230 countries, and a handful of providers.
const maxRoutes = 4096

// Learn takes in one report of a delivery: a receipt and how long it took, or that one was missed. Those
// of other channels say nothing.
func (p *Patience) Learn(d events.DeliverySettled) {
	missed := d.Status == events.DeliveryRequested && d.Missed == p.channel
	if d.Provider == "" || !missed && (d.Status != events.DeliveryDelivered || d.Channel != p.channel) {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	key := route{d.Provider, d.Route}
	l := p.routes[key]
	if l == nil {
		if len(p.routes) >= maxRoutes {
			return
		}
		l = &learned{}
		p.routes[key] = l
	}
	l.judge(missed, p.now())
	if !missed && d.Took > 0 {
		l.add(time.Duration(d.Took * float64(time.Second)))
	}
}

func (l *learned) add(took time.Duration) {
	if len(l.took) < window {
		l.took = append(l.took, took)
	} else {
		l.took[l.next] = took
		l.next = (l.next + 1) % window
	}
	if len(l.took) < enough || len(l.took) == window && l.next%8 != 0 { // sorting for each would be waste
		return
	}
	sorted := slices.Clone(l.took)
	slices.Sort(sorted)
	nearly := sorted[int(percentile*float64(len(sorted)-1))]
	l.wait = min(max(slack*nearly, leastWait), mostWait)
}

func (l *learned) judge(missed bool, now time.Time) {
	if len(l.missed) < missedOf {
		l.missed = append(l.missed, missed)
	} else {
		l.missed[l.at] = missed
		l.at = (l.at + 1) % missedOf
	}
	n := 0
	for _, m := range l.missed {
		if m {
			n++
		}
	}
	if len(l.missed) == missedOf && float64(n) >= missedShare*missedOf {
		l.until = now.Add(missedPause)
		l.missed, l.at = nil, 0
	}
}

// Of is how long to wait for a receipt of a route; zero where that is not known, or none is to be
// expected for now.
func (p *Patience) Of(provider, country string) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.routes[route{provider, country}]
	if l == nil || p.now().Before(l.until) {
		return 0
	}
	return l.wait
}

// left tells that a route is to be left for others.
func (p *Patience) left(provider, country string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.routes[route{provider, country}]
	return l != nil && p.now().Before(l.until)
}
