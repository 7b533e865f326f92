package sandbox_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/cdp"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/cdproto/target"
	"github.com/chromedp/chromedp"
	"github.com/sendgrid/sendgrid-go/helpers/mail"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/sandbox"
)

// tab is one page of a real browser, with what its console said.
type tab struct {
	t      *testing.T
	ctx    context.Context
	faults *logBuffer
	shots  string
}

// openBrowser starts Chromium. A machine without it fails the test: the page is not tested otherwise.
func openBrowser(t *testing.T) context.Context {
	t.Helper()
	path := "/usr/bin/chromium"
	_, err := os.Stat(path)
	require.NoError(t, err, "the inbox page is tested in Chromium: install the package chromium")
	options := append(chromedp.DefaultExecAllocatorOptions[:], chromedp.ExecPath(path), chromedp.NoSandbox, chromedp.DisableGPU,
		chromedp.UserDataDir(t.TempDir()), chromedp.Flag("lang", "en-GB"))
	ctx, cancel := chromedp.NewExecAllocator(t.Context(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx))
	t.Cleanup(func() { _ = chromedp.Cancel(ctx) }) // before the directory of its profile is removed
	return ctx
}

func openTab(browserCtx context.Context, t *testing.T) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(browserCtx)
	t.Cleanup(cancel)
	ctx, cancel = context.WithTimeout(ctx, 6*patience)
	t.Cleanup(cancel)
	p := &tab{t: t, ctx: ctx, faults: &logBuffer{}, shots: os.Getenv("SANDBOX_SHOTS")} //nolint:forbidigo // where a developer wants to see the page
	require.NoError(t, chromedp.Listen(ctx, func(e any) {
		switch e := e.(type) {
		case *runtime.EventExceptionThrown:
			_, _ = p.faults.Write([]byte("exception: " + e.ExceptionDetails.Text + "\n"))
		case *log.EventEntryAdded:
			if e.Entry.Level == log.EntryLevelError {
				_, _ = p.faults.Write([]byte(e.Entry.Text + " " + e.Entry.URL + "\n"))
			}
		}
	}))
	return p
}

func (p *tab) run(actions ...chromedp.Action[chromedp.Void]) {
	p.t.Helper()
	require.NoError(p.t, chromedp.Do(p.ctx, actions...), "page said: %s", p.faults)
}

// sees waits until the visible text of an element contains words.
func (p *tab) sees(selector, words string) {
	p.t.Helper()
	ctx, cancel := context.WithTimeout(p.ctx, patience)
	defer cancel()
	poll := chromedp.PollFunction[bool](`(selector, words) => {
		const e = document.querySelector(selector)
		return e !== null && e.checkVisibility() && e.innerText.replaceAll('\u00a0', ' ').includes(words)
	}`, chromedp.WithPollingInterval(20*time.Millisecond), chromedp.WithPollingArgs(selector, words))
	_, err := chromedp.Run(ctx, poll)
	for err != nil && ctx.Err() == nil { // the page under the question went away: ask the next one
		_, err = chromedp.Run(ctx, poll)
	}
	if err != nil {
		text, _ := chromedp.Run(p.ctx, chromedp.Evaluate[string](`document.body.innerText`))
		require.NoError(p.t, err, "%q is not seen in %s. The page shows:\n%s\n%s", words, selector, text, p.faults)
	}
}

func (p *tab) js(expression string) string {
	p.t.Helper()
	v, err := chromedp.Run(p.ctx, chromedp.Evaluate[string]("Promise.resolve("+expression+").then(String)", chromedp.EvalAwaitPromise))
	require.NoError(p.t, err)
	return v
}

func (p *tab) click(selector string) {
	p.t.Helper()
	p.run(chromedp.Click(chromedp.CSS(selector)))
}

