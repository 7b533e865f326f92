package callbacks

import (
	"context"
	"fmt"
	"net/http"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/suppression"
)

// Suppressions keeps the list of those who get no messages. Both bear being told twice.
type Suppressions interface {
	// Suppress puts an address on the list, for the messages of everybody; the first entry stays.
	Suppress(ctx context.Context, e suppression.Entry) error
	// Resume takes an address off that a person had put there.
	Resume(ctx context.Context, channel suppression.Channel, to string) (removed bool, err error)
}

// kindSuppression counts what was put on the list, and taken off.
const kindSuppression = "suppression"

// keyword is what a text message asks of the list. Twilio's own reading counts where it has one: it has acted
// on it already.
func keyword(f form) suppression.Keyword {
	switch f.Get("OptOutType") {
	case "STOP":
		return suppression.KeywordStop
	case "START":
		return suppression.KeywordStart
	case "HELP":
		return suppression.KeywordHelp
	default:
		return suppression.KeywordOf(f.Get("Body"))
	}
}

// optOut does what a keyword asks. done tells that the message is no answer to a question as well.
func (h *handler) optOut(r *http.Request, f form) (done bool, err error) {
	if h.Suppressions == nil {
		return false, nil
	}
	from := f.Get("From")
	switch keyword(f) {
	case suppression.KeywordStop:
		return true, h.suppress(r.Context(), suppression.Entry{
			Channel: suppression.SMS, To: from, Covers: suppression.All, Cause: suppression.Stop, Provider: twilio, At: h.Now().UTC(),
		})
	case suppression.KeywordStart:
		// Twilio takes YES for one; here it may answer a question too.
		_, answers := h.Decision(f.Get("Body"))
		return !answers, h.resume(r.Context(), suppression.SMS, from, twilio)
	case suppression.KeywordHelp:
		return true, nil
	default:
		return false, nil
	}
}

func (h *handler) suppress(ctx context.Context, e suppression.Entry) error {
	if err := h.Suppressions.Suppress(ctx, e); err != nil {
		return fmt.Errorf("suppress address: %w", err)
	}
	h.count(e.Provider, kindSuppression, resultPublished)
	h.Log.InfoContext(ctx, "address gets no messages", "channel", string(e.Channel), "provider", e.Provider, "cause", string(e.Cause), "detail", e.Detail)
	return nil
}

func (h *handler) resume(ctx context.Context, channel suppression.Channel, to, provider string) error {
	removed, err := h.Suppressions.Resume(ctx, channel, to)
	if err != nil {
		return fmt.Errorf("resume address: %w", err)
	}
	result := resultIgnored
	if removed {
		result = resultPublished
		h.Log.InfoContext(ctx, "address gets messages again", "channel", string(channel), "provider", provider)
	}
	h.count(provider, kindSuppression, result)
	return nil
}

// blocked is Twilio's code for a number whose person replied STOP.
const blocked = "21610"

// stopped notes a number of which Twilio says with a message's status that its person replied STOP.
func (h *handler) stopped(ctx context.Context, f form) error {
	if h.Suppressions == nil || f.Get("ErrorCode") != blocked || !phoneNumber(f.Get("To")) {
		return nil
	}
	return h.suppress(ctx, suppression.Entry{
		Channel: suppression.SMS, To: f.Get("To"), Covers: suppression.All, Cause: suppression.Stop, Provider: twilio, Detail: blocked,
		At: h.Now().UTC(),
	})
}

// mailbox notes what an event says of a mailbox. Only events of our own messages count: others may send with the
// same account. Whether the message is still known plays no part, since people report spam days later.
func (h *handler) mailbox(ctx context.Context, e mailEvent) error {
	if h.Suppressions == nil || !ours(e.VerificationID) {
		return nil
	}
	to, err := address.Mailbox(e.Email)
	if err != nil {
		return nil //nolint:nilerr // an event without a mailbox says nothing of one
	}
	entry := suppression.Entry{
		Channel: suppression.Email, To: to, Covers: suppression.All, Provider: sendgrid, Detail: e.Event, At: h.happened(e),
	}
	switch e.Event {
	case "bounce":
		entry.Cause, entry.Detail = suppression.Bounce, enhancedCode(e.Status)
		if e.Type == "blocked" || !events.HardBounce(entry.Detail) {
			return nil
		}
	case "spamreport":
		entry.Cause = suppression.SpamReport
	case "unsubscribe", "group_unsubscribe":
		entry.Cause, entry.Covers = suppression.Stop, suppression.Notifications
	case "group_resubscribe":
		return h.resume(ctx, suppression.Email, to, sendgrid)
	case "dropped": // SendGrid refuses all that goes there
		_, entry.Detail = dropReason(e.Reason)
		switch entry.Detail {
		case "bounced_address":
			entry.Cause = suppression.Bounce
		case "spam_reporting_address":
			entry.Cause = suppression.SpamReport
		case "unsubscribed_address":
			entry.Cause = suppression.Stop
		default:
			return nil
		}
	default:
		return nil
	}
	return h.suppress(ctx, entry)
}

// ours tells whether an id has the form of those of our messages.
func ours(id string) bool {
	_, _, _, message := events.ParseMessageID(id)
	return message || events.ValidID(id)
}
