package sandbox

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/mail"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
)

const (
	maxCustomArgs  = 10_000 // bytes in all
	maxCategories  = 10
	maxRecipients  = 1000
	scheduleWithin = 72 * time.Hour
)

// sendGridError is one entry of SendGrid's error body.
type sendGridError struct {
	Message string  `json:"message"`
	Field   *string `json:"field"`
	Help    *string `json:"help"`
}

func writeSendGrid(w http.ResponseWriter, status int, errs ...sendGridError) {
	writeJSON(w, status, map[string]any{"errors": errs})
}

func mailFault(field, format string, args ...any) sendGridError {
	e := sendGridError{Message: fmt.Sprintf(format, args...)}
	if field != "" {
		help := "http://sendgrid.com/docs/API_Reference/Web_API_v3/Mail/errors.html#message." + field
		e.Field, e.Help = &field, &help
	}
	return e
}

func (s *Sandbox) sendGridDialect() dialect {
	return dialect{
		channel: events.Email, provider: providerSendGrid,
		refuse: func(w http.ResponseWriter) {
			writeSendGrid(w, http.StatusBadRequest, mailFault("personalizations.0.to.0.email", "Does not contain a valid address."))
		},
		throttle: func(w http.ResponseWriter, after int) {
			if after > 0 {
				w.Header().Set("X-RateLimit-Limit", "500")
				w.Header().Set("X-RateLimit-Remaining", "0")
				w.Header().Set("X-RateLimit-Reset", strconv.FormatInt(s.now().Add(time.Duration(after)*time.Second).Unix(), 10))
				setRetryAfter(w, after)
			}
			writeSendGrid(w, http.StatusTooManyRequests, sendGridError{Message: "too many requests"})
		},
	}
}

type mailbox struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
}

type personalization struct {
	From                *mailbox          `json:"from"`
	To                  []mailbox         `json:"to"`
	CC                  []mailbox         `json:"cc"`
	BCC                 []mailbox         `json:"bcc"`
	Subject             string            `json:"subject"`
	Headers             map[string]string `json:"headers"`
	Substitutions       map[string]string `json:"substitutions"`
	DynamicTemplateData json.RawMessage   `json:"dynamic_template_data"`
	CustomArgs          map[string]string `json:"custom_args"`
	SendAt              int64             `json:"send_at"`
}

type mailContent struct {
	Type  string `json:"type"`
	Value string `json:"value"`
}

// mailSend is the body of POST /v3/mail/send, with the fields of the published description and no others.
type mailSend struct {
	Personalizations []personalization `json:"personalizations"`
	From             *mailbox          `json:"from"`
	ReplyTo          *mailbox          `json:"reply_to"`
	ReplyToList      []mailbox         `json:"reply_to_list"`
	Subject          string            `json:"subject"`
	Content          []mailContent     `json:"content"`
	Attachments      []struct {
		Content     string `json:"content"`
		Type        string `json:"type"`
		Filename    string `json:"filename"`
		Disposition string `json:"disposition"`
		ContentID   string `json:"content_id"`
	} `json:"attachments"`
	TemplateID string            `json:"template_id"`
	Headers    map[string]string `json:"headers"`
	Categories []string          `json:"categories"`
	CustomArgs map[string]string `json:"custom_args"`
	SendAt     int64             `json:"send_at"`
	BatchID    string            `json:"batch_id"`
	ASM        *struct {
		GroupID         *int  `json:"group_id"`
		GroupsToDisplay []int `json:"groups_to_display"`
	} `json:"asm"`
	IPPoolName   string `json:"ip_pool_name"`
	MailSettings struct {
		BypassListManagement        *toggle `json:"bypass_list_management"`
		BypassSpamManagement        *toggle `json:"bypass_spam_management"`
		BypassBounceManagement      *toggle `json:"bypass_bounce_management"`
		BypassUnsubscribeManagement *toggle `json:"bypass_unsubscribe_management"`
		Footer                      *toggle `json:"footer"`
		SandboxMode                 *toggle `json:"sandbox_mode"`
	} `json:"mail_settings"`
	TrackingSettings struct {
		ClickTracking        *toggle `json:"click_tracking"`
		OpenTracking         *toggle `json:"open_tracking"`
		SubscriptionTracking *toggle `json:"subscription_tracking"`
		GAnalytics           *toggle `json:"ganalytics"`
	} `json:"tracking_settings"`
}

