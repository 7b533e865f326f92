package httpapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/verification"
)

func TestUnknownPathsAndMethodsAreProblems(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/", "/v1", "/v2/verifications", "/v1/verifications/x/y", "/l/token", "/callbacks/x", "/v1/users/x/"} {
		p := b.get(path).problem(t)
		require.Equal(t, api.ProblemCodeNotFound, p.Code, path)
		require.Equal(t, "/problems/not_found", p.Type)
	}
	for path, allow := range map[string]string{
		"/v1/verifications": "POST", "/v1/verifications/x": "GET, HEAD", "/v1/users/x": "DELETE, GET, HEAD", "/v1/credentials/x": "DELETE, GET, HEAD, PATCH",
	} {
		a := b.do(call{method: http.MethodPut, path: path})
		require.Equal(t, api.ProblemCodeMethodNotAllowed, a.problem(t).Code, path)
		require.Equal(t, allow, a.Header.Get("Allow"))
	}
	require.NotContains(t, b.log.String(), "/l/token")
}

func TestABodyThatIsNoJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for name, body := range map[string]string{
		"only spaces": "  ", "half an object": `{"to":`, "words": `hello`, "trailing data": smsCode + `{}`, "trailing words": smsCode + ` x`,
		"a byte order mark": "\ufeff" + smsCode, "broken UTF-8": "{\"to\":\"\xff\"}", "a trailing comma": `{"to":"x",}`,
		"a field twice": `{"to":"x","to":"y"}`, "a nested field twice": `{"context":{"ip":"a","ip":"b"}}`,
		"a field twice, once escaped": `{"to":"x","t\u006f":"y"}`, "a raw line break": "{\"to\":\"a\nb\"}",
	} {
		p := b.post("/v1/verifications", body).problem(t)
		require.Equal(t, api.ProblemCodeMalformedJSON, p.Code, name)
		require.Equal(t, http.StatusBadRequest, p.Status, name)
	}
	require.Contains(t, b.post("/v1/verifications", smsCode+`{}`).problem(t).Detail, "ends at byte 37")
	require.Equal(t, http.StatusBadRequest, b.do(call{
		method: http.MethodPost, path: "/v1/verifications", header: map[string]string{"Content-Type": "application/json"},
	}).problem(t).Status, "no body at all")
	require.Zero(t, b.store.count())
}

func TestABodyThatIsTooLarge(t *testing.T) {
	t.Parallel()
	b := setup(t)
	body := `{"to":"` + strings.Repeat("x", 64<<10) + `"}`
	for _, length := range []int64{int64(len(body)), -1} { // announced, and not
		r := call{method: http.MethodPost, path: "/v1/verifications", body: body}.request(t.Context())
		r.ContentLength = length
		p := b.send(r).problem(t)
		require.Equal(t, api.ProblemCodeBodyTooLarge, p.Code)
		require.Equal(t, http.StatusRequestEntityTooLarge, p.Status)
	}
	fits := smsCode + strings.Repeat(" ", 64<<10-len(smsCode))
	require.Equal(t, http.StatusCreated, b.post("/v1/verifications", fits).StatusCode)
}

func TestABodyThatIsNotDeclaredAsJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, header := range []map[string]string{
		{"Content-Type": ""},
		{"Content-Type": "application/x-www-form-urlencoded"},
		{"Content-Type": "text/json"},
		{"Content-Type": "application/json; charset=latin1"},
		{"Content-Type": "application/json; charset"},
		{"Content-Encoding": "gzip"},
	} {
		a := b.do(call{method: http.MethodPost, path: "/v1/verifications", body: smsCode, header: header})
		require.Equal(t, api.ProblemCodeUnsupportedMediaType, a.problem(t).Code, "%v", header)
		require.Equal(t, "application/json", a.Header.Get("Accept"))
	}
	for _, header := range []map[string]string{
		{"Content-Type": "application/json; charset=UTF-8"}, {"Content-Type": "Application/JSON"}, {"Content-Encoding": "identity"},
	} {
		require.Equal(t, http.StatusCreated, b.do(call{method: http.MethodPost, path: "/v1/verifications", body: smsCode, header: header}).StatusCode, "%v", header)
	}
}

