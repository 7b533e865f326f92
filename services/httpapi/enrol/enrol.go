// Package enrol serves the page where people enrol their own devices, /enrol/{token}: what they have, in the
// order in which they are asked, and what they may add, each proved before it counts. Whoever has a device proves
// it first; the link alone changes nothing of theirs. Looking never changes anything, and everything that does is a
// form. No JavaScript is used or served. The HTTP server mounts the handler at /enrol/.
package enrol

import (
	"context"
	"crypto/rand"
	_ "embed" // the styles
	"errors"
	"io"
	"log/slog"
	"net/http"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/recovery"
	"github.com/assent-io/assent/services/verification"
)

const (
	// answerWithin bounds all that one request asks of the broker.
	answerWithin = 5 * time.Second
	maxForm      = 8 << 10
)

//go:embed assets/enrol.css
var styles []byte

// Links finds what a token allows.
type Links interface {
	// Find fails with verification.ErrNotFound, or, with the link as it was, enrolment.ErrExpired or ErrWithdrawn.
	Find(ctx context.Context, token verification.Token) (enrolment.Link, error)
	// Change stores what change makes of a link, and returns it.
	Change(ctx context.Context, l enrolment.Link, change func(*enrolment.Link) error) (enrolment.Link, error)
}

// Users keeps users and their devices. What belongs to another account is verification.ErrNotFound.
type Users interface {
	User(ctx context.Context, account, id string) (device.User, error)
	// Devices lists pending ones too.
	Devices(ctx context.Context, account, userID string) ([]device.Device, error)
	DeleteDevice(ctx context.Context, account, id string) error
	RenameDevice(ctx context.Context, account, id, name string) (device.Device, error)
	OrderDevices(ctx context.Context, account, userID string, ids []string) (device.User, error)
}

// Enrolments registers devices, see package enrolment.
type Enrolments interface {
	Begin(ctx context.Context, r enrolment.Request) (enrolment.Enrolment, error)
	Ask(ctx context.Context, account, deviceID string, m enrolment.Message) (enrolment.Enrolment, error)
	Prove(ctx context.Context, account, deviceID string, code verification.Code) (enrolment.Enrolment, error)
	Get(ctx context.Context, account, deviceID string) (enrolment.Enrolment, error)
	// Drop removes a device that is not proved yet; enrolment.ErrActive where it is by now.
	Drop(ctx context.Context, d device.Device) error
	// JoinCode is the activation code that the page shows until its phone has joined.
	JoinCode(ctx context.Context, d device.Device) (string, error)
}

// Verifications asks people and checks their codes.
type Verifications interface {
	Create(ctx context.Context, a verification.Activation) (v verification.Verification, replayed bool, err error)
	Get(ctx context.Context, id string) (verification.Verification, error)
	Check(ctx context.Context, id string, code verification.Code) (v verification.Verification, valid bool, err error)
	// Resend sends the same message once more.
	Resend(ctx context.Context, id string) (verification.Verification, error)
	// PromptOpen tells whether a user has a push approval to answer, other than those with the ids.
	PromptOpen(ctx context.Context, account, userID string, but []string) (bool, error)
	// MatchNumber is the number to show; empty where there is none, or no longer.
	MatchNumber(ctx context.Context, v verification.Verification) (verification.Code, error)
}

// Recovery knows what stands in for a lost device.
type Recovery interface {
	RecoveryCodes(ctx context.Context, account, userID string) (recovery.Stock, error)
	// BypassTokens lists the open ones.
	BypassTokens(ctx context.Context, account, userID string) ([]recovery.BypassToken, error)
	// Recover uses up what it is given where that is right. It fails with *verification.LimitError.
	Recover(ctx context.Context, account, userID string, kind recovery.Kind, code verification.Code) (recovery.Recovered, error)
}

// Audit keeps the audit log.
type Audit interface {
	// Record returns once the entry is durable.
	Record(ctx context.Context, e audit.Entry) error
	// RecordOnce is Record for what can be told twice.
	RecordOnce(ctx context.Context, e audit.Entry) (first bool, err error)
}

