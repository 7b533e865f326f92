package device

import "time"

// Why a key speaks for a device no more.
const (
	CauseRemoved  = "removed"
	CauseReplaced = "replaced" // another phone took its place
)

// Gone is a key that spoke for a device: what is left to tell the phone that still has it.
type Gone struct {
	PublicKey []byte // PKIX, DER
	Cause     string
	At        time.Time
}
