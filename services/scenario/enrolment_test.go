package scenario_test

import (
	"bytes"
	"encoding/base32"
	"image/png"
	"net/http"
	"regexp"
	"strings"
	"testing"
	"time"

	cdp "github.com/chromedp/cdproto/browser"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/internal/browsertest"
)

// Enrolment is a link with which a user adds their own devices.
func (s *story) Enrolment(u api.User, r api.CreateEnrolment) api.Enrolment {
	s.t.Helper()
	return read[api.Enrolment](s.t, s.Call(http.MethodPost, "/v1/users/"+u.ID+"/enrolments", r), http.StatusCreated)
}

// enrolling is a person on the enrolment page, in a browser that runs no scripts.
type enrolling struct {
	*browsertest.Tab
	link string
}

// Enrols opens the link on a phone.
func (s *story) Enrols(e api.Enrolment) *enrolling {
	s.t.Helper()
	p := &enrolling{browsertest.Start(s.t).Tab(s.t).Person().NoScripts(), e.URL}
	p.Look(390, 844, false)
	p.Open(e.URL)
	return p
}

// Adds begins a kind of device; with is what is typed into its address field.
func (p *enrolling) Adds(kind, with, button string) {
	p.Open(p.link)
	p.Follow(`a[href$="/add/` + kind + `"]`)
	if with != "" {
		p.Type("#address", with)
	}
	p.Axe()
	p.Follow(button)
	p.rests()
}

// rests looks at a page for as long as axe takes, and lets one that looks again by itself go on after that.
func (p *enrolling) rests() {
	const still = `a[href*="still=1"]`
	looks := p.Has(still)
	if looks {
		to := p.Link(still) // by its address: a click could hit the page that comes in between
		for range 5 {
			if p.Open(to); !p.Has(still) {
				break // the page that looks again did not take its place
			}
		}
	}
	p.Axe()
	if looks {
		p.Follow("main p > a.button:not([target]):not([href*=other])")
	}
}

// Confirms types a code.
func (p *enrolling) Confirms(code string) {
	p.Type("#code", code)
	p.Follow(`button[value="prove"]`)
}

// Devices are those of a user, by their kind.
func (s *story) Devices(u api.User) map[api.DeviceKind]api.Device {
	s.t.Helper()
	found := map[api.DeviceKind]api.Device{}
	for _, d := range read[api.DeviceList](s.t, s.Call(http.MethodGet, "/v1/users/"+u.ID+"/devices", nil), http.StatusOK).Data {
		found[d.Kind] = d
	}
	return found
}

// shows is the code that an authenticator app with this key shows at a time.
func shows(t *testing.T, key string, at time.Time) string {
	t.Helper()
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.ReplaceAll(key, " ", ""))
	require.NoError(t, err)
	return device.OneTimeCode(secret, at)
}

func TestPeopleEnrolTheirOwnDevicesAndEachAnswers(t *testing.T) {
	t.Parallel()
	s := Together(t)
	ana, u := somebody(), s.User()
	p := s.Enrols(s.Enrolment(u, api.CreateEnrolment{Brand: "Example Bank", ReturnTo: "https://example.com/settings"}))
	p.Sees("main", "Nothing is set up yet.")

	p.Adds("phone", ana.number, `button[value="text"]`)
	p.Confirms(s.Message(ana.number).Code)
	p.Sees(".said", "It was added")
	p.Adds("mailbox", ana.mailbox, "button.main")
	mailed := s.Message(ana.mailbox)
	p.Confirms(mailed.Code)
	p.Sees(".said", "It was added")
	p.Adds("totp", "", "button.main")
	key := p.Text(".key")
	p.Confirms(shows(t, key, time.Now()))
	p.Sees(".said", "It was added")
	p.Adds("push", "", "button.main")
	phone := s.WebPhone()
	phone.JoinsWith(p.Text(".key"))
	p.Sees(".said", "It was added") // the page saw it by itself
	phone.Leaves()
	p.Follow(`a[href$="/done"]`)
	p.Sees("main", "Back to example.com")
	p.Axe()
	p.Silent()

	has := s.Devices(u)
	require.Len(t, has, 4)
	require.Equal(t, "My phone", has[api.DeviceKindPhone].Name)
	require.True(t, has[api.DeviceKindPhone].Default)
	by := func(kind api.DeviceKind, channel api.Channel) question {
		return question{api.CreateVerification{DeviceID: has[kind].ID, Channel: channel}}
	}
	mail := s.Create(by(api.DeviceKindMailbox, ""))
	require.True(t, s.Check(mail, s.next(mailed).Code).Valid)
	require.Equal(t, has[api.DeviceKindPhone].ID, s.Create(question{api.CreateVerification{UserID: u.ID, Channel: api.ChannelVoice}}).DeviceID)
	totp := s.Create(by(api.DeviceKindAuthenticator, ""))
	require.True(t, s.Check(totp, shows(t, key, time.Now().Add(30*time.Second))).Valid, "the next one: each is taken once")
	asked, client := phone.Asks(owner{u, has[api.DeviceKindApp].ID}, question{}.Brand("Example Bank"))
	phone.Sees("h1", "Is this you?")
	phone.Types(asked.MatchNumber)
	client.Sees(api.StatusApproved, "")

	log := s.audited(u.ID)
	var added []string
	for _, e := range log {
		if e.Action == "device.added" {
			require.Equal(t, "person", e.Actor)
			added = append(added, e.Details["kind"])
		}
	}
	require.Equal(t, []string{"push", "totp", "mailbox", "phone"}, added)
}

