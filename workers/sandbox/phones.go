package sandbox

import (
	"crypto/ecdsa"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"
)

const (
	maxPhones    = 1000
	phoneIDBytes = 16
	maxPhoneName = 60
	fcmTokenMark = ":APA91b"
	webPushMark  = "w." // no id of a removed app begins so
)

// phone is an app install that the sandbox plays: it receives pushes and signs answers.
type phone struct {
	id        string
	platform  string // apns, fcm or webpush
	name      string
	token     string // what its carrier knows it by
	pushToken string // the same, but for Web Push, where it is the whole subscription
	publicKey []byte // PKIX, DER
	key       *ecdsa.PrivateKey
	browser   *browser // what messages are encrypted for; Web Push only
}

type phoneView struct {
	ID        string `json:"id"`
	Platform  string `json:"platform"`
	Name      string `json:"name"`
	PushToken string `json:"push_token"`
	PublicKey []byte `json:"public_key"` // base64 in JSON
}

func (p *phone) view() phoneView {
	return phoneView{p.id, p.platform, p.name, p.pushToken, p.publicKey}
}

// phones makes and recognises sandbox phones. A push token carries a random part and a mark only
// this account can make, and the key follows from both; so nothing must be kept.
type phones struct {
	account   Account
	publicURL func() string // where endpoints of Web Push are

	mu      sync.Mutex
	ordered []*phone // oldest first
	known   map[string]*phone
}

func newPhones(a Account, publicURL func() string) *phones {
	return &phones{account: a, publicURL: publicURL, known: map[string]*phone{}}
}

func (p *phones) mark(platform string, random []byte) []byte {
	mac := hmac.New(sha256.New, p.account.phones)
	mac.Write([]byte("token/" + platform + "/"))
	mac.Write(random)
	return mac.Sum(nil)
}

// token has the shape that the platform's own tokens have.
func (p *phones) token(platform string, random []byte) string {
	mark := p.mark(platform, random)
	switch platform {
	case providerAPNs:
		return hex.EncodeToString(random) + hex.EncodeToString(mark[:16])
	case providerWebPush:
		return webPushMark + base64.RawURLEncoding.EncodeToString(random) + "." + base64.RawURLEncoding.EncodeToString(mark[:16])
	}
	return base64.RawURLEncoding.EncodeToString(random) + fcmTokenMark + base64.RawURLEncoding.EncodeToString(mark)
}

// parse finds platform and random part of a token that this account made.
func (p *phones) parse(token string) (platform string, random []byte, ok bool) {
	if raw, err := hex.DecodeString(token); err == nil && len(raw) == 2*phoneIDBytes {
		platform, random = providerAPNs, raw[:phoneIDBytes]
	} else if rest, found := strings.CutPrefix(token, webPushMark); found {
		head, _, _ := strings.Cut(rest, ".")
		platform, random = providerWebPush, drawn(head)
	} else if head, _, found := strings.Cut(token, fcmTokenMark); found {
		platform, random = providerFCM, drawn(head)
	}
	if random == nil || !equal(strings.ToLower(token), strings.ToLower(p.token(platform, random))) {
		return "", nil, false
	}
	return platform, random, true
}

// drawn is the random part of a token, or nil where it is none.
func drawn(text string) []byte {
	raw, err := base64.RawURLEncoding.DecodeString(text)
	if err != nil || len(raw) != phoneIDBytes {
		return nil
	}
	return raw
}

// byToken is the sandbox phone of a carrier's token, or nil when it is somebody else's. A phone of
// an earlier process is recognised; only its name is forgotten.
func (p *phones) byToken(token string) *phone {
	p.mu.Lock()
	defer p.mu.Unlock()
	if one := p.known[token]; one != nil {
		return one
	}
	platform, random, ok := p.parse(token)
	if !ok {
		return nil
	}
	one := p.build(platform, random)
	if one == nil {
		return nil
	}
	one.name = "Phone " + one.id[:4]
	p.keep(one)
	return one
}

func (p *phones) build(platform string, random []byte) *phone {
	d := deriver{secret: p.account.phones}
	key := d.p256("phone/" + platform + "/" + hex.EncodeToString(random))
	if key == nil {
		return nil
	}
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	if err != nil {
		return nil
	}
	one := &phone{id: hex.EncodeToString(random), platform: platform, token: p.token(platform, random), publicKey: der, key: key}
	one.pushToken = one.token
	if platform == providerWebPush {
		if one.browser = d.browser(one.id); one.browser == nil {
			return nil
		}
		one.pushToken = one.browser.subscription(p.publicURL() + webPushPath + one.token)
	}
	return one
}

func (p *phones) keep(one *phone) {
	if len(p.ordered) >= maxPhones {
		delete(p.known, p.ordered[0].token)
		p.ordered = p.ordered[1:]
	}
	p.ordered = append(p.ordered, one)
	p.known[one.token] = one
}

func (p *phones) add(platform, name string) *phone {
	random := make([]byte, phoneIDBytes)
	_, _ = rand.Read(random)
	random[0] |= 1 // so that no token starts like one of a removed app
	one := p.build(platform, random)
	if one == nil {
		return nil
	}
	one.name = name
	p.mu.Lock()
	defer p.mu.Unlock()
	p.keep(one)
	return one
}

func (p *phones) list() []phoneView {
	p.mu.Lock()
	defer p.mu.Unlock()
	all := make([]phoneView, 0, len(p.ordered))
	for _, one := range p.ordered {
		all = append(all, one.view())
	}
	return all
}

func (s *Sandbox) listPhones(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, map[string]any{"phones": s.phones.list()})
}

func (s *Sandbox) addPhone(w http.ResponseWriter, r *http.Request) {
	var in struct {
		Platform string `json:"platform"`
		Name     string `json:"name"`
	}
	if !decodeJSON(w, r, &in) {
		return
	}
	var errs []fieldError
	if !slices.Contains([]string{providerAPNs, providerFCM, providerWebPush}, in.Platform) {
		errs = append(errs, fieldError{"#/platform", "want apns, fcm or webpush"})
	}
	if utf8.RuneCountInString(in.Name) > maxPhoneName || strings.ContainsFunc(in.Name, unicode.IsControl) {
		errs = append(errs, fieldError{"#/name", "want at most 60 characters, none of them a control character"})
	}
	if len(errs) > 0 {
		writeProblem(w, invalid(errs...))
		return
	}
	if in.Name = strings.TrimSpace(in.Name); in.Name == "" {
		in.Name = "Sandbox phone"
	}
	one := s.phones.add(in.Platform, in.Name)
	if one == nil {
		writeProblem(w, problem{http.StatusInternalServerError, "internal", "The phone's key could not be made.", nil})
		return
	}
	s.inbox.signal(changePhones)
	writeJSON(w, http.StatusCreated, one.view())
}
