package enrol

import (
	"context"
	"errors"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/recovery"
	"github.com/assent-io/assent/services/verification"
)

// onward is where a proof may lead: to a step that asked for it, and nowhere else.
var onward = regexp.MustCompile(`^(add/(phone|mailbox|totp|push)|devices/[0-9a-f-]{36}(/(rename|default|remove))?)$`)

// proven tells whether this browser may change something: where the link needs a proof, it has given one in the last
// minutes. Otherwise it leads there, and from there to the step that asks.
func (h *handler) proven(v *visit, then string) bool {
	if !v.link.Guarded || h.fresh(v) {
		return true
	}
	h.lead(v, "proof", "then", then)
	return false
}

// fresh tells whether this browser has given a proof that is still good: one of a device that was removed is not.
func (h *handler) fresh(v *visit) bool {
	if !h.Now().Before(v.sees.until) {
		return false
	}
	switch v.sees.by {
	case enrolment.ByCode:
		return true
	case enrolment.ByLast:
		return len(v.has) == 0
	default:
		_, ok := v.active(v.sees.by)
		return ok
	}
}

// provedBy is what this browser has given a proof with that is still good; empty without one.
func (h *handler) provedBy(v *visit) string {
	if !h.fresh(v) {
		return ""
	}
	return v.sees.by
}

// codes tells whether a recovery code or a bypass token can be a proof.
func (h *handler) codes(ctx context.Context, v *visit) (bool, error) {
	stock, err := h.Recovery.RecoveryCodes(ctx, v.link.Account, v.link.UserID)
	if err != nil || stock.Left > 0 {
		return err == nil, err //nolint:wrapcheck // logged as what it is
	}
	open, err := h.Recovery.BypassTokens(ctx, v.link.Account, v.link.UserID)
	return len(open) > 0, err //nolint:wrapcheck // logged as what it is
}

// then is the step that a proof is asked for; the list where it is none.
func then(v *visit) string {
	if to := v.r.URL.Query().Get("then"); onward.MatchString(to) {
		return to
	}
	return ""
}

// askProof shows the ways to prove oneself, or the one that was chosen.
func (h *handler) askProof(ctx context.Context, v *visit) {
	if !v.link.Guarded || h.fresh(v) {
		h.lead(v, then(v))
		return
	}
	codes, err := h.codes(ctx, v)
	if err != nil {
		h.away(v, sayAway, err)
		return
	}
	q := v.r.URL.Query()
	if q.Get("way") == "recovery" {
		h.render(v, http.StatusOK, resultShown, h.recoverPage(v))
		return
	}
	asked, d, err := h.asked(ctx, v)
	if err != nil {
		h.away(v, sayAway, err)
		return
	}
	switch {
	case asked.Status == verification.Approved && h.Now().Before(asked.ClosedAt.Add(proofLife)):
		h.answered(ctx, v, asked.ID)
		h.accept(v, asked.ClosedAt, d.ID, saidProof, 0)
	case asked.Status == verification.Pending && !q.Has("other"):
		h.showAsked(ctx, v, asked, d)
	case !codes && len(v.has) == 0:
		h.notice(v, http.StatusForbidden, resultRefused, sayNothingLeft)
	default:
		p := h.proofPage(v, codes)
		if fault := failed(v.words, asked); fault != "" && !q.Has("other") {
			p.blame(v, fault, toOf(v, d))
		}
		h.render(v, http.StatusOK, resultShown, p)
	}
}

// accept makes a proof count, and goes on to what it was asked for.
func (h *handler) accept(v *visit, at time.Time, by, said string, count int) {
	v.sees.until, v.sees.by, v.sees.asked = at.Add(proofLife), by, ""
	v.tell(said, count)
	h.lead(v, then(v))
}

// asked is the verification that this browser asked for, with its device; the zero value without one.
func (h *handler) asked(ctx context.Context, v *visit) (verification.Verification, device.Device, error) {
	var none verification.Verification
	if v.sees.asked == "" {
		return none, device.Device{}, nil
	}
	asked, err := h.Verifications.Get(ctx, v.sees.asked)
	if errors.Is(err, verification.ErrNotFound) {
		return none, device.Device{}, nil
	}
	if err != nil {
		return none, device.Device{}, err //nolint:wrapcheck // logged as what it is
	}
	d, ok := v.active(asked.DeviceID)
	if !ok || asked.UserID != v.user.ID { // removed since: it proves nothing any more
		return none, device.Device{}, nil
	}
	return asked.At(h.Now()), d, nil
}

