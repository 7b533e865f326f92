package accept

import (
	"reflect"
	"regexp"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/verification"
)

// sentences collects every text of a language by its field's path.
func sentences(prefix string, v reflect.Value, into map[string]string) {
	switch v.Kind() { //nolint:exhaustive // a wording holds nothing else
	case reflect.String:
		into[prefix] = v.String()
	case reflect.Struct:
		for i := range v.NumField() {
			sentences(prefix+"."+v.Type().Field(i).Name, v.Field(i), into)
		}
	case reflect.Array:
		for i := range v.Len() {
			sentences(prefix+"[]", v.Index(i), into)
		}
	}
}

func TestEveryLanguageSaysEverythingWithTheSameParts(t *testing.T) {
	t.Parallel()
	parts := regexp.MustCompile(`\{[a-z]+\}`)
	want := map[string]string{}
	sentences("", reflect.ValueOf(*english), want)
	for _, w := range catalog {
		got := map[string]string{}
		sentences("", reflect.ValueOf(*w), got)
		for path, english := range want {
			require.Equal(t, english == "", got[path] == "", "%s %s", w.tag, path)
			require.ElementsMatch(t, parts.FindAllString(english, -1), parts.FindAllString(got[path], -1), "%s %s", w.tag, path)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	require.Equal(t, "30 seconds", english.duration(30*time.Second))
	require.Equal(t, "90 seconds", english.duration(90*time.Second))
	require.Equal(t, "1 minute", english.duration(time.Minute))
	require.Equal(t, "10 Minuten", german.duration(10*time.Minute))
}

// The words say two digits, and that a second wrong number refuses.
func TestTheWordsSayHowManyDigitsAndTries(t *testing.T) {
	t.Parallel()
	require.Equal(t, 2, verification.MatchedDigits)
	require.Equal(t, 2, verification.MaxNumbers)
}

func TestEveryRowOfDigitsIsReadWhole(t *testing.T) {
	t.Parallel()
	run := 0
	for r := range rune(unicode.MaxRune + 1) {
		if unicode.Is(unicode.Nd, r) {
			require.Equal(t, byte('0'+run%10), digitOf(r), "%U", r)
			run++
			continue
		}
		require.Zero(t, run%10, "ten digits before %U", r)
		run = 0
	}
}
