// Package audit describes the audit log: who did what to what, when, and why. It is pure;
// package store keeps the log, the API writes what clients do, and the verifier what people
// say. An entry names ids and settings, never a code, a key or an address.
package audit

import "time"

// Entry is something that somebody did.
type Entry struct {
	// ID is the entry's place in the log. It is zero until the entry is stored.
	ID      uint64
	Account string
	// EventID names what can be told twice, for RecordOnce: letters, digits and dashes.
	EventID string
	// Actor is the client id that did it, or Person.
	Actor  string
	Action Action
	// Subject is the id of what it was done to, and UserID the user whom it is about; either may be empty.
	Subject, UserID string
	// Reason is why, in the words of who did it.
	Reason string
	// Details belong to the action: settings by their names, counts, kinds.
	Details map[string]string
	At      time.Time
}

// Person is the actor of what the person who was asked did.
const Person = "person"

// Action is what was done.
type Action string

// The actions.
const (
	CredentialCreated Action = "credential.created"
	CredentialUpdated Action = "credential.updated"
	CredentialRevoked Action = "credential.revoked"
	// DeviceReactivated: an activation code was given out with which another phone takes a device's place.
	DeviceReactivated Action = "device.reactivated"
	// DeviceCopied: a phone with the key of a device is behind another one with the same key.
	DeviceCopied Action = "device.copied"
	// What stands in for a lost device was given out, taken back, or brought by the person.
	RecoveryCodesCreated Action = "recovery_codes.created"
	RecoveryCodesRemoved Action = "recovery_codes.removed"
	BypassTokenCreated   Action = "bypass_token.created"
	BypassTokenRemoved   Action = "bypass_token.removed"
	UserRecovered        Action = "user.recovered"
	// A link to the page where a user enrols their own devices was given out, or taken back.
	EnrolmentCreated   Action = "enrolment.created"
	EnrolmentWithdrawn Action = "enrolment.withdrawn"
	// What a person did to their own devices, on that page.
	DeviceAdded   Action = "device.added"
	DeviceRenamed Action = "device.renamed"
	DeviceRemoved Action = "device.removed"
	// DevicesOrdered: others of a user's devices come first.
	DevicesOrdered Action = "device_order.changed"
	// NotMe: the person said that somebody else asked in their name.
	NotMe Action = "verification.not_me"
	// SuppressionRemoved: an address gets messages again.
	SuppressionRemoved Action = "suppression.removed"
)

// Filter is what the log is asked for. Its zero value fits all.
type Filter struct {
	Action  Action
	Subject string // or the user whom it is about
	// Before is the place in the log before which the page begins; zero: at its newest.
	Before uint64
	Limit  int
}

// Fits tells whether an entry is one that the filter wants.
func (f Filter) Fits(e Entry) bool {
	return (f.Action == "" || f.Action == e.Action) && (f.Subject == "" || f.Subject == e.Subject || f.Subject == e.UserID)
}
