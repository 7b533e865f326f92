package accept

import (
	"context"
	"encoding/hex"
	"fmt"
	"net/http"
	"strconv"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/verification"
)

// maxTyped is how much of what was typed is shown again: a number with room to spare.
const maxTyped = 32

// answer is what somebody pressed and typed.
type answer struct {
	decision events.Decision
	typed    string // as it goes back onto the page
	digits   string // what it says; empty where it is no number, or none is asked for
}

func answerOf(r *http.Request, v verification.Verification) answer {
	a := answer{decision: events.Decision(r.PostForm.Get("decision"))}
	if v.NumberLength == 0 {
		return a
	}
	typed := []rune(r.PostForm.Get("number"))
	a.typed, a.digits = string(typed[:min(len(typed), maxTyped)]), webpage.Digits(string(typed))
	return a
}

// guarded tells whether only somebody who sees the other screen can give this answer.
func (a answer) guarded() bool { return a.decision == events.Approve && a.digits != "" }

// response is the event that an answer becomes. Equal answers are one event, so that a button pressed twice counts
// once, and other numbers are others. A number stands in it as its keyed hash only. The same number typed
// again after it was called wrong is another try: it comes from a page that was made later.
func (h *handler) response(ctx context.Context, v verification.Verification, a answer, shown form) (events.ResponseReceived, error) {
	e := events.ResponseReceived{
		Version: events.Version, EventID: events.ResponseLink + ":" + v.ID + ":" + string(a.decision),
		ID: v.ID, Kind: events.ResponseLink, Decision: a.decision, Evidence: string(v.Channel), ReceivedAt: h.Now().UTC(),
	}
	if !a.guarded() {
		return e, nil
	}
	var err error
	if e.Number, err = h.Verifications.NumberHash(ctx, v.ID, a.digits); err != nil {
		return e, fmt.Errorf("hash number: %w", err)
	}
	e.EventID += ":" + hex.EncodeToString(e.Number) + ":" + strconv.Itoa(shown.tried)
	return e, nil
}
