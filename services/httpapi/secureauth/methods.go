package secureauth

import (
	"context"
	"fmt"
	"net/http"
	"strings"

	"github.com/assent-io/assent/services/verification"
)

// checkUserID says that the user exists.
func (s *Server) checkUserID(a attempted) error {
	return a.answer(plain{statusFound, "User Id found", string(a.UserID)})
}

// checkPassword compares a password. It is not counted with the other attempts, nor does a right one
// reset them; wrong ones have a limit of their own.
func (s *Server) checkPassword(a attempted) error {
	if a.Token == "" {
		return rejected("token is required: the password.")
	}
	return s.guess(a, "sa_password", "wrong passwords", "User Id or password is invalid.", func(ctx context.Context) (bool, error) {
		return check(ctx, s.config.Passwords, a.user.Password, string(a.Token))
	})
}

// checkAnswer compares the answer to a security question.
func (s *Server) checkAnswer(a attempted) error {
	if a.FactorID == "" {
		return rejected("factor_id is required.")
	}
	id, _, err := a.chosen(a.profile.questions())
	if err != nil {
		return err
	}
	if strings.TrimSpace(string(a.Token)) == "" {
		return rejected("token is required: the answer.")
	}
	if err := s.attempt(a.call, a.user); err != nil {
		return err
	}
	return s.guess(a, "sa_kba", "wrong answers", "Request validation failed with: The answer is invalid.", func(ctx context.Context) (bool, error) {
		return a.profile.checkAnswer(ctx, s.config.Passwords, id, string(a.Token))
	})
}

// checkPIN compares the PIN.
func (s *Server) checkPIN(a attempted) error {
	if a.Token == "" {
		return rejected("token is required: the PIN.")
	}
	if err := s.attempt(a.call, a.user); err != nil {
		return err
	}
	return s.guess(a, "sa_pin", "wrong PINs", "PIN is invalid.", func(ctx context.Context) (bool, error) {
		return a.profile.checkPIN(ctx, s.config.Passwords, string(a.Token))
	})
}

// guess compares what somebody knows, so many times wrongly as a user may be guessed at.
func (s *Server) guess(a attempted, kind, what, refusal string, compare func(context.Context) (bool, error)) error {
	right, err := s.config.Guesses.Guess(a.ctx(), kind, ownerKey(a.user))
	if err != nil {
		return tooMany(what, fmt.Errorf("count guess: %w", err))
	}
	valid, err := compare(a.ctx())
	if err != nil {
		right(a.ctx()) // it was not compared
		return err
	}
	if !valid {
		return wrong("", refusal)
	}
	right(a.ctx())
	if kind != "sa_password" {
		s.proved(a.call, a.user)
	}
	return a.valid()
}

// checkOATH compares the code that a device shows.
func (s *Server) checkOATH(a attempted) error {
	d, err := s.device(a, showsCodes)
	if err != nil {
		return err
	}
	if a.Token == "" {
		return rejected("token is required: the code.")
	}
	if err := s.attempt(a.call, a.user); err != nil {
		return err
	}
	right, err := s.config.Users.CheckCode(a.ctx(), d.Credential, d.ID, verification.Code(typedCode(string(a.Token))))
	if err != nil {
		return tooMany("wrong codes", fmt.Errorf("check code: %w", err))
	}
	if !right {
		return wrong("", "OTP is invalid.")
	}
	s.proved(a.call, a.user)
	return a.valid()
}

// yubiKeyProperty is the free property of the profile that holds the public identity of the user's YubiKey.
const yubiKeyProperty = "yubiKey"

// maxYubiKey is how long a public identity is at most.
const maxYubiKey = 16

// checkYubiKey asks the validation server about a one-time password of the user's own key: a genuine one
// of another key proves another person.
func (s *Server) checkYubiKey(a attempted) error {
	if s.config.YubiKeys == nil {
		return rejected("type yubikey needs a YubiKey validation server, and none is configured.")
	}
	identity, ok := s.config.YubiKeys.Identity(string(a.Token))
	if !ok {
		return rejected("token is required: what the YubiKey types.")
	}
	own := a.profile.text(yubiKeyProperty)
	if own == "" {
		return rejected("the user has no YubiKey: the property " + yubiKeyProperty + " holds its public identity.")
	}
	if err := s.attempt(a.call, a.user); err != nil {
		return err
	}
	valid := strings.EqualFold(own, identity)
	if valid {
		var err error
		if valid, err = s.config.YubiKeys.Valid(a.ctx(), string(a.Token)); err != nil {
			return &fault{code: http.StatusServiceUnavailable, status: statusServerError, message: "The YubiKey validation server cannot be asked.", cause: err}
		}
	}
	if !valid {
		return wrong("", "OTP is invalid.")
	}
	s.proved(a.call, a.user)
	return a.valid()
}

// typedCode is a code without the spaces and dashes that people put in.
func typedCode(s string) string { return strings.NewReplacer(" ", "", "-", "").Replace(s) }
