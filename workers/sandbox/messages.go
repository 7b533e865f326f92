package sandbox

import (
	"context"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
)

const maxWait = 60

// receive puts a message into the inbox and says so in the log, where newcomers look first.
func (s *Sandbox) receive(m *message) {
	s.inbox.add(m)
	s.log.Info("sandbox delivery", "channel", string(m.channel), "provider", m.provider, "to", mask(m.to),
		"inbox", s.publicURL()+"/sandbox#m="+m.id)
}

// listMessages is GET /sandbox/messages: newest first, waiting for the first match when asked to.
func (s *Sandbox) listMessages(w http.ResponseWriter, r *http.Request) {
	f, wait, errs := s.readFilter(r.URL.Query())
	if len(errs) > 0 {
		writeProblem(w, invalid(errs...))
		return
	}
	var found []summary
	if wait == 0 {
		found = s.inbox.list(f)
	} else {
		ctx, cancel := context.WithTimeout(r.Context(), wait)
		defer cancel()
		stop := context.AfterFunc(s.ctx, cancel)
		defer stop()
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(wait + outsideTimeout)) // not every writer has one
		found = s.inbox.await(ctx, f)
	}
	writeJSON(w, http.StatusOK, map[string]any{"messages": found})
}

func (s *Sandbox) readFilter(q url.Values) (f filter, wait time.Duration, errs []fieldError) {
	number := func(name string, low, high int) int {
		if q.Get(name) == "" {
			return 0
		}
		n, err := strconv.Atoi(q.Get(name))
		if err != nil || n < low || n > high {
			errs = append(errs, fieldError{"?" + name, "want a whole number from " + strconv.Itoa(low) + " to " + strconv.Itoa(high)})
		}
		return n
	}
	f.to, f.channel = canonical(q.Get("to")), events.Channel(q.Get("channel"))
	f.limit = number("limit", 1, 100_000)
	f.unspoken = q.Get("unspoken") == "true"
	wait = time.Duration(number("wait", 0, maxWait)) * time.Second
	if f.channel != "" && !slices.Contains(events.Channels(), f.channel) {
		errs = append(errs, fieldError{"?channel", "want sms, voice, email or push"})
	}
	if id := q.Get("after"); id != "" {
		m := s.inbox.get(id)
		if m == nil {
			errs = append(errs, fieldError{"?after", "is not the id of a message in this inbox"})
		} else {
			f.after = m.seq
		}
	}
	for name := range q {
		if !slices.Contains([]string{"to", "channel", "wait", "limit", "after", "unspoken"}, name) {
			errs = append(errs, fieldError{"?" + name, "is not a parameter of this request"})
		}
	}
	return f, wait, errs
}

func (s *Sandbox) clearMessages(w http.ResponseWriter, _ *http.Request) {
	s.inbox.clear()
	w.WriteHeader(http.StatusNoContent)
}

// message looks one up by the id in the path, and answers 404 when it is gone.
func (s *Sandbox) message(w http.ResponseWriter, r *http.Request) *message {
	m := s.inbox.get(r.PathValue("id"))
	if m == nil {
		writeProblem(w, problem{http.StatusNotFound, "message_not_found", "No message with this id is in the inbox. It may have been cleared, or given way to newer ones.", nil})
	}
	return m
}

func (s *Sandbox) getMessage(w http.ResponseWriter, r *http.Request) {
	m := s.message(w, r)
	if m == nil {
		return
	}
	var d detail
	s.inbox.read(func() { d = m.detail() })
	writeJSON(w, http.StatusOK, d)
}

// mailCSP lets a mail be styled and its links open; it runs nothing and loads nothing. A page opened
// from it escapes the mail's sandbox, or the form of an accept page could not be sent.
const mailCSP = "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'none'; frame-ancestors 'self'; " +
	"sandbox allow-popups allow-popups-to-escape-sandbox"

// getMailHTML serves a mail's HTML under its own policy, so that its styles work and touch nothing else.
func (s *Sandbox) getMailHTML(w http.ResponseWriter, r *http.Request) {
	m := s.message(w, r)
	if m == nil {
		return
	}
	if m.html == "" { // set once, before the message was added
		writeProblem(w, problem{http.StatusNotFound, "no_html", "This message has no HTML part.", nil})
		return
	}
	w.Header().Set("Content-Security-Policy", mailCSP)
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write([]byte(openingTabs(m.html)))
}

// openingTabs lets the links of a mail open new tabs. What it adds stands inside the head where there
// is one: in front of the doctype it would change how the mail looks.
func openingTabs(mail string) string {
	at := 0
	if head := strings.Index(strings.ToLower(mail), "<head>"); head >= 0 {
		at = head + len("<head>")
	}
	return mail[:at] + `<base target="_blank">` + mail[at:]
}
