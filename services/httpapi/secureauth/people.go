package secureauth

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// user is the user that a request names. A domain makes a username of its own, DOMAIN\name; where nobody
// has it, the name alone counts.
func (s *Server) user(c *call, name, domain string) (device.User, error) {
	var names []string
	// Users are created without the spaces around their names, which clients send again all the same.
	for _, n := range slices.Compact([]string{name, strings.TrimSpace(name)}) {
		if domain != "" && n != "" {
			names = append(names, domain+`\`+n)
		}
		names = append(names, n)
	}
	for _, n := range names {
		u, err := s.config.Users.UserByLogin(c.ctx(), c.realm.Account, n)
		if err == nil {
			return u, nil
		}
		if !errors.Is(err, verification.ErrNotFound) {
			return u, fmt.Errorf("read user: %w", err)
		}
	}
	return device.User{}, unknownUser(name)
}

// namedUser is the user of the path, or of the query where the path names none, and the name that the
// request has for them.
func (s *Server) namedUser(c *call) (device.User, string, error) {
	query := c.r.URL.Query()
	name, domain := c.value("user"), c.value("domain")
	if name == "" {
		name, domain = query.Get("username"), query.Get("domain")
	}
	if name == "" {
		return device.User{}, "", rejected("username is required.")
	}
	u, err := s.user(c, name, domain)
	return u, name, err
}

// states is what the answers say about users who may not authenticate, by their state.
var states = map[string]string{
	stateDisabled:        "The user is disabled.",
	stateLocked:          "The user is locked out.",
	statePasswordExpired: "The user's password has expired.",
	stateAccountExpired:  "The user's account has expired.",
	stateInvalidGroup:    "The user is not in a group that may authenticate.",
}

// isUnknownUser tells whether err is the refusal of a user that the account does not have.
func isUnknownUser(err error) bool {
	var f *fault
	return errors.As(err, &f) && f.status == statusNotFound && f.code == http.StatusNotFound
}
