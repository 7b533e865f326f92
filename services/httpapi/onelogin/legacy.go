package onelogin

import (
	"cmp"
	"errors"
	"net/http"
	"time"

	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

// legacyLife is how long a device of version 1 waits to be proved: it is registered in one call and
// asked in another, whenever the person comes to it.
const legacyLife = 24 * time.Hour

var errNoFactor = badRequest("Factor could not be found")

// legacyRoutes are the calls of MFA in version 1.
func (s *Server) legacyRoutes() []route {
	const base = " /api/1/users/{id}"
	return []route{
		{"GET" + base + "/auth_factors", styleV1, reading, asV1(s.listLegacyFactors)},
		{"GET" + base + "/auth_factor", styleV1, reading, asV1(s.listLegacyFactors)},
		{"GET" + base + "/otp_devices", styleV1, reading, asV1(s.listLegacyDevices)},
		{"POST" + base + "/otp_devices", styleV1, writing, asV1(s.enrolLegacy)},
		{"DELETE" + base + "/otp_devices/{device}", styleV1, writing, asV1(s.deleteLegacyDevice)},
		{"POST" + base + "/otp_devices/{device}/trigger", styleV1, asking, asV1(s.trigger)},
		{"POST" + base + "/otp_devices/{device}/verify", styleV1, asking, asV1(s.verifyLegacy)},
		{"POST" + base + "/mfa_token", styleV1, writing, asV1(s.createLegacyCode)},
	}
}

// enrollableLegacy tells whether version 1 can enrol a factor: those whose address comes with the request.
func enrollableLegacy(f factor) bool { return f.is.Kind() == device.Phone }

// listLegacyFactors lists what can be enrolled; a person may have several numbers.
func (s *Server) listLegacyFactors(c *call) error {
	if _, err := s.personAt(c, "id"); err != nil {
		return err
	}
	type item struct {
		Name string `json:"name"`
		ID   int64  `json:"factor_id"`
	}
	data := struct {
		Factors []item `json:"auth_factors"`
	}{[]item{}}
	for _, f := range factors {
		if _, allowed := s.factorByID(f.id); allowed && enrollableLegacy(f) {
			data.Factors = append(data.Factors, item{f.v1, f.id})
		}
	}
	writeJSON(c.w, http.StatusOK, answerV1{Status: success, Data: data})
	return nil
}

// legacyDevice is a device as version 1 shows it.
type legacyDevice struct {
	ID           int64  `json:"id"`
	Active       bool   `json:"active"`
	Default      bool   `json:"default"`
	Auth         string `json:"auth_factor_name"`
	Type         string `json:"type_display_name"`
	Name         string `json:"user_display_name"`
	NeedsTrigger bool   `json:"needs_trigger"`
	Phone        string `json:"phone_number,omitempty"`
	StateToken   string `json:"state_token,omitempty"`
}

// needsTrigger tells whether the person is asked before there is something to verify.
func needsTrigger(f factor) bool { return f.is != device.AppCode }

func legacyForm(d device.Device, f factor, first string) legacyDevice {
	form := legacyDevice{
		ID: d.Number, Active: d.Active(), Default: d.ID == first, Auth: f.v1, Type: f.name, Name: d.Name, NeedsTrigger: needsTrigger(f),
	}
	if d.Kind == device.Phone {
		form.Phone = d.Address
	}
	return form
}

// listLegacyDevices lists the devices of a user, those that are not proved yet too. A phone with an app
// is there twice: it is asked, or says a code by itself.
func (s *Server) listLegacyDevices(c *call) error {
	u, err := s.personAt(c, "id")
	if err != nil {
		return err
	}
	devices, err := s.enrolledDevices(c, u)
	if err != nil {
		return err
	}
	data := struct {
		Devices []legacyDevice `json:"otp_devices"`
	}{[]legacyDevice{}}
	first := preferred(u, devices)
	for _, d := range devices {
		f, _ := factorOf(d)
		form := legacyForm(d, f, first)
		data.Devices = append(data.Devices, form)
		if f.is == device.AppPush {
			form.NeedsTrigger = false
			data.Devices = append(data.Devices, form)
		}
	}
	writeJSON(c.w, http.StatusOK, answerV1{Status: success, Data: data})
	return nil
}

type legacyEnrolment struct {
	FactorID    integer `json:"factor_id"`
	DisplayName text    `json:"display_name"`
	Number      text    `json:"number"`
	Verified    flag    `json:"verified"`
}

// enrolLegacy registers a phone. Nothing is sent: trigger does.
func (s *Server) enrolLegacy(c *call) error {
	u, err := s.personAt(c, "id")
	if err != nil {
		return err
	}
	var request legacyEnrolment
	if err := readBody(c, &request); err != nil {
		return err
	}
	f, r, err := s.legacyEnrolment(u, request)
	if err != nil {
		return err
	}
	r.Client = c.client.ClientID
	e, err := s.config.Enrolments.Begin(c.r.Context(), r)
	if err != nil {
		return enrolmentFault(err)
	}
	token, _, err := s.newStateToken(c, u, e.Device, "", defaultExpiresIn*time.Second)
	if err != nil {
		return err
	}
	devices, err := s.enrolledDevices(c, u)
	if err != nil {
		return err
	}
	form := legacyForm(e.Device, f, preferred(u, devices))
	form.StateToken = token
	writeJSON(c.w, http.StatusOK, answerV1{Status: success, Data: []legacyDevice{form}})
	return nil
}

func (s *Server) legacyEnrolment(u device.User, request legacyEnrolment) (factor, enrolment.Request, error) {
	settings := s.config.Settings
	r := enrolment.Request{
		User: u, Name: string(request.DisplayName), Life: legacyLife, Proven: bool(request.Verified), Quiet: true,
		Brand: settings.Brand, Issuer: settings.Brand,
	}
	id := request.FactorID.value
	if !request.FactorID.set { // one SDK never sends it
		id = legacyDefault()
	}
	f, ok := s.factorByID(id)
	if !ok || !enrollableLegacy(f) {
		return f, r, invalid("factor_id", "is not a factor that can be enrolled here")
	}
	r.Factor = f.is
	if err := checkName(r.Name); err != nil {
		return f, r, err
	}
	typed := cmp.Or(string(request.Number), u.Phone)
	if typed == "" {
		return f, r, invalid("number", "is required")
	}
	var err error
	if r.Address, err = address.Phone(typed); err != nil {
		return f, r, invalid("number", err.Error())
	}
	return f, r, nil
}

// legacyDefault is the factor of an enrolment that names none: text messages.
func legacyDefault() int64 {
	for _, f := range factors {
		if f.is == device.SMSCode {
			return f.id
		}
	}
	return 0
}

// legacyOne is the device of the path, active or not.
func (s *Server) legacyOne(c *call, u device.User) (device.Device, factor, error) {
	n, ok := pathNumber(c, "device")
	if !ok {
		return device.Device{}, factor{}, errNoFactor
	}
	d, err := s.config.Users.DeviceByNumber(c.r.Context(), c.client.Account, n)
	if errors.Is(err, verification.ErrNotFound) {
		return d, factor{}, errNoFactor
	}
	if err != nil {
		return d, factor{}, err //nolint:wrapcheck // says what it did
	}
	f, ok := factorOf(d)
	if !ok || d.UserID != u.ID {
		return d, f, errNoFactor
	}
	return d, f, nil
}

func (s *Server) deleteLegacyDevice(c *call) error {
	u, err := s.personAt(c, "id")
	if err != nil {
		return err
	}
	d, _, err := s.legacyOne(c, u)
	if err == nil {
		err = s.remove(c, d)
	}
	if errors.Is(err, verification.ErrNotFound) { // somebody else was first
		return errNoFactor
	}
	return err
}

// createLegacyCode makes a temporary code; version 1 has no envelope around it.
func (s *Server) createLegacyCode(c *call) error {
	_, body, err := s.newTemporaryCode(c, "id")
	if err != nil {
		return err
	}
	writeJSON(c.w, http.StatusOK, body)
	return nil
}
