package onelogin

import (
	"slices"

	"github.com/assent-io/assent/services/device"
)

// factor is one kind of proof with its names in OneLogin's API. The ids are ours, and stable.
type factor struct {
	id      int64
	setting string // its name in the configuration
	name    string // version 2 and display name
	v2      string // auth_factor_name of version 2
	v1      string // auth_factor_name of version 1; empty: version 1 does not have it
	login   string // device_type of the login
	is      device.Factor
}

// factors are all factors, in the order in which they are listed. Email by code and by link share
// an auth_factor_name: clients tell them apart by the factor_id.
var factors = []factor{
	{101, "protect", "OneLogin Protect", "OneLogin", "OneLogin Protect", "OneLogin Protect", device.AppPush},
	{102, "sms", "OneLogin SMS", "SMS", "OneLogin SMS", "OneLogin OTP SMS", device.SMSCode},
	{103, "voice", "OneLogin Voice", "OneLogin Voice", "OneLogin Voice", "OneLogin Voice", device.VoiceMatch},
	{104, "email", "OneLogin Email", "OneLogin Email", "OneLogin Email", "OneLogin Email", device.EmailCode},
	{105, "email_link", "OneLogin Email Link", "OneLogin Email", "OneLogin Email", "OneLogin Email", device.EmailLink},
	{106, "authenticator", "Authenticator", "Google Authenticator", "Google Authenticator", "Google Authenticator", device.AppCode},
}

// factorByID is the factor that a request names, where the policy allows it.
func (s *Server) factorByID(id int64) (factor, bool) {
	i := slices.IndexFunc(factors, func(f factor) bool { return f.id == id })
	if i < 0 || !slices.Contains(s.config.Settings.Factors, factors[i].setting) {
		return factor{}, false
	}
	return factors[i], true
}

// factorOf is the factor that a device was enrolled for; false for devices that a client registered by
// address, which OneLogin's API does not know.
func factorOf(d device.Device) (factor, bool) {
	i := slices.IndexFunc(factors, func(f factor) bool { return f.is == d.Factor })
	if i < 0 {
		return factor{}, false
	}
	return factors[i], true
}
