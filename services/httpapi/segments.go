package httpapi

import (
	"fmt"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/verification"
)

// checkSegments refuses a request whose text message would have more parts than the operator allows, where it is
// made. One that grows afterwards, as a resend with fewer minutes left may by a letter, is refused where it is sent.
func (s *Server) checkSegments(f *faults, request api.CreateVerification, a verification.Activation) {
	if s.config.MaxSegments == 0 || len(*f) > 0 || !a.Verification.Has(verification.SMS) {
		return
	}
	if n := s.config.Segments(a); n > s.config.MaxSegments {
		f.add(longest(request), fmt.Sprintf("makes a text message of %d segments, and at most %d are allowed", n, s.config.MaxSegments))
	}
}

// longest names the part of a request that a text message is long for.
func longest(request api.CreateVerification) string {
	field, length := "channel", 0
	take := func(name, text string) {
		if n := len([]rune(text)); n > length {
			field, length = name, n
		}
	}
	take("brand", request.Brand)
	if c := request.Context; c != nil {
		take("context/action", c.Action)
		take("context/place", c.Place)
		bound := ""
		for _, one := range c.Fields {
			bound += one.Label + one.Value
		}
		take("context/fields", bound)
	}
	return field
}
