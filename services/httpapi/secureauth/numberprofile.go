package secureauth

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/google/uuid"
	"github.com/nyaruka/phonenumbers"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/realm"
)

const (
	maxNumber = 32
	// maxPorted is how many numbers may have been told about for one user.
	maxPorted  = 20
	maxCarrier = 100
)

// portedStatuses are what a number may be said to be. Offline data knows none of it.
var portedStatuses = []string{"unknown", "ported", "not_ported", "assumed_ported", "assumed_not_ported"}

// numberProfile is what is known of a number. One SDK decodes strictly: no field may be added.
type numberProfile struct {
	ProviderRequestID   string  `json:"providerRequestId"`
	InternationalFormat string  `json:"internationalFormat"`
	NationalFormat      string  `json:"nationalFormat"`
	CountryPrefix       string  `json:"countryPrefix"`
	CountryCode         string  `json:"countryCode"`
	CountryCodeISO3     string  `json:"countryCodeISO3"`
	Country             string  `json:"country"`
	PortedStatus        string  `json:"portedStatus"`
	ValidNumber         string  `json:"validNumber"` // valid or not_valid
	Reachable           *string `json:"reachable"`   // null, like all that only a network can know
	RoamingInfo         *string `json:"roamingInfo"`
	CurrentCarrier      carrier `json:"currentCarrier"`
	OriginalCarrier     carrier `json:"originalCarrier"`
	IPInfo              *string `json:"ipInfo"`
	IPWarning           *string `json:"ipWarning"`
}

type carrier struct {
	carrierInfo
	CarrierStatus carrierStatus `json:"carrierStatus"`
}

// carrierInfo is a carrier as clients tell it too.
type carrierInfo struct {
	CarrierCode string `json:"carrierCode"`
	Carrier     string `json:"carrier"`
	CountryCode string `json:"countryCode"`
	NetworkType string `json:"networkType"`
}

// carrierStatus tells whether a realm sends to a carrier, and the reasons where it does not.
type carrierStatus struct {
	Status string   `json:"status"` // allowed or blocked
	Reason []string `json:"reason"`
}

// ported is what a client has told of a number that the ranges do not show.
type ported struct {
	Status  string       `json:"status,omitempty"`
	Carrier *carrierInfo `json:"carrier,omitempty"`
}

// evaluate says what is known of a number, and the reasons for which the block rules forbid to send to it;
// none: it may be sent to. What the profile was told of the number counts before the ranges' data. It fails
// with a text for the client, which does not repeat the number.
func evaluate(number string, p profile, b realm.Block) (n numberProfile, reasons []string, err error) {
	parsed, err := parseNumber(number)
	if err != nil {
		return n, nil, err
	}
	region := phonenumbers.GetRegionCodeForNumber(parsed)
	if region == "" {
		region = phonenumbers.GetRegionCodeForCountryCode(int(parsed.GetCountryCode()))
	}
	n = numberProfile{
		InternationalFormat: strings.TrimPrefix(phonenumbers.Format(parsed, phonenumbers.E164), "+"),
		NationalFormat:      phonenumbers.Format(parsed, phonenumbers.NATIONAL),
		CountryPrefix:       fmt.Sprint(parsed.GetCountryCode()),
		PortedStatus:        portedStatuses[0],
		ValidNumber:         "not_valid",
	}
	if phonenumbers.IsValidNumber(parsed) {
		n.ValidNumber = "valid"
	}
	if n.CountryCodeISO3, n.Country = countryOf(region); n.Country != "" {
		n.CountryCode = region
	}
	network := networkOf(parsed)
	n.OriginalCarrier.carrierInfo = carrierInfo{
		CarrierCode: carrierCode(n.CountryCode, network), CountryCode: n.CountryCode, NetworkType: network,
	}
	if name, err := phonenumbers.GetCarrierForNumber(parsed, "en"); err == nil { // few ranges have one
		n.OriginalCarrier.Carrier = name
	}
	n.CurrentCarrier = n.OriginalCarrier
	told := p.Ported["+"+n.InternationalFormat]
	if told.Status != "" {
		n.PortedStatus = told.Status
	}
	if told.Carrier != nil {
		n.CurrentCarrier.carrierInfo = told.Carrier.over(n.OriginalCarrier.carrierInfo)
	}
	n.OriginalCarrier.CarrierStatus, _ = statusFor(b, n.CountryCode, n.OriginalCarrier)
	n.CurrentCarrier.CarrierStatus, reasons = statusFor(b, n.CountryCode, n.CurrentCarrier)
	return n, reasons, nil
}

func statusFor(b realm.Block, region string, c carrier) (carrierStatus, []string) {
	reasons := blocks(b, region, c)
	if len(reasons) > 0 {
		return carrierStatus{"blocked", reasons}, reasons
	}
	return carrierStatus{"allowed", nil}, nil
}

// parseNumber reads a number that may be none in use, which the answer then says. Without a country code
// it is one of the North American plan.
func parseNumber(typed string) (*phonenumbers.PhoneNumber, error) {
	typed = strings.TrimSpace(typed)
	if rest, ok := strings.CutPrefix(typed, "00"); ok {
		typed = "+" + rest
	}
	if !phoneForm.MatchString(typed) || len(typed) > maxNumber {
		return nil, errNoNumber
	}
	n, err := phonenumbers.Parse(typed, "US")
	if err != nil || !phonenumbers.IsPossibleNumber(n) {
		return nil, errNoNumber
	}
	return n, nil
}

