package reference_test

import (
	"encoding/json"
	"html"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/assent-io/assent/services/httpapi/reference"
)

const public = "https://auth.example.net/a&b"

func read(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

func handler(t *testing.T, spec []byte) http.Handler {
	t.Helper()
	h, err := reference.New(spec, reference.Config{PublicURL: func() string { return public + "/" }})
	require.NoError(t, err)
	return h
}

func get(t *testing.T, h http.Handler, path string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), http.MethodGet, path, nil)
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// requests are the curl lines of a page, as a person would copy them.
func requests(page string) []string {
	var all []string
	for _, m := range regexp.MustCompile(`(?s)aria-label="Request[^>]*><code>(.*?)</code>`).FindAllStringSubmatch(page, -1) {
		all = append(all, html.UnescapeString(m[1]))
	}
	return all
}

// arguments are what a shell makes of a curl line.
func arguments(t *testing.T, line string) []string {
	t.Helper()
	script := "curl() { printf '%s\\0' \"$@\"; }\n" + line
	out, err := exec.CommandContext(t.Context(), "sh", "-c", script).Output()
	require.NoError(t, err, line)
	return strings.Split(strings.TrimSuffix(string(out), "\x00"), "\x00")
}

func TestThePageSaysWhatTheDocumentSays(t *testing.T) {
	t.Parallel()
	page := get(t, handler(t, read(t, "testdata/sample.yaml")), "/docs").Body.String()
	for what, want := range map[string]string{
		"title":                    `<title>Sample API reference</title>`,
		"escaped summary":          `Asks &lt;people&gt;.`,
		"prose":                    `<p>A <strong>question</strong> about a person, with <code>code</code>. It goes on.</p>`,
		"list":                     `<ul><li>one <code>item</code> that is long</li><li>two, see <a href="https://docs.example/guide">the guide</a></li></ul>`,
		"group":                    `<section id="group-Questions" class="group">`,
		"operation without tags":   `<section id="group-Other" class="group">`,
		"operation":                `<article id="createQuestion" data-find="post /v1/questions ask">`,
		"parameter of the path":    `<div id="getQuestion-id"><dt><a class="name" href="#getQuestion-id"><code>id</code></a> <span class="muted">string, in the path</span> <span class="required">required</span></dt>`,
		"limits, default, example": `<span>0 to 60</span> <span>default <code>0</code></span> <span>for example <code>25</code></span>`,
		"required field":           `<code>to</code></a> <span class="muted">string</span> <span class="required">required</span></dt>`,
		"lengths":                  `<span>1 to 254 characters</span>`,
		"enum behind a reference":  `<p>Which kind here.</p><p class="facts"><span>One of <code>&#34;code&#34;</code>, <code>&#34;link&#34;</code></span> <span>default <code>&#34;code&#34;</code></span> </p>`,
		"inner field":              `<div id="createQuestion-body-context.ip">`,
		"list of":                  `<span class="muted">list of string</span>`,
		"both types":               `<span class="muted">string or null, a time (RFC 3339)</span>`,
		"header of an answer":      `<div id="createQuestion-201-Location">`,
		"fault that is explained":  `<th scope="row">404 Not Found</th><td><p><a href="#problem-not_found"><code>not_found</code></a></p></td>`,
		"problem":                  `<div id="problem-not_found">`,
		"open operation":           `no credential needed`,
	} {
		require.Contains(t, page, want, what)
	}
	require.NotContains(t, page, "Nothing</h2>", "a tag without operations is no group")
	require.Less(t, strings.Index(page, `id="getQuestion"`), strings.Index(page, `id="createQuestion"`), "in the document's order")
	require.NotContains(t, page, "origin.invalid")
	var answer struct{ ID, Kind string }
	example := regexp.MustCompile(`(?s)Response 201: Ask"><code>(.*?)</code>`).FindStringSubmatch(page)
	require.NotNil(t, example)
	require.NoError(t, json.Unmarshal([]byte(html.UnescapeString(example[1])), &answer))
	require.Equal(t, "q1", answer.ID)
	require.Equal(t, "code", answer.Kind)
}

func TestTheRequestsCanBePasted(t *testing.T) {
	t.Parallel()
	lines := requests(get(t, handler(t, read(t, "testdata/sample.yaml")), "/docs").Body.String())
	require.Len(t, lines, 4)
	login := []string{"-u", "CLIENT_ID:CLIENT_SECRET"}
	require.Equal(t, append(login, public+"/v1/questions/q1?wait=25"), arguments(t, lines[0]))
	require.Equal(t, append(login, public+"/v1/questions", "-H", "Content-Type: application/json",
		"-d", `{
    "to": "+14155550100",
    "brand": "Ana's & Co",
    "n": 2,
    "ok": true,
    "none": null,
    "list": [
      1,
      "a"
    ]
  }`),
		arguments(t, lines[1]))
	require.Equal(t, append(login, public+"/v1/token", "-d", "grant_type=client_credentials"), arguments(t, lines[2]))
	require.Equal(t, []string{public + "/healthz"}, arguments(t, lines[3]))
}

