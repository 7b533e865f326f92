package scenario_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	cdp "github.com/chromedp/cdproto/browser"
	cdproto "github.com/chromedp/cdproto/cdp"
	pages "github.com/chromedp/cdproto/page"
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

// JoinsBy makes it a device of somebody new, with the code of a brand's enrolment page.
func (p *webPhone) JoinsBy(brand, name string) owner {
	p.t.Helper()
	u := read[api.User](p.t, p.Call(http.MethodPost, "/v1/users", api.CreateUser{Name: name}), http.StatusCreated)
	p.JoinsWith(p.CodeOf(p.Enrolment(u, api.CreateEnrolment{Brand: brand}).URL))
	return owner{u, p.Devices(u)[api.DeviceKindApp].ID}
}

// CodeOf is the join code that an enrolment page shows to whoever adds the web authenticator there.
func (p *webPhone) CodeOf(link string) string {
	p.t.Helper()
	jar, err := cookiejar.New(nil)
	require.NoError(p.t, err)
	client := &http.Client{Jar: jar, Timeout: pageWithin}
	load := func(method, body string) string {
		r, err := http.NewRequestWithContext(p.t.Context(), method, link+"/add/push", strings.NewReader(body))
		require.NoError(p.t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		res, err := client.Do(r)
		require.NoError(p.t, err)
		defer func() { _ = res.Body.Close() }()
		text, err := io.ReadAll(io.LimitReader(res.Body, 1<<20))
		require.NoError(p.t, err)
		require.Equal(p.t, http.StatusOK, res.StatusCode, "%s", text)
		return string(text)
	}
	form := regexp.MustCompile(`name="form" value="([^"]+)"`).FindStringSubmatch(load(http.MethodGet, ""))
	require.NotNil(p.t, form)
	code := regexp.MustCompile(`#join=([0-9A-Z-]+)`).FindStringSubmatch(load(http.MethodPost, url.Values{"form": form[1:], "name": {"Phone"}}.Encode()))
	require.NotNil(p.t, code)
	return code[1]
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
	p.JoinsWith(p.Invited(d.ID))
	return owner{u, d.ID}
}

// Invited is a join code with which a phone takes the place of a device.
func (s *story) Invited(device string) string {
	s.t.Helper()
	return read[api.DeviceActivation](s.t, s.Call(http.MethodPost, "/v1/devices/"+device+"/activation", nil), http.StatusCreated).Code
}

// JoinsWith opens the link that a QR code with a join code holds, and joins.
func (p *webPhone) JoinsWith(code string) {
	p.t.Helper()
	p.Tries(code)
	p.Sees("h1 .good", "✓")
}

// Tries does so, whatever comes of it.
func (p *webPhone) Tries(code string) {
	p.t.Helper()
	p.Open(p.base + "/authenticator/#join=" + code)
	p.Sees("#code", code)
	p.Click("form button[type=submit]")
}

// Leaves goes from the page that says that one has joined to the one where requests arrive.
func (p *webPhone) Leaves() {
	p.t.Helper()
	p.passes()
	p.Sees("h1", "No requests right now.")
	p.Sees("main", "Connected")
}

// passes leaves that page, without what it offers: notifications first, where they were not asked for, and then a try.
func (p *webPhone) passes() {
	p.t.Helper()
	p.Holds(`(pass => { pass?.click(); return !document.querySelector("#main .join") })(document.querySelector("#main .join .lower > button:last-child"))`)
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

// approves approves a question without a number: a press that comes too soon has to be repeated.
func (p *webPhone) approves() {
	p.t.Helper()
	p.Click("button.approve")
	eventually(p.t, "the yes is sent", func() bool {
		if p.JS(`document.getElementById("fault")?.checkVisibility() ?? false`) == "true" {
			p.Click("button.approve")
			return false
		}
		return true
	})
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
	// Whoever asks for the notifications while the first one is being shown makes Chromium forget it.
	worker.JS(`(show => { self.shown = 0; self.registration.showNotification = async (...all) => { await show(...all); self.shown++ } })(
		self.registration.showNotification.bind(self.registration))`)
	p.Push(string(data))
	eventually(t, "the notification is shown", func() bool { return worker.JS(`self.shown`) == "1" })
	require.Contains(t, worker.JS(`self.registration.getNotifications().then(all => all[0].title + " " + all[0].body)`), "Example Bank")
	require.Equal(t, v.ID, worker.JS(`self.registration.getNotifications().then(all => all[0].tag)`))

	p.Open(s.base + "/authenticator/")
	p.Sees("h1", "Is this you?")
	p.Types(v.MatchNumber)
	client.Sees(api.StatusApproved, "")
	p.Sees("h1", "Approved")
	p.Holds(`navigator.serviceWorker.ready.then(r => r.getNotifications()).then(all => all.length === 0)`)
}

func TestTheWebAuthenticatorShowsCodesWithoutAConnection(t *testing.T) {
	t.Parallel()
	s := Together(t)
	ana := s.Tenant().Has(somebody(), nil)
	r := ana.Enrols("OneLogin Protect", nil)
	p := s.WebPhone()
	p.JoinsWith(r.FactorData.VerificationToken)
	device := ana.Registered(ana.Polls(registrations, r, "accepted"))
	p.Leaves()
	p.Holds(`navigator.serviceWorker.controller !== null`)
	require.Empty(t, browsertest.Call(p.Tab, pages.GetInstallabilityErrors, cdproto.Empty{}).InstallabilityErrors, "it can be put on the home screen")

	p.Expect("ERR_INTERNET_DISCONNECTED")
	p.Offline(true)
	p.Reload()
	p.Sees("#notices", "Offline. Codes still work; requests can't arrive.")
	p.Axe()
	p.Click(`nav a[href="#codes"]`)
	p.Sees(".codes .code", " ")
	otp := fields{"otp": strings.ReplaceAll(p.Text(".codes .code"), " ", ""), "device_id": device}
	require.Equal(t, "accepted", read[proof](t, ana.Call(http.MethodPost, ana.path("/verifications"), otp), http.StatusOK).Status)

	p.Offline(false)
	asked := ana.Activates(device, nil)
	p.Sees("h1", "Is this you?")
	p.approves() // this door's contract has no number
	ana.Polls(verifications, asked, "accepted")
	p.Silent()
}

func TestTheWebAuthenticatorHoldsSeveralAccounts(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.WebPhone()
	ana := p.JoinsBy("Example Bank", "Ana")
	p.Sees("h1", "You joined Example Bank")
	ben := p.JoinsBy("Shop", "Ben")
	p.Leaves()
	first, anas := p.Asks(ana, question{}.Brand("Example Bank"))
	p.Sees(".brand", "Example Bank Ana")
	second, bens := p.Asks(ben, question{}.Brand("Shop"))
	p.Sees(".brand", "Example Bank Ana") // what is being read is not taken away
	p.Sees("main", "1 more request is waiting.")
	p.Types(first.MatchNumber)
	anas.Sees(api.StatusApproved, "")
	p.Sees("h1", "Approved")
	p.Sees("main", "1 more request is waiting.")
	p.Click("#main .lower button")
	p.Sees(".brand", "Shop Ben")
	p.Types(second.MatchNumber)
	bens.Sees(api.StatusApproved, "")
	p.Sees("h1", "Approved")
	p.Click(`nav a[href="#history"]`)
	p.Sees(".history", "Shop")
	p.Sees(".history", "Example Bank")
	p.Axe()
	p.Click(`nav a[href="#codes"]`)
	p.Sees(".codes", "Example Bank Ana")
	p.Sees(".codes", "Shop Ben")
	p.Axe()
	p.Silent()
}

func TestTheWebAuthenticatorSpeaksArabic(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.WebPhone()
	p.Speaks("ar-EG")
	p.Reload() // it began in English
	ana := p.Joins("Ana")
	p.passes()
	p.Holds(`document.documentElement.dir === "rtl" && document.documentElement.lang === "ar"`)
	v, client := p.Asks(ana, question{}.Brand("Example Bank").About(payment))
	p.Sees(".bound", "49.00 EUR")
	p.Axe()
	p.Types(strings.NewReplacer("0", "٠", "1", "١", "2", "٢", "3", "٣", "4", "٤", "5", "٥", "6", "٦", "7", "٧", "8", "٨", "9", "٩").Replace(v.MatchNumber))
	client.Sees(api.StatusApproved, "")
	p.Sees("h1.good", "")
	p.Axe()
	p.Silent()
}

func TestTheWebAuthenticatorIsToldWhatHappensElsewhere(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.WebPhone()
	ana := p.Joins("Ana")
	p.Leaves()

	_, client := p.Asks(ana, question{}.Brand("Example Bank").with(func(c *api.CreateVerification) { c.Metadata = map[string]string{"n": "1"} }))
	p.Sees("h1", "Is this you?")
	next, newest := p.Asks(ana, question{}.Brand("Example Bank"))
	client.Sees(api.StatusCanceled, "replaced")
	p.Sees(".replaced", "Newest request")
	require.Equal(t, http.StatusOK, s.Call(http.MethodPost, "/v1/verifications/"+next.ID+"/cancel", nil).status)
	newest.Sees(api.StatusCanceled, "")
	p.Sees("h1", "Example Bank withdrew this request.")
	p.Axe()

	// A second device of the same person is asked too, and answers first.
	another := s.Phone(api.PlatformFCM)
	d := s.Register(ana.User, api.CreateDevice{Kind: api.DeviceKindApp, Platform: api.PlatformFCM, PushToken: another.Token, PublicKey: another.PublicKey})
	order := api.OrderDevices{DeviceIDs: []string{ana.device, d.ID}}
	require.Equal(t, http.StatusOK, s.Call(http.MethodPut, "/v1/users/"+ana.ID+"/device-order", order).status)
	v := s.Create(question{api.CreateVerification{UserID: ana.ID, Brand: "Example Bank", Challenge: api.ChallengeApproval, Backups: &api.Backups{After: 1}}})
	p.Sees("h1", "Is this you?")
	require.Equal(t, http.StatusAccepted, s.Decides(s.Message(another.Token), api.DecisionApprove, v.MatchNumber).Status)
	p.Sees("h1", "Answered on your other device at")
	p.Sees("h1", "approved.")
	p.Axe()

	p.Expect("status of 410")
	require.Equal(t, http.StatusNoContent, s.Call(http.MethodDelete, "/v1/devices/"+ana.device, nil).status)
	p.Open(s.base + "/authenticator/")
	p.Sees("#notices", "removed this device on")
	p.Axe()
	p.Click("#notices button")
	p.Sees("h1", "Join")
	p.Silent()
}

func TestAJoinCodeThatIsNoneHasASentenceOfItsOwn(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.WebPhone()
	ana := p.Joins("Ana")
	p.Expect("status of 410", "status of 404")
	used := s.Invited(ana.device)
	p.JoinsWith(used)
	stranger := s.WebPhone()
	stranger.Expect("status of 410", "status of 404")
	stranger.Tries(used)
	stranger.Sees("#join-fault", "This join code was already used.")
	stranger.Axe()
	stranger.Tries("0000-0000-0000-0000")
	stranger.Sees("#join-fault", "No device is waited for with this join code.")
	stranger.Open(s.base + "/authenticator/")
	stranger.Type("#code", "https://auth.example.org/authenticator/#join=0000-0000-0000-0000")
	stranger.Click("form button[type=submit]")
	stranger.Sees("#join-fault", "This code belongs to auth.example.org. Open that address and scan it there.")
	stranger.Axe()
	stranger.Silent()
}

func TestAProfileThatWasCopiedIsFoundOnceBothCount(t *testing.T) {
	t.Parallel()
	s := Together(t)
	home, copied := t.TempDir(), filepath.Join(t.TempDir(), "copied")
	opens := func(profile string) *webPhone {
		b := browsertest.StartIn(t, profile)
		p := &webPhone{s, b.Tab(t).Person(), b}
		p.Expect("status of 409")
		p.Look(390, 844, false)
		p.Open(s.base + "/authenticator/")
		return p
	}
	p := opens(home)
	ana := p.Joins("Ana")
	p.Leaves()
	p.Holds(counts(1))
	p.browser.Close()
	require.NoError(t, os.CopyFS(copied, os.DirFS(home)))

	p = opens(home)
	p.Sees("main", "Connected")
	p.Holds(counts(2))
	thief := opens(copied)
	thief.Sees("#notices", "This browser doesn't hold the key for this account; keys can't be copied. Join again to use it here.")
	thief.Axe()
	v, client := p.Asks(ana, question{}.Brand("Example Bank"))
	p.Sees("h1", "Is this you?")
	p.Types(v.MatchNumber)
	client.Sees(api.StatusApproved, "")
	thief.Sees("#notices", "keys can't be copied")
	entries := read[api.AuditList](t, s.Call(http.MethodGet, "/v1/audit?action=device.copied&subject="+ana.device, nil), http.StatusOK).Data
	require.Len(t, entries, 1)
	thief.Click("#notices a.button")
	thief.Sees("h1", "Join")
}

// counts holds once the page has counted so far, and was heard.
func counts(n int) string {
	return `new Promise(found => { indexedDB.open("assent-authenticator").onsuccess = e => {
		e.target.result.transaction("settings").objectStore("settings").getAll().onsuccess = r => {
			e.target.result.close()
			found(r.target.result.some(x => x && x.number === ` + strconv.Itoa(n) + ` && !x.sent)) } } })`
}

func TestTheWebAuthenticatorIsTriedBeforeItMatters(t *testing.T) {
	t.Parallel()
	s := Together(t)
	p := s.WebPhone()
	p.browser.Permit(t, s.base, "notifications", cdp.PermissionSettingPrompt)
	p.Joins("Ana")
	p.Sees(".lower", "Allow notifications")
	p.Axe()
	p.Click("#main .lower > button:last-child") // not now
	p.Sees(".lower", "Let's try it: a request that means nothing.")
	p.Axe()
	p.Click("#main .lower > button.approve")
	p.Sees("h1", "Let's try it. Press Approve.")
	p.Sees(".facts", "Try this device")
	p.Axe()
	p.approves()
	p.Sees("h1", "Approved")
	p.Silent()
}

func TestTheAuthenticatorPageRunsAsItStands(t *testing.T) {
	t.Parallel()
	s, dir := settled(t)
	p := s.WebPhone()
	output := writtenPage{file: "authenticator.md", commands: 2, answers: 1, after: func(language, _, output string) {
		if language == "json" {
			p.JoinsWith(p.CodeOf(printed[api.Enrolment](t, output).URL))
			p.Leaves()
		}
	}}.Runs(s, dir)
	v := printed[api.Verification](t, output)
	p.Sees(".facts", "Near Lyon (estimate)")
	p.Types(v.MatchNumber)
	s.Waiting(v).Sees(api.StatusApproved, "")
	p.Sees("h1", "Approved")
}

// printed is the last JSON that a block printed.
func printed[T any](t *testing.T, output string) T {
	t.Helper()
	var v T
	require.NoError(t, json.Unmarshal([]byte(output[max(0, strings.LastIndex(output, "\n{")):]), &v), "printed: %s", output)
	return v
}
