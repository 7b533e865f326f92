package authenticator_test

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"image"
	"image/color"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/page"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/internal/browsertest"
)

// showsCode waits until the n-th account shows the code of now.
func showsCode(t *testing.T, p *browsertest.Tab, n int, code func(at time.Time) string) {
	t.Helper()
	require.Eventually(t, func() bool {
		return p.JS(fmt.Sprintf(`document.querySelectorAll(".code")[%d]?.textContent.replaceAll(" ", "")`, n)) == code(time.Now())
	}, patience, pause)
}

// codesOf gives the codes of a joined account.
func codesOf(secret []byte) func(at time.Time) string {
	return func(at time.Time) string { return device.OneTimeCode(secret, at) }
}

func TestAPersonJoinsByALink(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := browsertest.Start(t).Tab(t).Speaks("en-GB")
	code := s.invites("Example Bank", ana)
	p.Open(s.page("join=" + code))
	p.Sees("#code", code)
	require.Equal(t, "#join", p.JS("location.hash"), "the code does not stay where others look")
	p.JS(`(() => { const s = document.getElementById("language"); s.value = "de"; s.dispatchEvent(new Event("change")); return true })()`)
	p.Sees("h1", "Beitreten")
	p.Sees("#code", code)
	p.JS(`(() => { const s = document.getElementById("language"); s.value = ""; s.dispatchEvent(new Event("change")); return true })()`)
	p.Sees("h1", "Join")
	p.Click("form button[type=submit]")
	p.Sees("h1", "You joined Example Bank")
	p.Sees("main", ana)
	p.Reload()
	p.Sees("h1", "No requests right now.")
	require.Equal(t, "true", p.JS(`navigator.storage.persisted().then(() => localStorage.getItem("assent-authenticator") === "joined")`))
	p.Silent()
}

func TestEveryCodeThatDoesNotJoinSaysWhy(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := browsertest.Start(t).Tab(t).Speaks("en-GB")
	p.Expect("status of 404", "status of 410", "ERR_")
	p.Look(390, 844, false)
	p.Open(s.page(""))
	p.Sees("h1", "Join")
	used, expired := s.invites("Example Bank", "u"), s.invites("Example Bank", "e")
	nameless, expiredNameless := s.invites("", "n"), s.invites("", "x")
	for code, problem := range map[string]string{used: "join_code_used", expired: "join_code_expired", nameless: "join_code_used", expiredNameless: "join_code_expired"} {
		s.alter(func() { s.codes[strings.ReplaceAll(code, "-", "")].problem = problem })
	}
	for text, says := range map[string]string{
		"":                    "Enter the join code from your computer's screen.",
		"hello":               "This isn't a join code. It has sixteen letters and digits, in groups of four.",
		"U7QX-2M4P-WZ3N-A5RT": "This isn't a join code.",
		"k7qx 2m4p wz3n a5rt": "No device is waited for with this join code.",
		used:                  "This join code was already used. Ask Example Bank for a new one.",
		nameless:              "This join code was already used. Ask for a new one where you got it.",
		expired:               "14:20. Ask Example Bank for a new one.",
		expiredNameless:       "This join code expired. Ask for a new one where you got it.",
		"https://auth.example.org/authenticator/#join=K7QX-2M4P-WZ3N-A5RT": "This code belongs to auth.example.org. Open that address and scan it there. Open",
		s.URL + "/authenticator/":                                       "This isn't a join code.",
		"otpauth://hotp/Shop:ana?secret=JBSWY3DPEHPK3PXP&counter=1":     "This setup link is for codes that count presses (HOTP).",
		"otpauth://totp/Shop:ana?secret=1189":                           "The secret in this setup link can't be read.",
		"otpauth://totp/Shop:ana?secret=JBSWY3DPEHPK3PXP&digits=7":      "neither 6 nor 8 digits",
		"otpauth://totp/Shop:ana?secret=JBSWY3DPEHPK3PXP&period=0":      "This setup link has a period that can't be used.",
		"otpauth://totp/Shop:ana?secret=JBSWY3DPEHPK3PXP&algorithm=MD5": "This setup link asks for an algorithm that isn't SHA1, SHA256 or SHA512.",
		"otpauth://totp/Shop:ana?secret=K7QX-2M4P-WZ3N-A5RT":            "No device is waited for with this join code.",
	} {
		t.Run(text, func(t *testing.T) {
			p := p.In(t)
			p.JS(`document.getElementById("code").value = ""`)
			if text != "" {
				p.Type("#code", text)
			}
			p.Click("form button[type=submit]")
			p.Sees("#join-fault", says)
		})
	}
	p.Axe()
	shoot(p, "join-fault")
	p.JS(`document.getElementById("code").value = ""`)
	code := s.invites("Example Bank", ana)
	p.Type("#code", code)
	s.alter(func() { s.away = true })
	p.Click("form button[type=submit]")
	p.Sees("#join-fault", "You didn't join: the server can't be reached. Your code still works; try again.")
	// The answers to the next ones are lost, and yet it is one device.
	s.alter(func() { s.away, s.losing = false, true })
	p.Click("form button[type=submit]")
	p.Holds(`document.getElementById("join-fault").hidden`)
	p.Sees("#join-fault", "You didn't join: the server can't be reached.")
	s.alter(func() { s.losing = false })
	p.Click("form button[type=submit]")
	p.Sees("h1", "You joined Example Bank")
	s.mu.Lock()
	defer s.mu.Unlock()
	require.Len(t, s.devices, 1)
	last := s.joinings[len(s.joinings)-3:]
	require.Equal(t, []string{last[0], last[0], last[0]}, last, "all tries have one key")
}

