package httpapi

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

const (
	maxNumber = 4 // digits
	// maxSkew is how far a phone's clock may be off.
	maxSkew = 5 * time.Minute
)

// RespondToVerification takes the signed answer of a push device. The signature is the credential,
// so nothing about the verification is told before it is checked.
func (s *Server) RespondToVerification(w http.ResponseWriter, r *http.Request, id contract.VerificationID) {
	answer, signature, answeredAt, err := s.readAnswer(w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v, err := s.find(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	signed, err := s.verifyAnswer(r.Context(), v, answer, signature)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	now := s.config.Now()
	if off := now.Sub(answeredAt).Abs(); off > maxSkew || answeredAt.Before(v.CreatedAt.Add(-device.Earliest)) {
		s.fail(w, r, invalid(faults{{
			Pointer: "#/answered_at", Detail: "must be within five minutes of the server's time, and not before the question",
		}}))
		return
	}
	if v.Status.Closed() {
		s.fail(w, r, closed(v))
		return
	}
	response, err := s.pushResponse(r.Context(), v, answer, signed, signature, now)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.config.Responses.Respond(r.Context(), response); err != nil {
		s.fail(w, r, fmt.Errorf("publish response: %w", err))
		return
	}
	w.Header().Set("Location", "/v1/verifications/"+v.ID)
	writeJSON(w, http.StatusAccepted, api.ReceivedAnswer{ID: v.ID, Status: api.Status(v.Status)})
}

// pushResponse is the event that a signed answer becomes. The same answer sent twice is one event, and one
// with another number is another. A number stands in it as its keyed hash, and as the digest that was signed.
func (s *Server) pushResponse(
	ctx context.Context, v verification.Verification, answer api.PushAnswer, signed device.Answer, signature []byte, now time.Time,
) (events.ResponseReceived, error) {
	digest := sha256.Sum256([]byte(signed.SignedText()))
	e := events.ResponseReceived{
		Version: events.Version, EventID: "push-" + v.ID + "-" + hex.EncodeToString(digest[:16]),
		ID: v.ID, Kind: events.ResponsePush, Decision: events.Decision(signed.Decision),
		Evidence: signed.DeviceID, ReceivedAt: now.UTC(),
		Proof: &events.Proof{
			DeviceID: signed.DeviceID, Decision: events.Decision(signed.Decision), NumberDigest: signed.NumberDigest,
			AnsweredAt: signed.AnsweredAt, Signature: signature,
		},
	}
	if v.Challenge != verification.ApprovalChallenge {
		return e, &refusal{
			code: api.ProblemCodeWrongChallenge, detail: "It asked for the challenge " + string(v.Challenge) + "; there is nothing to answer on the phone.",
		}
	}
	if v.NumberLength == 0 || e.Decision != events.Approve {
		return e, nil
	}
	// A slip of the finger is not one of the few numbers that may be tried.
	if len(answer.Number) != v.NumberLength {
		return e, invalid(faults{{
			Pointer: "#/number", Detail: fmt.Sprintf("is required with approve: the number on the other screen, of %s", digits(v.NumberLength)),
		}})
	}
	var err error
	if e.Number, err = s.config.Verifications.NumberHash(ctx, v.ID, answer.Number); err != nil {
		return e, fmt.Errorf("hash number: %w", err)
	}
	return e, nil
}

func digits(n int) string {
	if n == 1 {
		return "one digit"
	}
	return strconv.Itoa(n) + " digits"
}

// readAnswer reads the body of a push answer.
func (s *Server) readAnswer(w http.ResponseWriter, r *http.Request) (answer api.PushAnswer, signature []byte, at time.Time, err error) {
	answer, _, f, err := decode[api.PushAnswer](s.shapes, w, r)
	if err != nil {
		return answer, nil, at, err
	}
	if !answer.Decision.Valid() {
		f.add("decision", "must be approve, deny or not_me")
	}
	if !f.has("number") && (strings.Trim(answer.Number, "0123456789") != "" || len(answer.Number) > maxNumber) {
		f.add("number", "must be one to four digits")
	}
	signature, err = decodeSignature(answer.Signature)
	if err != nil {
		f.add("signature", "must be a P-256 signature in unpadded base64url")
	}
	at, err = time.Parse(time.RFC3339, answer.AnsweredAt)
	if err != nil || len(answer.AnsweredAt) > device.LongestTime {
		f.add("answered_at", "must be a time in RFC 3339, such as 2026-11-21T10:05:02Z")
	}
	return answer, signature, at, invalid(f)
}

// verifyAnswer checks that the device that was asked has signed this answer to this question.
func (s *Server) verifyAnswer(ctx context.Context, v verification.Verification, answer api.PushAnswer, signature []byte) (device.Answer, error) {
	var none device.Answer
	if !v.Asks(verification.Push, answer.DeviceID) {
		return none, device.ErrSignature
	}
	key, err := s.config.Verifications.PushKey(ctx, v.ID, answer.DeviceID)
	if err != nil {
		return none, fmt.Errorf("read key of device: %w", err)
	}
	salt, err := s.config.Verifications.NumberSalt(ctx, v.ID)
	if err != nil {
		return none, fmt.Errorf("read salt of number: %w", err)
	}
	shown, err := shownContext(v)
	if err != nil {
		return none, err
	}
	signed := device.Answer{
		VerificationID: v.ID, DeviceID: answer.DeviceID, Decision: string(answer.Decision),
		NumberDigest: device.NumberDigest(salt, answer.Number), AnsweredAt: answer.AnsweredAt, Context: shown,
	}
	if err := signed.Verify(key, signature); err != nil {
		return none, fmt.Errorf("verify answer: %w", err)
	}
	// Its key is good, but a device that was removed, or got another key since, speaks for nobody: it may have been stolen.
	d, err := s.device(ctx, v.Credential, answer.DeviceID)
	if errors.Is(err, verification.ErrNotFound) || err == nil && !bytes.Equal(d.PublicKey, key) {
		return none, device.ErrSignature
	}
	return signed, err
}
