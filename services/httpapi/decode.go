package httpapi

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/verification"
)

const (
	maxBody     = 64 << 10
	maxTemplate = 512 << 10
	maxFaults   = 32 // one request lists no more
	// maxBatchBody and maxBatchFaults are those of a request with many recipients. Its faults are told apart
	// by recipient, so there may be some for each.
	maxBatchBody   = 2 << 20
	maxBatchFaults = 4 * 1000
	// maxFields is how many fields an object may have, maxElements how many elements a list.
	maxFields   = 256
	maxElements = notification.MaxRecipients
)

// faults is everything wrong with a request.
type faults []api.Fault

// add notes a fault of a field, given as its pointer without the leading "#/". The first fault of
// a field is kept: what follows is often a consequence of it.
func (f *faults) add(field, detail string) { f.addWithin(maxFaults, field, detail) }

func (f *faults) addWithin(most int, field, detail string) {
	pointer := "#"
	if field != "" {
		pointer += "/" + field
	}
	if len(*f) >= most || f.has(field) {
		return
	}
	*f = append(*f, api.Fault{Pointer: pointer, Detail: detail})
}

func (f *faults) has(field string) bool {
	for _, known := range *f {
		if len(known.Pointer) > 1 && known.Pointer[2:] == field {
			return true
		}
	}
	return false
}

func (f *faults) addAll(list []verification.Fault) {
	for _, x := range list {
		f.add(x.Field, x.Detail)
	}
}

// readBody reads a JSON body within its limits and checks that it is one JSON value in UTF-8. How long
// it may take to arrive is the listener's to bound.
func readBody(w http.ResponseWriter, r *http.Request, most int64) ([]byte, error) {
	if err := wantJSON(r.Header); err != nil {
		return nil, err
	}
	if r.ContentLength > most {
		return nil, &http.MaxBytesError{Limit: most}
	}
	var buf bytes.Buffer
	if r.ContentLength > 0 {
		buf.Grow(int(r.ContentLength) + bytes.MinRead)
	}
	if _, err := buf.ReadFrom(http.MaxBytesReader(w, r.Body, most)); err != nil {
		var large *http.MaxBytesError
		if errors.As(err, &large) {
			return nil, large
		}
		return nil, malformed("The body ended before it was complete.")
	}
	data := buf.Bytes()
	switch {
	case len(bytes.TrimSpace(data)) == 0:
		return nil, malformed("The body is empty; a JSON object is needed.")
	case !utf8.Valid(data):
		return nil, malformed("The body is not valid UTF-8.")
	case !json.Valid(data):
		return nil, malformed(syntaxDetail(data))
	}
	return data, nil
}

func malformed(detail string) error {
	return &refusal{code: api.ProblemCodeMalformedJSON, detail: detail}
}

// syntaxDetail says where the JSON breaks, by position only: the text around it is the client's.
func syntaxDetail(data []byte) string {
	d := json.NewDecoder(bytes.NewReader(data))
	var whole json.RawMessage
	err := d.Decode(&whole)
	var syntax *json.SyntaxError
	switch {
	case err == nil:
		return fmt.Sprintf("The JSON value ends at byte %d, and something follows it.", d.InputOffset())
	case errors.As(err, &syntax):
		return fmt.Sprintf("The body is not valid JSON at byte %d.", syntax.Offset)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return "The JSON ends before it is complete."
	default:
		return "The body is not valid JSON."
	}
}

func wantJSON(h http.Header) error {
	refuse := func(detail string) error {
		return &refusal{code: api.ProblemCodeUnsupportedMediaType, detail: detail, header: http.Header{"Accept": {"application/json"}}}
	}
	if e := h.Get("Content-Encoding"); e != "" && !strings.EqualFold(e, "identity") {
		return refuse("Send the body without Content-Encoding.")
	}
	given := h.Get("Content-Type")
	if given == "application/json" {
		return nil
	}
	media, params, err := mime.ParseMediaType(given)
	if err != nil || media != "application/json" {
		return refuse("Send Content-Type: application/json.")
	}
	if c := params["charset"]; c != "" && !strings.EqualFold(c, "utf-8") {
		return refuse("JSON is UTF-8; send Content-Type: application/json.")
	}
	return nil
}

// decode reads a body into the wire type T, strictly: every unknown field, missing field and wrong
// type is a fault, so that a misspelt option is refused instead of ignored. What could be read is
// in the value even when there are faults, so that the caller can add its own to the same answer.
func decode[T any](s shapes, w http.ResponseWriter, r *http.Request) (value T, body []byte, f faults, err error) {
	return decodeUpTo[T](s, maxBody, w, r)
}

