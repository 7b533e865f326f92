package accept

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

const (
	cookieName = "assent_page"
	// cookieLife outlives the longest verification, so that the person who answered still sees their
	// own answer when they come back a little later.
	cookieLife = time.Hour
	nonceBytes = 16
)

// visitor is the browser in front of one link, as its cookie tells.
type visitor struct {
	nonce    string
	answered events.Decision // what this browser answered; empty before
	led      bool            // the page has led it on after its approval
}

// ledOn marks, in the cookie's second part, a browser that was led on.
const ledOn = "+"

// hashOf stands for the token wherever it is signed, so that no signed text holds it.
func hashOf(token verification.Token) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

func (h *handler) mac(parts ...string) string {
	return base64.RawURLEncoding.EncodeToString(h.PageKey(parts...))
}

func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

// visitor reads the cookie. One that is missing, foreign or changed reads as a first visit.
func (h *handler) visitor(r *http.Request, token verification.Token) visitor {
	for _, c := range r.CookiesNamed(cookieName) {
		part := strings.Split(c.Value, ".")
		if len(part) == 3 && equal(part[2], h.mac("cookie", hashOf(token), part[0], part[1])) {
			answered, led := strings.CutSuffix(part[1], ledOn)
			return visitor{nonce: part[0], answered: events.Decision(answered), led: led}
		}
	}
	return visitor{}
}

// remember sets the cookie; a first visit gets its nonce here, a later one keeps it, so that a
// second tab does not spoil the form of the first.
func (h *handler) remember(w http.ResponseWriter, token verification.Token, v *visitor) {
	if v.nonce == "" {
		nonce := make([]byte, nonceBytes)
		_, _ = rand.Read(nonce) // never fails (crypto/rand)
		v.nonce = base64.RawURLEncoding.EncodeToString(nonce)
	}
	state := string(v.answered)
	if v.led {
		state += ledOn
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure follows the public URL; assent up is plain http
		Name:     cookieName,
		Value:    v.nonce + "." + state + "." + h.mac("cookie", hashOf(token), v.nonce, state),
		Path:     h.path(token),
		MaxAge:   int(cookieLife.Seconds()),
		HttpOnly: true,
		Secure:   strings.HasPrefix(h.PublicURL(), "https:"),
		SameSite: http.SameSiteLaxMode,
	})
}

// newForm is a form token: when the page was shown, signed together with the link and the cookie.
func (h *handler) newForm(token verification.Token, v visitor) string {
	at := strconv.FormatInt(h.Now().UnixMilli(), 10)
	return at + "." + h.mac("form", hashOf(token), v.nonce, at)
}

// shownAt is when the page of this form was first shown to this visitor; false for a form that
// was made for another link or browser, or not by us.
func (h *handler) shownAt(form string, token verification.Token, v visitor) (time.Time, bool) {
	at, sum, found := strings.Cut(form, ".")
	if !found || !equal(sum, h.mac("form", hashOf(token), v.nonce, at)) {
		return time.Time{}, false
	}
	ms, err := strconv.ParseInt(at, 10, 64)
	return time.UnixMilli(ms), err == nil
}
