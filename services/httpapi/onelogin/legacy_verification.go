package onelogin

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

const (
	// kindTrigger is the kind of the tickets that state tokens of devices are.
	kindTrigger = "trigger"
	tokenBytes  = 20
)

var (
	errWrongCode = badRequest("Failed authentication with this factor")
	errNoUser    = badRequest("User does not exist")
)

// triggered is what a state token stands for.
type triggered struct {
	User   string `json:"user"`
	Device string `json:"device"`
	// Verification is what was asked; empty where nothing was yet.
	Verification string `json:"verification,omitempty"`
}

// newStateToken makes the token that leads from trigger to verify.
func (s *Server) newStateToken(c *call, u device.User, d device.Device, verificationID string, life time.Duration) (string, time.Time, error) {
	raw := make([]byte, tokenBytes)
	if _, err := io.ReadFull(s.config.Random, raw); err != nil {
		return "", time.Time{}, fmt.Errorf("draw state token: %w", err)
	}
	token := fmt.Sprintf("%x", raw)
	content, err := json.Marshal(triggered{u.ID, d.ID, verificationID})
	if err != nil {
		return "", time.Time{}, fmt.Errorf("encode state token: %w", err)
	}
	err = s.config.Tickets.Issue(c.r.Context(), kindTrigger, token, content, life)
	return token, s.config.Now().Add(life), err //nolint:wrapcheck // says what it did
}

type triggerRequest struct {
	ExpiresIn integer `json:"state_token_expires_in"`
	Numeric   flag    `json:"numeric_sms_otp"`
	Message   string  `json:"sms_message"`
}

// triggerAnswer has the user's number as its id.
type triggerAnswer struct {
	Name       string      `json:"user_display_name"`
	Active     bool        `json:"active"`
	StateToken string      `json:"state_token"`
	ExpiresAt  string      `json:"state_token_expires_at"`
	Auth       string      `json:"auth_factor_name"`
	Type       string      `json:"type_display_name"`
	ID         int64       `json:"id"`
	DeviceID   int64       `json:"device_id"`
	Data       *factorData `json:"factor_data,omitempty"`
}

// trigger asks the owner of a device, to prove it or to log in with it.
func (s *Server) trigger(c *call) error {
	u, err := s.reachable(c, "id")
	if err != nil {
		return err
	}
	d, f, err := s.legacyOne(c, u)
	if err != nil {
		return err
	}
	var request triggerRequest
	if err := readBody(c, &request); err != nil {
		return err
	}
	life, err := s.lifeOf(request.ExpiresIn, "state_token_expires_in", 0)
	if err != nil {
		return err
	}
	m, err := s.wording(f, "", "", life)
	if err != nil {
		return err
	}
	if f.is == device.SMSCode {
		m.Alphanumeric = !bool(request.Numeric)
		if m.Text, err = s.customText(request.Message, "sms_message", life); err != nil {
			return err
		}
	}
	id, number, err := s.askLegacy(c, d, f, m)
	if err != nil {
		return err
	}
	token, end, err := s.newStateToken(c, u, d, id, life)
	if err != nil {
		return err
	}
	answer := triggerAnswer{d.Name, d.Active(), token, instant(end), f.v1, f.name, u.Number, d.Number, nil}
	if number != "" {
		answer.Data = &factorData{Token: number.Reveal()}
	}
	st := success
	st.Message = pendingMessage(f)
	writeJSON(c.w, http.StatusOK, answerV1{Status: st, Data: []triggerAnswer{answer}})
	return nil
}

// askLegacy asks, and returns the verification with the number that the person is to key into a call.
func (s *Server) askLegacy(c *call, d device.Device, f factor, m enrolment.Message) (id string, number verification.Code, err error) {
	if d.Active() {
		a, err := s.askDevice(c, d, f, messageOptions{life: m.Life, text: m.Text, alphanumeric: m.Alphanumeric})
		return a.Verification.ID, a.Secrets.Number, err
	}
	m.Client = c.client.ClientID
	e, err := s.config.Enrolments.Ask(c.r.Context(), c.client.Account, d.ID, m)
	switch {
	case errors.Is(err, enrolment.ErrFactor):
		return "", "", badRequest("Factor is not active, and is not proved by a message")
	case errors.Is(err, enrolment.ErrActive): // its proof had come meanwhile
		return s.askLegacy(c, e.Device, f, m)
	case errors.Is(err, verification.ErrNotFound):
		return "", "", errNoFactor
	case err != nil:
		return "", "", err //nolint:wrapcheck // says what it did
	}
	return e.Device.Pending.VerificationID, e.Number, nil
}

type verifyRequest struct {
	OTP        text `json:"otp_token"`
	StateToken text `json:"state_token"`
}

