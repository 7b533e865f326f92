package enrol_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/internal/browsertest"
)

// looks is what every page is looked at on.
type look struct {
	name          string
	width, height int64
	dark          bool
}

// walk opens a page in every state that it has, and leaves the browser there for looks.
type walk struct {
	*browsertest.Tab
	h    *house
	link string
	name string
	// invited is what the link allows.
	invited enrolment.Link
}

// looks looks at the page as it is now: nothing is cut, too small or out of reach.
func (w *walk) looks(page string) {
	w.Axe()
	if w.name != "en" && w.name != "ar" { // the other languages differ in the length of their words only
		w.Look(320, 640, false)
		w.fits(page, "narrow")
		w.Look(390, 844, false)
		return
	}
	for _, l := range []look{{"phone-dark", 390, 844, true}, {"narrow", 320, 640, false}, {"desktop-light", 1280, 800, false}, {"phone-light", 390, 844, false}} {
		w.Look(l.width, l.height, l.dark)
		w.fits(page, l.name)
		w.Shoot(w.name + "-" + page + "-" + l.name)
		if l.dark {
			w.Axe()
		}
	}
}

// fits asserts that nothing is cut or too small to be touched.
func (w *walk) fits(page, screen string) {
	wide := w.JS(`document.documentElement.scrollWidth <= document.documentElement.clientWidth`)
	require.Equal(w.h.t, "true", wide, "%s %s %s scrolls sideways", w.name, page, screen)
	small := w.JS(`[...document.querySelectorAll("button, input:not([type=hidden]), .button, .offers a")]
		.filter(e => e.checkVisibility() && e.getBoundingClientRect().height < 44).map(e => e.outerHTML).join()`)
	require.Empty(w.h.t, small, "%s %s %s", w.name, page, screen)
}

func TestEveryPageFitsItsScreensInEveryLanguage(t *testing.T) {
	t.Parallel()
	h := open(t)
	h.still.Store(true) // looked at for longer than a page waits
	b := browsertest.Start(t)
	for _, lang := range []string{"en", "de", "es", "fr", "pt", "hi", "ar"} {
		t.Run(lang, func(t *testing.T) {
			h.t = t
			u := h.user()
			link, invited := h.invite(u, func(l *enrolment.Link) {
				l.Brand, l.Locale, l.ReturnTo = "Sparkasse Musterstadt-Umland", lang, "https://example.com/settings/security"
			})
			w := &walk{b.Tab(t).Person().NoScripts(), h, link, lang, invited}
			w.Look(390, 844, false)
			w.through(u, h.phone)
			w.Silent()
		})
	}
}

// through goes through all pages of one person.
func (w *walk) through(u device.User, register func(u device.User, number, name string) device.Device) {
	w.Expect("status of 4")
	number := "+1415555" + strings.Repeat("0", 2)
	w.Open(w.link)
	w.looks("list-empty")
	elsewhere := w.h.browser(w.link)
	begun := elsewhere.send(elsewhere.open("/add/totp"))
	w.Open(begun.url.String())
	w.looks("begun-elsewhere")
	w.Follow("button.main")
	w.Follow("button.main")
	early := w.JS(`location.href`)
	w.Open(w.link)
	w.Follow(`a[href$="add/phone"]`)
	w.looks("add-phone")
	w.Type("#address", "0415")
	w.Follow(`button[value="text"]`)
	w.Holds(`document.activeElement.getAttribute("role") === "alert"`) // what is wrong is read first
	w.looks("add-phone-wrong")
	w.Open(w.link + "/add/phone")
	to := number + map[string]string{"en": "01", "de": "02", "es": "03", "fr": "04", "pt": "05", "hi": "06", "ar": "07"}[w.name]
	w.Type("#address", to)
	w.Follow(`button[value="call"]`)
	w.looks("call")
	w.Follow(`a[href*="still="]`)
	w.looks("call-still")
	w.Open(w.link + "/add/phone")
	w.Type("#address", to)
	w.Follow(`button[value="text"]`)
	w.looks("code")
	w.Click("summary")
	w.Type("#code", wrong(w.h.code()))
	w.Follow(`button[value="prove"]`)
	w.looks("code-wrong")
	w.Type("#code", w.h.code())
	w.Follow(`button[value="prove"]`)
	w.looks("list-added")
	w.Open(early)
	w.looks("overtaken")
	w.Open(w.link + "/add/totp")
	w.looks("add-totp")
	w.Follow("button.main")
	w.looks("secret")
	w.Open(w.link + "/add/push")
	w.Follow("button.main")
	w.looks("join")
	first := w.h.has(u)[0]
	w.Open(w.link + "/devices/" + first.ID + "/rename")
	w.looks("rename")
	w.Open(w.link + "/devices/" + first.ID + "/remove")
	w.looks("remove")
	second := register(u, to+"0", "A second phone with a name that is longer than most people would ever choose for it")
	w.Open(w.link)
	w.looks("list")
	w.h.clock.Forward(10 * time.Minute)
	w.Open(w.link + "/devices/" + second.ID + "/default")
	w.looks("proof")
	_, err := w.h.links.Change(w.h.t.Context(), w.invited, func(l *enrolment.Link) error {
		l.Asked = make([]enrolment.Asking, 5)
		return nil
	})
	require.NoError(w.h.t, err)
	w.Follow(`button[value="` + second.ID + ` sms"]`)
	if w.name == "en" {
		w.Sees(".fault", "No more messages are sent with this link.")
	}
	w.looks("proof-asked")
	w.Open(w.link + "/proof?way=recovery")
	w.looks("recover")
	w.Open(w.link + "/done")
	w.looks("done")
	w.Open(w.link + "/devices/none")
	w.looks("gone")
	for _, d := range w.h.has(u) {
		require.NoError(w.h.t, w.h.users.DeleteDevice(w.h.t.Context(), shop, d.ID))
	}
	w.Open(w.link + "/add/phone")
	w.looks("nothing-left")
	w.Open(w.link[:len(w.link)-1])
	w.looks("unknown")
}
