package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// ChangePhone stores the new push token of a phone, which signs for it.
func (s *Server) ChangePhone(w http.ResponseWriter, r *http.Request, id contract.DeviceID, _ contract.ChangePhoneParams) {
	phone, err := readSigned[api.ChangePhone](s, w, r, id, device.Change)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, f := phone.asks, phone.faults
	token := readPushToken(&f, api.Platform(phone.by.Platform), given(request.PushToken))
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	err = s.config.Phones.ChangeToken(r.Context(), phone.by, token, phone.at)
	if errors.Is(err, verification.ErrNotFound) || errors.Is(err, enrolment.ErrStale) {
		err = badPhone()
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("change push token: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// ReactivateDevice gives out an activation code for a phone that takes the place of an app install.
func (s *Server) ReactivateDevice(w http.ResponseWriter, r *http.Request, id contract.DeviceID) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d, err := s.device(r.Context(), client.Account, id)
	if err == nil && d.Kind != device.Push {
		err = notAnApp()
	}
	if err == nil {
		err = s.audited(r.Context(), client, audit.Entry{Action: audit.DeviceReactivated, Subject: d.ID, UserID: d.UserID})
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	e, err := s.config.Phones.Renew(r.Context(), client.Account, d.ID)
	switch {
	case errors.Is(err, enrolment.ErrFactor):
		err = notAnApp()
	case errors.Is(err, enrolment.ErrLocked):
		err = invalid(faults{{Parameter: "id", Detail: "must be a device of a user who is not locked or disabled"}})
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("reactivate device: %w", err))
		return
	}
	writeJSON(w, http.StatusCreated, api.DeviceActivation{DeviceID: d.ID, Code: e.JoinCode, URI: e.URI, ExpiresAt: e.ExpiresAt.UTC()})
}

func notAnApp() error {
	return invalid(faults{{Parameter: "id", Detail: "must be a device of the kind push: others have no app that joins"}})
}
