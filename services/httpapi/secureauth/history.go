package secureauth

import (
	"net/http"
	"net/netip"
	"strings"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/plaintext"
)

// maxUserAgent is how many characters of a browser's name are kept.
const maxUserAgent = 255

// authStates are how a login can have ended, by the words of the request, as the access history has them.
var authStates = map[string]string{"success": "Success", "aborted": "Aborted", "cancelled": "Cancelled", "wrong": "Wrong"}

func (s *Server) historyRoutes() []route {
	return []route{
		{http.MethodPost, "authenticated", nil, s.recordAuthenticated},
		{http.MethodPost, "accesshistory", nil, s.recordAccess},
	}
}

// accessBody is the body of both calls; what only one of them documents may be sent to either.
type accessBody struct {
	UserID        text `json:"user_id"`
	Domain        text `json:"domain"`
	Authenticated text `json:"authenticated"`
	Method        text `json:"authregmethod"` // how the user proved themselves; not kept
	IPAddress     text `json:"ip_address"`
	UserAgent     text `json:"user_agent"`
}

// recordAuthenticated is told how a login ended that the client has led. A good one resets the throttles.
func (s *Server) recordAuthenticated(c *call) error {
	var body accessBody
	if err := c.decode(&body); err != nil {
		return err
	}
	state, ok := authStates[strings.ToLower(string(body.Authenticated))]
	if !ok {
		return rejected("authenticated must be success, aborted, cancelled or wrong.")
	}
	u, err := s.visit(c, body, state)
	if err != nil {
		return err
	}
	if state == authStates["success"] {
		if err := s.succeeded(c.ctx(), u); err != nil {
			return err
		}
	}
	return c.answer(plain{statusValid, "Request has been processed.", string(body.UserID)})
}

// recordAccess is told from where a user has come in.
func (s *Server) recordAccess(c *call) error {
	var body accessBody
	if err := c.decode(&body); err != nil {
		return err
	}
	if body.IPAddress == "" {
		return rejected("ip_address is required.")
	}
	if _, err := s.visit(c, body, authStates["success"]); err != nil {
		return err
	}
	return c.answer(plain{statusValid, "Access History request has been processed.", string(body.UserID)})
}

// visit adds to the access history of the user whom a body names.
func (s *Server) visit(c *call, body accessBody, state string) (device.User, error) {
	if body.UserID == "" {
		return device.User{}, rejected("user_id is required.")
	}
	a := access{UserAgent: shownAgent(string(body.UserAgent)), At: s.now(), AuthState: state}
	if body.IPAddress != "" {
		ip, err := netip.ParseAddr(strings.TrimSpace(string(body.IPAddress)))
		if err != nil || ip.Zone() != "" { // a zone may hold any text
			return device.User{}, rejected("ip_address must be an IP address.")
		}
		a.IPAddress = ip.String()
	}
	u, err := s.user(c, string(body.UserID), string(body.Domain))
	if err != nil {
		return u, err
	}
	return s.changeUser(c, u, func(_ *device.User, p *profile) error {
		p.visited(a)
		return nil
	})
}

// shownAgent is what a browser calls itself, without what would disturb who reads it.
func shownAgent(s string) string {
	return cut(strings.Map(func(r rune) rune {
		if plaintext.Unshowable(r) {
			return -1
		}
		return r
	}, s), maxUserAgent)
}