func TestStoresThatFail(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		err    error
		status int
		code   api.ProblemCode
	}{
		"away":     {fmt.Errorf("publish: %w", verification.ErrUnavailable), 503, api.ProblemCodeUnavailable},
		"too slow": {fmt.Errorf("publish: %w", context.DeadlineExceeded), 503, api.ProblemCodeUnavailable},
		"broken":   {errors.New("secret detail 123456"), 500, api.ProblemCodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			header := map[string]string{"Authorization": "Bearer " + shopToken}
			b.store.fail(test.err)
			const id = "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90"
			for _, c := range []call{
				{method: http.MethodPost, path: "/v1/verifications", body: smsCode},
				{method: http.MethodPost, path: "/v1/verifications", body: `{"device_id":"` + id + `"}`},
				{method: http.MethodGet, path: "/v1/verifications/" + id},
				{method: http.MethodPost, path: "/v1/users", body: `{}`},
				{method: http.MethodGet, path: "/v1/users"},
				{method: http.MethodGet, path: "/v1/users/" + id},
				{method: http.MethodDelete, path: "/v1/users/" + id},
				{method: http.MethodGet, path: "/v1/users/" + id + "/devices"},
				{method: http.MethodDelete, path: "/v1/devices/" + id},
			} {
				c.header = header
				a := b.do(c)
				p := a.problem(t)
				require.Equal(t, test.status, p.Status, c.path)
				require.Equal(t, test.code, p.Code)
				require.NotContains(t, string(a.body), "secret detail")
				require.Equal(t, test.status == 503, a.Header.Get("Retry-After") == "1")
			}
			a := b.get("/v1/users") // the store of credentials fails too
			require.Equal(t, test.status, a.problem(t).Status)
		})
	}
}

func TestAPanicIsAProblemAndOneLogLine(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		value any
		logs  string
	}{
		"a fault of the program": {fault(), "divide by zero"},
		"anything else":          {"the code is 123456", "value of type string"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.store.panics = test.value
			p := b.get("/v1/verifications/019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90").problem(t)
			require.Equal(t, http.StatusInternalServerError, p.Status)
			require.Equal(t, api.ProblemCodeInternal, p.Code)
			require.Equal(t, 1, strings.Count(b.log.String(), "\n"))
			require.Contains(t, b.log.String(), test.logs)
			require.NotContains(t, b.log.String(), "123456")
			require.Contains(t, b.log.String(), "store_test.go", "the stack leads to the place")
		})
	}
	t.Run("but a handler may cut its connection", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.store.panics = http.ErrAbortHandler
		require.PanicsWithError(t, http.ErrAbortHandler.Error(), func() { b.get("/v1/verifications/019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90") })
	})
}

func fault() (err any) {
	defer func() { err = recover() }()
	var empty []int
	return 1 / len(empty)
}

func TestTheLogLine(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, code := b.create(smsCode)
	b.log.b.Reset()
	a := b.do(call{
		method: http.MethodPost, path: "/v1/verifications/" + v.ID + "/check", body: `{"code":"` + code + `"}`,
		header: map[string]string{"X-Request-Id": "my-request"},
	})
	require.Equal(t, "my-request", a.Header.Get("X-Request-Id"))
	var line map[string]any
	require.NoError(t, json.Unmarshal([]byte(b.log.String()), &line))
	require.Equal(t, "my-request", line["request_id"])
	require.Equal(t, "POST", line["method"])
	require.Equal(t, "POST /v1/verifications/{id}/check", line["route"])
	require.EqualValues(t, 200, line["status"])
	require.Equal(t, shop, line["client_id"])
	require.Equal(t, v.ID, line["verification_id"])
	require.Contains(t, line, "duration_ms")
	require.NotContains(t, b.log.String(), code)
}

