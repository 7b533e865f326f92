package twilio

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// refusal is an answer that took nothing. Twilio's own words stay out of it: they quote numbers.
type refusal struct{ status, code int }

func (r *refusal) Error() string {
	if r.code == 0 {
		return fmt.Sprintf("twilio answered %d", r.status)
	}
	return fmt.Sprintf("twilio answered %d (%d)", r.status, r.code)
}

// Detail is Twilio's numeric code, for the timeline of the delivery; empty where it gave none.
func (r *refusal) Detail() string {
	if r.code == 0 {
		return ""
	}
	return strconv.Itoa(r.code)
}

// classify turns a refusal into a marked error. Twilio's code goes before the HTTP status,
// because a 400 may be anybody's fault.
func classify(record *exchange.Record) error {
	r := &refusal{status: record.Status(), code: code(record.Body())}
	switch {
	case r.status == http.StatusTooManyRequests || throttled(r.code):
		return record.Throttled(r)
	case misconfigured(r.code):
		return delivery.Misconfigured(r)
	}
	if reason := permanent(r.code); reason != "" {
		return delivery.Permanent(reason, r)
	}
	switch {
	case r.status >= 500 || r.status == http.StatusRequestTimeout || r.code == 20500 || r.code == 20503:
		return record.Later(r)
	case r.status == http.StatusBadRequest:
		// A code this package does not know: the same request would fail the same way.
		return delivery.Permanent(events.ReasonMessageRefused, r)
	default:
		// 401 and 403: account and token. 3xx, 404, 405: base_url.
		return delivery.Misconfigured(r)
	}
}

// code reads Twilio's numeric code from an error body; 0 where it has none, such as a
// proxy's page. Only five digits are a code of Twilio's: others might be somebody's secret.
func code(body []byte) int {
	var answer struct {
		Code int `json:"code"`
	}
	if json.Unmarshal(body, &answer) != nil || answer.Code < 10000 || answer.Code > 99999 {
		return 0
	}
	return answer.Code
}

// throttled codes mean that nothing was processed and that a later try may be.
func throttled(code int) bool {
	switch code {
	case 20429, // too many requests
		10004, // too many calls at once
		14107, // sending too fast
		21611: // the sender's queue is full
		return true
	default:
		return false
	}
}

// misconfigured codes are for the operator: account, token, sender, callback address.
func misconfigured(code int) bool {
	switch code {
	case 20003, 20404, 20008, // credentials, unknown account, test credentials
		10001,                      // account suspended
		21205, 21218, 21609, 21626, // URLs and ids of ours
		21210, 21212, 21213, 21603, 21606, 21659, 21660, // the number we send from
		21701, 21703, 21704, 21705, 21712, // the messaging service
		63038: // the account's daily limit
		return true
	default:
		return false
	}
}

// permanent is the reason that a code is final for, or empty.
func permanent(code int) string {
	switch code {
	case 13223, 13224, 21201, 21211, 21214, 21217, 21401, 21421, 21604, // not a number
		21612, 21614, 21635: // no route, or no text messages there
		return events.ReasonUndeliverable
	case 21610: // the person replied STOP
		return events.ReasonUnsubscribed
	case 13225, 13227, 21202, 21203, 21215, 21216, 21408, 32205, // the account may not send or call there
		60410: // blocked as likely fraud, by prefix
		return events.ReasonRegionBlocked
	case 21602, 21605, 21617, 21618, 21619: // no text, or too much
		return events.ReasonMessageRefused
	case 21608, 21219: // a trial account reaches only verified numbers
		return events.ReasonNotConfigured
	default:
		return ""
	}
}
