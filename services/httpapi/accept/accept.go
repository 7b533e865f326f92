// Package accept serves the page behind a link, /l/{token}: it shows who asks what
// from where, and takes the person's answer. Looking never answers: GET and HEAD only
// show, and a POST counts only from somebody who was shown the page and had time to
// read it, so that mail scanners neither approve nor deny nor use the link up; what
// looks like one (scanner.go) is made to wait, and nobody is turned away. The
// answer is published as an event; the verifier decides, and the page waits for its
// word. No JavaScript is used or served. The HTTP server mounts the handler at /l/.
package accept

import (
	"context"
	_ "embed" // the styles
	"errors"
	"log/slog"
	"net/http"
	"net/netip"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/verification"
)

const (
	defaultMinReading = 1500 * time.Millisecond
	// outcomeWithin is how long an answer waits for the verifier before the page says it is on its way.
	outcomeWithin = 2 * time.Second
	// answerWithin bounds everything else that a request asks of the broker.
	answerWithin = 5 * time.Second
	// maxLooks bounds how often the page looks again by itself, every two seconds.
	maxLooks = 15
	maxForm  = 4 << 10
)

//go:embed assets/accept.css
var styles []byte

// Verifications finds what a link belongs to and waits for its outcome.
type Verifications interface {
	// ByLink fails with verification.ErrNotFound for a token that is unknown, forged or cut.
	ByLink(ctx context.Context, t verification.Token) (verification.Verification, error)
	// Await returns once the revision differs from seen or the verification is closed, or with the
	// present state when ctx ends.
	Await(ctx context.Context, id string, seen uint64) (*verification.Verification, error)
	// Redirect is where the page leads after an approval; empty where it leads nowhere.
	Redirect(ctx context.Context, id string) (string, error)
	// NumberHash is the keyed hash of digits that came with an approval.
	NumberHash(ctx context.Context, id, digits string) ([]byte, error)
}

// Responses publishes an answer, durably, before it returns.
type Responses interface {
	Respond(ctx context.Context, r events.ResponseReceived) error
}

// Config is what the page needs. Verifications, Responses, PageKey and PublicURL are required.
type Config struct {
	Verifications Verifications
	Responses     Responses
	// PageKey is a keyed hash (HMAC) over the parts: it signs forms and cookies, so it must be the
	// same in every process that serves this page.
	PageKey func(parts ...string) []byte
	// PublicURL is where links start. Answers from pages of any other origin are refused.
	PublicURL func() string
	// MinReading is how long the page must have been shown before an answer counts; zero means 1.5 seconds.
	// It is four times as long for a visit that looks like a scanner's.
	MinReading time.Duration
	// ScannerNetworks are where scanners of mail call from, by the address of the connection. None means that no
	// address is a sign.
	ScannerNetworks []netip.Prefix
	Now             func() time.Time // nil: time.Now
	Log             *slog.Logger     // nil: nothing is logged
	Registerer      prometheus.Registerer
}

type handler struct {
	Config
	stylesheet webpage.Stylesheet
	pages      *prometheus.CounterVec
	signs      *prometheus.CounterVec
	crowds     crowds
}

// New makes the handler of everything under /l/.
func New(cfg Config) http.Handler {
	if cfg.MinReading == 0 {
		cfg.MinReading = defaultMinReading
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &handler{
		Config:     cfg,
		stylesheet: webpage.NewStylesheet(styles),
		pages: promauto.With(cfg.Registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "assent_link_pages_total",
			Help: "Requests of accept pages, by what was shown or done.",
		}, []string{"result"}),
		signs: promauto.With(cfg.Registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "assent_link_signs_total",
			Help: "Requests of accept pages with a sign that a program asks, by sign.",
		}, []string{"sign"}),
	}
	mux := http.NewServeMux()
	mux.Handle("/l/"+h.stylesheet.Name, h.stylesheet)
	mux.HandleFunc("/l/{token}", func(w http.ResponseWriter, r *http.Request) {
		switch r.Method {
		case http.MethodGet, http.MethodHead:
			h.show(w, r)
		case http.MethodPost:
			h.answer(w, r)
		default:
			w.Header().Set("Allow", "GET, HEAD, POST")
			h.render(w, r, http.StatusMethodNotAllowed, h.notice(r, sayUnknown, resultMalformed))
		}
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.render(w, r, http.StatusNotFound, h.notice(r, sayUnknown, resultUnknown))
	})
	return mux
}