// The server has taken the key, and the browser loses the answer or cannot store the account.
func TestAJoinThatBrokeOffGoesOnAfterTheNextLoad(t *testing.T) {
	t.Parallel()
	for name, breaks := range map[string]struct{ script, says string }{
		"lost": {`true`, "You didn't join: the server can't be reached. Your code still works; try again."},
		"full": {`(put => { IDBObjectStore.prototype.put = function (...all) {
			if (this.name === "accounts") throw new DOMException("full", "QuotaExceededError")
			return put.apply(this, all)
		} })(IDBObjectStore.prototype.put)`, "This browser doesn't let the app keep a key."},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t)
			p := browsertest.Start(t).Tab(t).Speaks("en-GB")
			p.Expect("ERR_", "status of 404")
			code := s.invites("Example Bank", ana)
			p.Open(s.page("join=" + code))
			p.Sees("#code", code)
			s.alter(func() { s.losing = name == "lost" })
			p.JS(breaks.script)
			p.Click("form button[type=submit]")
			p.Sees("#join-fault", breaks.says)
			s.alter(func() { s.losing = false })
			p.Reload()
			p.Sees("h1", "Join")
			joins(p, code)
			p.Sees("main", "Connected")
			s.mu.Lock()
			require.Len(t, s.devices, 1)
			for _, key := range s.joinings {
				require.Equal(t, s.joinings[0], key, "all tries have one key")
			}
			s.mu.Unlock()

			// Attempts that came to nothing do not pile up.
			s.alter(func() { s.losing = true })
			for _, user := range []string{"b@example.com", "c@example.com"} {
				p.Open(s.page("join=" + s.invites("Example Bank", user)))
				p.Click("form button[type=submit]")
				p.Sees("#join-fault", "You didn't join: the server can't be reached.")
			}
			const keys = `new Promise((resolve) => { indexedDB.open("assent-authenticator").onsuccess = ({ target: { result: db } }) => {
				db.transaction("keys").objectStore("keys").getAllKeys().onsuccess = ({ target }) => { db.close(); resolve(target.result.length) }
			} })`
			require.Equal(t, "2", p.JS(keys))
			s.alter(func() { s.losing = false })
			p.Open(s.page("join=ABCD-EFGH-JKMN-PQRS"))
			p.Click("form button[type=submit]")
			p.Sees("#join-fault", "No device is waited for with this join code.")
			p.Holds(keys + `.then((n) => n === 1)`)
			p.Silent()
		})
	}
}

