package secureauth

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"net/http"
	"strings"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/verification"
)

// The words of status.
const (
	statusFound       = "found"
	statusNotFound    = "not_found"
	statusValid       = "valid"
	statusInvalid     = "invalid"
	statusSuccess     = "success"
	statusFailed      = "failed"
	statusVerified    = "verified"
	statusServerError = "server_error"
)

// basic is what every answer has. Some answers may hold nothing else.
type basic struct {
	Status  string `json:"status"`
	Message string `json:"message"`
}

// plain is the answer of calls about a user.
type plain struct {
	Status  string `json:"status"`
	Message string `json:"message"`
	UserID  string `json:"user_id,omitempty"`
}

// fault is a refusal in the API's form.
type fault struct {
	code    int // of HTTP
	status  string
	message string
	userID  string
	header  http.Header
	// cause is for the log.
	cause error
}

func (e *fault) Error() string {
	if e.cause != nil {
		return "refused: " + e.status + ": " + e.cause.Error()
	}
	return "refused: " + e.status
}

// Unwrap is the cause.
func (e *fault) Unwrap() error { return e.cause }

// rejected refuses a request that does not validate. The message names what is wrong.
func rejected(what string) error {
	return &fault{code: http.StatusBadRequest, status: statusInvalid, message: "Request validation failed with: " + what}
}

// wrong refuses a credential that is not the right one: HTTP 200, since the call itself was good.
func wrong(userID, message string) error {
	return &fault{code: http.StatusOK, status: statusInvalid, message: message, userID: userID}
}

// unknownUser refuses a user that the account does not have.
func unknownUser(userID string) error {
	return &fault{code: http.StatusNotFound, status: statusNotFound, message: "User Id was not found.", userID: userID}
}

// unauthorized refuses a call that is not signed as it should be.
func unauthorized(message string) error {
	return &fault{code: http.StatusUnauthorized, status: statusInvalid, message: message}
}

// faultFor turns every error into a fault. What it does not know is a fault of ours, with a fixed text.
func faultFor(err error) *fault {
	var (
		own   *fault
		large *http.MaxBytesError
		limit *verification.LimitError
		bad   *verification.InvalidError
		taken *device.TakenError
		quiet *suppression.RefusedError
	)
	switch {
	case errors.As(err, &own):
		return own
	case errors.Is(err, realm.ErrUnknown):
		return &fault{code: http.StatusUnauthorized, status: statusInvalid, message: "AppId is unknown."}
	case errors.As(err, &large):
		return &fault{code: http.StatusRequestEntityTooLarge, status: statusInvalid, message: "The body is over 64 KiB."}
	case errors.As(err, &limit):
		seconds := max(1, int(math.Ceil(limit.RetryAfter.Seconds())))
		much := "Too many requests for this " + limit.Policy
		if limit.Policy == verification.PolicyPrompts {
			much = "Too many push requests that the user did not answer"
		}
		return &fault{
			code: http.StatusOK, status: statusInvalid,
			message: fmt.Sprintf("Request validation failed with: %s. Try again in %d seconds.", much, seconds),
			header:  http.Header{"Retry-After": {fmt.Sprint(seconds)}},
		}
	case errors.As(err, &quiet):
		// As a number that the realm does not serve: HTTP 200, which all SDKs read, and a status that is not valid.
		return &fault{
			code: http.StatusOK, status: statusInvalid,
			message: "Request validation failed with: No messages are sent to this factor: " + quiet.Places[0].Entry.Cause.Explain() + ".",
		}
	case errors.As(err, &bad):
		parts := make([]string, len(bad.Faults))
		for i, f := range bad.Faults {
			parts[i] = f.Field + " " + f.Detail
		}
		return &fault{code: http.StatusBadRequest, status: statusInvalid, message: "Request validation failed with: " + strings.Join(parts, "; ")}
	case errors.As(err, &taken):
		return &fault{code: http.StatusBadRequest, status: statusFailed, message: taken.Field + " exists already"}
	case errors.Is(err, verification.ErrNotFound):
		return &fault{code: http.StatusNotFound, status: statusNotFound, message: "The requested resource cannot be found."}
	case errors.Is(err, verification.ErrIdempotencyInProgress), errors.Is(err, device.ErrChanged):
		return &fault{code: http.StatusConflict, status: statusFailed, message: "Another request is changing the same thing. Repeat this one."}
	case errors.Is(err, verification.ErrUnavailable), errors.Is(err, context.DeadlineExceeded):
		return &fault{
			code: http.StatusServiceUnavailable, status: statusServerError, message: "The event broker is out of reach.",
			header: http.Header{"Retry-After": {"1"}},
		}
	default:
		return &fault{code: http.StatusInternalServerError, status: statusServerError, message: "The server has logged what happened."}
	}
}

// fail answers with the fault that err is, and leaves err for the log.
func (c *call) fail(err error) {
	note(c.w, c.realm.AppID, "", err)
	f := faultFor(err)
	for name, values := range f.header {
		c.w.Header()[name] = values
	}
	c.write(f.code, plain{f.status, f.message, f.userID})
}

// answer writes a good answer. Every one is HTTP 200: one SDK takes no other.
func (c *call) answer(body any) error {
	c.write(http.StatusOK, body)
	return nil
}

func (c *call) write(status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // the bodies hold nothing that JSON cannot
	}
	c.sign(data)
	h := c.w.Header()
	h.Set("Content-Type", "application/json; charset=utf-8")
	h.Set("Cache-Control", "no-cache, no-store")
	h.Set("Pragma", "no-cache")
	h.Set("Expires", "-1")
	h.Set("Content-Length", fmt.Sprint(len(data)))
	c.written = true
	c.w.WriteHeader(status)
	_, _ = c.w.Write(data) // a client that left is no fault of ours
}

// observer is the log line and the metrics of the request, where the server keeps some.
type observer interface {
	Note(client, verificationID string, err error)
}

func note(w http.ResponseWriter, client, verificationID string, err error) {
	if o, ok := w.(observer); ok {
		o.Note(client, verificationID, err)
	}
}
