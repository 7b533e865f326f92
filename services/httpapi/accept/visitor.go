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
	// cookieFields and formFields are how many fields each has, without the signature.
	cookieFields = 7
	formFields   = 3
	// led marks, in the cookie, a browser that was led on.
	led = "+"
)

// visitor is the browser in front of one link, as its cookie tells.
type visitor struct {
	nonce    string
	answered events.Decision // what this browser answered last; empty before
	tried    int             // how many numbers had been compared when the page was made that it answered on
	asked    events.Decision // what it pressed last without being heard
	askedAt  time.Time       // when it first pressed that
	signs    signs           // those that stay with the browser
	led      bool            // the page has led it on after its approval
}

// awaits tells whether the verifier's word on this browser's answer is still to come. After a number that did not
// match the question is open again.
func (v visitor) awaits(q verification.Verification) bool {
	if v.answered == events.Approve && q.NumberLength > 0 {
		return q.ChecksUsed <= v.tried
	}
	return v.answered != ""
}

// ask notes an answer that has to be given again.
func (v *visitor) ask(d events.Decision, now time.Time) {
	if v.asked != d {
		v.asked, v.askedAt = d, now
	}
}

// form is what a page's form token says.
type form struct {
	shown time.Time // when the page was first shown
	signs signs     // what was seen then
	tried int       // how many numbers had been compared
}

// hashOf stands for the token wherever it is signed, so that no signed text holds it.
func hashOf(token verification.Token) string {
	sum := sha256.Sum256([]byte(token.Reveal()))
	return hex.EncodeToString(sum[:])
}

func (h *handler) mac(parts ...string) string {
	return base64.RawURLEncoding.EncodeToString(h.PageKey(parts...))
}

func equal(a, b string) bool { return hmac.Equal([]byte(a), []byte(b)) }

// sealed is a text of fields, followed by their signature for one use and link.
func (h *handler) sealed(use string, token verification.Token, bound string, fields ...string) string {
	text := strings.Join(fields, ".")
	return text + "." + h.mac(use, hashOf(token), bound, text)
}

// unseal reads n fields; nil for a text that was sealed for something else, changed, or is none.
func (h *handler) unseal(text, use string, token verification.Token, bound string, n int) []string {
	fields := strings.Split(text, ".")
	if len(fields) != n+1 || !equal(text, h.sealed(use, token, bound, fields[:n]...)) {
		return nil
	}
	return fields
}

func milliseconds(t time.Time) string { return strconv.FormatInt(t.UnixMilli(), 10) }

// number reads what sealed text holds: a number that this program wrote.
func number(s string) int {
	n, _ := strconv.ParseInt(s, 10, 64) // it was signed
	return int(n)
}

// visitor reads the cookie. One that is missing, foreign or changed reads as a first visit.
func (h *handler) visitor(r *http.Request, token verification.Token) visitor {
	for _, c := range r.CookiesNamed(cookieName) {
		if f := h.unseal(c.Value, "cookie", token, "", cookieFields); f != nil {
			return visitor{
				nonce: f[0], answered: events.Decision(f[1]), tried: number(f[2]), asked: events.Decision(f[3]),
				askedAt: time.UnixMilli(int64(number(f[4]))), signs: signs(number(f[5])), led: f[6] == led, //nolint:gosec // 16 bits were written
			}
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
	mark := ""
	if v.led {
		mark = led
	}
	http.SetCookie(w, &http.Cookie{ //nolint:gosec // Secure follows the public URL; assent up is plain http
		Name: cookieName,
		Value: h.sealed("cookie", token, "", v.nonce, string(v.answered), strconv.Itoa(v.tried), string(v.asked),
			milliseconds(v.askedAt), strconv.Itoa(int(v.signs)), mark),
		Path:     h.path(token),
		MaxAge:   int(cookieLife.Seconds()),
		HttpOnly: true,
		Secure:   strings.HasPrefix(h.PublicURL(), "https:"),
		SameSite: http.SameSiteLaxMode,
	})
}

// newForm is a form token, signed together with the link and the cookie.
func (h *handler) newForm(token verification.Token, v visitor, f form) string {
	return h.sealed("form", token, v.nonce, milliseconds(f.shown), strconv.Itoa(int(f.signs)), strconv.Itoa(f.tried))
}

// readForm reads a form token; false for one that was made for another link or browser, or not by us.
func (h *handler) readForm(text string, token verification.Token, v visitor) (form, bool) {
	f := h.unseal(text, "form", token, v.nonce, formFields)
	if f == nil {
		return form{}, false
	}
	return form{shown: time.UnixMilli(int64(number(f[0]))), signs: signs(number(f[1])), tried: number(f[2])}, true //nolint:gosec // 16 bits were written
}
