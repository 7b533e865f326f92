package verification_test

import (
	"bytes"
	"crypto/rand"
	"io"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/services/verification"
)

func number(n string) verification.Answered {
	return verification.Answered{Decision: verification.Approve, Number: []byte(n)}
}

func TestTheSecondWrongNumberDeniesAndTheRightOneIsTooLateThen(t *testing.T) {
	v := matching()
	v, err := verification.Apply(v, number("12"), now)
	require.NoError(t, err)
	require.Equal(t, verification.Pending, v.Status)
	require.Equal(t, now, v.ChangedAt, "who waits is told that a number was tried")
	v, err = verification.Apply(v, number("34"), now)
	require.NoError(t, err)
	require.Equal(t, verification.Denied, v.Status)
	require.Equal(t, verification.WrongNumber, v.Reason)
	_, err = verification.Apply(v, number(string(hash)), now)
	require.ErrorIs(t, err, verification.ErrClosed)
}

func TestTheRightNumberAsTheLastTryApproves(t *testing.T) {
	v := matching()
	v.ChecksUsed = v.MaxChecks - 1
	v, err := verification.Apply(v, number(string(hash)), now)
	require.NoError(t, err)
	require.Equal(t, verification.Approved, v.Status)
	require.Empty(t, v.Reason)
}

// event is an answer of its own with a number.
func event(id, n string) verification.Answered {
	f := number(n)
	f.EventID = id
	return f
}

func TestAWrongNumberCountsOnceForEachAnswer(t *testing.T) {
	first, err := verification.Apply(matching(), event("e1", "12"), now)
	require.NoError(t, err)
	require.Equal(t, 1, first.ChecksUsed)
	require.Equal(t, []string{"i1zE337sfTI"}, first.Tried, "the first 8 bytes of its SHA-256")
	for range 5 {
		again, err := verification.Apply(first, event("e1", "12"), now.Add(time.Second))
		require.NoError(t, err)
		require.Equal(t, first, again)
	}
	for name, second := range map[string]verification.Answered{
		"the same number in another answer": event("e2", "12"), "another number": event("e3", "34"), "an answer without an id": number("12"),
	} {
		after, err := verification.Apply(first, second, now)
		require.NoError(t, err)
		require.Equal(t, verification.Denied, after.Status, name)
		require.Equal(t, verification.WrongNumber, after.Reason, name)
	}
	approved, err := verification.Apply(first, event("e2", string(hash)), now)
	require.NoError(t, err)
	require.Equal(t, verification.Approved, approved.Status)
	denied, err := verification.Apply(first, verification.Answered{Decision: verification.Deny, EventID: "e1"}, now)
	require.NoError(t, err)
	require.Equal(t, verification.Denied, denied.Status, "only numbers are tried")
}

func TestHoweverOftenAnswersComeEachCountsOnce(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		v := matching()
		v.MaxChecks = rapid.IntRange(1, 5).Draw(t, "checks")
		other := v
		seen := map[string]bool{}
		for _, id := range rapid.SliceOf(rapid.SampledFrom([]string{"a", "b", "c", "d", "e", "f"})).Draw(t, "events") {
			kept := slices.Clone(v.Tried)
			before := v
			v, _ = verification.Apply(v, event(id, "wrong"), now)
			require.Equal(t, kept, before.Tried, "what was read before stays as it was")
			if !seen[id] {
				seen[id] = true
				other, _ = verification.Apply(other, number("wrong"), now)
			}
			require.Equal(t, other.Status, v.Status)
			require.Equal(t, other.ChecksUsed, v.ChecksUsed)
			require.Less(t, len(v.Tried), v.MaxChecks)
		}
	})
}

func TestAnApprovalWithoutItsNumberChangesNothing(t *testing.T) {
	for range 5 {
		after, err := verification.Apply(matching(), verification.Answered{Decision: verification.Approve}, now)
		require.NoError(t, err)
		require.Equal(t, matching(), after)
	}
}

func TestARecordWithoutAHashIsNeverApprovedByANumber(t *testing.T) {
	v := matching()
	v.NumberHash = nil
	v, err := verification.Apply(v, verification.Answered{Decision: verification.Approve, Number: []byte{}}, now)
	require.NoError(t, err)
	require.Equal(t, verification.Pending, v.Status)
	v, err = verification.Apply(v, number("12"), now)
	require.NoError(t, err)
	require.Equal(t, verification.Pending, v.Status)
}

