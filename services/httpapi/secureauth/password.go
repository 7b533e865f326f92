package secureauth

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/password"
)

// The lengths of PINs, in digits.
const (
	minPIN = 4
	maxPIN = 10
)

func (s *Server) passwordRoutes() []route {
	return append(
		named(http.MethodPost, "resetpwd", s.resetPassword),
		named(http.MethodPost, "changepwd", s.changePassword)...,
	)
}

// resetPassword sets a password without asking for the former one.
func (s *Server) resetPassword(c *call) error {
	var body struct {
		Password text `json:"password"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	u, _, err := s.namedUser(c)
	if err != nil {
		return err
	}
	if body.Password == "" {
		return rejected("password is required.")
	}
	if err := checkNew("password", string(body.Password), u); err != nil {
		return err
	}
	hash, err := hashed(c.ctx(), s.config.Passwords, string(body.Password))
	if err != nil {
		return err
	}
	_, err = s.changeUser(c, u, func(u *device.User, p *profile) error {
		s.setPassword(u, p, hash)
		return nil
	})
	if err != nil {
		return err
	}
	return c.answer(basic{statusSuccess, "Password was reset"})
}

// changePassword sets a password for who knows the former one. An expired password may be changed; every
// other state keeps the user out.
func (s *Server) changePassword(c *call) error {
	var body struct {
		Current text `json:"currentPassword"`
		New     text `json:"newPassword"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	u, name, err := s.namedUser(c)
	if err != nil {
		return err
	}
	switch {
	case body.Current == "":
		return rejected("currentPassword is required.")
	case body.New == "":
		return rejected("newPassword is required.")
	case body.New == body.Current:
		return rejected("newPassword must be another than currentPassword.")
	}
	if err := checkNew("newPassword", string(body.New), u); err != nil {
		return err
	}
	p, err := profileOf(u)
	if err != nil {
		return err
	}
	if state := p.state(u); state != "" && state != statePasswordExpired {
		return barred(state, name)
	}
	if err := s.currentPassword(c, u, name, string(body.Current)); err != nil {
		return err
	}
	hash, err := hashed(c.ctx(), s.config.Passwords, string(body.New))
	if err != nil {
		return err
	}
	compared := u.Password
	_, err = s.changeUser(c, u, func(u *device.User, p *profile) error {
		if u.Password != compared { // the one that was right is no longer theirs
			return wrong(name, "User Id or password is invalid.")
		}
		s.setPassword(u, p, hash)
		return nil
	})
	if err != nil {
		return err
	}
	return c.answer(basic{statusSuccess, "Password was changed"})
}

// currentPassword compares the former password, guesses at which are counted with those of POST /auth.
func (s *Server) currentPassword(c *call, u device.User, name, password string) error {
	right, err := s.config.Guesses.Guess(c.ctx(), "sa_password", ownerKey(u))
	if err != nil {
		return tooMany("wrong passwords", fmt.Errorf("count guess: %w", err))
	}
	ok, err := check(c.ctx(), s.config.Passwords, u.Password, password)
	if err != nil {
		right(c.ctx()) // it was not compared
		return err
	}
	if !ok {
		return wrong(name, "User Id or password is invalid.")
	}
	right(c.ctx())
	return nil
}

// setPassword ends the sessions of the other doors as well: they compare the time of the change.
func (s *Server) setPassword(u *device.User, p *profile, hash string) {
	u.Password, u.PasswordChangedAt, p.PasswordExpiredAt = hash, s.now(), time.Time{}
}

// checkNew refuses a password that should not be set; name is the field that it came in.
func checkNew(name, word string, u device.User) error {
	switch err := password.Acceptable(word, u.Username, u.Email); {
	case errors.Is(err, password.ErrOwnName):
		return rejected(name + " must not be the user id or the email address.")
	case err != nil:
		return rejected(name + " " + err.Error() + ".")
	}
	return nil
}

// hashed hashes a password, a PIN or an answer.
func hashed(ctx context.Context, passwords Passwords, secret string) (string, error) {
	hash, err := passwords.Hash(ctx, secret)
	if err != nil {
		return "", busy(err)
	}
	return hash, nil
}

// check compares a password, a PIN or an answer with its hash. Without a hash it takes as long.
func check(ctx context.Context, passwords Passwords, hash, secret string) (bool, error) {
	right, err := passwords.Check(ctx, hash, secret)
	if err != nil {
		return false, busy(err)
	}
	return right, nil
}

// busy says that the password did not get its turn.
func busy(err error) error {
	if errors.Is(err, password.ErrBusy) {
		return &fault{
			code: http.StatusServiceUnavailable, status: statusServerError, message: "Too many passwords are being checked. Try again.",
			header: http.Header{"Retry-After": {"1"}},
		}
	}
	return fmt.Errorf("hash password: %w", err)
}

func (s *Server) now() time.Time { return s.config.Now().UTC().Truncate(time.Millisecond) }
