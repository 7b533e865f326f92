package onelogin

import (
	"encoding/json"
	"slices"
	"strconv"
	"time"

	"github.com/assent-io/assent/services/device"
)

// The status codes of users that mean something here; state has one.
const (
	statusActive    = 1
	statusSuspended = 2
	statusLocked    = 3
	statusExpired   = 4 // the password
	statusAwaiting  = 5 // a new password
	statusPending   = 7 // no password yet
	statusQuestions = 8

	stateApproved = 1
)

// attribute is a property of users that is kept for the client and means nothing here.
type attribute struct {
	name string
	kind attributeKind
	// longest is how many characters a text may have; zero: longestText.
	longest int
}

type attributeKind int

const (
	ofText attributeKind = iota
	ofInteger
	ofEither // a number or a text, as the client's SDK has it: it reads no other
	ofIntegers
	ofTexts // one text or a list of them
	ofPairs // custom attributes
)

const (
	longestText   = 255
	longestLine   = 4096
	maxAttributes = 200
	// maxKept is how many bytes all of a user's attributes may take.
	maxKept = 64 << 10
)

var attributes = []attribute{
	{name: "title"},
	{name: "department"},
	{name: "company"},
	{name: "comment", longest: longestLine},
	{name: "group_id", kind: ofInteger},
	{name: "role_ids", kind: ofIntegers},
	{name: "directory_id", kind: ofInteger},
	{name: "trusted_idp_id", kind: ofInteger},
	{name: "manager_ad_id", kind: ofEither},
	{name: "manager_user_id", kind: ofEither},
	{name: "invalid_login_attempts", kind: ofInteger},
	{name: "samaccountname"},
	{name: "userprincipalname"},
	{name: "distinguished_name", longest: longestLine},
	{name: "member_of", kind: ofTexts, longest: longestLine},
	{name: "openid_name"},
	{name: "preferred_locale_code"},
	{name: "locale_code"},
	{name: "custom_attributes", kind: ofPairs},
}

var (
	// listed are the properties of a user in a list of version 2.
	listed = []string{
		"id", "username", "email", "firstname", "lastname", "phone", "state", "status", "group_id", "directory_id",
		"distinguished_name", "external_id", "member_of", "samaccountname", "activated_at", "last_login",
		"invitation_sent_at", "updated_at", "created_at", "locked_until", "password_changed_at", "invalid_login_attempts",
	}
	// whole are those of a single user.
	whole = append(slices.Clone(listed),
		"role_ids", "custom_attributes", "title", "department", "company", "comment", "manager_ad_id", "manager_user_id",
		"trusted_idp_id", "userprincipalname", "preferred_locale_code",
	)
	// legacyProperties are those of version 1, in lists too.
	legacyProperties = append(slices.DeleteFunc(slices.Clone(whole), func(name string) bool { return name == "role_ids" }),
		"role_id", "openid_name", "locale_code",
	)
	// loginProperties say who logged in.
	loginProperties = []string{"id", "username", "email", "firstname", "lastname"}
)

// profile is a user as the API shows it.
type profile map[string]any

func profileOf(u device.User, properties []string) profile {
	p := make(profile, len(properties))
	for _, name := range properties {
		p[name] = property(u, name)
	}
	return p
}

// property is one property as JSON shows it; nil where the user has none.
func property(u device.User, name string) any {
	switch name {
	case "id":
		return u.Number
	case "username":
		return present(u.Username)
	case "email":
		return present(u.Email)
	case "firstname":
		return present(u.GivenName)
	case "lastname":
		return present(u.FamilyName)
	case "phone":
		return present(u.Phone)
	case "external_id":
		return present(u.ExternalID)
	case "status":
		return statusOf(u)
	case "state":
		return stateOf(u)
	case "created_at":
		return stamp(u.CreatedAt)
	case "updated_at":
		return stamp(latest(u.UpdatedAt, u.CreatedAt))
	case "last_login":
		return stamp(u.LastLogin)
	case "password_changed_at":
		return stamp(u.PasswordChangedAt)
	case "role_id":
		name = "role_ids"
	}
	if kept, ok := u.Attributes[name]; ok {
		return json.RawMessage(kept)
	}
	switch name {
	case "role_ids":
		return []int64{}
	case "custom_attributes":
		return struct{}{}
	case "invalid_login_attempts":
		return int64(0)
	default:
		return nil
	}
}

// plain is a property to compare with: a string, an int64, or nil for everything else.
func plain(u device.User, name string) any {
	v := property(u, name)
	raw, ok := v.(json.RawMessage)
	if !ok {
		return v
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return s
	}
	if n, err := strconv.ParseInt(string(raw), 10, 64); err == nil {
		return n
	}
	return nil
}

func present(s string) any {
	if s == "" {
		return nil
	}
	return s
}

const stampForm = "2006-01-02T15:04:05.000Z"

func stamp(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.UTC().Format(stampForm)
}

// statusOf is the code that fits what the user is: a stored one that says otherwise is older than
// the password or the lock.
func statusOf(u device.User) int64 {
	stored := number(u, "status", statusActive)
	switch {
	case u.Disabled:
		return statusSuspended
	case u.Locked:
		return statusLocked
	case u.Password == "" && (stored == statusActive || stored == statusSuspended || stored == statusLocked):
		return statusPending
	case u.Password != "" && stored == statusPending, stored == statusSuspended, stored == statusLocked:
		return statusActive
	default:
		return stored
	}
}

func stateOf(u device.User) int64 { return number(u, "state", stateApproved) }

func number(u device.User, name string, absent int64) int64 {
	n, err := strconv.ParseInt(u.Attributes[name], 10, 64)
	if err != nil {
		return absent
	}
	return n
}

// mayLogIn tells whether a user with the right password is let in.
func mayLogIn(u device.User) bool {
	status := statusOf(u)
	return !u.Barred() && stateOf(u) == stateApproved && (status == statusActive || status == statusQuestions)
}
