package enrol

import (
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/address"
)

var namedParts = regexp.MustCompile(`\{[a-z]+\}`)

// sentences are all that a wording says, by the name of the field.
func (w *wording) sentences() map[string]string {
	all := map[string]string{}
	value := reflect.ValueOf(*w)
	for i := range value.NumField() {
		field := value.Type().Field(i)
		if field.Anonymous {
			continue // not what the page says
		}
		if f := value.Field(i); f.Kind() == reflect.String {
			all[field.Name] = f.String()
		} else {
			for j := range f.Len() {
				all[field.Name+strconv.Itoa(j)] = f.Index(j).String()
			}
		}
	}
	return all
}

// partsOf are the named parts of a sentence, without the brand where it has a version without one.
func partsOf(sentence string) []string {
	_, plain, either := strings.Cut(sentence, "|")
	if either {
		sentence = plain
	}
	parts := namedParts.FindAllString(sentence, -1)
	slices.Sort(parts)
	return slices.Compact(parts)
}

func TestEveryLanguageSaysEverything(t *testing.T) {
	t.Parallel()
	require.Len(t, catalog.All(), 7)
	reference := english.sentences()
	for _, w := range catalog.All() {
		for field, sentence := range w.sentences() {
			require.NotEmpty(t, strings.TrimSpace(sentence), "%s: %s", w.Tag, field)
			if field == "OnDate" {
				require.Equal(t, []string{"{day}", "{month}", "{year}"}, partsOf(sentence), w.Tag)
				continue
			}
			if !strings.HasPrefix(field, "TriesLeft") {
				require.Equal(t, partsOf(reference[field]), partsOf(sentence), "%s: %s", w.Tag, field)
			}
			require.Equal(t, strings.Contains(reference[field], "|"), strings.Contains(sentence, "|"), "%s: %s", w.Tag, field)
			if strings.Contains(sentence, "{brand}") {
				require.Contains(t, sentence, "|", "%s: %s: there may be no brand", w.Tag, field)
			}
			if w != english && len(sentence) > 24 {
				require.NotEqual(t, reference[field], sentence, "%s: %s is not translated", w.Tag, field)
			}
		}
	}
}

func TestEveryFlawHasItsSentence(t *testing.T) {
	t.Parallel()
	for _, w := range catalog.All() {
		said := map[string]bool{}
		for _, f := range []address.Flaw{
			address.NotAbroad, address.NotDigits, address.NoCountry, address.Short, address.Long, address.NoNumber,
			address.IsMailbox, address.IsNumber, address.NoMailbox, address.NotASCII, address.NoDomain,
		} {
			require.NotEmpty(t, w.flaw(f), "%s: %s", w.Tag, f)
			said[w.flaw(f)] = true
		}
		require.Len(t, said, 11, "each its own")
	}
}
