package secureauth

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/plaintext"
)

// The limits of a profile, in characters where they are of texts.
const (
	maxPropertyName = 64
	maxProperty     = 1024
	maxProperties   = 100
	maxQuestion     = 255
	maxGroupName    = 255
)

// phoneForm is a phone number as people write it.
var phoneForm = regexp.MustCompile(`^\+?[(]?[0-9][0-9 ().-]{1,30}$`)

// profileChange is what a body changes about a profile; the rest stays.
type profileChange struct {
	properties map[string]property
	questions  map[string]*questionChange
	// pin is what the PIN becomes; nil: it stays, empty: it goes.
	pin *string
	// pinHash is that of the new PIN, once hash has run.
	pinHash string
}

// questionChange is a question as a client sends it; an absent part stays.
type questionChange struct {
	Question *string `json:"question"`
	Answer   *string `json:"answer"`
	hash     string
}

// changeReader collects what is wrong with a body, so that one answer names everything.
type changeReader struct {
	change profileChange
	faults []string
}

func (r *changeReader) fault(name, what string) { r.faults = append(r.faults, name+" "+what) }

// change reads what a body changes. It fails with a fault that names all that is wrong.
func (b userBody) change() (profileChange, error) {
	r := changeReader{change: profileChange{properties: map[string]property{}, questions: map[string]*questionChange{}}}
	for _, name := range slices.Sorted(maps.Keys(b.Properties)) {
		r.property(name, bytes.TrimSpace(b.Properties[name]))
	}
	for _, name := range slices.Sorted(maps.Keys(b.KnowledgeBase)) {
		r.question(name, b.KnowledgeBase[name])
	}
	if len(r.faults) > 0 {
		return r.change, rejected(strings.Join(r.faults, "; ") + ".")
	}
	return r.change, nil
}

// property reads one property: a text, or an object as the profile shows it. null leaves it as it is, since
// some SDKs send it for all that they do not set.
func (r *changeReader) property(given string, raw json.RawMessage) {
	name := propertyName(given)
	label := "properties." + cut(name, maxPropertyName)
	if wrong := textFault(name, maxPropertyName); wrong != "" || name == "" {
		r.fault("properties", fmt.Sprintf("must have names of 1 to %d printable characters", maxPropertyName))
		return
	}
	var value struct {
		Value       *text   `json:"value"`
		DisplayName *string `json:"displayName"`
	}
	if raw[0] == '{' {
		if json.Unmarshal(raw, &value) != nil {
			r.fault(label, "must be a string, or an object with value")
			return
		}
	} else if json.Unmarshal(raw, &value.Value) != nil {
		r.fault(label, "must be a string")
		return
	}
	switch {
	case value.Value == nil:
		return
	case name == "pin" || name == "pinHash":
		r.pin(name, string(*value.Value))
		return
	case slices.ContainsFunc(notProperties, func(x string) bool { return strings.EqualFold(x, name) }):
		r.fault(label, "cannot be set as a property")
		return
	}
	p := property{Value: strings.TrimSpace(string(*value.Value))}
	if wrong := propertyFault(name, &p.Value); wrong != "" {
		r.fault(label, wrong)
	}
	if value.DisplayName != nil {
		p.DisplayName = strings.TrimSpace(*value.DisplayName)
		if wrong := textFault(p.DisplayName, maxPropertyName); wrong != "" {
			r.fault(label+".displayName", wrong)
		}
	}
	r.change.properties[name] = p
}

// pin reads the PIN, which either name sets: the reference calls it pinHash, and it is hashed here. An empty
// pinHash is no change, since one SDK sends it with every profile; an empty pin removes the PIN.
func (r *changeReader) pin(name, value string) {
	switch {
	case value == "" && name == "pinHash":
	case value != "" && (len(value) < minPIN || len(value) > maxPIN || strings.Trim(value, "0123456789") != ""):
		r.fault("properties."+name, fmt.Sprintf("must be a PIN of %d to %d digits", minPIN, maxPIN))
	default:
		r.change.pin = &value
	}
}

// question reads one question; null leaves it as it is.
func (r *changeReader) question(given string, raw json.RawMessage) {
	id := questionID(given)
	label := "knowledgeBase." + cut(given, maxPropertyName)
	if id == "" {
		r.fault("knowledgeBase", "must have only the names kbq1 to kbq6 and helpDeskKb")
		return
	}
	var q *questionChange
	if json.Unmarshal(raw, &q) != nil {
		r.fault(label, "must be an object with the strings question and answer")
		return
	}
	if q == nil {
		return
	}
	for name, s := range map[string]*string{"question": q.Question, "answer": q.Answer} {
		if s == nil {
			continue
		}
		*s = strings.TrimSpace(*s)
		if wrong := textFault(*s, maxQuestion); wrong != "" {
			r.fault(label+"."+name, wrong)
		}
	}
	r.change.questions[id] = q
}

