package enrol

import (
	"context"
	"errors"

	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

// guess counts a code against the link that is about to be compared with a device, or with the recovery codes. It fails with
// *verification.LimitError, so that who has the link only leaves the person some guesses.
func (h *handler) guess(ctx context.Context, v *visit, with string) error {
	_, err := h.Links.Change(ctx, v.link, func(l *enrolment.Link) error { return l.Guess(with, h.Now()) })
	return err //nolint:wrapcheck // logged as what it is
}

// errOtherOpen says that the person has another request to answer, whose place a push of the page would take.
var errOtherOpen = errors.New("another request is open")

// within asks for a proof by a message where the link has one left, so that who has the link only can neither take the place
// of what the client asks nor use up the person's limits. It fails with enrolment.ErrAsked, enrolment.ErrPushed, errOtherOpen,
// *verification.LimitError, or as send does.
func (h *handler) within(ctx context.Context, v *visit, asked verification.Verification, send func() error) error {
	if asked.Channel == verification.TOTP { // no message, but a record
		if _, err := h.Links.Change(ctx, v.link, func(l *enrolment.Link) error { return l.Open(h.Now()) }); err != nil {
			return err //nolint:wrapcheck // logged as what it is
		}
		return send()
	}
	a := enrolment.Asking{ID: asked.ID, Push: asked.Channel == verification.Push}
	if a.Push {
		own := make([]string, len(v.link.Asked))
		for i, before := range v.link.Asked {
			own[i] = before.ID
		}
		open, err := h.Verifications.PromptOpen(ctx, v.link.Account, v.user.ID, own)
		if err == nil && open {
			err = errOtherOpen
		}
		if err != nil {
			return err //nolint:wrapcheck // logged as what it is
		}
	}
	if _, err := h.Links.Change(ctx, v.link, func(l *enrolment.Link) error { return l.Ask(a) }); err != nil {
		return err //nolint:wrapcheck // logged as what it is
	}
	err := send()
	if err != nil {
		// One that cannot be given back is one less for this link.
		_, _ = h.Links.Change(context.WithoutCancel(ctx), v.link, func(l *enrolment.Link) error {
			l.Unask(a)
			return nil
		})
	}
	return err
}

// answered gives back what a question took that proved somebody, and what was guessed before; a recovery code answers none.
// Where it cannot, the link has less left.
func (h *handler) answered(ctx context.Context, v *visit, verificationID string) {
	_, _ = h.Links.Change(ctx, v.link, func(l *enrolment.Link) error {
		l.Proved(verificationID)
		return nil
	})
}
