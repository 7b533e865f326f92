package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

const (
	maxCounter = 1<<31 - 1
	maxNonce   = 64
)

// CountPhone notes how far a phone has counted, and refuses one whose key is in use elsewhere.
func (s *Server) CountPhone(w http.ResponseWriter, r *http.Request, id contract.DeviceID, _ contract.CountPhoneParams) {
	phone, err := readSigned[api.CountPhone](s, w, r, id, device.Count)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, f := phone.asks, phone.faults
	if request.Counter < 1 || request.Counter > maxCounter {
		f.add("counter", "must be a whole number from 1 to "+strconv.Itoa(maxCounter))
	}
	if len(request.Nonce) > maxNonce || !visibleASCII(request.Nonce) {
		f.add("nonce", fmt.Sprintf("must be at most %d visible ASCII characters", maxNonce))
	}
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	err = s.config.Phones.Count(r.Context(), phone.by, device.Counter{Number: int64(request.Counter), Nonce: request.Nonce, At: phone.at.UTC()})
	switch {
	case errors.Is(err, enrolment.ErrCopied):
		err = s.copied(r.Context(), phone.by)
	case errors.Is(err, verification.ErrNotFound), errors.Is(err, enrolment.ErrStale):
		err = badPhone()
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("count phone: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// copied tells the audit log, once a day, and is what the phone is told.
func (s *Server) copied(ctx context.Context, d device.Device) error {
	_, err := s.config.Audit.RecordOnce(ctx, audit.Entry{
		EventID: d.ID + "-" + s.config.Now().UTC().Format("20060102"), Account: d.Credential, Actor: audit.Person, Action: audit.DeviceCopied,
		Subject: d.ID, UserID: d.UserID, At: s.config.Now().UTC(),
	})
	if err != nil {
		return fmt.Errorf("audit %s: %w", audit.DeviceCopied, err)
	}
	return &refusal{code: api.ProblemCodeDeviceCopied, detail: "Another phone with this key has counted further. Join again with a new activation code."}
}
