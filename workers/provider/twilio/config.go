package twilio

import (
	"errors"
	"net/url"
	"regexp"
	"strings"
)

// defaultBaseURL is Twilio's own. Accounts of another region name its host.
const defaultBaseURL = "https://api.twilio.com"

// Config is the account that sends.
type Config struct {
	// BaseURL replaces Twilio's own address; it may have a path prefix.
	BaseURL string `koanf:"base_url"`
	// AccountSID is AC and 32 hexadecimal digits; for a stand-in, letters and digits.
	AccountSID string `koanf:"account_sid"`
	// AuthToken is the account's token. It also signs Twilio's callbacks.
	AuthToken string `koanf:"auth_token"`
	// From is the number that calls, and that text messages come from where there is no
	// messaging service. For text messages alone a short code or a sender name will do.
	From string `koanf:"from"`
	// MessagingServiceSID is MG and 32 hexadecimal digits: a pool of senders for text
	// messages, which then goes before From.
	MessagingServiceSID string `koanf:"messaging_service_sid"`
}

// Validate names every fault of the configuration by its key, and repeats no value.
func (c Config) Validate() []error {
	var faults []error
	fault := func(text string) { faults = append(faults, errors.New(text)) }
	if c.BaseURL != "" {
		u, err := url.Parse(c.BaseURL)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			fault("base_url: want an absolute http or https URL")
		case u.User != nil || u.RawQuery != "" || u.Fragment != "":
			fault("base_url: want no user, query or fragment")
		}
	}
	switch {
	case c.AccountSID == "":
		fault("account_sid: missing")
	case c.BaseURL == "" && !sid("AC", c.AccountSID):
		fault("account_sid: want AC and 32 hexadecimal digits")
	case strings.ContainsFunc(c.AccountSID, odd): // the SDK refuses such a name with an error of its own, at the first message
		fault("account_sid: want letters and digits only")
	}
	switch {
	case c.AuthToken == "":
		fault("auth_token: missing")
	case strings.ContainsFunc(c.AuthToken, unprintable):
		fault("auth_token: holds a space, a line break or a character that is not ASCII")
	}
	if c.From == "" && c.MessagingServiceSID == "" {
		fault("from: missing (or set messaging_service_sid for text messages alone)")
	}
	if strings.HasPrefix(c.From, "+") && !e164.MatchString(c.From) {
		fault("from: a number is + and 7 to 15 digits, without spaces")
	}
	if c.MessagingServiceSID != "" && !sid("MG", c.MessagingServiceSID) {
		fault("messaging_service_sid: want MG and 32 hexadecimal digits")
	}
	return faults
}

var (
	e164   = regexp.MustCompile(`^\+[1-9][0-9]{6,14}$`)
	digits = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)
)

func sid(prefix, s string) bool {
	rest, ok := strings.CutPrefix(s, prefix)
	return ok && digits.MatchString(rest)
}

func odd(r rune) bool {
	return (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
}

func unprintable(r rune) bool { return r <= ' ' || r > '~' }
