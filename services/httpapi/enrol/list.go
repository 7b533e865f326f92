package enrol

import (
	"cmp"
	"context"
	"net/http"
	"slices"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/webpage"
)

// overview lists what the person has and may add.
func (h *handler) overview(_ context.Context, v *visit) {
	w := v.words
	p := h.blank(v, viewList, w.Title, nil)
	p.For = v.say(w.For, webpage.Named{"user": {Kind: webpage.Code, Text: masked(v.user)}})
	for i, d := range v.has {
		r := h.row(v, d)
		r.Default = i == 0
		below := "devices/" + d.ID
		r.Rename, r.Remove = h.path(v, below+"/rename"), h.path(v, below+"/remove")
		if i > 0 {
			r.First = h.path(v, below+"/default")
		}
		p.Devices = append(p.Devices, r)
	}
	for _, d := range v.begun {
		if h.Now().Before(d.Pending.ExpiresAt) {
			r := h.row(v, d)
			r.Cancel = h.path(v, "devices/"+d.ID)
			if h.begunHere(v, d) {
				r.Continue = r.Cancel
			}
			p.Begun = append(p.Begun, r)
		}
	}
	for _, k := range v.link.Kinds {
		heading, note, _ := w.adding(k)
		p.Offers = append(p.Offers, offer{h.path(v, "add/"+string(k)), heading, note})
	}
	p.Done = h.path(v, "done")
	h.leadBack(v, &p)
	h.render(v, http.StatusOK, resultShown, p)
}

func (h *handler) row(v *visit, d device.Device) row {
	r := row{Kind: v.words.kind(d), Name: nameOf(v, d), Added: v.say(v.words.Added, webpage.Named{"date": v.words.date(d.CreatedAt)})}
	if d.Kind == device.Phone || d.Kind == device.Mailbox {
		r.Address = device.Mask(d.Kind, d.Address)
	}
	return r
}

// nameOf is what a device is called; one without a name goes by its kind.
func nameOf(v *visit, d device.Device) string { return cmp.Or(d.Name, v.words.kind(d)) }

// masked is what the person knows themselves by, and nobody else learns much of.
func masked(u device.User) string {
	switch {
	case u.Email != "":
		return device.Mask(device.Mailbox, u.Email)
	case u.Phone != "":
		return device.Mask(device.Phone, u.Phone)
	}
	name := []rune(cmp.Or(u.Username, u.Name))
	if len(name) == 0 {
		return ""
	}
	return string(name[:1]) + "•••"
}

// done says that there is nothing left to do here.
func (h *handler) done(_ context.Context, v *visit) {
	p := h.blank(v, viewNotice, v.words.DoneHeading, nil)
	p.Mark, p.Lead = "good", v.say(v.words.DoneText, nil)
	p.Back, p.BackWords = h.path(v, ""), v.words.BackToList
	h.leadBack(v, &p)
	h.render(v, http.StatusOK, resultShown, p)
}

// offered tells whether a kind may be added with this link.
func (v *visit) offered(k device.Kind) bool { return slices.Contains(v.link.Kinds, k) }
