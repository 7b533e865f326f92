package events

import "time"

// Proof is what a phone signed, but for what the activation holds. Whoever has both, and no key, can check it.
type Proof struct {
	DeviceID string   `json:"device_id"`
	Decision Decision `json:"decision"`
	// NumberDigest stands for the number that the person gave: hexadecimal SHA-256 of the verification's salt, a
	// line feed and the number. Empty where none came.
	NumberDigest string `json:"number_digest,omitempty"`
	// AnsweredAt is the phone's time in RFC 3339, exactly as it was signed.
	AnsweredAt string `json:"answered_at"`
	// Signature is r ‖ s or ASN.1 DER, as the phone sent it.
	Signature []byte `json:"signature"`
}

// ApprovalProved is the archived proof of one answer: everything that checking it takes, and nothing that is
// secret. It outlives its verification.
type ApprovalProved struct {
	Version int    `json:"version"`
	ID      string `json:"id"` // of the verification
	Account string `json:"account"`
	UserID  string `json:"user_id,omitempty"`
	Brand   string `json:"brand,omitempty"`
	// DeviceID and Platform are of the app install that answered; PublicKey is the key it was asked with (PKIX, DER).
	DeviceID  string   `json:"device_id"`
	Platform  string   `json:"platform,omitempty"`
	PublicKey []byte   `json:"public_key"`
	Decision  Decision `json:"decision"`
	// Status and Reason are what the answer closed the verification as.
	Status string `json:"status"`
	Reason string `json:"reason,omitempty"`
	// Context is the text that was delivered to the phone, byte by byte.
	Context string `json:"context"`
	// NumberDigest is what was signed, ExpectedNumberDigest that of the number on the other screen; the latter is
	// empty where none was asked for.
	NumberDigest         string `json:"number_digest,omitempty"`
	ExpectedNumberDigest string `json:"expected_number_digest,omitempty"`
	AnsweredAt           string `json:"answered_at"`
	// SignedText is the text whose SHA-256 digest was signed.
	SignedText string    `json:"signed_text"`
	Signature  []byte    `json:"signature"`
	CreatedAt  time.Time `json:"created_at"`
	ClosedAt   time.Time `json:"closed_at"`
}

// DeviceUsed tells when a device last closed a verification with its answer, to the minute.
type DeviceUsed struct {
	Version  int       `json:"version"`
	DeviceID string    `json:"device_id"`
	At       time.Time `json:"at"`
}

func (e ApprovalProved) version() int { return e.Version }
func (e DeviceUsed) version() int     { return e.Version }
