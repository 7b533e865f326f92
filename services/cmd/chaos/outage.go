package main

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"time"
)

type outageCommand struct {
	common
	Rate      int     `help:"Creates offered in a second." default:"50"`
	Factor    float64 `help:"How much faster than life it is told: at 10, ten minutes are one, and codes live 30 seconds instead of 300." default:"10"`
	Providers string  `help:"Run with Twilio alone, with a backup behind an adapter, or both in turn." enum:"alone,backup,both" default:"both"`
}

// What is told: a provider that is away for ten minutes, codes that live for five, calls that may
// take ten seconds.
const (
	outageLasts  = 10 * time.Minute
	outageLife   = 300 * time.Second
	outageCall   = 10 * time.Second
	shortestLife = 30 * time.Second // that the API takes
)

// Validate is called by kong.
func (c outageCommand) Validate() error {
	if c.Factor < 1 || c.scaled(outageLife) < shortestLife {
		return fmt.Errorf("--factor must be from 1 to %g: nothing lives less than %s", float64(outageLife/shortestLife), shortestLife)
	}
	return c.check(c.Rate)
}

func (c outageCommand) scaled(d time.Duration) time.Duration {
	return time.Duration(float64(d) / c.Factor)
}

// Run tells the outage once or twice.
func (c outageCommand) Run(p *program) error {
	var all []error
	if c.Providers != "backup" {
		all = append(all, c.tell(p, false))
	}
	if c.Providers != "alone" {
		all = append(all, c.tell(p, true))
	}
	return errors.Join(all...)
}

// phase is one part of an outage, and what was created in it.
type phase struct {
	name  string
	lasts time.Duration
	begin func() error

	from, to                 int // of the asks
	accepted, twilio, backup int
	expired, failed          int
	held, lost               int
	late, repeats            int
	arrival                  []time.Duration
}

func (c outageCommand) phases(outside *carrier) []*phase {
	third := c.scaled(outageLasts) / 3
	be := func(w weather) func() error {
		return func() error { outside.be(w); return nil }
	}
	return []*phase{
		{name: "before", lasts: third, begin: be(fair)},
		{name: "503", lasts: third, begin: be(unavailable)},
		{name: "refused", lasts: third, begin: func() error { outside.refuse(); return nil }},
		{name: "hanging", lasts: third, begin: func() error { outside.be(hanging); return outside.open() }},
		{name: "after", lasts: third, begin: be(fair)},
	}
}

func (c outageCommand) tell(p *program, withBackup bool) error {
	b := newBook()
	outside, err := newCarrier(b, moods{latency: c.Latency}, c.Seed)
	if err != nil {
		return err
	}
	defer outside.close()
	env := []string{"ASSENT_WORKERS__SEND_TIMEOUT=" + c.scaled(outageCall).String()}
	if withBackup {
		second, err := newBackup(b)
		if err != nil {
			return err
		}
		defer second.close()
		env = append(env, second.env()...)
	}
	return inDirectory(p.stdout, func(dir string) error {
		s, err := start(p.ctx, c.common, dir, outside, env...)
		if s != nil {
			defer s.stop()
		}
		if err != nil {
			return err
		}
		l := &load{client: s.client, rate: c.Rate, life: c.scaled(outageLife)}
		phases := c.phases(outside)
		for _, ph := range phases {
			if err := ph.begin(); err != nil {
				return err
			}
			ph.from = len(l.all())
			l.offer(p.ctx, ph.lasts)
			ph.to = len(l.all())
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
		for _, ph := range phases {
			ph.judge(asks[ph.from:ph.to], taken, fates)
		}
		all := &phase{name: "all"}
		all.judge(asks, taken, fates)
		c.print(p.stdout, append(phases, all), withBackup)
		return c.verdict(all, withBackup, b, append(l.refused, s.faults()...))
	})
}

// judge counts what became of what was created in the phase.
func (ph *phase) judge(asks []ask, taken map[string][]message, fates map[string]string) {
	for _, a := range asks {
		if a.accepted.IsZero() {
			continue
		}
		ph.accepted++
		messages := taken[a.to]
		switch {
		case len(messages) == 0:
			switch fates[a.id] {
			case fateUnknown:
				ph.held++
			case fateFailed:
				ph.failed++
			case fateExpired:
				ph.expired++
			default:
				ph.lost++
			}
			continue
		case messages[0].carrier == "twilio":
			ph.twilio++
		default:
			ph.backup++
		}
		ph.repeats += len(messages) - 1
		ph.arrival = append(ph.arrival, messages[0].at.Sub(a.offered))
		for _, m := range messages {
			if m.at.After(a.expires) {
				ph.late++
			}
		}
	}
	slices.Sort(ph.arrival)
}

// print tells an outage, a column for each phase.
func (c outageCommand) print(w io.Writer, phases []*phase, withBackup bool) {
	who := "Twilio alone"
	if withBackup {
		who = "Twilio with a backup"
	}
	fmt.Fprintf(w, "\nchaos outage, %s: %s away, told in %s, at %d creates/s that live %s; calls may take %s, policy %s, %d sms\n\n",
		who, outageLasts, c.scaled(outageLasts), c.Rate, c.scaled(outageLife), c.scaled(outageCall), policyName(c.Policy), c.SMS)
	t := newTable(w)
	row := func(name string, value func(*phase) any) {
		fmt.Fprint(t, name, "\t")
		for _, ph := range phases {
			fmt.Fprint(t, value(ph), "\t")
		}
		fmt.Fprintln(t)
	}
	row("created", func(ph *phase) any { return ph.name })
	row("accepted", func(ph *phase) any { return ph.accepted })
	row("delivered", func(ph *phase) any { return ph.twilio + ph.backup })
	row("by twilio", func(ph *phase) any { return ph.twilio })
	row("by backup", func(ph *phase) any { return ph.backup })
	row("late", func(ph *phase) any { return ph.late })
	row("expired, and told", func(ph *phase) any { return ph.expired })
	row("given up, and told", func(ph *phase) any { return ph.failed })
	row("held, and told", func(ph *phase) any { return ph.held })
	row("lost", func(ph *phase) any { return ph.lost })
	row("duplicates", func(ph *phase) any { return ph.repeats })
	row("to carrier p50", func(ph *phase) any { return orElse(quantile(ph.arrival, .5), "-") })
	row("p99", func(ph *phase) any { return orElse(quantile(ph.arrival, .99), "-") })
	_ = t.Flush()
	fmt.Fprintln(w)
}

// verdict is nil when delivery survived.
func (c outageCommand) verdict(all *phase, withBackup bool, b *book, faults []string) error {
	fault := func(n int, what string) {
		if n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", n, what))
		}
	}
	fault(all.late, "late")
	fault(all.lost, "lost")
	if withBackup {
		fault(all.expired+all.failed+all.held, "never arrived, although there is a backup")
	}
	if c.Policy == "hold" {
		fault(all.repeats, "duplicates, and the policy is hold")
	}
	fault(b.counted(countUnauthorised), "calls to a carrier were unauthorised")
	fault(b.counted(countMalformed), "calls to a carrier were malformed")
	if len(faults) > 0 {
		return &failedError{faults}
	}
	return nil
}
