package accept

import (
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

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
	for _, w := range catalog.All() {
		got := map[string]string{}
		sentences("", reflect.ValueOf(*w), got)
		for path, english := range want {
			require.Equal(t, english == "", got[path] == "", "%s %s", w.Tag, path)
			require.ElementsMatch(t, parts.FindAllString(english, -1), parts.FindAllString(got[path], -1), "%s %s", w.Tag, path)
		}
	}
}

func TestDurations(t *testing.T) {
	t.Parallel()
	require.Equal(t, "30 seconds", english.duration(30*time.Second))
	require.Equal(t, "90 seconds", english.duration(90*time.Second))
	require.Equal(t, "1 minute", english.duration(time.Minute))
	require.Equal(t, "1 second", english.duration(time.Second))
	require.Equal(t, "10 Minuten", german.duration(10*time.Minute))
	require.Equal(t, "5 मिनट", hindi.duration(5*time.Minute))
	for minutes, want := range map[int]string{
		1: "دقيقة واحدة", 2: "دقيقتين", 3: "3 دقائق", 10: "10 دقائق", 11: "11 دقيقة", 60: "60 دقيقة", 100: "100 دقيقة", 103: "103 دقائق",
	} {
		require.Equal(t, want, arabic.duration(time.Duration(minutes)*time.Minute))
	}
	require.Equal(t, "90 ثانية", arabic.duration(90*time.Second))
}

func TestEveryLanguageHasItsPluralForms(t *testing.T) {
	t.Parallel()
	for _, w := range catalog.All() {
		for n := 1; n <= 1440; n++ {
			form := plural.Cardinal.MatchPlural(language.MustParse(w.Tag), n, 0, 0, 0, 0)
			require.NotEmpty(t, w.minutes[form], "%s, %d minutes", w.Tag, n)
			require.NotEmpty(t, w.seconds[form], "%s, %d seconds", w.Tag, n)
		}
		for _, text := range []string{w.minutes[plural.Other], w.seconds[plural.Other]} {
			require.Contains(t, text, "{n}", w.Tag)
		}
	}
}

func TestEveryLetterIsOfItsLanguage(t *testing.T) {
	t.Parallel()
	for _, w := range catalog.All() {
		script := map[string]*unicode.RangeTable{"hi": unicode.Devanagari, "ar": unicode.Arabic}[w.Tag]
		if script == nil {
			script = unicode.Latin
		}
		texts := map[string]string{}
		sentences("", reflect.ValueOf(*w), texts)
		for path, text := range texts {
			if strings.HasPrefix(path, ".Language.") || strings.HasSuffix(path, ".mark") {
				continue
			}
			for _, r := range regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(text, "") {
				require.True(t, !unicode.IsLetter(r) || unicode.Is(script, r), "%s %s: %q in %s", w.Tag, path, r, text)
				require.False(t, unicode.Is(unicode.Cf, r), "%s %s: an invisible letter in %s", w.Tag, path, text)
			}
		}
	}
}

// The words say two digits, and that a second wrong number refuses.
func TestTheWordsSayHowManyDigitsAndTries(t *testing.T) {
	t.Parallel()
	require.Equal(t, 2, verification.MatchedDigits)
	require.Equal(t, 2, verification.MaxNumbers)
}