// Config is what the page needs. All fields are required but where a default is named.
type Config struct {
	Links         Links
	Users         Users
	Enrolments    Enrolments
	Verifications Verifications
	Recovery      Recovery
	Audit         Audit
	// PageKey is a keyed hash (HMAC) over the parts: it signs forms and cookies, so it must be the
	// same in every process that serves this page.
	PageKey func(parts ...string) []byte
	// PublicURL is where links start. Forms from pages of any other origin are refused.
	PublicURL  func() string
	Now        func() time.Time // nil: time.Now
	Random     io.Reader        // draws codes; nil: crypto/rand
	Log        *slog.Logger     // nil: nothing is logged
	Registerer prometheus.Registerer
}

type handler struct {
	Config
	stylesheet webpage.Stylesheet
	pages      *prometheus.CounterVec
}

// New makes the handler of everything under /enrol/.
func New(cfg Config) http.Handler {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Random == nil {
		cfg.Random = rand.Reader
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	h := &handler{
		Config:     cfg,
		stylesheet: webpage.NewStylesheet(styles),
		pages: promauto.With(cfg.Registerer).NewCounterVec(prometheus.CounterOpts{
			Name: "assent_enrol_pages_total",
			Help: "Requests of enrolment pages, by what was shown or done.",
		}, []string{"result"}),
	}
	mux := http.NewServeMux()
	mux.Handle("/enrol/"+h.stylesheet.Name, h.stylesheet)
	for _, at := range []struct {
		path      string
		get, post step
	}{
		{"", h.overview, nil},
		{"/done", h.done, nil},
		{"/add/{kind}", h.offer, h.add},
		{"/devices/{device}", h.unfinished, h.finish},
		{"/devices/{device}/rename", h.askRename, h.rename},
		{"/devices/{device}/default", h.askDefault, h.makeDefault},
		{"/devices/{device}/remove", h.askRemove, h.remove},
		{"/proof", h.askProof, h.prove},
	} {
		mux.HandleFunc("/enrol/{token}"+at.path, h.serve(at.get, at.post))
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) {
		h.notice(h.visit(w, r), http.StatusNotFound, resultUnknown, sayUnknown)
	})
	return mux
}

// The results that assent_enrol_pages_total counts.
const (
	resultShown       = "shown"
	resultDone        = "done"
	resultRefused     = "refused"
	resultLimited     = "limited"
	resultWaiting     = "waiting"
	resultNoCookie    = "no_cookie"
	resultForeign     = "foreign_origin"
	resultMalformed   = "malformed"
	resultUnknown     = "unknown"
	resultEnded       = "ended"
	resultLocked      = "locked"
	resultUnavailable = "unavailable"
)

// step answers one request of a visit whose link is good.
type step func(ctx context.Context, v *visit)

func (h *handler) serve(get, post step) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), answerWithin)
		defer cancel()
		v := h.visit(w, r)
		switch {
		case r.Method == http.MethodGet || r.Method == http.MethodHead:
			switch {
			case fromElsewhere(r):
				h.arrive(v)
			case h.load(ctx, v, sayAway):
				get(ctx, v)
			}
		case r.Method == http.MethodPost && post != nil:
			h.posted(ctx, v, post)
		default:
			allowed := "GET, HEAD"
			if post != nil {
				allowed += ", POST"
			}
			w.Header().Set("Allow", allowed)
			h.notice(v, http.StatusMethodNotAllowed, resultMalformed, sayUnknown)
		}
	}
}

// posted lets through the forms of this very page, from the browser that it was shown to.
func (h *handler) posted(ctx context.Context, v *visit, post step) {
	if webpage.Foreign(v.r, h.PublicURL()) {
		h.notice(v, http.StatusForbidden, resultForeign, sayElsewhere)
		return
	}
	r := v.r
	r.Body = http.MaxBytesReader(v.out, r.Body, maxForm)
	if err := r.ParseForm(); err != nil {
		h.notice(v, http.StatusBadRequest, resultMalformed, sayElsewhere)
		return
	}
	v.typed = r.PostForm
	if !h.load(ctx, v, sayNotSaved) {
		return
	}
	if v.sees.nonce == "" || !equal(v.typed.Get("form"), h.form(v)) {
		h.notice(v, http.StatusForbidden, resultNoCookie, sayCookieLost)
		return
	}
	post(ctx, v)
}

