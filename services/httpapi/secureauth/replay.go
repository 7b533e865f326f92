package secureauth

import (
	"encoding/hex"
	"net/http"
	"time"
)

// signedKind is the kind of tickets that say that a signature was used.
const signedKind = "sa_signed"

// clocksDiffer is what the clocks of two api processes may be apart.
const clocksDiffer = time.Minute

// once refuses a signed change that was made before, in any process. Asking again is no change: clients
// repeat a GET whose answer they did not get.
func (s *Server) once(c *call, k claim) error {
	switch c.r.Method {
	case http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete:
	default:
		return nil
	}
	// A date may lie the window ahead, and is good until it lies the window behind.
	life := 2*s.config.ClockWindow + clocksDiffer
	first, err := s.config.Tickets.Once(c.ctx(), signedKind, hex.EncodeToString(k.sum), life)
	if err != nil {
		return err //nolint:wrapcheck // faultFor knows it
	}
	if !first {
		return unauthorized("This signature was used before. Sign every request anew, with a date of its own.")
	}
	return nil
}
