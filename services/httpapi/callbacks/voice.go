package callbacks

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

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
		script, err := h.Scripts.Code(v, code.Reveal())
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

// pressedOn reads keys: one for a plain approval; for one with a number to match its digits, a
// star, which refuses, or a single 0, which says that it was somebody else. False for what means nothing there.
func pressedOn(v verification.Verification, keys string) (pressed, bool) {
	switch {
	case v.NumberLength == 0:
		d, ok := decisionOf(keys)
		return pressed{decision: d}, ok
	case keys != "" && strings.Trim(keys, "*") == "":
		return pressed{decision: events.Deny}, true
	case keys == "0" && v.NumberLength > 1:
		return pressed{decision: events.NotMe}, true
	default:
		number := len(keys) == v.NumberLength && strings.Trim(keys, "0123456789") == ""
		return pressed{decision: events.Approve, digits: keys}, number
	}
}

// response is the event that an answer becomes. Equal answers to one question of a call are one event, because
// Twilio may repeat them; other digits, and the same ones when the call asked again, are another try.
func (h *handler) response(ctx context.Context, id, call, try string, p pressed) (events.ResponseReceived, error) {
	r := events.ResponseReceived{
		Version: events.Version, EventID: twilio + ":" + call + ":" + string(p.decision), ID: id,
		Kind: events.ResponseVoice, Decision: p.decision, Evidence: call, ReceivedAt: h.Now().UTC(),
	}
	if p.digits == "" {
		return r, nil
	}
	if try != "" {
		r.EventID += ":" + try
	}
	return r, h.number(ctx, &r, p.digits)
}

// number puts the digits of an approval into its event, as their keyed hash only, in the event's id too.
func (h *handler) number(ctx context.Context, r *events.ResponseReceived, digits string) error {
	hash, err := h.Verifications.NumberHash(ctx, r.ID, digits)
	if err != nil {
		return fmt.Errorf("hash number: %w", err)
	}
	r.Number = hash
	r.EventID += ":" + hex.EncodeToString(hash)
	return nil
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
	try := tryOf(r)
	keys, ok := pressedOn(v, f.Get("Digits"))
	if !ok {
		script, err := h.Scripts.Retry(v, try)
		h.say(w, r, id, resultUnclear, script, err)
		return
	}
	answer, err := h.response(r.Context(), id, call, try, keys)
	if err == nil {
		err = h.Responses.Respond(r.Context(), answer)
	}
	if err != nil {
		h.unavailable(w, r, twilio, kindVoice, id, err)
		return
	}
	h.Log.InfoContext(r.Context(), "answered by key press", "verification_id", id, "channel", string(events.Voice),
		"provider", twilio, "decision", string(keys.decision))
	script, err := h.heardBack(r.Context(), v, keys)
	h.say(w, r, id, resultPublished, script, err)
}

// tryOf is which question of a call was answered, as the address says that Mismatch gave; empty for the first.
func tryOf(r *http.Request) string {
	n, err := strconv.Atoi(r.URL.Query().Get("try"))
	if err != nil || n < 2 || n > verification.MaxChecks {
		return ""
	}
	return strconv.Itoa(n)
}

// verdictWithin is how long a call waits to hear whether its number was right. Twilio gives up after 15 seconds.
const verdictWithin = 2 * time.Second

// heardBack is what a call says to an answer. A number is compared by the verifier, which the call waits for: it
// tells whether the number was right, and asks again where one more may be tried. Where that takes too long, it says
// no more than that the answer arrived.
func (h *handler) heardBack(ctx context.Context, before verification.Verification, keys pressed) (string, error) {
	if keys.digits == "" {
		return h.Scripts.Answer(before.Locale, before.Brand, keys.decision)
	}
	ctx, cancel := context.WithTimeout(ctx, verdictWithin)
	defer cancel()
	v := before
	for ctx.Err() == nil && !v.Status.Closed() && v.ChecksUsed <= before.ChecksUsed {
		changed, err := h.Verifications.Await(ctx, v.ID, v.Revision)
		if err != nil {
			h.Log.WarnContext(ctx, "call not told what came of its number", "verification_id", before.ID, "err", err)
			break
		}
		v = *changed
	}
	switch {
	case v.Status == verification.Approved, v.Reason == verification.WrongNumber:
		return h.Scripts.Compared(v.Locale, v.Status == verification.Approved)
	case v.Status.Closed():
		return h.Scripts.Goodbye(v.Locale)
	case v.Status == verification.Pending && v.ChecksUsed > before.ChecksUsed:
		return h.Scripts.Mismatch(v, strconv.Itoa(v.ChecksUsed+1))
	default:
		return h.Scripts.Answer(before.Locale, before.Brand, "")
	}
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
