package delivery

import (
	"errors"
	"fmt"
	"time"

	"github.com/assent-io/assent/events"
)

// An error that a Sender returns is transient unless one of these marks says otherwise.
// No mark may carry a code, token or address in its text: errors are logged.

// permanentError will fail the same way however often it is tried.
type permanentError struct {
	reason string
	err    error
}

func (e *permanentError) Error() string { return fmt.Sprintf("permanent (%s): %v", e.reason, e.err) }
func (e *permanentError) Unwrap() error { return e.err }

// Permanent marks an error that no retry mends. The reason is one of events.Reason… and
// becomes the reason of the failed verification.
func Permanent(reason string, err error) error { return &permanentError{reason, err} }

type retryAfterError struct {
	after time.Duration
	err   error
}

func (e *retryAfterError) Error() string { return fmt.Sprintf("retry after %s: %v", e.after, e.err) }
func (e *retryAfterError) Unwrap() error { return e.err }

// RetryAfter marks an error whose provider asks us to wait: so long, or, where that is zero, it did not say how long.
func RetryAfter(after time.Duration, err error) error { return &retryAfterError{after, err} }

type unknownError struct{ err error }

func (e *unknownError) Error() string { return fmt.Sprintf("fate unknown: %v", e.err) }
func (e *unknownError) Unwrap() error { return e.err }

// Unknown marks a call whose request was written and whose answer never came: the
// provider may have taken the message.
func Unknown(err error) error { return &unknownError{err} }

type misconfiguredError struct{ err error }

func (e *misconfiguredError) Error() string { return fmt.Sprintf("misconfigured: %v", e.err) }
func (e *misconfiguredError) Unwrap() error { return e.err }

// Misconfigured marks what only the operator can mend: credentials, sender, account. It is
// retried until the deadline, because the operator may be quicker, and raises an alarm.
func Misconfigured(err error) error { return &misconfiguredError{err} }

// ErrNotAsked ends a call that was allowed and not made.
var ErrNotAsked = errors.New("the provider was not asked")

// ErrStale ends a call that was allowed so long ago that it is about to be asked for again.
var ErrStale = fmt.Errorf("the call was allowed too long ago: %w", ErrNotAsked)

// Class is the kind of an error, for metrics and the log.
type Class string

// The classes of errors.
const (
	ClassPermanent     Class = "permanent"
	ClassRetryAfter    Class = "retry_after"
	ClassUnknown       Class = "unknown"
	ClassMisconfigured Class = "misconfigured"
	ClassTransient     Class = "transient"
)

// ClassOf tells the class of an error that a Sender returned.
func ClassOf(err error) Class {
	switch {
	case errors.As(err, new(*permanentError)):
		return ClassPermanent
	case errors.As(err, new(*retryAfterError)):
		return ClassRetryAfter
	case errors.As(err, new(*unknownError)):
		return ClassUnknown
	case errors.As(err, new(*misconfiguredError)):
		return ClassMisconfigured
	default:
		return ClassTransient
	}
}

// ReasonOf is the reason of a permanent error, or empty.
func ReasonOf(err error) string {
	var p *permanentError
	if errors.As(err, &p) {
		return p.reason
	}
	return ""
}

// AfterOf is the wait that a provider asked for, or zero.
func AfterOf(err error) time.Duration {
	var r *retryAfterError
	if errors.As(err, &r) {
		return r.after
	}
	return 0
}

// DetailOf is the provider's own code for an error, where the error carries one: a number or a
// word from the provider's documentation, never its free text.
func DetailOf(err error) string {
	var coded interface{ Detail() string }
	if errors.As(err, &coded) {
		return coded.Detail()
	}
	return ""
}

// Final tells of the reason of a permanent error that it is the address that cannot be reached, by no provider.
func Final(reason string) bool {
	return reason == events.ReasonUndeliverable || reason == events.ReasonUnsubscribed || reason == events.ReasonDeviceGone
}

// Nobody is the error of a message for which there is no provider.
func Nobody(c events.Channel) error {
	if c == events.SMS || c == events.Voice {
		return Permanent(events.ReasonRegionBlocked, errors.New("no rule of the routes matches the number"))
	}
	return Permanent(events.ReasonNotConfigured, errors.New("no provider carries this message"))
}