// picture keeps what the page looks like, where a developer asked for it.
func (p *tab) picture(name string) {
	p.t.Helper()
	if p.shots == "" {
		return
	}
	require.NoError(p.t, os.MkdirAll(p.shots, 0o750))
	for _, look := range []struct {
		name          string
		width, height int64
		scheme        string
	}{{"desktop-light", 1280, 800, "light"}, {"desktop-dark", 1280, 800, "dark"}, {"phone-light", 390, 844, "light"}, {"phone-dark", 390, 844, "dark"}} {
		p.run(chromedp.EmulateViewport(look.width, look.height), command(emulation.SetEmulatedMedia, emulation.SetEmulatedMediaParams{
			Features: []*emulation.MediaFeature{{Name: "prefers-color-scheme", Value: look.scheme}},
		}))
		png, err := chromedp.Run(p.ctx, chromedp.CaptureScreenshot())
		require.NoError(p.t, err)
		require.NoError(p.t, os.WriteFile(filepath.Join(p.shots, name+"-"+look.name+".png"), png, 0o600))
	}
	p.run(chromedp.EmulateViewport(1280, 800))
}

// command is one protocol command as an action.
func command[P, R any](c cdp.Command[P, R], params P) chromedp.Action[chromedp.Void] {
	return chromedp.Func(func(ctx context.Context, t *chromedp.Target) error {
		_, err := cdp.Call(ctx, t, c, params)
		return err
	})
}

func (p *tab) clean() {
	p.t.Helper()
	require.Empty(p.t, p.faults.String(), "the console must stay empty")
}

