package enrolment

import (
	"errors"
	"time"

	"github.com/assent-io/assent/services/verification"
)

// What an enrolment is refused with.
var (
	// ErrFactor: the device was enrolled for no factor, or what is asked does not go with its factor.
	ErrFactor = errors.New("not with this factor")
	// ErrEnrolled: the user has an active device of this factor with the same address.
	ErrEnrolled = errors.New("enrolled already")
	// ErrActive: the device is active, so there is nothing to prove.
	ErrActive = errors.New("active already")
	// ErrCrowded: the user has as many devices as a user may have.
	ErrCrowded = errors.New("too many devices")
	// ErrLocked: the user is locked or disabled.
	ErrLocked = errors.New("user is locked")
	// ErrStale: a later change of the phone was stored.
	ErrStale = errors.New("a later change was stored")
	// ErrCopied: another phone with the same key has counted further.
	ErrCopied = errors.New("key is in use elsewhere")
	// ErrExpired: the time of the enrolment link is over.
	ErrExpired = errors.New("link has expired")
	// ErrWithdrawn: the client took the enrolment link back.
	ErrWithdrawn = errors.New("link was withdrawn")
	// ErrOvertaken: the device was begun with a link that has ended, or as the first device of a user who has another by now.
	ErrOvertaken = errors.New("overtaken")
	// ErrBegun: as many devices were begun with one link as may be.
	ErrBegun = errors.New("begun too often with this link")
	// ErrAsked: as many messages asked for a fresh proof by one link as may.
	ErrAsked = errors.New("asked too often with this link")
	// ErrPushed: as many of them were pushes as may be.
	ErrPushed = errors.New("pushed too often with this link")
	// ErrSameKey: the phone that is to be replaced has this key.
	ErrSameKey = errors.New("the phone that is replaced has this key")
)

// MissingError says that the user has no address that the factor could use.
type MissingError struct {
	// Field is phone or email.
	Field string
}

func (e *MissingError) Error() string { return "user has no " + e.Field }

// EndedError says that an activation code was one, and is none any more: it was used, or ended unused at ExpiredAt. It
// is a verification.ErrNotFound too.
type EndedError struct {
	Used      bool
	ExpiredAt time.Time // zero where it was used
	// Brand is whose account it was for; may be empty.
	Brand string
}

func (e *EndedError) Error() string {
	if e.Used {
		return "activation code was used"
	}
	return "activation code has expired"
}

func (e *EndedError) Unwrap() error { return verification.ErrNotFound }
