package enrol

import (
	"cmp"
	"context"
	"errors"
	"html/template"
	"net/http"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/verification"
)

const (
	codeDigits  = verification.DefaultCodeLength
	secretGroup = 4
)

// pending finds a device that was begun with this link. Where there is none, or its time is over, it has answered.
func (h *handler) pending(v *visit) (device.Device, bool) {
	id := v.r.PathValue("device")
	if _, ok := v.active(id); ok {
		if v.r.Method == http.MethodGet && v.r.URL.Query().Has("n") { // it came while the page looked again by itself
			v.tell(saidAdded, 0)
		}
		h.lead(v, "")
		return device.Device{}, false
	}
	d, ok := find(v.begun, id)
	if !ok {
		h.notice(v, http.StatusNotFound, resultUnknown, sayGone)
		return d, false
	}
	if !h.Now().Before(d.Pending.ExpiresAt) {
		h.notice(v, http.StatusGone, resultRefused, sayTooLate)
		return d, false
	}
	return d, true
}

// unfinished shows the step that proves a new device.
func (h *handler) unfinished(ctx context.Context, v *visit) {
	d, ok := h.pending(v)
	if !ok || !h.mayFinish(v, d) { // somebody may have added a first device since
		return
	}
	if !h.begunHere(v, d) {
		h.render(v, http.StatusOK, resultShown, h.anewPage(v, d, v.words.BegunElsewhere, v.words.BegunElsewhereText))
		return
	}
	if why := v.overtaken(d); why != "" {
		h.render(v, http.StatusOK, resultShown, h.anewPage(v, d, v.words.Overtaken, why))
		return
	}
	p, asked, err := h.proving(ctx, v, d)
	if errors.Is(err, errNoCode) {
		h.render(v, http.StatusOK, resultShown, h.anewPage(v, d, v.words.Overtaken, v.words.CodeGone))
		return
	}
	if err != nil {
		h.away(v, sayAway, err)
		return
	}
	if asked.Status == verification.Approved { // cut off before it was written down
		now, err := h.Enrolments.Get(ctx, d.Credential, d.ID)
		if err != nil {
			h.away(v, sayAway, err)
			return
		}
		if now.State == enrolment.Accepted {
			v.tell(saidAdded, 0)
		}
		h.lead(v, "")
		return
	}
	result := resultShown
	if p.View == viewCall && !p.Ended || p.View == viewJoin {
		result = resultWaiting
		h.looksAgain(v, &p)
	}
	h.render(v, http.StatusOK, result, p)
}

// anewPage says why a device cannot be finished here, and offers to begin it anew.
func (h *handler) anewPage(v *visit, d device.Device, heading, text string) page {
	p := h.step(v, viewConfirm, "devices/"+d.ID, heading, nil)
	p.Lead, p.Confirm, p.Do = v.say(text, nil), v.words.BeginAgain, "anew"
	return p
}

// mayFinish is proven for a device that was begun. The one that was let in as the first, and could not be written down as
// such, has been proved: this browser may say so again, and there is nothing else to prove oneself with.
func (h *handler) mayFinish(v *visit, d device.Device) bool {
	if v.link.First == d.ID && len(v.has) == 0 && h.begunHere(v, d) {
		return true
	}
	return h.proven(v, "devices/"+d.ID)
}

// overtaken says why a device may not count any more, as enrolment.Links.Admit would; empty where it may.
func (v *visit) overtaken(d device.Device) string {
	switch by := d.Pending.ProvedBy; by {
	case enrolment.ByCode:
		return ""
	case "", enrolment.ByLast:
		if len(v.has) > 0 || v.link.Overtakes(d) {
			return v.words.OvertakenText
		}
		return ""
	default:
		if _, ok := v.active(by); !ok {
			return v.words.ProverGone
		}
		return ""
	}
}

// errNoCode says that the activation code of a device was never stored, or has left: nobody can join with it.
var errNoCode = errors.New("no activation code")

// proving is the step that proves a device, and the verification that asks for it, where there is one.
func (h *handler) proving(ctx context.Context, v *visit, d device.Device) (page, verification.Verification, error) {
	below := "devices/" + d.ID
	switch d.Factor {
	case device.AppCode:
		p, err := h.secretPage(v, d, below)
		return p, verification.Verification{}, err
	case device.AppPush:
		p, err := h.joinPage(ctx, v, d, below)
		return p, verification.Verification{}, err
	case device.SMSCode, device.EmailCode, device.EmailLink, device.VoiceMatch:
	}
	asked := verification.Verification{Status: verification.Expired}
	if d.Pending.VerificationID != "" {
		found, err := h.Verifications.Get(ctx, d.Pending.VerificationID)
		if err != nil && !errors.Is(err, verification.ErrNotFound) {
			return page{}, asked, err //nolint:wrapcheck // logged as what it is
		}
		if err == nil {
			asked = found.At(h.Now())
		}
	}
	if d.Factor == device.VoiceMatch {
		p, err := h.callPage(ctx, v, d, below, asked)
		return p, asked, err
	}
	p := h.codePage(v, below, asked, d)
	p.MayCall = d.Factor == device.SMSCode
	return p, asked, nil
}

