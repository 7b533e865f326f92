package sandbox

import (
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/assent-io/assent/events"
)

const maxTextRunes = 1600

func messageParams() []string {
	return []string{
		"To", "From", "MessagingServiceSid", "Body", "StatusCallback", "ApplicationSid", "MaxPrice", "ProvideFeedback", "Attempt",
		"ValidityPeriod", "ForceDelivery", "ContentRetention", "AddressRetention", "SmartEncoded", "PersistentAction", "TrafficType",
		"ShortenUrls", "ScheduleType", "SendAt", "SendAsMms", "ContentVariables", "RiskCheck", "FallbackFrom", "MediaUrl", "ContentSid",
	}
}

// checkMessage refuses what the Messages resource refuses, in its order.
func (s *Sandbox) checkMessage(p *params) (to string, err *twilioError) {
	if p.err != nil {
		return "", p.err
	}
	to, bad := phoneNumber(p.Get("To"))
	switch {
	case p.Get("To") == "":
		p.fail(badRequest(21604, "A 'To' phone number is required."))
	case bad != nil:
		p.fail(badRequest(21211, "The 'To' number %s is not a valid phone number.", p.Get("To")))
	case p.Get("To") == p.Get("From"):
		p.fail(badRequest(21266, "'To' and 'From' number cannot be the same: %s", to))
	}
	p.sid("MessagingServiceSid", 21701, "MG")
	if !p.Has("MessagingServiceSid") || p.Has("From") {
		s.sender(p, 21603, 21212, 21606)
	}
	body := p.Get("Body")
	switch {
	case body == "" && !p.Has("MediaUrl") && !p.Has("ContentSid"):
		p.fail(badRequest(21602, "Message body is required."))
	case !utf8.ValidString(body):
		p.fail(badRequest(21602, "Message body is not valid UTF-8."))
	case utf8.RuneCountInString(body) > maxTextRunes:
		p.fail(badRequest(21617, "The concatenated message body exceeds the 1600 character limit."))
	}
	p.callbackURL("StatusCallback", 21609)
	p.integer("ValidityPeriod", 1, 36000)
	p.integer("Attempt", 1, 1000)
	p.oneOf("ContentRetention", "retain", "discard")
	p.oneOf("AddressRetention", "retain", "obfuscate")
	p.oneOf("RiskCheck", "enable", "disable")
	p.oneOf("TrafficType", "free")
	p.oneOf("ScheduleType", "fixed")
	for _, name := range []string{"ProvideFeedback", "ForceDelivery", "SmartEncoded", "ShortenUrls", "SendAsMms"} {
		p.oneOf(name, "true", "false")
	}
	p.sid("ApplicationSid", 21453, "AP")
	for _, name := range []string{"MediaUrl", "ContentSid", "ScheduleType"} {
		if p.Has(name) {
			p.fail(badRequest(20422, "The sandbox carries plain texts only: '%s' is not supported here", name))
		}
	}
	return to, p.err
}

func (s *Sandbox) createMessage(w http.ResponseWriter, r *http.Request, body []byte) {
	d := twilioDialect(events.SMS)
	if s.misbehave(w, r, d) {
		return
	}
	p := readForm(r, body, messageParams())
	to, err := s.checkMessage(&p)
	if err != nil {
		err.write(w)
		return
	}
	fate := outcomeOf(events.SMS, to)
	if s.refuseReserved(w, d, fate, to) {
		return
	}
	text := p.Get("Body")
	m := &message{
		complete: true, channel: events.SMS, provider: providerTwilio, providerID: newSID("SM"), to: to, from: p.Get("From"),
		text: text, link: s.find.linkIn(text, ""), code: s.find.codeIn(text), status: "queued",
		receivedAt: s.now().UTC(), request: recordRequest(r, body),
	}
	if m.from == "" {
		m.from = s.account.TwilioFrom
	}
	if fate == outcomeUndelivered {
		m.errorCode = 30003
	}
	s.receive(m)
	writeJSON(w, http.StatusCreated, s.twilioResource(m))

	final := map[outcome]string{outcomeUndelivered: "undelivered", outcomeSilent: "sent"}[fate]
	if final == "" {
		final = "delivered"
	}
	s.inbox.change(m, func() { m.status = final })
	target := p.Get("StatusCallback")
	if target == "" {
		return
	}
	steps := []callback{s.messageCallback(m, target, "sent", 0)}
	if final != "sent" {
		steps = append(steps, s.messageCallback(m, target, final, m.errorCode))
	}
	s.callbacks.add(m, steps...)
}

func (s *Sandbox) messageCallback(m *message, target, status string, code int) callback {
	form := url.Values{
		"MessageSid": {m.providerID}, "SmsSid": {m.providerID}, "MessageStatus": {status}, "SmsStatus": {status},
		"To": {m.to}, "From": {m.from}, "AccountSid": {s.account.TwilioAccountSID}, "ApiVersion": {"2010-04-01"},
	}
	if status == "delivered" || status == "undelivered" {
		form.Set("RawDlrDoneDate", s.now().UTC().Format("0601021504"))
	}
	if code != 0 && status != "sent" {
		form.Set("ErrorCode", strconv.Itoa(code))
	}
	header, body := s.signedForm(target, form)
	return callback{name: status, url: target, header: header, body: body}
}

// refuseReserved answers for the reserved numbers whose outcome is a refusal.
func (s *Sandbox) refuseReserved(w http.ResponseWriter, d dialect, fate outcome, to string) bool {
	text := d.channel == events.SMS
	switch {
	case fate == outcomeInvalid:
		badRequest(21211, "The 'To' number %s is not a valid phone number.", to).write(w)
	case fate == outcomeOptedOut && text:
		badRequest(21610, "Attempt to send to unsubscribed recipient").write(w)
	case fate == outcomeBlocked && text:
		badRequest(21408, "Permission to send an SMS has not been enabled for the region indicated by the 'To' number: %s.", to).write(w)
	case fate == outcomeBlocked:
		badRequest(21215, "Account not authorized to call %s. Perhaps you need to enable some international permissions.", to).write(w)
	case fate == outcomeLandline && text:
		badRequest(21614, "'To' number %s is not a valid mobile number", to).write(w)
	case fate == outcomeOnce && s.throttled.first(string(d.channel)+to):
		d.throttle(w, 1)
	case fate == outcomeThrottled:
		d.throttle(w, 0)
	case fate == outcomeUnavailable:
		writeUnavailable(w)
	default:
		return false
	}
	return true
}

// segments counts the parts of a text as a phone network bills them; only whether all
// characters are in the GSM alphabet's ASCII part is looked at.
func segments(text string) int {
	alone, part, n := 160, 153, len(text)
	if strings.IndexFunc(text, func(r rune) bool { return r > 126 || r == '`' }) >= 0 {
		alone, part, n = 70, 67, len(utf16.Encode([]rune(text)))
	}
	if n <= alone {
		return 1
	}
	return (n + part - 1) / part
}
