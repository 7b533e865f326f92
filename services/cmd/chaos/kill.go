package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/api/client"
)

type killCommand struct {
	common
	Rate  int           `help:"Creates offered in a second." default:"300"`
	For   time.Duration `help:"How long the load lasts." default:"2m"`
	Kill  []string      `help:"Roles to kill, in turn." enum:"api,verifier,sms,nats" default:"api,verifier,sms,nats"`
	Every time.Duration `help:"Time between kills, give or take a quarter." default:"3s"`
	Busy  float64       `help:"Share of calls that the carrier answers with 503." default:"0.05"`
	Reset float64       `help:"Share of calls whose connection it resets, half of them after taking the message." default:"0.01"`
}

// Validate is called by kong.
func (c killCommand) Validate() error {
	if c.Every <= 0 || c.For <= lastKill {
		return fmt.Errorf("--every must be above zero, and --for above %s", lastKill)
	}
	return c.check(c.Rate)
}

// lastKill is how long before the end of the load the killing ends, so that what comes back is seen.
const lastKill = time.Second

// expiresIn is the life of what a load of kills creates, long enough that nothing has to expire.
const expiresIn = 300 * time.Second

// Run kills under load, waits until all is settled, and prints what became of everything.
func (c killCommand) Run(p *program) (err error) {
	b := newBook()
	outside, err := newCarrier(b, moods{c.Latency, c.Busy, c.Reset}, c.Seed)
	if err != nil {
		return err
	}
	defer outside.close()
	return inDirectory(p.stdout, func(dir string) error {
		s, err := start(p.ctx, c.common, dir, outside)
		if s != nil {
			defer s.stop()
		}
		if err != nil {
			return err
		}
		l := &load{client: s.client, rate: c.Rate, life: expiresIn}
		kills := c.underLoad(p.ctx, s, l)
		l.settle(p.ctx, b, c.Policy)
		if p.ctx.Err() != nil {
			return errors.New("interrupted")
		}
		asks, taken := l.all(), b.all()
		fates, err := fates(p.ctx, s.client, untaken(asks, taken), fateUnknown)
		if err != nil {
			return err
		}
		r := judge(asks, taken, kills, fates)
		if r.checked, r.wrong, err = check(p.ctx, s, asks, taken); err != nil {
			return err
		}
		c.print(p.stdout, r, b)
		return c.verdict(r, b, append(l.refused, s.faults()...))
	})
}

// inDirectory runs f in a new directory and deletes it, unless something failed: then its logs are wanted.
func inDirectory(stdout io.Writer, f func(dir string) error) error {
	dir, err := os.MkdirTemp("", "assent-chaos-")
	if err != nil {
		return fmt.Errorf("make a directory: %w", err)
	}
	if err := f(dir); err != nil {
		fmt.Fprintln(stdout, "the logs are kept in", dir)
		return err
	}
	return os.RemoveAll(dir)
}

// kill is one SIGKILL, and what was measured of it.
type kill struct {
	role string
	life string // sms-2.3
	at   time.Time
	over time.Time // the process was gone
	// recovered is from the kill to the first sign of life of what it hit; none was seen where it is zero.
	recovered time.Duration
	// caught is from the kill to the last first message of what had been accepted before; zero where nothing was waiting.
	caught time.Duration
	// inFlight is how many messages may come twice for this kill.
	inFlight int
}

// underLoad offers the load and kills one role after the other until it ends.
func (c killCommand) underLoad(ctx context.Context, s *system, l *load) []kill {
	killing, stop := context.WithTimeout(ctx, c.For-lastKill)
	defer stop()
	var kills []kill
	var work sync.WaitGroup
	work.Go(func() { kills = c.killAll(killing, s) })
	l.offer(ctx, c.For)
	work.Wait() // for the last probe
	return kills
}