// The results that assent_link_pages_total counts.
const (
	resultAsked       = "asked"
	resultAnswered    = "answered"
	resultTooSoon     = "too_soon"
	resultSuspicious  = "suspicious"
	resultNoNumber    = "no_number"
	resultWrongNumber = "wrong_number"
	resultNoCookie    = "no_cookie"
	resultForeign     = "foreign_origin"
	resultMalformed   = "malformed"
	resultClosed      = "closed"
	resultWaiting     = "waiting"
	resultUnknown     = "unknown"
	resultUnavailable = "unavailable"
)

// show is GET and HEAD: whatever is asked, nothing changes.
func (h *handler) show(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	token := verification.Token(r.PathValue("token"))
	v, err := h.Verifications.ByLink(ctx, token)
	if err != nil {
		h.lost(w, r, v, err, sayAway)
		return
	}
	v = v.At(h.Now())
	sees := h.visitor(r, token)
	switch {
	case v.Status.Closed():
		p := h.closed(r, v, sees)
		if v.Status == verification.Approved && sees.answered == events.Approve {
			h.lead(ctx, w, r, v, token, sees, &p)
		}
		h.render(w, r, http.StatusOK, p)
	case sees.awaits(v):
		h.render(w, r, http.StatusOK, h.waiting(r, v))
	default:
		seen := h.signsOf(r, token, sees)
		if r.Method == http.MethodGet {
			h.remember(w, token, &sees)
		}
		p := h.question(r, v, h.newForm(token, sees, form{shown: h.Now(), signs: seen, tried: v.ChecksUsed}))
		if sees.answered != "" {
			p.blame(fault{wrongNumber, resultWrongNumber})
		}
		h.render(w, r, http.StatusOK, p)
	}
}

// lead says where an approval leads, to the browser that approved. The page goes there by itself
// once, so that Back does not end there again; whoever comes back finds the link.
func (h *handler) lead(ctx context.Context, w http.ResponseWriter, r *http.Request,
	v verification.Verification, token verification.Token, sees visitor, p *page,
) {
	to, err := h.Verifications.Redirect(ctx, v.ID)
	if err != nil {
		// The approval counts all the same, and the page says so.
		h.Log.WarnContext(ctx, "accept page without its redirect", "verification_id", v.ID, "err", err)
		return
	}
	target, ok := destination(to)
	if !ok {
		return
	}
	first := !sees.led && r.Method == http.MethodGet
	p.leads(target, first)
	if first {
		sees.led = true
		h.remember(w, token, &sees)
	}
}

// destination reads where to lead. Only web addresses are followed: anything else could run in the page.
func destination(to string) (*url.URL, bool) {
	u, err := url.Parse(to)
	if err != nil || u.Scheme != "https" && u.Scheme != "http" || u.Host == "" {
		return nil, false
	}
	return u, true
}

// answer is POST: the one way to decide.
func (h *handler) answer(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
	defer cancel()
	token := verification.Token(r.PathValue("token"))
	if webpage.Foreign(r, h.PublicURL()) {
		h.render(w, r, http.StatusForbidden, h.notice(r, sayElsewhere, resultForeign))
		return
	}
	r.Body = http.MaxBytesReader(w, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		h.render(w, r, http.StatusBadRequest, h.notice(r, sayUnknown, resultMalformed))
		return
	}
	v, err := h.Verifications.ByLink(ctx, token)
	if err != nil {
		h.lost(w, r, v, err, sayNotSaved)
		return
	}
	v = v.At(h.Now())
	sees := h.visitor(r, token)
	if v.Status.Closed() || sees.awaits(v) {
		h.pages.WithLabelValues(resultClosed).Inc()
		h.toState(w, r, token)
		return
	}
	h.consider(ctx, w, r, v, token, sees)
}

