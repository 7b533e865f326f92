package routing_test

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/routing"
)

var known = []string{"twilio", "acme", "backup"}

func TestARuleThatCannotBeMeantIsRefusedByItsName(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		rules []string
		fault string
	}{
		"nothing at all":              {[]string{""}, `rule "": want prefixes, a colon`},
		"no colon":                    {[]string{"+49 twilio"}, "want prefixes, a colon"},
		"no prefix":                   {[]string{": twilio"}, "no prefix"},
		"no provider":                 {[]string{"+49:"}, "no provider"},
		"a provider that is not here": {[]string{"+49: vonage"}, "provider vonage is not configured for this channel; there are: twilio, acme, backup"},
		"a provider twice":            {[]string{"+49: acme acme"}, "stands twice"},
		"a weight of nothing":         {[]string{"+49: acme=0 twilio=1"}, "weight of acme"},
		"a weight that is no number":  {[]string{"+49: acme=x"}, "weight of acme"},
		"weights for some":            {[]string{"+49: acme=1 twilio"}, "every provider a weight"},
		"a prefix without plus":       {[]string{"49: acme"}, "want + and digits"},
		"a prefix with letters":       {[]string{"+4a: acme"}, "want + and digits"},
		"all and one":                 {[]string{"* +49: acme"}, "beside other prefixes"},
		"no such country":             {[]string{"+999: acme"}, `rule "+999: acme": it matches nothing`},
		"no such country, longer":     {[]string{"+2101: acme"}, "it matches nothing"},
		"hidden by all":               {[]string{"*: twilio", "+49: acme"}, `rule "+49: acme": it matches nothing: rules before it`},
		"all twice":                   {[]string{"*: twilio", "*: acme"}, `rule "*: acme": it matches nothing`},
		"hidden by two":               {[]string{"+49: twilio", "+43: twilio", "+43 +491: acme"}, `rule "+43 +491: acme": it matches nothing`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, faults := routing.ParseRules(c.rules, known, true)
			require.Len(t, faults, 1)
			require.ErrorContains(t, faults[0], c.fault)
		})
	}
	_, faults := routing.ParseRules([]string{"+49: twilio"}, known, false)
	require.Len(t, faults, 1)
	require.ErrorContains(t, faults[0], "no numbers")
}

func TestEveryFaultOfTheRulesIsToldAtOnce(t *testing.T) {
	t.Parallel()
	_, faults := routing.ParseRules([]string{"x", "+49: acme", "+491: acme", "+1: vonage"}, known, true)
	require.Len(t, faults, 3)
}

// table is a routing of known providers by rules, with a clock that stands still.
func table(t *testing.T, rules ...string) (*routing.Table, *routing.Patience, *time.Time) {
	t.Helper()
	now := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	clock := func() time.Time { return now }
	parsed, faults := routing.ParseRules(rules, known, true)
	require.Empty(t, faults)
	p := routing.NewPatience(events.SMS, clock)
	var list []routing.Provider
	for _, name := range known {
		list = append(list, routing.Provider{Name: name, Receipts: name != "backup"})
	}
	return routing.New(routing.Config{Channel: events.SMS, Providers: list, Rules: parsed, Patience: p, Now: clock}), p, &now
}

func names(list []delivery.Candidate) []string {
	var out []string
	for _, c := range list {
		out = append(out, c.Provider)
	}
	return out
}

func TestTheFirstRuleThatMatchesSaysWhoCarries(t *testing.T) {
	t.Parallel()
	r, _, _ := table(t, "+4915: backup", "+49 +43: acme twilio", "+1: twilio")
	for to, want := range map[string][]string{
		"+4915123456789": {"backup"},
		"+493012345678":  {"acme", "twilio"},
		"+4366012345678": {"acme", "twilio"},
		"+14155550123":   {"twilio"},
		"+33612345678":   nil, // what no rule names is not sent
	} {
		got := r.Candidates(delivery.Message{ID: "x", To: delivery.Address(to)}, nil)
		require.Equal(t, want, names(got), to)
		if len(got) > 0 {
			require.Equal(t, routing.CallingCode(to), got[0].Route)
		}
	}
	r, _, _ = table(t)
	require.Equal(t, known, names(r.Candidates(delivery.Message{To: "+33612345678"}, nil)), "without rules all carry everything")
	require.Equal(t, []string{"acme", "backup", "twilio"}, names(r.Candidates(delivery.Message{To: "+33612345678"}, []string{"twilio"})))
}

