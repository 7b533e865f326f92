package verification_test

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/verification"
)

var (
	now  = time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	hash = []byte("the right hash")
)

// open is a pending verification of one challenge, halfway through its life.
func open(c verification.Challenge) verification.Verification {
	return verification.Verification{
		ID: "0199b1c2-0000-7000-8000-000000000001", Challenge: c, Status: verification.Pending,
		MaxChecks: verification.MaxChecks, SecretHash: hash, Sends: 1,
		CreatedAt: now.Add(-time.Minute), ExpiresAt: now.Add(time.Minute), ChangedAt: now.Add(-time.Minute),
	}
}

func in(v verification.Verification, s verification.Status) verification.Verification {
	v.Status = s
	if s.Closed() {
		v.Reason, v.ClosedAt, v.ChangedAt = "because", now.Add(-time.Second), now.Add(-time.Second)
	}
	return v
}

// closed lists every status but pending.
func closed() []verification.Status {
	return []verification.Status{
		verification.Approved, verification.Denied, verification.Expired, verification.Canceled, verification.Failed,
	}
}

// facts lists every kind of fact with every value that Apply tells apart.
func facts() map[string]verification.Fact {
	return map[string]verification.Fact{
		"right code":       verification.Checked{Hash: hash},
		"wrong code":       verification.Checked{Hash: []byte("another")},
		"no code":          verification.Checked{},
		"right elsewhere":  verification.Compared{Right: true},
		"wrong elsewhere":  verification.Compared{},
		"approve":          verification.Answered{Decision: verification.Approve},
		"right number":     verification.Answered{Decision: verification.Approve, Number: hash},
		"wrong number":     verification.Answered{Decision: verification.Approve, Number: []byte("another")},
		"number and deny":  verification.Answered{Decision: verification.Deny, Number: hash},
		"deny":             verification.Answered{Decision: verification.Deny},
		"not me":           verification.Answered{Decision: verification.DecisionNotMe},
		"no decision":      verification.Answered{},
		"unknown decision": verification.Answered{Decision: "maybe"},
		"undelivered":      verification.Undelivered{Send: 1, Reason: "undeliverable"},
		"old undelivered":  verification.Undelivered{Send: 0, Reason: "undeliverable"},
		"cancel":           verification.Cancel{},
		"replaced":         verification.Replaced{},
	}
}

// matching is a pending approval that takes a number.
func matching() verification.Verification {
	v := open(verification.ApprovalChallenge)
	v.NumberLength, v.MaxChecks, v.NumberHash = 2, verification.MaxNumbers, hash
	return v
}

// everyKind lists pending verifications of every kind that Apply tells apart.
func everyKind() map[string]verification.Verification {
	return map[string]verification.Verification{
		"code": open(verification.CodeChallenge), "link": open(verification.LinkChallenge),
		"approval": open(verification.ApprovalChallenge), "number": matching(),
	}
}

func TestEveryFactOnEveryClosedStatusChangesNothing(t *testing.T) {
	for kind, v := range everyKind() {
		for _, s := range closed() {
			for name, f := range facts() {
				t.Run(kind+" "+string(s)+" then "+name, func(t *testing.T) {
					before := in(v, s)
					after, err := verification.Apply(before, f, now)
					require.ErrorIs(t, err, verification.ErrClosed)
					require.Equal(t, before, after)
				})
			}
		}
	}
}

func TestEveryFactOnAPendingVerification(t *testing.T) {
	type want struct {
		status verification.Status
		reason verification.Reason
		checks int
		err    error
	}
	same := want{status: verification.Pending}
	refused := want{status: verification.Pending, err: verification.ErrChallenge}
	approved, denied := want{status: verification.Approved}, want{status: verification.Denied}
	notMe := want{status: verification.Denied, reason: verification.NotMe}
	undelivered := want{status: verification.Failed, reason: "undeliverable"}
	canceled := want{status: verification.Canceled}
	replaced := want{status: verification.Canceled, reason: verification.Overtaken}
	checked, missed := want{status: verification.Approved, checks: 1}, want{status: verification.Pending, checks: 1}
	answers := map[string]want{
		"right code": refused, "wrong code": refused, "no code": refused, "right elsewhere": refused, "wrong elsewhere": refused,
		"approve": approved, "right number": approved, "wrong number": approved, // nobody asked for one
		"deny": denied, "number and deny": denied, "not me": notMe, "no decision": refused, "unknown decision": refused,
		"undelivered": undelivered, "old undelivered": same, "cancel": canceled, "replaced": replaced,
	}
	numbers := maps.Clone(answers)
	numbers["approve"], numbers["right number"], numbers["wrong number"] = same, checked, missed
	kinds := everyKind()
	for kind, wants := range map[string]map[string]want{
		"code": {
			"right code": checked, "wrong code": missed, "no code": missed, "right elsewhere": checked, "wrong elsewhere": missed,
			"approve": refused, "right number": refused, "wrong number": refused,
			"deny": refused, "number and deny": refused, "not me": refused, "no decision": refused, "unknown decision": refused,
			"undelivered": undelivered, "old undelivered": same, "cancel": canceled, "replaced": replaced,
		},
		"link": answers, "approval": answers, "number": numbers,
	} {
		require.Len(t, wants, len(facts()))
		for name, f := range facts() {
			t.Run(kind+" "+name, func(t *testing.T) {
				w := wants[name]
				after, err := verification.Apply(kinds[kind], f, now)
				require.ErrorIs(t, err, w.err)
				require.Equal(t, w.status, after.Status)
				require.Equal(t, w.reason, after.Reason)
				require.Equal(t, w.checks, after.ChecksUsed)
				require.Equal(t, w.status.Closed(), !after.ClosedAt.IsZero())
			})
		}
	}
}