// codePage asks for a code that was sent to a device.
func (h *handler) codePage(v *visit, below string, asked verification.Verification, d device.Device) page {
	w := v.words
	p := h.step(v, viewCode, below, w.EnterCode, nil)
	to := webpage.Named{"address": {Kind: webpage.Code, Text: device.Mask(d.Kind, d.Address)}, "time": webpage.Clock(asked.CreatedAt)}
	help := map[verification.Channel]string{verification.SMS: w.TextHelp, verification.Voice: w.CallHelp, verification.Email: w.MailHelp}[asked.Channel]
	switch asked.Channel {
	case verification.SMS:
		p.Hint = v.say(w.SentText, to)
	case verification.Voice:
		p.Hint = v.say(w.SentCall, to)
	case verification.Email:
		p.Hint = v.say(w.SentMail, to)
	case verification.TOTP:
		p.Lead = v.say(w.AppCodeLead, webpage.Named{"device": {Kind: webpage.Name, Text: nameOf(v, d)}})
	case verification.Push:
	}
	if help != "" {
		p.None, p.Again = v.say(help, to), w.SendAgain
	}
	p.closed(v, asked, to)
	return p
}

// closed says on the page of a code why it takes none any more.
func (p *page) closed(v *visit, asked verification.Verification, to webpage.Named) {
	if !asked.Status.Closed() || asked.Status == verification.Approved {
		return
	}
	w := v.words
	p.Ended, p.Again, p.None = true, w.SendNew, nil
	switch {
	case asked.Reason == verification.TooManyChecks:
		p.blame(v, w.TooMany, to)
	case asked.Status == verification.Failed:
		p.blame(v, w.Undelivered, to)
	default:
		p.blame(v, w.TooLong, to)
	}
}

// callPage shows the number that is keyed into a call.
func (h *handler) callPage(ctx context.Context, v *visit, d device.Device, below string, asked verification.Verification) (page, error) {
	w := v.words
	p := h.step(v, viewCall, below, w.AnswerCall, nil)
	to := webpage.Named{"address": {Kind: webpage.Code, Text: device.Mask(d.Kind, d.Address)}}
	p.Again = w.CallAgain
	if asked.Status.Closed() && asked.Status != verification.Approved {
		p.Ended = true
		sentence := w.CallFailed
		if asked.Status == verification.Failed {
			sentence = w.Undelivered
		}
		p.blame(v, sentence, to)
		return p, nil
	}
	number, err := h.Verifications.MatchNumber(ctx, asked)
	if err != nil {
		return p, err //nolint:wrapcheck // logged as what it is
	}
	p.Lead = v.say(w.CallLead, to)
	p.shows(spaced(number.Reveal(), 3, " "))
	return p, nil
}

// secretPage shows the secret of an authenticator app, and asks for the code that it makes of it.
func (h *handler) secretPage(v *visit, d device.Device, below string) (page, error) {
	w := v.words
	p := h.step(v, viewSecret, below, w.ScanSecret, nil)
	secret := device.SecretText(d.Secret)
	u := v.user
	account := cmp.Or(masked(u), u.ID) // whoever has the link only learns no more than from the list
	if h.fresh(v) {
		account = cmp.Or(u.Username, u.Email, u.Name, u.ExternalID, u.ID)
	}
	uri := device.KeyURI(cmp.Or(v.link.Brand, hostOf(h.PublicURL())), account, secret)
	var err error
	p.QR, err = draw(uri)
	p.QRLabel, p.Lead = w.SecretQR, v.say(w.SecretLead, nil)
	p.Groups, p.URI = spaced(secret, secretGroup, " "), template.URL(uri) //nolint:gosec // made here, percent-encoded
	return p, err
}

// joinPage shows the activation code of a phone.
func (h *handler) joinPage(ctx context.Context, v *visit, d device.Device, below string) (page, error) {
	w := v.words
	p := h.step(v, viewJoin, below, w.ScanJoin, nil)
	code, err := h.Enrolments.JoinCode(ctx, d)
	if errors.Is(err, verification.ErrNotFound) {
		return p, errNoCode
	}
	if err != nil {
		return p, err //nolint:wrapcheck // logged as what it is
	}
	link := h.PublicURL() + "/authenticator/#join=" + code
	p.QR, err = draw(link)
	p.QRLabel, p.Lead = w.JoinQR, v.say(w.JoinLead, nil)
	p.Groups, p.URI = code, template.URL(link) //nolint:gosec // the public URL, and a code of letters and digits
	p.Hint = v.say(w.JoinUntil, webpage.Named{"time": webpage.Clock(d.Pending.ExpiresAt)})
	return p, err
}

