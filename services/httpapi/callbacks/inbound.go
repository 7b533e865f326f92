package callbacks

import (
	"context"
	"net/http"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// noReply tells Twilio to send nothing back.
const noReply = `<?xml version="1.0" encoding="UTF-8"?><Response/>`

// inbound takes a text message from a person. STOP and its like end all messages to their number, and START lets
// them through again. Any other answers the newest open approval that was sent
// to their number: with a word, or with the number to match where it asks for one. A message that is no such
// answer, or comes when nothing is open, changes nothing.
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
	said := h.read(f.Get("Body"))
	if said == (reply{}) {
		h.count(twilio, kindInbound, resultUnclear)
		twiML(w, noReply)
		return
	}
	h.answered(w, r, message, from, said)
}

// reply is what a text message may mean: a decision, or a number, which approves where it is asked for.
type reply struct {
	decision events.Decision
	digits   string
}

func (h *handler) read(body string) reply {
	if decision, ok := h.Decision(body); ok {
		return reply{decision: decision}
	}
	digits, _ := h.Number(body)
	return reply{digits: digits}
}

// to is the decision that a reply is on one verification. A yes where a number is asked for, a number where none is,
// and one of another length decide nothing.
func (p reply) to(v verification.Verification) (events.Decision, bool) {
	switch {
	case p.digits != "":
		return events.Approve, v.NumberLength > 0 && len(p.digits) == v.NumberLength
	case p.decision == events.Approve:
		return p.decision, v.NumberLength == 0
	default:
		return p.decision, true
	}
}

// answered publishes a reply that may decide something.
func (h *handler) answered(w http.ResponseWriter, r *http.Request, message, from string, said reply) {
	v, found, err := h.asked(r.Context(), from)
	if err != nil {
		h.unavailable(w, r, twilio, kindInbound, v.ID, err)
		return
	}
	decision, decides := said.to(v)
	if found && !decides {
		h.count(twilio, kindInbound, resultUnclear)
		twiML(w, noReply)
		return
	}
	if found {
		if found, err = h.bind(r.Context(), message, v.ID); err != nil {
			h.unavailable(w, r, twilio, kindInbound, v.ID, err)
			return
		}
	}
	if !found {
		h.count(twilio, kindInbound, resultUnknown)
		twiML(w, noReply)
		return
	}
	answer := events.ResponseReceived{
		Version: events.Version, EventID: twilio + ":" + message, ID: v.ID,
		Kind: events.ResponseSMS, Decision: decision, Evidence: message, ReceivedAt: h.Now().UTC(),
	}
	if said.digits != "" {
		err = h.number(r.Context(), &answer, said.digits)
	}
	if err == nil {
		err = h.Responses.Respond(r.Context(), answer)
	}
	if err != nil {
		h.unavailable(w, r, twilio, kindInbound, v.ID, err)
		return
	}
	h.count(twilio, kindInbound, resultPublished)
	h.Log.InfoContext(r.Context(), "answered by text", "verification_id", v.ID, "channel", string(events.SMS),
		"provider", twilio, "decision", string(decision))
	twiML(w, noReply)
}

// asked is the verification that a message from this number answers: the newest that is open.
func (h *handler) asked(ctx context.Context, from string) (verification.Verification, bool, error) {
	open, err := h.Verifications.OpenApprovals(ctx, from)
	if err != nil {
		return verification.Verification{}, false, err
	}
	for _, v := range open {
		v = v.At(h.Now())
		if !v.Status.Closed() && v.Has(verification.SMS) && v.Challenge == verification.ApprovalChallenge {
			return v, true, nil
		}
	}
	return verification.Verification{}, false, nil
}

// bind tells whether a message answers this verification: false where it answered another before.
func (h *handler) bind(ctx context.Context, message, id string) (bool, error) {
	if h.Replies == nil {
		return true, nil
	}
	bound, err := h.Replies.Bind(ctx, message, id)
	return bound == id, err
}

func phoneNumber(s string) bool {
	number, plus := strings.CutPrefix(s, "+")
	return plus && len(number) >= 5 && len(number) <= 15 && strings.Trim(number, "0123456789") == ""
}
