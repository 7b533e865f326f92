package delivery

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"runtime/debug"
	"slices"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
)

// Handler is the loop of one channel's worker. All fields but Metrics are required.
type Handler struct {
	Channel events.Channel
	Routes  Routes
	Keys    *keyring.Keyring
	Journal Journal
	Policy  Policy
	Now     func() time.Time
	Log     *slog.Logger
	Metrics *Metrics
}

// Journal is what the loop writes down and reads again. Each call bounds itself in time.
type Journal interface {
	// Begin stores a send record. It fails with stream.ErrConflict where this attempt was begun already.
	Begin(ctx context.Context, d events.DeliverySettled) error
	// Settle stores a report of what happened.
	Settle(ctx context.Context, d events.DeliverySettled) error
	// Reports reads what was reported of a verification so far, oldest first.
	Reports(ctx context.Context, id string) ([]events.DeliverySettled, error)
	// Closed tells whether a verification has been answered, withdrawn, or ended otherwise.
	Closed(ctx context.Context, a events.VerificationActivated) (bool, error)
	// Schedule lets the verifier look at a time.
	Schedule(ctx context.Context, at time.Time, t events.TimerDue) error
	// Bury puts an activation that cannot be delivered aside, with the reason.
	Bury(ctx context.Context, a events.VerificationActivated, reason string) error
}

// Fate says what follows a call of which nobody knows whether the provider took the message.
type Fate string

// The policies for messages of unknown fate.
const (
	// Resend sends the same message again. The person may get it twice.
	Resend Fate = "resend"
	// Hold waits for the provider's receipt. Where none comes in Policy.Hold, although this provider gives
	// receipts, it never had the message, which is sent again; where the provider gives none, it is not.
	Hold Fate = "hold"
)

// Policy is what an operator decides about deliveries.
type Policy struct {
	// SendTimeout bounds one call to a provider.
	SendTimeout time.Duration
	Unknown     Fate
	// Hold is how long a receipt is waited for under the policy hold.
	Hold time.Duration
	// MaxAttempts is how many calls of one message may come to nothing; throttled ones do not count.
	MaxAttempts int
}

// The defaults of Policy.
const (
	// DefaultSendTimeout is above what providers need and below what a person waits. What a process was
	// sending when it was killed waits as long, so that no two processes call for one message at once.
	DefaultSendTimeout = 8 * time.Second
	// DefaultHold is above what nearly all first receipts take.
	DefaultHold        = 30 * time.Second
	DefaultMaxAttempts = 12
)

// The wait before the next attempt doubles from the first to the last value, and varies by half
// so that a fleet does not come back at once.
const (
	firstBackoff = 500 * time.Millisecond
	lastBackoff  = 15 * time.Second
	// minLife is what must be left of a verification for another attempt to make sense.
	minLife = time.Second
	// stale is how old an activation is when it is worth a look whether its verification is still open.
	stale = time.Second
	// heldLook is between two looks for the receipt of a message that is held.
	heldLook = time.Second
	// A report is tried this often at once, and then with pauses while the verification lives.
	settleTries = 3
	settlePause = 250 * time.Millisecond
)

// again makes the broker deliver an activation again after a time. It is an outcome, no failure.
type again struct {
	after time.Duration
	why   error
}

func (e *again) Error() string { return fmt.Sprintf("again in %s: %v", e.after, e.why) }
func (e *again) Unwrap() error { return e.why }

// Handle delivers one activation. It is a Watermill handler: nil acknowledges the message, an
// error makes the broker deliver it again, an events.ErrUndecodable puts it aside.
func (h *Handler) Handle(m *message.Message) error {
	a, err := events.Decode[events.VerificationActivated](m.Payload)
	if err != nil {
		return err
	}
	if a.ID == "" || a.Channel != h.Channel || a.Send < 1 {
		return fmt.Errorf("%w: not an activation of channel %s", events.ErrUndecodable, h.Channel)
	}
	ctx, d := m.Context(), stream.DeliveryOf(m.Context())
	err = h.handle(ctx, a, d != nil && d.Attempt > 1)
	if d == nil || err == nil {
		return err
	}
	after := max(h.backoff(a, 1), settlePause) // a broker in trouble is not hammered
	var e *again
	if errors.As(err, &e) {
		after = h.within(a, e.after)
	}
	d.RetryAfter(after)
	return err
}

