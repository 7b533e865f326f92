package fcm_test

import (
	"context"
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/fcm"
	"github.com/assent-io/assent/workers/provider/providertest"
)

// serviceAccount is a key file whose tokens come from tokenURL.
func serviceAccount(t *testing.T, tokenURL string) string {
	t.Helper()
	key, err := rsa.GenerateKey(rand.Reader, 2048)
	require.NoError(t, err)
	der, err := x509.MarshalPKCS8PrivateKey(key)
	require.NoError(t, err)
	text, err := json.Marshal(map[string]string{
		"type": "service_account", "project_id": "from-the-file",
		"private_key_id": "1", "private_key": string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"client_email": "push@example.iam.gserviceaccount.com", "token_uri": tokenURL,
	})
	require.NoError(t, err)
	return string(text)
}

// tokenEndpoint answers every fetch of a token with answer.
func tokenEndpoint(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		assert.NoError(t, err)
		w.Header().Set("Content-Type", "application/json")
		answer(w, r)
	}))
	t.Cleanup(srv.Close)
	return srv.URL
}

func TestAServiceAccountFetchesOneTokenForAll(t *testing.T) {
	t.Parallel()
	var fetched atomic.Int64
	tokenURL := tokenEndpoint(t, func(w http.ResponseWriter, _ *http.Request) {
		fetched.Add(1)
		_, _ = io.WriteString(w, `{"access_token":"fresh","token_type":"Bearer","expires_in":3600}`)
	})
	base := project(t, func(r received) {
		assert.Equal(t, "Bearer fresh", r.authorization)
		assert.Equal(t, "/v1/projects/from-the-file/messages:send", r.path)
	})
	file := filepath.Join(t.TempDir(), "account.json")
	require.NoError(t, os.WriteFile(file, []byte(serviceAccount(t, tokenURL)), 0o600))
	g := gateway(t, fcm.Config{BaseURL: base, CredentialsFile: file})

	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			_, err := g.SendPush(t.Context(), message())
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	assert.Equal(t, int64(1), fetched.Load())
}

func TestARefusedTokenIsTheOperatorsToMendAndAnOutageIsNot(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		status int
		body   string
		class  delivery.Class
	}{
		"the account was deleted": {400, `{"error":"invalid_grant","error_description":"Invalid grant: account not found push@example.iam.gserviceaccount.com"}`, delivery.ClassMisconfigured},
		"Google is down":          {503, `<html>`, delivery.ClassTransient},
		"Google throttles":        {429, `{}`, delivery.ClassTransient},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			tokenURL := tokenEndpoint(t, func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tc.status)
				_, _ = io.WriteString(w, tc.body)
			})
			base := project(t, func(received) { t.Error("a message was sent without a token") })
			g := gateway(t, fcm.Config{BaseURL: base, Credentials: serviceAccount(t, tokenURL)})
			_, err := g.SendPush(t.Context(), message())
			require.Error(t, err)
			assert.Equal(t, tc.class, delivery.ClassOf(err), "class of: %v", err)
			providertest.LeaksNothing(t, err, "push@example.iam.gserviceaccount.com", device)
		})
	}
}

// The fetch of a token knows no context: a call must return with its own all the same.
func TestAHangingTokenEndpointHoldsNoCallBeyondItsContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	release := make(chan struct{})
	tokenURL := tokenEndpoint(t, func(http.ResponseWriter, *http.Request) {
		cancel()
		<-release
	})
	defer close(release)
	base := project(t, func(received) { t.Error("a message was sent without a token") })
	g := gateway(t, fcm.Config{BaseURL: base, Credentials: serviceAccount(t, tokenURL)})
	_, err := g.SendPush(ctx, message())
	require.ErrorIs(t, err, context.Canceled)
	assert.Equal(t, delivery.ClassTransient, delivery.ClassOf(err), "nothing was sent")
}

func TestCredentialsThatCannotSignStopTheStart(t *testing.T) {
	t.Parallel()
	for name, text := range map[string]string{
		"not JSON":           "hello",
		"another type":       `{"type":"authorized_user","client_id":"1","client_secret":"shh-secret","refresh_token":"r"}`,
		"no private key":     `{"type":"service_account","project_id":"p","client_email":"a@b"}`,
		"a broken key":       `{"type":"service_account","project_id":"p","private_key":"-----BEGIN PRIVATE KEY-----\nc2hoLXNlY3JldA==\n-----END PRIVATE KEY-----\n"}`,
		"no type whatsoever": `{"private_key":"shh-secret"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := fcm.New(t.Context(), fcm.Config{Credentials: text}, fcm.NewHTTPClient())
			require.ErrorContains(t, err, "configure fcm: credentials:")
			providertest.LeaksNothing(t, err, "shh-secret", "c2hoLXNlY3JldA")
		})
	}
	_, err := fcm.New(t.Context(), fcm.Config{CredentialsFile: filepath.Join(t.TempDir(), "missing.json")}, fcm.NewHTTPClient())
	require.ErrorIs(t, err, os.ErrNotExist)
}

func TestAConfigurationNamesAllItsFaults(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg  fcm.Config
		keys []string
	}{
		"nothing set":          {fcm.Config{}, []string{"credentials_file: missing"}},
		"two kinds at once":    {fcm.Config{BaseURL: "http://x", ProjectID: "p", Token: "t", Credentials: "{}"}, []string{"credentials_file: set one"}},
		"a token for Google":   {fcm.Config{ProjectID: "p", Token: "t"}, []string{"token:"}},
		"a token, no project":  {fcm.Config{BaseURL: "http://x", Token: "t"}, []string{"project_id: missing"}},
		"a relative URL first": {fcm.Config{BaseURL: "x"}, []string{"base_url:", "credentials_file: missing"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := fcm.New(t.Context(), tc.cfg, fcm.NewHTTPClient())
			for _, key := range tc.keys {
				require.ErrorContains(t, err, key)
			}
			assert.Len(t, tc.cfg.Validate(), len(tc.keys))
		})
	}
	assert.Empty(t, standIn("http://127.0.0.1:1/sandbox/fcm").Validate())
}
