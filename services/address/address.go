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

// Phone reads a phone number in international form and returns it as E.164. The error's text is
// a detail for the client; it never repeats the number.
func Phone(s string) (string, error) {
	const form = "must start with + and the country code, as in +14155550123"
	if strings.Contains(s, "@") {
		return "", errors.New("must be a phone number for this channel, not an email address")
	}
	if !strings.HasPrefix(s, "+") || len(s) > maxNumberAsTyped {
		return "", errors.New(form)
	}
	for _, r := range s[1:] {
		if (r < '0' || r > '9') && !strings.ContainsRune(" -.()", r) {
			return "", errors.New("must hold only digits after the +")
		}
	}
	n, err := phonenumbers.Parse(s, "")
	if err != nil {
		switch {
		case errors.Is(err, phonenumbers.ErrInvalidCountryCode):
			return "", errors.New("must start with + and a country code that exists")
		case errors.Is(err, phonenumbers.ErrTooShortNSN), errors.Is(err, phonenumbers.ErrTooShortAfterIDD):
			return "", errors.New("is too short for a phone number")
		case errors.Is(err, phonenumbers.ErrNumTooLong):
			return "", errors.New("is too long for a phone number")
		default:
			return "", errors.New(form)
		}
	}
	possible := phonenumbers.IsPossibleNumberWithReason(n)
	if possible == phonenumbers.TOO_SHORT {
		return "", fmt.Errorf("is too short for a number in +%d", n.GetCountryCode())
	}
	if possible == phonenumbers.TOO_LONG {
		return "", fmt.Errorf("is too long for a number in +%d", n.GetCountryCode())
	}
	if !phonenumbers.IsValidNumber(n) {
		return "", fmt.Errorf("is not a phone number that exists in +%d", n.GetCountryCode())
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

// Mailbox reads an email address: no display name, no comments, no quoted local part, a domain
// that can exist. The domain is returned in its ASCII form and in lower case; the local part is
// left as it is, because only its mail server knows whether case matters.
func Mailbox(s string) (string, error) {
	const form = "must be an email address such as ana@example.com"
	if len(s) > maxMailbox {
		return "", fmt.Errorf("must be at most %d characters", maxMailbox)
	}
	if strings.HasPrefix(s, "+") && !strings.Contains(s, "@") {
		return "", errors.New("must be an email address for this channel, not a phone number")
	}
	at := strings.LastIndexByte(s, '@')
	if at < 1 {
		return "", errors.New(form)
	}
	local, domain := s[:at], s[at+1:]
	for i := range len(local) {
		if local[i] >= 0x80 {
			return "", errors.New("must have only ASCII before the @")
		}
	}
	if len(local) > maxMailboxLocal {
		return "", fmt.Errorf("must have at most %d characters before the @", maxMailboxLocal)
	}
	// Lookup is what resolvers apply: it refuses labels that no DNS name can have.
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil || !strings.Contains(ascii, ".") || numeric(ascii[strings.LastIndexByte(ascii, '.')+1:]) {
		return "", errors.New("must have a domain that can exist after the @, such as example.com")
	}
	address := local + "@" + ascii
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Name != "" || parsed.Address != address || strings.ContainsAny(local, `"\() <>,;:[]`) {
		return "", errors.New(form)
	}
	if len(address) > maxMailbox {
		return "", fmt.Errorf("must be at most %d characters", maxMailbox)
	}
	return address, nil
}

func numeric(label string) bool {
	return label == "" || strings.Trim(label, "0123456789") == ""
}
