package secureauth

import (
	"encoding/json"
	"testing"

	"github.com/stretchr/testify/require"
)

type sample struct {
	Name   string                     `json:"name"`
	Code   text                       `json:"code"`
	Sent   flag                       `json:"sent"`
	Count  *int                       `json:"count"`
	List   []string                   `json:"list"`
	Values map[string]string          `json:"values"`
	Raw    map[string]json.RawMessage `json:"raw"`
	Within struct {
		Place string `json:"place"`
	} `json:"within"`
}

func TestABodyIsAnObjectWithTheDocumentedTypes(t *testing.T) {
	t.Parallel()
	for body, message := range map[string]string{
		"":                            "The body is missing.",
		" \n":                         "The body is missing.",
		"[]":                          "The body is not a JSON object.",
		`"x"`:                         "The body is not a JSON object.",
		"null":                        "The body is not a JSON object.",
		"{":                           "The body is not a JSON object.",
		"{} {}":                       "The body is not a JSON object.",
		"a=b":                         "The body is not a JSON object.",
		"{\"name\":\"\xff\"}":         "The body is not UTF-8.",
		`{"name":1}`:                  "name must be a string.",
		`{"name":{}}`:                 "name must be a string.",
		`{"code":{}}`:                 "code must be a string.",
		`{"code":true}`:               "code must be a string.",
		`{"sent":"perhaps"}`:          "sent must be true or false.",
		`{"sent":[]}`:                 "sent must be true or false.",
		`{"count":"1"}`:               "count must be an integer.",
		`{"list":"x"}`:                "list must be a list, each entry a string.",
		`{"values":"x"}`:              "values must be an object, each value a string.",
		`{"values":{"a":1}}`:          "values must be an object, each value a string.",
		`{"raw":[]}`:                  "raw must be an object.",
		`{"within":"x"}`:              "within must be an object.",
		`{"within":{"place":1}}`:      "within.place must be a string.",
		`{"name":"x","list":[1,"b"]}`: "list must be a list, each entry a string.",
	} {
		c := &call{body: []byte(body)}
		err := c.decode(&sample{})
		var f *fault
		require.ErrorAs(t, err, &f, body)
		require.Equal(t, 400, f.code)
		require.Equal(t, "invalid", f.status)
		require.Equal(t, "Request validation failed with: "+message, f.message, body)
	}
	require.NoError(t, (&call{}).decodeAny(&sample{}))
	require.Error(t, (&call{body: []byte("[]")}).decodeAny(&sample{}))
}

func TestFieldsTakeWhatSDKsSend(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]sample{
		`{}`: {}, `{"code":null,"sent":null,"name":null}`: {}, `{"sent":"","unknown":{"a":[1]}}`: {},
		`{"sent":true,"code":"012345"}`: {Sent: true, Code: "012345"},
		`{"sent":"True","code":12345}`:  {Sent: true, Code: "12345"},
		`{"sent":"true"}`:               {Sent: true}, `{"sent":"FALSE"}`: {}, `{"sent":false}`: {},
		` {"name":"José 🙂"} `: {Name: "José 🙂"},
	} {
		var got sample
		require.NoError(t, (&call{body: []byte(body)}).decode(&got), body)
		require.Equal(t, want, got, body)
	}
}
