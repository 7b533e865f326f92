package onelogin

import (
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/gsm7"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/plaintext"
)

const (
	// maxMessage is what one text message holds, in units of its alphabet.
	maxMessage    = 160
	maxRedirect   = 2048
	codePattern   = "{{otp_code}}"
	expiryPattern = "{{otp_expiry}}"
)

var (
	codeHole   = regexp.MustCompile(`\{\{\s*otp_code\s*\}\}`)
	expiryHole = regexp.MustCompile(`\{\{\s*(otp_expiry|expiration)\s*\}\}`)
)

// wording is how a person is asked by this factor. What goes with another factor is ignored, as
// OneLogin does.
func (s *Server) wording(f factor, custom, redirect string, life time.Duration) (enrolment.Message, error) {
	m := enrolment.Message{Life: life, Shortest: s.config.Settings.shortest(), Brand: s.config.Settings.Brand}
	var err error
	switch f.is {
	case device.SMSCode:
		m.Text, err = s.customText(custom, "custom_message", life)
	case device.EmailLink:
		m.RedirectTo, err = target(redirect)
	case device.VoiceMatch, device.EmailCode, device.AppPush, device.AppCode:
	}
	return m, err
}

// customText checks a client's own text message as the person would get it, and writes the places where
// something goes in one way.
func (s *Server) customText(custom, field string, life time.Duration) (string, error) {
	if custom == "" {
		return "", nil
	}
	if !codeHole.MatchString(custom) {
		return "", invalid(field, "must hold "+codePattern)
	}
	if strings.ContainsFunc(custom, func(r rune) bool { return r != '\n' && plaintext.Unshowable(r) }) {
		return "", invalid(field, "must not hold control characters")
	}
	custom = expiryHole.ReplaceAllString(codeHole.ReplaceAllString(custom, codePattern), expiryPattern)
	minutes := strconv.Itoa(int((life + time.Minute - 1) / time.Minute))
	code, within := strings.Repeat("0", codeLength), "the code"
	filled := strings.NewReplacer(codePattern, code, expiryPattern, minutes).Replace(custom)
	if hint := s.config.Autofill.Fitting(filled, code); hint != (autofill.Hint{}) { // as the worker sends it
		filled, within = hint.Under(filled, code), "the code and the last line"
	}
	n, ok := gsm7.Septets(filled)
	if !ok {
		n = utf8.RuneCountInString(filled)
	}
	if n > maxMessage {
		return "", invalid(field, "must be at most "+strconv.Itoa(maxMessage)+" characters with "+within+" in it, not "+strconv.Itoa(n))
	}
	return custom, nil
}

// target checks where the accept page is to lead.
func target(redirect string) (string, error) {
	if redirect == "" {
		return "", nil
	}
	u, err := url.Parse(redirect)
	if err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Hostname() == "" || u.User != nil || len(redirect) > maxRedirect {
		return "", invalid("redirect_to", "must be an absolute http or https URL")
	}
	return u.String(), nil
}

// shortest is the least life that a request may ask for.
func (s Settings) shortest() time.Duration { return time.Duration(s.MinExpiresIn) * time.Second }
