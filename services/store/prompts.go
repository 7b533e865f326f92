package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/verification"
)

// PromptLimits says how many push prompts in a row a user may leave unanswered.
type PromptLimits struct {
	// MaxUnanswered of them in UnansweredFor, and no more are sent; zero: there is no limit.
	MaxUnanswered int           `koanf:"max_unanswered"`
	UnansweredFor time.Duration `koanf:"unanswered_for"`
}

// DefaultPromptLimits leaves a bombed phone five prompts an hour. The limit of sends has room for thirty: it is there
// for what messages cost, forgets within minutes, and counts resends and codes too.
func DefaultPromptLimits() PromptLimits {
	return PromptLimits{MaxUnanswered: 5, UnansweredFor: time.Hour}
}

// How many the record of one user holds at most: with a limit, and without one, where they are only there to be
// replaced. Those before were replaced by those after.
const (
	mostPrompts = 100
	mostOpen    = 10
)

// Validate lists what is wrong, each as "key: what is wanted".
func (l PromptLimits) Validate() []error {
	var faults []error
	if l.MaxUnanswered < 0 || l.MaxUnanswered > mostPrompts {
		faults = append(faults, fmt.Errorf("max_unanswered: want 1 to %d, or 0 for no limit", mostPrompts))
	}
	if l.UnansweredFor < time.Minute || l.UnansweredFor > 24*time.Hour {
		faults = append(faults, errors.New("unanswered_for: want 1m to 24h"))
	}
	return faults
}

// promptTries bounds how often a lost compare-and-set is tried again. Each time somebody else's prompt was taken.
const promptTries = 2 * mostPrompts

// LimitPrompts makes a fallback's pushes respect a limit; without it they do not.
func (s *Resolver) LimitPrompts(l PromptLimits) { s.promptLimits = l }

// prompt is a push approval on its way into the record of its user. Nil: the question is none.
type prompt struct {
	s       *Resolver
	id      string
	subject string
	// before are those that were asked before it; they give way to it.
	before []events.PromptAsked
	added  bool
}

// takePrompt counts one more unanswered prompt, which goes out at a time, or fails with a *verification.LimitError and
// counts nothing. What is no push approval of a user costs nothing. A verification is one
// prompt, however many of its messages are pushes: a resend or another phone asks the same question again.
func (s *Resolver) takePrompt(ctx context.Context, v verification.Verification, at time.Time) (*prompt, error) {
	if !v.Prompts() {
		return nil, nil //nolint:nilnil // it is none, and that is no fault
	}
	p := &prompt{s: s, id: v.ID, subject: events.PromptSubject(v.Credential, v.UserID)}
	limits := s.promptLimits
	for range promptTries {
		asked, sequence, err := s.promptsAsked(ctx, p.subject)
		if err != nil {
			return nil, err
		}
		p.before = slices.DeleteFunc(limits.counted(asked.Prompts, s.now()), func(q events.PromptAsked) bool {
			return q.ID == v.ID && !ofLife(q, v)
		})
		if place := placeOf(p.before, p.id); place >= 0 { // asked already
			p.before = p.before[:place]
			return p, nil
		}
		if err := limits.refuse(p.before, s.now()); err != nil {
			return nil, err
		}
		asked.Prompts = limits.cut(append(slices.Clone(p.before), events.PromptAsked{ID: v.ID, At: at, ExpiresAt: v.ExpiresAt}))
		asked.Until = at.Add(max(limits.UnansweredFor, verification.LongestLife))
		err = s.putPrompts(ctx, p.subject, asked, sequence)
		if err == nil {
			p.added = true
			return p, nil
		}
		if !errors.Is(err, stream.ErrConflict) {
			return nil, err
		}
	}
	return nil, fmt.Errorf("%w: lost %d compare-and-sets", verification.ErrUnavailable, promptTries)
}

// counted are those that count, or may still be open.
func (l PromptLimits) counted(asked []events.PromptAsked, now time.Time) []events.PromptAsked {
	return slices.DeleteFunc(slices.Clone(asked), func(p events.PromptAsked) bool {
		return !now.Before(p.ExpiresAt) && !l.counts(p, now)
	})
}