func TestTheInboxPage(t *testing.T) {
	browserCtx := openBrowser(t)
	b := setup(t)
	p := openTab(browserCtx, t)
	p.run(chromedp.EmulateViewport(1280, 800), chromedp.Navigate(b.url+"/sandbox"))
	p.sees("#livewords", "Live")
	p.sees("#empty", "Send yourself a code")
	p.sees("#empty .command", "curl -u assent-dev:SECRET "+b.url+"/v1/verifications")
	p.picture("first-run")
	p.js(`window.stayed = true`)

	t.Run("a text arrives live, and its code can be copied", func(t *testing.T) {
		p.t = t
		b.text(t, map[string]string{"StatusCallback": b.assent.url + "/callbacks/twilio/sms/v1/1"})
		p.sees("#list", "+1 415 555 0100")
		require.Equal(t, "(1) Assent sandbox", p.js("document.title"))
		p.click("#list a")
		p.sees("#detail h2", "Text to +1 415 555 0100")
		p.sees("#detail .meta", "delivered")
		p.sees("#detail details:last-child", "sent 204, delivered 204")
		require.Equal(t, "Assent sandbox", p.js("document.title"))
		_, err := chromedp.CallBrowser(p.ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: "clipboard-read"}, Setting: browser.PermissionSettingGranted, Origin: b.url,
		})
		require.NoError(t, err)
		p.click(".copycode")
		p.sees(".copycode", "Copied")
		require.Equal(t, "482913", p.js(`navigator.clipboard.readText()`))
		p.click("#detail details summary")
		p.sees("#detail details", "Basic (removed)")
		p.sees("#detail details .source", "Body = 482913 is your Example Bank code.")
		p.picture("text")
	})

	t.Run("a reply is sent, and what Assent said is shown", func(t *testing.T) {
		p.t = t
		p.run(chromedp.SendKeys(chromedp.CSS(".reply input"), "YES"))
		p.click(".reply button")
		p.sees(".result", "Sent to Assent: YES. It answered 204")
		for {
			if got := b.assent.next(t); got.path == "/callbacks/twilio/inbound" {
				require.Equal(t, "YES", got.form(t).Get("Body"))
				break
			}
		}
		b.assent.on("/callbacks/twilio/inbound", func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			_, _ = w.Write([]byte(`{"code":"verification_closed","detail":"this request was already denied."}`))
		})
		p.run(chromedp.SendKeys(chromedp.CSS(".reply input"), "NO"))
		p.click(".reply button")
		p.sees(".result", "Too late: this request was already denied.")
	})

	t.Run("typing is not disturbed by what arrives", func(t *testing.T) {
		p.t = t
		p.js(`document.querySelector('.reply input').value = ''`)
		p.run(chromedp.SendKeys(chromedp.CSS(".reply input"), "half a thou"))
		b.text(t, map[string]string{"To": "+14155550111"})
		p.sees("#list", "+1 415 555 0111")
		require.Equal(t, "half a thou", p.js(`document.activeElement.value`))
		require.Equal(t, "true", p.js(`window.stayed`), "the page was never loaded again")
	})

	t.Run("a mail is framed with its own styles, and its link opens", func(t *testing.T) {
		p.t = t
		m := aMail()
		m.Content[0].Value = "Are you signing in? " + b.assent.url + "/l/token-1"
		m.Content[1].Value = `<style>p{color:rgb(1,2,3)}</style><p>Are you signing in?</p><a href="` + b.assent.url + `/l/token-1">Review the request</a>`
		m.Subject = "Example Bank: is this you?"
		require.Equal(t, http.StatusAccepted, b.mail(t, mail.GetRequestBody(m)).status)
		p.sees("#list li:first-child", "ana@example.com")
		p.click("#list li:first-child a")
		p.sees("#detail h2", "Email to ana@example.com")
		require.Equal(t, b.assent.url+"/l/token-1", p.js(`document.querySelector('#detail a.primary').href`))
		frame := p.js(`document.querySelector('iframe').src`)
		require.Contains(t, frame, "/html")
		mailTab := openTab(browserCtx, t)
		mailTab.run(chromedp.Navigate(frame))
		require.Equal(t, "rgb(1, 2, 3)", mailTab.js(`getComputedStyle(document.querySelector('p')).color`))
		require.Equal(t, "_blank", mailTab.js(`document.querySelector('base').target`))
		p.picture("mail")
		p.run(chromedp.Click(`//button[text()="Text"]`))
		p.sees(".mail .source", "/l/token-1")
	})

	t.Run("a link opened from the framed mail can send its form", func(t *testing.T) {
		p.t = t
		b.assent.on("/l/token-1", func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			if r.Method == http.MethodPost {
				_, _ = w.Write([]byte("<h1>Approved</h1>"))
				return
			}
			_, _ = w.Write([]byte(`<form method="post"><button id="approve">Approve</button></form>`))
		})
		p.run(chromedp.Click(`//button[text()="HTML"]`))
		press := p.frameLink()
		var opened target.ID
		eventually(t, func() bool {
			p.run(press) // again: a frame takes presses only a while after it has loaded
			all, err := chromedp.Targets(p.ctx)
			require.NoError(t, err)
			for _, one := range all {
				if one.URL == b.assent.url+"/l/token-1" {
					opened = one.TargetID
				}
			}
			return opened != ""
		})
		popup, cancel := chromedp.NewContext(p.ctx, chromedp.WithTargetID(opened))
		defer cancel()
		popup, stop := context.WithTimeout(popup, patience)
		defer stop()
		accept := &tab{t: t, ctx: popup, faults: &logBuffer{}}
		accept.click("#approve")
		accept.sees("h1", "Approved")
	})

	t.Run("a call is spoken line by line and answered by its keypad", func(t *testing.T) {
		p.t = t
		b.twiml("/callbacks/twilio/voice/v1/answer", `<Response><Say>Thank you. We have received your approval.</Say><Hangup/></Response>`)
		script := `<Response><Gather numDigits="1" action="` + b.assent.url + `/callbacks/twilio/voice/v1/answer"><Say>Hello. This is Example Bank, asking for your approval.</Say><Say>Press 1 to approve, 2 to deny, or 3 if this wasn't you.</Say></Gather></Response>`
		require.Equal(t, http.StatusCreated, b.phoneCall(t, script, nil).status)
		p.sees("#list li:first-child", "waiting for keys")
		p.click("#list li:first-child a")
		p.sees(".script", "Press 1 to approve")
		p.sees(".keypad", "1")
		p.picture("call")
		p.run(chromedp.Click(`//div[@class="keypad"]/button[text()="1"]`))
		p.sees(".result", "key presses 1. It answered 200")
		p.sees(".script li:last-child", "We have received your approval")
		p.sees("#detail .meta", "completed")
		require.Equal(t, "true", p.js(`document.querySelector('.keypad').hidden`))
	})

	t.Run("a number is keyed in to its last digit, or refused with star and hash", func(t *testing.T) {
		p.t = t
		b.twiml("/callbacks/twilio/voice/v1/answer", `<Response><Say>Thank you. We have received your answer.</Say><Hangup/></Response>`)
		script := `<Response><Gather numDigits="3" finishOnKey="#" action="` + b.assent.url + `/callbacks/twilio/voice/v1/answer"><Say>Enter the 3-digit number.</Say></Gather></Response>`
		for keys, result := range map[string]string{"412": "key presses 4 1 2. It answered 200", "*#": "key presses * #. It answered 200"} {
			require.Equal(t, http.StatusCreated, b.phoneCall(t, script, nil).status)
			p.sees("#list li:first-child", "waiting for keys")
			p.click("#list li:first-child a")
			p.sees(".script", "Enter the 3-digit number.")
			for _, key := range keys {
				p.run(chromedp.Click(`//div[@class="keypad"]/button[text()="` + string(key) + `"]`))
			}
			p.sees(".result", result)
			p.sees(".script li:last-child", "We have received your answer")
		}
	})

	t.Run("a push to a sandbox phone has three buttons", func(t *testing.T) {
		p.t = t
		phone := b.phone(t, "fcm")
		body := `{"message":{"token":"` + phone.PushToken + `","data":{"verification_id":"v1","device_id":"d1","brand":"Example Bank","action":"Sign in","place":"Lyon","device":"Firefox on Windows","ip":"203.0.113.7",` +
			`"context":"{}","requested_at":"2026-11-21T14:27:00Z","expires_at":"2026-11-21T14:32:00Z","respond_to":"` + b.assent.url + `/v1/verifications/v1/responses"}}}`
		require.Equal(t, http.StatusOK, b.fcm(t, body).status)
		p.sees("#list li:first-child", "Ana's phone")
		p.click("#list li:first-child a")
		p.sees(".push", "Near Lyon (estimate)")
		p.picture("push")
		p.run(chromedp.Click(`//div[@class="answers"]/button[text()="This wasn’t me"]`))
		p.sees(".result", "Sent to Assent: this wasn’t me. It answered 204")
		p.sees("#list li:first-child", "You answered: this wasn’t me")
	})

	t.Run("the carrier is told to misbehave, and back", func(t *testing.T) {
		p.t = t
		p.run(chromedp.SetValue(chromedp.CSS("#carrier"), "refuse"))
		p.js(`document.getElementById('carrier').dispatchEvent(new Event('change'))`)
		p.sees("#banner", "Carrier is refusing everything.")
		require.Equal(t, http.StatusBadRequest, b.text(t, nil).status)
		p.picture("refusing")
		p.click("#normal")
		eventually(t, func() bool { return p.js(`document.getElementById('banner').hidden`) == "true" })
		require.Equal(t, http.StatusCreated, b.text(t, nil).status)
		b.behave(t, `{"mode":"throttle","channel":"sms"}`)
		p.sees("#banner", "Texts: is throttling")
		b.behave(t, `{"mode":"normal"}`)
	})

	t.Run("filters, keys and the drawer", func(t *testing.T) {
		p.t = t
		p.click(`.tabs [data-channel="push"]`)
		require.Contains(t, p.js("location.search"), "channel=push")
		eventually(t, func() bool {
			return p.js(`[...document.querySelectorAll('#list li')].filter(l => !l.hidden).length`) == "1"
		})
		p.run(chromedp.SendKeys(chromedp.CSS("#search"), "nobody"))
		p.sees("#empty", "No pushes that match “nobody”.")
		p.run(chromedp.Click(`//button[text()="Show everything"]`))
		p.js(`document.activeElement.blur()`)
		p.run(chromedp.KeyEvent("j"), chromedp.KeyEvent("j"))
		require.Equal(t, "A", p.js(`document.activeElement.tagName`))
		p.run(chromedp.KeyEvent("?"))
		p.sees("#keys", "Copy the code")
		p.js(`document.getElementById('keys').close()`)
		p.click(`[data-dialog="reserved"]`)
		p.sees("#reserved", "+14155550190")
		p.picture("reserved")
		p.js(`document.getElementById('reserved').close()`)
		p.click(`[data-dialog="phone"]`)
		p.click("#phoneform button")
		p.sees("#phoneresult", "Ana's phone is ready")
		p.sees("#phoneresult .command", "/v1/users")
		p.picture("add-phone")
		p.js(`document.getElementById('phone').close()`)
	})

	t.Run("a second tab follows the first one's stream", func(t *testing.T) {
		second := openTab(browserCtx, t)
		second.run(chromedp.Navigate(b.url + "/sandbox"))
		second.sees("#livewords", "Live")
		second.sees("#list", "ana@example.com")
		b.text(t, map[string]string{"To": "+14155550122"})
		second.sees("#list", "+1 415 555 0122")
		second.clean()
	})

	t.Run("a number is picked, or typed", func(t *testing.T) {
		p.t = t
		phone := b.phone(t, "fcm")
		ask := func(action, data string) {
			require.Equal(t, http.StatusOK, b.fcm(t, `{"message":{"token":"`+phone.PushToken+`","data":{"verification_id":"v1","device_id":"d1","brand":"Example Bank","action":"`+action+`",`+data+
				`,"context":"{}","number_salt":"pXk2Jq0cT1m5l8S3vRwZbA","respond_to":"`+b.assent.url+`/v1/verifications/v1/responses"}}}`).status)
			p.sees("#list li:first-child", action)
			p.click("#list li:first-child a")
			p.sees(".push", action)
		}
		answered := func() string {
			for {
				if got := b.assent.next(t); got.path == "/v1/verifications/v1/responses" {
					return verifySigned(t, phone, got, "{}")["number"]
				}
			}
		}
		for len(b.assent.got) > 0 { // what the tests before were answered with
			b.assent.next(t)
		}
		ask("Send money", `"choices":"[\"3\",\"7\",\"9\",\"1\"]"`)
		p.sees(".push", "pick the number on the other screen")
		require.Equal(t, "3 7 9 1", p.js(`[...document.querySelectorAll('.choices button')].map(b => b.textContent).join(' ')`))
		require.Equal(t, "Deny, This wasn’t me", p.js(`[...document.querySelectorAll('.answers > button')].map(b => b.textContent).join(', ')`))
		p.picture("push-choices")
		p.run(chromedp.Click(`//div[@class="choices"]/button[text()="7"]`))
		p.sees(".result", "Sent to Assent: approve with 7. It answered 204")
		p.sees("#list li:first-child", "You answered: approve with 7")
		require.Equal(t, "7", answered())

		ask("Pay 20", `"number_length":"2"`)
		p.sees(".push", "Number on the other screen")
		p.run(chromedp.SendKeys(chromedp.CSS(".answers input"), "47"))
		p.click(".answers form button")
		p.sees(".result", "Sent to Assent: approve with 47. It answered 204")
		require.Equal(t, "47", answered())

		ask("Leave", `"choices":"what is this"`) // offers nothing that could be picked
		p.sees(".answers", "Approve")
		require.Equal(t, "0", p.js(`document.querySelectorAll('.choices').length`))
	})

	t.Run("the code of a push is shown to be copied", func(t *testing.T) {
		p.t = t
		phone := b.phone(t, "fcm")
		require.Equal(t, http.StatusOK, b.fcm(t, `{"message":{"token":"`+phone.PushToken+
			`","data":{"verification_id":"v1","device_id":"d1","title":"Your Example Bank code","body":"482913 is your Example Bank code.","code":"482913"}}}`).status)
		p.sees("#list li:first-child", "482913 is your Example Bank code")
		p.click("#list li:first-child a")
		p.sees(".push .digits", "482")
		p.sees(".push", "Your Example Bank code")
		require.Equal(t, "0", p.js(`document.querySelectorAll('.answers').length`), "there is nothing to answer")
		p.picture("push-code")
	})

	t.Run("clearing says so", func(t *testing.T) {
		p.t = t
		p.click("#clear")
		p.sees("#empty", "Cleared. New messages will appear here.")
	})
	p.t = t
	p.clean()
}