func TestTheRealDocument(t *testing.T) {
	t.Parallel()
	spec := read(t, "../../../api/openapi.yaml")
	page := get(t, handler(t, spec), "/docs").Body.String()
	var document struct {
		Paths map[string]map[string]yaml.Node
	}
	require.NoError(t, yaml.Unmarshal(spec, &document))
	operations := 0
	for path, item := range document.Paths {
		for method, node := range item {
			if method == "parameters" {
				continue
			}
			var op struct {
				OperationID string `yaml:"operationId"`
			}
			require.NoError(t, node.Decode(&op))
			require.Contains(t, page, `<article id="`+op.OperationID+`"`, path)
			operations++
		}
	}
	lines := requests(page)
	require.GreaterOrEqual(t, len(lines), operations)
	for _, line := range lines {
		args := arguments(t, line)
		target := ""
		for i, a := range args {
			if strings.HasPrefix(a, public+"/") {
				target = a
			}
			if a == "-d" && strings.HasPrefix(args[i+1], "{") {
				require.True(t, json.Valid([]byte(args[i+1])), line)
			}
		}
		require.NotEmpty(t, target, line)
		require.NotContains(t, target, "{", line)
	}
	ids := map[string]bool{}
	for _, m := range regexp.MustCompile(` id="([^"]*)"`).FindAllStringSubmatch(page, -1) {
		require.False(t, ids[m[1]], "the anchor %s is there twice", m[1])
		ids[m[1]] = true
	}
	for _, m := range regexp.MustCompile(`href="#([^"]*)"`).FindAllStringSubmatch(page, -1) {
		require.True(t, ids[m[1]], "nothing at #%s", m[1])
	}
}

func TestWhatIsServed(t *testing.T) {
	t.Parallel()
	h := handler(t, read(t, "testdata/sample.yaml"))
	w := get(t, h, "/docs")
	require.Equal(t, "default-src 'self'; img-src 'self' data:; object-src 'none'; base-uri 'none'; frame-ancestors 'none'; form-action 'self'",
		w.Header().Get("Content-Security-Policy"))
	for _, m := range regexp.MustCompile(`(?:href|src)="(docs/assets/[0-9a-f]+\.(?:css|js))"`).FindAllStringSubmatch(w.Body.String(), -1) {
		asset := get(t, h, "/"+m[1])
		require.Equal(t, http.StatusOK, asset.Code)
		require.Equal(t, "public, max-age=31536000, immutable", asset.Header().Get("Cache-Control"))
		require.NotEmpty(t, asset.Body.String())
	}
	require.NotContains(t, w.Body.String(), " style=")
	require.NotContains(t, w.Body.String(), "<script>")
	require.Equal(t, http.StatusNotModified, get(t, h, "/docs", "If-None-Match", w.Header().Get("ETag")).Code)
	moved := get(t, h, "/docs/")
	require.Equal(t, http.StatusMovedPermanently, moved.Code)
	require.Equal(t, "../docs", moved.Header().Get("Location"))
	require.Equal(t, http.StatusNotFound, get(t, h, "/docs/assets/other.css").Code)
	post := httptest.NewRecorder()
	h.ServeHTTP(post, httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/docs", nil))
	require.Equal(t, http.StatusMethodNotAllowed, post.Code)
}

func TestABadDocumentStopsTheStart(t *testing.T) {
	t.Parallel()
	for name, spec := range map[string]string{
		"nothing":               ``,
		"no YAML":               "a: [",
		"a list":                "- openapi: 3.1.0",
		"another version":       "swagger: '2.0'",
		"no operations":         "openapi: 3.1.0\npaths: {}",
		"a dangling reference":  "openapi: 3.1.0\npaths: {/x: {get: {responses: {'200': {$ref: '#/components/responses/None'}}}}}",
		"a reference elsewhere": "openapi: 3.1.0\npaths: {/x: {get: {responses: {'200': {$ref: 'other.yaml#/x'}}}}}",
	} {
		_, err := reference.New([]byte(spec), reference.Config{PublicURL: func() string { return public }})
		require.Error(t, err, name)
	}
	_, err := reference.New(read(t, "testdata/sample.yaml"), reference.Config{})
	require.Error(t, err, "without a public URL")
}

func TestACircleOfReferencesEnds(t *testing.T) {
	t.Parallel()
	spec := `openapi: 3.1.0
paths: {/x: {get: {responses: {'200': {description: x, content: {application/json: {schema: {$ref: '#/components/schemas/A'}}}}}}}}
components: {schemas: {A: {$ref: '#/components/schemas/B'}, B: {$ref: '#/components/schemas/A'}}}`
	require.Equal(t, http.StatusOK, get(t, handler(t, []byte(spec)), "/docs").Code)
}
