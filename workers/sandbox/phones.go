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
)

// phone is an app install that the sandbox plays: it receives pushes and signs answers.
type phone struct {
	id        string
	platform  string // apns or fcm
	name      string
	pushToken string
	publicKey []byte // PKIX, DER
	key       *ecdsa.PrivateKey
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
	account Account

	mu      sync.Mutex
	ordered []*phone // oldest first
	known   map[string]*phone
}

func newPhones(a Account) *phones { return &phones{account: a, known: map[string]*phone{}} }

func (p *phones) mark(platform string, random []byte) []byte {
	mac := hmac.New(sha256.New, p.account.phones)
	mac.Write([]byte("token/" + platform + "/"))
	mac.Write(random)
	return mac.Sum(nil)
}

// token has the shape that the platform's own tokens have.
func (p *phones) token(platform string, random []byte) string {
	mark := p.mark(platform, random)
	if platform == providerAPNs {
		return hex.EncodeToString(random) + hex.EncodeToString(mark[:16])
	}
	return base64.RawURLEncoding.EncodeToString(random) + fcmTokenMark + base64.RawURLEncoding.EncodeToString(mark)
}

// parse finds platform and random part of a token that this account made.
func (p *phones) parse(token string) (platform string, random []byte, ok bool) {
	if raw, err := hex.DecodeString(token); err == nil && len(raw) == 2*phoneIDBytes {
		platform, random = providerAPNs, raw[:phoneIDBytes]
	} else if head, _, found := strings.Cut(token, fcmTokenMark); found {
		if raw, err := base64.RawURLEncoding.DecodeString(head); err == nil && len(raw) == phoneIDBytes {
			platform, random = providerFCM, raw
		}
	}
	if random == nil || !equal(strings.ToLower(token), strings.ToLower(p.token(platform, random))) {
		return "", nil, false
	}
	return platform, random, true
}

// byToken is the sandbox phone of a push token, or nil when it is somebody else's. A phone of
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
	return &phone{id: hex.EncodeToString(random), platform: platform, pushToken: p.token(platform, random), publicKey: der, key: key}
}

func (p *phones) keep(one *phone) {
	if len(p.ordered) >= maxPhones {
		delete(p.known, p.ordered[0].pushToken)
		p.ordered = p.ordered[1:]
	}
	p.ordered = append(p.ordered, one)
	p.known[one.pushToken] = one
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
	if in.Platform != providerAPNs && in.Platform != providerFCM {
		errs = append(errs, fieldError{"#/platform", "want apns or fcm"})
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
