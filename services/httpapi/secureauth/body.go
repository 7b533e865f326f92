package secureauth

import (
	"bytes"
	"encoding/json"
	"errors"
	"reflect"
	"strings"
	"unicode/utf8"
)

// decode reads the body, which must be a JSON object. Unknown fields are ignored, because SDKs send some
// that mean nothing; so is the Content-Type, which not all of them set.
func (c *call) decode(into any) error {
	if len(bytes.TrimSpace(c.body)) == 0 {
		return rejected("The body is missing.")
	}
	return c.decodeAny(into)
}

// decodeAny is decode where no body at all is an empty object.
func (c *call) decodeAny(into any) error {
	data := bytes.TrimSpace(c.body)
	if len(data) == 0 {
		return nil
	}
	if !utf8.Valid(data) {
		return rejected("The body is not UTF-8.")
	}
	if data[0] != '{' || !json.Valid(data) {
		return rejected("The body is not a JSON object.")
	}
	err := json.Unmarshal(data, into)
	if err == nil {
		return nil
	}
	var mistyped *json.UnmarshalTypeError
	if errors.As(err, &mistyped) && strings.Contains(mistyped.Field, ".") {
		return rejected(mistyped.Field + " must be " + wanted(mistyped.Type) + ".")
	}
	return rejected(misread(data, into))
}

// misread names the first field that is not what it is for: of a field's own reading, and of what lists
// and objects hold, the error does not know enough.
func misread(data []byte, into any) string {
	var fields map[string]json.RawMessage
	target := reflect.TypeOf(into).Elem()
	if json.Unmarshal(data, &fields) == nil && target.Kind() == reflect.Struct {
		for i := range target.NumField() {
			name, _, _ := strings.Cut(target.Field(i).Tag.Get("json"), ",")
			value := reflect.New(target.Field(i).Type)
			if raw, ok := fields[name]; ok && json.Unmarshal(raw, value.Interface()) != nil {
				return name + " must be " + wanted(target.Field(i).Type) + "."
			}
		}
	}
	return "The body has fields of other types than the documented ones."
}

// wanted says what a field of a type takes.
func wanted(t reflect.Type) string {
	switch t {
	case reflect.TypeFor[flag]():
		return "true or false"
	case reflect.TypeFor[map[string]json.RawMessage](): // whose values are read later, each with words of its own
		return "an object"
	}
	switch t.Kind() {
	case reflect.Pointer:
		return wanted(t.Elem())
	case reflect.String:
		return "a string"
	case reflect.Bool:
		return "true or false"
	case reflect.Slice:
		return "a list, each entry " + wanted(t.Elem())
	case reflect.Map:
		return "an object, each value " + wanted(t.Elem())
	case reflect.Struct:
		return "an object"
	case reflect.Int, reflect.Int64:
		return "an integer"
	default:
		return "of the documented type"
	}
}

// flag is a boolean that SDKs also send as a string, in any case, or as null.
type flag bool

// UnmarshalJSON takes true, "True", "false", null and "".
func (f *flag) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(strings.Trim(string(data), `"`)) {
	case "true":
		*f = true
	case "false", "", "null":
		*f = false
	default:
		return errors.New("neither true nor false")
	}
	return nil
}

// text is a string that SDKs also send as a number: codes and PINs.
type text string

// UnmarshalJSON takes "012345", 12345 and null.
func (t *text) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case 'n':
		return nil
	case '"':
		return json.Unmarshal(data, (*string)(t)) //nolint:wrapcheck // decode has words for all
	case '{', '[', 't', 'f':
		return errors.New("not a string")
	default:
		*t = text(data)
		return nil
	}
}