func TestTheLastCodeThatWasWrongElsewhereCloses(t *testing.T) {
	v := open(verification.CodeChallenge)
	v.SecretHash = nil // as for an authenticator app
	var err error
	for range verification.MaxChecks {
		require.Equal(t, verification.Pending, v.Status)
		v, err = verification.Apply(v, verification.Compared{}, now)
		require.NoError(t, err)
	}
	require.Equal(t, verification.Failed, v.Status)
	require.Equal(t, verification.TooManyChecks, v.Reason)
	_, err = verification.Apply(v, verification.Compared{Right: true}, now)
	require.ErrorIs(t, err, verification.ErrClosed)
}

func TestALinkHasANumberBesideItsToken(t *testing.T) {
	p := params(verification.Email)
	p.Challenge = verification.LinkChallenge
	require.Equal(t, verification.MatchedDigits, p.MatchedDigits())
	p.NumberLength = p.MatchedDigits()
	v, s, err := verification.New(p, now, rand.Reader)
	require.NoError(t, err)
	require.NotEmpty(t, s.Token.Reveal())
	require.Len(t, s.Number.Reveal(), verification.MatchedDigits)
	require.Equal(t, verification.MaxNumbers, v.MaxChecks)
	v.SecretHash, v.NumberHash = []byte("token"), []byte("number")
	for _, wrong := range [][]byte{nil, {}, []byte("token")} { // the token opened the page, and is no number
		after, err := verification.Apply(v, verification.Answered{Decision: verification.Approve, Number: wrong}, now)
		require.NoError(t, err)
		require.Equal(t, verification.Pending, after.Status)
	}
	v, err = verification.Apply(v, number("number"), now)
	require.NoError(t, err)
	require.Equal(t, verification.Approved, v.Status)
}

func TestTheChallengesThatAreApprovedHaveANumber(t *testing.T) {
	for _, c := range []struct {
		channel   verification.Channel
		challenge verification.Challenge
		digits    int
	}{
		{verification.SMS, "", 0},
		{verification.SMS, verification.CodeChallenge, 0},
		{verification.SMS, verification.LinkChallenge, 2},
		{verification.Voice, verification.ApprovalChallenge, 2},
		{verification.Push, "", 2},
		{verification.Push, verification.CodeChallenge, 0},
		{verification.TOTP, "", 0},
	} {
		p := params(c.channel)
		p.Challenge = c.challenge
		require.Equal(t, c.digits, p.MatchedDigits(), "%s by %s", c.challenge, c.channel)
	}
}

func TestNewDrawsANumberForAnApprovalThatAsksForOne(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := params(verification.Voice)
		p.Challenge = verification.ApprovalChallenge
		p.NumberLength = rapid.IntRange(1, verification.MaxNumberLength).Draw(t, "length")
		p.MaxChecks = rapid.IntRange(0, 3).Draw(t, "checks")
		v, s, err := verification.New(p, now, rand.Reader)
		require.NoError(t, err)
		require.Len(t, s.Number.Reveal(), p.NumberLength)
		require.Empty(t, strings.Trim(s.Number.Reveal(), "0123456789"))
		require.Empty(t, s.Code.Reveal()+s.Token.Reveal(), "nothing that goes into the message")
		require.Equal(t, p.NumberLength, v.NumberLength)
		if p.MaxChecks == 0 {
			require.Equal(t, verification.MaxNumbers, v.MaxChecks)
		} else {
			require.Equal(t, p.MaxChecks, v.MaxChecks)
		}
		require.Zero(t, v.ChecksLeft(), "codes are not taken")
	})
	p := params(verification.Push)
	v, s, err := verification.New(p, now, rand.Reader)
	require.NoError(t, err)
	require.Zero(t, v.NumberLength)
	require.Empty(t, s.Number.Reveal(), "a plain approval has none")
	p.NumberLength = 2
	_, _, err = verification.New(p, now, io.MultiReader())
	require.ErrorIs(t, err, io.EOF)
}

func TestNumbersGoWithNoCodesAndAreShort(t *testing.T) {
	for name, change := range map[string]func(*verification.Params){
		"a number beside a code": func(p *verification.Params) { p.NumberLength = 2 },
		"a number too long": func(p *verification.Params) {
			p.Challenge, p.NumberLength = verification.ApprovalChallenge, verification.MaxNumberLength+1
		},
		"a negative number": func(p *verification.Params) { p.Challenge, p.NumberLength = verification.ApprovalChallenge, -1 },
	} {
		t.Run(name, func(t *testing.T) {
			p := params(verification.SMS)
			change(&p)
			_, _, err := verification.New(p, now, rand.Reader)
			var invalid *verification.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Len(t, invalid.Faults, 1)
			require.Equal(t, "number_length", invalid.Faults[0].Field)
		})
	}
}

