package secureauth

import (
	"context"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

// Realms knows the applications.
type Realms interface {
	// Realm is the realm of an application id, with the keys that its calls may be signed with, the present
	// one first. It fails with realm.ErrUnknown.
	Realm(ctx context.Context, appID string) (r realm.Realm, keys [][]byte, err error)
}

// Users keeps users and their devices, apart for each account. What belongs to another account is
// verification.ErrNotFound.
type Users interface {
	// CreateUser fails with *device.TakenError.
	CreateUser(ctx context.Context, u device.User) (device.User, error)
	// UpdateUser stores u in place of the same revision; device.ErrChanged for another.
	UpdateUser(ctx context.Context, u device.User) (device.User, error)
	User(ctx context.Context, account, id string) (device.User, error)
	// UserByLogin reads a user by username or email.
	UserByLogin(ctx context.Context, account, login string) (device.User, error)
	DeleteUser(ctx context.Context, account, id string) error
	Device(ctx context.Context, account, id string) (device.Device, error)
	// Devices lists the user's devices, pending ones too, newest first.
	Devices(ctx context.Context, account, userID string) ([]device.Device, error)
	// CheckCode compares a one-time code with the device's secret (RFC 6238), each value once. It fails
	// with *verification.LimitError after too many wrong ones.
	CheckCode(ctx context.Context, account, deviceID string, code verification.Code) (right bool, err error)
}

// Verifications keeps verifications. Every method fails with verification.ErrNotFound for an id that
// it does not know, and with verification.ErrUnavailable when it cannot be asked.
type Verifications interface {
	Create(ctx context.Context, a verification.Activation) (v verification.Verification, replayed bool, err error)
	Get(ctx context.Context, id string) (verification.Verification, error)
	// Check compares a code and counts it. With verification.ErrClosed or ErrChallenge it returns the
	// verification as it is.
	Check(ctx context.Context, id string, code verification.Code) (v verification.Verification, valid bool, err error)
}

// Tickets keeps short-lived things that are named by a secret or must happen once.
type Tickets interface {
	Issue(ctx context.Context, kind, name string, content []byte, life time.Duration) error
	Look(ctx context.Context, kind, name string) ([]byte, error)
	Revoke(ctx context.Context, kind, name string) error
	// Once takes a name for a time: true for the first who does, in all processes.
	Once(ctx context.Context, kind, name string, life time.Duration) (first bool, err error)
}

// Guesses counts wrong answers in a rolling window, across all processes.
type Guesses interface {
	// Guess takes one guess, or fails with *verification.LimitError. right gives it back.
	Guess(ctx context.Context, kind, key string) (right func(context.Context), err error)
}

// Counts counts what happened in rolling windows, across all processes.
type Counts interface {
	// Add counts one more, which leaves after window, unless limit stand already: then it fails with a
	// *verification.LimitError and counts nothing. It returns how many stand.
	Add(ctx context.Context, kind, key string, limit int, window time.Duration) (int, error)
	// Count is how many stand.
	Count(ctx context.Context, kind, key string) (int, error)
	// Reset forgets them.
	Reset(ctx context.Context, kind, key string) error
}

// Passwords hashes passwords, PINs and answers (Argon2id).
type Passwords interface {
	Hash(ctx context.Context, password string) (string, error)
	// Check compares; a hash that is empty takes as long as any other and never matches.
	Check(ctx context.Context, hash, password string) (bool, error)
}

// YubiKeys knows which one-time passwords are genuine.
type YubiKeys interface {
	// Identity is the public identity of the key that a one-time password came from; false for what is none.
	Identity(otp string) (identity string, ok bool)
	// Valid tells whether it is genuine and new. It fails where the server could not tell; the error holds
	// nothing of the one-time password.
	Valid(ctx context.Context, otp string) (bool, error)
}
