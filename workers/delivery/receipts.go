package delivery

import (
	"context"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
)

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
