package governor

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
)

// account is how one provider stands with all processes.
type account struct {
	key     events.ProviderKey
	shares  Shares
	quota   Quota     // the least that any process has in its configuration
	earned  bucket    // what the rate has brought and is not granted yet
	paced   bucket    // how much of it may go at this time
	at      time.Time // when they were true
	began   time.Time
	circuit circuit
	paused  time.Time // since; zero: it is not

	heard     time.Time // of any process
	processes map[string]*process
	silent    map[string]*process // that are taken for dead, and whose calls may still be on their way
	lanes     map[events.Lane]*lane
	served    float64 // pass of the lane that was served last
}

// process is how one process stands with one provider.
type process struct {
	name    string
	heard   time.Time
	report  events.ProviderReport
	granted int // calls, ever
	grants  []grant
	asks    map[events.Lane]*ask
	pass    map[events.Lane]float64 // units that were granted in the lane, or would have been
}

// grant is a call that the process does not know of yet, as far as is known here.
type grant struct {
	number int
	lane   events.Lane
}

// ask is what a process waits for in one lane.
type ask struct {
	sizes  []events.MessageSizes
	ahead  int
	answer events.GovernorAnswer
}

// lane is how one lane stands: pass is what it was granted, weighed with its share. The one that had least
// is served first, and in it the process that had least. Whoever wanted nothing for a while saves nothing
// up: it begins where the one was that was served last.
type lane struct {
	pass   float64
	served float64 // pass of the process that was served last
}

// slack makes up for the rounding of sums.
const slack = 1e-6

func newAccount(key events.ProviderKey, shares Shares, now, began time.Time) *account {
	a := &account{key: key, shares: shares, at: began, began: began, processes: map[string]*process{}, silent: map[string]*process{}, lanes: map[events.Lane]*lane{}}
	a.circuit.since, a.circuit.from = now, now
	for _, l := range events.Lanes() {
		a.lanes[l] = &lane{}
	}
	return a
}

func (a *account) process(name string, now time.Time) *process {
	p := a.processes[name]
	if p == nil {
		if p = a.silent[name]; p == nil {
			p = &process{name: name, asks: map[events.Lane]*ask{}, pass: map[events.Lane]float64{}}
		}
		delete(a.silent, name)
		p.report.Rate, p.report.Concurrency = 0, 0 // its quota is not counted yet
		a.processes[name] = p
	}
	p.heard, a.heard = now, now
	return p
}

// bucket holds units. Less than none is owed.
type bucket struct{ units float64 }

func (b *bucket) add(units, capacity float64) { b.units = min(capacity, b.units+units) }

// saved is how many units of a rate are kept for so long. One always fits.
func saved(rate float64, d time.Duration) float64 { return max(rate*d.Seconds(), 1) }

// refill counts what time has brought.
func (a *account) refill(now time.Time) {
	if d := now.Sub(a.at).Seconds(); d > 0 && a.quota.Rate > 0 {
		a.put(a.quota.Rate*d, a.quota.Rate*d*pace)
		a.at = now
	}
}

func (a *account) put(earned, paced float64) {
	a.earned.add(earned, saved(a.quota.Rate, memory))
	a.paced.add(paced, saved(a.quota.Rate, burst))
}

// room is how many units may be granted.
func (a *account) room() float64 { return min(a.earned.units, a.paced.units) + slack }

// fits tells whether a message of this size goes where there is room for so many units. One larger than a burst
// goes when all of that is there, and what it lacked is owed.
func (a *account) fits(size int, room float64) bool {
	return a.quota.Rate == 0 || room >= min(float64(size), saved(a.quota.Rate, burst))
}

// agree takes the least quota of all processes, so that a rolling restart with another one is safe.
func (a *account) agree(now time.Time) {
	a.refill(now)
	rate, calls := math.Inf(1), math.MaxInt
	for _, p := range a.processes {
		if r := p.report.Rate; r > 0 {
			rate = min(rate, r)
		}
		if c := p.report.Concurrency; c > 0 {
			calls = min(calls, c)
		}
	}
	a.quota = Quota{}
	if !math.IsInf(rate, 1) {
		a.quota.Rate = rate
	}
	if calls < math.MaxInt {
		a.quota.Concurrency = calls
	}
	a.refill(now)
	a.put(0, 0)
}

