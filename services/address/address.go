// Package address reads phone numbers and email addresses as people and clients write
// them, and returns the one form that is stored and compared. It is pure. Its errors
// are details for the client and never repeat the address. The doors call it.
package address

import (
	"errors"
	"fmt"
	"net/mail"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/net/idna"
)

const (
	maxNumberAsTyped = 32
	maxMailboxLocal  = 64
	maxMailbox       = 254
)

// Flaw is what is wrong with an address, for those who say it in their own words.
type Flaw string

// The flaws of numbers and mailboxes.
const (
	NotAbroad Flaw = "form"    // a number without + and country code
	NotDigits Flaw = "digits"  // a number with something else than digits
	NoCountry Flaw = "country" // a country code that does not exist
	Short     Flaw = "short"
	Long      Flaw = "long"
	NoNumber  Flaw = "unknown" // no number of its country
	IsMailbox Flaw = "mailbox" // an email address where a number belongs
	IsNumber  Flaw = "number"  // a number where an email address belongs
	NoMailbox Flaw = "mail"    // not in the form of an email address
	NotASCII  Flaw = "ascii"   // other letters before the @
	NoDomain  Flaw = "domain"  // a domain that cannot exist
)

// Error is a flaw, with its detail for the client as its text.
type Error struct {
	Flaw   Flaw
	Detail string
}

func (e *Error) Error() string { return e.Detail }

func flawed(f Flaw, format string, a ...any) error { return &Error{f, fmt.Sprintf(format, a...)} }

// Phone reads a phone number in international form and returns it as E.164. The error is an *Error, whose text is
// a detail for the client; it never repeats the number.
func Phone(s string) (string, error) {
	const form = "must start with + and the country code, as in +14155550123"
	if strings.Contains(s, "@") {
		return "", flawed(IsMailbox, "must be a phone number for this channel, not an email address")
	}
	if !strings.HasPrefix(s, "+") || len(s) > maxNumberAsTyped {
		return "", flawed(NotAbroad, form)
	}
	for _, r := range s[1:] {
		if (r < '0' || r > '9') && !strings.ContainsRune(" -.()", r) {
			return "", flawed(NotDigits, "must hold only digits after the +")
		}
	}
	n, err := phonenumbers.Parse(s, "")
	if err != nil {
		switch {
		case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
			return "", flawed(NoCountry, "must start with + and a country code that exists")
		case errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
			return "", flawed(Short, "is too short for a phone number")
		case errors.Is(err, phonenumbers.ErrNumTooLong):
			return "", flawed(Long, "is too long for a phone number")
		default:
			return "", flawed(NotAbroad, form)
		}
	}
	possible := phonenumbers.IsPossibleNumberWithReason(n)
	if possible == phonenumbers.TOO_SHORT {
		return "", flawed(Short, "is too short for a number in +%d", n.GetCountryCode())
	}
	if possible == phonenumbers.TOO_LONG {
		return "", flawed(Long, "is too long for a number in +%d", n.GetCountryCode())
	}
	if !phonenumbers.IsValidNumber(n) {
		return "", flawed(NoNumber, "is not a phone number that exists in +%d", n.GetCountryCode())
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

// Mailbox reads an email address: no display name, no comments, no quoted local part, a domain
// that can exist; an error is an *Error. The domain is returned in its ASCII form and in lower case; the local part is
// left as it is, because only its mail server knows whether case matters.
func Mailbox(s string) (string, error) {
	const form = "must be an email address such as ana@example.com"
	if len(s) > maxMailbox {
		return "", flawed(Long, "must be at most %d characters", maxMailbox)
	}
	if strings.HasPrefix(s, "+") && !strings.Contains(s, "@") {
		return "", flawed(IsNumber, "must be an email address for this channel, not a phone number")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 {
		return "", flawed(NoMailbox, form)
	}
	local, domain := s[:at], s[at+1:]
	for i := range len(local) {
		if local[i] >= 0x80 {
			return "", flawed(NotASCII, "must have only ASCII before the @")
		}
	}
	if len(local) > maxMailboxLocal {
		return "", flawed(Long, "must have at most %d characters before the @", maxMailboxLocal)
	}
	// Lookup is what resolvers apply: it refuses labels that no DNS name can have.
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(ascii, ".") || numeric(ascii[strings.LastIndexByte(ascii, '.')+1:]) {
		return "", flawed(NoDomain, "must have a domain that can exist after the @, such as example.com")
	}
	address := local + "@" + ascii
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Name != "" || parsed.Address != address || strings.ContainsAny(local, `"\() <>,;:[]`) {
		return "", flawed(NoMailbox, form)
	}
	if len(address) > maxMailbox {
		return "", flawed(Long, "must be at most %d characters", maxMailbox)
	}
	return address, nil
}

func numeric(label string) bool {
	return label == "" || strings.Trim(label, "0123456789") == ""
}