func TestCodesWithoutAConnection(t *testing.T) {
	t.Parallel()
	s, b, p := open(t)
	p.Expect("ERR_")
	secret := []byte("12345678901234567890123456789012")
	p.Open(s.page("join"))
	p.Type("#code", "otpauth://totp/Shop%3Aa.k?secret=GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQGEZA&algorithm=SHA256&digits=8&period=60")
	p.Click("form button[type=submit]")
	p.Sees("h1", "The codes are added")
	p.Click("#main .lower button")
	p.Sees("h1", "Codes")
	p.Holds("navigator.serviceWorker.controller !== null")
	p.Offline(true)
	p.Reload()
	p.Sees("h1", "Codes")
	p.Sees("#notices", "Offline. Codes still work; requests can't arrive. Last contact")
	codes := codesOf(s.of(ana).secret)
	showsCode(t, p, 0, codes)
	showsCode(t, p, 1, func(at time.Time) string { return totp(secret, at) })
	p.Holds(`/^[0-9]{4} [0-9]{4}$/.test(document.querySelectorAll(".code")[1].textContent)`)
	require.Equal(t, "true", p.JS(`(async () => {
		const db = await new Promise((resolve) => { indexedDB.open("assent-authenticator").onsuccess = (e) => resolve(e.target.result) })
		const keys = await new Promise((resolve) => { db.transaction("keys").objectStore("keys").getAll().onsuccess = (e) => resolve(e.target.result) })
		db.close()
		return keys.length === 2 && keys.every((k) => !k.codes.extractable && !(k.sign?.extractable))
	})()`), "no key can be read")
	b.Permit(t, s.URL, "clipboard-read", browser.PermissionSettingGranted)
	before := time.Now().Add(-2 * time.Second) // what is shown is drawn a moment after it changes
	p.Click(".codes li:first-child .now .copy")
	p.Sees(".codes li:first-child .now .copy", "Copied")
	var shown []string
	for at := before; at.Before(time.Now()); at = at.Add(time.Second) {
		shown = append(shown, codes(at))
	}
	require.Contains(t, shown, p.JS("navigator.clipboard.readText()"))
	p.Sees(".codes li:first-child .now .copy", "Copy")
	p.Axe()
	fits(p)
	shoot(p, "codes-offline")
	p.Offline(false)
	p.Gone("#notices .warn")

	p.Click(`nav a[href="#settings"]`)
	p.Click("#hide-codes")
	p.Click(`nav a[href="#codes"]`)
	p.Gone(".code")
	shoot(p, "codes-hidden")
	p.Axe()
	p.Click(".reveal")
	p.Sees(".code", " ")
	p.Silent()
}

func totp(secret []byte, at time.Time) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write(binary.BigEndian.AppendUint64(nil, uint64(at.Unix()/60)))
	sum := mac.Sum(nil)
	offset := sum[len(sum)-1] & 15
	return fmt.Sprintf("%08d", binary.BigEndian.Uint32(sum[offset:])&0x7fffffff%100_000_000)
}

func TestManyAccountsAreSearchedAndAllLookedAt(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	for i := range 6 {
		p.Open(s.page("join"))
		p.Sees("h1", "Join")
		joins(p, s.invites(fmt.Sprintf("Shop %d", i), fmt.Sprintf("ana%d", i)))
	}
	p.Click(`nav a[href="#codes"]`)
	p.Type("#search", "shop 3")
	p.Holds(`document.querySelectorAll(".codes li:not([hidden])").length === 1`)
	p.Type("#search", "xyz")
	p.Sees("main", "No account has “shop 3xyz” in its name.")
	p.Click(".none button")
	p.Holds(`document.querySelectorAll(".codes li:not([hidden])").length === 7`)
	p.JS(`document.activeElement.blur()`)
	v := s.asks("ana5")
	p.Sees(".question", "Shop 5")
	p.Type("#number", "47")
	p.Click("button.approve")
	p.Sees("h1", "Approved")
	require.NotEmpty(t, s.status(v))
	p.Silent()
}

