package verifier

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/verification"
)

// Guard keeps people from being asked more than is good for them. All it does bears repetition.
type Guard interface {
	// Answered takes what the person answered out of what they left unanswered.
	Answered(ctx context.Context, v verification.Verification) error
	// Roads are those of a verification that an answer of this kind, with this evidence, may have come back on; at
	// least one.
	Roads(ctx context.Context, id, kind, evidence string) ([]events.FallbackStep, error)
	// Freeze keeps the account's verifications back until a time: from a road's address and, where whole is set,
	// from all devices that its user has on its channel too; where there is no user, from the address alone.
	Freeze(ctx context.Context, v verification.Verification, road events.FallbackStep, whole bool, until time.Time) error
}

// Audit keeps the audit log.
type Audit interface {
	// RecordOnce stores the first entry of an EventID and no other; first tells that it was this one.
	RecordOnce(ctx context.Context, e audit.Entry) (first bool, err error)
}

// NotMe is what follows where a person says that a request was not theirs.
type NotMe struct {
	// Freeze is what gets no verifications for the time For: an app that was asked by push, the address that was asked
	// on whichever road, all devices of its user on that channel as well, or nothing.
	Freeze string        `koanf:"freeze"`
	For    time.Duration `koanf:"for"`
}

// What may be frozen.
const (
	FreezePush    = "push"
	FreezeDevice  = "device"
	FreezeChannel = "channel"
	FreezeOff     = "off"
)

// DefaultNotMe keeps prompts from a phone for longer than one that is on its way lives. It keeps nothing else back: who
// is being attacked must still get in, and a number that gets no codes would keep out the person and nobody else.
func DefaultNotMe() NotMe { return NotMe{Freeze: FreezePush, For: 20 * time.Minute} }

// Validate lists what is wrong, each as "key: what is wanted".
func (n NotMe) Validate() []error {
	var faults []error
	if !slices.Contains([]string{FreezePush, FreezeDevice, FreezeChannel, FreezeOff}, n.Freeze) {
		faults = append(faults, errors.New("freeze: want push, device, channel or off"))
	}
	if n.For < time.Minute || n.For > 24*time.Hour {
		faults = append(faults, errors.New("for: want 1m to 24h"))
	}
	return faults
}

// follow does what follows from an answer beyond its outcome. The same event that comes again after its outcome was
// stored comes here again, and finishes what a process that was killed left undone.
func (v *Verifier) follow(ctx context.Context, r events.ResponseReceived, after verification.Verification) error {
	if v.Guard == nil || after.ID == "" || after.Trial { // nothing has this id, or nothing follows from it
		return nil
	}
	noted := v.Guard.Answered(ctx, after)
	if noted != nil {
		noted = fmt.Errorf("note an answer: %w", noted)
	}
	if r.Decision != events.NotMe || after.Status != verification.Denied || after.Reason != verification.NotMe {
		return noted
	}
	return errors.Join(noted, v.warn(ctx, r, after))
}

// warn tells the audit log that a request was not the person's, and freezes, whether or not the log could be told. All
// that is stored follows from the verification alone, so that it is the same however often it is stored.
func (v *Verifier) warn(ctx context.Context, r events.ResponseReceived, after verification.Verification) error {
	roads, err := v.Guard.Roads(ctx, after.ID, r.Kind, r.Evidence)
	if err != nil {
		return fmt.Errorf("find who said that it was not them: %w", err)
	}
	until, frozen := after.ClosedAt.Add(v.NotMe.For), v.NotMe.freezes(roads)
	details := map[string]string{
		"channel": listed(roads, func(s events.FallbackStep) string { return string(s.Channel) }), "answer": r.Kind, "freeze": FreezeOff,
	}
	if devices := listed(roads, func(s events.FallbackStep) string { return s.DeviceID }); devices != "" {
		details["device_id"] = devices
	}
	if len(frozen) > 0 {
		details["freeze"], details["until"] = v.NotMe.Freeze, until.UTC().Format(time.RFC3339)
	}
	first, err := v.Audit.RecordOnce(ctx, audit.Entry{
		// An id that comes from an idempotency key may return in another life.
		EventID: fmt.Sprintf("%s-%d", after.ID, after.ClosedAt.UnixMilli()), Account: after.Credential, Actor: audit.Person,
		Action: audit.NotMe, Subject: after.ID, UserID: after.UserID, Details: details, At: after.ClosedAt,
	})
	if err != nil {
		err = fmt.Errorf("audit %s: %w", audit.NotMe, err)
	}
	if first {
		v.Log.Warn("a person says that a request was not theirs", "verification_id", after.ID, "kind", r.Kind)
		if v.Warned != nil {
			v.Warned(string(roads[0].Channel))
		}
	}
	for _, road := range frozen {
		whole := v.NotMe.Freeze == FreezeChannel && road.DeviceID != ""
		if failed := v.Guard.Freeze(ctx, after, road, whole, until); failed != nil {
			err = errors.Join(err, fmt.Errorf("freeze: %w", failed))
		}
	}
	return err
}

// freezes are the roads, of those that an answer may have come back on, that are to be frozen.
func (n NotMe) freezes(roads []events.FallbackStep) []events.FallbackStep {
	switch n.Freeze {
	case FreezeOff:
		return nil
	case FreezePush:
		return slices.DeleteFunc(slices.Clone(roads), func(s events.FallbackStep) bool { return s.Channel != events.Push })
	default:
		return roads
	}
}

// listed are the different values of roads, such as "sms,email".
func listed(roads []events.FallbackStep, value func(events.FallbackStep) string) string {
	var all []string
	for _, r := range roads {
		if x := value(r); x != "" && !slices.Contains(all, x) {
			all = append(all, x)
		}
	}
	return strings.Join(all, ",")
}