func TestWeightsShareTheMessagesAndKeepEachOnesOrder(t *testing.T) {
	t.Parallel()
	r, _, _ := table(t, "*: acme=70 twilio=20 backup=10")
	first := map[string]int{}
	const n = 5000
	for i := range n {
		m := delivery.Message{ID: fmt.Sprintf("019aa5c1-7d52-7a10-9a43-%012d", i), To: "+33612345678"}
		got := names(r.Candidates(m, nil))
		require.Equal(t, got, names(r.Candidates(m, nil)), "the same message goes the same way")
		require.Len(t, got, 3)
		first[got[0]]++
	}
	require.InDelta(t, 0.7*n, first["acme"], 0.05*n)
	require.InDelta(t, 0.2*n, first["twilio"], 0.05*n)
	require.InDelta(t, 0.1*n, first["backup"], 0.05*n)
}

func TestCallingCodesAreThoseOfTheITU(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"+14155550123": "+1", "+77012345678": "+7", "+4915123456789": "+49", "+351912345678": "+351", "+35312345678": "+353",
		"+8613812345678": "+86", "+85212345678": "+852", "+2010123456": "+20", "+21112345": "+211", "+999123": "", "4915": "", "": "", "+": "",
	} {
		require.Equal(t, want, routing.CallingCode(number), number)
	}
}

func TestAProviderThatFailsIsLeftAloneAndThenLookedAt(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		r, _, _ := table(t, "*: twilio")
		admit := func() (func(error), delivery.Refusal) {
			return r.Candidates(delivery.Message{To: "+33612345678"}, nil)[0].Admit(t.Context(), 0)
		}
		for range 5 {
			done, _ := admit()
			require.NotNil(t, done)
			done(fmt.Errorf("status 503"))
		}
		done, no := admit()
		require.Nil(t, done, "after five failures in a row nobody calls")
		require.Positive(t, no.Wait)
		require.LessOrEqual(t, no.Wait, 5*time.Second)
		<-time.After(no.Wait + time.Millisecond)
		done, _ = admit()
		require.NotNil(t, done)
		done(fmt.Errorf("store send record: %w", delivery.ErrNotAsked))
		look, _ := admit()
		require.NotNil(t, look, "who did not look lets another do it")
		done, no = admit()
		require.Nil(t, done, "one looks, the others wait")
		require.Positive(t, no.Wait)
		look(nil)
		for range 2 {
			done, _ = admit()
			require.NotNil(t, done, "it is back")
		}
	})
}

// With few messages, or calls that hang, five failures in a row are spread over more than the circuit's interval.
func TestFiveFailuresInARowCountHoweverLongTheyTake(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ between, takes time.Duration }{
		"one message in a while": {7 * time.Second, 0},
		"calls that hang":        {time.Second, 8 * time.Second},
		"calls that hang longer": {time.Second, 12 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				r, _, _ := table(t, "*: twilio")
				one := func() delivery.Candidate { return r.Candidates(delivery.Message{To: "+33612345678"}, nil)[0] }
				var calls sync.WaitGroup
				for range 5 {
					<-time.After(c.between)
					done, _ := one().Admit(t.Context(), 0)
					require.NotNil(t, done)
					calls.Go(func() {
						<-time.After(c.takes)
						done(delivery.Unknown(fmt.Errorf("no answer")))
					})
				}
				calls.Wait()
				done, _ := one().Admit(t.Context(), 0)
				require.Nil(t, done)
			})
		})
	}
}

func TestRefusalsOfAMessageDoNotCountAgainstItsProvider(t *testing.T) {
	t.Parallel()
	r, _, _ := table(t, "*: twilio")
	for range 30 {
		done, _ := r.Candidates(delivery.Message{To: "+33612345678"}, nil)[0].Admit(t.Context(), 0)
		require.NotNil(t, done)
		done(delivery.Permanent(events.ReasonUndeliverable, fmt.Errorf("no such number")))
	}
}

func TestAProviderThatThrottlesIsLeftAloneForAsLongAsItSays(t *testing.T) {
	t.Parallel()
	r, _, now := table(t, "*: twilio")
	one := func() delivery.Candidate { return r.Candidates(delivery.Message{To: "+33612345678"}, nil)[0] }
	done, _ := one().Admit(t.Context(), 0)
	done(delivery.RetryAfter(20*time.Second, fmt.Errorf("status 429")))
	done, no := one().Admit(t.Context(), 0)
	require.Nil(t, done)
	require.Equal(t, 20*time.Second, no.Wait)
	*now = now.Add(20 * time.Second)
	done, _ = one().Admit(t.Context(), 0)
	require.NotNil(t, done)
	done(delivery.RetryAfter(time.Hour, fmt.Errorf("status 429")))
	_, no = one().Admit(t.Context(), 0)
	require.Equal(t, 15*time.Minute, no.Wait, "no message lives longer")
}

