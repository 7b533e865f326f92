package callbacks

import (
	"net/http"
	"net/url"
	"strings"

	"github.com/assent-io/assent/events"
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
	if err := h.stopped(r.Context(), f); err != nil {
		h.unavailable(w, r, twilio, kindSMS, "", err)
		return
	}
	h.twilioReceipt(w, r, kindSMS, receipt{
		channel: events.SMS, providerID: f.Get("MessageSid"), fate: smsFate(f.Get("MessageStatus"), f.Get("ErrorCode")),
	})
}

func (h *handler) callStatus(w http.ResponseWriter, r *http.Request, f form) {
	h.twilioReceipt(w, r, kindCall, receipt{
		channel: events.Voice, providerID: f.Get("CallSid"),
		fate: callFate(f.Get("CallStatus"), f.Get("ErrorCode"), f.Get("SipResponseCode")),
	})
}

func (h *handler) twilioReceipt(w http.ResponseWriter, r *http.Request, kind string, c receipt) {
	if c.fate.status == "" {
		h.count(twilio, kind, resultIgnored)
		w.WriteHeader(http.StatusNoContent)
		return
	}
	if !plainToken(c.providerID) {
		h.refuse(w, r, twilio, refusedMalformed)
		return
	}
	c.provider, c.at = twilio, h.Now().UTC()
	c.eventID = twilio + ":" + c.providerID + ":" + c.fate.status
	h.heard(w, r, kind, c)
}

// heard settles the receipt about the message that the path names, and answers.
func (h *handler) heard(w http.ResponseWriter, r *http.Request, kind string, c receipt) {
	var ok bool
	result := resultUnknown
	c.name, ok = readName(r.PathValue("id"), r.PathValue("step"), r.PathValue("send"), r.PathValue("attempt"))
	if ok {
		var err error
		if result, err = h.settle(r.Context(), c); err != nil {
			h.unavailable(w, r, c.provider, kind, c.name.id, err)
			return
		}
	}
	h.count(c.provider, kind, result)
	w.WriteHeader(http.StatusNoContent)
}
