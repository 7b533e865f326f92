package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/notification"
)

const (
	// fullPart is how large the JSON of a part becomes before another one is begun.
	fullPart = 512 << 10
	// maxPartSize is what the stream takes, with room for headers.
	maxPartSize = 760 << 10
	// maxParts bounds what one request may become where its texts are long and differ much: each part repeats
	// the texts that its recipients share.
	maxParts = 64
	// partFrame is more than all of a part takes that does not grow with its recipients.
	partFrame = 2 << 10
)

// divide makes the parts of a request: recipients of one channel, in their order.
func (s *Notifications) divide(r notification.Request, fingerprint []byte) ([]events.NotificationQueued, error) {
	d := divider{request: r, bodies: make([]int, len(r.Bodies))}
	for i, b := range r.Bodies {
		d.bodies[i] = sealedSize(events.NotificationBody(b))
	}
	var channels []string
	for _, a := range r.Addressees { // a handful of channels at most, in the order in which they come
		if !slices.Contains(channels, a.Channel) {
			channels = append(channels, a.Channel)
		}
	}
	for _, c := range channels {
		d.begin()
		for i, a := range r.Addressees {
			if a.Channel == c {
				d.add(i)
			}
		}
	}
	if len(d.parts) == 0 {
		return nil, errors.New("divide notification: no recipients")
	}
	if len(d.parts) > min(maxParts, stream.MaxTogether) {
		return nil, notification.ErrTooLarge
	}
	parts := make([]events.NotificationQueued, len(d.parts))
	for i, members := range d.parts {
		var err error
		if parts[i], err = s.queued(r, i, members); err != nil {
			return nil, err
		}
		parts[0].Parts = append(parts[0].Parts, events.NotificationPart{Channel: parts[i].Channel, Count: len(members)})
	}
	parts[0].Fingerprint, parts[0].Metadata = fingerprint, r.Notification.Metadata
	for _, x := range r.Notification.Refused {
		parts[0].Refused = append(parts[0].Refused, events.RefusedRecipient(x))
	}
	return parts, nil
}

// divider puts addressees into parts.
type divider struct {
	request notification.Request
	bodies  []int   // what each body takes in a part
	parts   [][]int // the addressees of each
	size    int     // of the last part
	has     map[int]bool
	fresh   bool
}

// begin lets the next addressee begin a part.
func (d *divider) begin() { d.fresh = true }

func (d *divider) add(i int) {
	a := d.request.Addressees[i]
	own := sealedSize(events.NotificationFilling{To: a.To, Body: a.Body, Variables: a.Variables}) + recipientSize(a)
	grows := own
	if !d.has[a.Body] {
		grows += d.bodies[a.Body]
	}
	if last := len(d.parts) - 1; d.fresh || d.size+grows > fullPart || len(d.parts[last]) >= events.MaxPart {
		d.size, d.has, d.fresh = partFrame, map[int]bool{}, false
		if len(d.parts) == 0 {
			d.size += plainSize(d.request.Notification.Metadata) + plainSize(d.request.Notification.Refused)
		}
		d.parts = append(d.parts, nil)
		grows = own + d.bodies[a.Body]
	}
	d.parts[len(d.parts)-1] = append(d.parts[len(d.parts)-1], i)
	d.size += grows
	d.has[a.Body] = true
}

// sealedSize is what a value takes as a piece of a sealed content: JSON, then base64.
func sealedSize(v any) int { return plainSize(v)*4/3 + 8 }

func plainSize(v any) int {
	data, err := contentJSON(v)
	if err != nil {
		return 0 // these values hold nothing that JSON cannot; what is too large is refused once more
	}
	return len(data)
}

func recipientSize(a notification.Addressee) int {
	const frame = 160 // names, index, destination
	return frame + len(a.ToMasked) + len(a.UserID) + len(a.DeviceID) + len(a.Locale) + len(a.PublicKey)*4/3 + len(a.Platform)
}

// contentJSON is JSON without the escapes that are for web pages: they would make HTML half as long again.
func contentJSON(v any) ([]byte, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, fmt.Errorf("encode notification content: %w", err)
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}

// queued is one part: what its worker needs sealed, the addresses hashed.
func (s *Notifications) queued(r notification.Request, part int, members []int) (events.NotificationQueued, error) {
	n := r.Notification
	q := events.NotificationQueued{
		Version: events.Version, ID: n.ID, Part: part, Credential: n.Credential, Client: n.Client, Lane: events.Lane(n.Lane),
		Channel: events.Channel(r.Addressees[members[0]].Channel), Batch: n.Batch,
		Template: n.Template, TemplateVersion: n.TemplateVersion, Brand: n.Brand,
		CreatedAt: n.CreatedAt, SendAt: n.SendAt, ExpiresAt: n.ExpiresAt,
		Recipients: make([]events.NotificationRecipient, 0, len(members)),
	}
	content := events.NotificationContent{Recipients: make([]events.NotificationFilling, 0, len(members))}
	places := map[int]int{} // of bodies
	for _, i := range members {
		a := r.Addressees[i]
		destination, err := s.Destination(a.Channel, a.To)
		if err != nil {
			return q, err
		}
		recipient := events.NotificationRecipient{
			Index: a.Index, ToMasked: a.ToMasked, UserID: a.UserID, DeviceID: a.DeviceID, Locale: a.Locale, Destination: destination,
		}
		if a.Platform != "" {
			recipient.Device = &events.PushDevice{Platform: a.Platform, PublicKey: a.PublicKey}
		}
		q.Recipients = append(q.Recipients, recipient)
		place, known := places[a.Body]
		if !known {
			place = len(content.Bodies)
			places[a.Body] = place
			content.Bodies = append(content.Bodies, events.NotificationBody(r.Bodies[a.Body]))
		}
		content.Recipients = append(content.Recipients, events.NotificationFilling{To: a.To, Body: place, Variables: a.Variables})
	}
	data, err := contentJSON(content)
	if err != nil {
		return q, err
	}
	if q.Content, err = s.cfg.Keys.Seal(keyring.Channel(q.Channel), events.PartID(n.ID, part), data); err != nil {
		return q, fmt.Errorf("seal notification: %w", err)
	}
	return q, nil
}