// consider reads what was pressed: an answer that counts is published, and for every other the page is
// shown again with what was typed.
func (h *handler) consider(ctx context.Context, w http.ResponseWriter, r *http.Request,
	v verification.Verification, token verification.Token, sees visitor,
) {
	a := answerOf(r, v)
	shown, ok := h.readForm(r.PostForm.Get("form"), token, sees)
	again := func(status int, f fault) {
		h.remember(w, token, &sees)
		p := h.question(r, v, h.newForm(token, sees, shown))
		p.Typed = a.typed
		p.blame(f)
		h.render(w, r, status, p)
	}
	if sees.nonce == "" || !ok {
		h.count(noCookie)
		shown = form{shown: h.Now(), signs: h.signsOf(r, token, sees), tried: v.ChecksUsed}
		again(http.StatusForbidden, fault{cookieLost, resultNoCookie})
		return
	}
	seen := shown.signs | sees.signs | h.signsOf(r, token, sees)
	if h.Now().Sub(shown.shown) < hasteWithin {
		h.count(hasty)
		sees.signs |= hasty
		seen |= hasty
	}
	switch {
	case a.decision != events.Approve && a.decision != events.Deny && a.decision != events.NotMe:
		again(http.StatusUnprocessableEntity, fault{noDecision, resultMalformed})
	case !h.read(shown, seen):
		sees.ask(a.decision, h.Now())
		again(http.StatusOK, fault{tooSoon, resultTooSoon})
	case a.decision == events.Approve && len(a.digits) != v.NumberLength:
		again(http.StatusUnprocessableEntity, fault{noNumber, resultNoNumber})
	case !h.meant(a, seen, sees):
		sees.ask(a.decision, h.Now())
		again(http.StatusOK, fault{tooSoon, resultSuspicious})
	default:
		h.respond(ctx, w, r, v, a, token, sees, shown)
	}
}

func (h *handler) respond(ctx context.Context, w http.ResponseWriter, r *http.Request,
	v verification.Verification, a answer, token verification.Token, sees visitor, shown form,
) {
	event, err := h.response(ctx, v, a, shown)
	if err == nil {
		err = h.Responses.Respond(ctx, event)
	}
	if err != nil {
		h.lost(w, r, v, err, sayNotSaved)
		return
	}
	h.pages.WithLabelValues(resultAnswered).Inc()
	h.Log.InfoContext(ctx, "answered on the accept page", "verification_id", v.ID, "channel", string(v.Channel),
		"decision", string(a.decision), "user_agent", userAgentClass(r.UserAgent()))
	sees.answered, sees.tried = a.decision, shown.tried
	h.remember(w, token, &sees)

	waitCtx, cancel := context.WithTimeout(ctx, outcomeWithin)
	defer cancel()
	for tried := v.ChecksUsed; !v.Status.Closed() && v.ChecksUsed == tried && waitCtx.Err() == nil; {
		changed, err := h.Verifications.Await(waitCtx, v.ID, v.Revision)
		if err != nil {
			break // the answer is safe; the next page says how it stands
		}
		v = changed.At(h.Now())
	}
	h.toState(w, r, token)
}

// toState ends a POST: the state is a page of its own, so that reload and Back never answer twice.
func (h *handler) toState(w http.ResponseWriter, r *http.Request, token verification.Token) {
	to := h.path(token)
	if lang := catalog.Chosen(r); lang != "" {
		to += "?lang=" + lang
	}
	webpage.SecurityHeaders(w)
	w.Header().Set("Location", to)
	w.WriteHeader(http.StatusSeeOther)
}

// lost answers when the verification is unknown or cannot be reached.
func (h *handler) lost(w http.ResponseWriter, r *http.Request, v verification.Verification, err error, say says) {
	if errors.Is(err, verification.ErrNotFound) || errors.Is(err, verification.ErrToken) {
		h.render(w, r, http.StatusNotFound, h.notice(r, sayUnknown, resultUnknown))
		return
	}
	h.Log.ErrorContext(r.Context(), "accept page without its verification", "verification_id", v.ID, "err", err)
	p := h.notice(r, say, resultUnavailable)
	if v.ID != "" { // the answer could not be published
		p = h.state(r, v, sayNotSavedOpen, resultUnavailable)
	}
	p.Again = true
	w.Header().Set("Retry-After", "60")
	h.render(w, r, http.StatusServiceUnavailable, p)
}

// path is where the page of a token stands, as browsers see it.
func (h *handler) path(token verification.Token) string {
	return webpage.Below(h.PublicURL(), "/l/"+url.PathEscape(token.Reveal()))
}
