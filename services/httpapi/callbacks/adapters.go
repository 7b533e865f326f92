package callbacks

import (
	"encoding/json"
	"errors"
	"net/http"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/webhook"
)

// adapters stands in metrics for a name that no adapter has.
const (
	adapters    = "adapter"
	kindReceipt = "receipt"
)

// adapterReceipt is what an adapter says of a message: docs/adapters.md is the contract.
type adapterReceipt struct {
	MessageID string `json:"message_id"`
	ID        string `json:"id"`
	Status    string `json:"status"`
	Reason    string `json:"reason"`
	Detail    string `json:"detail"`
}

func (h *handler) adapterReceipt(w http.ResponseWriter, r *http.Request) {
	adapter := r.PathValue("name")
	key, ok := h.Adapters[adapter]
	if !ok {
		h.refuse(w, r, adapters, refusedUnknown)
		return
	}
	body, refusal := readBody(w, r, maxReceipt)
	if refusal == "" {
		refusal = h.checkReceipt(key, r.Header, body)
	}
	if refusal != "" {
		h.refuse(w, r, adapter, refusal)
		return
	}
	var said adapterReceipt
	if json.Unmarshal(body, &said) != nil {
		h.refuse(w, r, adapter, refusedMalformed)
		return
	}
	f, ok := adapterFate(said)
	if !ok || !plainToken(said.ID) {
		h.refuse(w, r, adapter, refusedMalformed)
		return
	}
	// The signature covers the body, not the path: what was recorded of one message must not pass for another.
	if message := r.PathValue("id") + "-" + r.PathValue("step") + "-" + r.PathValue("send"); said.MessageID != message {
		h.refuse(w, r, adapter, refusedForged)
		return
	}
	h.heard(w, r, kindReceipt, receipt{
		provider: adapter, providerID: said.ID, fate: f, guarded: true, at: h.Now().UTC(),
		eventID: adapter + ":" + said.MessageID + "-" + r.PathValue("attempt") + ":" + f.status,
	})
}

// checkReceipt names why a receipt is not believed, or is empty.
func (h *handler) checkReceipt(key webhook.Key, header http.Header, body []byte) string {
	switch err := key.Verify(header, body, h.Now()); {
	case err == nil:
		return ""
	case errors.Is(err, webhook.ErrStale):
		return refusedStale
	default:
		return refusedForged
	}
}

// adapterFate reads an adapter's words, which are ours; false for one that is not.
func adapterFate(r adapterReceipt) (fate, bool) {
	f := fate{status: r.Status}
	if plainToken(r.Detail) && len(r.Detail) <= 32 {
		f.detail = r.Detail
	}
	switch r.Status {
	case events.DeliverySent, events.DeliveryDelivered, events.DeliveryUnanswered, events.DeliveryExpired:
		return f, true
	case events.DeliveryFailed:
	default:
		return f, false
	}
	switch r.Reason {
	case "":
		f.reason = events.ReasonUndeliverable
	case events.ReasonUndeliverable, events.ReasonUnsubscribed, events.ReasonRegionBlocked, events.ReasonMessageRefused:
		f.reason = r.Reason
	default:
		return f, false
	}
	return f, true
}
