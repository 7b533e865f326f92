package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// TryPhone asks a phone a question that means nothing, because it signs for that.
func (s *Server) TryPhone(w http.ResponseWriter, r *http.Request, id contract.DeviceID, _ contract.TryPhoneParams) {
	phone, err := readSigned[api.TryPhone](s, w, r, id, device.Try)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, f := phone.asks, phone.faults
	f.locale("locale", request.Locale)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	v, err := s.config.Phones.Try(r.Context(), phone.by, phone.at, request.Locale)
	if errors.Is(err, verification.ErrNotFound) || errors.Is(err, enrolment.ErrStale) {
		err = badPhone()
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("try phone: %w", err))
		return
	}
	writeJSON(w, http.StatusAccepted, api.ReceivedAnswer{ID: v.ID, Status: api.Status(v.Status)})
}
