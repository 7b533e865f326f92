package sandbox

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // Twilio's signature is HMAC-SHA1
	"crypto/subtle"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/google/uuid"
	"github.com/nyaruka/phonenumbers"

	"github.com/assent-io/assent/events"
)

// twilioError is an error body of Twilio's 2010 API.
type twilioError struct {
	status  int
	code    int
	message string
}

func (e *twilioError) write(w http.ResponseWriter) {
	if e.status == http.StatusUnauthorized {
		w.Header().Set("WWW-Authenticate", `Basic realm="Twilio API"`)
	}
	writeJSON(w, e.status, struct {
		Code     int    `json:"code"`
		Message  string `json:"message"`
		MoreInfo string `json:"more_info"`
		Status   int    `json:"status"`
	}{e.code, e.message, "https://www.twilio.com/docs/errors/" + strconv.Itoa(e.code), e.status})
}

func badRequest(code int, format string, args ...any) *twilioError {
	return &twilioError{http.StatusBadRequest, code, fmt.Sprintf(format, args...)}
}

func twilioDialect(c events.Channel) dialect {
	return dialect{
		channel: c, provider: providerTwilio,
		refuse: func(w http.ResponseWriter) {
			badRequest(21211, "The 'To' number is not a valid phone number.").write(w)
		},
		throttle: func(w http.ResponseWriter, after int) {
			setRetryAfter(w, after)
			(&twilioError{http.StatusTooManyRequests, 20429, "Too Many Requests"}).write(w)
		},
	}
}

// serveTwilio is the part of the 2010 API that creates and shows messages and calls.
func (s *Sandbox) serveTwilio(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	if err != nil {
		badRequest(20400, "The request body could not be read").write(w)
		return
	}
	sid, token, _ := r.BasicAuth()
	rest, ok := strings.CutPrefix(r.URL.Path, "/sandbox/twilio/2010-04-01/Accounts/")
	account, resource, _ := strings.Cut(rest, "/")
	if !equal(sid, s.account.TwilioAccountSID) || !equal(token, s.account.TwilioAuthToken) || (ok && !equal(account, sid)) {
		(&twilioError{http.StatusUnauthorized, 20003, "Authenticate"}).write(w)
		return
	}
	kind, one, _ := strings.Cut(strings.TrimSuffix(resource, ".json"), "/")
	known := ok && strings.HasSuffix(resource, ".json") && (kind == "Messages" || kind == "Calls") && !strings.Contains(one, "/")
	create, show := r.Method == http.MethodPost && one == "", r.Method == http.MethodGet
	switch {
	case !known:
		(&twilioError{http.StatusNotFound, 20404, "The requested resource " + r.URL.Path + " was not found"}).write(w)
	case create && kind == "Messages":
		s.createMessage(w, r, body)
	case create:
		s.createCall(w, r, body)
	case show && one != "":
		s.showTwilio(w, kind, one)
	case show:
		s.listTwilio(w, r, kind)
	default:
		(&twilioError{http.StatusMethodNotAllowed, 20004, "Method not allowed"}).write(w)
	}
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

// params is a form with the checks that several parameters share. It keeps the first error.
type params struct {
	url.Values
	err *twilioError
}

// readForm refuses parameters that the provider's published description does not know.
func readForm(r *http.Request, body []byte, known []string) params {
	p := params{Values: url.Values{}}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/x-www-form-urlencoded" {
		return p // as the provider does: without a form there are no parameters
	}
	v, err := url.ParseQuery(string(body))
	if err != nil {
		p.err = badRequest(20400, "The request body is not a valid form")
		return p
	}
	p.Values = v
	for k, all := range v {
		if !slices.Contains(known, k) {
			p.fail(badRequest(20001, "Unknown parameter '%s'", k))
		}
		if len(all) > 1 && k != "StatusCallbackEvent" && k != "MediaUrl" && k != "PersistentAction" && k != "RecordingStatusCallbackEvent" {
			p.fail(badRequest(20001, "Parameter '%s' is given more than once", k))
		}
	}
	return p
}

func (p *params) fail(err *twilioError) {
	if p.err == nil {
		p.err = err
	}
}

func (p *params) oneOf(name string, values ...string) {
	if v := p.Get(name); p.Has(name) && !slices.Contains(values, strings.ToLower(v)) {
		p.fail(badRequest(20422, "Invalid value '%s' for parameter '%s'", v, name))
	}
}

func (p *params) integer(name string, low, high int) {
	if !p.Has(name) {
		return
	}
	if n, err := strconv.Atoi(p.Get(name)); err != nil || n < low || n > high {
		p.fail(badRequest(20422, "Invalid value '%s' for parameter '%s': want %d to %d", p.Get(name), name, low, high))
	}
}

// sid checks the shape of another resource's id.
func (p *params) sid(name string, code int, prefix string) {
	v := p.Get(name)
	digits, ok := strings.CutPrefix(v, prefix)
	if raw, err := hex.DecodeString(digits); p.Has(name) && (!ok || err != nil || len(raw) != 16) {
		p.fail(badRequest(code, "Invalid value '%s' for parameter '%s'", v, name))
	}
}

// callbackURL takes what can be called: http or https with a host name that has no underscore.
func (p *params) callbackURL(name string, code int) {
	if !p.Has(name) {
		return
	}
	u, err := url.Parse(p.Get(name))
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Hostname() == "" || strings.Contains(u.Hostname(), "_") || len(p.Get(name)) > 4000 {
		p.fail(badRequest(code, "The '%s' URL %s is not a valid URL.", name, p.Get(name)))
	}
}

