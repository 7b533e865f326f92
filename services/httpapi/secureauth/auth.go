package secureauth

import (
	"net/http"
	"slices"
	"strings"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/plaintext"
)

// The types of POST /auth.
const (
	typeUserID        = "user_id"
	typePassword      = "password"
	typeKBA           = "kba"
	typeOATH          = "oath"
	typePIN           = "pin"
	typeYubiKey       = "yubikey"
	typeCall          = "call"
	typeSMS           = "sms"
	typeEmail         = "email"
	typePush          = "push"
	typeHelpDesk      = "help_desk"
	typePushAccept    = "push_accept"
	typePushSymbol    = "push_accept_symbol"
	typePushBiometric = "push_accept_biometric"
	typeSMSLink       = "sms_link"
	typeEmailLink     = "email_link"
)

// attempted is one request to authenticate a user who may.
type attempted struct {
	*call
	authRequest
	user    device.User
	profile profile
}

// method is what one type does.
type method struct {
	kind string
	do   func(*Server, attempted) error
}

func methods() []method {
	return []method{
		{typeUserID, (*Server).checkUserID},
		{typePassword, (*Server).checkPassword},
		{typeKBA, (*Server).checkAnswer},
		{typeOATH, (*Server).checkOATH},
		{typePIN, (*Server).checkPIN},
		{typeYubiKey, (*Server).checkYubiKey},
		{typeCall, (*Server).sendToPhone},
		{typeSMS, (*Server).sendToPhone},
		{typeEmail, (*Server).sendToMailbox},
		{typeHelpDesk, (*Server).sendToHelpDesk},
		{typePush, (*Server).sendToApp},
		{typePushAccept, (*Server).askApp},
		{typePushSymbol, (*Server).askAppForSymbol},
		{typePushBiometric, (*Server).askApp},
		{typeSMSLink, (*Server).linkToPhone},
		{typeEmailLink, (*Server).linkToMailbox},
	}
}

func (s *Server) authRoutes() []route {
	return append([]route{
		{http.MethodPost, "auth", nil, s.authenticate},
		{http.MethodPost, "otp/validate", nil, s.validateOTP},
	}, s.throttleRoutes()...)
}

// authenticate is POST /auth: it checks what the type checks, or sends what it sends. What it refuses for
// its form is refused before anything is counted.
func (s *Server) authenticate(c *call) error {
	request, err := c.readAuth()
	if err != nil {
		return err
	}
	m, err := c.method(request)
	if err != nil {
		return err
	}
	u, err := s.user(c, string(request.UserID), string(request.Domain))
	if err != nil {
		return err
	}
	p, err := profileOf(u)
	if err != nil {
		return err
	}
	if state := p.state(u); state != "" {
		return barred(state, string(request.UserID))
	}
	return m.do(s, attempted{c, request, u, p})
}

// method is what the request's type does in this realm.
func (c *call) method(request authRequest) (method, error) {
	all := methods()
	switch i := slices.IndexFunc(all, func(m method) bool { return m.kind == string(request.Type) }); {
	case request.UserID == "":
		return method{}, rejected("user_id is required.")
	case request.Type == "":
		return method{}, rejected("type is required.")
	case i < 0:
		kinds := make([]string, len(all))
		for i, m := range all {
			kinds[i] = m.kind
		}
		return method{}, rejected("type must be one of " + strings.Join(kinds, ", ") + ".")
	case !c.realm.Settings.Allows(string(request.Type)):
		return method{}, rejected("type " + string(request.Type) + " is not allowed in this realm.")
	default:
		return all[i], nil
	}
}

// barred refuses a user who may not authenticate: the state is the status. It is so in all versions, for
// nothing is sent to such a user by any of them.
func barred(state, userID string) error {
	return &fault{code: http.StatusOK, status: state, message: states[state], userID: userID}
}

// valid answers that what was checked is right.
func (a attempted) valid() error {
	return a.answer(plain{statusValid, "", string(a.UserID)})
}

// unknownFactor refuses an id that is none of the user's factors of this type.
func unknownFactor(id string) error {
	return rejected("Unknown factor id '" + shownID(id) + "'.")
}

// shownID is an id as an answer repeats it: only what an id can be, and no more than fits a line.
func shownID(id string) string {
	return cut(strings.Map(func(r rune) rune {
		if plaintext.Unshowable(r) {
			return -1
		}
		return r
	}, id), 64)
}

// chosen is the one of the user's factors that the request names, in either case of letters.
func (a attempted) chosen(factors map[string]string) (id, value string, err error) {
	for id, value := range sorted(factors) {
		if strings.EqualFold(id, string(a.FactorID)) {
			return id, value, nil
		}
	}
	return "", "", unknownFactor(string(a.FactorID))
}

// device is the device that the request names, of those that can do something.
func (s *Server) device(a attempted, can func(device.Device) bool) (device.Device, error) {
	if a.FactorID == "" {
		return device.Device{}, rejected("factor_id is required.")
	}
	devices, err := s.devices(a.call, a.user)
	if err != nil {
		return device.Device{}, err
	}
	wanted := strings.ReplaceAll(string(a.FactorID), "-", "")
	for _, d := range devices {
		if can(d) && strings.EqualFold(deviceID(d), wanted) {
			return d, nil
		}
	}
	return device.Device{}, unknownFactor(string(a.FactorID))
}
