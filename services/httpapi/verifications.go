package httpapi

import (
	"cmp"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// CreateVerification stores a new verification and queues its message, in one write.
func (s *Server) CreateVerification(w http.ResponseWriter, r *http.Request, _ contract.CreateVerificationParams) {
	client, err := s.authenticate(w, r, credential.Verify)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	a, request, err := s.readActivation(w, r, client)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v, replayed, err := s.config.Verifications.Create(r.Context(), a)
	if err != nil {
		s.fail(w, r, explainSuppressed(request, fmt.Errorf("create verification: %w", err)))
		return
	}
	if replayed {
		v = firstState(v)
		w.Header().Set("Idempotent-Replayed", "true")
	} else {
		s.metrics.created.WithLabelValues(string(v.Channel), string(v.Challenge)).Inc()
	}
	w.Header().Set("Location", "/v1/verifications/"+v.ID)
	s.writeVerification(w, r, http.StatusCreated, v)
}

// readActivation reads and checks a create request. All its faults are reported at once.
func (s *Server) readActivation(
	w http.ResponseWriter, r *http.Request, client credential.Credential,
) (a verification.Activation, request api.CreateVerification, err error) {
	key, err := idempotencyKey(r.Header)
	if err != nil {
		return a, request, err
	}
	request, body, f, err := decode[api.CreateVerification](s.shapes, w, r)
	if err != nil {
		return a, request, err
	}
	p := verification.Params{
		Credential: client.Account,
		Channel:    verification.Channel(request.Channel), Challenge: verification.Challenge(request.Challenge),
		Locale: request.Locale, Brand: request.Brand, Metadata: request.Metadata,
	}
	checkTexts(&f, request)
	p.Autofill = readAutofill(&f, request)
	if c := request.Context; c != nil {
		p.Context = verification.Context{IP: c.IP, Action: c.Action, Place: c.Place, Device: c.Device}
		for _, field := range c.Fields {
			p.Context.Fields = append(p.Context.Fields, verification.Field(field))
		}
	}
	if n := request.ExpiresIn; n != nil {
		p.Life = time.Duration(*n) * time.Second
		if p.Life == 0 { // the domain reads zero as its default
			f.add("expires_in", "must be from 30 to 600 seconds")
		}
	}
	if n := request.CodeLength; n != nil {
		if p.CodeLength = *n; *n == 0 {
			f.add("code_length", "must be from 4 to 10")
		}
	}
	if err := s.addressee(r, request, client.Account, &f, &p, &a); err != nil {
		return a, request, err
	}
	if err := s.readFallback(r, request, client.Account, &f, &p, &a); err != nil {
		return a, request, err
	}
	if !client.PlainApprovals {
		p.NumberLength = p.MatchedDigits()
	}
	if p.ID = uuid.Must(uuid.NewV7()).String(); key != "" {
		p.ID = s.config.IDFor(client.ClientID, key)
	}
	var wrong *verification.InvalidError
	a.Verification, a.Secrets, err = verification.New(p, s.config.Now(), s.config.Random)
	if errors.As(err, &wrong) {
		f.addAll(wrong.Faults)
	} else if err != nil {
		return a, request, fmt.Errorf("make verification: %w", err)
	}
	a.Autofill = p.Autofill
	s.checkRoom(&f, a)
	s.checkSegments(&f, request, a)
	s.checkPush(&f, request, a)
	a.Client, a.IdempotencyKey, a.Body = client.ClientID, key, body
	return a, request, invalid(f)
}

func checkTexts(f *faults, request api.CreateVerification) {
	f.sentText("brand", request.Brand, maxBrand)
	f.locale("locale", request.Locale)
	f.metadata("metadata", request.Metadata)
	if c := request.Context; c != nil {
		f.sentText("context/action", c.Action, maxContext)
		f.sentText("context/place", c.Place, maxContext)
		f.sentText("context/device", c.Device, maxContext)
		if c.IP != "" {
			// A zone may hold any text, and means nothing outside the machine it names.
			if ip, err := netip.ParseAddr(c.IP); err != nil || ip.Zone() != "" {
				f.add("context/ip", "must be an IP address such as 203.0.113.7")
			}
		}
		for _, text := range []struct{ field, text string }{{"action", c.Action}, {"place", c.Place}, {"device", c.Device}} {
			f.noMarkup("context/"+text.field, text.text)
		}
		f.contextFields("context/fields", c.Fields)
	}
}

// addressee finds out whom to ask: an address with its channel, a registered device, or a user.
func (s *Server) addressee(
	r *http.Request, request api.CreateVerification, account string, f *faults, p *verification.Params, a *verification.Activation,
) error {
	checkBackups(f, request)
	switch {
	case request.UserID != "" && (request.To != "" || request.DeviceID != ""):
		f.add("user_id", "must not be given together with to or device_id")
		p.Channel = cmp.Or(p.Channel, verification.SMS) // so that the domain does not miss a channel too
		return nil
	case request.UserID != "":
		return s.byUser(r.Context(), request, account, f, p, a)
	case request.To != "" && request.DeviceID != "":
		f.add("device_id", "must not be given together with to")
		return nil
	case request.DeviceID != "":
		return s.registered(r, request, account, f, p, a)
	case request.Channel == api.ChannelPush, request.Channel == api.ChannelTOTP:
		f.add("device_id", "is required for the channel "+string(request.Channel))
		return nil
	case request.To == "":
		f.add("to", "is required, or device_id or user_id instead")
	}
	if request.Channel == "" {
		f.add("channel", "is required with to")
	}
	kind := kindOf(p.Channel)
	if request.To == "" || kind == "" { // a fault already
		return nil
	}
	var err error
	if a.To, p.ToMasked, err = readAddress(kind, request.To); err != nil {
		f.add("to", err.Error())
	}
	return nil
}

// kindOf is the kind of what a channel reaches by its address alone; empty for the others.
func kindOf(c verification.Channel) device.Kind {
	switch c {
	case verification.SMS, verification.Voice:
		return device.Phone
	case verification.Email:
		return device.Mailbox
	default:
		return ""
	}
}

// readAddress is the full form of a number or a mailbox, and what may be shown of it.
func readAddress(kind device.Kind, to string) (full, masked string, err error) {
	if kind == device.Phone {
		full, err = address.Phone(to)
	} else {
		full, err = address.Mailbox(to)
	}
	return full, device.Mask(kind, full), err
}

func (s *Server) registered(
	r *http.Request, request api.CreateVerification, account string, f *faults, p *verification.Params, a *verification.Activation,
) error {
	d, err := s.device(r.Context(), account, request.DeviceID)
	if errors.Is(err, verification.ErrNotFound) {
		f.add("device_id", "is not a registered device")
		if p.Channel == "" {
			p.Channel = verification.SMS // carries every challenge, so that the domain finds no fault that follows from this one
		}
		return nil
	}
	if err != nil {
		return err
	}
	if err := s.checkOwner(r, account, d, "device_id", f); err != nil {
		return err
	}
	p.Channel = channelOf(d, p.Channel, "channel", f)
	p.UserID, p.DeviceID, p.ToMasked = d.UserID, d.ID, device.Mask(d.Kind, d.Address)
	a.To, a.Platform, a.PublicKey = d.Address, d.Platform, d.PublicKey
	return nil
}

// checkOwner finds whether the user of a device may be asked.
func (s *Server) checkOwner(r *http.Request, account string, d device.Device, field string, f *faults) error {
	owner, err := s.config.Users.User(r.Context(), account, d.UserID)
	if err != nil && !errors.Is(err, verification.ErrNotFound) {
		return fmt.Errorf("read user of device: %w", err)
	}
	if owner.Barred() {
		f.add(field, "belongs to a user who is locked or disabled")
	}
	return nil
}

// channelOf is the channel that a device is asked on: the one that is named, or else its first.
func channelOf(d device.Device, named verification.Channel, field string, f *faults) verification.Channel {
	channels := d.Kind.Channels()
	if named == "" {
		return verification.Channel(channels[0])
	}
	if !contains(channels, string(named)) {
		f.add(field, fmt.Sprintf("must be %s for this device", strings.Join(channels, " or ")))
	}
	return named
}

// CheckCode compares a code with the one that was sent.
func (s *Server) CheckCode(w http.ResponseWriter, r *http.Request, id contract.VerificationID) {
	v, err := s.owned(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.CheckCode](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	code, ok := typedCode(request.Code)
	if !ok {
		f.add("code", "must be 4 to 10 digits")
	}
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if v.Challenge != verification.CodeChallenge {
		s.fail(w, r, &refusal{
			code: api.ProblemCodeWrongChallenge, detail: "It asked for the challenge " + string(v.Challenge) + "; there is no code to check.",
		})
		return
	}
	checked, valid, err := s.config.Verifications.Check(r.Context(), v.ID, code)
	if err != nil {
		s.fail(w, r, s.explainClosed(checked, v, fmt.Errorf("check code: %w", err)))
		return
	}
	result := "invalid"
	if valid {
		result = "valid"
	}
	s.metrics.checks.WithLabelValues(result).Inc()
	s.metrics.countClosed(checked)
	w.Header().Set("ETag", etag(checked))
	writeJSON(w, http.StatusOK, checkedWire(checked, valid))
}

// typedCode is what the person typed without the spaces and dashes that people put in. False where
// it cannot be a code; such a thing is not worth a check.
func typedCode(s string) (verification.Code, bool) {
	if len(s) > maxCodeAsTyped {
		return "", false
	}
	digits := make([]byte, 0, verification.MaxCodeLength)
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits = append(digits, c)
		case c == ' ' || c == '-':
		default:
			return "", false
		}
	}
	return verification.Code(digits), len(digits) >= verification.MinCodeLength && len(digits) <= verification.MaxCodeLength
}

