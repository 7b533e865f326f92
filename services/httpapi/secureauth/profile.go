package secureauth

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/cases"
	"golang.org/x/text/unicode/norm"

	"github.com/assent-io/assent/services/device"
)

// The states in which a user may not authenticate.
const (
	stateDisabled        = "disabled"
	stateLocked          = "lock_out"
	statePasswordExpired = "password_expired"
	stateAccountExpired  = "account_expired"
	stateInvalidGroup    = "invalid_group"
)

const (
	// profileAttribute is where this door keeps what the other doors have no field for.
	profileAttribute = "secureauth"
	// maxProfile is how many bytes that may be, apart from the user's state and history.
	maxProfile = 32 << 10
	// maxHistory is how many accesses are remembered, the last ones.
	maxHistory = 20
)

// profile is all that this door knows of a user. Names and the first phone and mailbox are the user's
// own, so that every door sees the same ones; the rest is one document among the user's attributes.
type profile struct {
	// Properties are by their name as it is shown: firstName, phone1, auxId1, and what clients name freely.
	Properties map[string]property `json:"properties,omitempty"`
	// Questions are by the id of their factor: KBQ1 to KBQ6, and HelpDeskKb.
	Questions map[string]question `json:"questions,omitempty"`
	// PIN is the hash of the PIN; empty: none is set.
	PIN string `json:"pin,omitempty"`
	// Closed is the state of a user who is out for another reason than a lock: disabled, account_expired or
	// invalid_group. Such a user is disabled for the other doors.
	Closed string `json:"closed,omitempty"`
	// PasswordExpiredAt is when the password expired; zero: it has not. A later password of any door counts.
	PasswordExpiredAt time.Time         `json:"password_expired_at,omitzero"`
	Groups            []string          `json:"groups,omitempty"`
	History           []access          `json:"history,omitempty"`
	Ported            map[string]ported `json:"ported,omitempty"` // by E.164 number
}

type property struct {
	Value       string `json:"value"`
	DisplayName string `json:"display_name,omitempty"`
}

// question is a security question with the hash of its answer.
type question struct {
	Question string `json:"question"`
	Answer   string `json:"answer"`
}

// access is one entry of the access history, in the form in which it is shown too.
type access struct {
	UserAgent string    `json:"userAgent"`
	IPAddress string    `json:"ipAddress"`
	At        time.Time `json:"timeStamp"`
	AuthState string    `json:"authState"`
}

// profileOf reads a user's profile.
func profileOf(u device.User) (profile, error) {
	var p profile
	if kept := u.Attributes[profileAttribute]; kept != "" {
		if err := json.Unmarshal([]byte(kept), &p); err != nil {
			return p, fmt.Errorf("decode profile: %w", err)
		}
	}
	if p.Properties == nil {
		p.Properties = map[string]property{}
	}
	// The phone is kept as the client wrote it too. Once another door has changed the user's, that is the past.
	if typed := p.text("phone1"); dialable(typed) != u.Phone {
		p.set("phone1", u.Phone)
	}
	p.set("firstName", u.GivenName)
	p.set("lastName", u.FamilyName)
	p.set("email1", u.Email)
	switch { // another door has let them in again, or put them out
	case !u.Disabled:
		p.Closed = ""
	case p.Closed == "":
		p.Closed = stateDisabled
	}
	return p, nil
}

// into writes the profile to the user. It fails with a fault where it is too large.
func (p profile) into(u *device.User) error {
	given, family := p.text("firstName"), p.text("lastName")
	if given != u.GivenName || family != u.FamilyName {
		u.GivenName, u.FamilyName = given, family
		full := []rune(strings.TrimSpace(given + " " + family))
		u.Name = string(full[:min(len(full), 100)]) // as long as the native API has names
	}
	u.Email = p.text("email1")
	if phone := p.text("phone1"); phone != u.Phone {
		u.Phone = dialable(phone)
	}
	p.Properties = maps.Clone(p.Properties)
	for _, own := range []string{"firstName", "lastName", "email1"} {
		delete(p.Properties, own)
	}
	if p.text("phone1") == u.Phone {
		delete(p.Properties, "phone1")
	}
	kept, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encode profile: %w", err)
	}
	if p.oversize() {
		return rejected(fmt.Sprintf("properties, knowledgeBase and groups are over %d KiB together.", maxProfile>>10))
	}
	u.Attributes = maps.Clone(u.Attributes)
	if u.Attributes == nil {
		u.Attributes = map[string]string{}
	}
	u.Attributes[profileAttribute] = string(kept)
	return nil
}

