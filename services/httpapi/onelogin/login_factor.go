package onelogin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

var (
	errState  = badRequest("State token is invalid or expired")
	errFactor = unauthorized("Failed authentication with this factor")
)

// loginDevice is a device that can complete a login.
type loginDevice struct {
	DeviceType string `json:"device_type"`
	DeviceID   int64  `json:"device_id"`

	device device.Device
	factor factor
}

// loginDevices are the devices with which a user can complete a login, and must if there is one.
func (s *Server) loginDevices(ctx context.Context, u device.User) ([]loginDevice, error) {
	all, err := s.config.Users.Devices(ctx, u.Credential, u.ID)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	devices := []loginDevice{}
	for _, d := range all {
		if f, ok := factorOf(d); ok && d.Active() && f.v1 != "" {
			devices = append(devices, loginDevice{f.login, d.Number, d, f})
		}
	}
	return devices, nil
}

type factorBody struct {
	DeviceID    text   `json:"device_id"`
	StateToken  string `json:"state_token"`
	OTPToken    text   `json:"otp_token"`
	DoNotNotify flag   `json:"do_not_notify"`
}

// second is the second step of a login.
type second struct {
	login login
	user  device.User
	state string
	with  loginDevice
}

// verifyFactor asks for a factor, tells how it stands, or takes its code.
func (s *Server) verifyFactor(c *call) error {
	var body factorBody
	if err := readBody(c, &body); err != nil {
		return err
	}
	step, err := s.second(c, body)
	if err != nil {
		return err
	}
	if body.OTPToken != "" {
		err = s.takeCode(c, step, body.OTPToken)
	} else {
		var pending bool
		if pending, err = s.askOrPoll(c, step, bool(body.DoNotNotify)); pending {
			st := success
			st.Type, st.Message = "pending", pendingMessage(step.with.factor)
			writeJSON(c.w, http.StatusOK, answerV1{Status: st})
			return nil
		}
	}
	if err != nil {
		return err
	}
	// Of all who complete one login, one goes on.
	if _, err := s.config.Tickets.Use(c.r.Context(), kindState, step.state); err != nil {
		return stateFault(err)
	}
	return s.logInDone(c, step.login, step.user)
}

func (s *Server) second(c *call, body factorBody) (second, error) {
	step := second{state: body.StateToken}
	switch {
	case body.StateToken == "":
		return step, badRequest("state_token must be given")
	case body.DeviceID == "":
		return step, badRequest("device_id must be given")
	}
	ctx := c.r.Context()
	content, err := s.config.Tickets.Look(ctx, kindState, body.StateToken)
	if err != nil {
		return step, stateFault(err)
	}
	if step.login, step.user, err = s.loginOf(ctx, content); err != nil {
		return step, stateFault(err)
	}
	if step.login.Account != c.client.Account {
		return step, errState
	}
	devices, err := s.loginDevices(ctx, step.user)
	if err != nil {
		return step, err
	}
	for _, d := range devices {
		if strconv.FormatInt(d.DeviceID, 10) == string(body.DeviceID) {
			step.with = d
			return step, nil
		}
	}
	return step, notFound("device_id must be one of the devices of this login")
}

func stateFault(err error) error {
	if errors.Is(err, verification.ErrNotFound) {
		return errState
	}
	return fmt.Errorf("read state token: %w", err)
}

// askOrPoll asks the person, once, and tells whether the answer is still to come. Not quiet, it asks
// again where it has asked before.
func (s *Server) askOrPoll(c *call, step second, quiet bool) (pending bool, err error) {
	if step.with.factor.is == device.AppCode {
		return false, badRequest("otp_token must be given: this factor sends nothing")
	}
	ctx := c.r.Context()
	key := step.key()
	id := s.loginID(c, step)
	v, err := s.config.Verifications.Get(ctx, id)
	switch {
	case errors.Is(err, verification.ErrNotFound):
		v, err = s.askOnce(c, step, key, id)
	case err == nil && v.Status == verification.Pending && !quiet:
		v, err = s.config.Verifications.Resend(ctx, id)
	}
	note(c.w, c.client.ClientID, id, nil)
	switch {
	case errors.Is(err, verification.ErrIdempotencyInProgress): // another call is asking just now
		return true, nil
	case errors.Is(err, verification.ErrClosed): // just now; the next poll says how
		return true, nil
	case err != nil:
		return false, fmt.Errorf("ask for factor: %w", err)
	case v.Status == verification.Pending:
		return true, nil
	case v.Status == verification.Approved:
		return false, nil
	default:
		return false, errFactor
	}
}