func TestADeviceThatIsGoneSaysSo(t *testing.T) {
	t.Parallel()
	for cause, says := range map[string]string{
		"removed":  "Example Bank removed this device on 20 Nov.",
		"replaced": "Example Bank replaced this device with another one on 20 Nov.",
		"unknown":  "Example Bank doesn't know this device any more.",
	} {
		t.Run(cause, func(t *testing.T) {
			t.Parallel()
			s, _, p := open(t)
			p.Expect("status of 410", "status of 403")
			s.alter(func() {
				for id, d := range s.devices {
					if cause == "unknown" {
						delete(s.devices, id)
					} else {
						d.gone = cause
					}
				}
			})
			p.Reload()
			p.Sees("#notices", says)
			p.Axe()
			shoot(p, "gone-"+cause)
			p.Sees("#notices .trouble", "Join again")
			p.Click("#notices .trouble button")
			p.Sees("h1", "Join")
			require.Equal(t, "null", p.JS(`localStorage.getItem("assent-authenticator")`))
			p.Reload()
			p.Sees("main", "This browser becomes your second factor")
			p.Silent()
		})
	}
}

func TestAProfileWithoutItsKeysAndAClearedBrowser(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.JS(`new Promise((resolve) => {
		indexedDB.open("assent-authenticator").onsuccess = ({ target: { result: db } }) => {
			const t = db.transaction("keys", "readwrite")
			t.objectStore("keys").clear()
			t.oncomplete = () => { db.close(); resolve(true) }
		}
	})`)
	p.Reload()
	p.Sees("#notices", "This browser doesn't hold the key for this account; keys can't be copied. Join again to use it here.")
	p.Axe()
	shoot(p, "keyless")
	p.JS(`new Promise((resolve) => { const r = indexedDB.deleteDatabase("assent-authenticator"); r.onsuccess = () => resolve(true) })`)
	p.Reload()
	p.Sees(".warn", "This browser deleted the app's data, so the key is gone. Join again. Installing the app prevents this.")
	p.Axe()
	shoot(p, "cleared")
	joins(p, s.invites("Example Bank", "again@example.com"))
	p.Sees("h1", "No requests right now.")
	p.Silent()
}

func TestAnAccountIsRenamedAndRemoved(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.Click(`nav a[href="#settings"]`)
	p.Click(`button[aria-label^="Rename"]`)
	p.Type(`.account input`, "My bank")
	p.Click(`.account button[type=submit]`)
	p.Sees(".account h3", "My bank")
	p.Reload()
	p.Click(`nav a[href="#settings"]`)
	p.Sees(".account h3", "My bank")
	p.Click(`button[aria-label^="Remove"]`)
	p.Sees(".account", "Its key and codes are deleted here. Example Bank still knows this device and may go on asking it: remove it there as well.")
	p.Axe()
	shoot(p, "remove")
	p.Click(".account button.bad")
	p.Sees("h1", "Join")
	require.Empty(t, s.of(ana).gone)
	p.Silent()
}

func TestATabOnAniPhoneIsWarnedBeforeJoining(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := browsertest.Start(t).Tab(t).Speaks("en-GB")
	p.Open("about:blank")
	iPhone(p)
	p.Look(390, 844, false)
	p.Open(s.page("join=" + s.invites("Example Bank", ana)))
	p.Sees(".warn", "On iPhone, add this app to the Home Screen first: Share, then Add to Home Screen. Otherwise iOS deletes your key after a week unused.")
	p.Axe()
	shoot(p, "ios")
	p.Click("#main .lower button")
	p.Click("form button[type=submit]")
	p.Sees("h1", "You joined Example Bank")
	p.Silent()
}