// ResendVerification queues the same message once more.
func (s *Server) ResendVerification(w http.ResponseWriter, r *http.Request, id contract.VerificationID) {
	v, err := s.owned(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	sent, err := s.config.Verifications.Resend(r.Context(), v.ID)
	if err != nil {
		s.fail(w, r, s.explainClosed(sent, v, fmt.Errorf("resend verification: %w", err)))
		return
	}
	w.Header().Set("Location", "/v1/verifications/"+v.ID)
	s.writeVerification(w, r, http.StatusAccepted, sent)
}

// CancelVerification withdraws the question.
func (s *Server) CancelVerification(w http.ResponseWriter, r *http.Request, id contract.VerificationID) {
	v, err := s.owned(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	canceled, err := s.config.Verifications.Resolve(r.Context(), v.ID, verification.Cancel{})
	if err != nil {
		s.fail(w, r, s.explainClosed(canceled, v, fmt.Errorf("cancel verification: %w", err)))
		return
	}
	s.metrics.countClosed(canceled)
	s.writeVerification(w, r, http.StatusOK, canceled)
}

// explainClosed says how a closed verification ended, from the store's answer or from what was read before.
func (s *Server) explainClosed(now, before verification.Verification, err error) error {
	if !errors.Is(err, verification.ErrClosed) {
		return err
	}
	if now.ID == "" {
		now = before.At(s.config.Now())
	}
	return closed(now)
}

// ListDeliveries is the timeline of the messages.
func (s *Server) ListDeliveries(w http.ResponseWriter, r *http.Request, id contract.VerificationID) {
	v, _, err := s.readable(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	steps, err := s.config.Verifications.Deliveries(r.Context(), v.ID)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list deliveries: %w", err))
		return
	}
	list := api.DeliveryList{Data: make([]api.Delivery, 0, len(steps)+1)}
	for _, d := range timeline(v, steps) {
		list.Data = append(list.Data, deliveryWire(d))
	}
	writeJSON(w, http.StatusOK, list)
}

// owned reads a verification of the account of the client that asks, who may ask people. That of another account
// is not found.
func (s *Server) owned(w http.ResponseWriter, r *http.Request, id string) (verification.Verification, error) {
	v, _, err := s.ofAccount(w, r, id, credential.Verify)
	return v, err
}

// readable is owned for who may only read, too. They are not told the number to match: it is for the screen where the
// person began, and whoever may ask nobody has none.
func (s *Server) readable(w http.ResponseWriter, r *http.Request, id string) (v verification.Verification, numbers bool, err error) {
	v, client, err := s.ofAccount(w, r, id, credential.Verify, credential.ReadPeople)
	return v, client.Scope.Allows(credential.Verify), err
}

func (s *Server) ofAccount(w http.ResponseWriter, r *http.Request, id string, needs ...credential.Permission) (
	v verification.Verification, client credential.Credential, err error,
) {
	if client, err = s.authenticate(w, r, needs...); err != nil {
		return v, client, err
	}
	v, err = s.find(w, r, id)
	if err == nil && v.Credential != client.Account {
		return verification.Verification{}, client, verification.ErrNotFound
	}
	return v, client, err
}

// find reads a verification for whoever asks. An id that is none of ours never reaches the store,
// where it would become part of a subject.
func (s *Server) find(w http.ResponseWriter, r *http.Request, id string) (verification.Verification, error) {
	if !events.ValidID(id) {
		return verification.Verification{}, verification.ErrNotFound
	}
	if rec := observed(w); rec != nil {
		rec.verificationID = id
	}
	v, err := s.config.Verifications.Get(r.Context(), id)
	if err != nil {
		return v, fmt.Errorf("read verification: %w", err)
	}
	return v.At(s.config.Now()), nil
}

// writeVerification answers a client that may ask people.
func (s *Server) writeVerification(w http.ResponseWriter, r *http.Request, status int, v verification.Verification) {
	s.writeShown(w, r, status, v, true)
}

func (s *Server) writeShown(w http.ResponseWriter, r *http.Request, status int, v verification.Verification, numbers bool) {
	shown, err := s.shown(r.Context(), v, numbers)
	if err != nil {
		w.Header().Del("Location")
		s.fail(w, r, err)
		return
	}
	w.Header().Set("ETag", etag(v))
	if rec := observed(w); rec != nil {
		rec.verificationID = v.ID
	}
	writeJSON(w, status, shown)
}
