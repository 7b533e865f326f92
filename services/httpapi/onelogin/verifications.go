package onelogin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// latestKind is the kind of the tickets that lead from a device to its newest verification, for codes
// that come without the id of one.
const latestKind = "latest"

type startRequest struct {
	DeviceID      text    `json:"device_id"`
	ExpiresIn     integer `json:"expires_in"`
	RedirectTo    string  `json:"redirect_to"`
	CustomMessage string  `json:"custom_message"`
	// OTP turns the call into a check; nil: absent.
	OTP *text `json:"otp"`
}

// startVerification asks the owner of a device, or compares a code with what the device has anyway.
func (s *Server) startVerification(c *call) error {
	u, err := s.reachable(c, "user_id")
	if err != nil {
		return err
	}
	var request startRequest
	if err := readBody(c, &request); err != nil {
		return err
	}
	if request.DeviceID == "" {
		return invalid("device_id", "is required")
	}
	if request.OTP != nil && *request.OTP == "" {
		return invalid("otp", "must not be empty")
	}
	if request.OTP != nil && strings.HasPrefix(string(request.DeviceID), temporaryDevice) {
		return s.checkTemporary(c, u, string(request.DeviceID), *request.OTP)
	}
	number, _ := strconv.ParseInt(string(request.DeviceID), 10, 64) // none is no device's number
	d, f, err := s.activeDevice(c, u, number)
	if errors.Is(err, verification.ErrNotFound) {
		return invalid("device_id", "is not an active device of this user")
	}
	if err != nil {
		return err
	}
	if request.OTP != nil {
		return s.checkDevice(c, d, f, *request.OTP)
	}
	return s.activate(c, u, d, f, request)
}

// activate sends what the factor sends.
func (s *Server) activate(c *call, u device.User, d device.Device, f factor, request startRequest) error {
	life, err := s.lifeOf(request.ExpiresIn, "expires_in", 0)
	if err != nil {
		return err
	}
	m, err := s.wording(f, request.CustomMessage, request.RedirectTo, life)
	if err != nil {
		return err
	}
	a, err := s.askDevice(c, d, f, messageOptions{life: life, text: m.Text, redirectTo: m.RedirectTo})
	if err != nil {
		return err
	}
	answerList(c, http.StatusCreated, c.shape().messageList && f.is == device.SMSCode, c.activated(u, d, f, a))
	return nil
}

// askDevice stores a verification of the device, and leads from the device to it.
func (s *Server) askDevice(c *call, d device.Device, f factor, o messageOptions) (verification.Activation, error) {
	a, err := s.activation(c, d, f, o)
	if err != nil {
		return a, err
	}
	note(c.w, c.client.ClientID, a.Verification.ID, nil)
	if _, _, err := s.config.Verifications.Create(c.r.Context(), a); err != nil {
		return a, fmt.Errorf("ask device: %w", err)
	}
	if f.is != device.SMSCode && f.is != device.EmailCode {
		return a, nil
	}
	life := max(a.Verification.ExpiresAt.Sub(s.config.Now()), time.Second)
	err = s.config.Tickets.Issue(c.r.Context(), latestKind, d.ID, []byte(a.Verification.ID), life)
	return a, err //nolint:wrapcheck // says what it did
}

type activated struct {
	ID        identifier  `json:"id"`
	User      string      `json:"user_id,omitempty"`
	Device    identifier  `json:"device_id"`
	Auth      string      `json:"auth_factor_name"`
	Type      string      `json:"type_display_name"`
	Name      string      `json:"user_display_name"`
	ExpiresAt string      `json:"expires_at,omitempty"`
	Data      *factorData `json:"factor_data,omitempty"`
}

func (c *call) activated(u device.User, d device.Device, f factor, a verification.Activation) activated {
	body := activated{
		ID: c.verificationID(a.Verification.ID), User: strconv.FormatInt(u.Number, 10), Device: decimal(d.Number),
		Auth: f.v2, Type: f.name, Name: d.Name,
	}
	if c.shape().noUser {
		body.User = ""
	}
	if c.shape().deviceNumber {
		body.Device = identifier{number: d.Number}
	}
	if f.is != device.AppPush && f.is != device.AppCode {
		body.ExpiresAt = instant(a.Verification.ExpiresAt)
	}
	if f.is == device.VoiceMatch {
		body.Data = &factorData{Token: a.Secrets.Number.Reveal()}
	}
	return body
}

// readVerification says how a verification stands: for what completes without a code of the client's.
func (s *Server) readVerification(c *call) error {
	u, err := s.person(c)
	if err != nil {
		return err
	}
	v, d, _, err := s.asked(c, u)
	if err != nil {
		return err
	}
	answerList(c, http.StatusOK, c.shape().verificationList, c.standing(v.ID, wordFor(v.Status), d))
	return nil
}

// checkVerification checks a code. A wrong one is no error; the last one that is allowed ends it.
func (s *Server) checkVerification(c *call) error {
	u, err := s.reachable(c, "user_id")
	if err != nil {
		return err
	}
	var request struct {
		OTP      text `json:"otp"`
		DeviceID text `json:"device_id"`
	}
	if err := readBody(c, &request); err != nil {
		return err
	}
	v, d, f, err := s.asked(c, u)
	if err != nil {
		return err
	}
	if request.OTP == "" {
		return invalid("otp", "is required")
	}
	// A device that was not named is 0 in the Go SDK.
	if named := string(request.DeviceID); named != "" && named != "0" && named != strconv.FormatInt(d.Number, 10) {
		return invalid("device_id", "is not the device of this verification")
	}
	word, err := s.checkCode(c.r.Context(), v, d, f, request.OTP)
	if err != nil {
		return err
	}
	return answerCode(c, c.standing(v.ID, word, d))
}

