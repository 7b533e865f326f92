package wording

import (
	"slices"
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/assent-io/assent/events"
)

// Replies lists the words that count as each decision in a reply by text message, in
// the form that Decision reduces a reply to. They count in every language, because people
// answer in their own. Words that carriers act on (stop, cancel, end, quit) are not among
// them: they end messages, not requests.
func Replies() map[events.Decision][]string {
	return map[events.Decision][]string{
		events.Approve: {"yes", "y", "approve", "ja", "bestatigen", "si", "aprobar", "oui", "approuver", "sim", "aprovar"},
		events.Deny:    {"no", "n", "deny", "refuse", "nein", "ablehnen", "rechazar", "non", "refuser", "nao", "recusar"},
		events.NotMe: {
			"not me", "wasn't me", "wasnt me", "this wasn't me", "this wasnt me", "das war ich nicht", "ich nicht",
			"no fui yo", "no soy yo", "pas moi", "ce n'etait pas moi", "nao fui eu", "nao sou eu",
		},
	}
}

// Decision reads a reply by text message. Only a whole reply counts: a sentence that
// merely holds the word yes approves nothing. False means that no decision was understood.
func Decision(reply string) (events.Decision, bool) {
	word := reduce(reply)
	for decision, words := range Replies() {
		if slices.Contains(words, word) {
			return decision, true
		}
	}
	return "", false
}

// reduce takes off what people add without meaning: case, accents, quotes and punctuation around, wide spaces.
func reduce(reply string) string {
	var b strings.Builder
	for _, r := range norm.NFKD.String(strings.ToLower(reply)) {
		switch {
		case unicode.Is(unicode.Mn, r):
		case r == '’' || r == '‘' || r == '`' || r == '´':
			b.WriteRune('\'')
		default:
			b.WriteRune(r)
		}
	}
	words := strings.Join(strings.Fields(b.String()), " ")
	return strings.TrimFunc(words, func(r rune) bool {
		return unicode.IsPunct(r) || unicode.IsSpace(r)
	})
}
