package main

import (
	"bytes"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	sdk "github.com/twilio/twilio-go/client"
)

// The programs themselves, for ten seconds: what this package says must stay true of what is built.
func TestNothingIsLostToAKillOfAnSMSWorker(t *testing.T) {
	t.Parallel()
	var told bytes.Buffer
	err := run(t.Context(), []string{"kill", "--for=10s", "--rate=50", "--kill=sms", "--every=7s"}, &told)
	require.NoError(t, err, "%s", &told)
	require.Regexp(t, `(?m)^ *500 created`, told.String())
	require.Regexp(t, `(?m)^ *0 lost`, told.String())
	require.Regexp(t, `(?m)^ *0 late`, told.String())
	require.Regexp(t, `(?m)^ *sms +1 `, told.String(), "one kill")
}

func TestAFlagThatCannotBeMeantIsRefused(t *testing.T) {
	t.Parallel()
	for _, args := range [][]string{
		{"kill", "--kill=broker"},
		{"kill", "--rate=0"},
		{"kill", "--sms=0"},
		{"kill", "--every=0s"},
		{"kill", "--for=1s"},
		{"kill", "--policy=hope"},
		{"kill", "--latency=5ms"},
		{"outage", "--latency=50ms,5ms"},
		{"outage", "--factor=11"},
		{"outage", "--factor=0"},
	} {
		require.Error(t, run(t.Context(), args, &bytes.Buffer{}), "%v", args)
	}
}

func TestTheCarrierSignsLikeTwilioDoes(t *testing.T) {
	t.Parallel()
	const target = "http://127.0.0.1/callbacks/twilio/sms/x/1"
	form := url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}, "To": {"+14155550100"}}
	v := sdk.NewRequestValidator(token)
	require.True(t, v.ValidateBody(target, []byte(form.Encode()), sign(target, form)))
}

var start0 = time.Date(2026, 11, 22, 1, 0, 0, 0, time.UTC)

// at is a moment of a told run.
func at(ms int) time.Time { return start0.Add(time.Duration(ms) * time.Millisecond) }

// asked is a create that was answered after 3 ms.
func asked(to string, ms int) ask {
	return ask{to: to, id: "id of " + to, offered: at(ms), began: at(ms), accepted: at(ms + 3), expires: at(ms + 300_000)}
}

// took is a message of this life that was answered after 50 ms.
func took(life string, ms int) message {
	return message{carrier: "twilio", caller: life, code: "482913", at: at(ms), answered: at(ms + 50)}
}

func cutOff(m message) message { m.answered = time.Time{}; return m }

func resetAfter(m message) message { m.reset, m.answered = true, time.Time{}; return m }

func TestEveryDuplicateHasACause(t *testing.T) {
	t.Parallel()
	kills := []kill{
		{role: roleSMS, life: "sms-1.1", at: at(5_000), over: at(5_001)},
		{role: roleNATS, life: "nats.1", at: at(9_000), over: at(9_001)},
	}
	for name, c := range map[string]struct {
		first, again message
		want         cause
	}{
		"the connection was reset":              {resetAfter(took("sms-1.1", 1_000)), took("sms-1.1", 1_500), afterReset},
		"the worker was killed in the call":     {cutOff(took("sms-1.1", 4_990)), took("sms-2.1", 10_000), afterSMSKill},
		"the worker was killed after its call":  {took("sms-1.1", 4_900), took("sms-2.1", 10_000), afterSMSKill},
		"the worker was killed long after":      {took("sms-1.1", 4_000), took("sms-2.1", 10_000), afterNothing},
		"another worker was killed":             {took("sms-2.1", 4_980), took("sms-2.1", 10_000), afterNothing},
		"it came again before the kill":         {took("sms-1.1", 4_900), took("sms-2.1", 4_980), afterNothing},
		"the broker was killed in the call":     {took("sms-2.1", 8_980), took("sms-1.2", 9_500), afterNATSKill},
		"the broker was away during the call":   {took("sms-2.1", 9_100), took("sms-1.2", 9_500), afterNATSKill},
		"the broker was killed long after":      {took("sms-2.1", 8_000), took("sms-1.2", 9_500), afterNothing},
		"the call began when the broker was up": {took("sms-2.1", 9_900), took("sms-1.2", 9_990), afterNothing},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			asks := []ask{asked("a", 900), asked("b", 9_400)} // b shows that the broker is back after 403 ms
			taken := map[string][]message{"a": {c.first, c.again}, "b": {took("sms-1.2", 9_450)}}
			r := judge(asks, taken, kills, nil)
			require.Equal(t, map[cause]int{c.want: 1}, r.repeats)
			b := newBook()
			if c.first.reset {
				b.count(countResetTaken)
			}
			if err := (killCommand{}).verdict(r, b, nil); c.want == afterNothing {
				require.Error(t, err)
			} else {
				require.NoError(t, err)
			}
		})
	}
}

func TestWhatWasAcceptedIsDeliveredHeldOrLost(t *testing.T) {
	t.Parallel()
	delivered, held, lost, unanswered, late := asked("a", 0), asked("b", 10), asked("c", 20), ask{to: "d", offered: at(30)}, asked("e", 40)
	other := took("sms-1.1", 90)
	other.code = "000000"
	r := judge([]ask{delivered, held, lost, unanswered, late}, map[string][]message{
		"a": {took("sms-1.1", 60), other}, "d": {took("sms-1.1", 60)}, "e": {took("sms-1.1", 300_041)},
	}, nil, map[string]string{held.id: fateUnknown})
	require.Equal(t, []int{5, 4, 2, 1, 1, 1, 1}, []int{r.offered, r.accepted, r.taken, r.held, r.lost, r.late, r.codes})
	require.Equal(t, []time.Duration{60 * time.Millisecond, 300_001 * time.Millisecond}, r.arrival)
	err := (killCommand{}).verdict(r, newBook(), []string{"sms-1.1 ended by itself"})
	for _, fault := range []string{"sms-1.1 ended by itself", "1 lost", "1 late", "1 repeats with another code", "1 held", "1 creates had no answer"} {
		require.ErrorContains(t, err, fault)
	}
	require.ErrorContains(t, killCommand{common: common{Policy: "hold"}}.verdict(r, newBook(), nil), "1 duplicates, and the policy is hold")
}

func TestAKillIsOverWithTheFirstSignOfLifeAfterIt(t *testing.T) {
	t.Parallel()
	asks := []ask{asked("a", 4_990), asked("b", 5_000), asked("c", 5_200), asked("d", 5_100)}
	asks[0].accepted = at(4_999)
	taken := map[string][]message{"a": {took("sms-2.1", 10_200)}, "b": {took("sms-2.1", 5_010)}, "c": {took("sms-2.1", 5_210)}, "d": {took("sms-2.1", 5_400)}}
	for role, want := range map[string]time.Duration{roleAPI: 103 * time.Millisecond, roleNATS: 103 * time.Millisecond, roleSMS: 210 * time.Millisecond} {
		r := judge(asks, taken, []kill{{role: role, life: role + ".1", at: at(5_000), over: at(5_002)}}, nil)
		require.Equal(t, want, r.kills[0].recovered, role)
		require.Equal(t, 5_200*time.Millisecond, r.kills[0].caught, role)
	}
}
