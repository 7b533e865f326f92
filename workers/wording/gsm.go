package wording

import (
	"strings"
	"unicode"
	"unicode/utf16"

	"golang.org/x/text/unicode/norm"
)

// The GSM 7-bit default alphabet (3GPP TS 23.038), and what takes two septets in it.
const (
	gsmLetters = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?" +
		"¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmEscaped = "\f^{}\\[~]|€"

	gsmRoom  = 160 // septets in a message of its own
	wideRoom = 70  // UTF-16 units in one, if any letter is outside the alphabet
)

// Septets counts what a text takes in the GSM 7-bit alphabet; false means that it has
// a letter outside it, so that the whole text is sent in 16-bit units instead.
func Septets(text string) (int, bool) {
	n := 0
	for _, r := range text {
		switch {
		case strings.ContainsRune(gsmLetters, r):
			n++
		case strings.ContainsRune(gsmEscaped, r):
			n += 2
		default:
			return 0, false
		}
	}
	return n, true
}

// What a segment of a longer message has room for: its header takes the rest.
const (
	gsmPart  = 153
	widePart = 67
)

// Segments counts the text messages that a text takes on its way.
func Segments(text string) int {
	n, room, part := 0, gsmRoom, gsmPart
	if septets, ok := Septets(text); ok {
		n = septets
	} else {
		n, room, part = len(utf16.Encode([]rune(text))), wideRoom, widePart
	}
	if n <= room {
		return 1
	}
	return (n + part - 1) / part
}

// single says that a text fits one message.
func single(text string) bool {
	if n, ok := Septets(text); ok {
		return n <= gsmRoom
	}
	return len(utf16.Encode([]rune(text))) <= wideRoom
}

// gsmText keeps a text whose only strangers are accents and typographic signs inside
// the GSM alphabet, by writing them plainly: a brand "Açaí" would otherwise triple the
// number of messages. A text in another script stays as it is.
func gsmText(text string) string {
	if _, ok := Septets(text); ok {
		return text
	}
	plain := plainLetters(text)
	if _, ok := Septets(plain); ok {
		return plain
	}
	return text
}

// plainLetters writes every letter that the alphabet lacks without its accents.
func plainLetters(text string) string {
	var b strings.Builder
	for _, r := range norm.NFC.String(text) {
		if strings.ContainsRune(gsmLetters, r) || strings.ContainsRune(gsmEscaped, r) {
			b.WriteRune(r)
			continue
		}
		if sign, ok := plainSign(r); ok {
			b.WriteString(sign)
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

// plainSign knows the signs and letters that have no accent to take off.
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