// decodeUpTo is decode for bodies of another size than most have, in bytes.
func decodeUpTo[T any](s shapes, most int64, w http.ResponseWriter, r *http.Request) (value T, body []byte, f faults, err error) {
	body, err = readBody(w, r, most)
	if err != nil {
		return value, nil, nil, err
	}
	value, f, err = decodeBody[T](s, body, maxFaults)
	return value, body, f, err
}

// decodeBody is decode of a body that was read, with so many faults at most.
func decodeBody[T any](s shapes, body []byte, most int) (value T, f faults, err error) {
	f, err = s.check(reflect.TypeFor[T](), body, most)
	if err != nil {
		return value, nil, err
	}
	// Unmarshal reads what it can of fields of the wrong type; those are faults already.
	if err := json.Unmarshal(body, &value); err != nil && len(f) == 0 {
		return value, nil, fmt.Errorf("decode checked body: %w", err)
	}
	return value, f, nil
}

// kind is the JSON type that a field takes.
type kind int

const (
	object   kind = iota
	text          // a string that is not empty
	blank         // a string that may be empty
	integer       // a number without fraction
	boolean       // true or false
	texts         // an object whose values are strings
	list          // an array whose elements have one shape
	table         // an object whose values have one shape
	anything      // whoever asked for it looks at it
)

func (k kind) String() string {
	return [...]string{
		"an object", "a string", "a string", "an integer", "true or false", "an object", "a list", "an object", "a JSON value",
	}[k]
}

// shape is what the JSON of a wire type must look like.
type shape struct {
	kind   kind
	fields []field
	// element is the shape of each element of a list, or value of a table.
	element *shape
}

type field struct {
	name     string
	required bool
	shape    *shape
}

// shapes holds the shape of each request type, read from the generated types once at start.
type shapes map[reflect.Type]*shape

func newShapes(requests ...any) shapes {
	s := shapes{}
	for _, r := range requests {
		t := reflect.TypeOf(r)
		s[t] = shapeOf(t)
	}
	return s
}

func shapeOf(t reflect.Type) *shape {
	switch t.Kind() {
	case reflect.Pointer:
		if t.Elem().Kind() == reflect.String { // a pointer tells an empty text from one that is not sent
			return &shape{kind: blank}
		}
		return shapeOf(t.Elem())
	case reflect.String:
		return &shape{kind: text}
	case reflect.Int:
		return &shape{kind: integer}
	case reflect.Bool:
		return &shape{kind: boolean}
	case reflect.Map:
		if t.Elem().Kind() != reflect.String {
			return &shape{kind: table, element: shapeOf(t.Elem())}
		}
		return &shape{kind: texts}
	case reflect.Interface:
		return &shape{kind: anything}
	case reflect.Slice:
		return &shape{kind: list, element: shapeOf(t.Elem())}
	case reflect.Struct:
		sh := &shape{kind: object}
		for i := range t.NumField() {
			name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
			sh.fields = append(sh.fields, field{name, options == "", shapeOf(t.Field(i).Type)})
		}
		return sh
	default:
		panic("httpapi: no shape for the request type " + t.String()) // at start, in every test
	}
}

// check compares a valid JSON document with a shape. The error is a refusal for fields given twice, or for a list
// that is too long to be read at all.
func (s shapes) check(t reflect.Type, data []byte, most int) (faults, error) {
	w := &walker{data: data, most: most}
	w.value(s[t], "")
	if len(w.long) > 0 {
		return nil, invalid(w.long)
	}
	if w.twice != "" {
		return nil, malformed(fmt.Sprintf("The field %q is given twice.", w.twice))
	}
	return w.faults, nil
}

// walker goes through JSON that is known to be valid.
type walker struct {
	data   []byte
	pos    int
	faults faults
	most   int // faults
	twice  string
	long   faults // of lists
}

func (w *walker) fault(at, detail string) { w.faults.addWithin(w.most, at, detail) }

// next is the first byte of what follows.
func (w *walker) next() byte {
	for w.data[w.pos] == ' ' || w.data[w.pos] == '\t' || w.data[w.pos] == '\n' || w.data[w.pos] == '\r' {
		w.pos++
	}
	return w.data[w.pos]
}

