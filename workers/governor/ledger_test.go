package governor_test

import (
	"fmt"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/governor"
)

var twilio = events.ProviderKey{Channel: events.SMS, Provider: "twilio", Account: "a1"}

// bench is a ledger with its clock.
type bench struct {
	ledger *governor.Ledger
	began  time.Time
	now    time.Time
	quota  governor.Quota
}

func newBench(q governor.Quota) *bench {
	began := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	return &bench{ledger: governor.NewLedger(7, governor.DefaultShares(), began), began: began, now: began, quota: q}
}

func (b *bench) pass(d time.Duration) { b.now = b.now.Add(d) }

func (b *bench) report(process string, change func(*events.ProviderReport)) bool {
	r := events.ProviderReport{Key: twilio, Rate: b.quota.Rate, Concurrency: b.quota.Concurrency}
	if change != nil {
		change(&r)
	}
	return b.ledger.Report(b.now, process, 7, r)
}

func (b *bench) ask(process string, lane events.Lane, units ...int) (events.GovernorAnswer, bool) {
	w := events.ProviderAsk{Key: twilio, Lane: lane}
	for _, u := range units {
		w.Sizes = append(w.Sizes, events.MessageSizes{Units: u, Count: 1})
	}
	return b.ledger.Ask(b.now, process, w)
}

// many asks for n messages of one unit.
func (b *bench) many(process string, lane events.Lane, n int) (events.GovernorAnswer, bool) {
	return b.ledger.Ask(b.now, process, events.ProviderAsk{Key: twilio, Lane: lane, Sizes: []events.MessageSizes{{Units: 1, Count: n}}})
}

// saturate lets all processes want more than there is in these lanes, for so many turns, and counts what each got.
func (b *bench) saturate(turns int, lanes []events.Lane, processes ...string) map[string]map[events.Lane]int {
	got := map[string]map[events.Lane]int{}
	note := func(process string, lane events.Lane, a events.GovernorAnswer) {
		if got[process] == nil {
			got[process] = map[events.Lane]int{}
		}
		got[process][lane] += a.Units
	}
	for range turns {
		for _, p := range processes {
			b.report(p, nil)
			for _, l := range lanes {
				if a, ok := b.many(p, l, 1000); ok {
					note(p, l, a)
				}
			}
		}
		b.pass(50 * time.Millisecond)
		for _, g := range b.ledger.Turn(b.now) {
			note(g.Process, g.Lane, g.Answer)
		}
	}
	return got
}

func sum(got map[string]map[events.Lane]int, lane events.Lane) (n int) {
	for _, p := range got {
		n += p[lane]
	}
	return n
}

func TestALedgerBeginsEmpty(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 100})
	b.report("p1", nil)
	_, ok := b.many("p1", events.LaneVerification, 1)
	require.False(t, ok, "the governor before may have granted a moment ago")
	b.pass(10 * time.Millisecond)
	a, ok := b.many("p1", events.LaneVerification, 1)
	require.True(t, ok)
	require.Equal(t, 1, a.Units)
	require.Equal(t, uint64(7), a.Term)
}

func TestWhileThereIsPlentyAnAskIsAnsweredAtOnce(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 1000})
	b.report("p1", nil)
	b.pass(time.Second)
	a, ok := b.many("p1", events.LaneBulk, 20)
	require.True(t, ok)
	require.Equal(t, 20, a.Units)
	require.Equal(t, 20, a.Calls)
	a, ok = b.ledger.Ask(b.now, "p1", events.ProviderAsk{Key: twilio, Lane: events.LaneBulk, Ahead: 100, Sizes: []events.MessageSizes{{Units: 1, Count: 4}}})
	require.True(t, ok)
	require.Equal(t, 4+(60-24)/4, a.Units, "a quarter of what is left is granted ahead")
	_, ok = b.many("p1", events.LaneBulk, 300)
	require.False(t, ok, "more than there is comes with a turn")
}