// handle delivers an activation. The first time nothing needs to be read: the send record is stored
// under the condition that there is none, and where there is one, a broker that was killed has
// forgotten what it had delivered.
func (h *Handler) handle(ctx context.Context, a events.VerificationActivated, known bool) error {
	var past history
	var err error
	if known {
		if past, err = h.history(ctx, a); err != nil {
			return err
		}
	}
	err = h.step(ctx, a, past, known)
	if errors.Is(err, stream.ErrConflict) && !known {
		return h.handle(ctx, a, true)
	}
	return err
}

func (h *Handler) history(ctx context.Context, a events.VerificationActivated) (history, error) {
	reports, err := h.Journal.Reports(ctx, a.ID)
	if err != nil {
		h.Log.Warn("delivery reports cannot be read", "verification_id", a.ID, "channel", string(a.Channel), "err", err)
		// Only its text goes on: a report that nobody can decode must not bury a sound activation.
		return history{}, errors.New("read delivery reports: " + err.Error())
	}
	return historyOf(a, reports), nil
}

// step does what the history of a message asks for.
func (h *Handler) step(ctx context.Context, a events.VerificationActivated, past history, known bool) error {
	if past.settled != nil {
		return h.awaitReceipt(ctx, a, past) // the process was killed between its report and what follows it
	}
	if past.open {
		if err := h.judge(ctx, a, past); err != nil {
			return err
		}
	}
	if !h.Now().Before(a.ExpiresAt) {
		if past.open {
			return nil // it may have been delivered: that its fate is unknown is the last that is known
		}
		return h.drop(ctx, a, past, "")
	}
	if known || a.Step > 0 || h.Now().Sub(a.RequestedAt) > stale {
		closed, err := h.Journal.Closed(ctx, a)
		if err != nil {
			return err
		}
		if closed && past.open {
			return nil // it may have been delivered, and be what was answered
		}
		if closed {
			return h.drop(ctx, a, past, events.ReasonClosed)
		}
	}
	content, err := h.open(a)
	if err != nil {
		return err
	}
	return h.deliver(ctx, a, content, past)
}

// judge decides about a call of which nobody knows how it ended: nil lets the message be sent again.
func (h *Handler) judge(ctx context.Context, a events.VerificationActivated, past history) error {
	now := h.Now()
	if !now.Before(a.ExpiresAt) {
		return nil
	}
	if left := past.callEnds().Sub(now); left > 0 && !past.noted {
		return &again{left, errors.New("another process may be calling")}
	}
	if !past.noted {
		if err := h.unknown(ctx, a, past.last, errors.New("the process ended during the call")); err != nil {
			return err
		}
	}
	if h.Policy.Unknown != Hold {
		return nil
	}
	until := past.last.At.Add(h.Policy.Hold)
	switch {
	case !past.last.Receipts:
		return &again{a.ExpiresAt.Sub(now), errors.New("held: the provider gives no receipts")}
	case now.Before(until):
		return &again{min(heldLook, until.Sub(now)), errors.New("held: waiting for the provider's receipt")}
	default:
		return nil
	}
}

// unknown reports a call whose fate nobody knows.
func (h *Handler) unknown(ctx context.Context, a events.VerificationActivated, call events.DeliverySettled, cause error) error {
	h.Log.Warn("fate of a delivery is unknown", "verification_id", a.ID, "channel", string(a.Channel), "provider", call.Provider,
		"attempt", call.Attempt, "policy", string(h.Policy.Unknown), "err", cause)
	call.Status, call.Class, call.Detail, call.Until, call.At = events.DeliveryUnknown, string(ClassUnknown), detailOf(cause), nil, h.Now().UTC()
	return h.settle(ctx, call, a.ExpiresAt)
}

// open unseals what to send where. Content that does not belong to this activation is undecodable;
// a key that is missing is the operator's to bring.
func (h *Handler) open(a events.VerificationActivated) (events.DeliveryContent, error) {
	var c events.DeliveryContent
	plain, err := h.Keys.Open(keyring.Channel(h.Channel), a.ID, a.Content)
	if errors.Is(err, keyring.ErrForged) {
		return c, fmt.Errorf("%w: %w", events.ErrUndecodable, err)
	}
	if err != nil {
		h.Log.Error("activation cannot be opened", "verification_id", a.ID, "channel", string(h.Channel), "err", err)
		return c, Misconfigured(err)
	}
	if json.Unmarshal(plain, &c) != nil || c.To == "" {
		return c, fmt.Errorf("%w: sealed content has another form", events.ErrUndecodable)
	}
	return c, nil
}

