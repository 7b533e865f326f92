package secureauth

import (
	"strings"
	"time"

	"github.com/assent-io/assent/services/device"
)

// changeState does what a word of POST status says, and tells whether there is such a word. The reference
// has the first four; the states that only a directory could set have words of their own, and enable, or a
// new password, takes them back.
func changeState(word string, u *device.User, p *profile, now time.Time) bool {
	switch word {
	case "lock", "unlock":
		u.Locked = word == "lock"
	case "disable":
		p.enter(u, stateDisabled)
	case "enable":
		p.leave(u)
	case stateAccountExpired, stateInvalidGroup:
		p.enter(u, word)
	case statePasswordExpired:
		p.PasswordExpiredAt = now
	default:
		return false
	}
	return true
}

// readStatus says whether the user may authenticate, and why not.
func (s *Server) readStatus(c *call) error {
	u, name, err := s.namedUser(c)
	if err != nil {
		return err
	}
	p, err := profileOf(u)
	if err != nil {
		return err
	}
	if state := p.state(u); state != "" {
		return c.answer(plain{state, states[state], name})
	}
	return c.answer(plain{statusValid, "", name})
}

// setStatus locks, unlocks, enables or disables a user.
func (s *Server) setStatus(c *call) error {
	var body struct {
		Status text `json:"status"`
	}
	if err := c.decode(&body); err != nil {
		return err
	}
	u, name, err := s.namedUser(c)
	if err != nil {
		return err
	}
	word := strings.ToLower(string(body.Status))
	_, err = s.changeUser(c, u, func(u *device.User, p *profile) error {
		if !changeState(word, u, p, s.now()) {
			return rejected("status must be lock, unlock, enable or disable.")
		}
		return nil
	})
	if err != nil {
		return err
	}
	return c.answer(plain{statusSuccess, "User Status update complete", name})
}