func TestTheLanesShareWhatThereIs(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 1000})
	got := b.saturate(400, events.Lanes(), "p1", "p2", "p3")
	total := sum(got, events.LaneVerification) + sum(got, events.LaneTransactional) + sum(got, events.LaneBulk)
	require.InDelta(t, 20_000, total, 100)
	require.InDelta(t, 0.60, float64(sum(got, events.LaneVerification))/float64(total), 0.01)
	require.InDelta(t, 0.25, float64(sum(got, events.LaneTransactional))/float64(total), 0.01)
	require.InDelta(t, 0.15, float64(sum(got, events.LaneBulk))/float64(total), 0.01)
}

func TestWhatOneLaneDoesNotWantIsDividedAmongTheOthers(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 1000})
	got := b.saturate(400, []events.Lane{events.LaneTransactional, events.LaneBulk}, "p1", "p2")
	require.InDelta(t, 20_000*25./40, sum(got, events.LaneTransactional), 200)
	require.InDelta(t, 20_000*15./40, sum(got, events.LaneBulk), 200)
	b = newBench(governor.Quota{Rate: 1000})
	require.InDelta(t, 20_000, sum(b.saturate(400, []events.Lane{events.LaneBulk}, "p1"), events.LaneBulk), 100, "bulk has all that is left")
}

func TestALaneThatWantedNothingSavesNothingUp(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 1000})
	b.saturate(200, []events.Lane{events.LaneBulk}, "p1")
	b.saturate(200, []events.Lane{events.LaneVerification}, "p1")
	for range 3 {
		got := b.saturate(100, []events.Lane{events.LaneVerification, events.LaneBulk}, "p1")
		require.InDelta(t, 4000, sum(got, events.LaneVerification), 120)
		require.InDelta(t, 1000, sum(got, events.LaneBulk), 120)
	}
}

func TestAVerificationDoesNotWaitForTheTurnOfTheBulk(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 100})
	b.saturate(20, []events.Lane{events.LaneBulk}, "p1", "p2")
	_, ok := b.many("p1", events.LaneBulk, 1000)
	require.False(t, ok)
	b.pass(20 * time.Millisecond)
	a, ok := b.many("p2", events.LaneVerification, 1)
	require.True(t, ok, "its share has grown since the last turn")
	require.Equal(t, 1, a.Units)
}

func TestProcessesShareWithinOneToken(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 20}) // one in each turn
	got := b.saturate(401, []events.Lane{events.LaneBulk}, "p1", "p2", "p3", "p4")
	require.InDelta(t, 401, sum(got, events.LaneBulk), 1)
	for _, p := range []string{"p1", "p2", "p3", "p4"} {
		require.InDelta(t, 100, got[p][events.LaneBulk], 1, p)
	}
	joined := b.saturate(50, []events.Lane{events.LaneBulk}, "p1", "p2", "p3", "p4", "p5")
	require.InDelta(t, 10, joined["p5"][events.LaneBulk], 2, "one that joins gets its part, and no more")
}

func TestALargeMessageGoesAndIsPaidForAfter(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 1})
	b.report("p1", nil)
	b.pass(time.Second)
	a, ok := b.ask("p1", events.LaneBulk, 3)
	require.True(t, ok)
	require.Equal(t, 3, a.Units)
	for range 2 {
		b.pass(time.Second)
		b.report("p1", nil)
		_, ok = b.ask("p1", events.LaneBulk, 1)
		require.False(t, ok, "it is owed")
	}
	b.pass(time.Second)
	a, ok = b.ask("p1", events.LaneBulk, 1)
	require.True(t, ok)
	require.Equal(t, 1, a.Units)
}

func TestWhatIsHandedBackIsGrantedToOthers(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 100})
	b.report("p1", nil)
	b.report("p2", nil)
	b.pass(time.Second)
	a, _ := b.many("p1", events.LaneBulk, 6)
	require.Equal(t, 6, a.Units, "all that goes at once")
	_, ok := b.many("p2", events.LaneBulk, 5)
	require.False(t, ok)
	b.ledger.Report(b.now, "p1", 6, events.ProviderReport{Key: twilio, Rate: 100, Back: 5})
	require.Zero(t, b.ledger.Turn(b.now)[0].Answer.Units, "what another governor granted is not this one's")
	b.report("p1", func(r *events.ProviderReport) { r.Back = 5 })
	a, ok = b.many("p2", events.LaneBulk, 5)
	require.True(t, ok)
	require.Equal(t, 5, a.Units)
}

