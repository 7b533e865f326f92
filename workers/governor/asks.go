package governor

import (
	"errors"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// asks asks for those who wait in one lane, one ask at a time, until nobody does.
func (g *Gate) asks(l int) {
	for {
		g.mu.Lock()
		q := &g.queues[l]
		if len(q.waiters) == 0 || g.client.life.Err() != nil {
			q.asking = false
			g.mu.Unlock()
			return
		}
		now := g.client.cfg.Now()
		w := events.ProviderAsk{Key: g.key, Lane: events.Lanes()[l], Sizes: sizes(q.waiters), Ahead: g.ahead(now)}
		term, r := g.term, g.tally()
		g.mu.Unlock()
		a, err := g.client.ask(r, term, w)
		if err != nil {
			g.unanswered(l, err)
		} else {
			g.answered(l, a)
		}
		if err != nil || a.Calls == 0 && a.Reason == "" && g.client.cfg.Now().Sub(now) < lookEvery/2 {
			g.rest()
		}
	}
}

// rest is the pause before the next ask, where an answer did not take its time.
func (g *Gate) rest() {
	t := time.NewTimer(lookEvery)
	defer t.Stop()
	select {
	case <-t.C:
	case <-g.client.life.Done():
	}
}

// ahead guesses what will be used in the time of a turn, from what was used lately.
func (g *Gate) ahead(now time.Time) int {
	d := now.Sub(g.asked)
	if d <= 0 {
		return 0
	}
	n := int(float64(g.used) * turn.Seconds() / max(d, turn).Seconds())
	g.asked, g.used = now, 0
	return n
}

// sizes lists the units of those who wait, equal ones in a row as one entry.
func sizes(waiters []*waiter) []events.MessageSizes {
	var all []events.MessageSizes
	for _, w := range waiters {
		if n := len(all); n > 0 && all[n-1].Units == w.units {
			all[n-1].Count++
			continue
		}
		if len(all) == maxRuns {
			break
		}
		all = append(all, events.MessageSizes{Units: w.units, Count: 1})
	}
	return all
}

// answered takes in what the governor says.
func (g *Gate) answered(l int, a events.GovernorAnswer) {
	now := g.client.cfg.Now()
	g.mu.Lock()
	defer g.mu.Unlock()
	q := &g.queues[l]
	q.missed, g.alone.at = 0, time.Time{}
	if g.term != a.Term {
		// What another governor granted is not this one's to count.
		g.handBack()
		g.term, g.seen, g.back = a.Term, 0, 0
	}
	g.seen = max(g.seen, a.Granted)
	if a.Processes > 0 {
		g.processes = a.Processes
	}
	wait := time.Duration(a.Wait) * time.Millisecond
	switch {
	case a.Reason != "":
		g.client.cfg.Metrics.asked("refused")
		if a.Reason != events.WaitPaused {
			g.leave(&away{reason: a.Reason, until: now.Add(wait), open: a.Reason == events.WaitUnavailable})
		}
		g.refuse(delivery.Refusal{Wait: wait, Reason: a.Reason})
	case a.Probe:
		g.client.cfg.Metrics.asked("granted")
		g.look(l, now)
	default:
		g.client.cfg.Metrics.asked(map[bool]string{true: "granted", false: "empty"}[a.Calls > 0])
		if w := g.away.Load(); w != nil && (w.open || !now.Before(w.until)) {
			g.away.Store(nil)
		}
		quota := g.quota()
		if !quota.limited() {
			g.release(now)
			return
		}
		g.reserve[l] += a.Units
		if quota.Concurrency > 0 {
			g.slots[l] += a.Calls
		}
		g.until = now.Add(keep)
		g.serve(now)
	}
}

// look lets the first who waits look whether the provider is back, and sends the others away.
func (g *Gate) look(l int, now time.Time) {
	q := &g.queues[l]
	if len(q.waiters) == 0 { // it went away meanwhile
		g.probe = events.ProbeUnused
		g.client.kick()
		return
	}
	look, quota := admission{at: now, probe: true}, g.quota()
	if quota.Rate > 0 {
		look.units = q.waiters[0].units
	}
	if quota.Concurrency > 0 {
		g.flying[l].Add(1)
		look.slot = true
	}
	q.waiters[0].ready <- look
	q.waiters = q.waiters[1:]
	g.away.Store(&away{reason: events.WaitUnavailable, until: now.Add(probeWait), open: true})
	g.refuse(delivery.Refusal{Wait: probeWait, Reason: events.WaitUnavailable})
}

// release lets all who wait go: there is no quota to wait for.
func (g *Gate) release(now time.Time) {
	for l := range g.queues {
		for _, w := range g.queues[l].waiters {
			w.ready <- admission{at: now}
		}
		g.queues[l].waiters = nil
	}
}

// unanswered does what can be done without a governor: a provider without a quota is called, and of a quota
// verifications get the part that this process would have if all asked. One lost answer says nothing.
func (g *Gate) unanswered(l int, err error) {
	now := g.client.cfg.Now()
	g.client.cfg.Metrics.asked("unanswered")
	g.mu.Lock()
	defer g.mu.Unlock()
	q := &g.queues[l]
	if q.missed++; q.missed < 2 && !errors.Is(err, errNoGovernor) {
		return
	}
	if w := g.away.Load(); w != nil && !now.Before(w.until) {
		g.away.Store(nil) // the process's own circuit decides
	}
	quota := g.quota()
	if !quota.limited() {
		g.release(now)
		return
	}
	if l != 0 || g.processes == 0 || g.away.Load() != nil {
		return
	}
	rate := quota.Rate * float64(g.client.cfg.Shares.Of(events.LaneVerification)) / 100 / float64(g.processes)
	room := max(rate*burst.Seconds(), 1)
	if g.alone.at.IsZero() {
		g.alone = lonely{at: now}
	}
	g.alone.tokens = min(room, g.alone.tokens+rate*now.Sub(g.alone.at).Seconds())
	g.alone.at = now
	for len(q.waiters) > 0 {
		units := float64(q.waiters[0].units)
		if quota.Rate > 0 && g.alone.tokens+slack < min(units, room) {
			return
		}
		a := admission{at: now}
		if quota.Concurrency > 0 {
			if g.calls() >= quota.Concurrency/g.processes {
				return
			}
			g.flying[l].Add(1)
			a.slot = true
		}
		if quota.Rate > 0 {
			a.units = q.waiters[0].units
		}
		g.alone.tokens -= units
		q.waiters[0].ready <- a
		q.waiters = q.waiters[1:]
	}
}

// calls are those that this process makes at once.
func (g *Gate) calls() int {
	n := 0
	for l := range g.flying {
		n += int(g.flying[l].Load())
	}
	return n
}
