package wording

import (
	"strings"
	"unicode"

	"golang.org/x/text/unicode/norm"

	"github.com/assent-io/assent/events/gsm7"
)

// single says that a text fits one message.
func single(text string) bool {
	return gsm7.Segments(text).Segments == 1
}

// gsmText keeps a text whose only strangers are accents and typographic signs inside
// the GSM alphabet, by writing them plainly: a brand "Açaí" would otherwise triple the
// number of messages. A text in another script stays as it is.
func gsmText(text string) string {
	if _, ok := gsm7.Septets(text); ok {
		return text
	}
	plain := plainLetters(text)
	if _, ok := gsm7.Septets(plain); ok {
		return plain
	}
	return text
}

// plainLetters writes every letter that the alphabet lacks without its accents.
func plainLetters(text string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(text) {
		if gsm7.Has(r) {
			b.WriteRune(r)
			continue
		}
		if sign, ok := plainSign(r); ok {
			b.WriteString(sign)
			continue
		}
		if letter, ok := plainLetter(r); ok {
			b.WriteString(letter)
			continue
		}
		for _, part := range norm.NFD.String(string(r)) {
			if !unicode.Is(unicode.Mn, part) {
				b.WriteRune(part)
			}
		}
	}
	return b.String()
}

// plainSigns writes only the typographic signs plainly.
func plainSigns(text string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(text) {
		if sign, ok := plainSign(r); ok {
			b.WriteString(sign)
			continue
		}
		b.WriteRune(r)
	}
	return b.String()
}

// plainSign knows the signs that are written in other ways without meaning anything else.
func plainSign(r rune) (string, bool) {
	switch r {
	case '‘', '’', '‚', '`', '´':
		return "'", true
	case '“', '”', '„', '«', '»':
		return `"`, true
	case '‐', '‑', '–', '—', '−':
		return "-", true
	case '\u00a0', '\u2009', '\u202f', '\t':
		return " ", true
	case '…':
		return "...", true
	case '·', '•':
		return "-", true
	default:
		return "", false
	}
}

// plainLetter knows the letters that have no accent to take off.
func plainLetter(r rune) (string, bool) {
	switch r {
	case 'ł':
		return "l", true
	case 'Ł':
		return "L", true
	case 'đ', 'ð':
		return "d", true
	case 'Đ', 'Ð':
		return "D", true
	case 'œ':
		return "oe", true
	case 'Œ':
		return "OE", true
	case 'ı':
		return "i", true
	default:
		return "", false
	}
}
