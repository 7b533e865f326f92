package secureauth

import (
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"strings"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

func (s *Server) statusRoutes() []route {
	return []route{
		{method: http.MethodGet, path: "auth/link/{reference}", handle: s.showStatus(isLink)},
		{method: http.MethodGet, path: "auth/{reference}", handle: s.showStatus(isPush)},
	}
}

func isLink(v verification.Verification) bool { return v.Challenge == verification.LinkChallenge }

func isPush(v verification.Verification) bool {
	return v.Channel == verification.Push && v.Challenge == verification.ApprovalChallenge
}

// outcomes are the words for how a question stands. They go into the message.
var outcomes = map[verification.Status]string{
	verification.Pending:  "PENDING",
	verification.Approved: "ACCEPTED",
	verification.Denied:   "DENIED",
	verification.Failed:   "FAILED",
	verification.Canceled: "FAILED", // nobody answered, and nobody will
	verification.Expired:  "EXPIRED",
}

// showStatus answers how a reference of one kind stands. It is read from the broker, so whichever
// process answers knows it, with the cookie of the one that asked or without.
func (s *Server) showStatus(kind func(verification.Verification) bool) func(*call) error {
	return func(c *call) error {
		v, err := s.config.Verifications.Get(c.ctx(), strings.ToLower(c.value("reference")))
		if err != nil {
			return err //nolint:wrapcheck // faultFor knows it
		}
		if v.Credential != c.realm.Account || !kind(v) {
			return verification.ErrNotFound
		}
		note(c.w, "", v.ID, nil)
		status := v.At(c.now).Status
		if status == verification.Approved {
			may, err := s.mayStill(c, v)
			if err != nil {
				return err
			}
			if !may {
				return c.answer(basic{Status: statusFound, Message: outcomes[verification.Failed]})
			}
			s.accepted(c, v)
		}
		return c.answer(basic{Status: statusFound, Message: outcomes[status]})
	}
}

// mayStill tells whether the user who said yes may authenticate: they may have been locked, closed or
// removed since they were asked, and their yes lets nobody in then.
func (s *Server) mayStill(c *call, v verification.Verification) (bool, error) {
	if v.UserID == "" {
		return true, nil
	}
	u, err := s.config.Users.User(c.ctx(), v.Credential, v.UserID)
	if errors.Is(err, verification.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read user: %w", err)
	}
	p, err := profileOf(u)
	return err == nil && p.state(u) == "", err
}

// acceptedKind is the kind of the tickets of references that were seen to be accepted.
const acceptedKind = "sa_accepted"

// accepted resets the throttle of a user who answered with yes: once, since clients go on polling.
func (s *Server) accepted(c *call, v verification.Verification) {
	first, err := s.config.Tickets.Once(c.ctx(), acceptedKind, v.ID, 2*verification.LongestLife)
	if err != nil {
		note(c.w, "", v.ID, err)
		return
	}
	if first && v.UserID != "" {
		s.proved(c, device.User{ID: v.UserID, Credential: v.Credential})
	}
}

// ingress sets the cookie by which balancers of the original kept a client on one process. Clients that
// look for it find it; nobody reads it here.
func (c *call) ingress() {
	//nolint:gosec // without TLS a Secure cookie would be lost, and this one keeps no secret
	http.SetCookie(c.w, &http.Cookie{
		Name: "INGRESSCOOKIE", Value: strings.ToLower(rand.Text()), Path: "/", MaxAge: 120, HttpOnly: true,
		Secure: c.r.TLS != nil || strings.HasPrefix(c.server.config.PublicURL(), "https:"),
	})
}
