package httpapi

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"
)

// The limits of free text, in characters. They stand in the API document too.
const (
	maxBrand       = 30
	maxContext     = 128
	maxName        = 100
	maxExternalID  = 128
	maxLocale      = 35
	maxPairs       = 16
	maxPairKey     = 40
	maxPairValue   = 256
	maxPushToken   = 4096
	maxEncodedKey  = 256
	maxCodeAsTyped = 64
)

// text checks what is shown to people or echoed: nothing in it may change how the text around it
// reads, on a phone, in a terminal or in a log. Empty is fine; that a field is given is checked before.
func (f *faults) text(field, s string, longest int) {
	if n := utf8.RuneCountInString(s); n > longest {
		f.add(field, fmt.Sprintf("must be at most %d characters, not %d", longest, n))
		return
	}
	for _, r := range s {
		switch {
		case r < 0x7f && r >= 0x20: // nearly everything
		case r == utf8.RuneError:
			f.add(field, "holds a character that is not valid Unicode")
		case unicode.IsControl(r), r == '\u2028', r == '\u2029':
			f.add(field, "must not hold control characters or line breaks")
		case unicode.Is(unicode.Bidi_Control, r):
			f.add(field, "must not hold characters that change the direction of text")
		}
	}
}

// sentText is text that goes into messages to strangers: it must not bring a link of its own,
// or the service would deliver anybody's phishing under the brand's name.
func (f *faults) sentText(field, s string, longest int) {
	f.text(field, s, longest)
	if s == "" {
		return
	}
	if strings.TrimSpace(s) == "" {
		f.add(field, "must not be blank")
	}
	if webAddress(s) {
		f.add(field, "must not hold a web address")
	}
}

// webAddress tells whether a phone or mail program would make a link with a target of its own out of
// s. A name alone, as in Booking.com, is none: brands are called so.
func webAddress(s string) bool {
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

// locale checks the form of a BCP 47 tag, not whether there is such a language.
func (f *faults) locale(field, s string) {
	if s == "" {
		return
	}
	const rule = "must be a language tag such as en or pt-BR"
	parts := strings.Split(s, "-")
	if len(s) > maxLocale || len(parts[0]) < 2 || len(parts[0]) > 3 {
		f.add(field, rule)
		return
	}
	for i, p := range parts {
		if len(p) < 1 || len(p) > 8 {
			f.add(field, rule)
			return
		}
		for j := range len(p) {
			c := p[j] | 0x20
			letter, digit := c >= 'a' && c <= 'z', p[j] >= '0' && p[j] <= '9'
			if !letter && (i == 0 || !digit) {
				f.add(field, rule)
				return
			}
		}
	}
}

func (f *faults) metadata(field string, m map[string]string) {
	if len(m) > maxPairs {
		f.add(field, fmt.Sprintf("must have at most %d pairs, not %d", maxPairs, len(m)))
		return
	}
	for key, value := range m {
		if key == "" {
			f.add(field, "must not have an empty key")
		}
		if n := utf8.RuneCountInString(key); n > maxPairKey {
			f.add(join(field, key), fmt.Sprintf("must have a key of at most %d characters, not %d", maxPairKey, n))
		}
		f.text(join(field, key), key, maxPairKey)
		f.text(join(field, key), value, maxPairValue)
	}
}
