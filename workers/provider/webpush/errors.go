package webpush

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// classify turns what came of a call into a marked error, or nil where the push service took the
// message. Services agree on the status only, so no body is read. Whoever joins chooses the endpoint, so only
// what another message would meet as well counts against the push services: all of them share one circuit.
func classify(record *exchange.Record, err error) error {
	status := record.Status()
	answered := exchange.Answered("webpush", status, "")
	switch {
	case status == 0:
		return lost(record, err)
	case status >= 200 && status < 300:
		return nil
	case status == http.StatusNotFound, status == http.StatusGone:
		return delivery.Permanent(events.ReasonDeviceGone, answered)
	case status == http.StatusRequestEntityTooLarge:
		return delivery.Permanent(events.ReasonMessageRefused, answered)
	case status == http.StatusTooManyRequests:
		return record.Throttled(answered)
	case status == http.StatusRequestTimeout, status >= 500:
		return record.Later(answered)
	default:
		// 400, 401 and 403: the subscription belongs to another key, or our key, subject or clock is wrong. The
		// status does not tell which, and one subscription must not stop the others. Nor is it noted as gone:
		// with the right key it may work again. 3xx: no push service sends elsewhere.
		return delivery.Permanent(events.ReasonNotConfigured, answered)
	}
}

// lost is a call without an answer. The URL of the call is left out: it is the push token.
func lost(record *exchange.Record, err error) error {
	if err == nil {
		err = errors.New("no answer was recorded")
	}
	if cause := record.Err(); cause != nil {
		err = cause
	}
	for _, nowhere := range []error{errPrivate, errMissing} {
		if errors.Is(err, nowhere) {
			return delivery.Permanent(events.ReasonNotConfigured, nowhere)
		}
	}
	return record.Lost(fmt.Errorf("call webpush: %w", hostless(exchange.Bare(err))))
}
