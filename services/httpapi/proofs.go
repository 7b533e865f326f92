package httpapi

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// Proofs is the archive of signed answers. What belongs to another account is verification.ErrNotFound.
type Proofs interface {
	// Proof is the answer of a phone that closed a verification.
	Proof(ctx context.Context, account, id string) (events.ApprovalProved, error)
	// LastUsed is when a device last closed a verification with its answer; zero where that is not known.
	LastUsed(ctx context.Context, deviceID string) (time.Time, error)
}

// GetApprovalProof shows the signed answer that closed a verification, checked again.
func (s *Server) GetApprovalProof(w http.ResponseWriter, r *http.Request, id contract.VerificationID) {
	client, err := s.authenticate(w, r, credential.Verify, credential.ReadPeople, credential.ReadAudit)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	e, err := s.config.Proofs.Proof(r.Context(), client.Account, id)
	if errors.Is(err, verification.ErrNotFound) {
		err = &refusal{code: api.ProblemCodeNotFound, detail: "No signed answer of a phone is kept for this verification."}
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("read proof: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, proofWire(e))
}

func proofWire(e events.ApprovalProved) api.ApprovalProof {
	outcome := device.Outcome(e.Status)
	if e.Reason == string(verification.WrongNumber) {
		outcome = device.WrongNumber
	}
	checks := device.Proof{
		Answer: device.Answer{
			VerificationID: e.ID, DeviceID: e.DeviceID, Decision: string(e.Decision), NumberDigest: e.NumberDigest,
			AnsweredAt: e.AnsweredAt, Context: e.Context,
		},
		SignedText: e.SignedText, PublicKey: e.PublicKey, Signature: e.Signature, ExpectedDigest: e.ExpectedNumberDigest, Outcome: outcome,
	}.Check()
	return api.ApprovalProof{
		ID: e.ID, Account: e.Account, Status: api.Status(e.Status), Reason: e.Reason, Decision: api.Decision(e.Decision), Brand: e.Brand,
		UserID: e.UserID, DeviceID: e.DeviceID, Platform: api.Platform(e.Platform), Context: e.Context,
		NumberDigest: e.NumberDigest, ExpectedNumberDigest: e.ExpectedNumberDigest, AnsweredAt: e.AnsweredAt, SignedText: e.SignedText,
		Signature: base64.RawURLEncoding.EncodeToString(e.Signature), PublicKey: base64.StdEncoding.EncodeToString(e.PublicKey),
		CreatedAt: e.CreatedAt.UTC(), ClosedAt: e.ClosedAt.UTC(), Valid: checks.Valid(),
		Checks: api.ProofChecks{Signature: checks.Signature, Context: checks.Context, Answer: checks.Answer, Number: checks.Number},
	}
}
