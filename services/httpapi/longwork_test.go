package httpapi_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/template"
)

// slow is a broker that answers nobody until it is let go.
type slow chan struct{}

// Stores under names that none of their methods has.
type (
	people = httpapi.Users
	papers = httpapi.Templates
	quiet  = httpapi.Suppressions
)

type slowUsers struct {
	people
	slow
}

func (s slowUsers) User(ctx context.Context, account, id string) (device.User, error) {
	<-s.slow
	return s.people.User(ctx, account, id)
}

func (s slowUsers) Device(ctx context.Context, account, id string) (device.Device, error) {
	<-s.slow
	return s.people.Device(ctx, account, id)
}

type slowTemplates struct {
	papers
	slow
}

func (s slowTemplates) Open(ctx context.Context, account, name string, version int) (*template.Compiled, error) {
	<-s.slow
	return s.papers.Open(ctx, account, name, version)
}

type slowCredentials struct {
	httpapi.Credentials
	slow
}

func (s slowCredentials) Credential(ctx context.Context, account, clientID string) (credential.Credential, error) {
	<-s.slow
	return s.Credentials.Credential(ctx, account, clientID)
}

type slowList struct{ slow }

func (s slowList) Suppressed(_ context.Context, _, _, destination string, _ events.Lane) (string, bool, error) {
	if destination == "sms:+14155550188" {
		<-s.slow
	}
	return "", false, nil
}

// counted takes lists, and keeps nothing of them.
type counted struct{ quiet }

func (counted) ImportSuppressions(_ context.Context, entries []suppression.Entry) (int, error) {
	return len(entries), nil
}

// TestWhoWaitsForTheBrokerDoesNotHoldTheTurn: as many large requests as may be read at once, and more, wait for
// the broker; one that asks it for nothing is read meanwhile.
func TestWhoWaitsForTheBrokerDoesNotHoldTheTurn(t *testing.T) {
	t.Parallel()
	large := strings.Repeat(" ", 8<<10)
	for name, c := range map[string]struct{ path, body string }{
		"users":        {"/v1/notifications", `{"text":"x","recipients":[{"to":"+14155550123"},{"user_id":"019aa5bf-11aa-7b6e-9d3c-2e4f60718293"}]}`},
		"devices":      {"/v1/notifications", `{"text":"x","recipients":[{"to":"+14155550123"},{"device_id":"019aa5bf-11aa-7b6e-9d3c-2e4f60718293"}]}`},
		"templates":    {"/v1/notifications", `{"template":"parcel","to":"+14155550123","variables":{"name":"Ana"}}`},
		"suppressions": {"/v1/notifications", `{"text":"x","to":"+14155550188"}`},
		"credentials":  {suppressions + "/import", `[{"to":"+14155550123","scope":"credential","client_id":"shop"}]`},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			broker := make(slow)
			inBubble(t, func(t *testing.T, b *bench) {
				waiting := runtime.GOMAXPROCS(0)
				statuses := make(chan int, waiting)
				for range waiting {
					go func() {
						w := httptest.NewRecorder()
						b.server.ServeHTTP(w, call{method: http.MethodPost, path: c.path, body: c.body + large}.request(t.Context()))
						statuses <- w.Code
					}()
				}
				synctest.Wait()
				require.Equal(t, http.StatusAccepted, b.post("/v1/notifications", toOne+large).StatusCode)
				close(broker)
				for range waiting {
					require.Less(t, <-statuses, 300)
				}
			}, equipped, func(config *httpapi.Config) {
				broker = make(slow) // of the bubble
				config.Users = slowUsers{config.Users, broker}
				config.Credentials = slowCredentials{config.Credentials, broker}
				config.Templates = slowTemplates{config.Templates, broker}
				config.Listed = slowList{broker}
				config.Suppressions = counted{}
			})
		})
	}
}
