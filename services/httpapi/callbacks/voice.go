package callbacks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// voiceCode reads the code out after a key press, so that no voicemail ever gets it.
func (h *handler) voiceCode(w http.ResponseWriter, r *http.Request, _ form) {
	id := r.PathValue("id")
	if !events.ValidID(id) {
		h.goodbye(w, r, verification.Verification{}, resultUnknown)
		return
	}
	v, code, err := h.Verifications.Code(r.Context(), id)
	v = v.At(h.Now())
	switch {
	case errors.Is(err, verification.ErrNotFound):
		h.goodbye(w, r, v, resultUnknown)
	case errors.Is(err, verification.ErrClosed), err == nil && v.Status.Closed():
		h.goodbye(w, r, v, resultClosed)
	case errors.Is(err, verification.ErrChallenge),
		err == nil && (!v.Has(verification.Voice) || v.Challenge != verification.CodeChallenge):
		h.goodbye(w, r, v, resultUnknown)
	case err != nil:
		h.unavailable(w, r, twilio, kindVoice, id, err)
	default:
		script, err := h.Scripts.Code(v.Locale, v.Brand, code.Reveal())
		h.say(w, r, id, resultSpoken, script, err)
	}
}

// decisionOf reads the keys that the approval script offers.
func decisionOf(key string) (events.Decision, bool) {
	switch key {
	case "1":
		return events.Approve, true
	case "2":
		return events.Deny, true
	case "3":
		return events.NotMe, true
	default:
		return "", false
	}
}

// pressed is what somebody answered with the keys of a phone.
type pressed struct {
	decision events.Decision
	digits   string // the number that came with an approval
}

// pressedOn reads keys: one for a plain approval; for one with a number to match its digits, or a
// star, which refuses. False for what means nothing there.
func pressedOn(v verification.Verification, keys string) (pressed, bool) {
	switch {
	case v.NumberLength == 0:
		d, ok := decisionOf(keys)
		return pressed{decision: d}, ok
	case keys != "" && strings.Trim(keys, "*") == "":
		return pressed{decision: events.Deny}, true
	default:
		number := len(keys) == v.NumberLength && strings.Trim(keys, "0123456789") == ""
		return pressed{decision: events.Approve, digits: keys}, number
	}
}

// response is the event that an answer becomes. Equal answers of one call are one event, and other
// digits another: the person may try again where more than one number is compared.
func (h *handler) response(ctx context.Context, id, call string, p pressed) (events.ResponseReceived, error) {
	r := events.ResponseReceived{
		Version: events.Version, EventID: twilio + ":" + call + ":" + string(p.decision), ID: id,
		Kind: events.ResponseVoice, Decision: p.decision, Evidence: call, ReceivedAt: h.Now().UTC(),
	}
	if p.digits == "" {
		return r, nil
	}
	var err error
	if r.Number, err = h.Verifications.NumberHash(ctx, id, p.digits); err != nil {
		return r, fmt.Errorf("hash number of call: %w", err)
	}
	r.EventID += ":" + hex.EncodeToString(r.Number)
	return r, nil
}

// voiceAnswer takes the keys that answer an approval by phone.
func (h *handler) voiceAnswer(w http.ResponseWriter, r *http.Request, f form) {
	id, call := r.PathValue("id"), f.Get("CallSid")
	if !plainToken(call) {
		h.refuse(w, r, twilio, refusedMalformed)
		return
	}
	v, err := h.find(r.Context(), id)
	switch {
	case errors.Is(err, verification.ErrNotFound),
		err == nil && (!v.Has(verification.Voice) || v.Challenge != verification.ApprovalChallenge):
		h.goodbye(w, r, v, resultUnknown)
		return
	case err != nil:
		h.unavailable(w, r, twilio, kindVoice, id, err)
		return
	case v.Status.Closed():
		h.goodbye(w, r, v, resultClosed)
		return
	}
	keys, ok := pressedOn(v, f.Get("Digits"))
	if !ok {
		script, err := h.Scripts.Retry(v)
		h.say(w, r, id, resultUnclear, script, err)
		return
	}
	answer, err := h.response(r.Context(), id, call, keys)
	if err == nil {
		err = h.Responses.Respond(r.Context(), answer)
	}
	if err != nil {
		h.unavailable(w, r, twilio, kindVoice, id, err)
		return
	}
	h.Log.InfoContext(r.Context(), "answered by key press", "verification_id", id, "channel", string(events.Voice),
		"provider", twilio, "decision", string(keys.decision))
	heard := keys.decision
	if keys.digits != "" {
		heard = "" // the verifier compares; the call does not wait for it
	}
	script, err := h.Scripts.Answer(v.Locale, v.Brand, heard)
	h.say(w, r, id, resultPublished, script, err)
}

func (h *handler) goodbye(w http.ResponseWriter, r *http.Request, v verification.Verification, result string) {
	script, err := h.Scripts.Goodbye(v.Locale)
	h.say(w, r, v.ID, result, script, err)
}

func (h *handler) say(w http.ResponseWriter, r *http.Request, id, result, script string, err error) {
	if err != nil {
		h.unavailable(w, r, twilio, kindVoice, id, err)
		return
	}
	h.count(twilio, kindVoice, result)
	twiML(w, script)
}

func twiML(w http.ResponseWriter, script string) {
	w.Header().Set("Content-Type", "text/xml; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.Header().Set("X-Content-Type-Options", "nosniff")
	_, _ = io.WriteString(w, script) // a caller that hung up hears nothing
}