// asked is the verification of the path with its device. Those of other users and of devices that are
// not active are not found.
func (s *Server) asked(c *call, u device.User) (verification.Verification, device.Device, factor, error) {
	id := c.r.PathValue("id")
	if n, ok := pathNumber(c, "id"); ok && n <= maxAlias && c.client.NumericIDs {
		id = idOf(n)
	}
	return s.askedBy(c, u, id)
}

func (s *Server) askedBy(c *call, u device.User, id string) (verification.Verification, device.Device, factor, error) {
	// Every other spelling of a UUID, and what is none, never reaches the store.
	if !events.ValidID(id) {
		return verification.Verification{}, device.Device{}, factor{}, verification.ErrNotFound
	}
	note(c.w, c.client.ClientID, id, nil)
	v, err := s.config.Verifications.Get(c.r.Context(), id)
	if err != nil {
		return v, device.Device{}, factor{}, err //nolint:wrapcheck // says what it did
	}
	if v.Credential != c.client.Account || v.UserID != u.ID || v.DeviceID == "" {
		return v, device.Device{}, factor{}, verification.ErrNotFound
	}
	d, err := s.config.Users.Device(c.r.Context(), c.client.Account, v.DeviceID)
	if err != nil {
		return v, d, factor{}, err //nolint:wrapcheck // says what it did
	}
	f, ok := factorOf(d)
	if !ok || !d.Active() {
		return v, d, f, verification.ErrNotFound
	}
	return v, d, f, nil
}

// checkCode compares a code and says how the verification stands then.
func (s *Server) checkCode(ctx context.Context, v verification.Verification, d device.Device, f factor, otp text) (string, error) {
	switch f.is {
	case device.VoiceMatch, device.EmailLink:
		return "", invalid("otp", "does not go with this factor; read the verification until it is accepted")
	case device.AppPush:
		return s.checkPhone(ctx, v, d, otp)
	case device.SMSCode, device.EmailCode, device.AppCode:
	}
	checked, right, err := s.config.Verifications.Check(ctx, v.ID, verification.Code(otp.code(codeLength)))
	switch {
	case errors.Is(err, verification.ErrClosed):
		return wordRejected, nil
	case errors.Is(err, verification.ErrChallenge): // asked by the native API in another way
		return "", invalid("otp", "does not go with this verification; read it until it is accepted")
	case err != nil:
		return "", fmt.Errorf("check code: %w", err)
	case right:
		return wordAccepted, nil
	default:
		return wordFor(checked.Status), nil
	}
}

// checkPhone takes a one-time code of the phone in place of its signed answer. The phone is the only one
// that has the secret, so a right code approves.
func (s *Server) checkPhone(ctx context.Context, v verification.Verification, d device.Device, otp text) (string, error) {
	if v.Status.Closed() {
		return wordRejected, nil
	}
	right, err := s.config.Users.CheckCode(ctx, d.Credential, d.ID, verification.Code(otp.code(codeLength)))
	if err != nil {
		return "", fmt.Errorf("check code: %w", err)
	}
	if !right {
		return wordPending, nil
	}
	after, err := s.config.Verifications.Resolve(ctx, v.ID, verification.Answered{Decision: verification.Approve})
	if errors.Is(err, verification.ErrClosed) {
		return wordRejected, nil
	}
	if err != nil {
		return "", fmt.Errorf("approve verification: %w", err)
	}
	return wordFor(after.Status), nil
}

// checkDevice compares a code that came without the id of a verification.
func (s *Server) checkDevice(c *call, d device.Device, f factor, otp text) error {
	ctx := c.r.Context()
	switch f.is {
	case device.VoiceMatch, device.EmailLink:
		return invalid("otp", "does not go with this factor")
	case device.AppPush, device.AppCode:
		right, err := s.config.Users.CheckCode(ctx, d.Credential, d.ID, verification.Code(otp.code(codeLength)))
		if err != nil {
			return fmt.Errorf("check code: %w", err)
		}
		return s.answerLoose(c, right, strconv.FormatInt(d.Number, 10))
	case device.SMSCode, device.EmailCode:
	}
	id, err := s.config.Tickets.Look(ctx, latestKind, d.ID)
	var v verification.Verification
	if err == nil {
		v, err = s.config.Verifications.Get(ctx, string(id))
	}
	if errors.Is(err, verification.ErrNotFound) { // nothing is open that the code could be of
		return s.answerLoose(c, false, strconv.FormatInt(d.Number, 10))
	}
	if err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	note(c.w, c.client.ClientID, v.ID, nil)
	word, err := s.checkCode(ctx, v, d, f, otp)
	if err != nil {
		return err
	}
	return answerCode(c, c.standing(v.ID, word, d))
}

// checkTemporary redeems a temporary code.
func (s *Server) checkTemporary(c *call, u device.User, deviceID string, otp text) error {
	if deviceID != temporaryDevice+strconv.FormatInt(u.Number, 10) {
		return invalid("device_id", "is not a device of this user")
	}
	right, err := s.redeem(c.r.Context(), u, otp)
	if err != nil {
		return err
	}
	return s.answerLoose(c, right, deviceID)
}

// answerLoose answers for a code that belongs to no verification: one is made up for the clients that
// read its id. Nothing stays open, so a wrong code is a refusal at once.
func (s *Server) answerLoose(c *call, right bool, deviceID string) error {
	id, err := s.newID(c)
	if err != nil {
		return err
	}
	word := wordRejected
	if right {
		word = wordAccepted
	}
	return answerCode(c, standing{ID: c.verificationID(id), Status: word, Device: deviceID})
}

func (c *call) standing(id, word string, d device.Device) standing {
	return standing{ID: c.verificationID(id), Status: word, Device: strconv.FormatInt(d.Number, 10)}
}
