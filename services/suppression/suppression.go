// Package suppression describes the list of those who get no messages: whom an entry
// covers, for whose messages and why, and which replies by text message put a number on
// it or take it off. It is pure; package store keeps the list, the callbacks and the API
// write it, and whoever sends asks it.
package suppression

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Entry is one address that gets no messages, within its scope.
type Entry struct {
	// ID names the entry without telling the address. It is empty until the entry is stored.
	ID string
	// Channel is sms for every phone number: texts and calls are one.
	Channel Channel
	// To is the full address. Lists leave it empty and show ToMasked.
	To, ToMasked string
	Scope        Scope
	// Account and ClientID are whose messages are kept back, as the scope says.
	Account, ClientID string
	Covers            Covers
	Cause             Cause
	// Provider and Detail are who reported it and with which code, where a provider did.
	Provider, Detail string
	// Note is what the one who added it wanted to remember.
	Note string
	At   time.Time
	// Until is when it ends by itself; zero: it does not.
	Until time.Time
	// UserID is whose devices on the channel are all kept back; empty where it is the one address.
	UserID string
}

// Ended tells whether an entry that ends by itself has.
func (e Entry) Ended(now time.Time) bool { return !e.Until.IsZero() && !now.Before(e.Until) }

// Channel is the kind of an address.
type Channel string

// The kinds of addresses. A phone number is one kind, however it is reached: who writes STOP to a sender
// wants no calls from it either.
const (
	SMS   Channel = "sms"
	Email Channel = "email"
	Push  Channel = "push"
)

// Channels lists all kinds of addresses.
func Channels() []Channel { return []Channel{SMS, Email, Push} }

// Valid tells whether c is one of the kinds.
func (c Channel) Valid() bool { return slices.Contains(Channels(), c) }

// Of is the kind of the addresses that a channel of messages reaches; false for one that reaches none.
func Of(channel string) (Channel, bool) {
	if channel == "voice" {
		return SMS, true
	}
	return Channel(channel), Channel(channel).Valid()
}

// Scope is whose messages an entry keeps back.
type Scope string

// The scopes.
const (
	// Everybody: the messages of all accounts. Only what providers report has this scope: senders are shared
	// by all accounts, and a provider that refuses an address refuses it to all.
	Everybody Scope = "everybody"
	// Account: the messages of one account.
	Account Scope = "account"
	// OneCredential: those of one credential of the account.
	OneCredential Scope = "credential"
)

// Scopes lists all scopes, the widest first.
func Scopes() []Scope { return []Scope{Everybody, Account, OneCredential} }

// Valid tells whether s is one of the scopes.
func (s Scope) Valid() bool { return slices.Contains(Scopes(), s) }

// Covers is what an entry keeps back.
type Covers string

// What an entry covers.
const (
	All           Covers = "all"
	Notifications Covers = "notifications" // verifications are still sent
	Verifications Covers = "verifications" // notifications are still sent; of the cause NotMe only
)

// Valid tells whether c is one that can be asked for.
func (c Covers) Valid() bool { return c == All || c == Notifications }

// Cause is why an address is on the list.
type Cause string

// The causes.
const (
	Stop       Cause = "stop"
	Bounce     Cause = "bounce"
	SpamReport Cause = "spam_report"
	DeviceGone Cause = "device_gone"
	Manual     Cause = "manual"
	Imported   Cause = "imported"
	// NotMe: the person said that a request was not theirs. It ends by itself.
	NotMe Cause = "not_me"
)

// Causes lists all causes.
func Causes() []Cause { return append(Lasting(), NotMe) }

// Lasting lists those of entries that stay until somebody removes them.
func Lasting() []Cause { return []Cause{Stop, Bounce, SpamReport, DeviceGone, Manual, Imported} }

// Valid tells whether c is one of the causes.
func (c Cause) Valid() bool { return slices.Contains(Causes(), c) }

// Explain is a clause for whoever is told that nothing is sent: why.
func (c Cause) Explain() string {
	switch c {
	case Stop:
		return "the person asked for no more messages"
	case Bounce:
		return "the mail server said that there is no such mailbox"
	case SpamReport:
		return "the person reported a message as spam"
	case DeviceGone:
		return "the app is no longer installed there"
	case Manual:
		return "it was put on the list by hand"
	case Imported:
		return "it was on an imported list"
	case NotMe:
		return "the person said that a request was not theirs"
	default:
		return "it is on the list"
	}
}

// Filter is what a list is asked for. Its zero value fits all.
type Filter struct {
	// To is a full address, in its usual form.
	To      string
	Cause   Cause
	Channel Channel
	Scope   Scope
	// Before is the place in the list before which the page begins; zero: at its newest.
	Before uint64
	Limit  int
}

// Fits tells whether an entry is one that the filter wants, by everything but the address.
func (f Filter) Fits(e Entry) bool {
	return (f.Cause == "" || f.Cause == e.Cause) && (f.Channel == "" || f.Channel == e.Channel) && (f.Scope == "" || f.Scope == e.Scope)
}

// ErrOperators says that an entry holds for everybody, and that only the operator may take it off the list.
var ErrOperators = errors.New("suppression is the operator's to remove")

// ErrSealed says that an entry cannot be opened: the key of its address has left the keyring.
var ErrSealed = errors.New("suppressed address cannot be opened")

// Place is one step of a verification whose address is on the list; step 0 is the one that was asked for.
type Place struct {
	Step  int
	Entry Entry
}

// RefusedError says that nothing is sent because an address is on the list. Its text tells no address.
type RefusedError struct{ Places []Place }

func (e *RefusedError) Error() string {
	why := make([]string, len(e.Places))
	for i, p := range e.Places {
		why[i] = fmt.Sprintf("step %d (%s)", p.Step, p.Entry.Cause)
	}
	return "address gets no messages: " + strings.Join(why, ", ")
}

var idForm = regexp.MustCompile(`^([A-Za-z0-9_-]{22})\.(e|[af]-[A-Za-z0-9_-]{1,64}|c-[A-Za-z0-9_-]{1,64}~[A-Za-z0-9_-]{1,64})$`)

// ID is the id of the entry of a destination in a scope, as both stand in its subject.
func ID(destination, scope string) string { return destination + "." + scope }

// ParseID takes an id apart; ok tells that it has the form of one.
func ParseID(id string) (destination, scope string, ok bool) {
	m := idForm.FindStringSubmatch(id)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}