// qr draws the QR code of a text, with the encoder that comes with the vendored reader.
func qr(t *testing.T, s *service, text string) *image.Gray {
	t.Helper()
	p := browsertest.Start(t).Tab(t).Speaks("en-GB")
	p.Open(s.page(""))
	rows := strings.Fields(p.JS(fmt.Sprintf(`import(new URL("vendor/qr-0.7.0/index.js", document.querySelector("script[type=module]").src))
		.then(({ default: encode }) => encode(%q, "raw", { border: 4 }).map((row) => row.map(Number).join("")).join(" "))`, text)))
	const size, module = 480, 9
	picture := image.NewGray(image.Rect(0, 0, size, size))
	edge := (size - module*len(rows)) / 2
	for y := range size {
		for x := range size {
			i, j := (y-edge)/module, (x-edge)/module
			if y < edge || x < edge || i >= len(rows) || j >= len(rows) || rows[i][j] == '0' {
				picture.SetGray(x, y, color.Gray{Y: 255})
			}
		}
	}
	return picture
}

func TestTheCameraReadsACode(t *testing.T) {
	t.Parallel()
	s := serve(t)
	code := s.invites("Example Bank", ana)
	b := browsertest.Start(t, browsertest.Camera(t, qr(t, s, s.URL+"/authenticator/#join="+code)))
	p := b.Tab(t).Speaks("en-GB")
	p.Look(390, 844, false)
	p.Open(s.page(""))
	b.Permit(t, s.URL, "camera", browser.PermissionSettingDenied)
	p.Click(".camera button")
	p.Sees("#join-fault", "The camera is blocked for this site. Type the join code instead.")
	p.JS(`(() => { const s = document.getElementById("language"); s.value = "es"; s.dispatchEvent(new Event("change")); return true })()`)
	p.Sees("h1", "Unirse")
	p.JS(`(() => { const s = document.getElementById("language"); s.value = ""; s.dispatchEvent(new Event("change")); return true })()`)
	p.Sees("h1", "Join")
	p.Reload()
	p.Sees("h1", "Join")
	require.Equal(t, "0", p.JS(`performance.getEntriesByType("resource").filter((e) => e.name.includes("/vendor/")).length`), "the reader is not loaded before")
	b.Permit(t, s.URL, "camera", browser.PermissionSettingGranted)
	p.Click(".camera button")
	p.Sees("h1", "You joined Example Bank")
	require.Equal(t, "true", p.JS(`document.querySelector("video") === null`))
	p.Silent()
}

// As where the service that reads them is missing on an Android phone.
func TestACodeIsReadAlsoWhereTheBrowsersOwnReaderFails(t *testing.T) {
	t.Parallel()
	s := serve(t)
	code := s.invites("Example Bank", ana)
	b := browsertest.Start(t, browsertest.Camera(t, qr(t, s, s.URL+"/authenticator/#join="+code)))
	p := b.Tab(t).Speaks("en-GB")
	browsertest.Call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `window.tried = 0
			window.BarcodeDetector = class {
				static async getSupportedFormats() { return ["qr_code"] }
				async detect() { window.tried++; throw new DOMException("Barcode detection service unavailable.", "NotSupportedError") }
			}`,
	})
	p.Look(390, 844, false)
	p.Open(s.page(""))
	p.Sees("h1", "Join")
	b.Permit(t, s.URL, "camera", browser.PermissionSettingGranted)
	p.Click(".camera button")
	p.Sees("h1", "You joined Example Bank")
	require.Equal(t, "1", p.JS("window.tried"))
	p.Silent()
}

func iPhone(p *browsertest.Tab) {
	browsertest.Call(p, emulation.SetUserAgentOverride, emulation.SetUserAgentOverrideParams{
		UserAgent: "Mozilla/5.0 (iPhone; CPU iPhone OS 19_0 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/19.0 Mobile/15E148 Safari/604.1",
	})
}
