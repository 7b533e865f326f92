package apns

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"encoding/asn1"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"sync"
	"time"
)

// tokenLife is for how long a provider token is used. Apple takes one for an hour, and a new one once in twenty
// minutes for a team.
const tokenLife = 30 * time.Minute

// tokenMargin is how much later than its time a token is used first, so that clocks that are a little
// behind do not find it made in the future.
const tokenMargin = time.Minute

// signer makes the provider tokens of one key. All processes make the same ones without a word to each other:
// a token's time is a half hour of the clock, and its signature is deterministic (RFC 6979).
type signer struct {
	key    *ecdsa.PrivateKey
	header string
	team   string

	mu     sync.Mutex
	issued time.Time
	bearer string
}

func newSigner(key *ecdsa.PrivateKey, keyID, team string) (*signer, error) {
	if key.Curve != elliptic.P256() {
		return nil, errors.New("the key is not of the curve P-256")
	}
	header, err := json.Marshal(struct {
		Alg string `json:"alg"`
		Kid string `json:"kid"`
	}{"ES256", keyID})
	if err != nil {
		return nil, fmt.Errorf("encode the header: %w", err)
	}
	return &signer{key: key, header: base64.RawURLEncoding.EncodeToString(header), team: team}, nil
}

// token is the one of a time.
func (s *signer) token(now time.Time) (string, error) {
	issued := now.Add(-tokenMargin).Truncate(tokenLife)
	s.mu.Lock()
	defer s.mu.Unlock()
	if issued.Equal(s.issued) {
		return s.bearer, nil
	}
	claims, err := json.Marshal(struct {
		Iss string `json:"iss"`
		Iat int64  `json:"iat"`
	}{s.team, issued.Unix()})
	if err != nil {
		return "", fmt.Errorf("encode the claims: %w", err)
	}
	signed := s.header + "." + base64.RawURLEncoding.EncodeToString(claims)
	digest := sha256.Sum256([]byte(signed))
	der, err := s.key.Sign(nil, digest[:], crypto.SHA256) // without randomness it is deterministic
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	signature, err := fixed(der)
	if err != nil {
		return "", err
	}
	s.issued, s.bearer = issued, signed+"."+base64.RawURLEncoding.EncodeToString(signature)
	return s.bearer, nil
}

// fixed is a signature in the form of JWS: two numbers of 32 bytes (RFC 7518, 3.4).
func fixed(der []byte) ([]byte, error) {
	var parts struct{ R, S *big.Int }
	if _, err := asn1.Unmarshal(der, &parts); err != nil {
		return nil, fmt.Errorf("read the signature: %w", err)
	}
	const size = 32
	b := make([]byte, 2*size)
	parts.R.FillBytes(b[:size])
	parts.S.FillBytes(b[size:])
	return b, nil
}