// frameLink presses the link inside the framed mail the way a mouse does.
func (p *tab) frameLink() chromedp.Action[chromedp.Void] {
	p.t.Helper()
	p.js(`document.querySelector('iframe').scrollIntoView()`)
	at, err := chromedp.Run(p.ctx, chromedp.Evaluate[struct{ X, Y float64 }](`new Promise(done => {
		const f = document.querySelector('iframe')
		f.addEventListener('load', () => { const r = f.getBoundingClientRect(); done({X: r.x + 60, Y: r.y + 52}) })
		f.src = f.src
	})`, chromedp.EvalAwaitPromise))
	require.NoError(p.t, err)
	return chromedp.MouseClickXY(at.X, at.Y)
}

func TestAStoppedFeedSaysSoAndComesBack(t *testing.T) {
	browserCtx := openBrowser(t)
	var now atomic.Pointer[bundle]
	front := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		b := now.Load()
		if b == nil {
			http.Error(w, "nobody is there", http.StatusBadGateway) // what a proxy says during a restart
			return
		}
		b.Handler().ServeHTTP(w, r)
	}))
	t.Cleanup(front.Close)
	before := setup(t)
	now.Store(before)
	p := openTab(browserCtx, t)
	p.run(chromedp.Navigate(front.URL + "/sandbox"))
	p.sees("#livewords", "Live")

	now.Store(nil)
	before.Close() // ends the stream
	p.sees("#livewords", "Reconnecting")

	after := setup(t)
	after.text(t, nil)
	now.Store(after)
	p.sees("#livewords", "Live")
	p.sees("#list", "+1 415 555 0100")
}