// deliver asks the message's providers one after the other, each at most once, until one takes it. A nil
// error means settled for good.
func (h *Handler) deliver(ctx context.Context, a events.VerificationActivated, c events.DeliveryContent, past history) error {
	m := messageOf(a, c)
	candidates := h.Routes.Candidates(m, slices.Concat(a.Avoid, past.failed))
	if len(candidates) == 0 {
		return h.fail(ctx, a, report(a, Candidate{}, past.attempts+1, h.Now()), nobody(a.Channel))
	}
	if past.tried >= h.Policy.MaxAttempts { // the last one's fate was unknown, or it could not be given up
		return h.giveUp(ctx, a, report(a, Candidate{Provider: past.last.Provider, Route: past.last.Route}, past.attempts, h.Now()))
	}
	soonest := time.Duration(-1) // when the first of the providers may be asked again
	skipped := false
	note := func(wait time.Duration) {
		if soonest < 0 || wait < soonest {
			soonest = wait
		}
	}
	var last error
	for i, candidate := range candidates {
		done, wait := candidate.Admit()
		if done == nil {
			note(wait)
			skipped = true
			last = errors.Join(last, fmt.Errorf("%s is left alone for %s", candidate.Provider, wait))
			continue
		}
		past.attempts++
		m.Attempt = past.attempts
		next := i < len(candidates)-1
		call := attempt{
			h: h, a: a, m: m, c: candidate, next: next, more: next || skipped, others: others(candidates, candidate.Provider, a.Avoid),
			last: past.tried+1 >= h.Policy.MaxAttempts,
		}
		settled, err := call.make(ctx, done)
		if settled {
			return err
		}
		if call.counts {
			past.tried++
		}
		note(AfterOf(err))
		if last = errors.Join(last, err); call.stop {
			break
		}
	}
	wait := h.backoff(a, past.tried)
	if soonest > wait {
		wait = soonest + rand.N(firstBackoff) //nolint:gosec // all who wait for one provider must not come back at once
	}
	return &again{wait, last}
}

// nobody says why there is no provider for a message.
func nobody(c events.Channel) error {
	if c == events.SMS || c == events.Voice {
		return Permanent(events.ReasonRegionBlocked, errors.New("no rule of the routes matches the number"))
	}
	return Permanent(events.ReasonNotConfigured, errors.New("no provider carries this message"))
}

// attempt is one call to one provider.
type attempt struct {
	h      *Handler
	a      events.VerificationActivated
	m      Message
	c      Candidate
	next   bool // another provider follows at once
	more   bool // another provider follows, at once or when it may be called again
	others bool // another provider could carry the message
	last   bool // if this one counts, the budget is used up

	report events.DeliverySettled
	counts bool // against the budget
	stop   bool // nobody else is to be asked now
}

// make writes the send record, calls, and writes what came of it. settled tells that nobody else is to be
// asked: the message has ended, or what happened could not be written.
func (t *attempt) make(ctx context.Context, done func(error)) (settled bool, err error) {
	h := t.h
	began := h.Now()
	limit := min(h.Policy.SendTimeout, t.a.ExpiresAt.Sub(began))
	t.report = report(t.a, t.c, t.m.Attempt, began)
	record := t.report
	until := began.Add(limit).UTC()
	record.Status, record.Until, record.Receipts = events.DeliveryBegun, &until, t.c.Receipts
	if err := h.Journal.Begin(ctx, record); err != nil {
		done(ErrNotAsked)
		return true, fmt.Errorf("store send record: %w", err)
	}
	sendCtx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	receipt, err := t.send(sendCtx)
	done(err)
	ended := h.Now()
	h.Metrics.sent(h.Channel, t.c.Provider, t.a.RequestedAt, began, ended, err)
	log := h.Log.With("verification_id", t.a.ID, "channel", string(t.a.Channel), "provider", t.c.Provider,
		"attempt", t.m.Attempt, "duration_ms", ended.Sub(began).Milliseconds())
	if err == nil {
		log.Info("delivery sent", "provider_id", receipt.ID)
		t.report.Status, t.report.ProviderID = events.DeliverySent, receipt.ID
		if err := h.settle(ctx, t.report, t.a.ExpiresAt); err != nil {
			return true, err
		}
		return true, h.schedule(ctx, t.a, t.c, began, t.others)
	}
	return t.refused(ctx, log, record, err)
}

