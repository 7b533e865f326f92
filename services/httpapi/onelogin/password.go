package onelogin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/password"
)

// newPassword is the password that a body sets; empty where it sets none.
func (b userBody) newPassword() (string, error) {
	word, err := b.secret("password")
	if err != nil {
		return "", err
	}
	confirmation, err := b.secret("password_confirmation")
	if err != nil {
		return "", err
	}
	switch {
	case word == "" && confirmation == "":
		return "", nil
	case word == "":
		return "", invalid("password", "must be given with its confirmation")
	case b.names("password_algorithm") || b.names("salt"):
		return "", invalid("password_algorithm", "is not supported: passwords are sent as they are, and hashed here")
	case confirmation == "":
		return "", invalid("password_confirmation", "must be given with a password")
	case confirmation != word:
		return "", invalid("password_confirmation", "must be the same as the password")
	}
	if err := password.Acceptable(word); err != nil {
		return "", invalid("password", err.Error())
	}
	return word, nil
}

func (b userBody) secret(name string) (string, error) {
	var s string
	if raw, ok := b[name]; ok && json.Unmarshal(raw, &s) != nil {
		return "", invalid(name, "must be a string")
	}
	return s, nil
}

func (b userBody) names(name string) bool {
	raw, ok := b[name]
	return ok && string(raw) != "null" && string(raw) != `""`
}

// setPassword hashes a new password into the user.
func (s *Server) setPassword(ctx context.Context, u *device.User, word string) error {
	if errors.Is(password.Acceptable(word, u.Username, u.Email), password.ErrOwnName) {
		return invalid("password", "must not be the username or the email address")
	}
	hash, err := s.config.Passwords.Hash(ctx, word)
	if err != nil {
		return busy(err)
	}
	u.Password, u.PasswordChangedAt = hash, s.now()
	return nil
}

// checkPassword tells whether a password is the user's. Without a user, or a password, it takes as long.
func (s *Server) checkPassword(ctx context.Context, u device.User, word string) (bool, error) {
	right, err := s.config.Passwords.Check(ctx, u.Password, word)
	if err != nil {
		return false, busy(err)
	}
	return right, nil
}

// busy says that the password did not get its turn.
func busy(err error) error {
	if errors.Is(err, password.ErrBusy) {
		return &fault{
			status: http.StatusServiceUnavailable, message: "Too many passwords are being checked; try again",
			header: http.Header{"Retry-After": {"1"}},
		}
	}
	return fmt.Errorf("hash password: %w", err)
}

func (s *Server) now() time.Time { return s.config.Now().UTC().Truncate(time.Millisecond) }
