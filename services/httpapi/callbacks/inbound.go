package callbacks

import (
	"net/http"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// noReply tells Twilio to send nothing back.
const noReply = `<?xml version="1.0" encoding="UTF-8"?><Response/>`

// inbound takes a text message from a person. STOP and its like end all messages to their number, and START lets
// them through again. Any other answers the newest open approval that was sent
// to their number; a message that is no decision, or comes when nothing is open, changes nothing.
func (h *handler) inbound(w http.ResponseWriter, r *http.Request, f form) {
	message, from := f.Get("MessageSid"), f.Get("From")
	if !plainToken(message) || !phoneNumber(from) {
		h.count(twilio, kindInbound, resultGarbage)
		twiML(w, noReply)
		return
	}
	done, err := h.optOut(r, f)
	if err != nil {
		h.unavailable(w, r, twilio, kindInbound, "", err)
		return
	}
	if done {
		h.count(twilio, kindInbound, resultKeyword)
		twiML(w, noReply) // Twilio has answered already
		return
	}
	decision, ok := h.Decision(f.Get("Body"))
	if !ok {
		h.count(twilio, kindInbound, resultUnclear)
		twiML(w, noReply)
		return
	}
	v, found, err := h.asked(r, message, from)
	if err != nil {
		h.unavailable(w, r, twilio, kindInbound, v.ID, err)
		return
	}
	if !found {
		h.count(twilio, kindInbound, resultUnknown)
		twiML(w, noReply)
		return
	}
	err = h.Responses.Respond(r.Context(), events.ResponseReceived{
		Version: events.Version, EventID: twilio + ":" + message, ID: v.ID,
		Kind: events.ResponseSMS, Decision: decision, Evidence: message, ReceivedAt: h.Now().UTC(),
	})
	if err != nil {
		h.unavailable(w, r, twilio, kindInbound, v.ID, err)
		return
	}
	h.count(twilio, kindInbound, resultPublished)
	h.Log.InfoContext(r.Context(), "answered by text", "verification_id", v.ID, "channel", string(events.SMS),
		"provider", twilio, "decision", string(decision))
	twiML(w, noReply)
}

// asked is the verification that a message answers.
func (h *handler) asked(r *http.Request, message, from string) (verification.Verification, bool, error) {
	open, err := h.Verifications.OpenApprovals(r.Context(), from)
	if err != nil {
		return verification.Verification{}, false, err
	}
	for _, v := range open {
		v = v.At(h.Now())
		if v.Status.Closed() || !v.Has(verification.SMS) || v.Challenge != verification.ApprovalChallenge {
			continue
		}
		if h.Replies == nil {
			return v, true, nil
		}
		bound, err := h.Replies.Bind(r.Context(), message, v.ID)
		if err != nil {
			return v, false, err
		}
		return v, bound == v.ID, nil // else: this message answered another question before
	}
	return verification.Verification{}, false, nil
}

func phoneNumber(s string) bool {
	number, plus := strings.CutPrefix(s, "+")
	return plus && len(number) >= 5 && len(number) <= 15 && strings.Trim(number, "0123456789") == ""
}