// verifyLegacy takes a code, or tells whether the person has answered. The first success makes the
// device active.
func (s *Server) verifyLegacy(c *call) error {
	u, err := s.verified(c)
	if err != nil {
		return err
	}
	var request verifyRequest
	if err := readBody(c, &request); err != nil {
		return err
	}
	word, err := s.legacyWord(c, u, request)
	if err != nil {
		return err
	}
	st := success
	switch word {
	case wordAccepted:
	case wordPending:
		if request.OTP != "" {
			return errWrongCode
		}
		st.Type, st.Message = "pending", "Authentication pending"
	default:
		return errWrongCode
	}
	writeJSON(c.w, http.StatusOK, answerV1{Status: st})
	return nil
}

// verified is the user of the path; this call has its own words for one that is not there.
func (s *Server) verified(c *call) (device.User, error) {
	u, err := s.reachable(c, "id")
	if errors.Is(err, verification.ErrNotFound) {
		return u, errNoUser
	}
	return u, err
}

func (s *Server) legacyWord(c *call, u device.User, request verifyRequest) (string, error) {
	ctx := c.r.Context()
	if c.r.PathValue("device") == "0" { // stands for no device: a temporary code
		if request.OTP == "" {
			return "", invalid("otp_token", "is required")
		}
		right, err := s.redeem(ctx, u, request.OTP)
		return wordOf(right), err
	}
	d, f, err := s.legacyOne(c, u)
	if err != nil {
		return "", err
	}
	if request.StateToken == "" {
		return s.withoutState(ctx, d, f, request)
	}
	t, err := s.state(ctx, string(request.StateToken), u, d)
	if err != nil {
		return "", err
	}
	word, err := s.withState(c, u, d, t, request.OTP)
	if err != nil || word != wordAccepted {
		return word, err
	}
	// Of all who bring one proof, one is told so.
	if _, err := s.config.Tickets.Use(ctx, kindTrigger, string(request.StateToken)); err != nil {
		return "", stateFault(err)
	}
	return word, nil
}

// state reads a state token. One of another device or user is worth as much as none.
func (s *Server) state(ctx context.Context, token string, u device.User, d device.Device) (triggered, error) {
	var t triggered
	content, err := s.config.Tickets.Look(ctx, kindTrigger, token)
	if err != nil {
		return t, stateFault(err)
	}
	if err := json.Unmarshal(content, &t); err != nil {
		return t, fmt.Errorf("decode state token: %w", err)
	}
	if t.User != u.ID || t.Device != d.ID {
		return t, errState
	}
	return t, nil
}

// withoutState takes the codes that a device makes by itself.
func (s *Server) withoutState(ctx context.Context, d device.Device, f factor, request verifyRequest) (string, error) {
	switch {
	case f.is != device.AppPush && needsTrigger(f):
		return "", invalid("state_token", "is required")
	case request.OTP == "":
		return "", invalid("otp_token", "is required")
	case !d.Active():
		return s.proveLegacy(ctx, d, request.OTP)
	}
	right, err := s.config.Users.CheckCode(ctx, d.Credential, d.ID, verification.Code(request.OTP.code(codeLength)))
	if err != nil {
		return "", fmt.Errorf("check code: %w", err)
	}
	return wordOf(right), nil
}

// withState takes the code that was sent, or reads how the person answered.
func (s *Server) withState(c *call, u device.User, d device.Device, t triggered, otp text) (string, error) {
	ctx := c.r.Context()
	// What was asked to prove the device is the enrolment's, until it has come.
	if !d.Active() {
		return s.proveLegacy(ctx, d, otp)
	}
	if t.Verification == "" {
		return "", badRequest("Nothing was sent: trigger the factor first")
	}
	v, d, f, err := s.askedBy(c, u, t.Verification)
	if errors.Is(err, verification.ErrNotFound) {
		return "", errState
	}
	if err != nil {
		return "", err
	}
	if otp == "" {
		return wordFor(v.Status), nil
	}
	return s.checkCode(ctx, v, d, f, otp)
}

// proveLegacy completes an enrolment.
func (s *Server) proveLegacy(ctx context.Context, d device.Device, otp text) (string, error) {
	var e enrolment.Enrolment
	var err error
	if otp == "" {
		e, err = s.config.Enrolments.Get(ctx, d.Credential, d.ID)
	} else {
		e, err = s.config.Enrolments.Prove(ctx, d.Credential, d.ID, verification.Code(otp.code(codeLength)))
	}
	switch {
	case errors.Is(err, enrolment.ErrFactor):
		return "", invalid("otp_token", "does not go with this factor; verify without it until it is accepted")
	case errors.Is(err, enrolment.ErrActive): // a second use of the code
		return wordRejected, nil
	case errors.Is(err, verification.ErrNotFound):
		return "", errNoFactor
	case err != nil:
		return "", err //nolint:wrapcheck // says what it did
	}
	return string(e.State), nil
}

func wordOf(right bool) string {
	if right {
		return wordAccepted
	}
	return wordRejected
}