func TestCallsAtOnceKeepTheShareOfVerificationsFree(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Concurrency: 10})
	b.report("p1", nil)
	_, ok := b.many("p1", events.LaneBulk, 100)
	require.False(t, ok, "a new governor listens first to what is in flight")
	b.pass(600 * time.Millisecond)
	g := b.ledger.Turn(b.now)
	require.Len(t, g, 1)
	require.Equal(t, 4, g[0].Answer.Calls)
	a, ok := b.many("p2", events.LaneVerification, 6)
	require.True(t, ok || a.Calls == 0)
	total := a.Calls
	for _, g := range b.ledger.Turn(b.now) {
		total += g.Answer.Calls
	}
	require.Equal(t, 6, total)
	_, ok = b.many("p3", events.LaneVerification, 1)
	require.False(t, ok, "ten are in flight")
	// Calls of p1 end.
	b.report("p1", func(r *events.ProviderReport) { r.Seen, r.Flying.Bulk = 4, 2 })
	b.report("p2", func(r *events.ProviderReport) { r.Seen, r.Flying.Verification = 6, 6 })
	got := b.ledger.Turn(b.now)
	require.Len(t, got, 1)
	require.Equal(t, 1, got[0].Answer.Calls)
}

func TestAReportThatCrossedAGrantDoesNotHideIt(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Concurrency: 5})
	b.report("p1", nil)
	b.pass(time.Second)
	a, ok := b.many("p1", events.LaneVerification, 5)
	require.True(t, ok)
	require.Equal(t, 5, a.Calls)
	b.report("p1", nil) // sent before the grant arrived
	b.report("p2", nil)
	_, ok = b.many("p2", events.LaneVerification, 1)
	require.False(t, ok)
	b.report("p1", func(r *events.ProviderReport) { r.Seen = 5 })
	require.Equal(t, 1, b.ledger.Turn(b.now)[0].Answer.Calls)
}

func TestAProcessThatDiesLosesWhatItHolds(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Concurrency: 5})
	b.report("p1", func(r *events.ProviderReport) { r.Flying.Verification = 5 })
	b.pass(2 * time.Second)
	b.report("p2", nil)
	_, ok := b.many("p2", events.LaneVerification, 1)
	require.False(t, ok)
	require.Zero(t, b.ledger.Turn(b.now)[0].Answer.Calls)
	b.pass(time.Second)
	_, ok = b.many("p2", events.LaneVerification, 1)
	require.False(t, ok, "it is noticed with a turn")
	require.Zero(t, b.ledger.Turn(b.now)[0].Answer.Calls, "it may only be cut off, and its calls on their way")
	require.Equal(t, 1, b.ledger.States(b.now).Providers[0].Processes, "no word for three seconds")
	require.Equal(t, 5, b.ledger.States(b.now).Providers[0].Flying.Sum())
	for range 7 {
		b.pass(time.Second)
		b.report("p2", nil)
		_, ok = b.many("p2", events.LaneVerification, 1)
		require.False(t, ok)
		require.Len(t, b.ledger.Turn(b.now), 1)
	}
	_, ok = b.many("p2", events.LaneVerification, 5)
	require.True(t, ok, "no call takes as long")
}

func TestTheSmallerQuotaHoldsAgainWhenItsProcessIsBack(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Concurrency: 5})
	small := func(r *events.ProviderReport) { r.Concurrency, r.Flying.Bulk = 2, 1 }
	b.report("small", small)
	for range 4 {
		b.pass(time.Second)
		b.report("large", nil)
		b.ledger.Turn(b.now)
	}
	require.Equal(t, 5, b.ledger.States(b.now).Providers[0].Concurrency)
	b.report("small", small)
	require.Equal(t, 2, b.ledger.States(b.now).Providers[0].Concurrency)
}