// hash hashes the new PIN and the new answers, which is slow and is done once.
func (c *profileChange) hash(ctx context.Context, passwords Passwords) (err error) {
	if c.pin != nil && *c.pin != "" {
		if c.pinHash, err = hashed(ctx, passwords, *c.pin); err != nil {
			return err
		}
	}
	for _, q := range c.questions {
		if q.Answer != nil && *q.Answer != "" {
			if q.hash, err = hashed(ctx, passwords, spoken(*q.Answer)); err != nil {
				return err
			}
		}
	}
	return nil
}

// apply makes the changes.
func (c profileChange) apply(p *profile) error {
	for name, change := range c.properties {
		name = p.spelled(name)
		p.set(name, change.Value)
		if change.DisplayName != "" && change.Value != "" {
			p.Properties[name] = change
		}
	}
	if len(p.Properties) > maxProperties {
		return rejected(fmt.Sprintf("properties must be at most %d together with those that the user has.", maxProperties))
	}
	if c.pin != nil {
		p.PIN = c.pinHash
	}
	p.Questions = maps.Clone(p.Questions)
	for _, id := range slices.Sorted(maps.Keys(c.questions)) {
		if err := p.ask(id, *c.questions[id]); err != nil {
			return err
		}
	}
	return nil
}

// ask changes a question. Both parts empty remove it. An empty answer to the question that stands is what a
// client has that read the profile and sends it back: answers are not shown, so it changes nothing.
func (p *profile) ask(id string, change questionChange) error {
	q := p.Questions[id]
	asked := change.Question != nil && *change.Question != q.Question
	if change.Question != nil {
		q.Question = *change.Question
	}
	if change.hash != "" {
		q.Answer = change.hash
	}
	name := "knowledgeBase." + shownQuestion(id)
	switch {
	case q.Question == "" && change.hash == "":
		delete(p.Questions, id)
		return nil
	case q.Question == "":
		return rejected(name + ".question is required.")
	case q.Answer == "" || asked && change.hash == "":
		return rejected(name + ".answer is required with a new question.")
	}
	if p.Questions == nil {
		p.Questions = map[string]question{}
	}
	p.Questions[id] = q
	return nil
}

// spelled is the name under which the profile has a property, in either case of letters.
func (p *profile) spelled(name string) string {
	for _, own := range slices.Sorted(maps.Keys(p.Properties)) {
		if strings.EqualFold(own, name) {
			return own
		}
	}
	return name
}

// propertyFault says what is wrong with a property's value, and brings addresses into their form.
func propertyFault(name string, value *string) string {
	if wrong := textFault(*value, maxProperty); wrong != "" || *value == "" {
		return wrong
	}
	kind := strings.TrimRight(name, "0123456789")
	switch {
	case !slices.Contains(knownProperties, name):
		return ""
	case name == yubiKeyProperty:
		if *value = strings.ToLower(*value); len(*value) > maxYubiKey || strings.Trim(*value, "cbdefghijklnrtuv") != "" {
			return "must be the public identity of a YubiKey: the first letters that it types, in front of the last 32"
		}
	case kind == "email" || kind == "helpDesk" && strings.Contains(*value, "@"):
		mailbox, err := address.Mailbox(*value)
		if err != nil {
			return err.Error()
		}
		*value = mailbox
	case kind == "phone" || kind == "helpDesk":
		if !phoneForm.MatchString(*value) {
			return "must be a phone number: digits, spaces and ( ) . - after a + or none"
		}
		// Without a country code only the time of sending shows whether it can be dialled.
		if strings.HasPrefix(*value, "+") {
			if _, err := address.Phone(*value); err != nil {
				return err.Error()
			}
		}
	default:
		if utf8.RuneCountInString(*value) > maxQuestion {
			return fmt.Sprintf("must be at most %d characters", maxQuestion)
		}
	}
	return ""
}

// textFault says what is wrong with a text.
func textFault(s string, longest int) string {
	if utf8.RuneCountInString(s) > longest {
		return fmt.Sprintf("must be at most %d characters", longest)
	}
	if strings.ContainsFunc(s, plaintext.Unshowable) {
		return "must not hold control characters or characters that change the direction of text"
	}
	return ""
}
