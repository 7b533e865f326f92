package enrol

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/verification"
)

const (
	cookieName   = "assent_enrol"
	nonceBytes   = 16
	cookieFields = 6
	// proofLife is how long a fresh proof is good for.
	proofLife = 10 * time.Minute
)

// visit is one request of a person.
type visit struct {
	out   http.ResponseWriter
	r     *http.Request
	typed url.Values // what came with a form
	token verification.Token
	words *wording

	link  enrolment.Link
	user  device.User
	has   []device.Device // in the order in which they are asked
	begun []device.Device // with this link, and not proved yet
	sees  visitor
	// listed tells that the link is good, so that there is a list to go back to.
	listed bool
}

// visitor is the browser in front of one link, as its cookie tells.
type visitor struct {
	nonce string
	// asked is the verification that was asked for a fresh proof; empty without one.
	asked string
	// until is how long a fresh proof is good; zero without one.
	until time.Time
	// by is the device that proved, enrolment.ByCode or enrolment.ByLast.
	by string
	// said is what the next page says was done, with a count where it has one.
	said  string
	count int
}

func (h *handler) visit(w http.ResponseWriter, r *http.Request) *visit {
	v := &visit{out: w, r: r, token: verification.Token(r.PathValue("token"))}
	v.words = catalog.For(r, "")
	v.sees = h.visitor(v)
	return v
}

// active finds one of the person's devices that count.
func (v *visit) active(id string) (device.Device, bool) { return find(v.has, id) }

func find(devices []device.Device, id string) (device.Device, bool) {
	i := slices.IndexFunc(devices, func(d device.Device) bool { return d.ID == id })
	if i < 0 {
		return device.Device{}, false
	}
	return devices[i], true
}

// hashOf stands for the token wherever it is signed, so that no signed text holds it.
func hashOf(token verification.Token) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

func (h *handler) mac(parts ...string) string {
	return base64.RawURLEncoding.EncodeToString(h.PageKey(append([]string{"enrol"}, parts...)...))
}

func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

// form is what every form of the page carries: only this browser gets it, for this link.
func (h *handler) form(v *visit) string { return h.mac("form", hashOf(v.token), v.sees.nonce) }

// browser stands for this browser in what it begins with this link.
func (h *handler) browser(v *visit) string { return h.mac("browser", hashOf(v.token), v.sees.nonce) }

// begunHere tells whether this very browser began a device. Any other one with the link is not shown its secret or code.
func (h *handler) begunHere(v *visit, d device.Device) bool {
	return v.sees.nonce != "" && equal(d.Pending.Browser, h.browser(v))
}

// visitor reads the cookie. One that is missing, foreign or changed reads as a first visit.
func (h *handler) visitor(v *visit) visitor {
	for _, c := range v.r.CookiesNamed(cookieName) {
		f := strings.Split(c.Value, ".")
		if len(f) != cookieFields+1 || !equal(c.Value, h.sealed(v.token, f[:cookieFields]...)) {
			continue
		}
		sees := visitor{nonce: f[0], asked: f[1], by: f[3], said: f[4], count: int(number(f[5]))}
		if ms := number(f[2]); ms > 0 {
			sees.until = time.UnixMilli(ms)
		}
		return sees
	}
	return visitor{}
}

// number reads what this program wrote and signed.
func number(s string) int64 {
	n, _ := strconv.ParseInt(s, 10, 64)
	return n
}

// sealed is the text of a cookie: its fields, and their signature for one link.
func (h *handler) sealed(token verification.Token, fields ...string) string {
	text := strings.Join(fields, ".")
	return text + "." + h.mac("cookie", hashOf(token), text)
}

// remember sets the cookie; a first visit gets its nonce here.
func (h *handler) remember(v *visit) {
	if v.sees.nonce == "" {
		nonce := make([]byte, nonceBytes)
		_, _ = rand.Read(nonce) // never fails (crypto/rand)
		v.sees.nonce = base64.RawURLEncoding.EncodeToString(nonce)
	}
	until := int64(0)
	if !v.sees.until.IsZero() {
		until = v.sees.until.UnixMilli()
	}
	v.out.Header().Del("Set-Cookie")    // the last one counts
	http.SetCookie(v.out, &http.Cookie{ //nolint:gosec // Secure follows the public URL; assent up is plain http
		Name: cookieName,
		Value: h.sealed(v.token,
			v.sees.nonce, v.sees.asked, strconv.FormatInt(until, 10), v.sees.by, v.sees.said, strconv.Itoa(v.sees.count)),
		Path:     h.root() + url.PathEscape(v.token.Reveal()),
		MaxAge:   max(1, int(v.link.ExpiresAt.Sub(h.Now()).Seconds())),
		HttpOnly: true,
		Secure:   strings.HasPrefix(h.PublicURL(), "https:"),
		SameSite: http.SameSiteStrictMode,
	})
}

// path is a page of this link in the language that the person chose.
func (h *handler) path(v *visit, below string, query ...string) string {
	to := h.root() + url.PathEscape(v.token.Reveal())
	if below != "" {
		to += "/" + below
	}
	q := url.Values{}
	if lang := catalog.Chosen(v.r); lang != "" {
		q.Set("lang", lang)
	}
	for i := 0; i+1 < len(query); i += 2 {
		q.Set(query[i], query[i+1])
	}
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	return to
}

// lead ends a form: what follows is a page of its own, so that reload and Back never do it twice.
func (h *handler) lead(v *visit, below string, query ...string) {
	h.remember(v)
	h.pages.WithLabelValues(resultDone).Inc()
	webpage.SecurityHeaders(v.out)
	v.out.Header().Set("Location", h.path(v, below, query...))
	v.out.WriteHeader(http.StatusSeeOther)
}

// tell makes the next page say what was done.
func (v *visit) tell(said string, count int) { v.sees.said, v.sees.count = said, count }
