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

// maxPush is what Apple and Google take at most with a push, in bytes.
const maxPush = 4096

// checkPush refuses a request whose push would be larger than the providers take: it could never be sent.
func (s *Server) checkPush(f *faults, request api.CreateVerification, a verification.Activation) {
	if s.config.PushBytes == nil || len(*f) > 0 || !a.Verification.Has(verification.Push) {
		return
	}
	if n := s.config.PushBytes(a); n > maxPush {
		f.add(longest(request), fmt.Sprintf("makes a push of about %d bytes, and phones take at most %d", n, maxPush))
	}
}

// longest names the part of a request that a message is long for.
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
