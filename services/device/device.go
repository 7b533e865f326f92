// Package device describes users and the devices they registered: a phone number, a
// mailbox, an app install with its own key, an authenticator app. It is pure; package
// store keeps them.
package device

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/x509"
	"errors"
	"strings"
	"time"
)

// Kind is what a device is.
type Kind string

// The kinds of devices.
const (
	Phone   Kind = "phone"   // a number: sms and voice
	Mailbox Kind = "mailbox" // an email address
	Push    Kind = "push"    // an app install
	TOTP    Kind = "totp"    // an authenticator app that shares a secret
)

// The platforms of push devices.
const (
	APNs    = "apns"
	FCM     = "fcm"
	WebPush = "webpush" // a page of ours in a browser
)

// Factor is the kind of proof that a device was enrolled for. Devices that a client registered by
// address have none: they serve every way that their kind has.
type Factor string

// The factors.
const (
	SMSCode    Factor = "sms_code"
	VoiceMatch Factor = "voice_match" // a number is shown, and keyed into the call
	EmailCode  Factor = "email_code"
	EmailLink  Factor = "email_link"
	AppPush    Factor = "push"
	AppCode    Factor = "totp"
)

// Kind is what kind of device carries the factor; empty for what is none of the factors.
func (f Factor) Kind() Kind {
	switch f {
	case SMSCode, VoiceMatch:
		return Phone
	case EmailCode, EmailLink:
		return Mailbox
	case AppPush:
		return Push
	case AppCode:
		return TOTP
	default:
		return ""
	}
}

// Device is a registered way to reach a user.
type Device struct {
	ID string
	// Number stands for ID where a dialect has integers; unique within the account, and positive.
	Number     int64
	UserID     string
	Credential string // the account that it belongs to
	Kind       Kind
	Factor     Factor
	Name       string
	// Address is the E.164 number, the mailbox, or the push token: of webpush the subscription. Stored sealed, never shown in full.
	Address string
	// Secret is what the device's one-time codes are made of (RFC 6238), 160 bits; empty without.
	// Stored sealed.
	Secret []byte
	// Pending is what is still to be proved; nil once the device is active.
	Pending *Pending
	// Platform and PublicKey (PKIX, DER) are set for push devices.
	Platform  string
	PublicKey []byte
	// TokenAt is the phone's own time of its last change of the push token; zero before the first.
	TokenAt time.Time
	// Counter is how far the phone has counted; zero for those that do not.
	Counter   Counter
	CreatedAt time.Time
}

// Pending is a device whose owner has not proved it yet. It leaves by itself after ExpiresAt.
type Pending struct {
	// VerificationID is the verification that proves it; empty where none was asked yet, and for
	// devices that prove themselves by a join code or a one-time code.
	VerificationID string
	// Link is the id of the enrolment link that its owner added it by; empty where a client enrols it.
	Link string
	// Browser stands for the browser that it was begun in, of those of its link; empty where a client enrols it.
	Browser string
	// ProvedBy is what the owner had proved themselves with when it was begun: a device of theirs, which must count still
	// when this one begins to, or what package enrolment names. Empty without a proof: it counts as a first device only.
	ProvedBy  string
	ExpiresAt time.Time
}

// Active tells whether the device may be asked.
func (d Device) Active() bool { return d.Pending == nil }

// Channels lists the channels a device of this kind can be reached on, its default first.
func (k Kind) Channels() []string {
	switch k {
	case Phone:
		return []string{"sms", "voice"}
	case Mailbox:
		return []string{"email"}
	case Push:
		return []string{"push"}
	case TOTP:
		return []string{"totp"}
	default:
		return nil
	}
}

// Mask hides an address but for what its owner recognises: a number keeps its country code's first
// digit and the last four, a mailbox its first letter and domain, a push token nothing.
func Mask(k Kind, address string) string {
	switch k {
	case Phone:
		if len(address) < 8 {
			return "••••"
		}
		return address[:2] + strings.Repeat("•", len(address)-6) + address[len(address)-4:]
	case Mailbox:
		at := strings.LastIndexByte(address, '@')
		if at < 1 {
			return "••••"
		}
		first := []rune(address[:at])[:1]
		return string(first) + "•••" + address[at:]
	case Push:
		return "push"
	case TOTP:
		return "totp"
	default:
		return "••••"
	}
}

// ErrKey says that a public key is not usable for signing answers.
var ErrKey = errors.New("public key must be a P-256 key in PKIX (SubjectPublicKeyInfo) form")

// CheckPublicKey refuses every key that is not a point on P-256 in PKIX DER form.
func CheckPublicKey(der []byte) error {
	_, err := publicKey(der)
	return err
}

func publicKey(der []byte) (*ecdsa.PublicKey, error) {
	k, err := x509.ParsePKIXPublicKey(der)
	if err != nil {
		return nil, ErrKey
	}
	pub, ok := k.(*ecdsa.PublicKey)
	if !ok || pub.Curve != elliptic.P256() {
		return nil, ErrKey
	}
	return pub, nil
}
