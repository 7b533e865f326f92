package callbacks

import (
	"context"
	"crypto/ecdsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
)

const (
	sendgrid   = "sendgrid"
	kindEvents = "event"

	signatureHeader = "X-Twilio-Email-Event-Webhook-Signature"
	timestampHeader = "X-Twilio-Email-Event-Webhook-Timestamp"

	// keepsRetrying is how long SendGrid repeats a batch that was not taken; an event's own time
	// further back is not believed.
	keepsRetrying = 24 * time.Hour
)

// mailEvent is one element of a batch, with the custom arguments that the worker put on the mail.
type mailEvent struct {
	Event     string      `json:"event"`
	Email     string      `json:"email"`
	EventID   string      `json:"sg_event_id"`
	MessageID string      `json:"sg_message_id"`
	Timestamp json.Number `json:"timestamp"`
	Type      string      `json:"type"`   // of a bounce: bounce or blocked
	Reason    string      `json:"reason"` // free text; read, never kept
	Status    string      `json:"status"`

	VerificationID string      `json:"verification_id"`
	Step           json.Number `json:"step"` // takes "1" and 1 alike
	Send           json.Number `json:"send"`
	Attempt        json.Number `json:"attempt"`
}

func (h *handler) sendGridEvents(w http.ResponseWriter, r *http.Request) {
	if h.SendGridKey == nil {
		h.refuse(w, r, sendgrid, refusedNotConfigured)
		return
	}
	body, refusal := readBody(w, r, maxBatch)
	if refusal == "" {
		refusal = h.checkBatch(r.Header, body)
	}
	if refusal != "" {
		h.refuse(w, r, sendgrid, refusal)
		return
	}
	var batch []json.RawMessage
	if err := json.Unmarshal(body, &batch); err != nil {
		h.refuse(w, r, sendgrid, refusedMalformed)
		return
	}
	for _, raw := range batch {
		var e mailEvent
		if err := json.Unmarshal(raw, &e); err != nil {
			h.count(sendgrid, kindEvents, resultGarbage) // one bad element must not lose the others
			continue
		}
		result, err := h.mail(r.Context(), e)
		if err != nil {
			// SendGrid sends the whole batch again; what was published is dropped by its event id.
			h.unavailable(w, r, sendgrid, kindEvents, e.VerificationID, err)
			return
		}
		h.count(sendgrid, kindEvents, result)
	}
	w.WriteHeader(http.StatusNoContent)
}

// checkBatch names why a batch is not believed, or is empty. The signature covers the timestamp
// and the raw bytes, so it is checked before anything is decoded.
func (h *handler) checkBatch(header http.Header, body []byte) string {
	stamp := header.Get(timestampHeader)
	signature, err := base64.StdEncoding.DecodeString(header.Get(signatureHeader))
	if err != nil || len(signature) == 0 {
		return refusedForged
	}
	signed := sha256.New()
	signed.Write([]byte(stamp))
	signed.Write(body)
	if !ecdsa.VerifyASN1(h.SendGridKey, signed.Sum(nil), signature) {
		return refusedForged
	}
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if err != nil {
		return refusedMalformed
	}
	if h.Now().Sub(time.Unix(seconds, 0)).Abs() > h.SendGridMaxAge {
		return refusedStale
	}
	return ""
}

// mail publishes one event, if it says something new. An error is worth a repetition.
func (h *handler) mail(ctx context.Context, e mailEvent) (result string, err error) {
	if err := h.mailbox(ctx, e); err != nil {
		return "", err
	}
	f := mailFate(e)
	if f.status == "" {
		return resultIgnored, nil
	}
	if !plainToken(e.EventID) {
		return resultGarbage, nil
	}
	messageID, _, _ := strings.Cut(e.MessageID, ".") // the part that the send call was answered with
	if !plainToken(messageID) {
		messageID = ""
	}
	n, ok := readName(e.VerificationID, e.Step.String(), e.Send.String(), e.Attempt.String())
	if !ok {
		return resultUnknown, nil
	}
	return h.settle(ctx, receipt{
		provider: sendgrid, name: n, channel: events.Email, providerID: messageID,
		eventID: sendgrid + ":" + e.EventID, fate: f, at: h.happened(e),
	})
}

// happened is the event's own time where that can be true, else now.
func (h *handler) happened(e mailEvent) time.Time {
	now := h.Now().UTC()
	seconds, err := e.Timestamp.Int64()
	if err != nil {
		return now
	}
	// SendGrid cuts to whole seconds; the end of the second keeps the event after the call it follows.
	at := time.Unix(seconds, int64(999*time.Millisecond)).UTC()
	if at.After(now) || now.Sub(at) > keepsRetrying {
		return now
	}
	return at
}
