package main

import (
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/sms"
)

// segments counts the parts of the text message that asks a new verification, as the role sms renders it.
func (p *process) segments(a verification.Activation) int {
	v := a.Verification
	return sms.Units(sms.Config{PublicURL: p.publicURL(), Replies: true})(delivery.Message{
		ID: v.ID, Channel: events.SMS, Challenge: events.Challenge(v.Challenge),
		Code: delivery.Code(a.Secrets.Code), LinkToken: delivery.Code(a.Secrets.Token), Text: delivery.Code(a.Text),
		NumberLength: v.NumberLength, Autofill: autofill.Hint(a.Autofill).Or(autofill.Hint(p.cfg.Codes)),
		Locale: v.Locale, Brand: v.Brand, Context: events.Context(v.Context), ExpiresAt: v.ExpiresAt,
	})
}
