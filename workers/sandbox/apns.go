package sandbox

import (
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"math/big"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/events"
)

const (
	maxAPNsPayload = 4096
	maxVoIPPayload = 5120
	maxCollapseID  = 64
	providerToken  = time.Hour // life of a provider token
)

func writeAPNs(w http.ResponseWriter, status int, reason string, gone time.Time) {
	v := map[string]any{"reason": reason}
	if status == http.StatusGone {
		v["timestamp"] = gone.UnixMilli()
	}
	writeJSON(w, status, v)
}

func (s *Sandbox) apnsDialect() dialect {
	return dialect{
		channel: events.Push, provider: providerAPNs,
		refuse: func(w http.ResponseWriter) { writeAPNs(w, http.StatusBadRequest, "BadDeviceToken", time.Time{}) },
		throttle: func(w http.ResponseWriter, after int) {
			setRetryAfter(w, after)
			writeAPNs(w, http.StatusTooManyRequests, "TooManyRequests", time.Time{})
		},
	}
}

// serveAPNs takes notifications over HTTP/2, as Apple's gateway does.
func (s *Sandbox) serveAPNs(w http.ResponseWriter, r *http.Request) {
	if r.ProtoMajor != 2 {
		w.Header().Set("Connection", "close")
		http.Error(w, "APNs speaks HTTP/2 only", http.StatusHTTPVersionNotSupported)
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	id := r.Header.Get("Apns-Id")
	if _, bad := uuid.Parse(id); id == "" || bad != nil {
		id = strings.ToUpper(uuid.NewString())
	}
	w.Header().Set("Apns-Id", id)
	token, ok := strings.CutPrefix(r.URL.Path, "/sandbox/apns/3/device/")
	status, reason := 0, ""
	switch {
	case r.URL.Path == "/sandbox/apns/3/device" || (ok && token == ""):
		status, reason = http.StatusBadRequest, "MissingDeviceToken"
	case !ok || strings.Contains(token, "/"):
		status, reason = http.StatusNotFound, "BadPath"
	case r.Method != http.MethodPost:
		status, reason = http.StatusMethodNotAllowed, "MethodNotAllowed"
	case err != nil:
		status, reason = http.StatusRequestEntityTooLarge, "PayloadTooLarge"
	default:
		status, reason = s.apnsAuth.check(s, r.Header.Values("Authorization"))
	}
	if reason != "" {
		writeAPNs(w, status, reason, time.Time{})
		return
	}
	if s.misbehave(w, r, s.apnsDialect()) {
		return
	}
	if status, reason = s.checkNotification(r.Header, token, body); reason != "" {
		writeAPNs(w, status, reason, s.now().Add(-time.Hour))
		return
	}
	var payload map[string]json.RawMessage
	if json.Unmarshal(body, &payload) != nil || payload["aps"] == nil {
		writeAPNs(w, http.StatusBadRequest, "PayloadEmpty", time.Time{})
		return
	}
	m := &message{
		complete: true, channel: events.Push, provider: providerAPNs, providerID: id, to: token, from: r.Header.Get("Apns-Topic"),
		data: map[string]string{}, status: "accepted", receivedAt: s.now().UTC(), request: recordRequest(r, body), phone: s.phones.byToken(token),
	}
	m.subject, m.text = visibleAlert(payload["aps"])
	for k, v := range payload {
		if k != "aps" {
			m.data[k] = plain(v)
		}
	}
	m.code = s.find.codePushed(m.data)
	w.Header().Set("Apns-Unique-Id", uuid.NewString())
	s.receive(m)
	w.WriteHeader(http.StatusOK)
}

// visibleAlert is the title and the whole text that the phone shows.
func visibleAlert(aps json.RawMessage) (title, text string) {
	var v struct {
		Alert json.RawMessage `json:"alert"`
	}
	if json.Unmarshal(aps, &v) != nil || len(v.Alert) == 0 {
		return "", ""
	}
	var parts struct {
		Title    string `json:"title"`
		Subtitle string `json:"subtitle"`
		Body     string `json:"body"`
	}
	if json.Unmarshal(v.Alert, &parts) != nil {
		return "", plain(v.Alert)
	}
	return parts.Title, joinLines(parts.Title, parts.Subtitle, parts.Body)
}

func joinLines(parts ...string) string {
	return strings.Join(slices.DeleteFunc(parts, func(s string) bool { return s == "" }), "\n")
}

// plain is a JSON string's content, or the JSON itself for other values.
func plain(v json.RawMessage) string {
	var s string
	if json.Unmarshal(v, &s) == nil {
		return s
	}
	return string(v)
}

func (s *Sandbox) checkNotification(h http.Header, token string, body []byte) (int, string) {
	const bad = http.StatusBadRequest
	for _, name := range []string{"Apns-Id", "Apns-Topic", "Apns-Push-Type", "Apns-Expiration", "Apns-Priority", "Apns-Collapse-Id"} {
		if len(h.Values(name)) > 1 {
			return bad, "DuplicateHeaders"
		}
	}
	kinds := []string{
		"alert", "background", "location", "voip", "complication", "fileprovider", "mdm", "liveactivity", "pushtotalk", "widgets", "controls",
	}
	kind, priority, expiration := h.Get("Apns-Push-Type"), h.Get("Apns-Priority"), h.Get("Apns-Expiration")
	limit := maxAPNsPayload
	if kind == "voip" {
		limit = maxVoIPPayload
	}
	_, noID := uuid.Parse(h.Get("Apns-Id"))
	_, noHex := hex.DecodeString(token)
	_, noTime := strconv.ParseUint(expiration, 10, 63)
	switch {
	case outcomeOf(events.Push, token) == outcomeGone:
		return http.StatusGone, "Unregistered"
	case noHex != nil || len(token) < 64 || len(token) > 200:
		return bad, "BadDeviceToken"
	case h.Get("Apns-Topic") == "":
		return bad, "MissingTopic"
	case h.Get("Apns-Topic") != s.account.APNsTopic:
		return bad, "TopicDisallowed"
	case !slices.Contains(kinds, kind):
		return bad, "InvalidPushType"
	case h.Get("Apns-Id") != "" && noID != nil:
		return bad, "BadMessageId"
	case expiration != "" && noTime != nil:
		return bad, "BadExpirationDate"
	case priority != "" && !slices.Contains([]string{"1", "5", "10"}, priority), kind == "background" && priority == "10":
		return bad, "BadPriority"
	case len(h.Get("Apns-Collapse-Id")) > maxCollapseID:
		return bad, "BadCollapseId"
	case len(body) == 0:
		return bad, "PayloadEmpty"
	case len(body) > limit:
		return http.StatusRequestEntityTooLarge, "PayloadTooLarge"
	}
	return 0, ""
}

// apnsAuth checks provider tokens and remembers the last good one, because a provider
// sends the same token for most of an hour.
type apnsAuth struct {
	mu   sync.Mutex
	key  *ecdsa.PublicKey
	good string
	iat  time.Time
}

func (a *apnsAuth) check(s *Sandbox, authorization []string) (int, string) {
	const refused = http.StatusForbidden
	if len(authorization) == 0 {
		return refused, "MissingProviderToken"
	}
	scheme, token, ok := strings.Cut(authorization[0], " ")
	if !ok || !strings.EqualFold(scheme, "bearer") || token == "" {
		return refused, "InvalidProviderToken"
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	if token != a.good {
		iat, err := a.verify(s.account, token)
		if err != nil || iat.After(s.now().Add(time.Minute)) {
			return refused, "InvalidProviderToken"
		}
		a.good, a.iat = token, iat
	}
	if s.now().Sub(a.iat) > providerToken {
		return refused, "ExpiredProviderToken"
	}
	return 0, ""
}

var errProviderToken = errors.New("not a provider token of this account")

// verify checks signature, key id and team of an ES256 token and returns when it was issued.
func (a *apnsAuth) verify(account Account, token string) (time.Time, error) {
	if a.key == nil {
		block, _ := pem.Decode(account.APNsKey)
		if block == nil {
			return time.Time{}, errProviderToken
		}
		parsed, err := x509.ParsePKCS8PrivateKey(block.Bytes)
		key, ok := parsed.(*ecdsa.PrivateKey)
		if err != nil || !ok {
			return time.Time{}, errProviderToken
		}
		a.key = &key.PublicKey
	}
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return time.Time{}, errProviderToken
	}
	var head struct{ Alg, Kid string }
	var claims struct {
		Iss string
		Iat int64
	}
	signature, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(signature) != 64 || !decodePart(parts[0], &head) || !decodePart(parts[1], &claims) {
		return time.Time{}, errProviderToken
	}
	digest := sha256.Sum256([]byte(parts[0] + "." + parts[1]))
	r, v := new(big.Int).SetBytes(signature[:32]), new(big.Int).SetBytes(signature[32:])
	if head.Alg != "ES256" || head.Kid != account.APNsKeyID || claims.Iss != account.APNsTeamID || !ecdsa.Verify(a.key, digest[:], r, v) {
		return time.Time{}, errProviderToken
	}
	return time.Unix(claims.Iat, 0), nil
}

func decodePart(part string, v any) bool {
	b, err := base64.RawURLEncoding.DecodeString(part)
	return err == nil && json.Unmarshal(b, v) == nil
}