// send calls. A sender that panics may have called its provider before.
func (t *attempt) send(ctx context.Context) (receipt Receipt, err error) {
	defer func() {
		if fault := recover(); fault != nil {
			t.h.Log.Error("sender panicked", "verification_id", t.a.ID, "provider", t.c.Provider, "stack", string(debug.Stack()))
			err = Unknown(errors.New("the sender panicked"))
		}
	}()
	return t.c.Sender.Send(ctx, t.m)
}

// refused settles a call that came to nothing, or may have.
func (t *attempt) refused(ctx context.Context, log *slog.Logger, record events.DeliverySettled, err error) (settled bool, _ error) {
	h, class := t.h, ClassOf(err)
	switch {
	case class == ClassPermanent && (!t.more || final(ReasonOf(err))):
		return true, h.fail(ctx, t.a, t.report, err)
	case class == ClassUnknown:
		// Nobody else is asked at once: a receipt may tell in a moment that the message is on its way.
		t.counts, t.stop = true, true
		if unreported := h.unknown(ctx, t.a, record, err); unreported != nil {
			return true, unreported
		}
		return false, err
	case class == ClassMisconfigured:
		log.Error("delivery refused: the provider's configuration needs the operator", "err", err)
	default:
		log.Warn("delivery attempt failed", "class", string(class), "err", err)
	}
	if t.counts = class != ClassRetryAfter; t.counts && t.last {
		return true, h.giveUp(ctx, t.a, t.report)
	}
	t.report.Status, t.report.Class, t.report.Reason, t.report.Detail = events.DeliveryRetrying, string(class), ReasonOf(err), detailOf(err)
	next := h.Now().UTC()
	if !t.next {
		next = next.Add(max(AfterOf(err), firstBackoff))
	}
	t.report.Until = &next
	if unreported := h.settle(ctx, t.report, t.a.ExpiresAt); unreported != nil {
		return true, unreported
	}
	return false, err
}

// final tells of a permanent failure that it is the address that cannot be reached, by no provider.
func final(reason string) bool {
	return reason == events.ReasonUndeliverable || reason == events.ReasonUnsubscribed || reason == events.ReasonDeviceGone
}

// report is what all reports of a call have in common.
func report(a events.VerificationActivated, c Candidate, attempt int, began time.Time) events.DeliverySettled {
	return events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Step: a.Step, Send: a.Send, Provider: c.Provider, Route: c.Route, Attempt: attempt,
		// The time is that of the call: a receipt may overtake the answer, and the timeline keeps its order.
		At: began.UTC(),
	}
}

// fail settles a message that can never arrive.
func (h *Handler) fail(ctx context.Context, a events.VerificationActivated, r events.DeliverySettled, err error) error {
	r.Status, r.Reason, r.Detail = events.DeliveryFailed, ReasonOf(err), detailOf(err)
	h.Log.Warn("delivery failed", "verification_id", a.ID, "channel", string(a.Channel), "provider", r.Provider,
		"attempt", r.Attempt, "reason", r.Reason, "err", err)
	if !final(r.Reason) { // the operator can do something about it
		if err := h.Journal.Bury(ctx, a, r.Reason); err != nil {
			return err
		}
	}
	return h.settle(ctx, r, a.ExpiresAt)
}

// giveUp settles a message that was tried as often as is allowed.
func (h *Handler) giveUp(ctx context.Context, a events.VerificationActivated, r events.DeliverySettled) error {
	r.Until, r.Class, r.At = nil, "", h.Now().UTC()
	return h.fail(ctx, a, r, Permanent(events.ReasonProviderUnavailable, fmt.Errorf("%d attempts came to nothing", h.Policy.MaxAttempts)))
}

// awaitReceipt makes sure that somebody looks whether the receipt of a message comes that is known to
// have been taken.
func (h *Handler) awaitReceipt(ctx context.Context, a events.VerificationActivated, past history) error {
	provider := past.sentBy()
	if provider == "" || past.settled.Status == events.DeliveryDelivered {
		return nil
	}
	c, err := h.open(a)
	if err != nil {
		return err
	}
	candidates := h.Routes.Candidates(messageOf(a, c), nil)
	for _, candidate := range candidates {
		if candidate.Provider == provider {
			return h.schedule(ctx, a, candidate, past.settled.At, others(candidates, provider, a.Avoid))
		}
	}
	return nil
}

