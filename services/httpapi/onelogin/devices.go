package onelogin

import (
	"net/http"
	"strconv"

	"github.com/assent-io/assent/services/device"
)

// listDevices lists the devices that can be asked.
func (s *Server) listDevices(c *call) error {
	u, err := s.person(c)
	if err != nil {
		return err
	}
	devices, err := s.enrolledDevices(c, u)
	if err != nil {
		return err
	}
	type item struct {
		ID      string `json:"device_id"`
		Name    string `json:"user_display_name"`
		Type    string `json:"type_display_name"`
		Auth    string `json:"auth_factor_name"`
		Default bool   `json:"default"`
	}
	first := preferred(u, devices)
	list := []item{}
	for _, d := range devices {
		if f, _ := factorOf(d); d.Active() {
			list = append(list, item{strconv.FormatInt(d.Number, 10), d.Name, f.name, f.v2, d.ID == first})
		}
	}
	writeJSON(c.w, http.StatusOK, list)
	return nil
}

// deleteDevice removes a device. Every SDK takes an empty object, not
// every one an empty body.
func (s *Server) deleteDevice(c *call) error {
	u, err := s.person(c)
	if err != nil {
		return err
	}
	if c.r.PathValue("id") == temporaryDevice+strconv.FormatInt(u.Number, 10) {
		return s.endTemporaryCodes(c, u)
	}
	n, _ := pathNumber(c, "id")
	d, _, err := s.activeDevice(c, u, n)
	if err != nil {
		return err
	}
	return s.remove(c, d)
}

func (s *Server) remove(c *call, d device.Device) error {
	if err := s.config.Users.DeleteDevice(c.r.Context(), c.client.Account, d.ID); err != nil {
		return err //nolint:wrapcheck // says what it did
	}
	writeJSON(c.w, http.StatusOK, struct{}{})
	return nil
}
