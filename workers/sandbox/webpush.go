package sandbox

import (
	"crypto/ecdh"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"errors"
	"io"
	"math/big"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/webpush"
	"github.com/assent-io/assent/workers/internal/aes128gcm"
)

const (
	webPushPath = "/sandbox/webpush/"
	maxWebPush  = 4096
	longestAuth = 24 * time.Hour // that a VAPID token may have left (RFC 8292, section 2)
	authBytes   = 16
)

// browser is what messages to one subscription are encrypted for.
type browser struct {
	key  *ecdh.PrivateKey
	auth []byte
}

// browser derives the keys of a phone, or nil where that fails.
func (d *deriver) browser(id string) *browser {
	key := d.p256("webpush key/" + id)
	auth := d.bytes("webpush auth/"+id, authBytes)
	if d.err != nil {
		return nil
	}
	agreeing, err := key.ECDH()
	if err != nil {
		return nil
	}
	return &browser{key: agreeing, auth: auth}
}

// subscription is what the browser would give to whoever may push to it.
func (b *browser) subscription(endpoint string) string {
	return webpush.Subscription{Endpoint: endpoint, Keys: webpush.Keys{
		P256dh: base64.RawURLEncoding.EncodeToString(b.key.PublicKey().Bytes()), Auth: base64.RawURLEncoding.EncodeToString(b.auth),
	}}.Token()
}

func writeWebPush(w http.ResponseWriter, status int, message string) {
	writeJSON(w, status, map[string]any{"code": status, "message": message})
}

func webPushDialect() dialect {
	return dialect{
		channel: events.Push, provider: providerWebPush,
		refuse: func(w http.ResponseWriter) { writeWebPush(w, http.StatusGone, "The subscription has ended.") },
		throttle: func(w http.ResponseWriter, after int) {
			setRetryAfter(w, after)
			writeWebPush(w, http.StatusTooManyRequests, "Too many messages.")
		},
	}
}

// serveWebPush is a push service (RFC 8030) together with the browser behind it.
func (s *Sandbox) serveWebPush(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxWebPush))
	id := strings.TrimPrefix(r.URL.Path, webPushPath)
	if r.Method != http.MethodPost || id == "" || strings.Contains(id, "/") {
		writeWebPush(w, http.StatusNotFound, "A push is posted to the endpoint of a subscription.")
		return
	}
	if err != nil {
		writeWebPush(w, http.StatusRequestEntityTooLarge, "A message has at most 4096 bytes.")
		return
	}
	if status, message := s.vapid(r.Header.Values("Authorization")); status != 0 {
		w.Header().Set("WWW-Authenticate", "vapid")
		writeWebPush(w, status, message)
		return
	}
	if fault := pushFault(r.Header); fault != "" {
		writeWebPush(w, http.StatusBadRequest, fault)
		return
	}
	if s.misbehave(w, r, webPushDialect()) {
		return
	}
	if outcomeOf(events.Push, id) == outcomeGone {
		webPushDialect().refuse(w)
		return
	}
	one := s.phones.byToken(id)
	if one == nil || one.browser == nil {
		writeWebPush(w, http.StatusNotFound, "No such subscription was made here.")
		return
	}
	s.takeWebPush(w, r, one, body)
}

// takeWebPush decrypts a message as the browser would, and shows what the page's worker gets.
func (s *Sandbox) takeWebPush(w http.ResponseWriter, r *http.Request, one *phone, body []byte) {
	text, err := aes128gcm.Open(one.browser.key, one.browser.auth, body)
	if err != nil {
		// No push service can know, but whoever tries the sandbox wants to.
		writeWebPush(w, http.StatusBadRequest, "The message cannot be decrypted with the subscription's keys.")
		return
	}
	data := map[string]string{}
	if json.Unmarshal(text, &data) != nil {
		data = map[string]string{"body": string(text)} // a page may make of it what it likes
	}
	sent := newID()
	s.receive(&message{
		complete: true, channel: events.Push, provider: providerWebPush, providerID: sent, to: one.pushToken, subject: data["title"],
		text: joinLines(data["title"], data["body"]), data: data, code: s.find.codePushed(data), status: "accepted", receivedAt: s.now().UTC(),
		request: recordRequest(r, text), phone: one, // the request is readable as it was before its encryption only
	})
	w.Header().Set("Location", s.publicURL()+webPushPath+"messages/"+sent)
	w.Header().Set("TTL", r.Header.Get("TTL"))
	w.WriteHeader(http.StatusCreated)
}

var topicForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,32}$`)

// pushFault is what is wrong with the headers of a push, or empty.
func pushFault(h http.Header) string {
	_, noTTL := strconv.ParseUint(h.Get("TTL"), 10, 31)
	urgency, topic := h.Get("Urgency"), h.Get("Topic")
	switch {
	case noTTL != nil:
		return "The header TTL is missing, or no number of seconds."
	case h.Get("Content-Encoding") != "aes128gcm":
		return "The header Content-Encoding must be aes128gcm."
	case urgency != "" && !slices.Contains([]string{"very-low", "low", "normal", "high"}, urgency):
		return "The header Urgency must be very-low, low, normal or high."
	case topic != "" && !topicForm.MatchString(topic):
		return "The header Topic must be at most 32 characters of base64url."
	}
	return ""
}

// vapid checks who sends (RFC 8292): any key is taken that the token is signed with.
func (s *Sandbox) vapid(authorization []string) (int, string) {
	if len(authorization) != 1 {
		return http.StatusUnauthorized, "The header Authorization is missing."
	}
	scheme, rest, _ := strings.Cut(authorization[0], " ")
	given := map[string]string{}
	for part := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(strings.TrimSpace(part), "=")
		given[name] = value
	}
	if !strings.EqualFold(scheme, "vapid") || given["t"] == "" || given["k"] == "" {
		return http.StatusUnauthorized, "The header Authorization must be of the form: vapid t=TOKEN, k=KEY."
	}
	if err := s.verifyVAPID(given["t"], given["k"]); err != nil {
		return http.StatusForbidden, "The VAPID token " + err.Error() + "."
	}
	return 0, ""
}

// verifyVAPID finds what is wrong with a token. The words of its errors end a sentence.
func (s *Sandbox) verifyVAPID(token, key string) error {
	point, err := base64.RawURLEncoding.DecodeString(key)
	if err != nil {
		return errors.New("comes with a key that is not in base64url")
	}
	public, err := ecdsa.ParseUncompressedPublicKey(elliptic.P256(), point)
	if err != nil {
		return errors.New("comes with a key that is no point on P-256")
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("is no signed token")
	}
	var head struct{ Alg string }
	var claims struct {
		Aud, Sub string
		Exp      int64
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 || !decodePart(parts[0], &head) || !decodePart(parts[1], &claims) || head.Alg != "ES256" {
		return errors.New("is no token that is signed with ES256")
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	if !ecdsa.Verify(public, digest[:], new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])) {
		return errors.New("is not signed with its key")
	}
	left := time.Unix(claims.Exp, 0).Sub(s.now())
	switch {
	case left <= 0:
		return errors.New("has ended")
	case left > longestAuth:
		return errors.New("lasts longer than a day")
	case claims.Aud != origin(s.publicURL()):
		return errors.New("is for another push service")
	case claims.Sub != "" && !strings.HasPrefix(claims.Sub, "mailto:") && !strings.HasPrefix(claims.Sub, "https:"):
		return errors.New("has a subject that is no mailto: and no https: address")
	}
	return nil
}

// origin is a URL without its path.
func origin(of string) string {
	u, err := url.Parse(of)
	if err != nil {
		return ""
	}
	return u.Scheme + "://" + u.Host
}
