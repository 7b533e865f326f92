package template

import (
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/currency"

	bodies "github.com/assent-io/assent/events/template"
)

// Type is what values a variable takes, and how they are written.
type Type string

// The types, and what their values are in JSON.
const (
	String   Type = "string"   // a string
	Integer  Type = "integer"  // a number without fraction
	Number   Type = "number"   // a number
	Date     Type = "date"     // a string, 2026-11-22
	DateTime Type = "datetime" // a string, 2026-11-22T14:05:00+01:00, written in its own offset
	Time     Type = "time"     // a string, 14:05
	URL      Type = "url"      // a string, an https address
	Money    Type = "money"    // an object, {"amount": "12.50", "currency": "EUR"}
)

// Types lists all types.
func Types() []Type { return []Type{String, Integer, Number, Date, DateTime, Time, URL, Money} }

// Variable is one name that a template's texts may use.
type Variable struct {
	Type Type `json:"type"`
	// Required says that a recipient without a value is refused. One that is not gets the default, or nothing.
	Required bool `json:"required,omitempty"`
	// Default and Example are JSON values of the type.
	Default json.RawMessage `json:"default,omitempty"`
	Example json.RawMessage `json:"example,omitempty"`
	// MaxLength of a string or url, in characters; zero: DefaultLength.
	MaxLength int `json:"max_length,omitempty"`
}

// The limits of values.
const (
	DefaultLength = 500
	LongestValue  = 2000
	// mostNumber bounds numbers, so that all their digits are kept.
	mostNumber = 1e15
	// decimals is how many digits of a number's fraction are written.
	decimals = 6
)

// check looks at a declaration.
func (v Variable) check(f *faults, name string) {
	if !bodies.ValidName(name) {
		f.add("variables", "must have names of letters, digits and underscores, the first a letter, at most 64")
		return
	}
	field := "variables/" + name
	if !slices.Contains(Types(), v.Type) {
		f.add(field+"/type", "must be string, integer, number, date, datetime, time, url or money")
		return
	}
	if v.MaxLength < 0 || v.MaxLength > LongestValue {
		f.add(field+"/max_length", fmt.Sprintf("must be 1 to %d", LongestValue))
		return
	}
	if v.MaxLength > 0 && v.Type != String && v.Type != URL {
		f.add(field+"/max_length", "goes with string and url only")
	}
	for _, part := range []struct {
		name string
		raw  json.RawMessage
	}{{"default", v.Default}, {"example", v.Example}} {
		if part.raw == nil {
			continue
		}
		value, err := decodeValue(part.raw)
		if err != nil {
			f.add(field+"/"+part.name, "must be a JSON value")
			continue
		}
		if _, detail := v.format(value, formatsFor("en")); detail != "" {
			f.add(field+"/"+part.name, detail)
		}
	}
	if v.Required && v.Default != nil {
		f.add(field+"/required", "does not go with a default, which stands in for a missing value")
	}
}

func decodeValue(raw json.RawMessage) (any, error) {
	d := json.NewDecoder(strings.NewReader(string(raw)))
	d.UseNumber()
	var value any
	if err := d.Decode(&value); err != nil {
		return nil, fmt.Errorf("decode value: %w", err)
	}
	return value, nil
}

// format writes a value as a reader of the formats' locale expects it. detail says what is wrong with it, never
// what it is; empty: nothing.
func (v Variable) format(value any, to *formats) (written, detail string) {
	switch v.Type {
	case Integer, Number:
		return v.formatNumber(value, to)
	case Money:
		return formatMoney(value, to)
	case String, Date, DateTime, Time, URL:
	}
	s, ok := value.(string)
	if !ok {
		return "", "must be a string, as its type is " + string(v.Type)
	}
	switch v.Type { //nolint:exhaustive // the others are numbers
	case Date:
		at, err := time.Parse(time.DateOnly, s)
		if err != nil {
			return "", "must be a date such as 2026-11-22"
		}
		return to.date(at), ""
	case DateTime:
		at, err := time.Parse(time.RFC3339, s)
		if err != nil {
			return "", "must be a time such as 2026-11-22T14:05:00+01:00"
		}
		return to.dateTime(at), ""
	case Time:
		at, err := time.Parse("15:04", s)
		if err != nil {
			return "", "must be a time of day such as 14:05"
		}
		return to.time(at), ""
	}
	longest := v.MaxLength
	if longest == 0 {
		longest = DefaultLength
		if v.Type == URL {
			longest = LongestValue
		}
	}
	if n := utf8.RuneCountInString(s); n > longest {
		return "", fmt.Sprintf("must be at most %d characters, not %d", longest, n)
	}
	if detail := bodies.CheckValue(s); detail != "" {
		return "", detail
	}
	if v.Type == URL {
		u, err := url.Parse(s)
		if err != nil || u.Scheme != "https" || u.Hostname() == "" || u.User != nil || strings.ContainsAny(s, " \n\t\"'<>\\") {
			return "", "must be an absolute https address"
		}
	}
	return s, ""
}

func (v Variable) formatNumber(value any, to *formats) (written, detail string) {
	n, ok := numberOf(value)
	whole := n == math.Trunc(n)
	switch {
	case !ok && v.Type == Integer, ok && !whole && v.Type == Integer:
		return "", "must be an integer"
	case !ok:
		return "", "must be a number"
	case math.Abs(n) >= mostNumber:
		return "", "must be less than 1,000,000,000,000,000"
	case whole:
		return to.integer(int64(n)), ""
	default:
		return to.number(n, decimals), ""
	}
}

// numberOf reads a JSON number, however the caller decoded it.
func numberOf(value any) (float64, bool) {
	switch n := value.(type) {
	case json.Number:
		f, err := n.Float64()
		return f, err == nil
	case float64:
		return n, !math.IsNaN(n) && !math.IsInf(n, 0)
	case int:
		return float64(n), true
	case int64:
		return float64(n), true
	default:
		return 0, false
	}
}

var amountForm = regexp.MustCompile(`^-?[0-9]{1,11}(\.[0-9]{1,4})?$`)

func formatMoney(value any, to *formats) (written, detail string) {
	const rule = `must be an object such as {"amount": "12.50", "currency": "EUR"}`
	object, ok := value.(map[string]any)
	if !ok || len(object) != 2 {
		return "", rule
	}
	code, ok := object["currency"].(string)
	if !ok {
		return "", rule
	}
	unit, err := currency.ParseISO(code)
	if err != nil || code != strings.ToUpper(code) {
		return "", "must have a currency of ISO 4217, such as EUR"
	}
	var amount string
	switch a := object["amount"].(type) {
	case string:
		amount = a
	case json.Number:
		amount = a.String()
	case float64:
		amount = strconv.FormatFloat(a, 'f', -1, 64)
	}
	if !amountForm.MatchString(amount) {
		return "", "must have an amount such as \"12.50\""
	}
	scale, _ := currency.Standard.Rounding(unit)
	if _, fraction, _ := strings.Cut(amount, "."); len(fraction) > scale {
		return "", fmt.Sprintf("must have an amount of at most %d decimals, as the currency has", scale)
	}
	n, err := strconv.ParseFloat(amount, 64)
	if err != nil {
		return "", rule
	}
	return to.money(n, unit, scale), ""
}
