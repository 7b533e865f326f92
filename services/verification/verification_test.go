package verification_test

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/services/verification"
)

const id = "0199b1c2-0000-7000-8000-000000000001"

func params(c verification.Channel) verification.Params {
	return verification.Params{ID: id, Credential: "shop", Channel: c, ToMasked: "+1••••••0100"}
}

func TestNewFillsInTheDefaultsOfItsChannel(t *testing.T) {
	for c, want := range map[verification.Channel]verification.Challenge{
		verification.SMS: verification.CodeChallenge, verification.Voice: verification.CodeChallenge,
		verification.Email: verification.CodeChallenge, verification.Push: verification.ApprovalChallenge,
	} {
		v, s, err := verification.New(params(c), now, rand.Reader)
		require.NoError(t, err)
		require.Equal(t, want, v.Challenge)
		require.Equal(t, verification.Pending, v.Status)
		require.Equal(t, now.Add(5*time.Minute), v.ExpiresAt)
		require.Equal(t, 1, v.Sends)
		if want == verification.CodeChallenge {
			require.Len(t, s.Code.Reveal(), 6)
			require.Equal(t, verification.MaxChecks, v.ChecksLeft())
		} else {
			require.Empty(t, s.Code.Reveal()+s.Token.Reveal())
			require.Zero(t, v.ChecksLeft())
		}
	}
}

func TestAPushMayBringACode(t *testing.T) {
	p := params(verification.Push)
	p.Challenge, p.CodeLength = verification.CodeChallenge, 8
	v, s, err := verification.New(p, now, rand.Reader)
	require.NoError(t, err)
	require.Len(t, s.Code.Reveal(), 8)
	require.Empty(t, s.Token.Reveal()+s.Number.Reveal())
	require.Equal(t, verification.MaxChecks, v.ChecksLeft())
	_, err = verification.Apply(v, verification.Answered{Decision: verification.Approve}, now)
	require.ErrorIs(t, err, verification.ErrChallenge, "a code is approved by nobody's yes")
}

func TestNewNamesEveryFaultAtOnce(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*verification.Params)
		fields []string
	}{
		"an unknown channel":              {func(p *verification.Params) { p.Channel = "fax" }, []string{"channel"}},
		"a spoken link":                   {func(p *verification.Params) { p.Channel, p.Challenge = "voice", "link" }, []string{"challenge"}},
		"a mailed approval":               {func(p *verification.Params) { p.Channel, p.Challenge = "email", "approval" }, []string{"challenge"}},
		"a pushed link":                   {func(p *verification.Params) { p.Channel, p.Challenge = "push", "link" }, []string{"challenge"}},
		"a life too short":                {func(p *verification.Params) { p.Life = verification.MinLife - 1 }, []string{"expires_in"}},
		"a life too long":                 {func(p *verification.Params) { p.Life = verification.MaxLife + 1 }, []string{"expires_in"}},
		"a negative life":                 {func(p *verification.Params) { p.Life = -1 }, []string{"expires_in"}},
		"a code too short":                {func(p *verification.Params) { p.CodeLength = 3 }, []string{"code_length"}},
		"a code too long":                 {func(p *verification.Params) { p.CodeLength = 11 }, []string{"code_length"}},
		"a length where there is no code": {func(p *verification.Params) { p.Challenge, p.CodeLength = "link", 6 }, []string{"code_length"}},
		"a page of a link":                {func(p *verification.Params) { p.Challenge, p.Autofill.Origin = "link", "a.example" }, []string{"origin"}},
		"an app of a spoken code":         {func(p *verification.Params) { p.Channel, p.Autofill.AppHash = "voice", "FA+9qCX9VSu" }, []string{"app_hash"}},
		"a page and an app of a mail": {
			func(p *verification.Params) {
				p.Channel, p.Autofill = "email", verification.Autofill{Origin: "a.example", AppHash: "FA+9qCX9VSu"}
			},
			[]string{"origin", "app_hash"},
		},
		"a page of another channel":   {func(p *verification.Params) { p.Channel, p.Autofill.Origin = "fax", "a.example" }, []string{"channel"}},
		"three faults in one request": {func(p *verification.Params) { p.Channel, p.Life, p.CodeLength = "fax", 1, 99 }, []string{"channel", "expires_in", "code_length"}},
	} {
		t.Run(name, func(t *testing.T) {
			p := params(verification.SMS)
			c.change(&p)
			_, _, err := verification.New(p, now, rand.Reader)
			var invalid *verification.InvalidError
			require.ErrorAs(t, err, &invalid)
			var fields []string
			for _, f := range invalid.Faults {
				fields = append(fields, f.Field)
				require.NotEmpty(t, f.Detail)
			}
			require.Equal(t, c.fields, fields)
		})
	}
}