// failed says how a question ended that proves nothing.
func failed(w *wording, asked verification.Verification) string {
	switch {
	case asked.Reason == verification.TooManyChecks:
		return w.TooMany
	case asked.Status == verification.Denied:
		return w.Refused
	case asked.Status == verification.Failed:
		return w.NotDelivered
	case asked.Status == verification.Expired && asked.Challenge == verification.ApprovalChallenge:
		return w.Unanswered
	case asked.Status == verification.Expired:
		return w.TooLong
	default:
		return ""
	}
}

func toOf(v *visit, d device.Device) webpage.Named {
	return webpage.Named{"device": {Kind: webpage.Name, Text: nameOf(v, d)}, "address": {Kind: webpage.Code, Text: device.Mask(d.Kind, d.Address)}}
}

// proofPage lists the ways.
func (h *handler) proofPage(v *visit, codes bool) page {
	w := v.words
	p := h.step(v, viewProof, "proof", w.ProofHeading, nil)
	p.Lead, p.None = v.say(w.ProofLead, nil), v.say(w.NoneAtHand, nil)
	words := map[string]string{"sms": w.ByText, "voice": w.ByCall, "email": w.ByMail, "totp": w.ByApp, "push": w.ByPush}
	for _, d := range v.has {
		for _, channel := range d.Kind.Channels() {
			p.Choices = append(p.Choices, choice{d.ID + " " + channel, v.say(words[channel], toOf(v, d))})
		}
	}
	if codes {
		p.Recover = h.path(v, "proof", append(kept(v, "then"), "way", "recovery")...)
	}
	return p
}

func (h *handler) recoverPage(v *visit) page {
	p := h.step(v, viewRecover, "proof", v.words.RecoverHeading, nil)
	p.Other = h.path(v, "proof", append(kept(v, "then"), "other", "1")...)
	return p
}

// showAsked asks for the code that was sent, or shows the number that goes with an approval.
func (h *handler) showAsked(ctx context.Context, v *visit, asked verification.Verification, d device.Device) {
	p, err := h.askedPage(ctx, v, asked, d)
	if err != nil {
		h.away(v, sayAway, err)
		return
	}
	result := resultShown
	if p.View == viewApprove {
		result = resultWaiting
		h.looksAgain(v, &p)
	}
	h.render(v, http.StatusOK, result, p)
}

func (h *handler) askedPage(ctx context.Context, v *visit, asked verification.Verification, d device.Device) (page, error) {
	w := v.words
	other := h.path(v, "proof", append(kept(v, "then"), "other", "1")...)
	if asked.Channel != verification.Push {
		p := h.codePage(v, "proof", asked, d)
		p.Other = other
		return p, nil
	}
	p := h.step(v, viewApprove, "proof", w.Approve, toOf(v, d))
	number, err := h.Verifications.MatchNumber(ctx, asked)
	p.Lead, p.Other = v.say(w.ApproveLead, toOf(v, d)), other
	p.shows(number.Reveal())
	return p, err //nolint:wrapcheck // logged as what it is
}

// prove asks for a proof, or takes one.
func (h *handler) prove(ctx context.Context, v *visit) {
	if !v.link.Guarded || h.fresh(v) {
		h.lead(v, then(v))
		return
	}
	codes, err := h.codes(ctx, v)
	if err != nil {
		h.away(v, sayNotSaved, err)
		return
	}
	if v.typed.Has("recovery") {
		h.recover(ctx, v)
		return
	}
	if way := v.typed.Get("way"); way != "" {
		h.askBy(ctx, v, way, codes)
		return
	}
	asked, d, err := h.asked(ctx, v)
	if err != nil {
		h.away(v, sayNotSaved, err)
		return
	}
	if asked.Status != verification.Pending || asked.Channel == verification.Push {
		h.lead(v, "proof", kept(v, "then")...) // which says how it stands
		return
	}
	if v.typed.Get("do") == "again" {
		h.resend(ctx, v, asked, d)
		return
	}
	h.compare(ctx, v, asked, d)
}