// cut leaves the newest, as many as the record may hold.
func (l PromptLimits) cut(asked []events.PromptAsked) []events.PromptAsked {
	most := mostPrompts
	if l.MaxUnanswered == 0 {
		most = mostOpen
	}
	return asked[max(0, len(asked)-most):]
}

func (l PromptLimits) counts(p events.PromptAsked, now time.Time) bool {
	return l.MaxUnanswered > 0 && now.Before(p.At.Add(l.UnansweredFor))
}

// refuse fails where no more are sent, and says when the first of the last few leaves the window.
func (l PromptLimits) refuse(asked []events.PromptAsked, now time.Time) error {
	if l.MaxUnanswered == 0 {
		return nil
	}
	asked = slices.DeleteFunc(slices.Clone(asked), func(p events.PromptAsked) bool { return !l.counts(p, now) })
	if len(asked) < l.MaxUnanswered {
		return nil
	}
	leaves := asked[len(asked)-l.MaxUnanswered].At.Add(l.UnansweredFor)
	return &verification.LimitError{
		Policy: verification.PolicyPrompts, Quota: l.MaxUnanswered, Window: l.UnansweredFor, RetryAfter: max(time.Second, leaves.Sub(now)),
	}
}

// giveBack takes a prompt that was not sent out of the record. One that cannot be taken out now leaves by itself.
func (p *prompt) giveBack(ctx context.Context) {
	if p == nil || !p.added {
		return
	}
	_ = p.s.answeredPrompts(context.WithoutCancel(ctx), p.subject, func(asked []events.PromptAsked) []events.PromptAsked {
		return slices.DeleteFunc(asked, func(q events.PromptAsked) bool { return q.ID == p.id })
	})
}

// replace closes what the user was asked before, now that this prompt is stored: only the newest can be answered. Of
// two at once, each looks for the other after it is stored itself, so that one of them sees both. What cannot be closed
// now closes with the next prompt, or at its end; the new one is on its way whether or not this succeeds.
func (p *prompt) replace(ctx context.Context) {
	if p == nil {
		return
	}
	ctx = context.WithoutCancel(ctx) // a client that left has replaced the older ones all the same
	for _, q := range p.before {
		if p.s.now().Before(q.ExpiresAt) {
			p.close(ctx, q.ID)
		}
	}
	asked, _, err := p.s.promptsAsked(ctx, p.subject)
	if err != nil {
		return
	}
	for _, q := range asked.Prompts[placeOf(asked.Prompts, p.id)+1:] {
		if placeOf(p.before, q.ID) >= 0 { // the person answered this one, and with it none of those before
			continue
		}
		if p.pushed(ctx, q.ID) { // else it may never be sent
			p.close(ctx, p.id)
			return
		}
	}
}

// pushed tells whether one of a verification's pushes to the same user is on its way: the first message, or one of the
// steps.
func (p *prompt) pushed(ctx context.Context, id string) bool {
	a, _, err := p.s.freshActivation(ctx, id)
	if err != nil {
		return false
	}
	asks := func(e events.VerificationActivated) bool {
		return e.Channel == events.Push && events.PromptSubject(e.Credential, e.UserID) == p.subject
	}
	if asks(a) {
		return true
	}
	for i, f := range a.Fallback {
		if f.Channel != events.Push {
			continue
		}
		step, err := p.s.activations.Latest(ctx, events.FallbackSubject(f.Channel, id, i+1))
		if err != nil {
			continue
		}
		if e, err := events.Decode[events.VerificationActivated](step.Data); err == nil && e.CreatedAt.Equal(a.CreatedAt) && asks(e) {
			return true
		}
	}
	return false
}

func (p *prompt) close(ctx context.Context, id string) {
	if v, err := p.s.Get(ctx, id); err == nil && !v.Status.Closed() {
		_, _ = p.s.Resolve(ctx, id, verification.Replaced{}) // it may have been answered meanwhile
	}
}

func placeOf(asked []events.PromptAsked, id string) int {
	return slices.IndexFunc(asked, func(p events.PromptAsked) bool { return p.ID == id })
}

// ofLife tells whether a prompt under a verification's id is its own: an id that comes from an idempotency key returns
// before its prompt leaves the record.
func ofLife(p events.PromptAsked, v verification.Verification) bool {
	return !events.EarlierLife(v.CreatedAt, p.At) && !p.At.After(v.ExpiresAt)
}

