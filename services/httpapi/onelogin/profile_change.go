package onelogin

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/plaintext"
)

// userBody is a user as a client sends it. What it does not name stays as it is, and what nobody knows
// is ignored. So are all timestamps: they are ours, and some SDKs always send empty ones.
type userBody map[string]json.RawMessage

// profileChange collects what is wrong with a body, so that one answer names everything.
type profileChange struct {
	user   *device.User
	faults []parameter
}

// apply makes the body's changes to the user, all but the password. It fails with a fault that names
// every property that is wrong.
func (b userBody) apply(u *device.User) error {
	c := &profileChange{user: u}
	u.Attributes = maps.Clone(u.Attributes)
	if u.Attributes == nil {
		u.Attributes = map[string]string{}
	}
	c.names(b)
	c.contacts(b)
	c.codes(b)
	for _, a := range attributes {
		if raw, ok := b[a.name]; ok {
			c.keep(a, raw)
		}
	}
	if raw, ok := b["role_id"]; ok && b["role_ids"] == nil { // what version 1 calls it
		c.keep(attribute{name: "role_ids", kind: ofIntegers}, raw)
	}
	size := 0
	for name, kept := range u.Attributes {
		size += len(name) + len(kept)
	}
	if size > maxKept {
		c.fault("custom_attributes", fmt.Sprintf("and the other properties are over %d KiB together", maxKept>>10))
	}
	// Users of the native API may have neither, and stay changeable.
	named := u.Number == 0 || b["username"] != nil || b["email"] != nil
	if named && u.Username == "" && u.Email == "" && len(c.faults) == 0 {
		c.fault("username", "or email must be given")
	}
	if len(c.faults) == 0 {
		return nil
	}
	return refuse(c.faults)
}

// refuse is the fault of a request with these parameters wrong.
func refuse(faults []parameter) error {
	return &fault{status: http.StatusUnprocessableEntity, message: sentence(faults), parameters: faults}
}

func sentence(faults []parameter) string {
	texts := make([]string, len(faults))
	for i, p := range faults {
		texts[i] = p.Name + " " + p.Message
	}
	return strings.Join(texts, "; ")
}

func (c *profileChange) fault(name, message string) {
	c.faults = append(c.faults, parameter{name, message})
}

func (c *profileChange) names(b userBody) {
	u := c.user
	for _, x := range []struct {
		name    string
		into    *string
		longest int
	}{
		{"username", &u.Username, longestText},
		{"firstname", &u.GivenName, longestText},
		{"lastname", &u.FamilyName, longestText},
		{"external_id", &u.ExternalID, 128},
	} {
		if s, ok := c.text(b, x.name, x.longest); ok {
			*x.into = strings.TrimSpace(s)
		}
	}
	if b["firstname"] != nil || b["lastname"] != nil {
		full := []rune(strings.TrimSpace(u.GivenName + " " + u.FamilyName))
		u.Name = string(full[:min(len(full), 100)]) // as long as the native API has names
	}
}

func (c *profileChange) contacts(b userBody) {
	if s, ok := c.text(b, "email", longestText); ok {
		mailbox, err := "", error(nil)
		if s = strings.TrimSpace(s); s != "" {
			mailbox, err = address.Mailbox(s)
		}
		if err != nil {
			c.fault("email", err.Error())
		}
		c.user.Email = mailbox
	}
	if s, ok := c.text(b, "phone", longestText); ok {
		phone, err := "", error(nil)
		s = strings.TrimSpace(s)
		if strings.HasPrefix(s, "00") { // how much of the world dials the +
			s = "+" + s[2:]
		}
		if s != "" {
			phone, err = address.Phone(s)
		}
		if err != nil {
			c.fault("phone", err.Error())
		}
		c.user.Phone = phone
	}
}

// codes reads status and state. Who is suspended here is disabled in the other doors, and the reverse:
// such users, and locked ones, are neither let in nor asked.
func (c *profileChange) codes(b userBody) {
	if n, ok := c.integer(b["status"], "status"); ok {
		if n < 0 || n > statusQuestions || n == 6 {
			c.fault("status", "must be 0, 1, 2, 3, 4, 5, 7 or 8")
		} else {
			c.user.Locked, c.user.Disabled = n == statusLocked, n == statusSuspended
			c.user.Attributes["status"] = strconv.FormatInt(n, 10)
		}
	}
	if n, ok := c.integer(b["state"], "state"); ok {
		if n < 0 || n > 3 {
			c.fault("state", "must be 0, 1, 2 or 3")
		} else {
			c.user.Attributes["state"] = strconv.FormatInt(n, 10)
		}
	}
}