func TestWhoHasTheWebAuthenticatorApprovesAChangeOnIt(t *testing.T) {
	t.Parallel()
	s := Together(t)
	phone := s.WebPhone()
	ana := phone.Joins("Ana")
	phone.Leaves()
	e := s.Enrolment(ana.User, api.CreateEnrolment{Brand: "Example Bank"})
	p := s.Enrols(e)
	p.Follow(`a[href$="/add/phone"]`)
	p.Sees("h1", "First, show that it's you")
	p.Follow(`button[value="` + ana.device + ` push"]`)
	p.Sees("h1", "Approve on")
	p.rests()
	phone.Sees("main", "Change your devices")
	phone.Types(p.Text(".number bdi"))
	p.Sees("h1", "Add a phone number") // the page saw it by itself

	to := somebody()
	p.Type("#address", to.number)
	p.Follow(`button[value="call"]`)
	require.Equal(t, http.StatusOK, s.Presses(s.Message(to.number), strings.ReplaceAll(p.Text(".number bdi"), " ", "")).Status)
	p.Sees(".said", "It was added")
	require.Len(t, s.Devices(ana.User), 2)

	require.Equal(t, http.StatusNoContent, s.Call(http.MethodDelete, "/v1/enrolments/"+e.ID, nil).status)
	p.Expect("status of 410")
	p.Reload()
	p.Sees("h1", "This link was withdrawn.")
	p.Silent()

	token := e.URL[strings.LastIndex(e.URL, "/")+1:]
	for _, base := range s.metrics {
		a, err := s.ask(t.Context(), http.MethodGet, base+"/metrics", nil)
		require.NoError(t, err)
		require.Contains(t, string(a.body), `route="/enrol/"`)
		require.NotContains(t, string(a.body), token)
	}
}

// What stands on a dark screen is read by the camera of the phone that joins.
func TestAPhoneJoinsWithTheCodeOnADarkScreen(t *testing.T) {
	t.Parallel()
	s := Together(t)
	u := s.User()
	p := s.Enrols(s.Enrolment(u, api.CreateEnrolment{Brand: "Example Bank"}))
	p.Look(390, 844, true)
	p.Adds("push", "", "button.main")
	screen, err := png.Decode(bytes.NewReader(browsertest.Ask(p.Tab, chromedp.CaptureScreenshot())))
	require.NoError(t, err)

	b := browsertest.Start(t, browsertest.Camera(t, screen))
	phone := b.Tab(t).Person()
	phone.Look(390, 844, false)
	phone.Open(s.base + "/authenticator/")
	b.Permit(t, s.base, "camera", cdp.PermissionSettingGranted)
	phone.Click(".camera button")
	phone.Sees("h1 .good", "✓")
	p.Sees(".said", "It was added")
	require.Len(t, s.Devices(u), 1)
}

// token is a link of the page, which differs from one to the next in characters that are no letters.
var token = regexp.MustCompile(`/enrol/[A-Za-z0-9_-]+`)

func TestTheEnrolmentPageRunsAsItStands(t *testing.T) {
	t.Parallel()
	s, dir := settled(t)
	writtenPage{file: "enrolment.md", commands: 4, answers: 2, differs: token, after: func(_, text, output string) {
		switch {
		case strings.Contains(text, "'<h1"):
			require.Contains(t, output, "How you confirm that it's you")
		case strings.Contains(text, "http_code"):
			require.Contains(t, output, "410")
		}
	}}.Runs(s, dir)
}
