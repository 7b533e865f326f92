package secureauth

import (
	"encoding/json"
	"errors"
	"net/netip"
	"strings"

	"github.com/assent-io/assent/services/plaintext"
	"github.com/assent-io/assent/services/verification"
)

// authRequest is the body of POST /auth, with everything that its clients are known to send.
type authRequest struct {
	UserID         text        `json:"user_id"`
	Type           text        `json:"type"`
	Token          text        `json:"token"`
	FactorID       text        `json:"factor_id"`
	Domain         text        `json:"domain"`
	EvaluateNumber flag        `json:"evaluate_number"`
	Details        pushDetails `json:"push_accept_details"`
	BiometricType  biometric   `json:"biometricType"`
	EnduserIP      text        `json:"enduser_ip"`
}

// pushDetails says who asks for what from where, as the person is told.
type pushDetails struct {
	CompanyName            text `json:"company_name"`
	ApplicationDescription text `json:"application_description"`
	EnduserIP              text `json:"enduser_ip"`
}

// biometric is a word, or an object in which one client puts the details instead.
type biometric struct {
	word    string
	details pushDetails
}

// UnmarshalJSON takes "face", {"push_accept_details":{…}}, {} and null.
func (b *biometric) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case 'n':
		return nil
	case '"':
		return json.Unmarshal(data, &b.word) //nolint:wrapcheck // decode has words for all
	case '{':
		var within struct {
			Details pushDetails `json:"push_accept_details"`
		}
		err := json.Unmarshal(data, &within)
		b.details = within.Details
		return err //nolint:wrapcheck // decode has words for all
	default:
		return errors.New("neither a word nor an object")
	}
}

// The limits of what is shown to people, in characters.
const (
	maxBrand  = 64
	maxAction = 128
)

// readAuth reads the body of POST /auth.
func (c *call) readAuth() (authRequest, error) {
	var request authRequest
	if err := c.decode(&request); err != nil {
		return request, err
	}
	request.Type = text(strings.ToLower(string(request.Type)))
	request.FactorID = text(strings.TrimSpace(string(request.FactorID)))
	if request.Details == (pushDetails{}) {
		request.Details = request.BiometricType.details
	}
	if request.Details.EnduserIP == "" {
		request.Details.EnduserIP = request.EnduserIP
	}
	switch strings.ToLower(request.BiometricType.word) {
	case "", "fingerprint", "face":
	default:
		return request, rejected("biometricType must be fingerprint or face.")
	}
	var err error
	if request.Details.CompanyName, err = shown("company_name", request.Details.CompanyName, maxBrand); err != nil {
		return request, err
	}
	request.Details.ApplicationDescription, err = shown("application_description", request.Details.ApplicationDescription, maxAction)
	return request, err
}

// brand is who asks: the company of the request, or else the realm's.
func (a attempted) brand() string {
	if name := strings.TrimSpace(string(a.Details.CompanyName)); name != "" {
		return name
	}
	return a.realm.Settings.Brand
}

// about is what the person is told of the request. An address that is none is left out: clients send
// whatever they happen to have.
func (a attempted) about() verification.Context {
	about := verification.Context{Action: strings.TrimSpace(string(a.Details.ApplicationDescription))}
	ip, err := netip.ParseAddr(strings.TrimSpace(string(a.Details.EnduserIP)))
	if err == nil && ip.Zone() == "" { // a zone may hold any text, and means nothing elsewhere
		about.IP = ip.String()
	}
	return about
}

// shown is a text as it goes into messages to people. It must not change how the text around it reads, and
// brings no link of its own: applications that describe themselves by an address still authenticate, and the
// person is not told it. What is too long is cut.
func shown(name string, value text, longest int) (text, error) {
	switch s := string(value); {
	case strings.ContainsFunc(s, plaintext.Unshowable):
		return "", rejected(name + " must not hold control characters.")
	case plaintext.HasWebAddress(s):
		return "", nil
	default:
		return text(cut(s, longest)), nil
	}
}
