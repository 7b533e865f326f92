package scenario_test

import (
	"maps"
	"net/http"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The words of stories about platforms that speak OneLogin's API.

// tenant is a platform that was written for OneLogin: it knows OneLogin's paths, its words and its
// tokens, and nothing of ours but the host.
type tenant struct {
	*story
	token string
	calls int
}

// Tenant takes the system's credential to the token endpoint, in OneLogin's own form.
func (s *story) Tenant() *tenant {
	s.t.Helper()
	a := s.Call(http.MethodPost, "/auth/oauth2/v2/token", `{"grant_type":"client_credentials"}`,
		header("Authorization", "client_id:"+s.id+", client_secret:"+s.secret))
	token := read[struct {
		AccessToken string `json:"access_token"`
		TokenType   string `json:"token_type"`
	}](s.t, a, http.StatusOK)
	require.Equal(s.t, "bearer", token.TokenType)
	return &tenant{story: s, token: token.AccessToken}
}

// Call asks with the token; each call goes to another api process, where there are several.
func (d *tenant) Call(method, path string, body any, options ...option) answer {
	d.t.Helper()
	bases := append([]string{d.base}, d.others...)
	d.calls++
	options = append([]option{header("Authorization", "bearer:"+d.token)}, options...)
	a, err := d.ask(d.t.Context(), method, bases[d.calls%len(bases)]+path, body, options...)
	require.NoError(d.t, err, "%s %s", method, path)
	return a
}

// account is a person as the tenant's users have them.
type account struct {
	*tenant
	person
	id int64
}

// fields are those of a JSON object.
type fields map[string]any

// Has makes a person one of the tenant's users.
func (d *tenant) Has(p person, more fields) account {
	d.t.Helper()
	body := fields{"username": p.mailbox, "email": p.mailbox, "phone": p.number, "firstname": "Ana", "lastname": "Lima"}
	maps.Copy(body, more)
	created := read[struct{ ID int64 }](d.t, d.Call(http.MethodPost, "/api/2/users", body), http.StatusCreated)
	require.Positive(d.t, created.ID)
	return account{d, p, created.ID}
}

func (u account) path(rest string) string {
	return "/api/2/mfa/users/" + strconv.FormatInt(u.id, 10) + rest
}

// legacy is a path of version 1.
func (u account) legacy(rest string) string {
	return "/api/1/users/" + strconv.FormatInt(u.id, 10) + rest
}

// proof is a registration or a verification, as version 2 tells of it.
type proof struct {
	ID              string     `json:"id"`
	Status          string     `json:"status"`
	UserID          string     `json:"user_id"`
	DeviceID        string     `json:"device_id"`
	AuthFactorName  string     `json:"auth_factor_name"`
	TypeDisplayName string     `json:"type_display_name"`
	UserDisplayName string     `json:"user_display_name"`
	ExpiresAt       *time.Time `json:"expires_at"`
	FactorData      struct {
		VerificationToken string `json:"verification_token"`
		TOTPURL           string `json:"totp_url"`
	} `json:"factor_data"`
}

// Factor is the id of a factor that the user may still enrol.
func (u account) Factor(name string) int64 {
	u.t.Helper()
	type factor struct {
		ID   int64 `json:"factor_id"`
		Name string
	}
	found := read[[]factor](u.t, u.Call(http.MethodGet, u.path("/factors"), nil), http.StatusOK)
	for _, f := range found {
		if f.Name == name {
			return f.ID
		}
	}
	require.Failf(u.t, "the factor is not offered", "%s is not among %v", name, found)
	return 0
}

// Enrols starts a registration of a factor.
func (u account) Enrols(factor string, more fields) proof {
	u.t.Helper()
	body := fields{"factor_id": u.Factor(factor), "display_name": "Ana's " + factor}
	maps.Copy(body, more)
	p := read[proof](u.t, u.Call(http.MethodPost, u.path("/registrations"), body), http.StatusCreated)
	require.NotEmpty(u.t, p.ID)
	return p
}

// Registered expects a registration to be complete, and returns its device.
func (u account) Registered(p proof) string {
	u.t.Helper()
	require.Equal(u.t, "accepted", p.Status)
	require.NotEmpty(u.t, p.DeviceID)
	for _, d := range u.Devices() {
		if d.DeviceID == p.DeviceID {
			return p.DeviceID
		}
	}
	require.Failf(u.t, "the device is not listed", "%s", p.DeviceID)
	return ""
}

// Devices are those that can be asked.
func (u account) Devices() []proof {
	u.t.Helper()
	return read[[]proof](u.t, u.Call(http.MethodGet, u.path("/devices"), nil), http.StatusOK)
}

// Activates asks the person on a device.
func (u account) Activates(device string, more fields) proof {
	u.t.Helper()
	body := fields{"device_id": device}
	maps.Copy(body, more)
	p := read[proof](u.t, u.Call(http.MethodPost, u.path("/verifications"), body), http.StatusCreated)
	require.NotEmpty(u.t, p.ID)
	require.Equal(u.t, device, p.DeviceID)
	require.Equal(u.t, strconv.FormatInt(u.id, 10), p.UserID)
	return p
}

// Types is the person's code on its way through the platform: to a registration or a verification.
func (u account) Types(kind string, p proof, otp string) string {
	u.t.Helper()
	return read[proof](u.t, u.Call(http.MethodPut, u.path("/"+kind+"/"+p.ID), fields{"otp": otp}), http.StatusOK).Status
}

// Reads is one poll.
func (u account) Reads(kind string, p proof) proof {
	u.t.Helper()
	return read[proof](u.t, u.Call(http.MethodGet, u.path("/"+kind+"/"+p.ID), nil), http.StatusOK)
}

// Polls until the person has answered, and expects this answer.
func (u account) Polls(kind string, p proof, want string) proof {
	u.t.Helper()
	var now proof
	eventually(u.t, "the poll ends in "+want, func() bool {
		now = u.Reads(kind, p)
		return now.Status != "pending"
	})
	require.Equal(u.t, want, now.Status)
	return now
}

// What is polled.
const (
	registrations = "registrations"
	verifications = "verifications"
)

// pocket is a phone with our command line on it.
type pocket struct {
	s     *story
	state string
}

// Joins makes a phone one of the person's devices, with the activation code that the platform shows them.
func (s *story) Joins(code string) pocket {
	s.t.Helper()
	p := pocket{s, filepath.Join(s.t.TempDir(), "phone.json")}
	status, _, log := p.runs("join", "--base", s.base, "--code", code, "--state", p.state)
	require.Zero(s.t, status, "assent phone join: %s", log)
	return p
}

// Answers what the phone is asked, and returns what it showed.
func (p pocket) Answers(decision string) (shown string) {
	p.s.t.Helper()
	status, shown, log := p.runs("answer", "--state", p.state, decision, "--wait", "30")
	require.Zero(p.s.t, status, "assent phone answer: %s", log)
	return shown
}

func (p pocket) runs(args ...string) (status int, stdout, stderr string) {
	p.s.t.Helper()
	program, err := assent("assent phone "+args[0], append([]string{"phone"}, args...), nil)
	require.NoError(p.s.t, err)
	status, stdout, stderr, err = program.exit()
	require.NoError(p.s.t, err)
	return status, stdout, stderr
}

// onBothStages tells a story in one process and in a process for each role.
func onBothStages(t *testing.T, tell func(t *testing.T, s *story)) {
	t.Helper()
	for name, house := range map[string]func(*testing.T) *story{"in one process": Together, "in a process for each role": Apart} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tell(t, house(t))
		})
	}
}
