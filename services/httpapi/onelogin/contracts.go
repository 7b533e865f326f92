package onelogin

import (
	"context"
	"time"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

// Credentials knows the clients and their tokens.
type Credentials interface {
	// Authenticate fails with credential.ErrWrong, in the same time whichever half of the pair is.
	Authenticate(ctx context.Context, clientID, secret string) (credential.Credential, error)
	// Bearer is the client of a token; credential.ErrToken for one that has ended, was revoked or made up.
	Bearer(ctx context.Context, token string) (credential.Credential, error)
	// Issue is the client's token: the same until it ends or is revoked.
	Issue(ctx context.Context, c credential.Credential) (credential.Token, error)
	// Refresh takes a token of the client back and issues another; credential.ErrToken where the pair is wrong.
	Refresh(ctx context.Context, c credential.Credential, access, refresh string) (credential.Token, error)
	// RevokeToken takes a token of the client back. One that is not the client's is left as it is, without an error.
	RevokeToken(ctx context.Context, c credential.Credential, access string) error
}

// Users keeps users and their devices, apart for each account. What belongs to another account is
// verification.ErrNotFound.
type Users interface {
	// CreateUser gives the user a number. It fails with *device.TakenError.
	CreateUser(ctx context.Context, u device.User) (device.User, error)
	// UpdateUser stores u in place of the same revision; device.ErrChanged for another.
	UpdateUser(ctx context.Context, u device.User) (device.User, error)
	// User reads a user by id, UserByNumber by number, UserByLogin by username or email.
	User(ctx context.Context, account, id string) (device.User, error)
	UserByNumber(ctx context.Context, account string, number int64) (device.User, error)
	UserByLogin(ctx context.Context, account, login string) (device.User, error)
	// AllUsers lists all users of an account, the oldest first.
	AllUsers(ctx context.Context, account string) ([]device.User, error)
	DeleteUser(ctx context.Context, account, id string) error

	// Device reads a device by id, DeviceByNumber by number; pending ones too.
	Device(ctx context.Context, account, id string) (device.Device, error)
	DeviceByNumber(ctx context.Context, account string, number int64) (device.Device, error)
	// Devices lists the user's devices, pending ones too, newest first.
	Devices(ctx context.Context, account, userID string) ([]device.Device, error)
	DeleteDevice(ctx context.Context, account, id string) error
	// CheckCode compares a one-time code with the device's secret (RFC 6238): one step of drift either
	// way, and each value once. It fails with *verification.LimitError after too many wrong ones.
	CheckCode(ctx context.Context, account, deviceID string, code verification.Code) (right bool, err error)
}

// Verifications keeps verifications. Every method fails with verification.ErrNotFound for an id that
// it does not know, and with verification.ErrUnavailable when it cannot be asked.
type Verifications interface {
	Create(ctx context.Context, a verification.Activation) (v verification.Verification, replayed bool, err error)
	Get(ctx context.Context, id string) (verification.Verification, error)
	// Check compares a code and counts it; an authenticator's too. With verification.ErrClosed or
	// ErrChallenge it returns the verification as it is.
	Check(ctx context.Context, id string, code verification.Code) (v verification.Verification, valid bool, err error)
	// Resolve applies a fact. With verification.ErrClosed or ErrChallenge it returns the verification as it is.
	Resolve(ctx context.Context, id string, f verification.Fact) (verification.Verification, error)
	Resend(ctx context.Context, id string) (verification.Verification, error)
	// IDFor is the id that belongs to an account's idempotency key.
	IDFor(account, idempotencyKey string) string
}

// Enrolments registers devices, each proved by its owner.
type Enrolments interface {
	Begin(ctx context.Context, r enrolment.Request) (enrolment.Enrolment, error)
	// Get reads an enrolment by the id of its device, and completes it where its proof has come.
	Get(ctx context.Context, account, deviceID string) (enrolment.Enrolment, error)
	// Prove checks a code. A wrong one is no error: the enrolment stays pending, or is refused after too many.
	Prove(ctx context.Context, account, deviceID string, code verification.Code) (enrolment.Enrolment, error)
	// Ask sends a message to a pending device, to prove it (version 1's trigger).
	Ask(ctx context.Context, account, deviceID string, m enrolment.Message) (enrolment.Enrolment, error)
}

// Tickets keeps short-lived things that are named by a secret or must happen once: login sessions,
// temporary codes. Names are stored as keyed hashes, contents sealed.
type Tickets interface {
	// Issue stores content under a kind and name for a time.
	Issue(ctx context.Context, kind, name string, content []byte, life time.Duration) error
	// Look reads it; verification.ErrNotFound without one.
	Look(ctx context.Context, kind, name string) ([]byte, error)
	// Use reads it and removes it: of all who use one name, in all processes, one succeeds.
	Use(ctx context.Context, kind, name string) ([]byte, error)
	// Revoke removes it; nothing to remove is no error.
	Revoke(ctx context.Context, kind, name string) error
}

// Guesses counts wrong answers in a rolling window, across all processes.
type Guesses interface {
	// Guess takes one guess, or fails with *verification.LimitError. right gives it back.
	Guess(ctx context.Context, kind, key string) (right func(context.Context), err error)
}

// Passwords hashes passwords (Argon2id).
type Passwords interface {
	// Hash is slow and takes memory on purpose; it waits for its turn, and fails when ctx ends first.
	Hash(ctx context.Context, password string) (string, error)
	// Check compares; a hash that is empty takes as long as any other and never matches.
	Check(ctx context.Context, hash, password string) (bool, error)
}