// others tells whether a provider that has not been tried in vain could carry what this one has.
func others(candidates []Candidate, provider string, avoid []string) bool {
	return slices.ContainsFunc(candidates, func(c Candidate) bool {
		return c.Provider != provider && !slices.Contains(avoid, c.Provider)
	})
}

// schedule has the verifier look for a receipt, where one is to be expected and something could be done
// without it. Not being able to costs no message: it may be late, as without this.
func (h *Handler) schedule(ctx context.Context, a events.VerificationActivated, c Candidate, sent time.Time, others bool) error {
	due := sent.Add(c.Patience)
	if c.Patience <= 0 || !others && len(a.Fallback) == 0 && a.Step == 0 || !due.Before(a.ExpiresAt.Add(-minLife)) {
		return nil
	}
	err := h.Journal.Schedule(ctx, due, events.TimerDue{
		Kind: events.TimerReceipt, ID: a.ID, Step: a.Step, Send: a.Send, Provider: c.Provider, Other: others,
	})
	if err != nil {
		h.Log.Warn("receipt will not be missed", "verification_id", a.ID, "channel", string(a.Channel), "err", err)
	}
	return nil
}

func messageOf(a events.VerificationActivated, c events.DeliveryContent) Message {
	return Message{
		ID: a.ID, Channel: a.Channel, Challenge: a.Challenge, Step: a.Step, Send: a.Send,
		To: Address(c.To), Code: Code(c.Code), LinkToken: Code(c.Token), NumberLength: a.NumberLength, Choices: c.Choices, Text: Code(c.Text),
		Device: a.Device, DeviceID: a.DeviceID,
		Locale: a.Locale, Brand: a.Brand, Context: a.Context, CreatedAt: a.CreatedAt, ExpiresAt: a.ExpiresAt,
	}
}

// drop settles what came too late, or is not wanted any more; nobody is called.
func (h *Handler) drop(ctx context.Context, a events.VerificationActivated, past history, reason string) error {
	h.Metrics.expired(h.Channel)
	h.Log.Warn("delivery expired", "verification_id", a.ID, "channel", string(a.Channel), "attempt", past.attempts, "reason", reason)
	return h.settle(ctx, events.DeliverySettled{
		ID: a.ID, Channel: a.Channel, Step: a.Step, Send: a.Send, Status: events.DeliveryExpired, Reason: reason,
		Attempt: past.attempts, At: h.Now().UTC(),
	}, a.ExpiresAt)
}

// settle stores a report. Report before acknowledgement: a lost acknowledgement costs a second
// look, a lost report would cost a second message or a stuck verification. So a broker that takes
// no reports is asked until the end of the verification: given up, a message that the provider has
// taken would be sent anew with each attempt.
func (h *Handler) settle(ctx context.Context, r events.DeliverySettled, end time.Time) error {
	// A try whose answer was lost may have been stored: the broker drops what comes after it.
	r.EventID = fmt.Sprintf("worker:%s:%s:%d:%d:%s:%d", r.ID, r.Channel, r.Step, r.Send, r.Status, r.Attempt)
	for try := 1; ; try++ {
		// The report must be stored even when the grace of a shutdown has just ended; each try bounds itself.
		err := h.Journal.Settle(context.WithoutCancel(ctx), r)
		if err == nil {
			return nil
		}
		if try < settleTries {
			continue
		}
		if try == settleTries {
			h.Log.Warn("delivery not reported yet", "verification_id", r.ID, "channel", string(r.Channel), "err", err)
		}
		if !h.Now().Before(end) || !pause(ctx, settlePause) {
			return fmt.Errorf("report delivery: %w", err)
		}
	}
}

// pause waits; false when ctx ended first.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// backoff is how long until the next attempt after so many that came to nothing.
func (h *Handler) backoff(a events.VerificationActivated, tried int) time.Duration {
	backoff := lastBackoff
	if tried = max(tried, 1); tried < 6 {
		backoff = min(lastBackoff, firstBackoff<<(tried-1))
	}
	return h.within(a, backoff/2+rand.N(backoff)) //nolint:gosec // spreads retries, guards nothing
}

// within keeps a wait inside the life of a verification: towards the end attempts come closer, and
// the last delivery then settles as expired.
func (h *Handler) within(a events.VerificationActivated, wait time.Duration) time.Duration {
	left := a.ExpiresAt.Sub(h.Now())
	if left <= minLife {
		return max(left, 0) + time.Millisecond
	}
	return min(max(wait, time.Millisecond), left-minLife/2)
}