// flying counts the calls that are being made, or may be, because they were granted.
func (a *account) flying() events.LaneCounts {
	var n events.LaneCounts
	for _, all := range []map[string]*process{a.processes, a.silent} {
		for _, p := range all {
			for _, l := range events.Lanes() {
				n.Add(l, p.report.Flying.Of(l))
			}
			for _, g := range p.grants {
				n.Add(g.lane, 1)
			}
		}
	}
	return n
}

// flies tells whether a process may be making calls.
func (p *process) flies() bool { return p.report.Flying.Sum() > 0 || len(p.grants) > 0 }

// take reports in what a process says about itself. same tells that it speaks of this governor's grants.
func (a *account) take(now time.Time, name string, r events.ProviderReport, same bool) (changed bool) {
	p := a.process(name, now)
	changed = a.circuit.report(now, name, r)
	quota := Quota{p.report.Rate, p.report.Concurrency}
	p.report = r
	if quota != (Quota{r.Rate, r.Concurrency}) || len(a.processes) == 1 {
		a.agree(now)
	}
	if !same {
		return changed
	}
	// One that was forgotten knows of grants that were counted before: those to come have other numbers.
	p.granted = max(p.granted, r.Seen)
	p.grants = slices.DeleteFunc(p.grants, func(g grant) bool { return g.number <= r.Seen })
	a.refill(now)
	back := float64(max(0, r.Back))
	a.put(back, back)
	return changed
}

// want notes what a process waits for. It takes the place of what it wanted before in this lane.
func (a *account) want(p *process, w events.ProviderAsk) {
	sizes := slices.DeleteFunc(slices.Clone(w.Sizes), func(s events.MessageSizes) bool { return s.Units < 1 || s.Count < 1 })
	if len(sizes) == 0 {
		delete(p.asks, w.Lane)
		return
	}
	l := a.lanes[w.Lane]
	p.pass[w.Lane], l.pass = max(p.pass[w.Lane], l.served), max(l.pass, a.served)
	p.asks[w.Lane] = &ask{sizes: sizes, ahead: w.Ahead}
}

// asking tells whether a process wants something, other than this one in this lane.
func (a *account) asking(but *process, in events.Lane) bool {
	for _, p := range a.processes {
		for l := range p.asks {
			if p != but || l != in {
				return true
			}
		}
	}
	return false
}

// divide grants one message after the other while there is something to grant: to the lane that had least for
// its share, and in it to the process that had least. With only set it stops where it is the turn of another
// process or lane.
func (a *account) divide(now time.Time, only *process, in events.Lane) {
	a.refill(now)
	flying := a.flying()
	for {
		name, p := a.next(now, flying)
		if p == nil || only != nil && (p != only || name != in) {
			return
		}
		w := p.asks[name]
		size := w.sizes[0].Units
		if !a.fits(size, a.room()) {
			return // nobody overtakes the large ones
		}
		a.grant(p, name, size)
		flying.Add(name, 1)
		if w.sizes[0].Count--; w.sizes[0].Count == 0 {
			w.sizes = w.sizes[1:]
		}
	}
}

// affords tells whether the rate leaves enough for all of these messages now.
func (a *account) affords(now time.Time, sizes []events.MessageSizes) bool {
	a.refill(now)
	left := a.room()
	for _, s := range sizes {
		for range s.Count {
			if !a.fits(s.Units, left) {
				return false
			}
			left -= float64(s.Units)
		}
	}
	return true
}

func (a *account) grant(p *process, name events.Lane, size int) {
	a.spend(size)
	p.granted++
	if a.quota.Concurrency > 0 {
		p.grants = append(p.grants, grant{p.granted, name})
	}
	w := p.asks[name]
	w.answer.Units += size
	w.answer.Calls++
	a.charge(p, name, size)
}

// spend counts units that were granted.
func (a *account) spend(units int) {
	if a.quota.Rate > 0 {
		a.earned.units -= float64(units)
		a.paced.units -= float64(units)
	}
}

// charge counts units against the turn of a lane and a process.
func (a *account) charge(p *process, name events.Lane, units int) {
	l := a.lanes[name]
	a.served, l.served = max(a.served, l.pass), max(l.served, p.pass[name])
	p.pass[name] += float64(units)
	l.pass += float64(units) / float64(a.shares.Of(name))
}

