package onelogin_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/httpapi/onelogin"
	"github.com/assent-io/assent/services/internal/storetest"
	"github.com/assent-io/assent/services/password"
	"github.com/assent-io/assent/services/store"
)

const shop = "shop"

// house is the door in front of real stores on a broker of its own.
type house struct {
	t             *testing.T
	door          *onelogin.Server
	clock         *storetest.Clock
	credentials   *store.Credentials
	users         *store.Users
	tickets       *store.Tickets
	guesses       *store.Guesses
	verifications *storetest.Recorder
	silence       *storetest.Silence
	enrolments    *enrolment.Enrolments
	people        atomic.Int64
}

func setup(t *testing.T, options ...func(*onelogin.Config)) *house {
	t.Helper()
	b := storetest.NewBroker(t)
	s := b.Stores(t)
	h := &house{t: t, clock: b.Clock, silence: s.Silence, guesses: s.Guesses, users: s.Users, tickets: s.Tickets, verifications: s.Verifications}
	var err error
	h.credentials, err = store.NewCredentials(t.Context(), b.JS, store.CredentialsConfig{Keys: b.Keys, Now: h.clock.Now})
	require.NoError(t, err)
	t.Cleanup(h.credentials.Close)
	h.enrolments = &enrolment.Enrolments{Users: h.users, Verifications: h.verifications, Tickets: h.tickets, Now: h.clock.Now}

	config := onelogin.Config{
		Credentials: h.credentials, Users: h.users, Enrolments: h.enrolments, Verifications: h.verifications,
		Tickets: h.tickets, Guesses: h.guesses, Passwords: password.New(2),
		PublicURL: func() string { return "https://assent.example" }, Now: h.clock.Now,
	}
	for _, o := range options {
		o(&config)
	}
	h.door = onelogin.New(config)
	return h
}

// user stores a person with a number and a mailbox of their own.
func (h *house) user(change ...func(*device.User)) device.User {
	h.t.Helper()
	n := h.people.Add(1)
	u := device.User{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: shop, CreatedAt: h.clock.Now(),
		Username: fmt.Sprintf("ana%d", n), Email: fmt.Sprintf("ana%d@example.com", n), Phone: fmt.Sprintf("+1415555%04d", 100+n),
	}
	for _, c := range change {
		c(&u)
	}
	u, err := h.users.CreateUser(h.t.Context(), u)
	require.NoError(h.t, err)
	return u
}

// client is a caller with a token.
type client struct {
	h      *house
	token  string
	secret string
	credential.Credential
}

// client makes a credential of the shop that may do everything, unless change says otherwise.
func (h *house) client(change ...func(*credential.Credential)) *client {
	h.t.Helper()
	cred := credential.Credential{
		ClientID: "client-" + uuid.NewString()[:8], Account: shop, Scope: credential.ManageAll,
		Compat: credential.CompatDefault, CreatedAt: h.clock.Now(),
	}
	for _, c := range change {
		c(&cred)
	}
	secret, err := h.credentials.CreateCredential(h.t.Context(), cred)
	require.NoError(h.t, err)
	token, err := h.credentials.Issue(h.t.Context(), cred)
	require.NoError(h.t, err)
	return &client{h: h, token: token.Access, secret: secret, Credential: cred}
}

func compat(c credential.Compat) func(*credential.Credential) {
	return func(cred *credential.Credential) { cred.Compat = c }
}

func scope(s credential.Scope) func(*credential.Credential) {
	return func(cred *credential.Credential) { cred.Scope = s }
}

func numericIDs(cred *credential.Credential) { cred.NumericIDs = true }

func account(name string) func(*credential.Credential) {
	return func(cred *credential.Credential) { cred.Account = name }
}

// answer is a response with its body read.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// do sends JSON: body is marshalled, but for a string, which is sent as it is; nil is no body.
func (c *client) do(method, path string, body any) answer {
	c.h.t.Helper()
	return c.h.send(c.request(method, path, body))
}

