package onelogin

import (
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/services/device"
)

// userFilter tells whether a user is wanted.
type userFilter func(device.User) bool

// filterable are the properties that a query may name, in both versions.
var filterable = []string{
	"firstname", "lastname", "email", "username", "phone", "samaccountname", "userprincipalname", "directory_id", "external_id",
	"group_id", "member_of", "status", "state",
}

// filtersOf reads the filters of a query. With negation, as version 1 has it, a leading exclamation mark
// wants everybody else.
func filtersOf(query url.Values, negation bool) ([]userFilter, error) {
	var filters []userFilter
	names := filterable
	if negation {
		names = append([]string{"id"}, names...)
	}
	for _, name := range names {
		if pattern := query.Get(name); pattern != "" {
			filters = append(filters, matching(name, pattern, negation))
		}
	}
	for name, values := range query {
		if key, ok := strings.CutPrefix(name, "custom_attributes."); ok && values[0] != "" {
			filters = append(filters, havingCustom(key, values[0]))
		}
	}
	if query.Get("app_id") != "" {
		filters = append(filters, func(device.User) bool { return false }) // nobody has apps here
	}
	ids, err := idsOf(query.Get("user_ids"), "user_ids")
	if err != nil {
		return nil, err
	}
	if ids != nil {
		filters = append(filters, func(u device.User) bool { return slices.Contains(ids, u.Number) })
	}
	for _, name := range []string{"role_ids", "role_id"} { // the second is what version 1 and the .NET SDK call it
		roles, err := idsOf(query.Get(name), name)
		if err != nil {
			return nil, err
		}
		if roles != nil {
			filters = append(filters, havingRole(roles))
		}
	}
	times, err := timesOf(query)
	return append(filters, times...), err
}

func matching(name, pattern string, negation bool) userFilter {
	not := false
	if negation {
		pattern, not = strings.CutPrefix(pattern, "!")
	}
	return func(u device.User) bool {
		value := ""
		switch v := plain(u, name).(type) {
		case string:
			value = v
		case int64:
			value = strconv.FormatInt(v, 10)
		}
		return matches(pattern, value) != not
	}
}

func havingCustom(key, pattern string) userFilter {
	return func(u device.User) bool {
		var pairs map[string]json.RawMessage
		if json.Unmarshal([]byte(u.Attributes["custom_attributes"]), &pairs) != nil {
			return false
		}
		raw, ok := pairs[key]
		if !ok {
			return false
		}
		value := string(raw)
		if raw[0] == '"' && json.Unmarshal(raw, &value) != nil {
			return false
		}
		return matches(pattern, value)
	}
}

func havingRole(wanted []int64) userFilter {
	return func(u device.User) bool {
		var roles []int64
		if json.Unmarshal([]byte(u.Attributes["role_ids"]), &roles) != nil {
			return false
		}
		return slices.ContainsFunc(wanted, func(id int64) bool { return slices.Contains(roles, id) })
	}
}

// matches compares in either case of letters; an asterisk stands for any text.
func matches(pattern, s string) bool {
	parts := strings.Split(strings.ToLower(pattern), "*")
	s = strings.ToLower(s)
	if len(parts) == 1 {
		return s == parts[0]
	}
	last := len(parts) - 1
	s, begins := strings.CutPrefix(s, parts[0])
	for _, part := range parts[1:last] {
		i := strings.Index(s, part)
		if i < 0 {
			return false
		}
		s = s[i+len(part):]
	}
	return begins && strings.HasSuffix(s, parts[last])
}

// idsOf reads a list of numbers between commas; nil without one.
func idsOf(list, name string) ([]int64, error) {
	if list == "" {
		return nil, nil
	}
	ids := []int64{}
	for id := range strings.SplitSeq(list, ",") {
		n, err := strconv.ParseInt(strings.TrimSpace(id), 10, 64)
		if err != nil {
			return nil, invalid(name, "must be integers between commas")
		}
		ids = append(ids, n)
	}
	return ids, nil
}

// timesOf reads the filters by time. Both ends belong to the span.
func timesOf(query url.Values) ([]userFilter, error) {
	var filters []userFilter
	for _, of := range []struct {
		name string
		at   func(device.User) time.Time
	}{
		{"created", func(u device.User) time.Time { return u.CreatedAt }},
		{"updated", func(u device.User) time.Time { return latest(u.UpdatedAt, u.CreatedAt) }},
		{"last_login", func(u device.User) time.Time { return u.LastLogin }},
	} {
		since, err := timeOf(query, of.name+"_since")
		if err != nil {
			return nil, err
		}
		until, err := timeOf(query, of.name+"_until")
		if err != nil {
			return nil, err
		}
		if !since.IsZero() {
			filters = append(filters, func(u device.User) bool { return !of.at(u).Before(since) })
		}
		if !until.IsZero() {
			filters = append(filters, func(u device.User) bool { return !of.at(u).IsZero() && !of.at(u).After(until) })
		}
	}
	return filters, nil
}

func latest(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// timeForms are the forms of ISO 8601 that clients send.
var timeForms = []string{
	time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00",
	"2006-01-02 15:04:05", "2006-01-02T15:04Z07:00", "2006-01-02T15:04", time.DateOnly,
}

// timeOf reads a time; zero without one.
func timeOf(query url.Values, name string) (time.Time, error) {
	s := query.Get(name)
	if s == "" {
		return time.Time{}, nil
	}
	if i := strings.LastIndexByte(s, ' '); i > len(time.DateOnly) {
		s = s[:i] + "+" + s[i+1:] // a plus that was not escaped in the query
	}
	for _, form := range timeForms {
		if t, err := time.Parse(form, s); err == nil {
			return t, nil
		}
	}
	return time.Time{}, invalid(name, "must be an ISO 8601 time such as 2026-11-21T10:04:31Z")
}

// fieldsOf is which properties the client wants to see; all without a list. Unknown ones are an error:
// an answer without them would look as if the user had none.
func fieldsOf(list string, all []string) ([]string, error) {
	if strings.TrimSpace(list) == "" {
		return all, nil
	}
	var fields []string
	for name := range strings.SplitSeq(list, ",") {
		if name = strings.TrimSpace(name); !isProperty(name) {
			return nil, invalid("fields", fmt.Sprintf("must be properties of users between commas, such as %s", strings.Join(loginProperties, ",")))
		}
		fields = append(fields, name)
	}
	return fields, nil
}

func isProperty(name string) bool {
	return slices.Contains(whole, name) || slices.Contains(legacyProperties, name)
}