func receipt(took float64) events.DeliverySettled {
	return events.DeliverySettled{Channel: events.SMS, Status: events.DeliveryDelivered, Provider: "twilio", Route: "+33", Took: took}
}

var missed = events.DeliverySettled{Channel: events.Voice, Status: events.DeliveryRequested, Reason: events.ReasonNoReceipt, Missed: events.SMS, Provider: "twilio", Route: "+33"}

func TestPatienceIsLearnedForEachRoute(t *testing.T) {
	t.Parallel()
	r, p, _ := table(t)
	patience := func(to delivery.Address) time.Duration {
		return r.Candidates(delivery.Message{To: to}, nil)[0].Patience
	}
	for i := range 19 {
		p.Learn(receipt(float64(i + 1)))
	}
	require.Zero(t, patience("+33612345678"), "a few tell nothing")
	p.Learn(receipt(10))
	require.Equal(t, 36*time.Second, patience("+33612345678"), "twice what nearly all take")
	require.Zero(t, patience("+4915123456789"), "another country is another route")
	for range 30 {
		p.Learn(events.DeliverySettled{Channel: events.Voice, Status: events.DeliveryDelivered, Provider: "twilio", Route: "+33", Took: 40})
	}
	require.Equal(t, 36*time.Second, patience("+33612345678"), "a call's receipt comes when it has ended")
	for range 300 {
		p.Learn(receipt(0.2))
	}
	require.Equal(t, 5*time.Second, patience("+33612345678"), "old ones are forgotten; less than this no network promises")
	for range 300 {
		p.Learn(receipt(1e6))
	}
	require.Equal(t, 2*time.Minute, patience("+33612345678"))
}

func TestARouteWhoseReceiptsStopIsLeftForOthersForAWhile(t *testing.T) {
	t.Parallel()
	r, p, now := table(t)
	for range 40 {
		p.Learn(receipt(1))
	}
	to := delivery.Message{To: "+33612345678"}
	for range 9 {
		p.Learn(missed)
	}
	require.Equal(t, "twilio", names(r.Candidates(to, nil))[0])
	p.Learn(missed)
	got := r.Candidates(to, nil)
	require.Equal(t, []string{"acme", "backup", "twilio"}, names(got))
	require.Zero(t, got[2].Patience, "no receipt is missed where none is expected")
	require.Equal(t, "twilio", names(r.Candidates(delivery.Message{To: "+14155550123"}, nil))[0], "other countries are not concerned")
	*now = now.Add(time.Minute)
	require.Equal(t, "twilio", names(r.Candidates(to, nil))[0])
}

func TestAMessageGoesOnlyToThoseWhoCarryIt(t *testing.T) {
	t.Parallel()
	now := time.Now
	parsed, faults := routing.ParseRules(nil, []string{"apns", "fcm"}, false)
	require.Empty(t, faults)
	r := routing.New(routing.Config{Channel: events.Push, Rules: parsed, Patience: routing.NewPatience(events.Push, now), Now: now, Providers: []routing.Provider{
		{Name: "apns", Carries: func(m delivery.Message) bool { return m.Device.Platform == "apns" }},
		{Name: "fcm", Carries: func(m delivery.Message) bool { return m.Device.Platform == "fcm" }},
	}})
	require.Equal(t, []string{"fcm"}, names(r.Candidates(delivery.Message{Device: &events.PushDevice{Platform: "fcm"}}, nil)))
	require.Empty(t, r.Candidates(delivery.Message{Device: &events.PushDevice{Platform: "pigeon"}}, nil))
}

func TestACallThatWasNotMadeSaysNothingAboutItsProvider(t *testing.T) {
	t.Parallel()
	r, _, _ := table(t, "*: twilio")
	one := func() delivery.Candidate { return r.Candidates(delivery.Message{To: "+33612345678"}, nil)[0] }
	for i := range 8 {
		done, _ := one().Admit(t.Context(), 0)
		if i >= 5 {
			require.Nil(t, done, "five failures in a row, whatever was not asked in between")
			return
		}
		require.NotNil(t, done)
		done(fmt.Errorf("status 503"))
		if done, _ = one().Admit(t.Context(), 0); done != nil {
			done(fmt.Errorf("store send record: %w", delivery.ErrNotAsked))
		}
	}
}