// key names the one verification of a login on a device.
func (step second) key() string {
	return "login:" + step.state + ":" + strconv.FormatInt(step.with.DeviceID, 10)
}

// loginID is the id of that verification. Its space is none of a client's: an account may be called like
// one of its clients, whose idempotency keys would otherwise put a verification of another address here.
func (s *Server) loginID(c *call, step second) string {
	return s.config.Verifications.IDFor(c.client.Account+"/login", step.key())
}

func (s *Server) askOnce(c *call, step second, key, id string) (verification.Verification, error) {
	o := messageOptions{
		id: id, idempotencyKey: key, life: loginLife,
		context: verification.Context{IP: step.login.Address, Action: "Sign in"},
	}
	var a verification.Activation
	var err error
	if step.with.factor.is == device.VoiceMatch {
		a, err = s.spoken(step.with.device, o)
	} else {
		a, err = s.activation(c, step.with.device, step.with.factor, o)
	}
	if err != nil {
		return verification.Verification{}, err
	}
	a.Client = c.client.ClientID
	v, _, err := s.config.Verifications.Create(c.r.Context(), a)
	return v, err //nolint:wrapcheck // the caller says it
}

// spoken asks by a call that says a code: a login's answer has no place for a number to be keyed in.
func (s *Server) spoken(d device.Device, o messageOptions) (verification.Activation, error) {
	v, secrets, err := verification.New(verification.Params{
		ID: o.id, Credential: d.Credential, UserID: d.UserID, DeviceID: d.ID, ToMasked: device.Mask(d.Kind, d.Address),
		Channel: verification.Voice, Challenge: verification.CodeChallenge, Brand: s.config.Settings.Brand, Context: o.context,
		Life: o.life, Shortest: time.Duration(s.config.Settings.MinExpiresIn) * time.Second,
	}, s.config.Now(), s.config.Random)
	if err != nil {
		return verification.Activation{}, fmt.Errorf("ask by a call: %w", err)
	}
	return verification.Activation{Verification: v, Secrets: secrets, To: d.Address, IdempotencyKey: o.idempotencyKey}, nil
}

// takeCode compares a code, and fails with errFactor for a wrong one. When no more may be compared, the
// state token is used up.
func (s *Server) takeCode(c *call, step second, typed text) error {
	ctx := c.r.Context()
	// Each login has its own verification. This counts over all of them.
	right, err := s.config.Guesses.Guess(ctx, kindLoginFactor, c.client.Account+"/"+step.user.ID)
	if err != nil {
		return s.refuseCode(ctx, step, err)
	}
	var valid bool
	code := verification.Code(typed.code(verification.DefaultCodeLength))
	switch step.with.factor.is {
	case device.AppCode, device.AppPush:
		valid, err = s.config.Users.CheckCode(ctx, c.client.Account, step.with.device.ID, code)
	default:
		id := s.loginID(c, step)
		note(c.w, c.client.ClientID, id, nil)
		var v verification.Verification
		v, valid, err = s.config.Verifications.Check(ctx, id, code)
		if err == nil && v.Status == verification.Failed {
			return s.useUp(ctx, step, errFactor)
		}
	}
	switch {
	case err != nil:
		return s.refuseCode(ctx, step, err)
	case !valid:
		return errFactor
	}
	right(ctx)
	return nil
}

// refuseCode says why a code could not be compared.
func (s *Server) refuseCode(ctx context.Context, step second, err error) error {
	var limit *verification.LimitError
	switch {
	case errors.As(err, &limit):
		return s.useUp(ctx, step, err)
	case errors.Is(err, verification.ErrNotFound), errors.Is(err, verification.ErrClosed), errors.Is(err, verification.ErrChallenge):
		return errFactor
	default:
		return fmt.Errorf("check code: %w", err)
	}
}

// useUp ends a login that may not be tried any more, and fails with err.
func (s *Server) useUp(ctx context.Context, step second, err error) error {
	if failed := s.config.Tickets.Revoke(ctx, kindState, step.state); failed != nil {
		return fmt.Errorf("use up state token: %w", failed)
	}
	return err
}

// pendingMessage has the words that clients compare with: all of them look for "pending".
func pendingMessage(f factor) string {
	switch f.is {
	case device.AppPush:
		return "Authentication pending on OL Protect"
	case device.SMSCode:
		return "SMS token sent to your mobile device. Authentication pending."
	case device.VoiceMatch:
		return "Your phone is being called. Authentication pending."
	case device.AppCode: // nothing is sent: the app has the code
		return "Authentication pending."
	default:
		return strings.TrimSuffix(f.name, " Link") + " sent. Authentication pending."
	}
}
