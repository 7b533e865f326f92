package onelogin

import (
	"bytes"
	"encoding/json"
	"errors"
	"mime"
	"net/http"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"
)

const maxBody = 64 << 10

// readBody decodes a JSON object. No body at all is an empty object: SDKs leave it out where every
// field is optional. Unknown fields are ignored, because SDKs send some that mean nothing.
func readBody(c *call, into any) error {
	data, err := readBytes(c)
	if err != nil || len(bytes.TrimSpace(data)) == 0 {
		return err
	}
	if media, _, err := mime.ParseMediaType(c.r.Header.Get("Content-Type")); err != nil || media != "application/json" {
		return badRequest("Content Type is not specified or specified incorrectly. Content-Type header must be set to application/json")
	}
	if !utf8.Valid(data) || bytes.TrimSpace(data)[0] != '{' {
		return badRequest("The body is not a JSON object")
	}
	if json.Unmarshal(data, into) != nil {
		return misread(c, data, reflect.TypeOf(into).Elem())
	}
	return nil
}

// misread names the fields that do not decode as what they are for.
func misread(c *call, data []byte, into reflect.Type) error {
	var fields map[string]json.RawMessage
	if json.Unmarshal(data, &fields) != nil || into.Kind() != reflect.Struct {
		return badRequest("The body is not a JSON object with fields of the documented types")
	}
	f := &fault{status: http.StatusBadRequest}
	if strings.HasPrefix(c.r.URL.Path, "/api/2/") { // version 1 has no 422
		f.status = http.StatusUnprocessableEntity
	}
	for i := range into.NumField() {
		name, _, _ := strings.Cut(into.Field(i).Tag.Get("json"), ",")
		value := reflect.New(into.Field(i).Type)
		if raw, ok := fields[name]; ok && json.Unmarshal(raw, value.Interface()) != nil {
			f.parameters = append(f.parameters, parameter{name, "must be " + wanted(value.Elem())})
		}
	}
	if len(f.parameters) == 0 {
		return badRequest("The body is not a JSON object with fields of the documented types")
	}
	f.message = f.parameters[0].Name + " " + f.parameters[0].Message
	return f
}

// wanted says what a field takes.
func wanted(field reflect.Value) string {
	switch field.Interface().(type) {
	case integer:
		return "an integer"
	case flag, bool:
		return "true or false"
	case text, *text, string:
		return "a string"
	default:
		return "of the documented type"
	}
}

func readBytes(c *call) ([]byte, error) {
	var buf bytes.Buffer
	if _, err := buf.ReadFrom(http.MaxBytesReader(c.w, c.r.Body, maxBody)); err != nil {
		return nil, err //nolint:wrapcheck // faultFor knows it
	}
	return buf.Bytes(), nil
}

// integer is a number that SDKs send as a number or as a string; absent, null and "" are zero.
type integer struct {
	value int64
	set   bool
}

// UnmarshalJSON takes 300, "300", null and "".
func (n *integer) UnmarshalJSON(data []byte) error {
	s := strings.Trim(string(data), `"`)
	if s == "" || s == "null" {
		return nil
	}
	v, err := strconv.ParseInt(s, 10, 64)
	if err != nil {
		return errForm
	}
	n.value, n.set = v, true
	return nil
}

// errForm says that a value is not what its field takes. misread turns it into words.
var errForm = errors.New("value of another type")

// text is a string that SDKs also send as a number: one-time codes.
type text string

// UnmarshalJSON takes "012345", 12345, null.
func (t *text) UnmarshalJSON(data []byte) error {
	switch data[0] {
	case 'n':
		return nil
	case '"':
		return json.Unmarshal(data, (*string)(t)) //nolint:wrapcheck // readBody has one sentence for all
	case '{', '[', 't', 'f':
		return errForm
	default:
		*t = text(data)
		return nil
	}
}

// flag is a boolean that SDKs also send as a string.
type flag bool

// UnmarshalJSON takes true, "true", null and "".
func (f *flag) UnmarshalJSON(data []byte) error {
	switch strings.ToLower(strings.Trim(string(data), `"`)) {
	case "true", "1":
		*f = true
	case "false", "0", "", "null":
		*f = false
	default:
		return errForm
	}
	return nil
}

// code is what the person typed. A number lost its leading zeros on the way, so it is filled up
// to the length that was asked for.
func (t text) code(length int) string {
	s := strings.ToUpper(strings.NewReplacer(" ", "", "-", "").Replace(string(t)))
	if len(s) < length && strings.Trim(s, "0123456789") == "" {
		s = strings.Repeat("0", length-len(s)) + s
	}
	return s
}
