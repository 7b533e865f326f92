package httpapi

import (
	"fmt"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/services/verification"
)

// readAutofill checks the form of what a code's last line is made of. Whether the roads have such a line is for
// the domain to say.
func readAutofill(f *faults, request api.CreateVerification) verification.Autofill {
	if s := request.Origin; s != "" && !autofill.ValidOrigin(s) {
		f.add("origin", "must be a host name such as example.com, without scheme, port or path")
	}
	if s := request.AppHash; s != "" && !autofill.ValidAppHash(s) {
		f.add("app_hash", "must be 11 letters, digits, + or /")
	}
	return verification.Autofill{Origin: request.Origin, AppHash: request.AppHash}
}

// checkRoom refuses an app's hash for which no wording leaves room: the code itself, and the last line under it. A
// wording that is too long all the same is found where it is written; there the hash is left out.
func (s *Server) checkRoom(f *faults, a verification.Activation) {
	if a.Autofill.AppHash == "" || len(*f) > 0 {
		return
	}
	code := a.Secrets.Code.Reveal()
	hint := autofill.Hint(a.Autofill).Or(s.config.Autofill)
	if n := len(hint.Under(code, code)); n > autofill.MaxBytes {
		f.add("app_hash", fmt.Sprintf("has no room: the message would have at least %d bytes, and an app gets at most %d", n, autofill.MaxBytes))
	}
}
