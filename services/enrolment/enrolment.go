// Package enrolment registers devices, each proved by its owner before it counts: by a
// code, a link, a number keyed into a call, a code of an authenticator app, or a phone
// that joins with an activation code. It decides which proof a factor takes and puts
// the steps in an order that survives being cut short; the stores that it is given keep
// what it makes. The doors call it.
package enrolment

import (
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// Request is what a new device is made of.
type Request struct {
	User   device.User
	Factor device.Factor
	// Client is the credential that asks, whose own suppressions hold for the message as well.
	Client string
	// Name is what the device is called.
	Name string
	// Address is where it is reached; empty: the user's phone or email, as the factor needs.
	Address string
	// Life is how long the proof may take; Shortest is the least that the door allows.
	Life, Shortest time.Duration
	// Proven devices are active at once: the client vouches for the address. Only for phones and mailboxes.
	Proven bool
	// Quiet devices are not asked at once: Ask does.
	Quiet   bool
	Message Message
	// Link is the id of the enrolment link that the owner adds the device by; empty where a client enrols it.
	Link string
	// Browser stands for the browser that the owner begins it in; empty without a link.
	Browser string
	// ProvedBy is what the owner has given a fresh proof with: the id of a device, ByCode or ByLast. Empty without one.
	ProvedBy string
	// Brand is shown to the person; Issuer names the account in an authenticator app.
	Brand, Issuer string
}

// Message is how the person is asked.
type Message struct {
	// Client replaces the enrolment's.
	Client string
	// Text is the client's own wording of a text message; empty: ours.
	Text string
	// RedirectTo is where the accept page leads.
	RedirectTo string
	// Alphanumeric makes the code's first character a letter.
	Alphanumeric bool
	// Life replaces the enrolment's.
	Life time.Duration
	// Shortest is the least life that the door allows.
	Shortest time.Duration
	Brand    string
	Locale   string
	// Context tells the person who asks what from where.
	Context verification.Context
	// Trial is for a question that means nothing.
	Trial bool
}

// State is how an enrolment stands.
type State string

// The states.
const (
	Pending  State = "pending"
	Accepted State = "accepted"
	// Rejected: it expired, the person refused, or too many codes were wrong.
	Rejected State = "rejected"
)

// Enrolment is a device on its way.
type Enrolment struct {
	Device device.Device
	State  State
	// ExpiresAt is when the proof is due; zero once accepted.
	ExpiresAt time.Time
	// Number is what the person keys into the call; told by Begin and Ask only.
	Number verification.Code
	// Secret is an authenticator's in Base32, and JoinCode a phone's activation code; told by Begin only.
	// URI shows either as a key URI, for a QR code.
	Secret, JoinCode, URI string
}

// Phone is what an app sends when it joins.
type Phone struct {
	Name string
	// Platform is device.APNs, device.FCM or device.WebPush; PublicKey is P-256 in PKIX form (DER).
	Platform, PushToken string
	PublicKey           []byte
	// MayRepeat says that this may be the same request once more, whose first answer was lost.
	MayRepeat bool
}

// Joined is what the app gets back.
type Joined struct {
	Device device.Device
	// User is what the app shows: the username, email or name.
	User, Brand string
	// Secret is that of the app's one-time codes, in Base32.
	Secret string
}