// finish takes a code, asks again, or gives up a new device.
func (h *handler) finish(ctx context.Context, v *visit) {
	d, ok := h.pending(v)
	if !ok {
		return
	}
	do := v.typed.Get("do")
	if do == "cancel" {
		if h.drop(ctx, v, d) {
			v.tell(saidCanceled, 0)
			h.lead(v, "")
		}
		return
	}
	if !h.mayFinish(v, d) {
		return
	}
	switch {
	case do == "anew":
		if h.drop(ctx, v, d) {
			h.lead(v, "add/"+string(d.Kind))
		}
	case !h.begunHere(v, d) || v.overtaken(d) != "":
		h.lead(v, "devices/"+d.ID) // which says why
	case do == "again":
		h.askAgain(ctx, v, d)
	case do == "call":
		h.callInstead(ctx, v, d)
	default:
		h.check(ctx, v, d)
	}
}

// drop removes a device that is not proved yet. Where it cannot, it has answered.
func (h *handler) drop(ctx context.Context, v *visit, d device.Device) bool {
	err := h.Enrolments.Drop(ctx, d)
	switch {
	case err == nil, errors.Is(err, verification.ErrNotFound):
		return true
	case errors.Is(err, enrolment.ErrActive): // it was proved just now, on another way
		v.tell(saidAdded, 0)
		h.lead(v, "")
	default:
		h.away(v, sayNotSaved, err)
	}
	return false
}

// callInstead begins the same number anew, proved by a call.
func (h *handler) callInstead(ctx context.Context, v *visit, d device.Device) {
	p, _, err := h.proving(ctx, v, d)
	if err != nil {
		h.away(v, sayNotSaved, err)
		return
	}
	if !p.MayCall {
		h.lead(v, "devices/"+d.ID)
		return
	}
	r := h.request(v, d.Kind, "call", d.Name)
	r.Address = d.Address
	h.begin(ctx, v, r, p)
}

// askAgain sends the same code once more while it is good, and another one after.
func (h *handler) askAgain(ctx context.Context, v *visit, d device.Device) {
	p, asked, err := h.proving(ctx, v, d)
	if err != nil {
		h.away(v, sayNotSaved, err)
		return
	}
	said := saidNew
	if asked.Status == verification.Pending && d.Factor != device.VoiceMatch {
		said = saidAgain
		_, err = h.Verifications.Resend(ctx, asked.ID)
	} else {
		_, err = h.Enrolments.Ask(ctx, d.Credential, d.ID, h.message(v))
	}
	if err != nil && !errors.Is(err, enrolment.ErrActive) {
		h.refuse(v, p, err)
		return
	}
	v.tell(said, 0)
	h.lead(v, "devices/"+d.ID)
}

// check compares a code.
func (h *handler) check(ctx context.Context, v *visit, d device.Device) {
	p, asked, err := h.proving(ctx, v, d)
	if err != nil {
		h.away(v, sayNotSaved, err)
		return
	}
	if p.View != viewCode && p.View != viewSecret || p.Ended {
		h.lead(v, "devices/"+d.ID)
		return
	}
	code, wrong := readCode(v.words, v.typed.Get("code"))
	if wrong == "" {
		var now enrolment.Enrolment
		now, err = h.Enrolments.Prove(ctx, d.Credential, d.ID, code)
		switch {
		case err == nil && now.State == enrolment.Accepted, errors.Is(err, enrolment.ErrActive):
			v.sees.until, v.sees.by = h.Now().Add(proofLife), d.ID // just now, of a device that counts
			v.tell(saidAdded, 0)
			h.lead(v, "")
			return
		case err != nil:
			h.refuse(v, p, err)
			return
		case now.State == enrolment.Rejected && d.Factor == device.AppCode:
			h.notice(v, http.StatusGone, resultRefused, sayTooLate)
			return
		case now.State == enrolment.Rejected:
			h.lead(v, "devices/"+d.ID) // which says why
			return
		case d.Factor == device.AppCode:
			wrong = v.words.WrongAppCode
		default:
			wrong = v.words.WrongCode + v.words.tries(asked.ChecksLeft()-1)
		}
	}
	p.blame(v, wrong, webpage.Named{"n": count(len(webpage.Digits(cut(v.typed.Get("code")))))})
	h.render(v, http.StatusUnprocessableEntity, resultRefused, p)
}

// readCode reads six digits as people type and paste them.
func readCode(w *wording, typed string) (code verification.Code, wrong string) {
	digits := webpage.Digits(cut(typed))
	switch {
	case digits == "":
		return "", w.NoCode
	case len(digits) != codeDigits:
		return "", w.ShortCode
	}
	return verification.Code(digits), ""
}
