package device

import (
	"crypto/hmac"
	"crypto/sha1" //nolint:gosec // RFC 6238 as every authenticator app does it; HMAC-SHA-1 is not broken
	"crypto/subtle"
	"encoding/base32"
	"encoding/binary"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"
)

// One-time codes are those of RFC 6238 in the form that every authenticator app knows.
const (
	secretBytes = 20 // what RFC 4226 recommends: as long as the hash
	codePeriod  = 30 // seconds
	codeDigits  = 6
	codeModulus = 1_000_000
	// drift is how many time steps a device's clock may be off, either way.
	drift = 1
)

// NewSecret draws the secret of an authenticator from random, which must be a CSPRNG.
func NewSecret(random io.Reader) ([]byte, error) {
	secret := make([]byte, secretBytes)
	if _, err := io.ReadFull(random, secret); err != nil {
		return nil, fmt.Errorf("draw secret: %w", err)
	}
	return secret, nil
}

// OneTimeCode is the code that an authenticator with this secret shows at a time.
func OneTimeCode(secret []byte, at time.Time) string { return stepCode(secret, stepAt(at)) }

// MatchCode tells whether a code is the device's at now, or one time step before or after, and of which
// step it is. The caller keeps the step: each may be used once. It takes the same time whichever
// step matches, and an empty secret matches nothing.
func MatchCode(secret []byte, code string, now time.Time) (step int64, ok bool) {
	if len(secret) == 0 {
		return 0, false
	}
	for s := stepAt(now) - drift; s <= stepAt(now)+drift; s++ {
		same := subtle.ConstantTimeCompare([]byte(stepCode(secret, s)), []byte(code)) == 1
		if same {
			step, ok = s, true
		}
	}
	return step, ok
}

func stepAt(t time.Time) int64 { return t.Unix() / codePeriod }

// stepCode is RFC 4226's HOTP value of a counter.
func stepCode(secret []byte, step int64) string {
	mac := hmac.New(sha1.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(step))) //nolint:gosec // steps count from 1970
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 0x0f
	value := binary.BigEndian.Uint32(sum[offset:]) & 0x7fff_ffff
	return fmt.Sprintf("%0*d", codeDigits, value%codeModulus)
}

// SecretText is a secret as people type it into an authenticator app: Base32 without padding.
func SecretText(secret []byte) string {
	return base32.StdEncoding.WithPadding(base32.NoPadding).EncodeToString(secret)
}

// KeyURI is what an authenticator app reads from a QR code. Issuer and account are shown to the person.
func KeyURI(issuer, account, secretText string) string {
	issuer, account = labelPart(issuer), labelPart(account)
	return fmt.Sprintf("otpauth://totp/%s:%s?secret=%s&issuer=%s&algorithm=SHA1&digits=%d&period=%d",
		issuer, account, percent(secretText), issuer, codeDigits, codePeriod)
}

// labelPart keeps the colon that divides a label the only one: apps cut at the first, encoded or not.
func labelPart(s string) string { return percent(strings.ReplaceAll(s, ":", " ")) }

// percent encodes all but the unreserved characters. Many apps show a plus as it stands.
func percent(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
