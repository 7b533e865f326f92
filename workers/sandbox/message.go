package sandbox

import (
	"net/http"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
)

// The providers that the sandbox stands in for.
const (
	providerTwilio   = "twilio"
	providerSendGrid = "sendgrid"
	providerAPNs     = "apns"
	providerFCM      = "fcm"
	providerWebPush  = "webpush"
)

// The states of a call, as the page shows them.
const (
	callRinging  = "ringing"
	callSpeaking = "speaking"
	callWaiting  = "waiting"
	callEnded    = "ended"
)

// message is one thing that a carrier took from Assent. The inbox's lock guards all
// of it from the moment it was added; before that it belongs to its handler.
type message struct {
	id         string
	seq        uint64 // order of arrival
	complete   bool   // a call is shown once its script was spoken as far as it goes
	channel    events.Channel
	provider   string
	providerID string
	to, from   string
	key        string // to, in its canonical form
	subject    string
	text, html string
	data       map[string]string
	code, link string
	status     string // in the provider's words: queued, delivered, bounce, completed…
	errorCode  int
	receivedAt time.Time
	request    sentRequest
	callbacks  []callbackRecord
	answers    []answerRecord
	phone      *phone // the sandbox phone that got this push, if it is one

	call      *call // set for calls; its own lock guards what it holds
	callState string
	lines     []string // as spoken
	keys      string   // as pressed
	wants     int      // keys that the present question takes; 0 is any number

	lane lane // callbacks of one message go out one after another
}

// sentRequest is the provider request as it arrived, without its secrets.
type sentRequest struct {
	method, path string
	header       http.Header
	body         []byte
}

func recordRequest(r *http.Request, body []byte) sentRequest {
	h := r.Header.Clone()
	if h.Get("Authorization") != "" {
		scheme, _, _ := strings.Cut(h.Get("Authorization"), " ")
		h.Set("Authorization", scheme+" (removed)")
	}
	h.Del("Cookie")
	return sentRequest{r.Method, r.URL.RequestURI(), h, body}
}

type callbackRecord struct {
	Name    string    `json:"name"`
	URL     string    `json:"url"`
	Status  int       `json:"status"` // 0 when there was no answer
	Error   string    `json:"error,omitempty"`
	Attempt int       `json:"attempt"`
	TookMS  int64     `json:"took_ms"`
	At      time.Time `json:"at"`
}

type answerRecord struct {
	// Answer says in words what was sent: "key presses 4 7", "YES", "approve", "approve 7".
	Answer   string    `json:"answer"`
	Answered bool      `json:"answered"` // Assent answered with a 2xx status
	Status   int       `json:"status"`
	Body     string    `json:"body"`
	TookMS   int64     `json:"took_ms"`
	At       time.Time `json:"at"`
}

// summary is a message as the list and the live feed show it.
type summary struct {
	ID         string            `json:"id"`
	Channel    events.Channel    `json:"channel"`
	Provider   string            `json:"provider"`
	To         string            `json:"to"`
	From       string            `json:"from"`
	Subject    string            `json:"subject"`
	Text       string            `json:"text"`
	HTML       string            `json:"html"`
	Data       map[string]string `json:"data"`
	Code       string            `json:"code"`
	Link       string            `json:"link"`
	ReceivedAt time.Time         `json:"received_at"`
	Status     string            `json:"status"`
	Phone      *phoneView        `json:"phone,omitempty"`
	Call       *callView         `json:"call,omitempty"`
	LastAnswer *answerRecord     `json:"last_answer,omitempty"`
}

type callView struct {
	State string   `json:"state"`
	Wants int      `json:"wants"` // keys until the answer is complete; 0 when # or silence ends it
	Lines []string `json:"lines"`
	Keys  string   `json:"keys"`
}

// detail adds what one message's own page shows.
type detail struct {
	summary
	ProviderID string           `json:"provider_id"`
	ErrorCode  int              `json:"error_code,omitempty"`
	Request    requestView      `json:"request"`
	Callbacks  []callbackRecord `json:"callbacks"`
	Answers    []answerRecord   `json:"answers"`
}

type requestView struct {
	Method string            `json:"method"`
	Path   string            `json:"path"`
	Header map[string]string `json:"headers"`
	Body   string            `json:"body"`
}

// summarise copies what is shown; the caller holds the inbox's lock.
func (m *message) summarise() summary {
	v := summary{
		ID: m.id, Channel: m.channel, Provider: m.provider, To: m.to, From: m.from, Subject: m.subject, Text: m.text,
		HTML: m.html, Data: m.data, Code: m.code, Link: m.link, ReceivedAt: m.receivedAt, Status: m.status,
	}
	if v.Data == nil {
		v.Data = map[string]string{}
	}
	if m.phone != nil {
		p := m.phone.view()
		v.Phone = &p
	}
	if m.call != nil {
		v.Call = &callView{m.callState, m.wants, append([]string{}, m.lines...), m.keys}
	}
	if n := len(m.answers); n > 0 {
		last := m.answers[n-1]
		v.LastAnswer = &last
	}
	return v
}

func (m *message) detail() detail {
	d := detail{
		summary: m.summarise(), ProviderID: m.providerID, ErrorCode: m.errorCode,
		Request:   requestView{m.request.method, m.request.path, map[string]string{}, string(m.request.body)},
		Callbacks: append([]callbackRecord{}, m.callbacks...),
		Answers:   append([]answerRecord{}, m.answers...),
	}
	for k, v := range m.request.header {
		d.Request.Header[k] = strings.Join(v, ", ")
	}
	return d
}

// mask keeps enough of an address to recognise it in a log.
func mask(to string) string {
	if user, host, ok := strings.Cut(to, "@"); ok {
		if len(user) > 1 {
			user = user[:1]
		}
		return user + "•••@" + host
	}
	if strings.HasPrefix(to, "+") && len(to) > 6 {
		return to[:2] + "•••" + to[len(to)-4:]
	}
	if len(to) > 12 {
		return to[:6] + "…"
	}
	return "•••"
}