// A page has many files: that browsers fetch them is no news, and which one is missing is.
func TestFilesOfPagesMakeNoLogLine(t *testing.T) {
	t.Parallel()
	page := http.NewServeMux()
	page.HandleFunc("/authenticator/{$}", func(http.ResponseWriter, *http.Request) {})
	page.HandleFunc("/authenticator/assets/{name}", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
		if r.PathValue("name") == "gone.js" {
			http.NotFound(w, r)
		}
	})
	b := setup(t, func(c *httpapi.Config) { c.AuthenticatorPage = page })
	for _, path := range []string{"/authenticator/assets/main.js", "/authenticator/assets/gone.js", "/robots.txt", "/authenticator/"} {
		b.do(call{method: http.MethodGet, path: path, anonymous: true})
	}
	var routes []any
	for text := range strings.Lines(b.log.String()) {
		var line map[string]any
		require.NoError(t, json.Unmarshal([]byte(text), &line))
		routes = append(routes, line["route"], line["status"])
	}
	require.Equal(t, []any{"/authenticator/assets/{name}", 404.0, "/authenticator/{$}", 200.0}, routes)
}

func TestARequestIdThatIsNotSaneIsReplaced(t *testing.T) {
	t.Parallel()
	b := setup(t)
	seen := map[string]bool{}
	for _, id := range []string{"", "two words", strings.Repeat("x", 129), "line\x7f"} {
		got := b.do(call{method: http.MethodGet, path: "/robots.txt", header: map[string]string{"X-Request-Id": id}}).Header.Get("X-Request-Id")
		require.Len(t, got, 32)
		seen[got] = true
	}
	require.Len(t, seen, 4)
}

func TestMountedPagesAreLeftAlone(t *testing.T) {
	t.Parallel()
	page := func(name string) http.Handler {
		mux := http.NewServeMux()
		say := func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Content-Type", "text/html")
			_, _ = io.WriteString(w, name)
		}
		mux.HandleFunc("/l/{token}", say)
		mux.HandleFunc("/callbacks/known", say)
		mux.HandleFunc("/docs", say)
		mux.HandleFunc("/docs/{file}", say)
		return mux
	}
	b := setup(t, func(c *httpapi.Config) {
		c.Accept, c.Callbacks, c.Reference = page("accept"), page("callbacks"), page("reference")
	})
	for path, want := range map[string]string{"/l/secret-token": "accept", "/callbacks/known": "callbacks", "/docs": "reference", "/docs/style.css": "reference"} {
		require.Equal(t, want, string(b.get(path).body))
	}
	a := b.get("/callbacks/unknown")
	require.Equal(t, http.StatusNotFound, a.StatusCode)
	require.Contains(t, a.Header.Get("Content-Type"), "text/plain", "its own not-found page stands")
	require.NotContains(t, b.log.String(), "secret-token")
	require.Contains(t, b.log.String(), `"route":"/l/"`)
}

func TestTheOneLoginDoorIsMountedAndSaysWhatItFoundOut(t *testing.T) {
	t.Parallel()
	door := http.NewServeMux()
	door.HandleFunc("GET /api/2/users/{id}", func(w http.ResponseWriter, _ *http.Request) {
		log, ok := w.(interface {
			Note(client, verificationID string, err error)
		})
		require.True(t, ok)
		log.Note(shop, "", nil)
		log.Note("", "019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90", errors.New("it went wrong"))
		w.WriteHeader(http.StatusTeapot)
	})
	b := setup(t, func(c *httpapi.Config) { c.OneLogin = door })
	require.Equal(t, http.StatusTeapot, b.get("/api/2/users/7").StatusCode)
	for _, part := range []string{
		`"route":"GET /api/2/users/{id}"`, `"client_id":"shop"`, `"verification_id":"019aa5c0-4b1e-7c3a-8f21-5d0e6c7b8a90"`, `"err":"it went wrong"`,
	} {
		require.Contains(t, b.log.String(), part)
	}
	for path, route := range map[string]string{
		"/api/1/x": "/api/1/", "/api/2/x": "/api/2/", "/auth/oauth2/x": "/auth/", "/session_via_api_token": "/session_via_api_token",
		"/session_via_api_token/": "/session_via_api_token/",
	} {
		a := b.get(path)
		require.Equal(t, http.StatusNotFound, a.StatusCode)
		require.Contains(t, a.Header.Get("Content-Type"), "text/plain", "its own not-found page stands")
		require.Contains(t, b.log.String(), `"route":"`+route+`"`)
	}
}