func (w *walker) value(sh *shape, at string) {
	first := w.next()
	switch {
	case sh.kind == anything:
		if !w.skip() {
			w.fault(at, "must not hold a number of more than 308 digits")
		}
		return
	case (sh.kind == object || sh.kind == texts || sh.kind == table) && first == '{':
		w.object(sh, at)
		return
	case sh.kind == list && first == '[':
		w.list(sh, at)
		return
	case (sh.kind == text || sh.kind == blank) && first == '"':
		if w.string() == `""` && sh.kind == text {
			w.fault(at, "must not be empty")
		}
		return
	case sh.kind == boolean && (first == 't' || first == 'f'):
		w.skip()
		return
	case sh.kind == integer && (first == '-' || first >= '0' && first <= '9'):
		start := w.pos
		w.skip()
		if _, err := strconv.ParseInt(string(w.data[start:w.pos]), 10, 32); err == nil {
			return
		}
	default:
		w.skip()
	}
	w.fault(at, "must be "+sh.kind.String())
}

func (w *walker) list(sh *shape, at string) {
	w.pos++ // [
	n := 0
	for ; w.next() != ']'; n++ {
		if w.data[w.pos] == ',' {
			w.pos++
		}
		if n >= maxElements { // only counted
			w.skip()
			continue
		}
		w.value(sh.element, join(at, strconv.Itoa(n)))
	}
	w.pos++ // ]
	if n > maxElements {
		w.long.add(at, fmt.Sprintf("must be at most %d, not %d", maxElements, n))
	}
}

func (w *walker) object(sh *shape, at string) {
	start := w.pos
	w.pos++ // {
	var buf [12]string
	seen := buf[:0]
	for w.next() != '}' {
		if w.data[w.pos] == ',' {
			w.pos++
			w.next()
		}
		name := unquote(w.string())
		for _, s := range seen {
			if s == name {
				w.twice = name
			}
		}
		if seen = append(seen, name); len(seen) > maxFields {
			w.fault(at, "has too many fields")
			w.pos = start // the rest of it cannot make it right, but what follows it is still looked at
			w.skip()
			return
		}
		w.next()
		w.pos++ // :
		w.member(sh, at, name)
	}
	w.pos++ // }
	for _, f := range sh.fields {
		if f.required && !contains(seen, f.name) {
			w.fault(join(at, f.name), "is required")
		}
	}
}

func (w *walker) member(sh *shape, at, name string) {
	if sh.kind == texts {
		if first := w.next(); first != '"' {
			w.fault(join(at, name), "must be a string")
		}
		w.skip()
		return
	}
	if sh.kind == table {
		w.value(sh.element, join(at, name))
		return
	}
	for _, f := range sh.fields {
		if f.name == name {
			w.value(f.shape, join(at, name))
			return
		}
	}
	w.skip()
	w.fault(join(at, name), "is not a field of this request")
}

// string passes a JSON string and returns it with its quotes.
func (w *walker) string() string {
	start := w.pos
	for w.pos++; w.data[w.pos] != '"'; w.pos++ {
		if w.data[w.pos] == '\\' {
			w.pos++
		}
	}
	w.pos++
	return string(w.data[start:w.pos])
}

// skip passes any value, without recursion: the client chooses how deep it nests. It tells whether all numbers in
// it can be read.
func (w *walker) skip() (readable bool) {
	depth := 0
	readable = true
	for {
		switch w.next() {
		case '{', '[':
			depth++
			w.pos++
		case '}', ']':
			depth--
			w.pos++
		case ',', ':':
			w.pos++
			continue
		case '"':
			w.string()
		default:
			start := w.pos
			for w.pos < len(w.data) && !bytes.ContainsRune([]byte(" \t\r\n,:]}"), rune(w.data[w.pos])) {
				w.pos++
			}
			if c := w.data[start]; c == '-' || c >= '0' && c <= '9' {
				_, err := strconv.ParseFloat(string(w.data[start:w.pos]), 64)
				readable = readable && err == nil
			}
		}
		if depth == 0 {
			return readable
		}
	}
}

func unquote(quoted string) string {
	if !strings.Contains(quoted, `\`) {
		return quoted[1 : len(quoted)-1]
	}
	var s string
	_ = json.Unmarshal([]byte(quoted), &s) // valid, or the body would not have come this far
	return s
}

// join makes the pointer of a member: RFC 6901 escapes, in the form of a URI fragment.
func join(at, name string) string {
	const longest = 64
	if len(name) > longest {
		name = strings.ToValidUTF8(name[:longest], "") + "…"
	}
	name = strings.ReplaceAll(strings.ReplaceAll(name, "~", "~0"), "/", "~1")
	name = (&url.URL{Fragment: name}).EscapedFragment()
	if at == "" {
		return name
	}
	return at + "/" + name
}

func contains(list []string, s string) bool {
	for _, x := range list {
		if x == s {
			return true
		}
	}
	return false
}