func TestAnAuthenticatorHasNoSecretOfItsOwnHere(t *testing.T) {
	v, s, err := verification.New(params(verification.TOTP), now, io.MultiReader())
	require.NoError(t, err, "nothing is drawn")
	require.Equal(t, verification.CodeChallenge, v.Challenge)
	require.Equal(t, 6, v.CodeLength)
	require.Equal(t, verification.MaxChecks, v.ChecksLeft())
	require.Empty(t, s.Code.Reveal()+s.Token.Reveal()+s.Number.Reveal())
	for _, c := range []verification.Challenge{verification.LinkChallenge, verification.ApprovalChallenge} {
		p := params(verification.TOTP)
		p.Challenge = c
		_, _, err = verification.New(p, now, rand.Reader)
		require.ErrorContains(t, err, "challenge must be code for the channel totp")
	}
}

func TestAClientMayAskForFewerChecks(t *testing.T) {
	p := params(verification.SMS)
	p.MaxChecks = 2
	v, _, err := verification.New(p, now, rand.Reader)
	require.NoError(t, err)
	require.Equal(t, 2, v.ChecksLeft())
}

func TestTheBoundsOfALifeAreThoseOfItsDoor(t *testing.T) {
	const second = time.Second
	for name, c := range map[string]struct {
		life, shortest, longest time.Duration
		fault                   string // empty: fine
	}{
		"ours, the shortest":             {30 * second, 0, 0, ""},
		"ours, one less":                 {29 * second, 0, 0, "must be from 30 to 600 seconds"},
		"ours, the longest":              {600 * second, 0, 0, ""},
		"ours, one more":                 {601 * second, 0, 0, "must be from 30 to 600 seconds"},
		"theirs, the shortest":           {120 * second, 120 * second, 900 * second, ""},
		"theirs, one less":               {119 * second, 120 * second, 900 * second, "must be from 120 to 900 seconds"},
		"theirs, the longest":            {900 * second, 120 * second, 900 * second, ""},
		"theirs, one more":               {901 * second, 120 * second, 900 * second, "must be from 120 to 900 seconds"},
		"shorter than ours, for tests":   {5 * second, 5 * second, 900 * second, ""},
		"longer than anything may live":  {901 * second, 120 * second, time.Hour, "must be from 120 to 900 seconds"},
		"a policy that caps what is had": {301 * second, 120 * second, 300 * second, "must be from 120 to 300 seconds"},
	} {
		t.Run(name, func(t *testing.T) {
			p := params(verification.SMS)
			p.Life, p.Shortest, p.Longest = c.life, c.shortest, c.longest
			v, _, err := verification.New(p, now, rand.Reader)
			if c.fault == "" {
				require.NoError(t, err)
				require.Equal(t, now.Add(c.life), v.ExpiresAt)
				return
			}
			var invalid *verification.InvalidError
			require.ErrorAs(t, err, &invalid)
			require.Equal(t, []verification.Fault{{Field: "expires_in", Detail: c.fault}}, invalid.Faults)
		})
	}
}

// letters begin alphanumeric codes; I, O, S and Z are taken for digits.
const letters = "ABCDEFGHJKLMNPQRTUVWXY"

func TestAlphanumericCodesAreALetterAndDigits(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		p := params(verification.SMS)
		p.Alphanumeric, p.CodeLength = true, rapid.IntRange(verification.MinCodeLength, verification.MaxCodeLength).Draw(t, "length")
		v, s, err := verification.New(p, now, rand.Reader)
		require.NoError(t, err)
		code := s.Code.Reveal()
		require.Len(t, code, p.CodeLength)
		require.Equal(t, p.CodeLength, v.CodeLength)
		require.Contains(t, letters, code[:1])
		require.Empty(t, strings.Trim(code[1:], "0123456789"))
	})
	for n := range 5 { // the random source may end before the digits or before the letter
		_, err := verification.NewAlphanumericCode(bytes.NewReader(make([]byte, n)), 6)
		require.Error(t, err)
	}
	_, err := verification.NewAlphanumericCode(bytes.NewReader(make([]byte, 5)), 6)
	require.ErrorIs(t, err, io.EOF)
}

func TestEachLetterIsAsLikelyAsTheOthers(t *testing.T) {
	counts := map[string]int{}
	dropped := 0
	for b := range 256 {
		code, err := verification.NewAlphanumericCode(bytes.NewReader([]byte{0, 0, 0, byte(b)}), 4)
		if err != nil {
			require.ErrorIs(t, err, io.EOF, "drawn again")
			dropped++
			continue
		}
		counts[code.Reveal()[:1]]++
	}
	require.Len(t, counts, len(letters))
	for letter, n := range counts {
		require.Equal(t, (256-dropped)/len(letters), n, letter)
	}
}