func TestHeadIsGetWithoutABody(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(smsCode)
	server := httptest.NewServer(b.server)
	t.Cleanup(server.Close)
	for path, want := range map[string]int{"/v1/verifications/" + v.ID: 200, "/v1/verifications/" + v.ID + "/events": 200, "/openapi.json": 200, "/nowhere": 404} {
		r, err := http.NewRequestWithContext(t.Context(), http.MethodHead, server.URL+path, http.NoBody)
		require.NoError(t, err)
		r.SetBasicAuth(shop, shopSecret)
		response, err := server.Client().Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, err)
		require.NoError(t, response.Body.Close())
		require.Equal(t, want, response.StatusCode, path)
		require.Empty(t, body)
	}
}

// withoutHints is a document without what only our own generator reads.
func withoutHints(t *testing.T, document []byte) string {
	t.Helper()
	var root any
	require.NoError(t, json.Unmarshal(document, &root))
	var strip func(any)
	strip = func(v any) {
		switch v := v.(type) {
		case map[string]any:
			for key, inner := range v {
				if strings.HasPrefix(key, "x-") {
					delete(v, key)
					continue
				}
				strip(inner)
			}
		case []any:
			for _, inner := range v {
				strip(inner)
			}
		}
	}
	strip(root)
	b, err := json.Marshal(root)
	require.NoError(t, err)
	return string(b)
}

func TestTheDocumentIsServedAsJSON(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.do(call{method: http.MethodGet, path: "/openapi.json", anonymous: true})
	require.NotContains(t, string(a.body), `"x-`, "the generator's hints are ours")
	require.Equal(t, http.StatusOK, a.StatusCode)
	require.Equal(t, "application/json", a.Header.Get("Content-Type"))
	want, err := b.document.doc.MarshalJSON()
	require.NoError(t, err)
	var got bytes.Buffer
	require.NoError(t, json.Compact(&got, a.body))
	loaded, err := b.document.reload(t, a.body).MarshalJSON()
	require.NoError(t, err)
	require.JSONEq(t, withoutHints(t, want), string(loaded))
	require.True(t, bytes.HasPrefix(got.Bytes(), []byte(`{"openapi":"3.1.0","info":`)), "keys keep their order")

	robots := b.do(call{method: http.MethodGet, path: "/robots.txt", anonymous: true})
	require.Contains(t, string(robots.body), "Disallow: /l/\n")
}

func TestEveryProblemIsExplained(t *testing.T) {
	t.Parallel()
	b := setup(t)
	codes := b.document.doc.Components.Schemas["ProblemCode"].Value.OneOf
	require.Len(t, codes, 30)
	for _, c := range codes {
		code, ok := c.Value.Const.(string)
		require.True(t, ok)
		require.True(t, api.ProblemCode(code).Valid())
		a := b.do(call{method: http.MethodGet, path: "/problems/" + code, anonymous: true})
		require.Equal(t, http.StatusOK, a.StatusCode)
		require.Contains(t, string(a.body), "\nCause: ")
		require.Contains(t, string(a.body), "\nFix: ")
	}
	require.Equal(t, http.StatusNotFound, b.get("/problems/none").problem(t).Status)
}

