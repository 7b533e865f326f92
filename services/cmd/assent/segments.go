package main

import (
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/services/verification"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/push"
	"github.com/assent-io/assent/workers/sms"
)

// segments counts the parts of the text message that asks a new verification, as the role sms renders it.
func (p *process) segments(a verification.Activation) int {
	m := p.asks(a, events.SMS)
	m.Text, m.LinkToken = delivery.Code(a.Text), delivery.Code(a.Secrets.Token)
	m.Autofill = autofill.Hint(a.Autofill).Or(autofill.Hint(p.cfg.Codes))
	return sms.Units(sms.Config{PublicURL: p.publicURL(), Replies: true})(m)
}

// pushBytes is how large the push that asks a new verification can become, as the role push renders it.
func (p *process) pushBytes(a verification.Activation) int {
	m := p.asks(a, events.Push)
	m.Choices, m.DeviceID, m.NumberSalt = a.Choices, a.Verification.ID, delivery.Code(strings.Repeat("x", saltLetters))
	return push.Bytes(push.Config{PublicURL: p.publicURL()}, m)
}

// saltLetters is the length of the salt that the store gives a push approval.
const saltLetters = 22

// asks is the message of a new verification, before it has been stored.
func (p *process) asks(a verification.Activation, channel events.Channel) delivery.Message {
	v := a.Verification
	return delivery.Message{
		ID: v.ID, Channel: channel, Challenge: events.Challenge(v.Challenge), Code: delivery.Code(a.Secrets.Code),
		NumberLength: v.NumberLength, Locale: v.Locale, Brand: v.Brand, Context: events.Context(v.Context),
		CreatedAt: v.CreatedAt, ExpiresAt: v.ExpiresAt,
	}
}
