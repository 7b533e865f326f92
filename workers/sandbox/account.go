package sandbox

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/pem"
	"fmt"
	"log/slog"
)

// Account holds the credentials that the stand-in carriers accept and sign with. All of it
// follows from one secret, so processes that share the secret agree without talking.
type Account struct {
	TwilioAccountSID string // AC and 32 hex digits
	TwilioAuthToken  string // 32 hex digits; also signs Twilio's callbacks
	TwilioFrom       string // the only sender the account owns

	SendGridAPIKey     string
	SendGridWebhookKey *ecdsa.PrivateKey // signs event callbacks

	APNsKeyID  string
	APNsTeamID string
	APNsTopic  string
	APNsKey    []byte // PKCS#8 in PEM, as in a .p8 file

	FCMProjectID string
	FCMToken     string // bearer token

	phones []byte // every sandbox phone's key and token follow from it
}

const minSecretBytes = 16

// AccountFrom derives the account from a secret of at least 16 bytes.
func AccountFrom(secret []byte) (Account, error) {
	if len(secret) < minSecretBytes {
		return Account{}, fmt.Errorf("derive sandbox account: secret has %d bytes, want at least %d", len(secret), minSecretBytes)
	}
	d := deriver{secret: secret}
	apnsKey := d.p256("apns key")
	a := Account{
		TwilioAccountSID:   "AC" + hex.EncodeToString(d.bytes("twilio account", 16)),
		TwilioAuthToken:    hex.EncodeToString(d.bytes("twilio token", 16)),
		TwilioFrom:         "+15005550006", // the sender that Twilio reserves for tests
		SendGridAPIKey:     "SG." + base64.RawURLEncoding.EncodeToString(d.bytes("sendgrid key id", 16)) + "." + base64.RawURLEncoding.EncodeToString(d.bytes("sendgrid key", 32)),
		SendGridWebhookKey: d.p256("sendgrid webhook"),
		APNsKeyID:          base32.StdEncoding.EncodeToString(d.bytes("apns key id", 7))[:10],
		APNsTeamID:         base32.StdEncoding.EncodeToString(d.bytes("apns team id", 7))[:10],
		APNsTopic:          "io.assent.sandbox",
		FCMProjectID:       "assent-sandbox",
		FCMToken:           "ya29." + base64.RawURLEncoding.EncodeToString(d.bytes("fcm token", 48)),
		phones:             d.bytes("phones", 32),
	}
	if d.err != nil {
		return Account{}, fmt.Errorf("derive sandbox account: %w", d.err)
	}
	der, err := x509.MarshalPKCS8PrivateKey(apnsKey)
	if err != nil {
		return Account{}, fmt.Errorf("derive sandbox account: %w", err)
	}
	a.APNsKey = pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})
	return a, nil
}

// String hides the account from every formatter.
func (Account) String() string { return "REDACTED" }

// GoString hides the account from %#v.
func (Account) GoString() string { return "REDACTED" }

// LogValue hides the account from slog.
func (Account) LogValue() slog.Value { return slog.StringValue("REDACTED") }

// deriver expands one secret into many independent ones. It keeps the first error.
type deriver struct {
	secret []byte
	err    error
}

func (d *deriver) bytes(label string, n int) []byte {
	b, err := hkdf.Key(sha256.New, d.secret, nil, "assent/sandbox/"+label, n)
	if err != nil {
		d.err = err
		return make([]byte, n)
	}
	return b
}

// p256 tries derived scalars until one lies within the curve's order; the first nearly always does.
func (d *deriver) p256(label string) *ecdsa.PrivateKey {
	for i := 0; d.err == nil; i++ {
		key, err := ecdsa.ParseRawPrivateKey(elliptic.P256(), d.bytes(fmt.Sprintf("%s/%d", label, i), 32))
		if err == nil {
			return key
		}
	}
	return nil
}
