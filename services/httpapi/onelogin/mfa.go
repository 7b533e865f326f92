package onelogin

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/plaintext"
	"github.com/assent-io/assent/services/verification"
)

// maxDisplayName is the same as a device's name in the native API.
const maxDisplayName = 100

// Who may read and who may change.
var (
	reading = []credential.Permission{credential.ReadPeople}
	writing = []credential.Permission{credential.ManagePeople}
	asking  = []credential.Permission{credential.Verify}
)

// mfaRoutes are the ten calls of MFA in version 2.
func (s *Server) mfaRoutes() []route {
	const base = " /api/2/mfa/users/{user_id}"
	return []route{
		{"GET" + base + "/factors", styleMFA, reading, s.listFactors},
		{"POST" + base + "/registrations", styleMFA, writing, s.enrol},
		{"GET" + base + "/registrations/{id}", styleMFA, reading, s.readRegistration},
		{"PUT" + base + "/registrations/{id}", styleMFA, writing, s.proveRegistration},
		{"GET" + base + "/devices", styleMFA, reading, s.listDevices},
		{"DELETE" + base + "/devices/{id}", styleMFA, writing, s.deleteDevice},
		{"POST" + base + "/verifications", styleMFA, writing, s.startVerification},
		{"GET" + base + "/verifications/{id}", styleMFA, reading, s.readVerification},
		{"PUT" + base + "/verifications/{id}", styleMFA, writing, s.checkVerification},
		{"POST" + base + "/mfa_token", styleMFA, writing, s.createTemporaryCode},
	}
}

// person is the user of the path.
func (s *Server) person(c *call) (device.User, error) { return s.personAt(c, "user_id") }

func (s *Server) personAt(c *call, name string) (device.User, error) {
	n, ok := pathNumber(c, name)
	if !ok {
		return device.User{}, verification.ErrNotFound
	}
	return s.config.Users.UserByNumber(c.r.Context(), c.client.Account, n) //nolint:wrapcheck // says what it did
}

// reachable is the user of the path, who may be asked.
func (s *Server) reachable(c *call, name string) (device.User, error) {
	u, err := s.personAt(c, name)
	if err == nil && u.Barred() {
		return u, refuseLocked()
	}
	return u, err
}

func refuseLocked() error {
	return &fault{status: http.StatusForbidden, message: "The user is locked"}
}

// pathNumber is a positive number of the path.
func pathNumber(c *call, name string) (int64, bool) {
	n, err := strconv.ParseInt(c.r.PathValue(name), 10, 64)
	return n, err == nil && n > 0
}

// activeDevice is a device of the user that this API made, and that has been proved.
func (s *Server) activeDevice(c *call, u device.User, number int64) (device.Device, factor, error) {
	if number <= 0 {
		return device.Device{}, factor{}, verification.ErrNotFound
	}
	d, err := s.config.Users.DeviceByNumber(c.r.Context(), c.client.Account, number)
	if err != nil {
		return d, factor{}, err //nolint:wrapcheck // says what it did
	}
	f, ok := factorOf(d)
	if !ok || d.UserID != u.ID || !d.Active() {
		return d, f, verification.ErrNotFound
	}
	return d, f, nil
}

// enrolledDevices are the devices of a user that this API made, the oldest first; the pending ones among
// them whose time is up are left out.
func (s *Server) enrolledDevices(c *call, u device.User) ([]device.Device, error) {
	devices, err := s.config.Users.Devices(c.r.Context(), c.client.Account, u.ID)
	if err != nil {
		return nil, err //nolint:wrapcheck // says what it did
	}
	now := s.config.Now()
	devices = slices.DeleteFunc(devices, func(d device.Device) bool {
		_, ok := factorOf(d)
		return !ok || !d.Active() && !now.Before(d.Pending.ExpiresAt)
	})
	slices.Reverse(devices)
	return devices, nil
}

// preferred is the user's default device: the first in the order that was set for them, or else the first one that
// was proved.
func preferred(u device.User, devices []device.Device) string {
	if len(u.DeviceOrder) > 0 {
		devices = device.InOrder(devices, u.DeviceOrder)
	}
	for _, d := range devices {
		if d.Active() {
			return d.ID
		}
	}
	return ""
}

// lifeOf is how long something lives; unset is what applies where the request says nothing, in seconds.
func (s *Server) lifeOf(expiresIn integer, name string, unset int) (time.Duration, error) {
	seconds := unset
	if expiresIn.set {
		// Out of every bound stays out of bounds as an int of any size, and zero is none that one can ask for.
		seconds = int(min(max(expiresIn.value, -1), maxExpiresIn+1))
		if seconds == 0 {
			seconds = -1
		}
	}
	life, ok := s.config.Settings.life(seconds)
	if !ok {
		return 0, invalid(name, "must be from "+strconv.Itoa(s.config.Settings.MinExpiresIn)+" to "+strconv.Itoa(maxExpiresIn)+" seconds")
	}
	return life, nil
}

// checkName refuses a display name that could not be shown.
func checkName(name string) error {
	switch {
	case strings.TrimSpace(name) == "":
		return invalid("display_name", "is required")
	case utf8.RuneCountInString(name) > maxDisplayName:
		return invalid("display_name", "must be at most "+strconv.Itoa(maxDisplayName)+" characters")
	case strings.ContainsFunc(name, plaintext.Unshowable):
		return invalid("display_name", "must not hold control characters")
	}
	return nil
}

// enrolmentFault puts what an enrolment is refused with in this API's words.
func enrolmentFault(err error) error {
	var missing *enrolment.MissingError
	switch {
	case errors.As(err, &missing):
		return invalid(missing.Field, "is missing on the user")
	case errors.Is(err, enrolment.ErrLocked):
		return refuseLocked()
	case errors.Is(err, enrolment.ErrEnrolled):
		return invalid("factor_id", "has already been enrolled with this address")
	case errors.Is(err, enrolment.ErrCrowded):
		return invalid("user_id", "has as many devices as a user may have")
	default:
		return err
	}
}

// instant is a time as this API writes it.
func instant(t time.Time) string { return t.UTC().Format("2006-01-02T15:04:05Z") }