// oversize tells whether what clients put into the profile is over its bound. The user's state and the
// history do not count: they have bounds of their own, and a full profile must not keep anybody from
// closing a user.
func (p profile) oversize() bool {
	p.Closed, p.PasswordExpiredAt, p.History = "", time.Time{}, nil
	kept, err := json.Marshal(p)
	return err != nil || len(kept) > maxProfile
}

// text is the value of a property; empty where there is none.
func (p profile) text(name string) string { return p.Properties[name].Value }

// set changes the value of a property; an empty one removes it.
func (p profile) set(name, value string) {
	if value == "" {
		delete(p.Properties, name)
		return
	}
	was := p.Properties[name]
	was.Value = value
	p.Properties[name] = was
}

// phones are the numbers by the id of their factor, Phone1 to Phone4, as the profile has them written.
func (p profile) phones() map[string]string { return p.numbered("phone", "Phone", 4) }

// emails are the addresses by the id of their factor, Email1 to Email4.
func (p profile) emails() map[string]string { return p.numbered("email", "Email", 4) }

// helpDesks are the numbers or addresses of the help desks, HelpDesk1 and HelpDesk2.
func (p profile) helpDesks() map[string]string { return p.numbered("helpDesk", "HelpDesk", 2) }

func (p profile) numbered(name, id string, last int) map[string]string {
	found := map[string]string{}
	for n := 1; n <= last; n++ {
		if value := p.text(fmt.Sprint(name, n)); value != "" {
			found[fmt.Sprint(id, n)] = value
		}
	}
	return found
}

// questions are the texts of the questions that can be asked, KBQ1 to KBQ6.
func (p profile) questions() map[string]string {
	found := map[string]string{}
	for id, q := range p.Questions {
		if strings.HasPrefix(id, "KBQ") && q.Answer != "" {
			found[id] = q.Question
		}
	}
	return found
}

// hasPIN tells whether the user has set a PIN.
func (p profile) hasPIN() bool { return p.PIN != "" }

// state is why the user may not authenticate; empty: they may.
func (p profile) state(u device.User) string {
	switch {
	case u.Disabled:
		return cmp.Or(p.Closed, stateDisabled)
	case u.Locked:
		return stateLocked
	case !p.PasswordExpiredAt.IsZero() && !u.PasswordChangedAt.After(p.PasswordExpiredAt):
		return statePasswordExpired
	default:
		return ""
	}
}

// checkPIN compares a PIN. Without one it takes as long, and is wrong.
func (p profile) checkPIN(ctx context.Context, passwords Passwords, pin string) (bool, error) {
	return check(ctx, passwords, p.PIN, pin)
}

// checkAnswer compares the answer to a question, which is named by the id of its factor.
func (p profile) checkAnswer(ctx context.Context, passwords Passwords, id, answer string) (bool, error) {
	return check(ctx, passwords, p.Questions[id].Answer, spoken(answer))
}

// spoken is an answer as it is compared: people do not remember how they spaced and capitalised it.
func spoken(answer string) string {
	return cases.Fold().String(norm.NFKC.String(strings.Join(strings.Fields(answer), " ")))
}

// enter closes a user: state is one of disabled, account_expired, invalid_group.
func (p *profile) enter(u *device.User, state string) { p.Closed, u.Disabled = state, true }

// leave lets a closed user in again, but for a lock.
func (p *profile) leave(u *device.User) { p.Closed, u.Disabled = "", false }

// visited adds to the access history, which forgets the oldest.
func (p *profile) visited(a access) {
	p.History = append(slices.Clone(p.History), a)
	p.History = p.History[max(0, len(p.History)-maxHistory):]
}

// cut is a text of at most so many characters.
func cut(s string, longest int) string {
	if utf8.RuneCountInString(s) <= longest {
		return s
	}
	return string([]rune(s)[:longest])
}
