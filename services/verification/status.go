package verification

import "time"

// Status is where a verification stands. All but Pending are closed, and closed never reopens.
type Status string

// The statuses.
const (
	Pending  Status = "pending"
	Approved Status = "approved"
	Denied   Status = "denied"
	Expired  Status = "expired"
	Canceled Status = "canceled"
	Failed   Status = "failed"
)

// Closed tells whether nothing can change any more.
func (s Status) Closed() bool { return s != Pending }

// Reason says why a verification closed, as a stable word that a client can act on. The reasons
// of failed deliveries are those of package events; approved and expired need none.
type Reason string

// The reasons that this package gives.
const (
	TooManyChecks Reason = "too_many_checks"
	// NotMe closes as denied: the person says that somebody else asked.
	NotMe Reason = "not_me"
	// WrongNumber closes as denied: the numbers that came with the approval were not the one shown.
	WrongNumber Reason = "wrong_number"
	// Overtaken closes as canceled: the person was asked anew by push, and answers the newest question only.
	Overtaken Reason = "replaced"
)

// At is the verification as it reads at now: a pending one past its end is expired. Nothing is
// written for that, so nothing needs to sweep.
func (v Verification) At(now time.Time) Verification {
	if v.Status == Pending && !now.Before(v.ExpiresAt) {
		v.Status, v.ClosedAt, v.ChangedAt = Expired, v.ExpiresAt, v.ExpiresAt
	}
	return v
}
