package enrol

import (
	"context"
	"errors"
	"net/http"

	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/webpage"
	"github.com/assent-io/assent/services/verification"
)

// chosen finds the device that is to be changed, once the person has proved one of theirs. Otherwise it has answered.
func (h *handler) chosen(v *visit, what string) (device.Device, bool) {
	d, ok := v.active(v.r.PathValue("device"))
	if !ok {
		h.notice(v, http.StatusNotFound, resultUnknown, sayGone)
		return d, false
	}
	return d, h.proven(v, "devices/"+d.ID+"/"+what)
}

func (h *handler) askRename(_ context.Context, v *visit) {
	if d, ok := h.chosen(v, "rename"); ok {
		h.render(v, http.StatusOK, resultShown, h.renamePage(v, d))
	}
}

func (h *handler) renamePage(v *visit, d device.Device) page {
	p := h.step(v, viewRename, "devices/"+d.ID+"/rename", v.words.RenameHeading, of(v, d))
	p.Name = d.Name
	return p
}

// of names a device in a sentence.
func of(v *visit, d device.Device) webpage.Named {
	return webpage.Named{"device": {Kind: webpage.Name, Text: nameOf(v, d)}}
}

func (h *handler) rename(ctx context.Context, v *visit) {
	d, ok := h.chosen(v, "rename")
	if !ok {
		return
	}
	name, wrong := readName(v.words, v.typed.Get("name"))
	if name == "" && wrong == "" {
		wrong = v.words.NameMissing
	}
	if wrong != "" {
		p := h.renamePage(v, d)
		p.Name = name
		p.blame(v, wrong, nil)
		h.render(v, http.StatusUnprocessableEntity, resultRefused, p)
		return
	}
	err := h.audited(ctx, v, audit.Entry{Action: audit.DeviceRenamed, Subject: d.ID})
	if err == nil {
		_, err = h.Users.RenameDevice(ctx, d.Credential, d.ID, name)
	}
	h.changed(v, saidRenamed, err)
}

func (h *handler) askDefault(_ context.Context, v *visit) {
	d, ok := h.chosen(v, "default")
	if !ok {
		return
	}
	p := h.step(v, viewConfirm, "devices/"+d.ID+"/default", v.words.DefaultHeading, of(v, d))
	p.Lead, p.Confirm = v.say(v.words.DefaultText, of(v, d)), v.words.MakeDefault
	h.render(v, http.StatusOK, resultShown, p)
}

func (h *handler) makeDefault(ctx context.Context, v *visit) {
	d, ok := h.chosen(v, "default")
	if !ok {
		return
	}
	ids := []string{d.ID} // the others keep their order
	for _, other := range v.has {
		if other.ID != d.ID {
			ids = append(ids, other.ID)
		}
	}
	err := h.audited(ctx, v, audit.Entry{
		Action: audit.DevicesOrdered, Subject: v.user.ID, Details: map[string]string{"default_device_id": d.ID},
	})
	if err == nil {
		_, err = h.Users.OrderDevices(ctx, v.link.Account, v.user.ID, ids)
	}
	h.changed(v, saidDefault, err)
}

func (h *handler) askRemove(_ context.Context, v *visit) {
	d, ok := h.chosen(v, "remove")
	if !ok {
		return
	}
	p := h.step(v, viewConfirm, "devices/"+d.ID+"/remove", v.words.RemoveHeading, of(v, d))
	text := v.words.RemoveText
	if len(v.has) == 1 {
		text = v.words.RemoveLast
	}
	p.Lead, p.Confirm, p.BackWords = v.say(text, of(v, d)), v.words.Remove, v.words.Keep
	p.Danger = true
	h.render(v, http.StatusOK, resultShown, p)
}

func (h *handler) remove(ctx context.Context, v *visit) {
	d, ok := h.chosen(v, "remove")
	if !ok {
		return
	}
	err := h.audited(ctx, v, audit.Entry{Action: audit.DeviceRemoved, Subject: d.ID, Details: map[string]string{"kind": string(d.Kind)}})
	if err == nil {
		err = h.Users.DeleteDevice(ctx, d.Credential, d.ID)
	}
	said := saidRemoved
	if len(v.has) == 1 {
		said = saidLast
		if err == nil {
			v.sees.by = enrolment.ByLast
		}
	}
	h.changed(v, said, err)
}

// changed goes back to the list, which says what was done.
func (h *handler) changed(v *visit, said string, err error) {
	switch {
	case errors.Is(err, verification.ErrNotFound): // somebody else removed it just now
		h.notice(v, http.StatusNotFound, resultUnknown, sayGone)
	case err != nil:
		h.away(v, sayNotSaved, err)
	default:
		v.tell(said, 0)
		h.lead(v, "")
	}
}

// audited records what the person is about to do. Nothing is done where the log cannot take it.
func (h *handler) audited(ctx context.Context, v *visit, e audit.Entry) error {
	e.Account, e.Actor, e.UserID, e.At = v.link.Account, audit.Person, v.user.ID, h.Now().UTC()
	if e.Details == nil {
		e.Details = map[string]string{}
	}
	e.Details["enrolment_id"] = v.link.ID
	return h.Audit.Record(ctx, e) //nolint:wrapcheck // logged as what it is
}
