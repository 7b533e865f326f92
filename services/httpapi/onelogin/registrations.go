package onelogin

import (
	"errors"
	"net/http"
	"strconv"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

// codeLength is how many digits a code has, wherever it comes from.
const codeLength = 6

// listFactors lists what the user could enrol: what the policy allows and they have not.
func (s *Server) listFactors(c *call) error {
	u, err := s.person(c)
	if err != nil {
		return err
	}
	devices, err := s.enrolledDevices(c, u)
	if err != nil {
		return err
	}
	enrolled := map[device.Factor]bool{}
	for _, d := range devices {
		enrolled[d.Factor] = enrolled[d.Factor] || d.Active()
	}
	type item struct {
		ID   int64  `json:"factor_id"`
		Name string `json:"name"`
		Auth string `json:"auth_factor_name"`
	}
	list := []item{}
	for _, f := range factors {
		if _, allowed := s.factorByID(f.id); allowed && !enrolled[f.is] {
			list = append(list, item{f.id, f.name, f.v2})
		}
	}
	writeJSON(c.w, http.StatusOK, list)
	return nil
}

type enrolRequest struct {
	FactorID      integer `json:"factor_id"`
	DisplayName   text    `json:"display_name"`
	ExpiresIn     integer `json:"expires_in"`
	Verified      flag    `json:"verified"`
	RedirectTo    string  `json:"redirect_to"`
	CustomMessage string  `json:"custom_message"`
}

// enrol registers a device, and asks its owner to prove it.
func (s *Server) enrol(c *call) error {
	u, err := s.person(c)
	if err != nil {
		return err
	}
	var request enrolRequest
	if err := readBody(c, &request); err != nil {
		return err
	}
	f, r, err := s.enrolment(u, request)
	if err != nil {
		return err
	}
	r.Client = c.client.ClientID
	e, err := s.config.Enrolments.Begin(c.r.Context(), r)
	if err != nil {
		return enrolmentFault(err)
	}
	writeJSON(c.w, http.StatusCreated, c.registration(e, f))
	return nil
}

// enrolment checks the request and says it in our words.
func (s *Server) enrolment(u device.User, request enrolRequest) (factor, enrolment.Request, error) {
	settings := s.config.Settings
	r := enrolment.Request{
		User: u, Name: string(request.DisplayName), Proven: bool(request.Verified),
		Brand: settings.Brand, Issuer: settings.Brand, Shortest: settings.shortest(),
	}
	if !request.FactorID.set {
		return factor{}, r, invalid("factor_id", "is required")
	}
	f, ok := s.factorByID(request.FactorID.value)
	if !ok {
		return f, r, invalid("factor_id", "is not a factor that can be enrolled")
	}
	r.Factor = f.is
	if err := checkName(r.Name); err != nil {
		return f, r, err
	}
	if kind := f.is.Kind(); r.Proven && kind != device.Phone && kind != device.Mailbox {
		return f, r, invalid("verified", "can be true for SMS, Voice and Email only")
	}
	unset := 0
	if f.is == device.AppPush {
		unset = maxExpiresIn // no end is told for it, and people install an app first
	}
	var err error
	if r.Life, err = s.lifeOf(request.ExpiresIn, "expires_in", unset); err != nil {
		return f, r, err
	}
	r.Message, err = s.wording(f, request.CustomMessage, request.RedirectTo, r.Life)
	return f, r, err
}

type factorData struct {
	Token string `json:"verification_token"`
	URI   string `json:"totp_url,omitempty"`
}

type registration struct {
	ID        identifier  `json:"id"`
	Status    string      `json:"status"`
	Auth      string      `json:"auth_factor_name"`
	Type      string      `json:"type_display_name"`
	Name      string      `json:"user_display_name"`
	ExpiresAt string      `json:"expires_at,omitempty"`
	Device    string      `json:"device_id,omitempty"`
	Data      *factorData `json:"factor_data,omitempty"`
}

func (c *call) registration(e enrolment.Enrolment, f factor) registration {
	body := registration{
		ID: c.registrationID(e.Device), Status: string(e.State), Auth: f.v2, Type: f.name, Name: e.Device.Name,
	}
	if e.State == enrolment.Accepted {
		body.Device = strconv.FormatInt(e.Device.Number, 10)
		return body
	}
	if f.is != device.AppPush {
		body.ExpiresAt = instant(e.ExpiresAt)
	}
	switch f.is {
	case device.AppPush:
		body.Data = &factorData{e.JoinCode, e.URI}
	case device.AppCode:
		body.Data = &factorData{e.Secret, e.URI}
	case device.VoiceMatch:
		body.Data = &factorData{Token: e.Number.Reveal()}
	case device.SMSCode, device.EmailCode, device.EmailLink:
	}
	return body
}

// readRegistration says how an enrolment stands: for what completes without a code of the client's.
func (s *Server) readRegistration(c *call) error {
	u, err := s.person(c)
	if err != nil {
		return err
	}
	d, err := s.registered(c, u)
	if err != nil {
		return err
	}
	e, err := s.config.Enrolments.Get(c.r.Context(), c.client.Account, d.ID)
	if err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	c.answerRegistration(e)
	return nil
}

// proveRegistration checks a code. One that is sent again after the device became active is refused
// like any that is used up.
func (s *Server) proveRegistration(c *call) error {
	u, err := s.reachable(c, "user_id")
	if err != nil {
		return err
	}
	var request struct {
		OTP text `json:"otp"`
	}
	if err := readBody(c, &request); err != nil {
		return err
	}
	d, err := s.registered(c, u)
	if err != nil {
		return err
	}
	if request.OTP == "" {
		return invalid("otp", "is required")
	}
	e, err := s.config.Enrolments.Prove(c.r.Context(), c.client.Account, d.ID, verification.Code(request.OTP.code(codeLength)))
	switch {
	case errors.Is(err, enrolment.ErrFactor):
		return invalid("otp", "does not go with this factor; read the registration until it is accepted")
	case errors.Is(err, enrolment.ErrActive):
		e.State = enrolment.Rejected
	case err != nil:
		return err //nolint:wrapcheck // says what it did
	}
	c.answerRegistration(e)
	return nil
}

// registered is the device of the path's registration.
func (s *Server) registered(c *call, u device.User) (device.Device, error) {
	var d device.Device
	var err error
	if n, ok := pathNumber(c, "id"); ok && c.client.NumericIDs {
		d, err = s.config.Users.DeviceByNumber(c.r.Context(), c.client.Account, n)
	} else {
		d, err = s.config.Users.Device(c.r.Context(), c.client.Account, c.r.PathValue("id"))
	}
	if err != nil {
		return d, err //nolint:wrapcheck // says what it did
	}
	if _, ok := factorOf(d); !ok || d.UserID != u.ID {
		return d, verification.ErrNotFound
	}
	return d, nil
}

func (c *call) answerRegistration(e enrolment.Enrolment) {
	body := standing{ID: c.registrationID(e.Device), Status: string(e.State)}
	if e.State == enrolment.Accepted {
		body.Device = strconv.FormatInt(e.Device.Number, 10)
	}
	answerList(c, http.StatusOK, c.shape().registrationList, body)
}
