package reference_test

import (
	"net/http/httptest"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi/reference"
	"github.com/assent-io/assent/services/internal/browsertest"
)

func TestARealBrowser(t *testing.T) {
	t.Parallel()
	p := browsertest.Start(t).Tab(t)
	var server *httptest.Server
	h, err := reference.New(read(t, "../../../api/openapi.yaml"), reference.Config{PublicURL: func() string { return server.URL }})
	require.NoError(t, err)
	server = httptest.NewServer(h)
	t.Cleanup(server.Close)

	for _, screen := range []struct {
		name          string
		width, height int64
		dark          bool
	}{
		{"phone-light", 390, 844, false},
		{"phone-dark", 390, 844, true},
		{"desktop-dark", 1280, 800, true},
		{"desktop-light", 1280, 800, false},
	} {
		p.Look(screen.width, screen.height, screen.dark)
		for _, anchor := range []string{"top", "createVerification", "problems"} {
			p.Open(server.URL + "/docs#" + anchor)
			wide := browsertest.Ask(p, chromedp.Evaluate[int64](`document.documentElement.scrollWidth`))
			require.LessOrEqual(t, wide, screen.width, "%s scrolls sideways", screen.name)
			p.Shoot(anchor + "-" + screen.name)
		}
		p.Axe()
	}

	articles := `document.querySelectorAll("article:not([hidden])").length`
	all := p.JS(articles)
	p.Press("/")
	require.Equal(t, "find", p.JS(`document.activeElement.id`), "/ goes to the filter")
	// Simulated keys send the character apart from the key, so that it arrives in spite of the page.
	p.JS(`document.getElementById("find").value = ""`)
	p.Press("resend")
	require.Equal(t, "1", p.JS(articles))
	require.Equal(t, "1 operation matches.", p.JS(`document.getElementById("said").textContent`))
	p.Press("Escape")
	require.Equal(t, all, p.JS(articles))

	p.Click("#createVerification .code button")
	p.Holds(`document.getElementById("said").textContent !== ""`)

	p.Open(server.URL + "/docs#createVerification-201-status")
	p.Sees(`[id="createVerification-201-status"]`, "status")
	p.Silent()
}
