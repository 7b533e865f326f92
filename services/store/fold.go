package store

import (
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// fold makes a verification of its two records; o is nil while nothing has changed.
func fold(a events.VerificationActivated, o *events.VerificationChanged, revision uint64) verification.Verification {
	v := verification.Verification{
		ID: a.ID, Credential: a.Credential,
		Channel: verification.Channel(a.Channel), Challenge: verification.Challenge(a.Challenge),
		UserID: a.UserID, DeviceID: a.DeviceID, ToMasked: a.ToMasked, Locale: a.Locale, Brand: a.Brand,
		Context:  verification.Context(a.Context),
		Metadata: a.Metadata, CodeLength: a.CodeLength, MaxChecks: a.MaxChecks,
		NumberLength: a.NumberLength, NumberHash: a.NumberHash, SecretHash: a.SecretHash,
		Trial: a.Trial, CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt, Sends: a.Send,
		Status: verification.Pending, ChangedAt: a.CreatedAt, Revision: revision,
	}
	for _, f := range a.Fallback {
		v.Fallback = append(v.Fallback, verification.Step{
			Channel: verification.Channel(f.Channel), After: time.Duration(f.After) * time.Second, DeviceID: f.DeviceID, UserID: f.UserID,
			ToMasked: f.ToMasked,
		})
	}
	if a.Challenge == events.Approval && len(a.NumberHash) == 0 {
		v.NumberHash = a.SecretHash // a record of before the number had a field of its own
	}
	if o == nil {
		return v
	}
	v.Status, v.Reason = verification.Status(o.Status), verification.Reason(o.Reason)
	v.ChecksUsed, v.Tried, v.ChangedAt = o.ChecksUsed, o.Tried, o.ChangedAt
	if o.ClosedAt != nil {
		v.ClosedAt = *o.ClosedAt
	}
	v.Proof = proofOf(o.Proof)
	return v
}

// outcomeOf is the record of the half that changes.
func outcomeOf(v verification.Verification) events.VerificationChanged {
	o := events.VerificationChanged{
		Version: events.Version, ID: v.ID, Status: string(v.Status), Reason: string(v.Reason),
		ChecksUsed: v.ChecksUsed, Tried: v.Tried, ChangedAt: v.ChangedAt,
	}
	if !v.ClosedAt.IsZero() {
		o.ClosedAt = &v.ClosedAt
	}
	if p := v.Proof; p != nil {
		o.Proof = &events.Proof{
			DeviceID: p.DeviceID, Decision: events.Decision(p.Decision), NumberDigest: p.NumberDigest,
			AnsweredAt: p.AnsweredAt, Signature: p.Signature,
		}
	}
	return o
}

func proofOf(p *events.Proof) *verification.Proof {
	if p == nil {
		return nil
	}
	return &verification.Proof{
		DeviceID: p.DeviceID, Decision: verification.Decision(p.Decision), NumberDigest: p.NumberDigest,
		AnsweredAt: p.AnsweredAt, Signature: p.Signature,
	}
}
