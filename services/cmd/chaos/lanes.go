package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"
)

type lanesCommand struct {
	common
	Rate  int           `help:"Verifications offered in a second." default:"200"`
	Idle  time.Duration `help:"How long they are alone at first." default:"30s"`
	Count int           `help:"Notifications queued beside them then." default:"200000"`
	Most  time.Duration `help:"How long it is watched at most." default:"15m"`
}

// Validate is called by kong.
func (c lanesCommand) Validate() error {
	if c.Idle <= 0 || c.Count < 1 || c.Count > mostBulk {
		return fmt.Errorf("--idle must be above zero, and --count from 1 to %d", mostBulk)
	}
	return c.check(c.Rate)
}

// Run measures how long verifications take to the carrier alone, and then beside bulk.
func (c lanesCommand) Run(p *program) error {
	b := newBook()
	outside, err := newCarrier(b, moods{latency: c.Latency}, c.Seed)
	if err != nil {
		return err
	}
	defer outside.close()
	outside.bulk = newBulk(c.Count)
	return inDirectory(p.stdout, func(dir string) error {
		s, err := start(p.ctx, c.common, dir, outside)
		if s != nil {
			defer s.stop()
		}
		if err != nil {
			return err
		}
		l := &load{client: s.client, rate: c.Rate, life: expiresIn}
		alone := &phase{name: "alone"}
		l.offer(p.ctx, c.Idle)
		alone.to = len(l.all())

		beside := &phase{name: "beside bulk", from: alone.to}
		began := time.Now()
		posted := make(chan error, 1)
		var accepting time.Duration
		go func() {
			err := outside.bulk.post(p.ctx, s)
			accepting = time.Since(began)
			posted <- err
		}()
		drained := c.offerUntilDrained(p.ctx, l, outside.bulk, began)
		beside.to = len(l.all())
		if err := <-posted; err != nil {
			return err
		}
		l.settle(p.ctx, b, c.Policy)
		if p.ctx.Err() != nil {
			return errors.New("interrupted")
		}
		asks, taken := l.all(), b.all()
		fates, err := fates(p.ctx, s.client, untaken(asks, taken), fateUnknown, fateFailed, fateExpired)
		if err != nil {
			return err
		}
		for _, ph := range []*phase{alone, beside} {
			ph.judge(asks[ph.from:ph.to], taken, fates)
		}
		c.print(p.stdout, alone, beside, outside.bulk, accepting, drained)
		return c.verdict([]*phase{alone, beside}, outside.bulk, append(l.refused, s.faults()...))
	})
}

// offerUntilDrained goes on with the load until the carrier took all notifications, and returns how long that was.
func (c lanesCommand) offerUntilDrained(ctx context.Context, l *load, n *bulk, began time.Time) time.Duration {
	ctx, cancel := context.WithTimeout(ctx, c.Most)
	defer cancel()
	for n.lost() > 0 && ctx.Err() == nil {
		l.offer(ctx, time.Second)
	}
	return time.Since(began)
}

func (c lanesCommand) print(w io.Writer, alone, beside *phase, n *bulk, accepting, drained time.Duration) {
	fmt.Fprintf(w, "\nchaos lanes: %d verifications/s alone for %s, then beside %d notifications; %d sms, carrier %s to %s\n\n",
		c.Rate, c.Idle, c.Count, c.SMS, c.Latency[0], c.Latency[1])
	t := newTable(w)
	row := func(name string, value func(*phase) any) {
		fmt.Fprint(t, name, "\t", value(alone), "\t", value(beside), "\t\n")
	}
	row("verifications", func(ph *phase) any { return ph.name })
	row("accepted", func(ph *phase) any { return ph.accepted })
	row("delivered", func(ph *phase) any { return ph.twilio })
	row("late, lost, or failed", func(ph *phase) any { return ph.late + ph.lost + ph.failed + ph.expired + ph.held })
	row("duplicates", func(ph *phase) any { return ph.repeats })
	for _, q := range []struct {
		name string
		q    float64
	}{{"to carrier p50", .5}, {"p90", .9}, {"p99", .99}, {"p99.9", .999}, {"max", 1}} {
		row(q.name, func(ph *phase) any { return orElse(fine(ph.arrival, q.q), "-") })
	}
	_ = t.Flush()
	fmt.Fprintf(w, "\nbulk: %d accepted in %s, taken %d in %s (%.0f/s), lost %d, taken again %d\n\n", n.accepted,
		accepting.Round(100*time.Millisecond), n.taken.Load(), drained.Round(100*time.Millisecond), float64(n.taken.Load())/drained.Seconds(), n.lost(), n.again.Load())
}

func (c lanesCommand) verdict(phases []*phase, n *bulk, faults []string) error {
	fault := func(n int, what string) {
		if n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", n, what))
		}
	}
	for _, ph := range phases {
		fault(ph.late+ph.lost+ph.failed+ph.expired+ph.held, "verifications were not delivered in time")
		fault(ph.repeats, "verifications came twice, and nothing failed")
	}
	fault(n.lost(), "notifications were not delivered")
	fault(int(n.again.Load()), "notifications came twice, and nothing failed")
	if len(faults) > 0 {
		return &failedError{faults}
	}
	return nil
}
