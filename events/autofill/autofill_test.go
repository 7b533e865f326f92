package autofill_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/gsm7"
)

const (
	origin = "example.com"
	hash   = "FA+9qCX9VSu"
)

func TestTheLastLineIsThatOfTheSpecifications(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		hint autofill.Hint
		code string
		want string
	}{
		{autofill.Hint{}, "747723", "Your code is 747723."},
		{autofill.Hint{Origin: origin}, "747723", "Your code is 747723.\n@example.com #747723"},
		{autofill.Hint{AppHash: hash}, "747723", "Your code is 747723.\nFA+9qCX9VSu"},
		{autofill.Hint{Origin: origin, AppHash: hash}, "747723", "Your code is 747723.\n@example.com #747723 FA+9qCX9VSu"},
		{autofill.Hint{Origin: origin}, "B41832", "Your code is B41832.\n@example.com #B41832"},
	} {
		require.Equal(t, c.want, c.hint.Under("Your code is "+c.code+".", c.code))
	}
	require.Equal(t, "Code 1234\n@example.com #1234", autofill.Hint{Origin: origin}.Under("Code 1234\n\n", "1234"), "one newline between")
	require.Equal(t, "Code 1234\n", autofill.Hint{}.Under("Code 1234\n", "1234"), "nothing is rewritten")
}

func TestWhatOneLacksTheOtherHas(t *testing.T) {
	t.Parallel()
	preset := autofill.Hint{Origin: "preset.example", AppHash: hash}
	require.Equal(t, preset, autofill.Hint{}.Or(preset))
	require.Equal(t, autofill.Hint{Origin: origin, AppHash: hash}, autofill.Hint{Origin: origin}.Or(preset))
	require.Equal(t, autofill.Hint{Origin: "preset.example", AppHash: "AAAAAAAAAAA"}, autofill.Hint{AppHash: "AAAAAAAAAAA"}.Or(preset))
}

func TestAHashThatNoAppWouldGetIsLeftOut(t *testing.T) {
	t.Parallel()
	both := autofill.Hint{Origin: origin, AppHash: hash}
	line := len("\n" + both.Line("747723"))
	require.Equal(t, both, both.Fitting(strings.Repeat("x", autofill.MaxBytes-line), "747723"))
	require.Equal(t, autofill.Hint{Origin: origin}, both.Fitting(strings.Repeat("x", autofill.MaxBytes-line+1), "747723"))
	require.Equal(t, autofill.Hint{Origin: origin}, both.Fitting(strings.Repeat("я", 60), "747723"), "bytes count, not characters")
	require.Equal(t, autofill.Hint{Origin: origin}, autofill.Hint{Origin: origin}.Fitting(strings.Repeat("x", 500), "747723"))
}

func TestOrigins(t *testing.T) {
	t.Parallel()
	long := strings.Repeat(strings.Repeat("a", 49)+".", 5)
	for _, s := range []string{
		origin, "localhost", "login.example.co.uk", "EXAMPLE.com", "xn--bcher-kva.example", "1.example.com", "a-b.c1", "4chan.org",
		long + "com", // 253
	} {
		require.True(t, autofill.ValidOrigin(s), s)
	}
	for _, s := range []string{
		"", "example", "https://example.com", "example.com:443", "example.com/", "example.com/path", "@example.com", "example.com.", ".example.com",
		"a..b", "-a.com", "a-.com", "bücher.example", "exa mple.com", "example.com\n", "a_b.com", "127.0.0.1", "1.2", "a.0x7f", "a.1", "[::1]", "::1",
		long + "comm", strings.Repeat("a", 64) + ".com", "ex#ample.com", "LOCALHOST",
	} {
		require.False(t, autofill.ValidOrigin(s), s)
	}
}

func TestAppHashes(t *testing.T) {
	t.Parallel()
	for _, s := range []string{hash, "AAAAAAAAAAA", "0123456789/"} {
		require.True(t, autofill.ValidAppHash(s), s)
	}
	for _, s := range []string{"", "FA+9qCX9VS", "FA+9qCX9VSuu", "FA-9qCX9VSu", "FA+9qCX9VSu\n", "FA+9qCX9VS=", "FA 9qCX9VSu", "éA+9qCX9VS"} {
		require.False(t, autofill.ValidAppHash(s), s)
	}
}

// A last line never puts a text into UCS-2, where one message holds less than half.
func TestTheLastLineIsInTheAlphabetOfTextMessages(t *testing.T) {
	t.Parallel()
	for c := range rune(0x2000) {
		if h := (autofill.Hint{Origin: "a" + string(c) + "b.example"}); autofill.ValidOrigin(h.Origin) {
			require.True(t, gsm7.Has(c), "%U", c)
		}
		if h := (autofill.Hint{AppHash: "A+/bcdefgh" + string(c)}); autofill.ValidAppHash(h.AppHash) {
			require.True(t, gsm7.Has(c), "%U", c)
		}
	}
	n, ok := gsm7.Septets(autofill.Hint{Origin: origin, AppHash: hash}.Line("747723"))
	require.True(t, ok)
	require.Equal(t, len("@example.com #747723 FA+9qCX9VSu"), n)
}
