package secureauth

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// sentKind is the kind of the tickets that lead from a user to the code that was last sent to them.
const sentKind = "sa_otp"

// refusedNumber begins the answer to a number that the realm sends nothing to; the reasons follow.
const refusedNumber = "The phone number is blocked by its "

// sent is the answer to a code on its way. The code is in it where the realm says so: some clients compare
// it themselves.
type sent struct {
	plain
	OTP string `json:"otp,omitempty"`
}

// destination is where a question goes: an address, or a device.
type destination struct {
	channel verification.Channel
	to      string
	device  device.Device
}

func (d destination) kind() device.Kind {
	switch d.channel {
	case verification.Email:
		return device.Mailbox
	case verification.Push:
		return device.Push
	default:
		return device.Phone
	}
}

// sendToPhone sends a code to a number of the profile, or to one of the request's own.
func (s *Server) sendToPhone(a attempted) error {
	channel := verification.SMS
	if a.Type == typeCall {
		channel = verification.Voice
	}
	to, err := a.number()
	if err != nil {
		return err
	}
	return s.sendCode(a, destination{channel: channel, to: to})
}

// sendToMailbox sends a code to an address of the profile, or to one of the request's own.
func (s *Server) sendToMailbox(a attempted) error {
	to, err := a.mailbox()
	if err != nil {
		return err
	}
	return s.sendCode(a, destination{channel: verification.Email, to: to})
}

// sendToHelpDesk tells the help desk a code, which it passes on to a caller whom it recognises: by mail
// where the profile has an address, and else by a call, since a desk's number need not take messages.
func (s *Server) sendToHelpDesk(a attempted) error {
	if a.FactorID == "" {
		return rejected("factor_id is required.")
	}
	id, desk, err := a.chosen(a.profile.helpDesks())
	if err != nil {
		return err
	}
	if to, err := address.Mailbox(desk); err == nil {
		return s.sendCode(a, destination{channel: verification.Email, to: to})
	}
	to, err := e164(desk)
	if err != nil {
		return rejected(id + " " + err.Error() + ", or an email address.")
	}
	return s.sendCode(a, destination{channel: verification.Voice, to: to})
}

// sendToApp sends a code to the app of a phone.
func (s *Server) sendToApp(a attempted) error {
	d, err := s.device(a, takesPushes)
	if err != nil {
		return err
	}
	return s.sendCode(a, destination{channel: verification.Push, to: d.Address, device: d})
}

// number is where the request wants to reach a phone.
func (a attempted) number() (string, error) {
	id, typed, err := a.target(a.profile.phones(), "the phone number")
	if err != nil {
		return "", err
	}
	to, err := e164(typed)
	if err != nil {
		return "", rejected(id + " " + err.Error() + ".")
	}
	if a.EvaluateNumber {
		_, reasons, err := evaluate(to, a.profile, a.realm.Settings.Block)
		if err != nil {
			return "", rejected(id + " " + err.Error() + ".")
		}
		if len(reasons) > 0 { // not a fault of the request: the number itself is refused
			return "", wrong(string(a.UserID), refusedNumber+strings.Join(reasons, ", ")+".")
		}
	}
	return to, nil
}

// mailbox is where the request wants to send mail.
func (a attempted) mailbox() (string, error) {
	id, typed, err := a.target(a.profile.emails(), "the email address")
	if err != nil {
		return "", err
	}
	to, err := address.Mailbox(typed)
	if err != nil {
		return "", rejected(id + " " + err.Error() + ".")
	}
	return to, nil
}

// target is the address that the request names by a factor of the profile or as it is, and what to call it
// in a refusal.
func (a attempted) target(factors map[string]string, what string) (id, value string, err error) {
	switch {
	case a.FactorID != "" && a.Token != "":
		return "", "", rejected("token must not be given together with factor_id.")
	case a.FactorID != "":
		return a.chosen(factors)
	case a.Token != "":
		return "token", string(a.Token), nil
	default:
		return "", "", rejected("factor_id is required, or token instead: " + what + ".")
	}
}