// load finds the link, its user and the user's devices; where it cannot, it has answered.
func (h *handler) load(ctx context.Context, v *visit, away says) bool {
	var err error
	v.link, err = h.Links.Find(ctx, v.token)
	if v.link.ID != "" {
		v.words = catalog.For(v.r, v.link.Locale)
	}
	switch {
	case errors.Is(err, verification.ErrNotFound):
		h.notice(v, http.StatusNotFound, resultUnknown, sayUnknown)
		return false
	case errors.Is(err, enrolment.ErrExpired):
		h.notice(v, http.StatusGone, resultEnded, sayExpired)
		return false
	case errors.Is(err, enrolment.ErrWithdrawn):
		h.notice(v, http.StatusGone, resultEnded, sayWithdrawn)
		return false
	case err == nil:
		v.user, err = h.Users.User(ctx, v.link.Account, v.link.UserID)
	}
	if errors.Is(err, verification.ErrNotFound) { // removed since
		h.notice(v, http.StatusGone, resultEnded, sayWithdrawn)
		return false
	}
	if err == nil && v.user.Barred() {
		h.notice(v, http.StatusForbidden, resultLocked, sayLocked)
		return false
	}
	if err == nil {
		err = h.devices(ctx, v)
	}
	if err == nil {
		err = h.guard(ctx, v)
	}
	if err != nil {
		h.away(v, away, err)
		return false
	}
	v.listed = true
	return true
}

// devices reads what the user has, and what was begun with this link and is not proved yet.
func (h *handler) devices(ctx context.Context, v *visit) error {
	all, err := h.Users.Devices(ctx, v.link.Account, v.link.UserID)
	if err != nil && !errors.Is(err, verification.ErrNotFound) {
		return err //nolint:wrapcheck // logged as what it is
	}
	for i, d := range all {
		if d.Active() || d.Pending.Link != v.link.ID {
			continue
		}
		if d.Factor == device.VoiceMatch { // a number keyed into a call comes without a request of the page
			now, err := h.Enrolments.Get(ctx, v.link.Account, d.ID)
			if err != nil && !errors.Is(err, verification.ErrNotFound) {
				return err //nolint:wrapcheck // logged as what it is
			}
			if err == nil && now.Device.Active() {
				all[i] = now.Device
				continue
			}
		}
		v.begun = append(v.begun, d)
	}
	v.has = device.InOrder(all, v.user.DeviceOrder)
	return nil
}

// guard makes a link need a proof for good once its user is seen with something to prove: else removing that would open the
// account to whoever has the link. A bypass token alone does not: it ends by itself.
func (h *handler) guard(ctx context.Context, v *visit) error {
	if v.link.Guarded {
		return nil
	}
	if len(v.has) == 0 {
		stock, err := h.Recovery.RecoveryCodes(ctx, v.link.Account, v.link.UserID)
		if err != nil || stock.Left == 0 {
			return err //nolint:wrapcheck // logged as what it is
		}
	}
	var err error
	v.link, err = h.Links.Change(ctx, v.link, func(l *enrolment.Link) error {
		l.Guarded = true
		return nil
	})
	return err //nolint:wrapcheck // logged as what it is
}

// away answers where something cannot be reached.
func (h *handler) away(v *visit, say says, err error) {
	h.Log.ErrorContext(v.r.Context(), "enrolment page not served", "enrolment_id", v.link.ID, "err", err)
	v.out.Header().Set("Retry-After", "60")
	h.notice(v, http.StatusServiceUnavailable, resultUnavailable, say)
}

// root is where all these pages stand, as browsers see it.
func (h *handler) root() string { return webpage.Below(h.PublicURL(), "/enrol/") }

// Adding writes what people add into the audit log, before it counts: for enrolment.Enrolments.
func Adding(log Audit, now func() time.Time) func(ctx context.Context, d device.Device) error {
	return func(ctx context.Context, d device.Device) error {
		_, err := log.RecordOnce(ctx, audit.Entry{
			Account: d.Credential, EventID: d.ID, Actor: audit.Person, Action: audit.DeviceAdded, Subject: d.ID, UserID: d.UserID,
			Details: map[string]string{"enrolment_id": d.Pending.Link, "kind": string(d.Kind)}, At: now().UTC(),
		})
		return err //nolint:wrapcheck // the caller says what it did
	}
}
