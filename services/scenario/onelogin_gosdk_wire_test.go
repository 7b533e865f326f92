package scenario_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/onelogin/onelogin-go-sdk/v4/pkg/onelogin/api"
	"github.com/stretchr/testify/require"
)

// wire stands between the SDK and its HTTP client: it keeps what the SDK says and is told, because the
// SDK itself keeps no more of a refusal than its status.
type wire struct {
	test *testing.T
	next api.HTTPClient

	mu    sync.Mutex
	calls []exchange
}

// exchange is one request with its answer.
type exchange struct {
	method, target, token string
	sent                  string
	status                int
	header                http.Header
	got                   []byte
}

const maxHeard = 4 << 20

// Do makes one call of the SDK's.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	x := exchange{method: r.Method, target: r.URL.RequestURI(), token: r.Header.Get("Authorization")}
	if r.GetBody != nil {
		body, err := r.GetBody()
		if err != nil {
			return nil, err
		}
		sent, err := io.ReadAll(io.LimitReader(body, maxHeard))
		if err != nil {
			return nil, err
		}
		x.sent = string(sent)
	}
	res, err := w.next.Do(r)
	if err == nil {
		x.status, x.header = res.StatusCode, res.Header
		x.got, err = io.ReadAll(io.LimitReader(res.Body, maxHeard))
		_ = res.Body.Close()
		res.Body = io.NopCloser(bytes.NewReader(x.got))
		if err == nil && res.TLS == nil {
			err = fmt.Errorf("%s %s went over an open line", x.method, x.target)
		}
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.calls = append(w.calls, x)
	return res, err
}

// Heard is every exchange so far.
func (w *wire) Heard() []exchange {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]exchange(nil), w.calls...)
}

// Last is the newest exchange.
func (w *wire) Last() exchange {
	w.test.Helper()
	calls := w.Heard()
	require.NotEmpty(w.test, calls, "the SDK sent nothing")
	return calls[len(calls)-1]
}

// Asked expects what the newest request was.
func (w *wire) Asked(method, target string) exchange {
	w.test.Helper()
	x := w.Last()
	require.Equal(w.test, method+" "+target, x.method+" "+x.target)
	return x
}

// values is a JSON object as the SDK hands it out: it has no types for answers.
type values map[string]any

// Object expects the SDK's answer to be one, sent with this status.
func (w *wire) Object(status int) func(answer any, err error) values {
	return func(answer any, err error) values {
		w.test.Helper()
		require.NoError(w.test, err, "answer: %s", w.Last().got)
		require.Equal(w.test, status, w.Last().status)
		object, ok := answer.(map[string]any)
		require.True(w.test, ok, "the SDK read %T: %s", answer, w.Last().got)
		return object
	}
}

// List expects the SDK's answer to be an array of objects.
func (w *wire) List(answer any, err error) []values {
	w.test.Helper()
	require.NoError(w.test, err, "answer: %s", w.Last().got)
	require.Equal(w.test, http.StatusOK, w.Last().status)
	elements, ok := answer.([]any)
	require.True(w.test, ok, "the SDK read %T: %s", answer, w.Last().got)
	return objects(w.test, elements)
}

func objects(t *testing.T, elements []any) []values {
	t.Helper()
	list := make([]values, 0, len(elements))
	for _, element := range elements {
		object, ok := element.(map[string]any)
		require.True(t, ok, "an element is %T", element)
		list = append(list, object)
	}
	return list
}

// Fails expects a call to be answered with this status in the envelope of its version, once: the SDK
// takes a 401 for the end of its token, and asks again.
func (w *wire) Fails(status int) func(answer any, err error) exchange {
	before := len(w.Heard())
	return func(answer any, err error) exchange {
		w.test.Helper()
		require.EqualError(w.test, err, fmt.Sprintf("request failed with status: %d", status), "read: %v", answer)
		calls := w.Heard()
		require.Len(w.test, calls, before+1, "one request is enough")
		x := calls[before]
		x.isRefusal(w.test, status)
		return x
	}
}

// Names expects that a 422 says which parameter it is about.
func (x exchange) Names(t *testing.T, parameter string) {
	t.Helper()
	var body struct {
		Details struct {
			Parameters []struct{ Name, Message string }
		}
		Errors []struct {
			Field   string
			Message []string
		}
	}
	require.NoError(t, json.Unmarshal(x.got, &body))
	var named []string
	for _, p := range body.Details.Parameters {
		require.NotEmpty(t, p.Message)
		named = append(named, p.Name)
	}
	for _, e := range body.Errors {
		require.NotEmpty(t, e.Message)
		named = append(named, e.Field)
	}
	require.Contains(t, named, parameter, "refusal: %s", x.got)
}

// isRefusal reads the envelope of the version that was called.
func (x exchange) isRefusal(t *testing.T, status int) {
	t.Helper()
	require.Equal(t, status, x.status, "answer: %s", x.got)
	require.True(t, strings.HasPrefix(x.header.Get("Content-Type"), "application/json"), "content type %s", x.header.Get("Content-Type"))
	if !strings.HasPrefix(x.target, "/api/2/") {
		var one struct {
			Status struct {
				Error         bool
				Code          int
				Type, Message string
			}
		}
		require.NoError(t, json.Unmarshal(x.got, &one), "answer: %s", x.got)
		require.True(t, one.Status.Error, "answer: %s", x.got)
		require.Equal(t, status, one.Status.Code)
		require.NotEmpty(t, one.Status.Type)
		require.NotEmpty(t, one.Status.Message)
		return
	}
	var two struct {
		StatusCode    int
		Name, Message string
	}
	require.NoError(t, json.Unmarshal(x.got, &two), "answer: %s", x.got)
	require.Equal(t, status, two.StatusCode, "answer: %s", x.got)
	require.NotEmpty(t, two.Name)
	require.NotEmpty(t, two.Message)
}

// text is a string of an object.
func (v values) text(t *testing.T, name string) string {
	t.Helper()
	s, ok := v[name].(string)
	require.True(t, ok, "%s is %T in %v", name, v[name], v)
	return s
}

// number is an integer of an object that the SDK's methods take as int: sent as a number, or in digits.
func (v values) number(t *testing.T, name string) int {
	t.Helper()
	switch n := v[name].(type) {
	case float64:
		require.LessOrEqual(t, n, float64(1<<53), "%s is more than JSON carries", name)
		require.Zero(t, n-float64(int(n)), "%s is no integer", name)
		require.Positive(t, n)
		return int(n)
	case string:
		i, err := strconv.Atoi(n)
		require.NoError(t, err, "%s", name)
		require.Positive(t, i)
		return i
	default:
		require.Failf(t, "not a number", "%s is %T in %v", name, n, v)
		return 0
	}
}

// object is an object within.
func (v values) object(t *testing.T, name string) values {
	t.Helper()
	inner, ok := v[name].(map[string]any)
	require.True(t, ok, "%s is %T in %v", name, v[name], v)
	return inner
}

// list is an array of objects within.
func (v values) list(t *testing.T, name string) []values {
	t.Helper()
	elements, ok := v[name].([]any)
	require.True(t, ok, "%s is %T in %v", name, v[name], v)
	return objects(t, elements)
}
