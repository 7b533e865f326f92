// Package credential describes the clients that may call the API: to whom they belong,
// what they may do, and which form of a foreign dialect they are used to. It is pure;
// package store keeps them, and every door asks it what a client is allowed.
package credential

import (
	"errors"
	"slices"
	"time"
)

// Credential is one client of the API. Its secret is known to the client only: what is kept is a hash.
type Credential struct {
	ClientID string
	// Name is what people call it; may be empty.
	Name string
	// Account owns what this client makes: users, devices, verifications. Clients of one account
	// share them, each within its scope.
	Account string
	Scope   Scope
	// Compat and NumericIDs choose among the forms that OneLogin's sources disagree on.
	Compat     Compat
	NumericIDs bool
	// PlainApprovals lets the links and approvals that it asks for go without a number to match.
	PlainApprovals bool
	CreatedAt      time.Time
}

// Scope is what a credential is for. The five are those of OneLogin's API credentials, and hold for
// every door.
type Scope string

// The scopes.
const (
	AuthenticationOnly Scope = "authentication_only"
	ReadUsers          Scope = "read_users"
	ManageUsers        Scope = "manage_users"
	ReadAll            Scope = "read_all"
	ManageAll          Scope = "manage_all"
)

// Scopes lists all scopes, the narrowest first.
func Scopes() []Scope {
	return []Scope{AuthenticationOnly, ReadUsers, ManageUsers, ReadAll, ManageAll}
}

// Valid tells whether s is one of the scopes.
func (s Scope) Valid() bool { return slices.Contains(Scopes(), s) }

// Permission is what one call needs.
type Permission string

// The permissions.
const (
	// Verify: ask people, check their answers, log them in.
	Verify Permission = "verify"
	// ReadPeople: read users, their devices, and how verifications stand.
	ReadPeople Permission = "read_people"
	// ManagePeople: create, change and remove users and their devices.
	ManagePeople Permission = "manage_people"
	// ManageCredentials: create, change and revoke credentials of the own account.
	ManageCredentials Permission = "manage_credentials"
	// ManageLetters: look at the dead letters of the own account, replay and drop them.
	ManageLetters Permission = "manage_letters"
	// ManageProviders: look at how the providers stand, pause and resume them, for all accounts.
	ManageProviders Permission = "manage_providers"
	// ManageSuppressions: read and change the list of those who get no messages.
	ManageSuppressions Permission = "manage_suppressions"
	// ReadTemplates: read the templates of the own account, and preview messages.
	ReadTemplates Permission = "read_templates"
	// ManageTemplates: save and remove templates of the own account.
	ManageTemplates Permission = "manage_templates"
	// ReadAudit: read the audit log of the own account.
	ReadAudit Permission = "read_audit"
)

// permissions is the whole table. A client that only authenticates people reads what it asked itself,
// so reading a verification needs no permission of its own: every scope has it.
var permissions = map[Scope][]Permission{
	AuthenticationOnly: {Verify},
	ReadUsers:          {ReadPeople},
	ManageUsers:        {Verify, ReadPeople, ManagePeople},
	ReadAll:            {ReadPeople, ReadTemplates, ReadAudit},
	ManageAll: {
		Verify, ReadPeople, ManagePeople, ManageCredentials, ManageLetters, ManageProviders, ManageSuppressions, ReadTemplates, ManageTemplates,
		ReadAudit,
	},
}

// Allows tells whether this scope has the permission.
func (s Scope) Allows(p Permission) bool { return slices.Contains(permissions[s], p) }

// Compat is the form of OneLogin's dialect that a client is used to, where its sources contradict
// each other.
type Compat string

// The forms: the one that most SDKs take, the documentation's pages, and one for each SDK.
const (
	CompatDefault Compat = "default"
	CompatDocs    Compat = "docs"
	CompatGo      Compat = "go"
	CompatNode    Compat = "node"
	CompatPython  Compat = "python"
	CompatJava    Compat = "java"
	CompatDotnet  Compat = "dotnet"
)

// Compats lists all forms, the default first.
func Compats() []Compat {
	return []Compat{CompatDefault, CompatDocs, CompatGo, CompatNode, CompatPython, CompatJava, CompatDotnet}
}

// Valid tells whether c is one of the forms.
func (c Compat) Valid() bool { return slices.Contains(Compats(), c) }

// NumericIDs tells whether clients of this form need numbers where identifiers are UUIDs: OneLogin's
// Go SDK takes no other.
func (c Compat) NumericIDs() bool { return c == CompatGo }

// TokenLife is how long an access token works unless it is revoked: what OneLogin's do.
const TokenLife = 10 * time.Hour

// Token is an access token with what belongs to it.
type Token struct {
	Access, Refresh      string
	CreatedAt, ExpiresAt time.Time
}

// What authentication refuses with.
var (
	// ErrWrong: unknown client or wrong secret; which of the two is not told.
	ErrWrong = errors.New("unknown client or wrong secret")
	// ErrToken: the token is not one of ours, has ended, or was revoked.
	ErrToken = errors.New("access token is not valid")
	// ErrExists: the account, or another one, has a credential of this client id already.
	ErrExists = errors.New("client id is taken")
	// ErrLast: revoking it would leave the account without a credential that can manage credentials.
	ErrLast = errors.New("it is the last credential that can manage credentials")
)