// TestEveryOperationWasUsed makes one good request of each operation, so that none is described
// that does not exist. Health and metrics are served by the process, tokens by the OneLogin door.
func TestEveryOperationWasUsed(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		_, _ = io.WriteString(w, "<!doctype html>")
	})
	_, withLinks := realLinks(t)
	b, _ := withList(t, func(c *httpapi.Config) { c.Reference, c.Templates = page, realTemplates(t) }, withApps(&apps{}), realRecovery(t), withLinks,
		withProviders(&carriers{paused: map[string]string{}}))
	good := func(a answer) answer {
		t.Helper()
		require.Less(t, a.StatusCode, 300, "%s", a.body)
		return a
	}
	p, pushed := b.askPhone()
	good(b.do(call{
		method: http.MethodPost, path: "/v1/verifications/" + pushed.ID + "/responses", anonymous: true,
		body: p.sign(t, pushed, shownContext, "approve", answeredAt, false),
	}))
	v, code := b.create(smsCode)
	path := "/v1/verifications/" + v.ID
	good(b.get(path))
	good(b.get(path + "/deliveries"))
	good(b.post(path+"/resend", ""))
	good(b.post(path+"/check", `{"code":"`+code+`"}`))
	good(b.get(path + "/events"))
	v, _ = b.create(smsCode)
	good(b.post("/v1/verifications/"+v.ID+"/cancel", ""))
	n := b.notify(toOne)
	path = "/v1/notifications/" + n.ID
	good(b.get(path))
	good(b.get(path + "/messages"))
	good(b.get(path + "/deliveries"))
	good(b.post(path+"/cancel", ""))
	u := b.register(`{}`)
	good(b.get("/v1/users"))
	good(b.get("/v1/users/" + u.ID))
	var d api.Device
	good(b.post("/v1/users/"+u.ID+"/devices", `{"kind":"phone","address":"+14155550123"}`)).json(t, &d)
	good(b.get("/v1/users/" + u.ID + "/devices"))
	good(b.get("/v1/devices/" + d.ID))
	b.recoverEverything(u, d, good)
	b.enrolEverybody(u, good)
	good(b.do(call{method: http.MethodDelete, path: "/v1/devices/" + d.ID}))
	good(b.do(call{method: http.MethodDelete, path: "/v1/users/" + u.ID}))
	joined := b.joinPhone()
	good(b.look(joined, ""))
	good(b.try(joined, `{}`, lookedAt))
	good(b.count(joined, `{"counter":1,"nonce":"a"}`))
	asked, _ := b.create(`{"device_id":"` + joined.id + `"}`)
	good(b.do(joined.ask(b, asked.ID, "", "")))
	good(b.do(call{method: http.MethodGet, path: "/v1/authenticator", anonymous: true}))
	good(b.change(joined, `{"push_token":"another"}`, lookedAt))
	good(b.post("/v1/devices/"+joined.id+"/activation", ""))
	b.store.proofs = []events.ApprovalProved{{ID: pushed.ID, Account: shop, Decision: events.Approve, Status: "approved", AnsweredAt: answeredAt}}
	good(b.get("/v1/verifications/" + pushed.ID + "/proof"))
	good(b.post("/v1/credentials", `{"client_id":"page","scope":"authentication_only"}`))
	good(b.get("/v1/credentials"))
	good(b.get("/v1/audit"))
	good(b.get("/v1/credentials/page"))
	good(b.do(call{method: http.MethodPatch, path: "/v1/credentials/page", body: `{"name":"Login page"}`}))
	good(b.do(call{method: http.MethodDelete, path: "/v1/credentials/page"}))
	good(b.post("/v1/realms", `{"name":"secureauth1"}`))
	good(b.get("/v1/realms"))
	good(b.get("/v1/realms/secureauth1"))
	good(b.do(call{method: http.MethodPatch, path: "/v1/realms/secureauth1", body: `{"settings":{"echo_otp":true}}`}))
	good(b.post("/v1/realms/secureauth1/rotate", `{}`))
	good(b.do(call{method: http.MethodDelete, path: "/v1/realms/secureauth1"}))
	good(b.put("/v1/templates/parcel", parcel))
	good(b.get("/v1/templates"))
	good(b.get("/v1/templates/parcel"))
	good(b.get("/v1/templates/parcel/versions"))
	good(b.post("/v1/templates/parcel/preview", `{"channel":"sms"}`))
	good(b.post("/v1/templates/preview", `{"template":`+parcel+`,"channel":"sms"}`))
	good(b.do(call{method: http.MethodDelete, path: "/v1/templates/parcel"}))
	b.keep(undelivered(7), undelivered(8))
	good(b.get("/v1/dead-letters"))
	good(b.get("/v1/dead-letters/7"))
	good(b.post("/v1/dead-letters/7/replay", ""))
	good(b.do(call{method: http.MethodDelete, path: "/v1/dead-letters/8"}))
	good(b.get("/v1/providers"))
	good(b.post("/v1/providers/acme/pause", `{}`))
	good(b.post("/v1/providers/acme/resume", `{}`))
	id := b.add(`{"to":"+14155550123"}`).ID
	good(b.get("/v1/suppressions"))
	good(b.get("/v1/suppressions/" + id))
	good(b.imports("application/json", `[{"to":"ana@example.com"}]`))
	good(b.get("/v1/suppressions/export"))
	good(b.do(call{method: http.MethodDelete, path: "/v1/suppressions/" + id}))
	good(b.get("/openapi.json"))
	good(b.get("/docs"))
	good(b.get("/problems/internal"))

	elsewhere := map[string]bool{"health": true, "live": true, "ready": true, "metrics": true, "createToken": true}
	for _, item := range b.document.doc.Paths.Map() {
		for _, op := range item.Operations() {
			require.NotEqual(t, elsewhere[op.OperationID], b.document.used[op.OperationID], op.OperationID)
		}
	}
}