// toggle is a setting with its options; which option goes with which setting is not checked.
type toggle struct {
	Enable          bool   `json:"enable"`
	EnableText      bool   `json:"enable_text"`
	Text            string `json:"text"`
	HTML            string `json:"html"`
	SubstitutionTag string `json:"substitution_tag"`
	UTMSource       string `json:"utm_source"`
	UTMMedium       string `json:"utm_medium"`
	UTMTerm         string `json:"utm_term"`
	UTMContent      string `json:"utm_content"`
	UTMCampaign     string `json:"utm_campaign"`
}

func (s *Sandbox) serveSendGrid(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	switch {
	case r.URL.Path != "/sandbox/sendgrid/v3/mail/send":
		writeSendGrid(w, http.StatusNotFound, sendGridError{Message: "not found"})
		return
	case r.Method != http.MethodPost:
		w.Header().Set("Allow", http.MethodPost)
		writeSendGrid(w, http.StatusMethodNotAllowed, sendGridError{Message: "method not allowed"})
		return
	case !equal(r.Header.Get("Authorization"), "Bearer "+s.account.SendGridAPIKey):
		writeSendGrid(w, http.StatusUnauthorized, sendGridError{Message: "The provided authorization grant is invalid, expired, or revoked"})
		return
	case err != nil:
		writeSendGrid(w, http.StatusRequestEntityTooLarge, sendGridError{Message: "content too large"})
		return
	}
	if s.misbehave(w, r, s.sendGridDialect()) {
		return
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/json" {
		writeSendGrid(w, http.StatusUnsupportedMediaType, mailFault("", "Content-Type should be application/json."))
		return
	}
	var m mailSend
	dec := json.NewDecoder(bytes.NewReader(body))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&m); err != nil {
		writeSendGrid(w, http.StatusBadRequest, jsonFault(err))
		return
	}
	if errs := m.faults(s.now()); len(errs) > 0 {
		writeSendGrid(w, http.StatusBadRequest, errs...)
		return
	}
	if m.MailSettings.SandboxMode != nil && m.MailSettings.SandboxMode.Enable {
		w.WriteHeader(http.StatusOK) // validated, and sent to nobody
		return
	}
	if s.refuseReservedMail(w, m) {
		return
	}
	s.takeMail(w, r, m, body)
}

func jsonFault(err error) sendGridError {
	var field *json.UnmarshalTypeError
	switch {
	case strings.HasPrefix(err.Error(), "json: unknown field "):
		name := strings.Trim(strings.TrimPrefix(err.Error(), "json: unknown field "), `"`)
		return mailFault(name, "Additional property %s is not allowed", name)
	case errors.As(err, &field):
		return mailFault(field.Field, "Invalid type. Expected: %s, given: %s.", field.Type.Kind(), field.Value)
	}
	return mailFault("", "Bad Request")
}

func (s *Sandbox) refuseReservedMail(w http.ResponseWriter, m mailSend) bool {
	d := s.sendGridDialect()
	for _, p := range m.Personalizations {
		for _, to := range p.To {
			switch fate := outcomeOf(events.Email, to.Email); {
			case fate == outcomeInvalid:
				d.refuse(w)
			case fate == outcomeOnce && s.throttled.first(strings.ToLower(to.Email)):
				d.throttle(w, 1)
			case fate == outcomeThrottled:
				d.throttle(w, 0)
			case fate == outcomeUnavailable:
				writeUnavailable(w)
			default:
				continue
			}
			return true
		}
	}
	return false
}

// takeMail puts one message per recipient into the inbox and posts their events.
func (s *Sandbox) takeMail(w http.ResponseWriter, r *http.Request, m mailSend, body []byte) {
	var raw [16]byte
	_, _ = rand.Read(raw[:])
	id := base64.RawURLEncoding.EncodeToString(raw[:])
	var text, html string
	for _, c := range m.Content {
		switch c.Type {
		case "text/plain":
			text = c.Value
		case "text/html":
			html = c.Value
		}
	}
	request := recordRequest(r, body)
	var taken []*message
	var args []map[string]string
	for _, p := range m.Personalizations {
		from, subject, custom := m.From, m.Subject, map[string]string{}
		if p.From != nil {
			from = p.From
		}
		if p.Subject != "" {
			subject = p.Subject
		}
		for _, set := range []map[string]string{m.CustomArgs, p.CustomArgs} {
			for k, v := range set {
				custom[k] = v
			}
		}
		for _, to := range slices.Concat(p.To, p.CC, p.BCC) {
			taken = append(taken, &message{
				complete: true, channel: events.Email, provider: providerSendGrid, providerID: id, to: to.Email, from: from.String(),
				subject: subject, text: text, html: html, link: s.find.linkIn(text, html), code: s.find.codeIn(text), status: "processed",
				receivedAt: s.now().UTC(), request: request,
			})
			args = append(args, custom)
		}
	}
	for _, one := range taken {
		s.receive(one)
	}
	w.Header().Set("X-Message-Id", id)
	w.WriteHeader(http.StatusAccepted)
	for i, one := range taken {
		s.reportMail(one, args[i])
	}
}

