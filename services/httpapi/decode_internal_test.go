package httpapi

import (
	"bytes"
	"encoding/json"
	"net/http/httptest"
	"reflect"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// FuzzDecode holds the strict decoder against the standard one with unknown fields refused: what
// ours takes, that takes too, to the same value; and nothing makes it panic.
func FuzzDecode(f *testing.F) {
	for _, seed := range []string{
		`{"to":"+14155550123","channel":"sms","expires_in":30,"context":{"ip":"x"},"metadata":{"a":"b"}}`,
		`{"to":"a","to":"b"}`, `{"metadata":{"a":[1,{"b":"}"}]}}`, `{"context":null}`, `[{}]`, `{"x\"y":{"z":[[]]}}`, `{"expires_in":1e2}`, `{} {}`, `{"a\u0000":1}`, "\"\\ud800\"", `{"brand":"\ud800"}`,
	} {
		f.Add([]byte(seed))
	}
	s := newShapes(api.CreateVerification{})
	f.Fuzz(func(t *testing.T, body []byte) {
		r := httptest.NewRequestWithContext(t.Context(), "POST", "/", bytes.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		got, raw, faults, err := decode[api.CreateVerification](s, httptest.NewRecorder(), r)
		if err != nil || len(faults) > 0 {
			for _, fault := range faults {
				require.NotEmpty(t, fault.Pointer)
				require.NotEmpty(t, fault.Detail)
			}
			return
		}
		require.Equal(t, body, raw)
		strict := json.NewDecoder(bytes.NewReader(body))
		strict.DisallowUnknownFields()
		var want api.CreateVerification
		require.NoError(t, strict.Decode(&want))
		require.True(t, reflect.DeepEqual(want, got))
		require.False(t, strict.More())
		requireExactNames(t, body)
	})
}

// requireExactNames checks by other means what the standard decoder does not: no field twice, and
// none in another case.
func requireExactNames(t *testing.T, body []byte) {
	t.Helper()
	known := map[string]bool{}
	for i := range reflect.TypeFor[api.CreateVerification]().NumField() {
		sh := shapeOf(reflect.TypeFor[api.CreateVerification]())
		known[sh.fields[i].name] = true
	}
	d := json.NewDecoder(bytes.NewReader(body))
	_, err := d.Token() // {
	require.NoError(t, err)
	seen := map[string]bool{}
	for d.More() {
		name, err := d.Token()
		require.NoError(t, err)
		key, ok := name.(string)
		require.True(t, ok)
		require.True(t, known[key], key)
		require.False(t, seen[key], key)
		seen[key] = true
		var skip json.RawMessage
		require.NoError(t, d.Decode(&skip))
	}
}

func TestManyFaultsAreCutShort(t *testing.T) {
	t.Parallel()
	var body bytes.Buffer
	body.WriteString(`{"a":1`)
	for i := range 400 {
		body.WriteString(`,"f` + string(rune('a'+i%26)) + string(rune('a'+i/26)) + `":[{}]`)
	}
	body.WriteString(`}`)
	faults, err := newShapes(api.CreateUser{}).check(reflect.TypeFor[api.CreateUser](), body.Bytes(), maxFaults)
	require.NoError(t, err)
	require.Len(t, faults, maxFaults)
}

// TestALongListIsNotUnmarshalled: its many small elements would become large ones.
func TestALongListIsNotUnmarshalled(t *testing.T) {
	t.Parallel()
	s := newShapes(api.CreateNotification{})
	list := func(n int) []byte { return []byte(`{"recipients":[` + strings.Repeat("{},", n-1) + `{}],"text":"x"}`) }
	value, _, err := decodeBody[api.CreateNotification](s, list(700_000), maxBatchFaults)
	var refused *refusal
	require.ErrorAs(t, err, &refused)
	require.Empty(t, value.Recipients)
	require.Equal(t, faults{{Pointer: "#/recipients", Detail: "must be at most 1000, not 700000"}}, refused.faults)

	value, f, err := decodeBody[api.CreateNotification](s, list(1000), maxBatchFaults)
	require.NoError(t, err)
	require.Empty(t, f)
	require.Len(t, value.Recipients, 1000)
}

func BenchmarkDecode(b *testing.B) {
	s := newShapes(api.CreateVerification{})
	body := []byte(`{"to":"+14155550123","channel":"sms","brand":"Example Bank","context":{"ip":"203.0.113.7","action":"Sign in"}}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, err := s.check(reflect.TypeFor[api.CreateVerification](), body, maxFaults); err != nil {
			b.Fatal(err)
		}
	}
}