// askBy asks on a device of the person, in one of its ways.
func (h *handler) askBy(ctx context.Context, v *visit, way string, codes bool) {
	id, channel, _ := strings.Cut(way, " ")
	d, ok := v.active(id)
	if !ok || !slices.Contains(d.Kind.Channels(), channel) {
		h.notice(v, http.StatusNotFound, resultUnknown, sayGone)
		return
	}
	params := verification.Params{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: v.link.Account, UserID: v.user.ID, DeviceID: d.ID,
		Channel: verification.Channel(channel), Challenge: verification.CodeChallenge,
		ToMasked: device.Mask(d.Kind, d.Address), Locale: v.words.Tag, Brand: v.link.Brand,
	}
	if d.Kind == device.Push {
		params.Challenge, params.NumberLength = verification.ApprovalChallenge, verification.MatchedDigits
		params.Context = verification.Context{Action: v.words.ApproveAction}
	}
	a := verification.Activation{Client: v.link.Client, To: d.Address, Platform: d.Platform, PublicKey: d.PublicKey}
	var err error
	a.Verification, a.Secrets, err = verification.New(params, h.Now(), h.Random)
	if err == nil {
		err = h.within(ctx, v, a.Verification, func() error {
			_, _, err := h.Verifications.Create(ctx, a)
			return err //nolint:wrapcheck // logged as what it is
		})
	}
	if err != nil {
		h.refuseOf(v, h.proofPage(v, codes), d, err)
		return
	}
	v.sees.asked = a.Verification.ID
	h.lead(v, "proof", kept(v, "then")...)
}

func (h *handler) resend(ctx context.Context, v *visit, asked verification.Verification, d device.Device) {
	err := h.within(ctx, v, asked, func() error {
		_, err := h.Verifications.Resend(ctx, asked.ID)
		return err //nolint:wrapcheck // logged as what it is
	})
	if err != nil && !errors.Is(err, verification.ErrClosed) && !errors.Is(err, verification.ErrChallenge) {
		h.refuseOf(v, h.codePage(v, "proof", asked, d), d, err)
		return
	}
	if err == nil {
		v.tell(saidAgain, 0)
	}
	h.lead(v, "proof", kept(v, "then")...)
}

// compare checks the code of a proof.
func (h *handler) compare(ctx context.Context, v *visit, asked verification.Verification, d device.Device) {
	p, err := h.askedPage(ctx, v, asked, d)
	if err != nil {
		h.away(v, sayNotSaved, err)
		return
	}
	code, wrong := readCode(v.words, v.typed.Get("code"))
	if wrong == "" && asked.Channel == verification.TOTP {
		if err := h.guess(ctx, v, d.ID); err != nil {
			h.refuseOf(v, p, d, err)
			return
		}
	}
	if wrong == "" {
		now, valid, err := h.Verifications.Check(ctx, asked.ID, code)
		switch {
		case valid:
			h.answered(ctx, v, asked.ID)
			h.accept(v, h.Now(), d.ID, saidProof, 0)
			return
		case errors.Is(err, verification.ErrClosed), err == nil && now.Status.Closed():
			h.lead(v, "proof", kept(v, "then")...) // which says why
			return
		case err != nil:
			h.refuseOf(v, p, d, err)
			return
		case asked.Channel == verification.TOTP:
			wrong = v.words.WrongAppCode
		default:
			wrong = v.words.WrongCode
		}
		wrong += v.words.tries(now.ChecksLeft())
	}
	p.blame(v, wrong, webpage.Named{"n": count(len(webpage.Digits(cut(v.typed.Get("code")))))})
	h.render(v, http.StatusUnprocessableEntity, resultRefused, p)
}

// recover takes a recovery code, or a bypass token that somebody gave the person.
func (h *handler) recover(ctx context.Context, v *visit) {
	p := h.recoverPage(v)
	kind, code, ok := recovery.Read(webpage.Latin(v.typed.Get("recovery")))
	if !ok {
		p.blame(v, v.words.RecoverForm, nil)
		h.render(v, http.StatusUnprocessableEntity, resultRefused, p)
		return
	}
	var found recovery.Recovered
	err := h.guess(ctx, v, "recovery")
	if err == nil {
		found, err = h.Recovery.Recover(ctx, v.link.Account, v.user.ID, kind, code)
	}
	if err == nil && found.Valid() {
		details := map[string]string{"kind": string(found.Kind), "codes_left": count(found.CodesLeft).Text}
		if found.Kind == recovery.Token {
			details = map[string]string{"kind": string(found.Kind), "token_id": found.TokenID, "uses_left": count(found.UsesLeft).Text}
		}
		// After the code was used up, so that the log has the one who is let in. Where it cannot take it, nobody is.
		err = h.audited(ctx, v, audit.Entry{Action: audit.UserRecovered, Subject: v.user.ID, Details: details})
	}
	switch {
	case err != nil:
		h.refuse(v, p, err)
	case !found.Valid():
		p.blame(v, v.words.RecoverWrong, nil)
		h.render(v, http.StatusUnprocessableEntity, resultRefused, p)
	case found.Kind == recovery.Token:
		h.answered(ctx, v, "")
		h.accept(v, h.Now(), enrolment.ByCode, saidProof, 0)
	default:
		h.answered(ctx, v, "")
		h.accept(v, h.Now(), enrolment.ByCode, saidRecovered, found.CodesLeft)
	}
}