func TestNewFailsWhenTheRandomSourceDoes(t *testing.T) {
	broken := io.MultiReader() // ends at once
	for _, c := range []verification.Challenge{verification.CodeChallenge, verification.LinkChallenge} {
		p := params(verification.SMS)
		p.Challenge = c
		_, _, err := verification.New(p, now, broken)
		require.ErrorIs(t, err, io.EOF)
	}
}

func TestEachDigitIsAsLikelyAsTheOthers(t *testing.T) {
	// All 256 byte values once: what is kept must hold each digit equally often, so 250 and above were dropped.
	all := make([]byte, 256)
	for i := range all {
		all[i] = byte(i)
	}
	c, err := verification.NewCode(bytes.NewReader(all), 250)
	require.NoError(t, err)
	for d := '0'; d <= '9'; d++ {
		require.Equal(t, 25, strings.Count(c.Reveal(), string(d)))
	}
	_, err = verification.NewCode(bytes.NewReader(all), 251)
	require.Error(t, err)
}

func TestCodesHaveTheirLengthAndKeepLeadingZeros(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(verification.MinCodeLength, verification.MaxCodeLength).Draw(t, "length")
		c, err := verification.NewCode(rand.Reader, n)
		require.NoError(t, err)
		require.Regexp(t, fmt.Sprintf(`^[0-9]{%d}$`, n), c.Reveal())
	})
	c, err := verification.NewCode(bytes.NewReader(make([]byte, 6)), 6)
	require.NoError(t, err)
	require.Equal(t, "000000", c.Reveal())
}

func TestALinkTokenLeadsToItsVerificationAndNeverRepeats(t *testing.T) {
	seen := map[string]bool{}
	for range 1000 {
		tok, err := verification.NewToken(rand.Reader, id)
		require.NoError(t, err)
		require.Regexp(t, `^[0-9a-zA-Z]{43}$`, tok.Reveal())
		require.False(t, seen[tok.Reveal()])
		seen[tok.Reveal()] = true
		got, err := verification.TokenID(tok)
		require.NoError(t, err)
		require.Equal(t, id, got)
	}
	_, err := verification.NewToken(rand.Reader, "not-a-uuid")
	require.Error(t, err)
}

func FuzzTokenID(f *testing.F) {
	f.Add("")
	f.Add(strings.Repeat("Z", 43))
	f.Add(strings.Repeat("0", 43))
	f.Add("-" + strings.Repeat("1", 42))
	f.Add(strings.Repeat("_", 43))
	f.Fuzz(func(t *testing.T, s string) {
		got, err := verification.TokenID(verification.Token(s))
		if err != nil {
			require.ErrorIs(t, err, verification.ErrToken)
			return
		}
		require.Regexp(t, `^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$`, got)
	})
}

func TestSecretsCannotBePrinted(t *testing.T) {
	const code, token, number = "482913", "a-very-secret-token", "70615243"
	s := verification.Secrets{Code: code, Token: token, Number: number}
	var log bytes.Buffer
	l := slog.New(slog.NewJSONHandler(&log, nil))
	l.Info("made", "code", s.Code, "token", s.Token, "number", s.Number, "secrets", s)
	slog.New(slog.NewTextHandler(&log, nil)).Info("made", "code", s.Code, "secrets", s)
	j, err := json.Marshal(s)
	require.NoError(t, err)
	printed := log.String() + string(j) + fmt.Sprintf("%v %+v %#v %s %q", s, s, s, s.Code, s.Token) +
		errors.Join(fmt.Errorf("code %v", s.Code)).Error()
	require.NotContains(t, printed, code)
	require.NotContains(t, printed, token)
	require.NotContains(t, printed, number)
	require.Contains(t, printed, "REDACTED")
}

func TestAVerificationHasItsChannel(t *testing.T) {
	t.Parallel()
	v := verification.Verification{Channel: verification.Voice}
	require.True(t, v.Has(verification.Voice))
	require.False(t, v.Has(verification.SMS))
}