func TestEveryFactAfterTheEndFindsItExpired(t *testing.T) {
	for name, f := range facts() {
		for _, late := range []time.Duration{0, time.Nanosecond, time.Hour} {
			t.Run(name+" late by "+late.String(), func(t *testing.T) {
				v := open(verification.CodeChallenge)
				after, err := verification.Apply(v, f, v.ExpiresAt.Add(late))
				require.ErrorIs(t, err, verification.ErrClosed)
				require.Equal(t, verification.Expired, after.Status)
				require.Equal(t, v.ExpiresAt, after.ClosedAt)
				require.Zero(t, after.ChecksUsed)
			})
		}
	}
}

func TestTheLastWrongCodeClosesAndTheRightOneIsTooLateThen(t *testing.T) {
	v := open(verification.CodeChallenge)
	var err error
	for i := range verification.MaxChecks {
		require.Equal(t, verification.MaxChecks-i, v.ChecksLeft())
		v, err = verification.Apply(v, verification.Checked{Hash: []byte("wrong")}, now)
		require.NoError(t, err)
	}
	require.Equal(t, verification.Failed, v.Status)
	require.Equal(t, verification.TooManyChecks, v.Reason)
	require.Zero(t, v.ChecksLeft())
	_, err = verification.Apply(v, verification.Checked{Hash: hash}, now)
	require.ErrorIs(t, err, verification.ErrClosed)
}

func TestTheRightCodeAsTheLastCheckApproves(t *testing.T) {
	v := open(verification.CodeChallenge)
	v.ChecksUsed = verification.MaxChecks - 1
	v, err := verification.Apply(v, verification.Checked{Hash: hash}, now)
	require.NoError(t, err)
	require.Equal(t, verification.Approved, v.Status)
}

func TestARecordWithoutAHashIsNeverApprovedByACode(t *testing.T) {
	v := open(verification.CodeChallenge)
	v.SecretHash = nil
	v, err := verification.Apply(v, verification.Checked{}, now)
	require.NoError(t, err)
	require.Equal(t, verification.Pending, v.Status)
}

// FuzzApply plays any sequence of facts, at any pace, and holds what a verification promises.
func FuzzApply(f *testing.F) {
	f.Add([]byte{0, 1, 2, 3, 4, 5}, uint8(0))
	f.Add([]byte{1, 1, 1, 1, 1, 0}, uint8(0))
	f.Add([]byte{200, 3, 9, 10}, uint8(1))
	f.Add([]byte{5, 7, 7, 6}, uint8(3))
	all := []verification.Fact{
		verification.Checked{Hash: hash},
		verification.Checked{Hash: []byte("x")},
		verification.Checked{},
		verification.Compared{Right: true},
		verification.Compared{},
		verification.Answered{Decision: verification.Approve},
		verification.Answered{Decision: verification.Approve, Number: hash},
		verification.Answered{Decision: verification.Approve, Number: []byte("x")},
		verification.Answered{Decision: verification.Approve, Number: []byte("x"), EventID: "e1"},
		verification.Answered{Decision: verification.Approve, Number: []byte("x"), EventID: "e2"},
		verification.Answered{Decision: verification.Deny},
		verification.Answered{Decision: verification.DecisionNotMe},
		verification.Answered{Decision: "maybe"},
		verification.Undelivered{Send: 1, Reason: "undeliverable"},
		verification.Undelivered{},
		verification.Cancel{},
		verification.Replaced{},
	}
	kinds := everyKind()
	names := slices.Sorted(maps.Keys(kinds))
	f.Fuzz(func(t *testing.T, script []byte, which uint8) {
		v := kinds[names[int(which)%len(names)]]
		clock := v.CreatedAt
		for _, b := range script {
			clock = clock.Add(time.Duration(b/10) * time.Second)
			before := v
			var err error
			fact := all[int(b)%len(all)]
			v, err = verification.Apply(v, fact, clock)
			if before.Status.Closed() {
				require.ErrorIs(t, err, verification.ErrClosed)
				require.Equal(t, before, v, "closed never reopens")
			}
			require.LessOrEqual(t, v.ChecksUsed, v.MaxChecks, "checks never exceed the limit")
			require.LessOrEqual(t, len(v.Tried), v.ChecksUsed, "each that is remembered was counted")
			if a, ok := fact.(verification.Answered); ok && a.EventID != "" && !v.Status.Closed() {
				again, err := verification.Apply(v, fact, clock)
				require.True(t, err == nil || errors.Is(err, verification.ErrChallenge))
				require.Equal(t, v, again, "an answer that comes again changes nothing")
			}
			if v.Status == verification.Approved {
				require.True(t, v.ClosedAt.Before(v.ExpiresAt), "an expired one is never approved")
			}
			if v.NumberLength > 0 && before.Status != v.Status && v.Status == verification.Approved {
				require.Equal(t, verification.Answered{Decision: verification.Approve, Number: hash}, fact, "only the right number approves")
			}
			if !clock.Before(v.ExpiresAt) {
				require.True(t, v.Status.Closed(), "nothing is pending past its end")
			}
		}
	})
}
