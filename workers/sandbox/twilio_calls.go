package sandbox

import (
	"net/http"
	"slices"
	"strings"

	"github.com/assent-io/assent/events"
)

const maxTwiMLRunes = 4000

func callParams() []string {
	return []string{
		"To", "From", "Method", "FallbackUrl", "FallbackMethod", "StatusCallback", "StatusCallbackEvent", "StatusCallbackMethod",
		"SendDigits", "Timeout", "Record", "RecordingChannels", "RecordingStatusCallback", "RecordingStatusCallbackMethod",
		"SipAuthUsername", "SipAuthPassword", "MachineDetection", "MachineDetectionTimeout", "RecordingStatusCallbackEvent", "Trim",
		"CallerId", "MachineDetectionSpeechThreshold", "MachineDetectionSpeechEndThreshold", "MachineDetectionSilenceTimeout",
		"AsyncAmd", "AsyncAmdStatusCallback", "AsyncAmdStatusCallbackMethod", "Byoc", "CallReason", "CallToken", "RecordingTrack",
		"TimeLimit", "ClientNotificationUrl", "Url", "Twiml", "ApplicationSid",
	}
}

// checkCall refuses what the Calls resource refuses. It is stricter in one thing: inline TwiML
// that cannot be spoken is refused here, where the provider takes it and apologises to the person.
func (s *Sandbox) checkCall(p *params) (to string, script []verb, err *twilioError) {
	if p.err != nil {
		return "", nil, p.err
	}
	to, bad := phoneNumber(p.Get("To"))
	switch {
	case p.Get("To") == "":
		p.fail(badRequest(21201, "No 'To' number is specified"))
	case bad != nil:
		p.fail(badRequest(21211, "The phone number you are attempting to call, %s, is not valid.", p.Get("To")))
	}
	s.sender(p, 21213, 21212, 21210)
	p.callbackURL("Url", 21205)
	p.callbackURL("StatusCallback", 21609)
	p.callbackURL("FallbackUrl", 21205)
	p.integer("Timeout", 5, 600)
	p.integer("TimeLimit", 1, 86400)
	p.integer("MachineDetectionTimeout", 3, 59)
	for _, name := range []string{"Method", "FallbackMethod", "StatusCallbackMethod"} {
		p.oneOf(name, "get", "post")
	}
	p.oneOf("MachineDetection", "enable", "detectmessageend")
	p.oneOf("Record", "true", "false")
	p.oneOf("AsyncAmd", "true", "false")
	for _, e := range p.Values["StatusCallbackEvent"] {
		if !slices.Contains([]string{"initiated", "ringing", "answered", "completed"}, e) {
			p.fail(badRequest(21626, "Invalid StatusCallbackEvent: %s", e))
		}
	}
	twiml := p.Get("Twiml")
	switch {
	case twiml == "" && p.Get("Url") == "":
		p.fail(badRequest(21205, "Url parameter is required."))
	case len([]rune(twiml)) > maxTwiMLRunes:
		p.fail(badRequest(20422, "The 'Twiml' parameter exceeds 4000 characters"))
	case twiml != "":
		if script, bad = parseTwiML([]byte(twiml)); bad != nil {
			p.fail(badRequest(12100, "Document parse failure: %s", bad))
		}
	}
	return to, script, p.err
}

func (s *Sandbox) createCall(w http.ResponseWriter, r *http.Request, body []byte) {
	d := twilioDialect(events.Voice)
	if s.misbehave(w, r, d) {
		return
	}
	p := readForm(r, body, callParams())
	to, script, err := s.checkCall(&p)
	if err != nil {
		err.write(w)
		return
	}
	fate := outcomeOf(events.Voice, to)
	if s.refuseReserved(w, d, fate, to) {
		return
	}
	m := &message{
		channel: events.Voice, provider: providerTwilio, providerID: newSID("CA"), to: to, from: p.Get("From"), status: "queued",
		callState: callRinging, receivedAt: s.now().UTC(), request: recordRequest(r, body),
	}
	m.call = &call{
		s: s, m: m, script: script, scriptURL: p.Get("Url"), method: strings.ToUpper(p.Get("Method")), fate: fate,
		statusCallback: p.Get("StatusCallback"), events: p.Values["StatusCallbackEvent"], detect: p.Has("MachineDetection"),
	}
	if len(m.call.events) == 0 {
		m.call.events = []string{"completed"}
	}
	resource := s.twilioResource(m)
	s.receive(m)
	if !s.calls.place(m.call) {
		s.inbox.change(m, func() { m.status, m.callState, m.complete = "failed", callEnded, true })
		d.throttle(w, 1) // all lines are busy
		return
	}
	writeJSON(w, http.StatusCreated, resource)
}
