package verification_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/services/verification"
)

func TestPromptedAreWhoseAppsAskForAYes(t *testing.T) {
	t.Parallel()
	push := func(user string) verification.Step {
		return verification.Step{Channel: verification.Push, UserID: user}
	}
	for name, c := range map[string]struct {
		v    verification.Verification
		want []string
	}{
		"its user's":              {verification.Verification{Channel: verification.Push, UserID: "ana"}, []string{"ana"}},
		"its user's, of a step":   {verification.Verification{Channel: verification.SMS, UserID: "ana", Fallback: []verification.Step{push("")}}, []string{"ana"}},
		"each once":               {verification.Verification{Channel: verification.Push, UserID: "ana", Fallback: []verification.Step{push(""), push("")}}, []string{"ana"}},
		"those of an address":     {verification.Verification{Channel: verification.SMS, Fallback: []verification.Step{push("ana"), push("ben")}}, []string{"ana", "ben"}},
		"nobody's without a user": {verification.Verification{Channel: verification.Push}, nil},
		"nobody's without a push": {verification.Verification{Channel: verification.SMS, UserID: "ana", Fallback: []verification.Step{{Channel: verification.Voice}}}, nil},
	} {
		c.v.Challenge = verification.ApprovalChallenge
		require.Equal(t, c.want, c.v.Prompted(), name)
		c.v.Challenge = verification.CodeChallenge
		require.Empty(t, c.v.Prompted(), name)
	}
}

func TestWhatFollowsFromProgress(t *testing.T) {
	t.Parallel()
	gone := verification.Reason("undeliverable")
	two := verification.Verification{Channel: verification.SMS, Fallback: []verification.Step{{Channel: verification.Voice}, {Channel: verification.Email}}}
	for name, c := range map[string]struct {
		got, want verification.Move
	}{
		"the next step's time":           {two.Timed(verification.Progress{}, 1), verification.Move{Take: 1}},
		"the time of one that was taken": {two.Timed(verification.Progress{Taken: 1}, 1), verification.Move{}},
		"a time that came too soon":      {two.Timed(verification.Progress{}, 2), verification.Move{}},
		"the time of a step too many":    {two.Timed(verification.Progress{Taken: 2}, 3), verification.Move{}},
		"the first message fails":        {two.Missed(verification.Progress{Failed: map[int]verification.Reason{0: gone}}, 0), verification.Move{Take: 1}},
		"nobody takes the call":          {two.Missed(verification.Progress{Taken: 1}, 1), verification.Move{Take: 2}},
		"the first fails late":           {two.Missed(verification.Progress{Taken: 1, Failed: map[int]verification.Reason{0: gone}}, 0), verification.Move{}},
		"the last fails":                 {two.Missed(verification.Progress{Taken: 2, Failed: map[int]verification.Reason{2: gone}}, 2), verification.Move{}},
		"all have failed": {
			two.Missed(verification.Progress{Taken: 2, Failed: map[int]verification.Reason{0: "unsubscribed", 1: "", 2: gone}}, 0),
			verification.Move{Close: true, Reason: gone},
		},
		"the last could not be sent": {
			two.Missed(verification.Progress{Taken: 2, Failed: map[int]verification.Reason{0: "unsubscribed", 1: gone, 2: ""}}, 2),
			verification.Move{Close: true, Reason: gone},
		},
		"none could be sent for a reason of ours": {
			two.Missed(verification.Progress{Taken: 2, Failed: map[int]verification.Reason{0: "", 1: "", 2: ""}}, 2), verification.Move{},
		},
		"without a fallback the only one fails": {
			verification.Verification{}.Missed(verification.Progress{Failed: map[int]verification.Reason{0: gone}}, 0),
			verification.Move{Close: true, Reason: gone},
		},
		"without a fallback nobody takes the call": {verification.Verification{}.Missed(verification.Progress{}, 0), verification.Move{}},
	} {
		require.Equal(t, c.want, c.got, name)
	}
}

// Whatever fails in whatever order: steps are taken one after the other, each once, and a verification
// closes only when all its messages have failed.
func TestALadderIsClimbedStepByStepAndEndsWhenNothingIsLeft(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		v := verification.Verification{Fallback: make([]verification.Step, rapid.IntRange(0, verification.MaxSteps).Draw(rt, "steps"))}
		p := verification.Progress{Failed: map[int]verification.Reason{}}
		for range rapid.IntRange(0, 20).Draw(rt, "facts") {
			step := rapid.IntRange(0, len(v.Fallback)+1).Draw(rt, "step")
			var move verification.Move
			if rapid.Bool().Draw(rt, "timed") {
				move = v.Timed(p, step)
			} else if step <= p.Taken {
				p.Failed[step] = "undeliverable"
				move = v.Missed(p, step)
			}
			if move.Take > 0 {
				require.Equal(rt, p.Taken+1, move.Take)
				require.LessOrEqual(rt, move.Take, len(v.Fallback))
				p.Taken = move.Take
			}
			if move.Close {
				require.Equal(rt, len(v.Fallback), p.Taken)
				require.Len(rt, p.Failed, len(v.Fallback)+1)
				return
			}
		}
	})
}

func TestAFallbackAsksWhomItsStepsName(t *testing.T) {
	t.Parallel()
	v := verification.Verification{Channel: verification.SMS, DeviceID: "d1", Fallback: []verification.Step{
		{Channel: verification.Push, DeviceID: "d2", After: time.Second}, {Channel: verification.Voice},
	}}
	for _, c := range []verification.Channel{verification.SMS, verification.Push, verification.Voice} {
		require.True(t, v.Has(c))
	}
	require.False(t, v.Has(verification.Email))
	require.True(t, v.Asks(verification.Push, "d2"))
	require.False(t, v.Asks(verification.Push, "d1"))
	require.False(t, v.Asks(verification.Voice, ""), "no device is no device")
}
