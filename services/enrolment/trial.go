package enrolment

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

const (
	// trialKind is the kind of the tickets that keep a trial from being played again.
	trialKind = "trial"
	trialLife = 2 * time.Minute
	// trialKept is longer than a signature of a phone counts.
	trialKept = 15 * time.Minute
)

// trials say on the phone what is asked, in the languages of the pages.
var trials = map[string]string{
	"en": "Try this device", "de": "Dieses Gerät ausprobieren", "es": "Probar este dispositivo", "pt": "Testar este dispositivo",
	"fr": "Essayer cet appareil", //nolint:misspell // French
	"hi": "यह डिवाइस आज़माएँ", "ar": "تجربة هذا الجهاز",
}

// Try asks a phone a question that means nothing, because it signed for that at this time of its own: so that its owner
// sees a request arrive before one matters. It counts against the limit of sends, and changes nothing else: no open question
// gives way to it, and nothing follows from the answer. It fails with ErrStale where it
// signed for one in the same second before, verification.ErrNotFound where its user is gone or locked, or as Verifications.Create does.
func (e *Enrolments) Try(ctx context.Context, d device.Device, at time.Time, locale string) (verification.Verification, error) {
	owner, err := e.Users.User(ctx, d.Credential, d.UserID)
	if err == nil && owner.Barred() {
		err = verification.ErrNotFound
	}
	if err != nil {
		return verification.Verification{}, fmt.Errorf("read owner of phone: %w", err)
	}
	// By the second, so that a phone beyond its limit leaves no more of them than that.
	first, err := e.Tickets.Once(ctx, trialKind, d.ID+" "+strconv.FormatInt(at.Unix(), 10), trialKept)
	if err == nil && !first {
		err = ErrStale
	}
	if err != nil {
		return verification.Verification{}, fmt.Errorf("take signature of trial: %w", err)
	}
	language, _, _ := strings.Cut(strings.ToLower(locale), "-")
	action, known := trials[language]
	if !known {
		action = trials["en"]
	}
	d.Factor = device.AppPush // one that a client registered has none
	a, err := e.question(d, Message{Life: trialLife, Locale: locale, Trial: true, Context: verification.Context{Action: action}})
	if err != nil {
		return verification.Verification{}, err
	}
	v, _, err := e.Verifications.Create(ctx, a)
	return v, wrap("ask phone", err)
}