func TestWithoutJavaScriptThePageIsAList(t *testing.T) {
	b := setup(t, func(c *sandbox.Config) { c.APIURL = "http://api.example:8080/" })
	require.Contains(t, string(b.do(t, http.MethodGet, "/sandbox", nil, "").body), "curl -u assent-dev:SECRET http://api.example:8080/v1/verifications")
	b.text(t, map[string]string{"Body": "<b>482913</b> is your code"})
	browserCtx := openBrowser(t)
	p := openTab(browserCtx, t)
	p.run(command(emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: true}), chromedp.Navigate(b.url+"/sandbox"))
	text, err := chromedp.Run(p.ctx, chromedp.Text(chromedp.CSS("ol")))
	require.NoError(t, err)
	require.Contains(t, text, "<b>482913</b> is your code")
	require.Contains(t, text, "Code: 482913")
}

func TestThePageIsServedUnderAStrictPolicy(t *testing.T) {
	b := setup(t)
	res := b.do(t, http.MethodGet, "/sandbox", nil, "")
	require.Equal(t, http.StatusOK, res.status)
	csp := res.header.Get("Content-Security-Policy")
	for _, want := range []string{"default-src 'self'", "object-src 'none'", "frame-ancestors 'none'", "form-action 'self'"} {
		require.Contains(t, csp, want)
	}
	require.NotContains(t, csp, "unsafe")
	require.NotContains(t, string(res.body), "style=")
	for _, asset := range []string{"inbox.css", "inbox.js", "feed.js", "favicon.svg"} {
		got := b.do(t, http.MethodGet, "/sandbox/assets/"+asset, nil, "")
		require.Equal(t, http.StatusOK, got.status, asset)
		require.NotContains(t, string(got.body), "https://", "%s loads nothing from elsewhere", asset)
	}
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodGet, "/sandbox/assets/inbox.html", nil, "").status)
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodGet, "/sandbox/assets/"+url.PathEscape("../page.go"), nil, "").status)
}
