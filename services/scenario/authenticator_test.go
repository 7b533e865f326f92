package scenario_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"net/http"
	"testing"

	cdp "github.com/chromedp/cdproto/browser"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/internal/browsertest"
)

// webPhone is a phone without an app store: a browser on the web authenticator.
type webPhone struct {
	*story
	*browsertest.Tab
	browser *browsertest.Browser
}

// WebPhone opens the web authenticator in a browser of its own.
func (s *story) WebPhone() *webPhone {
	s.t.Helper()
	b := browsertest.Start(s.t)
	p := &webPhone{s, b.Tab(s.t).Person(), b}
	p.Look(390, 844, false)
	p.Open(s.base + "/authenticator/")
	return p
}

// owner is somebody with a device that is the web phone.
type owner struct {
	api.User
	device string
}

// Joins makes it a device of somebody new.
func (p *webPhone) Joins(name string) owner {
	p.t.Helper()
	u := read[api.User](p.t, p.Call(http.MethodPost, "/v1/users", api.CreateUser{Name: name}), http.StatusCreated)
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(p.t, err)
	der, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(p.t, err)
	d := p.Register(u, api.CreateDevice{Kind: api.DeviceKindApp, Platform: api.PlatformWebPush, PublicKey: base64.StdEncoding.EncodeToString(der)})
	invited := read[api.DeviceActivation](p.t, p.Call(http.MethodPost, "/v1/devices/"+d.ID+"/activation", nil), http.StatusCreated)
	p.Open(p.base + "/authenticator/#join=" + invited.Code)
	p.Sees("#code", invited.Code)
	p.Click("form button[type=submit]")
	p.Sees("h1", "You joined")
	return owner{u, d.ID}
}

// Leaves goes from the page that says that one has joined to the one where requests arrive.
func (p *webPhone) Leaves() {
	p.t.Helper()
	p.Click("#main .lower > button:last-child")
	p.Sees("h1", "No requests right now.")
	p.Sees("main", "Connected")
}

// Asks asks somebody to approve, and parks a client behind it.
func (p *webPhone) Asks(o owner, q question) (api.Verification, *waiter) {
	p.t.Helper()
	v := p.Create(q.with(func(c *api.CreateVerification) { c.DeviceID = o.device }))
	return v, p.Waiting(v)
}

// Types types the number into the question that is shown, and approves.
func (p *webPhone) Types(number string) {
	p.t.Helper()
	p.JS(`document.getElementById("number").value = ""`)
	p.Type("#number", number)
	p.Click("button.approve")
}

func TestTheWebAuthenticatorAnswersWhileAClientWaits(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.WebPhone()
	ana := p.Joins("Ana")
	p.Leaves()
	signIn := question{}.Brand("Example Bank").About(payment)

	v, client := p.Asks(ana, signIn)
	p.Sees("h1", "Do you agree to this?")
	p.Sees(".bound", "49.00 EUR")
	p.Axe()
	p.Types(v.MatchNumber)
	client.Sees(api.StatusApproved, "")
	p.Sees("h1", "Approved")
	p.Axe()

	v, client = p.Asks(ana, signIn)
	p.Sees("h1", "Do you agree to this?")
	p.Types(wrong(v.MatchNumber))
	p.Sees("#fault", "That number doesn't match.")
	p.Types(v.MatchNumber)
	client.Sees(api.StatusApproved, "")
	p.Sees("h1", "Approved")

	v, client = p.Asks(ana, signIn)
	p.Sees("h1", "Do you agree to this?")
	p.Types(wrong(v.MatchNumber))
	p.Sees("#fault", "That number doesn't match.")
	p.Types(wrong(wrong(v.MatchNumber)))
	client.Sees(api.StatusDenied, "wrong_number")
	p.Sees("h1", "Refused.")
	p.Silent()
}

func TestTheWebAuthenticatorRefusesWithoutANumber(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.WebPhone()
	ana := p.Joins("Ana")
	p.Leaves()
	for button, want := range map[string]struct{ heading, reason string }{"deny": {"Denied.", ""}, "not_me": {"Thank you.", "not_me"}} {
		ben := ana
		if button == "not_me" { // what is not Ana's silences her phone
			ben = p.Joins("Ben")
			p.Leaves()
		}
		_, client := p.Asks(ben, question{}.Brand("Example Bank"))
		p.Sees("h1", "Is this you?")
		p.Click(`button[value="` + button + `"]`)
		client.Sees(api.StatusDenied, want.reason)
		p.Sees("h1", want.heading)
		p.Click("#main .lower button")
		p.Sees("h1", "No requests right now.")
	}
	p.Silent()
}

func TestTheWebAuthenticatorIsPushedTo(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.WebPhone()
	p.browser.Permit(t, s.base, "notifications", cdp.PermissionSettingGranted)
	ana := p.Joins("Ana")
	p.Leaves()
	p.Sees("main", "Notifications: on")
	token := p.JS(`new Promise(found => { indexedDB.open("assent-authenticator").onsuccess = e =>
		{ e.target.result.transaction("settings").objectStore("settings").get("sandboxPush").onsuccess = r => found(r.target.result) } })`)

	// The page is closed, so that only a push can tell. What the push service got is what the service worker gets.
	p.Open("about:blank")
	v, client := p.Asks(ana, question{}.Brand("Example Bank"))
	m := s.Message(token)
	require.Equal(t, "webpush", m.Provider)
	data, err := json.Marshal(m.Data)
	require.NoError(t, err)
	p.Open(s.base + "/authenticator/nothing") // within the worker's scope, and no page of the app
	worker := p.Worker()
	p.Push(string(data))
	p.Holds(`navigator.serviceWorker.ready.then(r => r.getNotifications()).then(all => all.length === 1)`)
	require.Contains(t, worker.JS(`self.registration.getNotifications().then(all => all[0].title + " " + all[0].body)`), "Example Bank")
	require.Equal(t, v.ID, worker.JS(`self.registration.getNotifications().then(all => all[0].tag)`))

	p.Open(s.base + "/authenticator/")
	p.Sees("h1", "Is this you?")
	p.Types(v.MatchNumber)
	client.Sees(api.StatusApproved, "")
	p.Sees("h1", "Approved")
	p.Holds(`navigator.serviceWorker.ready.then(r => r.getNotifications()).then(all => all.length === 0)`)
}