type numberProfileAnswer struct {
	Result numberProfile `json:"numberProfileResult"`
	basic
}

// numberBody is the body of both calls. One SDK always sends an object for the carrier, empty or not.
type numberBody struct {
	UserID       text         `json:"user_id"`
	Domain       text         `json:"domain"`
	PhoneNumber  text         `json:"phone_number"`
	PortedStatus text         `json:"portedStatus"`
	PortedSnake  text         `json:"ported_status"`
	CarrierInfo  *carrierInfo `json:"carrierInfo"`
}

// numberAsked reads the body, the user whom it names and the number.
func (s *Server) numberAsked(c *call) (body numberBody, u device.User, err error) {
	if err := c.decode(&body); err != nil {
		return body, u, err
	}
	switch {
	case body.UserID == "":
		return body, u, rejected("user_id is required.")
	case body.PhoneNumber == "":
		return body, u, rejected("phone_number is required.")
	}
	if _, err := parseNumber(string(body.PhoneNumber)); err != nil {
		return body, u, rejected("phone_number " + err.Error() + ".")
	}
	u, err = s.user(c, string(body.UserID), string(body.Domain))
	return body, u, err
}

// readNumberProfile answers what is known of a number.
func (s *Server) readNumberProfile(c *call) error {
	body, u, err := s.numberAsked(c)
	if err != nil {
		return err
	}
	p, err := profileOf(u)
	if err != nil {
		return err
	}
	n, _, err := evaluate(string(body.PhoneNumber), p, c.realm.Settings.Block)
	if err != nil {
		return err
	}
	id, err := uuid.NewRandomFromReader(s.config.Random)
	if err != nil {
		return fmt.Errorf("draw request id: %w", err)
	}
	n.ProviderRequestID = id.String()
	return c.answer(numberProfileAnswer{n, basic{statusVerified, ""}})
}

// updateNumberProfile keeps what the client knows of a number.
func (s *Server) updateNumberProfile(c *call) error {
	body, u, err := s.numberAsked(c)
	if err != nil {
		return err
	}
	told, err := body.told()
	if err != nil {
		return err
	}
	parsed, err := parseNumber(string(body.PhoneNumber))
	if err != nil {
		return err
	}
	key := phonenumbers.Format(parsed, phonenumbers.E164)
	if _, err := s.changeUser(c, u, func(_ *device.User, p *profile) error { return p.tell(key, told) }); err != nil {
		return err
	}
	return c.answer(basic{statusValid, ""})
}

// tell keeps what is new about a number.
func (p *profile) tell(number string, told ported) error {
	p.Ported = maps.Clone(p.Ported)
	if p.Ported == nil {
		p.Ported = map[string]ported{}
	}
	now := p.Ported[number]
	if told.Status != "" {
		now.Status = told.Status
	}
	if told.Carrier != nil {
		now.Carrier = told.Carrier
	}
	p.Ported[number] = now
	if len(p.Ported) > maxPorted {
		return rejected(fmt.Sprintf("phone_number is one more than the %d that are kept for a user.", maxPorted))
	}
	return nil
}

// told is what an update tells.
func (b numberBody) told() (ported, error) {
	var told ported
	for name, word := range map[string]text{"portedStatus": b.PortedStatus, "ported_status": b.PortedSnake} {
		status := strings.ToLower(string(word))
		if status != "" && !slices.Contains(portedStatuses, status) {
			return told, rejected(name + " must be one of " + strings.Join(portedStatuses, ", ") + ".")
		}
		told.Status = cmp.Or(told.Status, status)
	}
	if b.CarrierInfo != nil && *b.CarrierInfo != (carrierInfo{}) {
		info, err := b.CarrierInfo.checked()
		if err != nil {
			return told, err
		}
		told.Carrier = &info
	}
	if told == (ported{}) {
		return told, rejected("portedStatus or carrierInfo is required.")
	}
	return told, nil
}

// over is what was told of a carrier, and what its number's range says where nothing was told.
func (i carrierInfo) over(original carrierInfo) carrierInfo {
	return carrierInfo{
		CarrierCode: cmp.Or(i.CarrierCode, original.CarrierCode), Carrier: cmp.Or(i.Carrier, original.Carrier),
		CountryCode: cmp.Or(i.CountryCode, original.CountryCode), NetworkType: cmp.Or(i.NetworkType, original.NetworkType),
	}
}

// checked is a carrier in the form in which it is kept.
func (i carrierInfo) checked() (carrierInfo, error) {
	for _, x := range []struct {
		name string
		text *string
	}{
		{"carrierCode", &i.CarrierCode},
		{"carrier", &i.Carrier},
		{"countryCode", &i.CountryCode},
		{"networkType", &i.NetworkType},
	} {
		if wrong := textFault(*x.text, maxCarrier); wrong != "" {
			return i, rejected("carrierInfo." + x.name + " " + wrong + ".")
		}
		*x.text = strings.TrimSpace(*x.text)
	}
	i.CountryCode, i.NetworkType = strings.ToUpper(i.CountryCode), strings.ToLower(i.NetworkType)
	if i.NetworkType != "" && !slices.Contains(networkTypes, i.NetworkType) {
		return i, rejected("carrierInfo.networkType must be one of " + strings.Join(networkTypes, ", ") + ".")
	}
	return i, nil
}

func (s *Server) numberRoutes() []route {
	return []route{
		{http.MethodPost, "numberprofile", nil, s.readNumberProfile},
		{http.MethodPut, "numberprofile", nil, s.updateNumberProfile},
	}
}
