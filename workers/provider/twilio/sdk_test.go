package twilio_test

import (
	"context"
	"go/parser"
	gotoken "go/token"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/providertest"
)

// The tests of this file are about what the SDK does wrong by itself. That it takes no
// context, decodes a proxy's page as JSON and may send twice is in the suite's cases.

func TestManyRefusalsShareAConnection(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusTooManyRequests, providertest.Body(t, "429_too_many_requests.json"))
	g := gateway(t, config(c.URL))
	for range 20 {
		_, err := g.SendSMS(t.Context(), text())
		require.Equal(t, delivery.ClassRetryAfter, delivery.ClassOf(err))
	}
	require.Len(t, c.requests(), 20)
	require.LessOrEqual(t, c.connections(), 2, "bodies of refusals are read and closed")
}

func TestManyCallersShareConnections(t *testing.T) {
	t.Parallel()
	const callers, each = 64, 10
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_message.json"))
	g := gateway(t, config(c.URL))
	var wg sync.WaitGroup
	for range callers {
		wg.Go(func() {
			for range each {
				_, err := g.SendSMS(t.Context(), text())
				assert.NoError(t, err)
			}
		})
	}
	wg.Wait()
	require.Len(t, c.requests(), callers*each)
	require.LessOrEqual(t, c.connections(), 2*callers, "connections are kept between calls")
}

func TestParallelMessagesKeepTheirOwnContextAndContent(t *testing.T) {
	t.Parallel()
	c := newCarrierFunc(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(`{"sid": "SM` + strings.TrimPrefix(r.PostForm.Get("To"), "+") + `"}`))
	})
	g := gateway(t, config(c.URL))
	var wg sync.WaitGroup
	for i := range 200 {
		wg.Go(func() {
			number := strconv.Itoa(14155550000 + i)
			ctx, cancel := context.WithCancel(t.Context())
			defer cancel()
			if i%2 == 1 {
				cancel() // must end this call and no other
			}
			m := text()
			m.To, m.Body = delivery.Address("+"+number), delivery.Code("for "+number)
			r, err := g.SendSMS(ctx, m)
			if i%2 == 1 {
				assert.ErrorIs(t, err, context.Canceled)
				return
			}
			assert.NoError(t, err)
			assert.Equal(t, "SM"+number, r.ID)
		})
	}
	wg.Wait()
	require.Len(t, c.requests(), 100)
	for _, r := range c.requests() {
		require.Equal(t, "for "+strings.TrimPrefix(r.form.Get("To"), "+"), r.form.Get("Body"))
	}
}

func TestATokenMayHavePunctuation(t *testing.T) {
	t.Parallel()
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_message.json"))
	cfg := config(c.URL)
	cfg.AuthToken = "stub_token-1.0"
	_, err := gateway(t, cfg).SendSMS(t.Context(), text())
	require.NoError(t, err, "the SDK alone refuses such a token before it calls")
	_, pass, _ := c.requests()[0].BasicAuth()
	require.Equal(t, "stub_token-1.0", pass)
}

func TestTheEnvironmentDoesNotMoveTheHost(t *testing.T) {
	t.Setenv("TWILIO_EDGE", "sydney")
	t.Setenv("TWILIO_REGION", "au1")
	c := newCarrier(t, http.StatusCreated, providertest.Body(t, "201_message.json"))
	_, err := gateway(t, config(c.URL)).SendSMS(t.Context(), text())
	require.NoError(t, err)
	require.Equal(t, strings.TrimPrefix(c.URL, "http://"), c.requests()[0].Host)
}

func TestOnlyTheSmallPackagesOfTheSDKAreImported(t *testing.T) {
	t.Parallel()
	files, err := filepath.Glob("*.go")
	require.NoError(t, err)
	seen := map[string]bool{}
	for _, name := range files {
		f, err := parser.ParseFile(gotoken.NewFileSet(), name, nil, parser.ImportsOnly)
		require.NoError(t, err)
		for _, spec := range f.Imports {
			if path, ok := strings.CutPrefix(spec.Path.Value, `"github.com/twilio/twilio-go`); ok {
				seen[strings.TrimSuffix(path, `"`)] = true
			}
		}
	}
	require.Equal(t, map[string]bool{"/client": true, "/rest/api/v2010": true}, seen,
		"the root package brings every product of Twilio into the build")
}
