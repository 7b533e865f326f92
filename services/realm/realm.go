// Package realm describes the realms of SecureAuth's Authentication API: an application
// id with its key, whose calls are signed instead of authenticated by a token, and what
// the operator lets it do. It is pure; package store keeps realms, with their keys
// sealed, and the SecureAuth door asks it what a realm is allowed.
package realm

import (
	"errors"
	"regexp"
	"slices"
	"time"
)

// Realm is one application of SecureAuth's API. Its key is kept apart.
type Realm struct {
	// Name is the first segment of the realm's paths, unique over all accounts.
	Name string
	// AppID is what the application calls itself: 32 hexadecimal digits, unique.
	AppID string
	// Account owns the users that the realm sees, the same as in the other doors.
	Account   string
	Settings  Settings
	CreatedAt time.Time
	// RotatedAt is when the key was last changed; zero: never.
	RotatedAt time.Time
}

// Settings is what an operator may set about a realm. The zero value is complete by Complete.
type Settings struct {
	// Brand is who asks, in messages and on pages.
	Brand string
	// Methods are the types of authentication that the realm may use; empty: all.
	Methods []string
	// EchoOTP lets the answer to a sent code hold the code, for platforms that compare it themselves.
	EchoOTP bool
	// StatesAsFound reads the factors of a locked or disabled user with the status found in v2 and v3.
	StatesAsFound bool
	// Life is how long a code, a link or a question lives.
	Life time.Duration
	// Attempts and Validations bound the requests for codes and the checks of codes of one user; they
	// are counted in rolling windows that all realms of an account share.
	Attempts, Validations Limit
	// Block is what evaluate_number refuses.
	Block Block
}

// Limit allows Count in each rolling Window. Zero: no limit.
type Limit struct {
	Count  int
	Window time.Duration
}

// Block is what a number must not be to be sent to. Country codes are ISO 3166 (two letters), network
// types are mobile, landline, virtual, pager, toll_free, premium, carriers are names.
type Block struct {
	Countries    []string
	NetworkTypes []string
	Carriers     []string
}

// The defaults and bounds of Settings.
const (
	DefaultLife = 5 * time.Minute
	MinLife     = 30 * time.Second
	MaxLife     = 10 * time.Minute
	// MaxCount bounds a Limit: so many records at most stand for one user.
	MaxCount = 100
	// MaxWindow is how long an attempt counts at most.
	MaxWindow = 24 * time.Hour
)

// Complete fills in what is not set.
func (s Settings) Complete() Settings {
	if s.Life == 0 {
		s.Life = DefaultLife
	}
	if s.Attempts == (Limit{}) {
		s.Attempts = Limit{Count: 10, Window: 10 * time.Minute}
	}
	if s.Validations == (Limit{}) {
		s.Validations = Limit{Count: 10, Window: 10 * time.Minute}
	}
	return s
}

// Allows tells whether the realm may use a type of authentication.
func (s Settings) Allows(method string) bool {
	return len(s.Methods) == 0 || slices.Contains(s.Methods, method)
}

var (
	nameForm = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
	idForm   = regexp.MustCompile(`^[0-9a-fA-F]{32}$`)
	keyForm  = regexp.MustCompile(`^[0-9a-fA-F]{64}$`)
)

// ValidName tells whether a name can be a realm's path segment. api, v1 and the like are the paths of
// other doors.
func ValidName(s string) bool {
	return nameForm.MatchString(s) && !slices.Contains([]string{"api", "auth", "v1", "l", "docs", "callbacks", "sandbox", "problems"}, s)
}

// ValidAppID tells whether s is an application id: 32 hexadecimal digits.
func ValidAppID(s string) bool { return idForm.MatchString(s) }

// ValidKey tells whether s is an application key: 64 hexadecimal digits.
func ValidKey(s string) bool { return keyForm.MatchString(s) }

// What a store of realms refuses with.
var (
	// ErrUnknown: no realm has this application id.
	ErrUnknown = errors.New("application id is unknown")
	// ErrExists: the name or the application id is taken.
	ErrExists = errors.New("realm exists already")
)