func (c killCommand) killAll(ctx context.Context, s *system) []kill {
	luck := rand.New(rand.NewPCG(c.Seed, 0)) //nolint:gosec // luck, not secrets
	var kills []*kill
	var probes sync.WaitGroup
	for i := 0; wait(ctx, c.Every*3/4+time.Duration(luck.Int64N(int64(c.Every/2)+1))); i++ {
		role := c.Kill[i%len(c.Kill)]
		members := s.of(role)
		k := &kill{role: role}
		k.life, k.at, k.over = members[i/len(c.Kill)%len(members)].kill()
		kills = append(kills, k)
		if role == roleVerifier {
			number := fmt.Sprintf("%s%07d", nowhere, 2_000_000+i)
			probes.Go(func() {
				// Of the run, not of its kills: the last verifier is waited for too.
				if s.failsFor(context.WithoutCancel(ctx), number) == nil {
					k.recovered = time.Since(k.at)
				}
			})
		}
	}
	probes.Wait() // bounded by startTimeout
	done := make([]kill, len(kills))
	for i, k := range kills {
		done[i] = *k
	}
	return done
}

// untaken are the accepted ones that no carrier took.
func untaken(asks []ask, taken map[string][]message) []ask {
	return slices.DeleteFunc(slices.Clone(asks), func(a ask) bool { return a.accepted.IsZero() || len(taken[a.to]) > 0 })
}

// What the timeline of a message that was never taken may say of it.
const (
	fateUnknown = "unknown" // it was held: nobody knows whether the carrier has it
	fateFailed  = "failed"  // the provider was tried as often as is allowed
	fateExpired = "expired"
)

// fates are what the timelines of these say, by id; of several the first.
func fates(ctx context.Context, c *client.Client, asks []ask, wanted ...string) (map[string]string, error) {
	found := map[string]string{}
	for _, a := range asks {
		list, err := c.Deliveries(ctx, a.id)
		if err != nil {
			return nil, err
		}
		for _, status := range slices.Backward(wanted) {
			if slices.ContainsFunc(list, func(d api.Delivery) bool { return d.Status == status }) {
				found[a.id] = status
			}
		}
	}
	return found, nil
}

// oneIn is which share of the codes is checked.
const oneIn = 50

// check holds some of the delivered codes against the verifications that they were made for.
func check(ctx context.Context, s *system, asks []ask, taken map[string][]message) (checked, wrong int, err error) {
	for i, a := range asks {
		if i%oneIn > 0 || a.accepted.IsZero() || len(taken[a.to]) == 0 || time.Until(a.expires) < time.Minute/2 {
			continue
		}
		answer, err := s.client.Check(ctx, a.id, taken[a.to][0].code)
		if err != nil {
			return checked, wrong, err
		}
		checked++
		if !answer.Valid {
			wrong++
		}
	}
	return checked, wrong, nil
}

// result is what became of a load under kills.
type result struct {
	began                    time.Time
	offered, accepted, taken int
	lost, held, late         int
	repeats                  map[cause]int
	codes                    int // numbers that got two different codes
	checked, wrong           int
	arrival                  []time.Duration // from the offer to the carrier, sorted
	kills                    []kill
}

// cause is why a message came twice.
type cause string

const (
	afterReset    cause = "after a reset that took"
	afterSMSKill  cause = "after a kill of sms"
	afterNATSKill cause = "after a kill of nats"
	afterNothing  cause = "without a cause"
)

func causes() []cause { return []cause{afterReset, afterSMSKill, afterNATSKill, afterNothing} }

// settling is how long after the carrier's answer a worker may still be busy storing it: what was
// answered later than this before a kill is of unknown fate too.
const settling = 100 * time.Millisecond

// unsettled tells whether the fate of a message was unknown to Assent at a kill: its caller was killed
// during the call or right after it, or the broker, which then has not stored what came of it.
func (k kill) unsettled(m message) bool {
	cut := m.answered.IsZero()
	if !cut && m.answered.Before(k.at.Add(-settling)) {
		return false
	}
	switch k.role {
	case roleSMS:
		return m.caller == k.life
	case roleNATS:
		return !cut && m.at.Before(k.at.Add(k.recovered))
	default:
		return false
	}
}

