package enrolment

import (
	"fmt"
	"io"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

const (
	// keyedDigits is how long the number is that a person keys into a call.
	keyedDigits = 6
	// keyedTries: a call takes one number. Another try is another call.
	keyedTries = 1
)

// Question is a new verification with this id that asks the owner of a device in the way that its
// factor has. It fails with a *verification.InvalidError, or when random does.
func Question(d device.Device, id string, m Message, now time.Time, random io.Reader) (verification.Activation, error) {
	p := verification.Params{
		ID: id, Credential: d.Credential, UserID: d.UserID, DeviceID: d.ID,
		ToMasked: device.Mask(d.Kind, d.Address), Locale: m.Locale, Brand: m.Brand, Context: m.Context, Trial: m.Trial,
		Life: m.Life, Shortest: m.Shortest, Longest: verification.LongestLife,
	}
	a := verification.Activation{To: d.Address, Client: m.Client}
	switch d.Factor {
	case device.SMSCode:
		p.Channel, p.Challenge, p.Alphanumeric = verification.SMS, verification.CodeChallenge, m.Alphanumeric
		a.Text = m.Text
	case device.VoiceMatch:
		p.Channel, p.Challenge = verification.Voice, verification.ApprovalChallenge
		p.NumberLength, p.MaxChecks = keyedDigits, keyedTries
	case device.EmailCode:
		p.Channel, p.Challenge, p.Alphanumeric = verification.Email, verification.CodeChallenge, m.Alphanumeric
	case device.EmailLink:
		p.Channel, p.Challenge = verification.Email, verification.LinkChallenge
		a.RedirectTo = m.RedirectTo
	case device.AppPush:
		p.Channel, p.Challenge = verification.Push, verification.ApprovalChallenge
		a.Platform, a.PublicKey = d.Platform, d.PublicKey
	case device.AppCode:
		p.Channel, p.Challenge = verification.TOTP, verification.CodeChallenge
	default:
		return a, fmt.Errorf("ask device: %w", ErrFactor)
	}
	var err error
	a.Verification, a.Secrets, err = verification.New(p, now, random)
	if err != nil {
		return a, fmt.Errorf("ask device: %w", err)
	}
	return a, nil
}
