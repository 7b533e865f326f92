package callbacks

import (
	"errors"
	"net/http"
	"net/url"
	"strconv"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

const twilio = "twilio"

// The kinds of Twilio's callbacks.
const (
	kindSMS     = "sms"
	kindCall    = "call"
	kindVoice   = "voice"
	kindInbound = "inbound"
)

// form is an authenticated Twilio form. Where a key is repeated only its first value is signed,
// and that is the only one that Get returns.
type form struct{ url.Values }

// fromTwilio hands on only what Twilio signed with our account's token. The signature has no
// time, so whatever follows must bear being told twice.
func (h *handler) fromTwilio(next func(http.ResponseWriter, *http.Request, form)) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		if h.TwilioAuthToken == "" {
			h.refuse(w, r, twilio, refusedNotConfigured)
			return
		}
		body, refusal := readBody(w, r, maxForm)
		if refusal != "" {
			h.refuse(w, r, twilio, refusal)
			return
		}
		values, err := url.ParseQuery(string(body))
		if err != nil {
			h.refuse(w, r, twilio, refusedMalformed)
			return
		}
		// Validate, not ValidateBody: the latter lets a bodySHA256 in the query switch to the rules of
		// JSON callbacks, which none of ours are.
		signed := make(map[string]string, len(values))
		for k := range values {
			signed[k] = values.Get(k)
		}
		if !h.twilio.Validate(h.calledURL(r), signed, r.Header.Get("X-Twilio-Signature")) {
			h.refuse(w, r, twilio, refusedForged)
			return
		}
		next(w, r, form{values})
	}
}

// calledURL is the URL as the provider called it: behind a proxy the host, and a path that the
// public URL starts with, are known from the configuration only.
func (h *handler) calledURL(r *http.Request) string {
	u := strings.TrimSuffix(h.PublicURL(), "/") + r.URL.EscapedPath()
	if r.URL.RawQuery != "" {
		u += "?" + r.URL.RawQuery
	}
	return u
}

func (h *handler) smsStatus(w http.ResponseWriter, r *http.Request, f form) {
	h.settle(w, r, receipt{
		kind: kindSMS, channel: events.SMS, providerID: f.Get("MessageSid"), said: f.Get("MessageStatus"),
		fate: smsFate(f.Get("MessageStatus"), f.Get("ErrorCode")),
	})
}

func (h *handler) callStatus(w http.ResponseWriter, r *http.Request, f form) {
	h.settle(w, r, receipt{
		kind: kindCall, channel: events.Voice, providerID: f.Get("CallSid"), said: f.Get("CallStatus"),
		fate: callFate(f.Get("CallStatus"), f.Get("ErrorCode"), f.Get("SipResponseCode")),
	})
}

// receipt is one status callback, read.
type receipt struct {
	kind       string
	channel    events.Channel
	providerID string
	said       string // Twilio's word for the status
	fate       fate
}

func (h *handler) settle(w http.ResponseWriter, r *http.Request, c receipt) {
	id := r.PathValue("id")
	if c.fate.status == "" {
		h.count(twilio, c.kind, resultIgnored)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if !plainToken(c.providerID) {
		h.refuse(w, r, twilio, refusedMalformed)
		return
	}
	v, err := h.find(r.Context(), id)
	send, numberErr := strconv.Atoi(r.PathValue("send"))
	switch {
	case errors.Is(err, verification.ErrNotFound),
		err == nil && (numberErr != nil || send < 1 || string(v.Channel) != string(c.channel)):
		h.count(twilio, c.kind, resultUnknown)
		w.WriteHeader(http.StatusNoContent)
		return
	case err != nil:
		h.unavailable(w, r, twilio, c.kind, id, err)
		return
	}
	err = h.Deliveries.Settle(r.Context(), events.DeliverySettled{
		Version: events.Version, EventID: twilio + ":" + c.providerID + ":" + c.fate.status, ID: id,
		Channel: c.channel, Send: send, Status: c.fate.status, Provider: twilio, ProviderID: c.providerID,
		Reason: c.fate.reason, Detail: c.fate.detail, At: h.Now().UTC(),
	})
	if err != nil {
		h.unavailable(w, r, twilio, c.kind, id, err)
		return
	}
	h.count(twilio, c.kind, resultPublished)
	h.Log.InfoContext(r.Context(), "delivery reported", "verification_id", id, "channel", string(c.channel),
		"provider", twilio, "status", c.fate.status, "reason", c.fate.reason, "detail", c.fate.detail)
	w.WriteHeader(http.StatusNoContent)
}