// String is the mailbox as a person reads it.
func (m mailbox) String() string {
	if m.Name == "" {
		return m.Email
	}
	return m.Name + " <" + m.Email + ">"
}

// mailEvent is what happened to a mail, with the fields that go with it.
type mailEvent struct {
	name  string
	extra map[string]any
}

// mailEvents is what happens to a mail, in order.
func mailEvents(fate outcome) []mailEvent {
	processed, delivered := mailEvent{name: "processed"}, mailEvent{"delivered", map[string]any{"response": "250 2.0.0 OK"}}
	reserved := map[outcome][]mailEvent{
		outcomeUndelivered: {processed, {"bounce", map[string]any{
			"type": "bounce", "status": "5.1.1", "bounce_classification": "Invalid Address", "reason": "550 5.1.1 The email account that you tried to reach does not exist",
		}}},
		outcomeDropped:  {{"dropped", map[string]any{"reason": "Bounced Address", "status": "5.0.0"}}},
		outcomeOptedOut: {{"dropped", map[string]any{"reason": "Unsubscribed Address", "status": "5.0.0"}}},
		outcomeDeferred: {processed, {"deferred", map[string]any{"attempt": "1", "response": "421 4.3.0 Try again later"}}, delivered},
		outcomeSpam:     {processed, delivered, {name: "spamreport"}},
		outcomeSilent:   {processed},
	}
	if events, ok := reserved[fate]; ok {
		return events
	}
	return []mailEvent{processed, delivered}
}

// reportMail posts the events of one mail in one signed batch.
func (s *Sandbox) reportMail(m *message, args map[string]string) {
	now := s.now()
	happened := mailEvents(outcomeOf(events.Email, m.to))
	batch := make([]map[string]any, 0, len(happened))
	names := make([]string, 0, len(happened))
	for _, h := range happened {
		e := map[string]any{}
		for k, v := range args {
			e[k] = v
		}
		for k, v := range h.extra {
			e[k] = v
		}
		var raw [16]byte
		_, _ = rand.Read(raw[:])
		e["event"], e["email"], e["timestamp"] = h.name, m.to, now.Unix()
		e["sg_event_id"] = base64.RawURLEncoding.EncodeToString(raw[:])
		e["sg_message_id"] = m.providerID + ".recvd-0000000000-sandbox-1-00000000-1.0"
		e["smtp-id"] = "<" + m.providerID + "@geopod-ismtpd-sandbox>"
		batch = append(batch, e)
		names = append(names, h.name)
	}
	s.inbox.change(m, func() { m.status = names[len(names)-1] })
	public := s.publicURL()
	if public == "" {
		return
	}
	body, err := json.Marshal(batch)
	if err != nil {
		s.log.Error("sandbox cannot encode mail events", "err", err)
		return
	}
	timestamp := strconv.FormatInt(now.Unix(), 10)
	digest := sha256.Sum256(append([]byte(timestamp), body...))
	signature, err := ecdsa.SignASN1(rand.Reader, s.account.SendGridWebhookKey, digest[:])
	if err != nil {
		s.log.Error("sandbox cannot sign mail events", "err", err)
		return
	}
	s.callbacks.add(m, callback{name: strings.Join(names, ", "), url: public + "/callbacks/sendgrid/events", body: body, header: http.Header{
		"Content-Type": {"application/json;charset=utf-8"}, "User-Agent": {"SendGrid Event API"},
		"X-Twilio-Email-Event-Webhook-Signature": {base64.StdEncoding.EncodeToString(signature)},
		"X-Twilio-Email-Event-Webhook-Timestamp": {timestamp},
	}})
}

func validMailbox(m mailbox) bool {
	a, err := mail.ParseAddress(m.Email)
	if err != nil || a.Address != m.Email || a.Name != "" {
		return false
	}
	_, host, _ := strings.Cut(m.Email, "@")
	return len(m.Email) <= 254 && !strings.ContainsAny(host, "_@ ")
}