// next is who has the next turn; nobody where no more calls may be made.
func (a *account) next(now time.Time, flying events.LaneCounts) (events.Lane, *process) {
	var found *process
	var in events.Lane
	for _, name := range events.Lanes() {
		if !a.vacant(now, name, flying) || found != nil && a.lanes[name].pass >= a.lanes[in].pass-slack {
			continue
		}
		var first *process
		for _, p := range a.processes {
			if w := p.asks[name]; w == nil || len(w.sizes) == 0 {
				continue
			}
			if first == nil || cmp.Or(cmp.Compare(p.pass[name], first.pass[name]), cmp.Compare(p.name, first.name)) < 0 {
				first = p
			}
		}
		if first != nil {
			found, in = first, name
		}
	}
	return in, found
}

// vacant tells whether one more call of a lane may be made at once with the others. Calls cannot be taken back,
// so what belongs to verifications is kept free for them.
func (a *account) vacant(now time.Time, name events.Lane, flying events.LaneCounts) bool {
	limit := a.quota.Concurrency
	if limit == 0 {
		return true
	}
	if now.Sub(a.began) < learning {
		return false
	}
	free := limit - flying.Sum()
	if name != events.LaneVerification {
		free -= max(0, limit*a.shares.Verification/100-flying.Verification)
	}
	return free > 0
}

// spare grants what a process will want soon, where nobody wants anything now: a part of what is left.
func (a *account) spare(p *process, name events.Lane) {
	w := p.asks[name]
	if a.quota.Rate == 0 || a.quota.Concurrency > 0 || w.ahead < 1 {
		return
	}
	n := min(w.ahead, int(a.room()/4))
	if n < 1 {
		return
	}
	a.spend(n)
	w.answer.Units += n
	a.charge(p, name, n)
}

// expire forgets the processes that died, with what they held, and a while later the calls that they were making.
func (a *account) expire(now time.Time) {
	gone := false
	for name, p := range a.processes {
		if now.Sub(p.heard) >= silence {
			delete(a.processes, name)
			a.circuit.leave(name)
			gone = true
			if p.flies() {
				clear(p.asks)
				a.silent[name] = p
			}
		}
	}
	maps.DeleteFunc(a.silent, func(_ string, p *process) bool { return now.Sub(p.heard) >= landing })
	if gone && len(a.processes) > 0 {
		a.agree(now)
	}
}

// idle tells whether nothing would be lost if the account were forgotten.
func (a *account) idle(now time.Time) bool {
	a.refill(now)
	full := a.quota.Rate == 0 || a.earned.units+slack >= saved(a.quota.Rate, memory) && a.paced.units+slack >= saved(a.quota.Rate, burst)
	open := a.circuit.open && now.Sub(a.heard) < silence+circuitPause // then somebody who came could look at once
	return full && !open && !now.Before(a.circuit.throttled) && len(a.silent) == 0
}

func (a *account) state(now time.Time) events.ProviderState {
	s := events.ProviderState{
		Key: a.key, State: events.ProviderOK, Rate: a.quota.Rate, Concurrency: a.quota.Concurrency,
		Flying: a.flying(), Processes: len(a.processes),
	}
	for _, p := range a.processes {
		for _, l := range events.Lanes() {
			s.Waiting.Add(l, p.report.Waiting.Of(l))
		}
	}
	since := a.circuit.since
	switch throttled := a.circuit.throttled.Sub(now); {
	case !a.paused.IsZero():
		s.State, since = events.ProviderPaused, a.paused
	case throttled > 0:
		s.State, s.Wait = events.ProviderThrottled, milliseconds(throttled)
	case a.circuit.open:
		s.State, s.Wait = events.ProviderOpen, milliseconds(max(0, a.circuit.until.Sub(now)))
	}
	if s.State != events.ProviderThrottled {
		utc := since.UTC()
		s.Since = &utc
	}
	return s
}

// milliseconds rounds up, so that what is left of a wait is not nothing.
func milliseconds(d time.Duration) int64 {
	return int64((d + time.Millisecond - 1) / time.Millisecond)
}