// phoneNumber reads a number as E.164. Numbers that cannot exist are refused; the blocks set aside
// for fiction are taken, or nobody could try anything out.
func phoneNumber(to string) (string, error) {
	if !strings.HasPrefix(to, "+") {
		return "", errors.New("not in E.164 form")
	}
	n, err := phonenumbers.Parse(to, "")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return "", errors.New("not a possible number")
	}
	return phonenumbers.Format(n, phonenumbers.E164), nil
}

// sender checks From against the one number the account owns.
func (s *Sandbox) sender(p *params, missing, invalid, foreign int) {
	from := p.Get("From")
	switch {
	case from == "":
		p.fail(badRequest(missing, "A 'From' phone number is required."))
	case from == s.account.TwilioFrom:
	case strings.HasPrefix(from, "+"):
		if _, err := phoneNumber(from); err != nil {
			p.fail(badRequest(invalid, "The 'From' number %s is not a valid phone number, shortcode, or alphanumeric sender ID.", from))
			return
		}
		p.fail(badRequest(foreign, "The 'From' phone number provided (%s) is not owned by this account.", from))
	default:
		p.fail(badRequest(invalid, "The 'From' number %s is not a valid phone number, shortcode, or alphanumeric sender ID.", from))
	}
}

func newSID(prefix string) string {
	id := uuid.New()
	return prefix + hex.EncodeToString(id[:])
}

// signTwilio is the X-Twilio-Signature of a form posted to a URL.
func (s *Sandbox) signTwilio(target string, form url.Values) string {
	keys := make([]string, 0, len(form))
	for k := range form {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	mac := hmac.New(sha1.New, []byte(s.account.TwilioAuthToken))
	mac.Write([]byte(target))
	for _, k := range keys {
		mac.Write([]byte(k + form.Get(k)))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// signedForm is the header and body of a form that Twilio posts.
func (s *Sandbox) signedForm(target string, form url.Values) (http.Header, []byte) {
	return http.Header{
		"Content-Type":               {"application/x-www-form-urlencoded; charset=UTF-8"},
		"User-Agent":                 {"TwilioProxy/1.1"},
		"X-Twilio-Signature":         {s.signTwilio(target, form)},
		"I-Twilio-Idempotency-Token": {uuid.NewString()},
		"Accept":                     {"*/*"},
	}, []byte(form.Encode())
}

// showTwilio fetches one message or call, as a client polls for its status.
func (s *Sandbox) showTwilio(w http.ResponseWriter, kind, sid string) {
	m := s.inbox.bySIDOf(sid)
	if m == nil || (m.call != nil) != (kind == "Calls") || m.provider != providerTwilio {
		(&twilioError{http.StatusNotFound, 20404, "The requested resource was not found"}).write(w)
		return
	}
	writeJSON(w, http.StatusOK, s.twilioResource(m))
}

func (s *Sandbox) listTwilio(w http.ResponseWriter, r *http.Request, kind string) {
	f := filter{to: canonical(r.URL.Query().Get("To")), channel: events.SMS, limit: 50, unspoken: true}
	if kind == "Calls" {
		f.channel = events.Voice
	}
	all := []any{}
	for _, v := range s.inbox.list(f) {
		if m := s.inbox.get(v.ID); m != nil {
			all = append(all, s.twilioResource(m))
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		strings.ToLower(kind): all, "page": 0, "page_size": 50, "start": 0, "end": max(len(all)-1, 0),
		"uri": r.URL.RequestURI(), "first_page_uri": r.URL.RequestURI(), "next_page_uri": nil, "previous_page_uri": nil,
	})
}

const twilioTime = "Mon, 02 Jan 2006 15:04:05 -0700"

// twilioResource is a message or call in the provider's JSON.
func (s *Sandbox) twilioResource(m *message) map[string]any {
	var v map[string]any
	s.inbox.read(func() {
		at := m.receivedAt.UTC().Format(twilioTime)
		v = map[string]any{
			"sid": m.providerID, "account_sid": s.account.TwilioAccountSID, "api_version": "2010-04-01", "to": m.to, "from": m.from,
			"status": m.status, "direction": "outbound-api", "date_created": at, "date_updated": at, "price": nil, "price_unit": "USD",
			"uri": "/2010-04-01/Accounts/" + s.account.TwilioAccountSID + "/Messages/" + m.providerID + ".json",
		}
		if m.call != nil {
			v["uri"] = "/2010-04-01/Accounts/" + s.account.TwilioAccountSID + "/Calls/" + m.providerID + ".json"
			v["to_formatted"], v["from_formatted"], v["duration"], v["answered_by"] = m.to, m.from, nil, nil
			v["start_time"], v["end_time"], v["parent_call_sid"], v["subresource_uris"] = nil, nil, nil, map[string]string{}
			return
		}
		v["body"], v["num_segments"], v["num_media"], v["date_sent"] = m.text, strconv.Itoa(segments(m.text)), "0", nil
		v["messaging_service_sid"], v["subresource_uris"] = nil, map[string]string{}
		v["error_code"], v["error_message"] = nil, nil
		if m.errorCode != 0 {
			v["error_code"] = m.errorCode
		}
	})
	return v
}