func (c *client) request(method, path string, body any) *http.Request {
	c.h.t.Helper()
	r := jsonRequest(c.h.t, method, path, body)
	r.Header.Set("Authorization", "bearer: "+c.token)
	return r
}

func (c *client) get(path string) answer {
	c.h.t.Helper()
	return c.do(http.MethodGet, path, nil)
}

func (c *client) post(path string, body any) answer {
	c.h.t.Helper()
	return c.do(http.MethodPost, path, body)
}

func (c *client) put(path string, body any) answer {
	c.h.t.Helper()
	return c.do(http.MethodPut, path, body)
}

func (c *client) delete(path string) answer {
	c.h.t.Helper()
	return c.do(http.MethodDelete, path, nil)
}

func jsonRequest(t *testing.T, method, path string, body any) *http.Request {
	t.Helper()
	var sent io.Reader = http.NoBody
	switch b := body.(type) {
	case nil:
	case string:
		sent = strings.NewReader(b)
	default:
		data, err := json.Marshal(b)
		require.NoError(t, err)
		sent = bytes.NewReader(data)
	}
	r := httptest.NewRequestWithContext(t.Context(), method, path, sent)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	return r
}

func (h *house) send(r *http.Request) answer {
	h.t.Helper()
	w := httptest.NewRecorder()
	h.door.ServeHTTP(w, r)
	response := w.Result()
	body, err := io.ReadAll(response.Body)
	require.NoError(h.t, err)
	require.NoError(h.t, response.Body.Close())
	return answer{h.t, response.StatusCode, response.Header, body}
}

// is checks the status and returns the answer.
func (a answer) is(status int) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.status, "body: %s", a.body)
	return a
}

func (a answer) json(into any) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal(a.body, into), "body: %s", a.body)
}

// object is the body as an object, or the only object of a list.
func (a answer) object() map[string]any {
	a.t.Helper()
	if bytes.HasPrefix(a.body, []byte("[")) {
		list := a.list()
		require.Len(a.t, list, 1)
		return list[0]
	}
	var o map[string]any
	a.json(&o)
	return o
}

func (a answer) list() []map[string]any {
	a.t.Helper()
	var l []map[string]any
	a.json(&l)
	return l
}

// data is what an answer of version 1 holds in its envelope.
func (a answer) data() map[string]any {
	a.t.Helper()
	switch d := a.object()["data"].(type) {
	case map[string]any:
		return d
	case []any:
		require.Len(a.t, d, 1)
		return d[0].(map[string]any)
	default:
		require.Fail(a.t, "no data", "body: %s", a.body)
		return nil
	}
}

// refused checks the envelope of MFA in version 2 and returns its parameters.
func (a answer) refused(status int, parameters ...string) {
	a.t.Helper()
	var body struct {
		StatusCode int    `json:"statusCode"`
		Name       string `json:"name"`
		Message    string `json:"message"`
		Details    struct {
			Parameters []struct {
				Name    string `json:"name"`
				Message string `json:"message"`
			} `json:"parameters"`
		} `json:"details"`
	}
	a.is(status).json(&body)
	require.Equal(a.t, status, body.StatusCode)
	require.NotEmpty(a.t, body.Name)
	require.NotEmpty(a.t, body.Message)
	var names []string
	for _, p := range body.Details.Parameters {
		require.NotEmpty(a.t, p.Message)
		names = append(names, p.Name)
	}
	require.Equal(a.t, parameters, names, "body: %s", a.body)
}

// refusedV1 checks the envelope of version 1 and returns its message.
func (a answer) refusedV1(status int) string {
	a.t.Helper()
	var body struct {
		Status struct {
			Error   bool   `json:"error"`
			Code    int    `json:"code"`
			Type    string `json:"type"`
			Message string `json:"message"`
		} `json:"status"`
	}
	a.is(status).json(&body)
	require.True(a.t, body.Status.Error)
	require.Equal(a.t, status, body.Status.Code)
	require.NotEmpty(a.t, body.Status.Type)
	return body.Status.Message
}
