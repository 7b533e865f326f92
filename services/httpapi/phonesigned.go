package httpapi

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// phone is the device that signed a look for prompts.
func (s *Server) phone(r *http.Request, id string) (device.Device, error) {
	d, _, err := s.signedBy(r, device.Request{Purpose: device.Look, DeviceID: id})
	return d, err
}

func badPhone() error {
	return &refusal{
		code:   api.ProblemCodeBadSignature,
		detail: `Send Authorization: Phone at="…", signature="…", signed by the key of this device, with the present time.`,
	}
}

// signed is what a phone asked for by itself.
type signed[T any] struct {
	by     device.Device
	at     time.Time
	asks   T
	faults faults
}

// readSigned reads what a phone asks for. Whoever has not signed is told nothing of the body.
func readSigned[T any](s *Server, w http.ResponseWriter, r *http.Request, id string, purpose device.Purpose) (signed[T], error) {
	body, err := readBody(w, r, maxBody)
	if err != nil {
		return signed[T]{}, err
	}
	d, at, err := s.signedBy(r, device.Request{Purpose: purpose, DeviceID: id, Body: string(body)})
	if err != nil {
		return signed[T]{}, err
	}
	asks, f, err := decodeBody[T](s.shapes, body, maxFaults)
	return signed[T]{d, at, asks, f}, err
}

// signedBy is the device that signed a request, whose time stands in the header, and when. Unknown, other key, old date: all of them are
// one answer, so that nobody learns which devices there are. A phone whose device was removed is told so: it has signed.
func (s *Server) signedBy(r *http.Request, asks device.Request) (device.Device, time.Time, error) {
	at, signature, ok := readPhoneAuthorization(r.Header.Values("Authorization"))
	if !ok || !events.ValidID(asks.DeviceID) {
		return device.Device{}, time.Time{}, badPhone()
	}
	asks.At = at
	sent, err := time.Parse(time.RFC3339, at)
	if err != nil || s.config.Now().Sub(sent).Abs() > maxSkew {
		return device.Device{}, time.Time{}, badPhone()
	}
	d, err := s.config.Phones.Phone(r.Context(), asks.DeviceID)
	if err != nil && !errors.Is(err, verification.ErrNotFound) {
		return device.Device{}, time.Time{}, fmt.Errorf("read phone: %w", err)
	}
	if err == nil && asks.Verify(d.PublicKey, signature) == nil {
		return d, sent, nil
	}
	if err := s.goneBy(r, asks, signature); err != nil {
		return device.Device{}, time.Time{}, err
	}
	return device.Device{}, time.Time{}, badPhone()
}

// readPhoneAuthorization reads Phone at="…", signature="…", its parameters in any order (RFC 9110).
func readPhoneAuthorization(values []string) (at string, signature []byte, ok bool) {
	if len(values) != 1 {
		return "", nil, false
	}
	scheme, rest, _ := strings.Cut(strings.TrimSpace(values[0]), " ")
	if !strings.EqualFold(scheme, phoneScheme) {
		return "", nil, false
	}
	given := map[string]string{}
	for parameter := range strings.SplitSeq(rest, ",") {
		name, value, _ := strings.Cut(parameter, "=")
		name, value = strings.ToLower(strings.TrimSpace(name)), strings.TrimSpace(value)
		if len(value) > 1 && value[0] == '"' && value[len(value)-1] == '"' {
			value = value[1 : len(value)-1]
		}
		if _, twice := given[name]; twice {
			return "", nil, false
		}
		given[name] = value
	}
	signature, err := decodeSignature(given["signature"])
	return given["at"], signature, err == nil
}

// decodeSignature takes base64url. Padding and the other alphabet are taken too: what counts is whether
// the bytes verify.
func decodeSignature(s string) ([]byte, error) {
	b, err := base64.RawURLEncoding.DecodeString(strings.NewReplacer("+", "-", "/", "_", "=", "").Replace(s))
	if err != nil || len(b) > maxSignature {
		return nil, device.ErrSignature
	}
	return b, nil
}

// goneBy is what a phone is told whose key signed rightly, but speaks for the device no more; nil where it never did.
func (s *Server) goneBy(r *http.Request, asks device.Request, signature []byte) error {
	gone, err := s.config.Phones.Gone(r.Context(), asks.DeviceID)
	if err != nil {
		return fmt.Errorf("read keys of removed device: %w", err)
	}
	for _, g := range gone {
		if asks.Verify(g.PublicKey, signature) != nil {
			continue
		}
		at := g.At.UTC()
		detail := "This device was removed"
		if g.Cause == device.CauseReplaced {
			detail = "Another phone took the place of this one"
		}
		return &refusal{
			code: api.ProblemCodeDeviceRemoved, detail: detail + " at " + at.Format(time.RFC3339) + ". Join again with a new activation code.",
			about: func(p *api.Problem) { p.RemovedAt, p.Cause = &at, g.Cause },
		}
	}
	return nil
}