// judge makes the result of what was asked, what was taken, who was killed, and what the timelines of
// the untaken say.
func judge(asks []ask, taken map[string][]message, kills []kill, fates map[string]string) result {
	r := result{offered: len(asks), repeats: map[cause]int{}, kills: slices.Clone(kills)}
	if len(asks) > 0 {
		r.began = asks[0].offered
	}
	for i := range r.kills {
		r.kills[i].measure(asks, taken)
	}
	for _, a := range asks {
		if a.accepted.IsZero() {
			continue
		}
		r.accepted++
		messages := taken[a.to]
		if len(messages) == 0 {
			if fates[a.id] == fateUnknown {
				r.held++
			} else {
				r.lost++
			}
			continue
		}
		r.taken++
		r.arrival = append(r.arrival, messages[0].at.Sub(a.offered))
		for i, m := range messages {
			if m.at.After(a.expires) {
				r.late++
			}
			if i > 0 {
				r.repeats[r.causeOf(messages[i-1], m)]++
			}
			if m.code != messages[0].code {
				r.codes++
			}
		}
	}
	slices.Sort(r.arrival)
	return r
}

func (r result) causeOf(before, again message) cause {
	if before.reset {
		return afterReset
	}
	for _, k := range r.kills {
		if again.at.After(k.at) && k.unsettled(before) {
			if k.role == roleSMS {
				return afterSMSKill
			}
			return afterNATSKill
		}
	}
	return afterNothing
}

// measure finds when life came back after a kill, and what was in flight at it.
func (k *kill) measure(asks []ask, taken map[string][]message) {
	for _, a := range asks {
		if a.accepted.IsZero() {
			continue
		}
		var back time.Time // the sign of life that this one gives, if any
		switch {
		case (k.role == roleAPI || k.role == roleNATS) && a.began.After(k.over):
			back = a.accepted
		case k.role == roleSMS && a.offered.After(k.over) && len(taken[a.to]) > 0:
			back = taken[a.to][0].at
		}
		if !back.IsZero() && (k.recovered == 0 || back.Sub(k.at) < k.recovered) {
			k.recovered = back.Sub(k.at)
		}
		if a.accepted.Before(k.at) && len(taken[a.to]) > 0 {
			k.caught = max(k.caught, taken[a.to][0].at.Sub(k.at))
		}
	}
	for _, messages := range taken {
		for _, m := range messages {
			if !m.reset && k.unsettled(m) {
				k.inFlight++
			}
		}
	}
}

// duplicates are the messages beyond the first of each number.
func (r result) duplicates() int {
	n := 0
	for _, c := range r.repeats {
		n += c
	}
	return n
}

// bound is how many duplicates have a cause at most: one for each message that was taken and whose
// sender never learnt it.
func (r result) bound(resets int) int {
	n := resets
	for _, k := range r.kills {
		n += k.inFlight
	}
	return n
}

// verdict is nil when delivery survived.
func (c killCommand) verdict(r result, b *book, faults []string) error {
	fault := func(format string, a ...any) { faults = append(faults, fmt.Sprintf(format, a...)) }
	bound := r.bound(b.counted(countResetTaken))
	switch {
	case r.taken == 0:
		fault("nothing was delivered")
	case r.lost > 0:
		fault("%d lost", r.lost)
	}
	if n := r.offered - r.accepted; n > 0 {
		fault("%d creates had no answer in %s of asking", n, patience)
	}
	if r.held > 0 { // the carrier tells what it has, so that nothing is held for ever
		fault("%d held and never sent again", r.held)
	}
	if r.late > 0 {
		fault("%d late", r.late)
	}
	if r.codes > 0 {
		fault("%d repeats with another code", r.codes)
	}
	if r.wrong > 0 {
		fault("%d codes that do not count", r.wrong)
	}
	switch {
	case c.Policy == "hold" && r.duplicates() > 0:
		fault("%d duplicates, and the policy is hold", r.duplicates())
	case r.duplicates() > bound:
		fault("%d duplicates, of at most %d", r.duplicates(), bound)
	case r.repeats[afterNothing] > 0:
		fault("%d duplicates without a cause", r.repeats[afterNothing])
	}
	for _, k := range r.kills {
		if k.recovered == 0 {
			fault("%s did not come back", k.life)
		}
	}
	for _, what := range []string{countUnauthorised, countMalformed} {
		if n := b.counted(what); n > 0 {
			fault("%d calls to the carrier were %s", n, what)
		}
	}
	if len(faults) > 0 {
		return &failedError{faults}
	}
	return nil
}
