// Package plaintext says which texts of strangers can stand in messages to people: what no door lets through.
package plaintext

import (
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// Unshowable tells whether a character is none, or changes how the text around it reads, on a phone, in a
// terminal or in a log: control characters, line breaks, and what turns the direction of text (UAX #9).
func Unshowable(r rune) bool {
	if r >= 0x20 && r < 0x7f { // nearly everything
		return false
	}
	return unicode.IsControl(r) || r == utf8.RuneError || r == '\u2028' || r == '\u2029' || unicode.Is(unicode.Bidi_Control, r)
}

// HasWebAddress tells whether a phone or mail program would make a link with a target of its own out of
// s. A name alone, as in Booking.com, is none: brands are called so.
func HasWebAddress(s string) bool {
	// Browsers read these as the dot and the slash that they look like.
	low := strings.NewReplacer("。", ".", "．", ".", "｡", ".", "／", "/", "：", ":").Replace(strings.ToLower(s))
	if strings.Contains(low, "http") || strings.Contains(low, "://") || strings.Contains(low, "www.") {
		return true
	}
	for word := range strings.FieldsSeq(low) {
		for i, r := range word {
			if strings.ContainsRune("/:?#", r) && i+1 < len(word) && publicName(word[:i]) {
				return true
			}
		}
	}
	return false
}

// publicName tells whether s ends with a name below a public suffix, such as example.com. The list
// keeps Node.js/22 and v1.2/beta from being taken for one.
func publicName(s string) bool {
	if from := strings.LastIndexFunc(s, func(r rune) bool {
		return !unicode.IsLetter(r) && !unicode.IsDigit(r) && r != '-' && r != '.'
	}); from >= 0 {
		_, size := utf8.DecodeRuneInString(s[from:])
		s = s[from+size:]
	}
	name, err := idna.Lookup.ToASCII(strings.Trim(s, "."))
	if err != nil {
		return false
	}
	suffix, registered := publicsuffix.PublicSuffix(name)
	return registered && name != suffix
}
