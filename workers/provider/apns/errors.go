package apns

import (
	"encoding/json"
	"net/http"

	"github.com/sideshow/apns2"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// classify turns the answer of APNs into a marked error, or nil where it took the
// notification. The error names the status and APNs' reason word.
func classify(record *exchange.Record) error {
	status := record.Status()
	if status == http.StatusOK {
		return nil // the body of a taken notification is empty and means nothing
	}
	var answer struct {
		Reason string `json:"reason"`
	}
	// A body that is no JSON has no reason; the status must do.
	_ = json.Unmarshal(record.Body(), &answer)
	answered := exchange.Answered("apns", status, answer.Reason)
	switch {
	case status >= 200 && status < 300:
		return delivery.Unknown(answered)
	case status == http.StatusBadRequest:
		return refused(answer.Reason, answered)
	case status == http.StatusGone:
		return delivery.Permanent(events.ReasonDeviceGone, answered)
	case status == http.StatusRequestEntityTooLarge:
		return delivery.Permanent(events.ReasonMessageRefused, answered)
	case status == http.StatusTooManyRequests && answer.Reason == apns2.ReasonTooManyRequests:
		return record.Later(answered) // to this one device, which keeps no other from its messages
	case status == http.StatusTooManyRequests:
		return record.Throttled(answered)
	case status == http.StatusRequestTimeout || status >= 500:
		return record.Later(answered)
	default:
		// 403: key, team, topic or environment. 3xx, 404, 405: base_url.
		return delivery.Misconfigured(answered)
	}
}

// refused tells by its reason whose fault a 400 is.
func refused(reason string, answered error) error {
	switch reason {
	case apns2.ReasonBadDeviceToken, apns2.ReasonDeviceTokenNotForTopic, apns2.ReasonMissingDeviceToken:
		return delivery.Permanent(events.ReasonDeviceGone, answered)
	case apns2.ReasonTopicDisallowed, apns2.ReasonBadTopic, apns2.ReasonMissingTopic, apns2.ReasonInvalidPushType:
		return delivery.Misconfigured(answered)
	case apns2.ReasonIdleTimeout:
		return answered // the connection was closed for silence before the request was looked at
	default:
		return delivery.Permanent(events.ReasonMessageRefused, answered)
	}
}
