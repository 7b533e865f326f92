package recovery_test

import (
	"bytes"
	"crypto/rand"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/recovery"
	"github.com/assent-io/assent/services/verification"
)

var (
	codeForm  = regexp.MustCompile(`^[2-9A-HJKMNP-Z]{4}(-[2-9A-HJKMNP-Z]{4}){2}$`)
	tokenForm = regexp.MustCompile(`^[2-9A-HJKMNP-Z]{4}(-[2-9A-HJKMNP-Z]{4}){3}$`)
)

func TestCodesAreTenDifferentOnesThatNobodyMisreads(t *testing.T) {
	t.Parallel()
	codes, err := recovery.NewCodes(rand.Reader)
	require.NoError(t, err)
	require.Len(t, codes, 10)
	seen := map[verification.Code]bool{}
	for _, c := range codes {
		require.Regexp(t, codeForm, c.Reveal())
		require.NotContains(t, fmt.Sprintf("%v %+v %#v %s", c, c, c, c), c.Reveal())
		seen[c] = true
		kind, plain, ok := recovery.Read(c.Reveal())
		require.True(t, ok)
		require.Equal(t, recovery.Code, kind)
		require.Equal(t, strings.ReplaceAll(c.Reveal(), "-", ""), plain.Reveal())
	}
	require.Len(t, seen, 10)

	token, err := recovery.NewToken(rand.Reader)
	require.NoError(t, err)
	require.Regexp(t, tokenForm, token.Reveal())
	kind, _, ok := recovery.Read(token.Reveal())
	require.True(t, ok)
	require.Equal(t, recovery.Token, kind)
}

func TestEachCharacterIsEquallyLikely(t *testing.T) {
	t.Parallel()
	all := make([]byte, 0, 12*256)
	for range 12 { // every byte as often as every other
		for b := range 256 {
			all = append(all, byte(b))
		}
	}
	random := bytes.NewReader(all)
	counts := map[rune]int{}
	drawn := 0
	for {
		token, err := recovery.NewToken(random)
		if err != nil {
			break
		}
		for _, r := range strings.ReplaceAll(token.Reveal(), "-", "") {
			counts[r]++
			drawn++
		}
	}
	require.Len(t, counts, 31)
	for r, n := range counts {
		require.InDelta(t, drawn/31, n, 1, "%c", r)
	}
}

func TestWithoutChanceThereIsNoCode(t *testing.T) {
	t.Parallel()
	broken := iotest.ErrReader(errors.New("no entropy"))
	_, err := recovery.NewCodes(broken)
	require.ErrorContains(t, err, "draw recovery code: no entropy")
	_, err = recovery.NewToken(broken)
	require.ErrorContains(t, err, "draw bypass token: no entropy")
}

func TestWhatPeopleType(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		typed string
		kind  recovery.Kind
		plain string
	}{
		"as it was told":                 {"K7QF-2M9X-4T8B", recovery.Code, "K7QF2M9X4T8B"},
		"small letters":                  {"k7qf-2m9x-4t8b", recovery.Code, "K7QF2M9X4T8B"},
		"without dashes":                 {"k7Qf2m9x4t8B", recovery.Code, "K7QF2M9X4T8B"},
		"spaces":                         {"  k7qf 2m9x 4t8b\n", recovery.Code, "K7QF2M9X4T8B"},
		"a phone's dashes and spaces":    {"K7QF–2M9X—4T8B\u00a0", recovery.Code, "K7QF2M9X4T8B"},
		"a character that is in none":    {"K7QF-2M9X-4T8O", recovery.Code, "K7QF2M9X4T8O"},
		"a bypass token":                 {"k7qf2m9x4t8bw3hn", recovery.Token, "K7QF2M9X4T8BW3HN"},
		"nothing":                        {"", "", ""},
		"dashes only":                    {"- - -", "", ""},
		"too short":                      {"K7QF-2M9X-4T8", "", ""},
		"between the two":                {"K7QF-2M9X-4T8B-W3", "", ""},
		"too long":                       {"K7QF-2M9X-4T8B-W3HN-2", "", ""},
		"another sign":                   {"K7QF_2M9X_4T8B", "", ""},
		"letters of another script":      {"К7QF-2M9X-4T8B", "", ""},
		"digits of another script":       {"K７QF-2M9X-4T8B", "", ""},
		"a letter that has two capitals": {"ßK7QF2M9X4T", "", ""},
		"over the length":                {strings.Repeat("-", 60) + "K7QF2M9X4T8B", "", ""},
	} {
		kind, plain, ok := recovery.Read(test.typed)
		require.Equal(t, test.kind != "", ok, name)
		require.Equal(t, test.kind, kind, name)
		require.Equal(t, test.plain, plain.Reveal(), name)
	}
}