func TestAProcessThatEndedProperlyLeavesNothing(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Concurrency: 5})
	b.report("p1", func(r *events.ProviderReport) { r.Flying.Verification = 5 })
	b.pass(time.Second)
	b.report("p1", nil) // its last word
	b.pass(3 * time.Second)
	b.report("p2", nil)
	b.ledger.Turn(b.now)
	a, ok := b.many("p2", events.LaneVerification, 5)
	require.True(t, ok)
	require.Equal(t, 5, a.Calls)
}

func TestAProcessThatComesBackIsNotGrantedWhatItHasAlready(t *testing.T) {
	t.Parallel()
	for _, away := range []time.Duration{4 * time.Second, 20 * time.Second} {
		b := newBench(governor.Quota{Concurrency: 5})
		b.report("p1", nil)
		b.pass(time.Second)
		_, ok := b.many("p1", events.LaneVerification, 4)
		require.True(t, ok)
		b.report("p1", func(r *events.ProviderReport) { r.Seen = 4 })
		b.pass(away)
		b.ledger.Turn(b.now)
		b.report("p1", func(r *events.ProviderReport) { r.Seen = 4 })
		a, ok := b.many("p1", events.LaneVerification, 5)
		require.True(t, ok)
		require.Equal(t, 5, a.Calls)
		b.report("p1", func(r *events.ProviderReport) { r.Seen = 4 }) // it crossed the grants
		b.report("p2", nil)
		_, ok = b.many("p2", events.LaneVerification, 1)
		require.False(t, ok, "five are granted")
		b.report("p1", func(r *events.ProviderReport) { r.Seen = a.Granted })
		require.Equal(t, 1, b.ledger.Turn(b.now)[0].Answer.Calls)
	}
}

func TestAProviderThatNobodyHasAnyMoreIsForgotten(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{})
	b.report("p1", func(r *events.ProviderReport) { r.Failed, r.Run = 5, 5 })
	b.pass(7 * time.Second)
	b.ledger.Turn(b.now)
	require.Equal(t, events.ProviderOpen, b.ledger.States(b.now).Providers[0].State, "one that comes now finds it open")
	b.pass(time.Second)
	b.ledger.Turn(b.now)
	require.Empty(t, b.ledger.States(b.now).Providers)
}

func TestOfTwoConfigurationsTheSmallerQuotaHolds(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{Rate: 100})
	b.report("old", nil)
	b.report("new", func(r *events.ProviderReport) { r.Rate = 50 })
	require.InDelta(t, 50, b.ledger.States(b.now).Providers[0].Rate, 0)
	for range 5 {
		b.pass(time.Second)
		b.report("old", nil)
		b.ledger.Turn(b.now)
	}
	require.InDelta(t, 100, b.ledger.States(b.now).Providers[0].Rate, 0)
}

func TestTheCircuitIsThatOfAllProcesses(t *testing.T) {
	t.Parallel()
	failed := func(n int) func(*events.ProviderReport) {
		return func(r *events.ProviderReport) { r.Failed, r.Run = n, n }
	}
	for _, quota := range []governor.Quota{{}, {Rate: 100}, {Concurrency: 3}} {
		b := newBench(quota)
		b.pass(time.Second)
		for i := range 4 {
			require.False(t, b.report(fmt.Sprintf("p%d", i), failed(1)))
		}
		require.True(t, b.report("p4", failed(1)), "five in a row over all")
		a, ok := b.many("p1", events.LaneVerification, 1)
		require.True(t, ok)
		require.Equal(t, events.WaitUnavailable, a.Reason)
		require.Equal(t, int64(5000), a.Wait)
		require.Equal(t, events.ProviderOpen, b.ledger.States(b.now).Providers[0].State)

		probe := func() (by []string) {
			for i := range 5 {
				p := fmt.Sprintf("p%d", i)
				b.report(p, nil)
				if a, ok := b.many(p, events.LaneBulk, 10); ok && a.Probe {
					require.Equal(t, 1, a.Calls)
					by = append(by, p)
				}
			}
			return by
		}
		require.Empty(t, probe())
		b.pass(5 * time.Second)
		require.Equal(t, []string{"p0"}, probe(), "one process looks, with one call")
		require.Empty(t, probe())
		b.report("p3", func(r *events.ProviderReport) { r.Probe = events.ProbeOK })
		require.Empty(t, probe(), "what others say of it means nothing")
		require.True(t, b.report("p0", func(r *events.ProviderReport) { r.Probe = events.ProbeFailed }))
		require.Empty(t, probe())
		b.pass(5 * time.Second)
		require.Equal(t, []string{"p0"}, probe())
		// The one that looks dies.
		for range 3 {
			b.pass(time.Second)
			for _, p := range []string{"p1", "p2", "p3", "p4"} {
				b.report(p, nil)
			}
		}
		b.ledger.Turn(b.now)
		a, ok = b.many("p2", events.LaneVerification, 3)
		require.True(t, ok)
		require.True(t, a.Probe, "another looks")
		require.True(t, b.report("p2", func(r *events.ProviderReport) { r.Probe = events.ProbeOK }))
		require.Equal(t, events.ProviderOK, b.ledger.States(b.now).Providers[0].State)
	}
}

