package enrol

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/plaintext"
	"github.com/assent-io/assent/services/verification"
)

const (
	// proofTime is how long somebody has to prove a new device.
	proofTime = 15 * time.Minute
	maxName   = 100
	maxTyped  = 254
)

// offer shows the form for a new device.
func (h *handler) offer(_ context.Context, v *visit) {
	kind, ok := h.adds(v)
	if !ok {
		return
	}
	h.render(v, http.StatusOK, resultShown, h.addPage(v, kind))
}

// adds is the kind that a person may add now; where they may not, it has answered.
func (h *handler) adds(v *visit) (device.Kind, bool) {
	kind := device.Kind(v.r.PathValue("kind"))
	if !v.offered(kind) {
		h.notice(v, http.StatusNotFound, resultUnknown, sayGone)
		return "", false
	}
	return kind, h.proven(v, "add/"+string(kind))
}

func (h *handler) addPage(v *visit, kind device.Kind) page {
	w := v.words
	heading, _, name := w.adding(kind)
	p := h.step(v, viewAdd, "add/"+string(kind), heading, nil)
	p.Kind, p.Name = kind, name
	switch kind {
	case device.TOTP:
		p.Lead = v.say(w.TOTPLead, nil)
	case device.Push:
		p.Lead = v.say(w.PushLead, nil)
	case device.Phone, device.Mailbox:
	}
	return p
}

// add begins a new device.
func (h *handler) add(ctx context.Context, v *visit) {
	kind, ok := h.adds(v)
	if !ok {
		return
	}
	p := h.addPage(v, kind)
	p.Typed = cut(v.typed.Get("address"))
	name, wrong := readName(v.words, v.typed.Get("name"))
	if p.Name = name; name == "" {
		_, _, p.Name = v.words.adding(kind)
	}
	again := func(sentence string) {
		p.blame(v, sentence, nil)
		h.render(v, http.StatusUnprocessableEntity, resultRefused, p)
	}
	r := h.request(v, kind, v.typed.Get("by"), p.Name)
	switch kind {
	case device.Phone, device.Mailbox:
		flaw := ""
		if r.Address, flaw = readAddress(v.words, kind, v.typed.Get("address")); flaw != "" {
			again(flaw)
			return
		}
		if v.hasAddress(kind, r.Address) {
			again(v.words.Enrolled)
			return
		}
	case device.TOTP, device.Push:
	}
	if wrong != "" {
		again(wrong)
		return
	}
	h.begin(ctx, v, r, p)
}

// request is what a new device is made of, but for its address.
func (h *handler) request(v *visit, kind device.Kind, by, name string) enrolment.Request {
	return enrolment.Request{
		User: v.user, Client: v.link.Client, Name: name, Link: v.link.ID, Browser: h.browser(v), ProvedBy: h.provedBy(v), Quiet: true, Brand: v.link.Brand,
		Factor: factorOf(kind, by), Issuer: cmp.Or(v.link.Brand, hostOf(h.PublicURL())),
		Life: min(proofTime, v.link.ExpiresAt.Sub(h.Now())),
	}
}

// begin stores a new device, and asks its owner to prove it.
func (h *handler) begin(ctx context.Context, v *visit, r enrolment.Request, p page) {
	_, err := h.Links.Change(ctx, v.link, (*enrolment.Link).Begin)
	var begun enrolment.Enrolment
	if err == nil {
		begun, err = h.Enrolments.Begin(ctx, r)
	}
	if err != nil {
		h.refuse(v, p, err)
		return
	}
	d := begun.Device
	if d.Kind == device.Phone || d.Kind == device.Mailbox {
		_, err = h.Enrolments.Ask(ctx, d.Credential, d.ID, h.message(v))
	}
	if err != nil && !errors.Is(err, enrolment.ErrActive) {
		// Nobody was asked, so nothing is left to finish. What cannot be removed leaves with its end.
		_ = h.Enrolments.Drop(context.WithoutCancel(ctx), d)
		h.refuse(v, p, err)
		return
	}
	h.forget(ctx, v, d)
	h.lead(v, "devices/"+d.ID)
}

// forget drops what the person began before and begins anew: a call where the text did not arrive, or a new QR code.
// What cannot be removed leaves with its end.
func (h *handler) forget(ctx context.Context, v *visit, begun device.Device) {
	for _, d := range v.begun {
		if d.Kind == begun.Kind && strings.EqualFold(d.Address, begun.Address) {
			_ = h.Enrolments.Drop(ctx, d)
		}
	}
}

// message is how somebody is asked to prove a new device.
func (h *handler) message(v *visit) enrolment.Message {
	return enrolment.Message{
		Client: v.link.Client, Brand: v.link.Brand, Locale: v.words.Tag, Life: verification.DefaultLife,
	}
}

func factorOf(k device.Kind, by string) device.Factor {
	switch {
	case k == device.Phone && by == "call":
		return device.VoiceMatch
	case k == device.Phone:
		return device.SMSCode
	case k == device.Mailbox:
		return device.EmailCode
	case k == device.TOTP:
		return device.AppCode
	default:
		return device.AppPush
	}
}

// hasAddress tells whether a number or mailbox is one of the person's already, however it came there.
func (v *visit) hasAddress(k device.Kind, to string) bool {
	for _, d := range v.has {
		if d.Kind == k && strings.EqualFold(d.Address, to) {
			return true
		}
	}
	return false
}

// readAddress reads what was typed; flaw says what is wrong with it.
func readAddress(w *wording, k device.Kind, typed string) (to, flaw string) {
	var err error
	if k == device.Phone {
		typed = webpage.Latin(typed)
		if rest, ok := strings.CutPrefix(typed, "00"); ok { // as it is dialled
			typed = "+" + rest
		}
		to, err = address.Phone(typed)
	} else {
		to, err = address.Mailbox(strings.TrimSpace(typed))
	}
	var wrong *address.Error
	if errors.As(err, &wrong) {
		return "", w.flaw(wrong.Flaw)
	}
	return to, ""
}

// readName reads what a device is to be called.
func readName(w *wording, typed string) (name, wrong string) {
	name = strings.TrimSpace(typed)
	for _, r := range name {
		if plaintext.Unshowable(r) {
			return "", w.NameLong
		}
	}
	if len([]rune(name)) > maxName {
		return string([]rune(name)[:maxName]), w.NameLong
	}
	return name, ""
}

// cut is as much of what was typed as goes back onto the page.
func cut(typed string) string {
	r := []rune(typed)
	return string(r[:min(len(r), maxTyped)])
}

// spaced is a secret or code in groups, as people type them.
func spaced(s string, group int, between string) string {
	var b strings.Builder
	for i, r := range s {
		if i > 0 && i%group == 0 {
			b.WriteString(between)
		}
		b.WriteRune(r)
	}
	return b.String()
}

// tries says how many codes may still be tried.
func (w *wording) tries(left int) string {
	if left < 1 {
		return ""
	}
	if left < len(w.TriesLeft) {
		return " " + w.TriesLeft[left]
	}
	return " " + strings.ReplaceAll(w.TriesLeft[0], "{n}", strconv.Itoa(left))
}
