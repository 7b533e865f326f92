package wording

import (
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/assent-io/assent/events"
)

// Replies lists the words that count as each decision in a reply by text message, in
// the form that Decision reduces a reply to. They count in every language, because people
// answer in their own. Words that carriers act on (stop, cancel, end, quit) are not among
// them: they end messages, not requests.
func Replies() map[events.Decision][]string {
	return map[events.Decision][]string{
		events.Approve: {
			"yes", "y", "approve", "ja", "bestatigen", "si", "aprobar", "oui", "approuver", "sim", "aprovar",
			"हा", "जी हा", "मजर", "نعم", "ايوه", "اوافق", "موافق", "موافقة", "haan",
		},
		events.Deny: {
			"no", "n", "deny", "refuse", "nein", "ablehnen", "rechazar", "non", "refuser", "nao", "recusar",
			"नही", "जी नही", "ना", "मना", "لا", "ارفض", "رفض", "nahi", "nahin",
		},
		events.NotMe: {
			"not me", "wasn't me", "wasnt me", "this wasn't me", "this wasnt me", "it wasn't me", "it wasnt me", "it's not me",
			"das war ich nicht", "ich war das nicht", "das bin ich nicht", "ich nicht", "nicht ich",
			"no fui yo", "yo no fui", "no he sido yo", "no soy yo", "pas moi", "ce n'etait pas moi", "c'etait pas moi", "ce n'est pas moi",
			"nao fui eu", "nao era eu", "nao sou eu",
			"म नही", "यह म नही", "यह म नही था", "यह म नही थी", "मन नही किया", "यह मन नही किया", "لم اكن انا", "لست انا", "ليس انا", "مش انا",
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

// maxDigits bounds what a reply may hold to be read as a number; longer than any that is asked for.
const maxDigits = 16

// Number reads a reply by text message as the number on the person's screen: digits of any script, alone or with a
// yes before or behind them, and with what people put between digits. False means that it is no number.
func Number(reply string) (digits string, ok bool) {
	text := reduce(reply)
	for _, yes := range Replies()[events.Approve] {
		if rest, found := strings.CutPrefix(text, yes); found && !startsWord(rest) {
			text = rest
			break
		}
		if rest, found := strings.CutSuffix(text, yes); found && !endsWord(rest) {
			text = rest
			break
		}
	}
	var b strings.Builder
	for _, r := range text {
		d, digit := digitOf(r)
		switch {
		case digit && b.Len() < maxDigits:
			b.WriteByte(d)
		case digit, !unicode.IsSpace(r) && !unicode.IsPunct(r) && !unicode.Is(unicode.Cf, r): // Cf: what phones put around digits in Arabic
			return "", false
		}
	}
	return b.String(), b.Len() > 0
}

func startsWord(s string) bool {
	r, _ := utf8.DecodeRuneInString(s)
	return s != "" && unicode.IsLetter(r)
}

func endsWord(s string) bool {
	r, _ := utf8.DecodeLastRuneInString(s)
	return s != "" && unicode.IsLetter(r)
}

// digitOf is a decimal digit of any script as one of ASCII. Unicode keeps the ten digits of a script together, in
// their order.
func digitOf(r rune) (byte, bool) {
	const digits = "0123456789"
	at := int64(r)
	for _, script := range unicode.Nd.R16 {
		if lo := int64(script.Lo); lo <= at && at <= int64(script.Hi) {
			return digits[(at-lo)%10], true
		}
	}
	for _, script := range unicode.Nd.R32 {
		if lo := int64(script.Lo); lo <= at && at <= int64(script.Hi) {
			return digits[(at-lo)%10], true
		}
	}
	return 0, false
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
