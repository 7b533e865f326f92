package callbacks

import (
	"strings"

	"github.com/assent-io/assent/events"
)

// fate is what a provider's word means for a delivery. An empty status means nothing that is not
// known already; a reason closes the verification as failed.
type fate struct{ status, reason, detail string }

// smsFate reads the status of a message. Until it arrives or fails there is nothing to add to the
// worker's own report that it was sent, unless the worker could not make it.
func smsFate(status, code string) fate {
	switch status {
	case "accepted", "queued", "sending", "sent":
		return fate{status: events.DeliverySent}
	case "delivered", "read":
		return fate{status: events.DeliveryDelivered}
	case "undelivered", "failed":
		code = digits(code)
		if code == "30036" { // the validity period we gave ran out in Twilio's queue
			return fate{status: events.DeliveryExpired, detail: code}
		}
		return fate{events.DeliveryFailed, smsReason(code), code}
	default:
		return fate{}
	}
}

// smsReason names what a client can act on. An unknown code reads as undeliverable: Twilio has
// given the message up, and another channel is the way on.
func smsReason(code string) string {
	switch code {
	case "30004", "21610": // blocked for this recipient, replied STOP
		return events.ReasonUnsubscribed
	case "30007", "30019", "30038", "30040", "30044", "30450": // filtered, too large, fraud guard
		return events.ReasonMessageRefused
	case "21408":
		return events.ReasonRegionBlocked
	case "30002", "30024", "30032", "30034", "30035", "30037": // account or sender not in order
		return events.ReasonNotConfigured
	default:
		return events.ReasonUndeliverable
	}
}

// callFate reads the status of a call. Busy, unanswered and cut calls leave the verification open,
// because the person may be reached a minute later; only a number that cannot be called at all
// fails it.
func callFate(status, code, sip string) fate {
	switch status {
	case "queued", "initiated", "ringing", "in-progress":
		return fate{status: events.DeliverySent}
	case "completed":
		return fate{status: events.DeliveryDelivered}
	case "busy", "no-answer", "canceled":
		return fate{status: events.DeliveryUnanswered, detail: strings.ReplaceAll(status, "-", "_")}
	case "failed":
		detail := digits(code)
		if detail == "" && digits(sip) != "" {
			detail = "sip_" + digits(sip)
		}
		if reason := callReason(digits(code), digits(sip)); reason != "" {
			return fate{events.DeliveryFailed, reason, detail}
		}
		return fate{status: events.DeliveryUnanswered, detail: detail}
	default:
		return fate{}
	}
}

func callReason(code, sip string) string {
	switch code {
	case "13223", "13224", "21211", "21217": // no such number
		return events.ReasonUndeliverable
	case "13227", "21215": // country not enabled for calls
		return events.ReasonRegionBlocked
	case "13225": // calls to this number are forbidden
		return events.ReasonMessageRefused
	}
	switch sip {
	case "404", "410", "484", "604": // unknown, gone, incomplete, exists nowhere
		return events.ReasonUndeliverable
	}
	return ""
}

// mailFate reads one SendGrid event. Opened and clicked are no answers: scanners do both. A spam
// report comes from somebody who has the mail, so it changes nothing about its delivery.
func mailFate(e mailEvent) fate {
	switch e.Event {
	case "processed", "deferred": // SendGrid has it, and goes on trying
		return fate{status: events.DeliverySent}
	case "delivered":
		return fate{status: events.DeliveryDelivered}
	case "bounce":
		if e.Type == "blocked" {
			return fate{events.DeliveryFailed, events.ReasonMessageRefused, enhancedCode(e.Status)}
		}
		return fate{events.DeliveryFailed, events.ReasonUndeliverable, enhancedCode(e.Status)}
	case "dropped":
		reason, detail := dropReason(e.Reason)
		return fate{events.DeliveryFailed, reason, detail}
	default:
		return fate{}
	}
}

// dropReason reads SendGrid's sentence for why it did not even try; the detail is our own word
// for it, never theirs.
func dropReason(said string) (reason, detail string) {
	said = strings.ToLower(said)
	for _, known := range []struct{ part, reason, detail string }{
		{"unsubscribed", events.ReasonUnsubscribed, "unsubscribed_address"},
		{"spam reporting", events.ReasonUnsubscribed, "spam_reporting_address"},
		{"spam content", events.ReasonMessageRefused, "spam_content"},
		{"smtpapi", events.ReasonMessageRefused, "invalid_header"},
		{"quota", events.ReasonNotConfigured, "over_quota"},
		{"bounced", events.ReasonUndeliverable, "bounced_address"},
		{"invalid", events.ReasonUndeliverable, "invalid_address"},
	} {
		if strings.Contains(said, known.part) {
			return known.reason, known.detail
		}
	}
	return events.ReasonUndeliverable, "dropped"
}

// digits is s when it is a short number, else empty: a detail never carries free text from outside.
func digits(s string) string {
	if len(s) > 6 || strings.Trim(s, "0123456789") != "" {
		return ""
	}
	return s
}

// enhancedCode is an enhanced mail status code such as 5.1.1 (RFC 3463), else empty.
func enhancedCode(s string) string {
	if len(s) > 9 || strings.Trim(s, "0123456789.") != "" {
		return ""
	}
	return s
}