// text reads a property that is a string, or a number that should have been one; null is empty.
func (c *profileChange) text(b userBody, name string, longest int) (string, bool) {
	raw, ok := b[name]
	if !ok {
		return "", false
	}
	s, ok := c.textOf(raw, name, longest)
	return s, ok
}

func (c *profileChange) textOf(raw json.RawMessage, name string, longest int) (string, bool) {
	var s string
	var n json.Number
	if json.Unmarshal(raw, &s) != nil {
		if json.Unmarshal(raw, &n) != nil {
			c.fault(name, "must be a string")
			return "", false
		}
		s = n.String()
	}
	if utf8.RuneCountInString(s) > longest {
		c.fault(name, fmt.Sprintf("must be at most %d characters", longest))
		return "", false
	}
	if strings.ContainsFunc(s, func(r rune) bool { return plaintext.Unshowable(r) && (name != "comment" || !unicode.IsSpace(r)) }) {
		c.fault(name, "must not hold control characters or characters that change the direction of text")
		return "", false
	}
	return s, true
}

// integer reads a number, also in quotes; false without one.
func (c *profileChange) integer(raw json.RawMessage, name string) (int64, bool) {
	if raw == nil {
		return 0, false
	}
	var n integer
	if n.UnmarshalJSON(raw) != nil {
		c.fault(name, "must be an integer")
		return 0, false
	}
	return n.value, n.set
}

// keep stores an attribute in the form in which it is shown; null and empty remove it.
func (c *profileChange) keep(a attribute, raw json.RawMessage) {
	longest := a.longest
	if longest == 0 {
		longest = longestText
	}
	var value any
	switch a.kind {
	case ofInteger:
		if n, ok := c.integer(raw, a.name); ok {
			value = n
		}
	case ofEither:
		if raw[0] == '"' {
			if s, ok := c.textOf(raw, a.name, longest); ok && s != "" {
				value = s
			}
		} else if n, ok := c.integer(raw, a.name); ok {
			value = n
		}
	case ofIntegers:
		value = c.integers(raw, a.name)
	case ofTexts:
		value = c.texts(raw, a.name, longest)
	case ofPairs:
		value = c.pairs(raw, a.name)
	default:
		if s, ok := c.textOf(raw, a.name, longest); ok && s != "" {
			value = s
		}
	}
	if value == nil {
		delete(c.user.Attributes, a.name)
		return
	}
	c.user.Attributes[a.name] = encoded(value)
}

func encoded(v any) string {
	data, err := json.Marshal(v)
	if err != nil {
		panic(err) // strings, numbers, and lists of them
	}
	return string(data)
}

func (c *profileChange) integers(raw json.RawMessage, name string) any {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil {
		c.fault(name, "must be a list of integers")
		return nil
	}
	numbers := make([]int64, 0, len(list))
	for _, x := range list {
		n, ok := c.integer(x, name)
		if !ok {
			return nil
		}
		numbers = append(numbers, n)
	}
	return numbers
}

func (c *profileChange) texts(raw json.RawMessage, name string, longest int) any {
	var list []json.RawMessage
	if json.Unmarshal(raw, &list) != nil || list == nil {
		if s, ok := c.textOf(raw, name, longest); ok && s != "" {
			return s
		}
		return nil
	}
	texts := make([]string, 0, len(list))
	for _, x := range list {
		s, ok := c.textOf(x, name, longest)
		if !ok {
			return nil
		}
		texts = append(texts, s)
	}
	return texts
}

// pairs adds custom attributes to those that the user has; null removes one.
func (c *profileChange) pairs(raw json.RawMessage, name string) any {
	pairs, given := map[string]json.RawMessage{}, map[string]json.RawMessage{}
	if json.Unmarshal(raw, &given) != nil {
		c.fault(name, "must be an object")
		return nil
	}
	if kept, ok := c.user.Attributes[name]; ok && given != nil {
		_ = json.Unmarshal([]byte(kept), &pairs) // ours
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		value := given[key]
		if n := utf8.RuneCountInString(key); n == 0 || n > longestText || strings.ContainsFunc(key, plaintext.Unshowable) {
			c.fault(name, fmt.Sprintf("must have names of 1 to %d printable characters", longestText))
			continue
		}
		switch value[0] {
		case 'n':
			delete(pairs, key)
		case '{', '[':
			c.fault(name+"."+key, "must be a string, a number, or true or false")
		default:
			pairs[key] = value
		}
	}
	if len(pairs) > maxAttributes {
		c.fault(name, fmt.Sprintf("must be at most %d", maxAttributes))
	}
	if len(pairs) == 0 {
		return nil
	}
	return pairs
}