// sendCode sends a code of six digits and remembers that it is the user's last one.
func (s *Server) sendCode(a attempted, d destination) error {
	if err := s.attempt(a.call, a.user); err != nil {
		return err
	}
	activation, err := s.code(a, d)
	if err != nil {
		return err
	}
	v := activation.Verification
	if err := s.create(a, activation); err != nil {
		return err
	}
	life := max(v.ExpiresAt.Sub(s.config.Now()), time.Second)
	if err := s.config.Tickets.Issue(a.ctx(), sentKind, ownerKey(a.user), []byte(v.ID), life); err != nil {
		return fmt.Errorf("remember code: %w", err)
	}
	body := sent{plain: plain{statusValid, "", string(a.UserID)}}
	if a.realm.Settings.EchoOTP {
		body.OTP = activation.Secrets.Code.Reveal()
	}
	return a.answer(body)
}

// code is a question for a code that does not begin with 0: one SDK reads codes as integers.
func (s *Server) code(a attempted, d destination) (verification.Activation, error) {
	for {
		activation, err := s.question(a, d, verification.Params{Challenge: verification.CodeChallenge})
		if err != nil || activation.Secrets.Code.Reveal()[0] != '0' {
			return activation, err
		}
	}
}

// question is a new verification of the user; p says what is asked.
func (s *Server) question(a attempted, d destination, p verification.Params) (verification.Activation, error) {
	id, err := uuid.NewV7FromReader(s.config.Random)
	if err != nil {
		return verification.Activation{}, fmt.Errorf("draw reference: %w", err)
	}
	p.ID, p.Credential, p.UserID, p.DeviceID = id.String(), a.realm.Account, a.user.ID, d.device.ID
	p.Channel, p.ToMasked, p.Brand, p.Context = d.channel, device.Mask(d.kind(), d.to), a.brand(), a.about()
	p.Life = a.realm.Settings.Complete().Life
	activation := verification.Activation{To: d.to, Platform: d.device.Platform, PublicKey: d.device.PublicKey}
	activation.Verification, activation.Secrets, err = verification.New(p, s.config.Now(), s.config.Random)
	if err != nil {
		return activation, fmt.Errorf("ask user: %w", err)
	}
	return activation, nil
}

// create stores the question, which sends it.
func (s *Server) create(a attempted, activation verification.Activation) error {
	note(a.w, a.realm.AppID, activation.Verification.ID, nil)
	if _, _, err := s.config.Verifications.Create(a.ctx(), activation); err != nil {
		return fmt.Errorf("ask user: %w", err)
	}
	return nil
}

type validateRequest struct {
	UserID text `json:"user_id"`
	Domain text `json:"domain"`
	OTP    text `json:"otp"`
}

// validateOTP is POST /otp/validate: it compares a code with the one that was last sent to the user. Its
// answers hold nothing but status and message, since one SDK reads no others.
func (s *Server) validateOTP(c *call) error {
	var request validateRequest
	if err := c.decode(&request); err != nil {
		return err
	}
	if request.UserID == "" {
		return rejected("user_id is required.")
	}
	if request.OTP == "" {
		return rejected("otp is required.")
	}
	u, err := s.user(c, string(request.UserID), string(request.Domain))
	if isUnknownUser(err) {
		return unknownUser("")
	}
	if err != nil {
		return err
	}
	p, err := profileOf(u)
	if err != nil {
		return err
	}
	if state := p.state(u); state != "" {
		return barred(state, "")
	}
	if err := s.validation(c, u); err != nil {
		return err
	}
	right, err := s.redeem(c, u, typedCode(string(request.OTP)))
	if err != nil {
		return err
	}
	if !right {
		return wrong("", "OTP is invalid.")
	}
	s.proved(c, u)
	return c.answer(basic{statusValid, ""})
}

// redeem compares a code with the one that was last sent. Each is right once.
func (s *Server) redeem(c *call, u device.User, code string) (bool, error) {
	id, err := s.config.Tickets.Look(c.ctx(), sentKind, ownerKey(u))
	if errors.Is(err, verification.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("find code: %w", err)
	}
	note(c.w, c.realm.AppID, string(id), nil)
	_, right, err := s.config.Verifications.Check(c.ctx(), string(id), verification.Code(code))
	if errors.Is(err, verification.ErrClosed) || errors.Is(err, verification.ErrNotFound) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("check code: %w", err)
	}
	return right, nil
}