func TestHalfOfTwentyFailuresOpenTheCircuitToo(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{})
	require.False(t, b.report("p1", func(r *events.ProviderReport) { r.OK, r.Failed, r.Run = 9, 9, 1 }))
	require.True(t, b.report("p2", func(r *events.ProviderReport) { r.OK, r.Failed = 1, 1 }))
	b = newBench(governor.Quota{})
	require.False(t, b.report("p1", func(r *events.ProviderReport) { r.OK, r.Failed, r.Run = 9, 9, 1 }))
	b.pass(10 * time.Second)
	require.False(t, b.report("p2", func(r *events.ProviderReport) { r.OK, r.Failed = 1, 1 }), "old ones are forgotten")
}

func TestAProviderThatThrottlesOneIsLeftAloneByAll(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{})
	require.True(t, b.report("p1", func(r *events.ProviderReport) { r.Throttled = 20_000 }))
	b.report("p2", nil)
	a, ok := b.many("p2", events.LaneVerification, 1)
	require.True(t, ok)
	require.Equal(t, events.WaitThrottled, a.Reason)
	require.Equal(t, int64(20_000), a.Wait)
	b.pass(20 * time.Second)
	a, ok = b.many("p2", events.LaneVerification, 1)
	require.True(t, ok)
	require.Equal(t, 1, a.Calls)
	b.report("p1", func(r *events.ProviderReport) { r.Throttled = math.MaxInt32 })
	a, _ = b.many("p2", events.LaneVerification, 1)
	require.Equal(t, (15 * time.Minute).Milliseconds(), a.Wait, "no message lives longer")
}

func TestAPauseStopsOneChannelOrAll(t *testing.T) {
	t.Parallel()
	b := newBench(governor.Quota{})
	reason := func() string {
		a, ok := b.many("p1", events.LaneVerification, 1)
		require.True(t, ok)
		return a.Reason
	}
	b.ledger.Pause("twilio", events.Voice, b.now)
	require.Empty(t, reason())
	b.ledger.Pause("twilio", "", b.now)
	require.Equal(t, events.WaitPaused, reason())
	require.Equal(t, events.ProviderPaused, b.ledger.States(b.now).Providers[0].State)
	b.ledger.Pause("twilio", "", time.Time{})
	require.Empty(t, reason())
	b.ledger.Pause("twilio", events.SMS, b.now)
	require.Equal(t, events.WaitPaused, reason())
}

