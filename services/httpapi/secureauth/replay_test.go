package secureauth_test

import (
	"bytes"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// again is the same request once more, as somebody on the way saw it.
func again(t *testing.T, r *http.Request) *http.Request {
	t.Helper()
	body, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	r.Body = io.NopCloser(bytes.NewReader(body))
	copied := httptest.NewRequestWithContext(t.Context(), r.Method, r.RequestURI, bytes.NewReader(body))
	copied.Header = r.Header.Clone()
	return copied
}

const usedBefore = "This signature was used before. Sign every request anew, with a date of its own."

func TestASignedChangeCountsOnceInAllProcesses(t *testing.T) {
	t.Parallel()
	one := setup(t)
	two := one.process()
	c := one.client()
	for _, method := range []string{http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete} {
		first := c.request(method, "/api/v1/none", "{}")
		second, third := again(t, first), again(t, first)
		c.send(first).is(http.StatusNotFound)
		c.send(second).says(http.StatusUnauthorized, "invalid", usedBefore).only("status", "message")
		c.of(two).send(third).says(http.StatusUnauthorized, "invalid", usedBefore)
		c.do(method, "/api/v1/none", "{}").is(http.StatusNotFound) // signed anew
	}
}

func TestOneOfManyCopiesOfASignedChangeIsHeard(t *testing.T) {
	t.Parallel()
	one := setup(t)
	two := one.process()
	c := one.client()
	r := c.request(http.MethodPost, "/api/v1/none", "{}")
	var heard atomic.Int64
	var wg sync.WaitGroup
	for i := range 16 {
		copied, at := again(t, r), c.of([]*house{one, two}[i%2])
		wg.Go(func() {
			w := httptest.NewRecorder()
			at.h.door.ServeHTTP(w, copied)
			if w.Code == http.StatusNotFound {
				heard.Add(1)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 1, heard.Load())
}

func TestAskingAgainIsNoReplay(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	r := c.request(http.MethodGet, "/api/v1/none", nil)
	for range 3 {
		c.send(again(t, r)).is(http.StatusNotFound)
	}
}

func TestACopyThatWasChangedOrRefusedTakesNothingAway(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := saDate(h.client())
	good := c.request(http.MethodPost, "/api/v1/none", "{}")
	forged := again(t, good)
	forged.Body = io.NopCloser(strings.NewReader(`{"x":1}`))
	c.send(forged).says(http.StatusUnauthorized, "invalid", "Invalid credentials.")
	copied, later := again(t, good), again(t, good)
	c.send(good).is(http.StatusNotFound)
	c.send(copied).says(http.StatusUnauthorized, "invalid", usedBefore)
	// A date that is a second later is right too, and the signature still the same.
	at, err := time.Parse(seconds, later.Header.Get("X-Sa-Date"))
	require.NoError(t, err)
	later.Header.Set("X-Sa-Date", at.Add(time.Second).Format(seconds))
	c.send(later).says(http.StatusUnauthorized, "invalid", usedBefore)
}

func TestAReplayIsRefusedUntilItsDateIs(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	c.at = func() time.Time { return h.clock.Now().Add(299 * time.Second).UTC() } // as far ahead as may be
	r := c.request(http.MethodPost, "/api/v1/none", "{}")
	copied, late := again(t, r), again(t, r)
	c.send(r).is(http.StatusNotFound)
	h.clock.Forward(590 * time.Second)
	c.send(copied).says(http.StatusUnauthorized, "invalid", usedBefore)
	h.clock.Forward(20 * time.Second)
	require.Contains(t, c.send(late).is(http.StatusUnauthorized).text("message"), "off the clock of the server")
}
