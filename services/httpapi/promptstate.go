package httpapi

import (
	"errors"
	"net/http"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// GetPromptState tells a phone how a question that it was asked stands, and waits for that to change where the phone
// knows how it stood.
func (s *Server) GetPromptState(
	w http.ResponseWriter, r *http.Request, id contract.DeviceID, verificationID string, params contract.GetPromptStateParams,
) {
	d, err := s.phone(r, id)
	if err == nil && (params.Wait < 0 || params.Wait > maxWait) {
		err = invalid(faults{{Parameter: "wait", Detail: waitRule}})
	}
	var q *query
	if err == nil {
		q, err = s.readPrompt(w, r, d, verificationID, params)
	}
	if err == nil && q.parks {
		err = s.await(w, r, q)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", etag(*q.v))
	if params.IfNoneMatch != "" && matches(params.IfNoneMatch, *q.v) {
		w.WriteHeader(http.StatusNotModified)
		return
	}
	writeJSON(w, http.StatusOK, promptStateWire(*q.v, d))
}

// readPrompt is the look of a phone at a question of its own. To all others there is none.
func (s *Server) readPrompt(
	w http.ResponseWriter, r *http.Request, d device.Device, id string, params contract.GetPromptStateParams,
) (*query, error) {
	v, err := s.find(w, r, id)
	if err == nil && (v.Credential != d.Credential || v.Challenge != verification.ApprovalChallenge || !v.Asks(verification.Push, d.ID)) {
		err = verification.ErrNotFound
	}
	if errors.Is(err, verification.ErrNotFound) {
		return nil, &refusal{code: api.ProblemCodeNotFound, detail: "This phone was not asked such a question, or it is past its keeping."}
	}
	if err != nil {
		return nil, err
	}
	q := &query{v: &v, wait: time.Duration(params.Wait) * time.Second}
	if params.IfNoneMatch != "" && matches(params.IfNoneMatch, v) {
		q.known = revision(v)
	}
	q.parks = q.wait > 0 && q.known != "" && !v.Status.Closed()
	return q, nil
}

func promptStateWire(v verification.Verification, d device.Device) api.PromptState {
	out := api.PromptState{
		VerificationID: v.ID, Status: api.Status(v.Status), Reason: string(v.Reason),
		AnsweredHere: v.Proof != nil && v.Proof.DeviceID == d.ID, ChecksLeft: numbersLeft(v),
	}
	if !v.ClosedAt.IsZero() {
		at := v.ClosedAt.UTC()
		out.ClosedAt = &at
	}
	return out
}

// numbersLeft is how many numbers may be tried; nil where none is asked for.
func numbersLeft(v verification.Verification) *int {
	if v.NumberLength == 0 {
		return nil
	}
	left := 0
	if !v.Status.Closed() {
		left = max(0, v.MaxChecks-v.ChecksUsed)
	}
	return &left
}