// In any window of any length nobody is ever granted more than the rate brings and may be saved up, whatever the
// processes ask, hand back, and however they come and go.
func TestNeverMoreThanTheQuota(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		rate := rapid.SampledFrom([]float64{0.5, 1, 7.3, 20, 100, 1000}).Draw(t, "rate")
		largest := rapid.IntRange(1, 6).Draw(t, "largest")
		b := newBench(governor.Quota{Rate: rate})
		memory, burst, size := max(1, rate*0.3), max(1, rate*0.06), float64(largest)-1
		type use struct {
			at    time.Time
			units int
		}
		var used []use
		held := map[string]int{}
		note := func(p string, a events.GovernorAnswer) {
			if a.Units > 0 {
				used = append(used, use{b.now, a.Units})
				held[p] = a.Units
			}
		}
		for range rapid.IntRange(1, 200).Draw(t, "steps") {
			p := fmt.Sprintf("p%d", rapid.IntRange(1, 4).Draw(t, "process"))
			switch rapid.IntRange(0, 4).Draw(t, "step") {
			case 0:
				b.pass(time.Duration(rapid.IntRange(1, 4000).Draw(t, "ms")) * time.Millisecond)
			case 1:
				b.pass(50 * time.Millisecond)
				for _, g := range b.ledger.Turn(b.now) {
					note(g.Process, g.Answer)
				}
			case 2: // what is handed back was not used
				back := rapid.IntRange(0, held[p]).Draw(t, "back")
				held[p] = 0
				b.report(p, func(r *events.ProviderReport) { r.Back = back })
				used = append(used, use{b.now, -back})
			default:
				b.report(p, nil)
				var units []int
				for range rapid.IntRange(1, 30).Draw(t, "n") {
					units = append(units, rapid.IntRange(1, largest).Draw(t, "units"))
				}
				if a, ok := b.ask(p, rapid.SampledFrom(events.Lanes()).Draw(t, "lane"), units...); ok {
					note(p, a)
				}
			}
			// The windows that end now. What is handed back frees what was granted in this window or before it.
			n, back := 0, 0
			for i := len(used) - 1; i >= 0; i-- {
				if used[i].units < 0 {
					back -= used[i].units
				} else {
					n += used[i].units
				}
				d := b.now.Sub(used[i].at)
				limit := size + min(rate*d.Seconds()+memory, 1.03*rate*d.Seconds()+burst)
				if limit += float64(back) + 1e-3; float64(n) > limit {
					t.Fatalf("%d in %s, at most %.2f", n, d, limit)
				}
			}
		}
	})
}

// A lane that always wants something has its share over any time, whatever the others do.
func TestALanesGuaranteeHolds(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		b := newBench(governor.Quota{Rate: 200})
		steady := rapid.SampledFrom(events.Lanes()).Draw(t, "lane")
		got, all := 0, 0
		note := func(l events.Lane, n int) {
			all += n
			if l == steady {
				got += n
			}
		}
		for range 200 {
			for i := range 3 {
				p := fmt.Sprintf("p%d", i)
				b.report(p, nil)
				for _, l := range events.Lanes() {
					n := 100
					if l != steady {
						n = rapid.SampledFrom([]int{0, 0, 1, 5, 100}).Draw(t, "n")
					}
					if a, ok := b.many(p, l, n); ok {
						note(l, a.Units)
					}
				}
			}
			b.pass(50 * time.Millisecond)
			for _, g := range b.ledger.Turn(b.now) {
				note(g.Lane, g.Answer.Units)
			}
		}
		if share := float64(governor.DefaultShares().Of(steady)) / 100; float64(got) < share*float64(all)-10 {
			t.Fatalf("%s got %d of %d", steady, got, all)
		}
		if all < 1950 {
			t.Fatalf("%d of 2000 were granted: what there is must be used", all)
		}
	})
}

func TestRatesAreReadInTheFormsOfTheProviders(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]float64{"100/s": 100, "600000/m": 10_000, "0.5/s": 0.5, "3600/h": 1, " 1 / s ": 1} {
		got, err := governor.ParseRate(text)
		require.NoError(t, err, text)
		require.InDelta(t, want, got, 1e-9, text)
	}
	for _, text := range []string{"", "100", "0/s", "-1/s", "x/s", "1/d", "NaN/s", "Inf/s", "1/s/s"} {
		_, err := governor.ParseRate(text)
		require.ErrorContains(t, err, "want a rate such as 100/s", text)
	}
}

func TestSharesMustMakeAHundred(t *testing.T) {
	t.Parallel()
	require.Empty(t, governor.DefaultShares().Validate())
	require.Len(t, governor.Shares{Verification: 60, Transactional: 40}.Validate(), 1)
	require.Len(t, governor.Shares{Verification: 60, Transactional: 25, Bulk: 16}.Validate(), 1)
	require.Len(t, governor.Shares{Verification: 160, Transactional: -70, Bulk: 10}.Validate(), 1)
}