func TestMetricsThatClashStopTheStart(t *testing.T) {
	t.Parallel()
	b := setup(t)
	_, err := httpapi.New(httpapi.Config{Registerer: b.metrics})
	require.ErrorAs(t, err, new(prometheus.AlreadyRegisteredError))
}

func TestTheDocumentsExamplesWork(t *testing.T) {
	t.Parallel()
	b := setup(t)
	users := b.document.doc.Paths.Value("/v1/users/{id}/devices").Post.RequestBody.Value.Content["application/json"].Examples
	u := b.register(`{}`)
	for name, example := range users {
		body, err := json.Marshal(example.Value.Value)
		require.NoError(t, err)
		a := b.post("/v1/users/"+u.ID+"/devices", string(body))
		require.Equal(t, http.StatusCreated, a.StatusCode, "%s: %s", name, a.body)
	}
	var push string
	for _, d := range b.store.devices {
		if d.Kind == device.Push {
			push = d.ID
		}
	}
	for name, example := range b.document.doc.Paths.Value("/v1/verifications").Post.RequestBody.Value.Content["application/json"].Examples {
		body, err := json.Marshal(example.Value.Value)
		require.NoError(t, err)
		text := strings.NewReplacer("019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d", push, "019aa5bf-11aa-7b6e-9d3c-2e4f60718293", u.ID).Replace(string(body))
		a := b.post("/v1/verifications", text)
		require.Equal(t, http.StatusCreated, a.StatusCode, "%s: %s", name, a.body)
	}
}

func TestDoubledSlashesAreReadAsOne(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.do(call{method: http.MethodPost, path: "//v1//users", body: `{"name":"Ana"}`})
	require.Equal(t, http.StatusCreated, a.StatusCode, "a redirect would lose the body: %s", a.body)
}

func TestDotsInAPathAreNotFollowed(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, path := range []string{"/v1/./users", "/v1/../v1/users", "/secureauth1/./api/v1/auth"} {
		a := b.do(call{method: http.MethodGet, path: path})
		require.Equal(t, http.StatusNotFound, a.StatusCode, path)
		require.Equal(t, api.ProblemCodeNotFound, a.problem(t).Code, path)
	}
}
