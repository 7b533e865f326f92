package httpapi

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

// firstState is what the first answer to a create said: the verification before anything happened to it.
func firstState(v verification.Verification) verification.Verification {
	v.Status, v.Reason, v.ChecksUsed, v.Revision = verification.Pending, "", 0, 0
	v.ClosedAt, v.ChangedAt = time.Time{}, v.CreatedAt
	return v
}

// revision names a state: it differs wherever anything visible does. Expiry changes the status
// without a write, so the revision alone would not do.
func revision(v verification.Verification) string {
	return strconv.FormatUint(v.Revision, 10) + "." + string(v.Status)
}

func etag(v verification.Verification) string { return `"` + revision(v) + `"` }

func writeJSON(w http.ResponseWriter, status int, body any) {
	data, err := json.Marshal(body)
	if err != nil {
		panic(err) // the wire types hold nothing that JSON cannot
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Content-Length", strconv.Itoa(len(data)))
	w.WriteHeader(status)
	_, _ = w.Write(data) // a client that left is no fault of ours
}

// shown is a verification as a client sees it, with the number that its login screen shows where that is for it.
func (s *Server) shown(ctx context.Context, v verification.Verification, numbers bool) (api.Verification, error) {
	out := wire(v)
	if !numbers {
		return out, nil
	}
	number, err := s.config.Verifications.MatchNumber(ctx, v)
	if err != nil {
		return api.Verification{}, fmt.Errorf("read number to match: %w", err)
	}
	out.MatchNumber = number.Reveal()
	return out, nil
}

func wire(v verification.Verification) api.Verification {
	out := api.Verification{
		ID: v.ID, Status: api.Status(v.Status), Reason: string(v.Reason),
		Channel: api.Channel(v.Channel), Challenge: api.Challenge(v.Challenge), To: v.ToMasked,
		UserID: v.UserID, DeviceID: v.DeviceID, ChecksLeft: v.ChecksLeft(),
		CreatedAt: v.CreatedAt.UTC(), ExpiresAt: v.ExpiresAt.UTC(), Metadata: v.Metadata,
	}
	for _, s := range v.Fallback {
		out.Fallback = append(out.Fallback, api.FallbackStep{
			Channel: api.Channel(s.Channel), After: int(s.After / time.Second), To: s.ToMasked, DeviceID: s.DeviceID,
		})
	}
	if !v.ClosedAt.IsZero() {
		at := v.ClosedAt.UTC()
		out.ClosedAt = &at
	}
	return out
}

func checkedWire(v verification.Verification, valid bool) api.CheckedVerification {
	w := wire(v)
	return api.CheckedVerification{
		Valid: valid, ID: w.ID, Status: w.Status, Reason: w.Reason, Channel: w.Channel, Challenge: w.Challenge, To: w.To,
		UserID: w.UserID, DeviceID: w.DeviceID, ChecksLeft: w.ChecksLeft,
		CreatedAt: w.CreatedAt, ExpiresAt: w.ExpiresAt, ClosedAt: w.ClosedAt, Metadata: w.Metadata,
	}
}

func deliveryWire(d events.DeliverySettled) api.Delivery {
	wire := api.Delivery{
		Status: d.Status, Channel: api.Channel(d.Channel), Step: d.Step, Send: d.Send, Provider: d.Provider, ProviderID: d.ProviderID,
		Reason: d.Reason, Detail: d.Detail, Class: d.Class, Route: d.Route, Attempt: d.Attempt, At: d.At.UTC().Truncate(time.Millisecond),
	}
	switch {
	case d.Status == events.DeliveryRequested: // it names the provider of the message before
		wire.Provider, wire.Route = "", ""
	case d.Status == events.DeliveryBegun:
		wire.Status = "calling"
	case (d.Status == events.DeliveryRetrying || d.Status == events.DeliveryWaiting) && d.Until != nil:
		at := d.Until.UTC().Truncate(time.Millisecond)
		wire.RetryAt = &at
	}
	return wire
}
