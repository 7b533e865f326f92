package enrol

import (
	"errors"
	"math"
	"net/http"
	"strconv"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/verification"
)

func count(n int) webpage.Part { return webpage.Part{Kind: webpage.Text, Text: strconv.Itoa(n)} }

// refuse shows a step again with what kept it from counting.
func (h *handler) refuse(v *visit, p page, err error) { h.refuseOf(v, p, device.Device{}, err) }

// refuseOf is refuse for a step that asked one device.
func (h *handler) refuseOf(v *visit, p page, d device.Device, err error) {
	var limit *verification.LimitError
	switch {
	case errors.As(err, &limit):
		at := webpage.Clock(h.Now().Add(limit.RetryAfter))
		v.out.Header().Set("Retry-After", strconv.Itoa(int(math.Ceil(limit.RetryAfter.Seconds()))))
		p.blame(v, v.words.limit(limit.Policy), webpage.Named{"time": at})
		h.render(v, http.StatusTooManyRequests, resultLimited, p)
	case errors.As(err, new(*suppression.RefusedError)):
		p.blame(v, v.words.Suppressed, toOf(v, d))
		h.render(v, http.StatusUnprocessableEntity, resultRefused, p)
	case errors.Is(err, enrolment.ErrBegun):
		h.notice(v, http.StatusTooManyRequests, resultLimited, sayBegunOften)
	case errors.Is(err, enrolment.ErrAsked):
		p.blame(v, v.words.LimitAsked, nil)
		h.render(v, http.StatusTooManyRequests, resultLimited, p)
	case errors.Is(err, enrolment.ErrPushed):
		p.blame(v, v.words.LimitPushes, nil)
		h.render(v, http.StatusTooManyRequests, resultLimited, p)
	case errors.Is(err, errOtherOpen):
		p.blame(v, v.words.OtherOpen, nil)
		h.render(v, http.StatusUnprocessableEntity, resultRefused, p)
	case errors.Is(err, enrolment.ErrEnrolled):
		p.blame(v, v.words.Enrolled, nil)
		h.render(v, http.StatusUnprocessableEntity, resultRefused, p)
	case errors.Is(err, enrolment.ErrCrowded):
		h.notice(v, http.StatusUnprocessableEntity, resultRefused, sayCrowded)
	case errors.Is(err, enrolment.ErrLocked):
		h.notice(v, http.StatusForbidden, resultLocked, sayLocked)
	case errors.Is(err, verification.ErrNotFound):
		h.notice(v, http.StatusNotFound, resultUnknown, sayGone)
	default:
		h.away(v, sayNotSaved, err)
	}
}

// limit says which limit is used up.
func (w *wording) limit(policy string) string {
	switch policy {
	case "destination":
		return w.LimitNumber
	case "user":
		return w.LimitUser
	case verification.PolicyPrompts:
		return w.LimitPrompts
	default: // guesses
		return w.LimitCodes
	}
}
