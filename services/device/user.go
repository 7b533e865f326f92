package device

import (
	"errors"
	"time"
)

// ErrExists says that the account has a user with this external id, username or email already.
var ErrExists = errors.New("exists already")

// TakenError says which of a user's names belongs to another user. It is ErrExists.
type TakenError struct {
	// Field is external_id, username or email.
	Field string
}

func (e *TakenError) Error() string { return e.Field + " " + ErrExists.Error() }

// Is makes every TakenError an ErrExists.
func (*TakenError) Is(target error) bool { return target == ErrExists }

// User is a person as the client knows them.
type User struct {
	ID string
	// Number stands for ID where a dialect has integers; unique within the account, and positive.
	Number     int64
	Credential string // the account that they belong to
	// ExternalID is the client's own name for the user, unique within the account when set.
	ExternalID string
	Name       string
	CreatedAt  time.Time
	// PreferredChannel is how the user wants to be told things; empty: by the first of their devices.
	PreferredChannel string
	// DeviceOrder are the ids of the devices that the user is asked by before all others, see InOrder. It may hold ones
	// that have gone.
	DeviceOrder []string

	// Username and Email name the user at a login, in either case of letters; each is unique within
	// the account when set. Like all that follows they are stored sealed.
	Username, Email, Phone string
	GivenName, FamilyName  string
	// Password is the Argon2id hash of the password in its PHC string form; empty: no password is set.
	Password string
	// Locked and Disabled users can neither log in nor be asked. The two come and go apart: a lock is about
	// what somebody tried, and being disabled about whether the person belongs here.
	Locked, Disabled                        bool
	UpdatedAt, PasswordChangedAt, LastLogin time.Time
	// Attributes are what else a door keeps of its users; the values are JSON.
	Attributes map[string]string

	// Revision is that of the stored record; an update of another revision is refused.
	Revision uint64
}

// Barred tells whether the user can neither log in nor be asked.
func (u User) Barred() bool { return u.Locked || u.Disabled }

// ErrChanged says that the user was changed since it was read.
var ErrChanged = errors.New("changed since it was read")
