package fcm

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"firebase.google.com/go/v4/messaging"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// classify turns what came of a call into a marked error, or nil where FCM took the message.
// It must be given the SDK's error as it is: messaging.IsUnregistered and its kin see
// nothing in an error that was wrapped.
func classify(record *exchange.Record, id string, err error) error {
	status := record.Status()
	answered := exchange.Answered("fcm", status, code(record.Body()))
	switch {
	case status == 0:
		return lost(record, err)
	case status >= 200 && status < 300:
		if err != nil || id == "" {
			return delivery.Unknown(fmt.Errorf("%w without the message's name", answered))
		}
		return nil
	case messaging.IsUnregistered(err), messaging.IsSenderIDMismatch(err):
		return delivery.Permanent(events.ReasonDeviceGone, answered)
	case messaging.IsThirdPartyAuthError(err):
		return delivery.Misconfigured(answered)
	case messaging.IsQuotaExceeded(err), status == http.StatusTooManyRequests:
		return record.Throttled(answered)
	case messaging.IsUnavailable(err), messaging.IsInternal(err), status == http.StatusRequestTimeout, status >= 500:
		return record.Later(answered)
	case status == http.StatusBadRequest && blamesToken(record.Body()):
		return delivery.Permanent(events.ReasonDeviceGone, answered)
	case status == http.StatusBadRequest, status == http.StatusRequestEntityTooLarge:
		return delivery.Permanent(events.ReasonMessageRefused, answered)
	default:
		// 401 and 403: credentials, or the API is off for the project. 3xx, 404: project_id, base_url.
		return delivery.Misconfigured(answered)
	}
}

// lost is a call without an answer. The SDK's text is left out: it holds whatever the
// transport said.
func lost(record *exchange.Record, err error) error {
	if err == nil {
		err = errors.New("no answer was recorded")
	}
	if cause := record.Err(); cause != nil {
		err = cause
	}
	return record.Lost(fmt.Errorf("call fcm: %w", exchange.Bare(err)))
}

// failure is the part of FCM's error body that is read.
type failure struct {
	Error struct {
		Status  string `json:"status"`
		Message string `json:"message"`
		Details []struct {
			ErrorCode       string `json:"errorCode"`
			FieldViolations []struct {
				Field string `json:"field"`
			} `json:"fieldViolations"`
		} `json:"details"`
	} `json:"error"`
}

// code is FCM's own word for the failure, else the platform's, else empty.
func code(body []byte) string {
	var f failure
	if err := json.Unmarshal(body, &f); err != nil {
		return ""
	}
	for _, d := range f.Error.Details {
		if d.ErrorCode != "" {
			return d.ErrorCode
		}
	}
	return f.Error.Status
}

// blamesToken tells whether a 400 is about the push token. INVALID_ARGUMENT alone may as
// well mean the payload, and a device must not be given up for that.
func blamesToken(body []byte) bool {
	var f failure
	if err := json.Unmarshal(body, &f); err != nil {
		return false
	}
	for _, d := range f.Error.Details {
		for _, v := range d.FieldViolations {
			if v.Field == "message.token" {
				return true
			}
		}
	}
	return strings.Contains(f.Error.Message, "registration token")
}
