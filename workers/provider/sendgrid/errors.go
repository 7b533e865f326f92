package sendgrid

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// classify turns SendGrid's answer into a marked error, or nil where it took the mail. The
// error names the status and, for a refused request, the field: SendGrid's own messages
// quote addresses.
func classify(record *exchange.Record) error {
	status := record.Status()
	answered := exchange.Answered("sendgrid", status, "")
	switch {
	case status == http.StatusAccepted:
		return nil
	case status >= 200 && status < 300:
		// Not SendGrid's word for taken, but some proxy's: the mail may have passed it.
		return delivery.Unknown(fmt.Errorf("%w and not 202", answered))
	case status == http.StatusTooManyRequests:
		return throttled(record, answered)
	case status >= 500 || status == http.StatusRequestTimeout:
		return record.Later(answered)
	case status == http.StatusBadRequest:
		return refused(record.Body())
	case status == http.StatusRequestEntityTooLarge:
		return delivery.Permanent(events.ReasonMessageRefused, answered)
	default:
		// 401 and 403: key, permissions, sender identity, credits. 3xx, 404, 405, 415: base_url.
		return delivery.Misconfigured(answered)
	}
}

// throttled prefers the instant at which the window opens again, in epoch seconds.
func throttled(record *exchange.Record, answered error) error {
	if epoch, err := strconv.ParseInt(record.Get("X-Ratelimit-Reset"), 10, 64); err == nil {
		if left, ok := record.Until(time.Unix(epoch, 0)); ok {
			return delivery.RetryAfter(left, answered)
		}
	}
	return record.Throttled(answered)
}

// refused tells whose fault a 400 is by the first field it names.
func refused(body []byte) error {
	var answer struct {
		Errors []struct {
			Field string `json:"field"`
		} `json:"errors"`
	}
	if err := json.Unmarshal(body, &answer); err != nil || len(answer.Errors) == 0 {
		return delivery.Permanent(events.ReasonMessageRefused, exchange.Answered("sendgrid", http.StatusBadRequest, ""))
	}
	field := answer.Errors[0].Field
	switch {
	case strings.HasPrefix(field, "personalizations") && strings.Contains(field, ".to"):
		return delivery.Permanent(events.ReasonUndeliverable, exchange.Answered("sendgrid", http.StatusBadRequest, "to"))
	case field == "from" || strings.HasPrefix(field, "from."):
		return delivery.Misconfigured(exchange.Answered("sendgrid", http.StatusBadRequest, "from"))
	default:
		root, _, _ := strings.Cut(field, ".")
		return delivery.Permanent(events.ReasonMessageRefused, exchange.Answered("sendgrid", http.StatusBadRequest, root))
	}
}
