package webpush_test

import (
	"net/http"
	"net/http/httptest"
	"path"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/webpush"
	"github.com/assent-io/assent/workers/routing"
)

// Whoever has one device chooses where its messages go. All push services share one circuit.
func TestNoSubscriptionStopsTheOthers(t *testing.T) {
	t.Parallel()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		status, err := strconv.Atoi(path.Base(r.URL.Path))
		if err != nil {
			status = http.StatusNotImplemented
		}
		w.WriteHeader(status)
	}))
	t.Cleanup(srv.Close)
	anywhere, browsers, public := local(), local(), local()
	anywhere.Hosts, browsers.Hosts = []string{"*"}, nil
	public.AllowPrivate = false

	rules, faults := routing.ParseRules(nil, []string{"webpush"}, false)
	require.Empty(t, faults)
	for name, c := range map[string]struct {
		cfg      webpush.Config
		endpoint string
		opens    bool
	}{
		"a request that it does not take":  {local(), srv.URL + "/400", false},
		"another key, as Mozilla tells it": {local(), srv.URL + "/401", false},
		"another key, as Google tells it":  {local(), srv.URL + "/403", false},
		"a place that sends elsewhere":     {local(), srv.URL + "/307", false},
		"an end":                           {local(), srv.URL + "/410", false},
		"a port where nobody answers":      {browsers, "https://fcm.googleapis.com:444/x", false},
		"a name that is none":              {anywhere, nowhere, false},
		"a private address":                {public, srv.URL + "/201", false},
		"a push service that fails":        {local(), srv.URL + "/500", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			g := gateway(t, c.cfg)
			table := routing.New(routing.Config{
				Channel: events.Push, Providers: []routing.Provider{{Name: "webpush"}}, Rules: rules,
				Patience: routing.NewPatience(events.Push, time.Now), Now: time.Now,
			})
			admit := func() func(error) {
				done, _ := table.Candidates(delivery.Message{}, nil)[0].Admit(t.Context(), 0)
				return done
			}
			for range 5 { // in a row they open the circuit
				done := admit()
				require.NotNil(t, done)
				_, err := g.SendPush(t.Context(), message(c.endpoint))
				require.Error(t, err)
				done(err)
			}
			require.Equal(t, c.opens, admit() == nil)
		})
	}
}
