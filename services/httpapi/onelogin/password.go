package onelogin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/unicode/norm"

	"github.com/assent-io/assent/services/device"
)

// The lengths of passwords, in characters. NIST SP 800-63B-4 section 3.1.1.2 asks for 8 at least where
// the password is one of two factors, for 64 to be allowed, and for no rules on what they are made of.
const (
	minPassword = 8
	maxPassword = 256
	// hashTime is how long a password may wait for its turn to be hashed.
	hashTime = 10 * time.Second
)

// newPassword is the password that a body sets; empty where it sets none.
func (b userBody) newPassword() (string, error) {
	password, err := b.secret("password")
	if err != nil {
		return "", err
	}
	confirmation, err := b.secret("password_confirmation")
	if err != nil {
		return "", err
	}
	length := utf8.RuneCountInString(password)
	switch {
	case password == "" && confirmation == "":
		return "", nil
	case password == "":
		return "", invalid("password", "must be given with its confirmation")
	case b.names("password_algorithm") || b.names("salt"):
		return "", invalid("password_algorithm", "is not supported: passwords are sent as they are, and hashed here")
	case confirmation == "":
		return "", invalid("password_confirmation", "must be given with a password")
	case confirmation != password:
		return "", invalid("password_confirmation", "must be the same as the password")
	case length < minPassword || length > maxPassword:
		return "", invalid("password", fmt.Sprintf("must have %d to %d characters", minPassword, maxPassword))
	}
	return password, nil
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
func (s *Server) setPassword(ctx context.Context, u *device.User, password string) error {
	for _, own := range []string{u.Username, u.Email} {
		if own != "" && strings.EqualFold(own, password) {
			return invalid("password", "must not be the username or the email address")
		}
	}
	ctx, cancel := context.WithTimeout(ctx, hashTime)
	defer cancel()
	hash, err := s.config.Passwords.Hash(ctx, typed(password))
	if err != nil {
		return busy(ctx, err)
	}
	u.Password, u.PasswordChangedAt = hash, s.now()
	return nil
}

// checkPassword tells whether a password is the user's. Without a user, or a password, it takes as long.
func (s *Server) checkPassword(ctx context.Context, u device.User, password string) (bool, error) {
	ctx, cancel := context.WithTimeout(ctx, hashTime)
	defer cancel()
	right, err := s.config.Passwords.Check(ctx, u.Password, typed(password))
	if err != nil {
		return false, busy(ctx, err)
	}
	return right && u.Password != "", nil
}

// typed is the password in one form, however the keyboard composed its characters.
func typed(password string) string { return norm.NFKC.String(password) }

// busy says that the password did not get its turn.
func busy(ctx context.Context, err error) error {
	if errors.Is(err, context.DeadlineExceeded) && ctx.Err() != nil {
		return &fault{
			status: http.StatusServiceUnavailable, message: "Too many passwords are being checked; try again",
			header: http.Header{"Retry-After": {"1"}},
		}
	}
	return fmt.Errorf("hash password: %w", err)
}

func (s *Server) now() time.Time { return s.config.Now().UTC().Truncate(time.Millisecond) }
