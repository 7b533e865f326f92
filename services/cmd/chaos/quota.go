package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"sync"
	"time"
)

type quotaCommand struct {
	common
	Quota int           `help:"Messages that the provider takes in a second, from all workers together." default:"100"`
	Rate  int           `help:"Verifications offered in a second, beside notifications that use up the rest." default:"20"`
	Every time.Duration `help:"Time from one kill to the next; another worker joins halfway." default:"20s"`
}

// Validate is called by kong.
func (c quotaCommand) Validate() error {
	if c.Quota < 1 || c.Every < 2*unsteady {
		return fmt.Errorf("--quota must be at least 1, and --every at least %s", 2*unsteady)
	}
	return c.check(c.Rate)
}

// unsteady is how long after a kill the fleet may find itself again.
const unsteady = 5 * time.Second

// calls are the times at which a carrier was called.
type calls struct {
	mu sync.Mutex
	at []time.Time
}

func (c *calls) note(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = append(c.at, at)
}

func (c *calls) sorted() []time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.at)
	slices.SortFunc(all, time.Time.Compare)
	return all
}

// Run holds workers to one quota while each of them is killed and replaced, one after the other.
func (c quotaCommand) Run(p *program) error {
	b := newBook()
	outside, err := newCarrier(b, moods{latency: c.Latency}, c.Seed)
	if err != nil {
		return err
	}
	defer outside.close()
	lasts := c.Every * time.Duration(c.SMS+1)
	outside.bulk, outside.calls = newBulk(2*c.Quota*int(lasts/time.Second)), &calls{}
	return inDirectory(p.stdout, func(dir string) error {
		s, err := start(p.ctx, c.common, dir, outside, fmt.Sprintf("ASSENT_QUOTAS__SMS__TWILIO__RATE=%d/s", c.Quota))
		if s != nil {
			defer s.stop()
		}
		if err != nil {
			return err
		}
		if err := outside.bulk.post(p.ctx, s); err != nil {
			return err
		}
		if !wait(p.ctx, unsteady) {
			return errors.New("interrupted")
		}
		l := &load{client: s.client, rate: c.Rate, life: expiresIn}
		began := time.Now()
		var work sync.WaitGroup
		var kills []time.Time
		work.Go(func() { kills = c.replaceAll(p.ctx, s) })
		l.offer(p.ctx, lasts)
		work.Wait()
		ended := time.Now()
		if p.ctx.Err() != nil {
			return errors.New("interrupted")
		}
		l.settle(p.ctx, b, c.Policy)
		asks, taken := l.all(), b.all()
		fates, err := fates(p.ctx, s.client, untaken(asks, taken), fateUnknown, fateFailed, fateExpired)
		if err != nil {
			return err
		}
		ph := &phase{}
		ph.judge(asks, taken, fates)
		r := c.judge(outside.calls.sorted(), kills, began, ended)
		c.print(p.stdout, r, ph, kills, began)
		return c.verdict(r, ph, append(l.refused, s.faults()...))
	})
}

// replaceAll kills each worker for good, one after the other, and starts another in its place half a time later.
func (c quotaCommand) replaceAll(ctx context.Context, s *system) []time.Time {
	var kills []time.Time
	for i, m := range s.of(roleSMS) {
		if !wait(ctx, c.Every/2) {
			return kills
		}
		m.retire()
		kills = append(kills, time.Now())
		if !wait(ctx, c.Every/2) {
			return kills
		}
		s.add(roleSMS, roleSMS+"-"+strconv.Itoa(c.SMS+i+1), s.worker)
	}
	return kills
}

// seconds are what a carrier saw in its seconds.
type seconds struct {
	calls int
	// most is of any second, wherever it begins; least and median of whole ones that are steady.
	most, least, median int
	fullest, emptiest   time.Time
	steady              int // how many
}

func (c quotaCommand) judge(at []time.Time, kills []time.Time, began, ended time.Time) seconds {
	r := seconds{calls: len(at)}
	first := 0
	for i := range at {
		for at[i].Sub(at[first]) >= time.Second {
			first++
		}
		if n := i - first + 1; n > r.most {
			r.most, r.fullest = n, at[first]
		}
	}
	var counts []int
	for from := began; from.Add(time.Second).Before(ended); from = from.Add(time.Second) {
		if slices.ContainsFunc(kills, func(k time.Time) bool {
			return from.Add(time.Second).After(k) && from.Before(k.Add(unsteady))
		}) {
			continue
		}
		i, _ := slices.BinarySearchFunc(at, from, time.Time.Compare)
		j, _ := slices.BinarySearchFunc(at, from.Add(time.Second), time.Time.Compare)
		if r.emptiest.IsZero() || j-i < r.least {
			r.least, r.emptiest = j-i, from
		}
		counts = append(counts, j-i)
	}
	slices.Sort(counts)
	if r.steady = len(counts); r.steady > 0 {
		r.median = counts[len(counts)/2]
	}
	return r
}

func (c quotaCommand) print(w io.Writer, r seconds, ph *phase, kills []time.Time, began time.Time) {
	fmt.Fprintf(w, "\nchaos quota: %d/s for %d sms together, each killed and replaced; %d verifications/s beside notifications without end\n\n", c.Quota, c.SMS, c.Rate)
	t := newTable(w)
	row := func(n any, name string) { fmt.Fprintf(t, "%v\t %s\n", n, name) }
	row(r.calls, "calls that the carrier saw")
	row(r.most, fmt.Sprintf("in the fullest second, wherever it begins (at %.1fs)", r.fullest.Sub(began).Seconds()))
	row(r.median, "in the median second")
	row(r.least, fmt.Sprintf("in the emptiest of %d seconds (at %.0fs), but for the %s after each kill", r.steady, r.emptiest.Sub(began).Seconds(), unsteady))
	row(len(kills), "workers killed for good, and as many that joined")
	row(ph.accepted, "verifications accepted")
	row(ph.twilio, "of them delivered")
	row(orElse(fine(ph.arrival, .5), "-"), "from create to carrier, p50")
	row(orElse(fine(ph.arrival, .99), "-"), "p99")
	row(orElse(fine(ph.arrival, 1), "-"), "max")
	_ = t.Flush()
	for _, k := range kills {
		fmt.Fprintf(w, "  a kill at %.1fs\n", k.Sub(began).Seconds())
	}
	fmt.Fprintln(w)
}

func (c quotaCommand) verdict(r seconds, ph *phase, faults []string) error {
	if most := c.Quota + c.Quota/10; r.most > most {
		faults = append(faults, fmt.Sprintf("%d calls in one second, and at most %d are allowed", r.most, most))
	}
	if least := c.Quota - c.Quota/10; r.least < least {
		faults = append(faults, fmt.Sprintf("%d calls in a steady second, and there should be %d", r.least, least))
	}
	if n := ph.late + ph.lost + ph.failed + ph.expired; n > 0 {
		faults = append(faults, fmt.Sprintf("%d verifications were not delivered in time", n))
	}
	if len(faults) > 0 {
		return &failedError{faults}
	}
	return nil
}
