package secureauth

import (
	"cmp"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strings"

	"github.com/assent-io/assent/services/device"
)

// The types of factors.
const (
	factorPhone    = "phone"
	factorEmail    = "email"
	factorQuestion = "kbq"
	factorHelpDesk = "help_desk"
	factorPush     = "push"
	factorOATH     = "oath"
	factorPIN      = "pin"
)

// What stands for a device that nobody has named, and for the PIN.
const (
	unnamedPhone = "Phone"
	unnamedApp   = "Authenticator app"
	pinName      = "Private PIN"
)

// factor is one way in which a user can be asked, or can prove themselves.
type factor struct {
	Type         string   `json:"type"`
	ID           string   `json:"id,omitempty"`
	Value        string   `json:"value"`
	Capabilities []string `json:"capabilities,omitempty"`
}

type factorList struct {
	plain
	Factors   []factor   `json:"factors"`
	Preferred *preferred `json:"preferred_mfa,omitempty"`
}

// preferred is the factor to offer first, in version 3.
type preferred struct {
	FactorID string `json:"factor_id"`
	Type     string `json:"type"`
}

func (s *Server) factorRoutes() []route {
	return named(http.MethodGet, "factors", s.listFactors)
}

// listFactors says how a user can be asked. Version 1 keeps the factors of users who may not authenticate
// to itself, the later ones tell both.
func (s *Server) listFactors(c *call) error {
	u, name, err := s.namedUser(c)
	if isUnknownUser(err) {
		return s.noFactors(c, name)
	}
	if err != nil {
		return err
	}
	p, err := profileOf(u)
	if err != nil {
		return err
	}
	body := factorList{plain: plain{statusFound, "", name}, Factors: []factor{}}
	state := p.state(u)
	if state != "" && (c.version == 1 || !c.realm.Settings.StatesAsFound) {
		body.Status, body.Message = state, states[state]
	}
	if state == "" || c.version > 1 {
		if body.Factors, err = s.factors(c, u, p); err != nil {
			return err
		}
	}
	if c.version == 3 {
		body.Preferred = preferredOf(body.Factors)
	}
	return c.answer(body)
}

// noFactors answers for an unknown user, with the empty list that clients look for.
func (s *Server) noFactors(c *call, name string) error {
	err := unknownUser(name)
	note(c.w, c.realm.AppID, "", err)
	f := faultFor(err)
	c.write(f.code, factorList{plain: plain{f.status, f.message, name}, Factors: []factor{}})
	return nil
}

// factors are those that the realm may use, in the order in which this API lists them.
func (s *Server) factors(c *call, u device.User, p profile) ([]factor, error) {
	devices, err := s.devices(c, u)
	if err != nil {
		return nil, err
	}
	list := []factor{}
	numbers, mailboxes := c.allowed(typeSMS, typeCall, s.links(typeSMSLink)), c.allowed(typeEmail, s.links(typeEmailLink))
	for id, number := range sorted(p.phones()) {
		if len(numbers) > 0 {
			list = append(list, factor{factorPhone, id, number, numbers})
		}
	}
	for id, mailbox := range sorted(p.emails()) {
		f := factor{factorEmail, id, mailbox, mailboxes}
		if slices.Equal(mailboxes, []string{typeEmail}) { // understood, and left out by the servers that have no links
			f.Capabilities = nil
		}
		if len(mailboxes) > 0 {
			list = append(list, f)
		}
	}
	for id, question := range sorted(p.questions()) {
		if c.realm.Settings.Allows(typeKBA) {
			list = append(list, factor{factorQuestion, id, question, nil})
		}
	}
	for id, desk := range sorted(p.helpDesks()) {
		if c.realm.Settings.Allows(typeHelpDesk) {
			list = append(list, factor{factorHelpDesk, id, desk, nil})
		}
	}
	list = append(list, deviceFactors(c, devices)...)
	if p.hasPIN() && c.realm.Settings.Allows(typePIN) {
		list = append(list, factor{Type: factorPIN, Value: pinName})
	}
	return list, nil
}

// deviceFactors are the phones that take pushes, then the apps that show codes; a phone can be both. What
// a phone recognises its owner by is its own secret, so no biometric types are listed.
func deviceFactors(c *call, devices []device.Device) []factor {
	var list []factor
	capabilities := c.allowed(typePush, typePushAccept, typePushSymbol, typePushBiometric)
	for _, d := range devices {
		if takesPushes(d) && len(capabilities) > 0 {
			list = append(list, factor{factorPush, deviceID(d), cmp.Or(d.Name, unnamedPhone), capabilities})
		}
	}
	for _, d := range devices {
		if showsCodes(d) && c.realm.Settings.Allows(typeOATH) {
			list = append(list, factor{factorOATH, deviceID(d), cmp.Or(d.Name, unnamedApp), nil})
		}
	}
	return list
}

// devices are the user's active devices, the oldest first.
func (s *Server) devices(c *call, u device.User) ([]device.Device, error) {
	devices, err := s.config.Users.Devices(c.ctx(), u.Credential, u.ID)
	if err != nil {
		return nil, fmt.Errorf("list devices: %w", err)
	}
	devices = slices.DeleteFunc(devices, func(d device.Device) bool { return !d.Active() })
	slices.Reverse(devices)
	return devices, nil
}

func takesPushes(d device.Device) bool { return d.Kind == device.Push }

func showsCodes(d device.Device) bool {
	return (d.Kind == device.Push || d.Kind == device.TOTP) && len(d.Secret) > 0
}

// deviceID is a device's id as this API has it.
func deviceID(d device.Device) string { return strings.ReplaceAll(d.ID, "-", "") }

// allowed are the types among these that the realm may use; empty ones are none.
func (c *call) allowed(types ...string) []string {
	return slices.DeleteFunc(types, func(name string) bool { return name == "" || !c.realm.Settings.Allows(name) })
}

// links is a type that sends a link; empty where no link could lead back here.
func (s *Server) links(name string) string {
	if s.config.PublicURL() == "" {
		return ""
	}
	return name
}

// preferredOf is the first phone that takes pushes, or else the first factor of all.
func preferredOf(list []factor) *preferred {
	i := slices.IndexFunc(list, func(f factor) bool { return f.Type == factorPush })
	if i < 0 {
		i = slices.IndexFunc(list, func(f factor) bool { return f.ID != "" })
	}
	if i < 0 {
		return nil
	}
	return &preferred{list[i].ID, list[i].Type}
}

// sorted runs through a map by its keys.
func sorted(m map[string]string) func(yield func(string, string) bool) {
	return func(yield func(string, string) bool) {
		for _, key := range slices.Sorted(maps.Keys(m)) {
			if !yield(key, m[key]) {
				return
			}
		}
	}
}
