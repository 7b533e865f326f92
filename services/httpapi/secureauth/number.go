package secureauth

import (
	"errors"
	"strings"

	"github.com/assent-io/assent/services/address"
)

// errNoNumber says what a number must be, without repeating it.
var errNoNumber = errors.New("must be a phone number: + or 00 and the country code, or ten digits of a number in +1")

// e164 reads a number as profiles have them: with + or 00, or ten digits of the North American plan, which
// is how this API's customers have always written their own.
func e164(typed string) (string, error) {
	typed = strings.TrimSpace(typed)
	if rest, ok := strings.CutPrefix(typed, "00"); ok {
		typed = "+" + rest
	}
	if !strings.HasPrefix(typed, "+") {
		digits := strings.NewReplacer(" ", "", "-", "", ".", "", "(", "", ")", "").Replace(typed)
		switch {
		case strings.Trim(digits, "0123456789") != "":
			return "", errNoNumber
		case len(digits) == 10:
			typed = "+1" + digits
		case len(digits) == 11 && digits[0] == '1':
			typed = "+" + digits
		default:
			return "", errNoNumber
		}
	}
	return address.Phone(typed) //nolint:wrapcheck // a detail for the client, as it stands
}

// dialable is a number of a profile as it is dialled; empty where it cannot be.
func dialable(typed string) string {
	number, err := e164(typed)
	if err != nil {
		return ""
	}
	return number
}
