package webpage

import (
	"strings"
	"unicode"
)

// Latin is what was typed with the digits of any script in ASCII, plain spaces and dashes, and without the invisible marks of
// a copied text.
func Latin(typed string) string {
	var b strings.Builder
	for _, r := range typed {
		switch {
		case unicode.Is(unicode.Nd, r):
			b.WriteByte(digit(r))
		case unicode.In(r, unicode.Cf):
		case unicode.IsSpace(r):
			b.WriteByte(' ')
		case unicode.Is(unicode.Pd, r), r == '−':
			b.WriteByte('-')
		case r == '＋':
			b.WriteByte('+')
		default:
			b.WriteRune(r)
		}
	}
	return strings.TrimSpace(b.String())
}

// Digits reads a number or code as people type and paste it, with spaces and dashes. It is empty for anything else.
func Digits(typed string) string {
	digits := strings.NewReplacer(" ", "", "-", "").Replace(Latin(typed))
	if strings.Trim(digits, "0123456789") != "" {
		return ""
	}
	return digits
}

// digit is a decimal digit in ASCII. Unicode keeps each script's ten in a row, zero first, and where two rows touch
// both are whole.
func digit(r rune) byte {
	n := 0
	for unicode.Is(unicode.Nd, r-rune(n)-1) {
		n++
	}
	return byte('0' + n%10)
}