// Answered takes what the person answered out of what they left unanswered: with an approval all pushes that came before
// its own, with a denial its own; and what never arrived, which nobody left. What was never pushed answers none. Nor does
// what they say was not theirs: that is no reason to send them more. Repeating it changes nothing. It fails with
// ErrUnavailable.
func (s *Resolver) Answered(ctx context.Context, v verification.Verification) error {
	approved := v.Status == verification.Approved
	own := v.Status == verification.Denied && v.Reason != verification.NotMe || v.Status == verification.Failed
	if !approved && !own {
		return nil
	}
	for _, user := range v.Prompted() {
		err := s.answeredPrompts(ctx, events.PromptSubject(v.Credential, user), func(asked []events.PromptAsked) []events.PromptAsked {
			place := placeOf(asked, v.ID)
			switch {
			case place < 0 || !ofLife(asked[place], v):
				return asked
			case approved:
				return asked[place+1:]
			default:
				return slices.Delete(asked, place, place+1)
			}
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// Resolve is that of a Resolver for who answers at once: the code of an app may stand in for the answer to its push.
// That it is counted as answered may fail; the outcome stands all the same.
func (s *Verifications) Resolve(ctx context.Context, id string, f verification.Fact) (verification.Verification, error) {
	v, err := s.Resolver.Resolve(ctx, id, f)
	if err == nil {
		_ = s.Answered(context.WithoutCancel(ctx), v)
	}
	return v, err
}

// PromptOpen tells whether a user has a push approval to answer, other than those with the ids.
func (s *Verifications) PromptOpen(ctx context.Context, account, userID string, but []string) (bool, error) {
	asked, _, err := s.promptsAsked(ctx, events.PromptSubject(account, userID))
	if err != nil {
		return false, err
	}
	for _, q := range slices.Backward(asked.Prompts) { // the newest is the one that may be open
		if slices.Contains(but, q.ID) || !s.now().Before(q.ExpiresAt) {
			continue
		}
		v, err := s.Get(ctx, q.ID)
		if err != nil && !errors.Is(err, verification.ErrNotFound) {
			return false, err
		}
		if err == nil && !v.At(s.now()).Status.Closed() {
			return true, nil
		}
	}
	return false, nil
}

// answeredPrompts stores what is left of the record of a user.
func (s *Resolver) answeredPrompts(ctx context.Context, subject string, left func([]events.PromptAsked) []events.PromptAsked) error {
	for range promptTries {
		asked, sequence, err := s.promptsAsked(ctx, subject)
		if err != nil {
			return err
		}
		before := len(asked.Prompts)
		if asked.Prompts = left(asked.Prompts); len(asked.Prompts) == before {
			return nil
		}
		if err = s.putPrompts(ctx, subject, asked, sequence); !errors.Is(err, stream.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("%w: lost %d compare-and-sets", verification.ErrUnavailable, promptTries)
}

// promptsAsked reads the record of a user and its sequence; an empty one where there is none.
func (s *Resolver) promptsAsked(ctx context.Context, subject string) (events.PromptsAsked, uint64, error) {
	rec, err := s.prompts.Latest(ctx, subject)
	if errors.Is(err, stream.ErrAbsent) {
		return events.PromptsAsked{}, 0, nil
	}
	if err != nil {
		return events.PromptsAsked{}, 0, unavailable(err)
	}
	asked, err := events.Decode[events.PromptsAsked](rec.Data)
	return asked, rec.Sequence, err
}

// putPrompts stores the record in the place of the one of this sequence; stream.ErrConflict where another stands there.
func (s *Resolver) putPrompts(ctx context.Context, subject string, asked events.PromptsAsked, before uint64) error {
	asked.Version, asked.Until = events.Version, asked.Until.UTC()
	data, err := events.Encode(asked)
	if err != nil {
		return err
	}
	_, err = s.pub.Put(ctx, subject, data, stream.Expecting(before), stream.WithTTL(asked.Until.Sub(s.now())))
	if err != nil && !errors.Is(err, stream.ErrConflict) {
		return unavailable(err)
	}
	return err
}
