package authenticator_test

import (
	"testing"

	"github.com/chromedp/cdproto/page"

	"github.com/assent-io/assent/services/internal/browsertest"
)

// A first visit does not wait for what is kept. What is kept all the same comes up by itself.
func TestAccountsAreThereAlsoWhereTheirMarkIsNot(t *testing.T) {
	t.Parallel()
	s, _, p := open(t)
	p.JS(`localStorage.clear()`)
	p.Reload()
	p.Sees("h1", "No requests right now.")
	s.asks(ana)
	p.Sees("h1", "Is this you?")
	p.Silent()
}

// A link may be followed while the page is still opening.
func TestAJoinCodeThatComesWhileThePageOpensIsTaken(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := browsertest.Start(t).Tab(t).Speaks("en-GB")
	code := s.invites("Example Bank", ana)
	// As soon as there is a view, and before what is kept was read.
	browsertest.Call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `new MutationObserver((_, all) => { if (document.getElementById("code")) { all.disconnect(); location.hash = "join=` + code + `" } })
			.observe(document, { childList: true, subtree: true })
			const open = indexedDB.open.bind(indexedDB)
			indexedDB.open = (...all) => {
				const request = open(...all)
				let told
				Object.defineProperty(request, "onsuccess", { set(f) { told = f } })
				request.addEventListener("success", (e) => setTimeout(() => told(e), 500))
				return request
			}`,
	})
	p.Open(s.page(""))
	p.Holds(`document.getElementById("code")?.value === "` + code + `"`)
	p.Silent()
}

func TestALanguageThatWasChosenBeforeJoiningStays(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := browsertest.Start(t).Tab(t).Speaks("en-GB")
	p.Open(s.page(""))
	p.Sees("h1", "Join")
	p.JS(`(() => { const s = document.getElementById("language"); s.value = "de"; s.dispatchEvent(new Event("change")); return true })()`)
	p.Sees("h1", "Beitreten")
	p.Reload()
	p.Sees("h1", "Beitreten")
	p.Silent()
}

// As in the private windows of some browsers.
func TestABrowserThatKeepsNothingIsToldSo(t *testing.T) {
	t.Parallel()
	s := serve(t)
	p := browsertest.Start(t).Tab(t).Speaks("en-GB")
	browsertest.Call(p, page.AddScriptToEvaluateOnNewDocument, page.AddScriptToEvaluateOnNewDocumentParams{
		Source: `indexedDB.open = () => { throw new DOMException("not here", "InvalidStateError") }`,
	})
	p.Open(s.page(""))
	p.Sees(".warn", "This browser doesn't let the app keep a key. In a private window that is so; open the app in a normal one.")
	p.Axe()
	p.JS(`location.hash = "#settings"`)
	p.Sees(".warn", "This browser doesn't let the app keep a key.")
	p.Silent()
}
