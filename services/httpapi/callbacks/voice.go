package callbacks

import (
	"errors"
	"io"
	"net/http"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// voiceCode reads the code out after a key press, so that no voicemail ever gets it.
func (h *handler) voiceCode(w http.ResponseWriter, r *http.Request, _ form) {
	id := r.PathValue("id")
	if !plainID(id) {
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
		err == nil && (v.Channel != verification.Voice || v.Challenge != verification.CodeChallenge):
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

// voiceAnswer takes the key that answers an approval by phone.
func (h *handler) voiceAnswer(w http.ResponseWriter, r *http.Request, f form) {
	id, call := r.PathValue("id"), f.Get("CallSid")
	if !plainToken(call) {
		h.refuse(w, r, twilio, refusedMalformed)
		return
	}
	v, err := h.find(r.Context(), id)
	switch {
	case errors.Is(err, verification.ErrNotFound),
		err == nil && (v.Channel != verification.Voice || v.Challenge != verification.ApprovalChallenge):
		h.goodbye(w, r, v, resultUnknown)
		return
	case err != nil:
		h.unavailable(w, r, twilio, kindVoice, id, err)
		return
	case v.Status.Closed():
		h.goodbye(w, r, v, resultClosed)
		return
	}
	decision, ok := decisionOf(f.Get("Digits"))
	if !ok {
		script, err := h.Scripts.Retry(v)
		h.say(w, r, id, resultUnclear, script, err)
		return
	}
	err = h.Responses.Respond(r.Context(), events.ResponseReceived{
		Version: events.Version, EventID: twilio + ":" + call + ":" + string(decision), ID: id,
		Kind: events.ResponseVoice, Decision: decision, Evidence: call, ReceivedAt: h.Now().UTC(),
	})
	if err != nil {
		h.unavailable(w, r, twilio, kindVoice, id, err)
		return
	}
	h.Log.InfoContext(r.Context(), "answered by key press", "verification_id", id, "channel", string(events.Voice),
		"provider", twilio, "decision", string(decision))
	script, err := h.Scripts.Answer(v.Locale, v.Brand, decision)
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
