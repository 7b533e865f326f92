package httpapi

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"regexp"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// maxReasonText is the longest reason that is kept, in characters.
const maxReasonText = 200

const clientIDRule = "must be 1 to 64 letters, digits, dashes or underscores"

var clientIDForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

// CreateCredential makes a client of the own account, and tells its secret this once.
func (s *Server) CreateCredential(w http.ResponseWriter, r *http.Request) {
	client, err := s.authenticate(w, r, credential.ManageCredentials)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.CreateCredential](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	c := credential.Credential{
		ClientID: request.ClientID, Name: request.Name, Account: client.Account, Scope: credential.Scope(request.Scope),
		Compat: credential.Compat(request.Compat), CreatedAt: s.config.Now().UTC().Truncate(time.Millisecond),
	}
	if c.ClientID == "" {
		c.ClientID = "c-" + strings.ToLower(rand.Text()[:20])
	} else if !clientIDForm.MatchString(c.ClientID) {
		f.add("client_id", clientIDRule)
	}
	if c.Compat == "" {
		c.Compat = credential.CompatDefault
	}
	if c.NumericIDs = c.Compat.NumericIDs(); request.NumericIds != nil {
		c.NumericIDs = *request.NumericIds
	}
	c.PlainApprovals = request.NumberMatching != nil && !*request.NumberMatching
	f.credential(c)
	f.reason(request.Reason, request.NumberMatching)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.audited(r.Context(), client, audit.Entry{
		Action: audit.CredentialCreated, Subject: c.ClientID, Reason: request.Reason, Details: policyDetails(c),
	}); err != nil {
		s.fail(w, r, err)
		return
	}
	secret, err := s.config.Credentials.CreateCredential(r.Context(), c)
	if err != nil {
		s.fail(w, r, fmt.Errorf("create credential: %w", err))
		return
	}
	w.Header().Set("Location", "/v1/credentials/"+c.ClientID)
	wire := credentialWire(c)
	writeJSON(w, http.StatusCreated, api.CreatedCredential{
		ClientID: wire.ClientID, Name: wire.Name, Scope: wire.Scope, Compat: wire.Compat, NumericIds: wire.NumericIds,
		NumberMatching: wire.NumberMatching, CreatedAt: wire.CreatedAt, ClientSecret: secret,
	})
}

// credential checks what a client may choose about a credential.
func (f *faults) credential(c credential.Credential) {
	f.text("name", c.Name, maxName)
	if !c.Scope.Valid() {
		f.add("scope", "must be "+choice(credential.Scopes()))
	}
	if !c.Compat.Valid() {
		f.add("compat", "must be "+choice(credential.Compats()))
	}
}

// choice lists names as a person reads them.
func choice[T ~string](names []T) string {
	var b strings.Builder
	for i, name := range names {
		switch {
		case i > 0 && i == len(names)-1:
			b.WriteString(" or ")
		case i > 0:
			b.WriteString(", ")
		}
		b.WriteString(string(name))
	}
	return b.String()
}

// ListCredentials lists the clients of the own account.
func (s *Server) ListCredentials(w http.ResponseWriter, r *http.Request) {
	client, err := s.authenticate(w, r, credential.ManageCredentials)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	credentials, err := s.config.Credentials.ListCredentials(r.Context(), client.Account)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list credentials: %w", err))
		return
	}
	list := api.CredentialList{Data: make([]api.Credential, 0, len(credentials))}
	for _, c := range credentials {
		list.Data = append(list.Data, credentialWire(c))
	}
	writeJSON(w, http.StatusOK, list)
}

// GetCredential reads a client of the own account.
func (s *Server) GetCredential(w http.ResponseWriter, r *http.Request, id contract.ClientID) {
	client, err := s.manages(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	c, err := s.config.Credentials.Credential(r.Context(), client.Account, id)
	if err != nil {
		s.fail(w, r, fmt.Errorf("read credential: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, credentialWire(c))
}

// UpdateCredential changes what is sent and leaves the rest.
func (s *Server) UpdateCredential(w http.ResponseWriter, r *http.Request, id contract.ClientID) {
	client, err := s.manages(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.UpdateCredential](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	change := func(c *credential.Credential) {
		if request.Name != nil {
			c.Name = *request.Name
		}
		if request.Scope != "" {
			c.Scope = credential.Scope(request.Scope)
		}
		if request.Compat != "" {
			c.Compat = credential.Compat(request.Compat)
		}
		if request.NumericIds != nil {
			c.NumericIDs = *request.NumericIds
		}
		if request.NumberMatching != nil {
			c.PlainApprovals = !*request.NumberMatching
		}
	}
	// What is not sent is right already: any value of its type will do in its place.
	wanted := credential.Credential{Scope: credential.ReadUsers, Compat: credential.CompatDefault}
	change(&wanted)
	f.credential(wanted)
	f.reason(request.Reason, request.NumberMatching)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.auditUpdate(r.Context(), client, id, request); err != nil {
		s.fail(w, r, err)
		return
	}
	c, err := s.config.Credentials.UpdateCredential(r.Context(), client.Account, id, change)
	if err != nil {
		s.fail(w, r, fmt.Errorf("update credential: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, credentialWire(c))
}

// auditUpdate records a change of a credential that is there.
func (s *Server) auditUpdate(ctx context.Context, client credential.Credential, id string, request api.UpdateCredential) error {
	if _, err := s.config.Credentials.Credential(ctx, client.Account, id); err != nil {
		return fmt.Errorf("update credential: %w", err)
	}
	details := map[string]string{}
	if request.Scope != "" {
		details["scope"] = string(request.Scope)
	}
	if request.NumberMatching != nil {
		details["number_matching"] = onOff(*request.NumberMatching)
	}
	return s.audited(ctx, client, audit.Entry{
		Action: audit.CredentialUpdated, Subject: id, Reason: request.Reason, Details: details,
	})
}

// policyDetails is what of a new credential belongs into the audit log.
func policyDetails(c credential.Credential) map[string]string {
	return map[string]string{"scope": string(c.Scope), "number_matching": onOff(!c.PlainApprovals)}
}

func onOff(on bool) string {
	if on {
		return "on"
	}
	return "off"
}

// reason checks why a policy is set as it is. Whoever lets people approve without a number says why.
func (f *faults) reason(reason string, matching *bool) {
	f.text("reason", reason, maxReasonText)
	if matching != nil && !*matching && strings.TrimSpace(reason) == "" {
		f.add("reason", "is required where number_matching is turned off")
	}
}

// RevokeCredential ends a client of the own account, its tokens with it.
func (s *Server) RevokeCredential(w http.ResponseWriter, r *http.Request, id contract.ClientID) {
	client, err := s.manages(w, r, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.audited(r.Context(), client, audit.Entry{Action: audit.CredentialRevoked, Subject: id}); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.config.Credentials.RevokeCredential(r.Context(), client.Account, id); err != nil {
		s.fail(w, r, fmt.Errorf("revoke credential: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// manages authenticates a client that may manage credentials. A client id that cannot be one never
// reaches the store, where it would become part of a key.
func (s *Server) manages(w http.ResponseWriter, r *http.Request, id string) (credential.Credential, error) {
	client, err := s.authenticate(w, r, credential.ManageCredentials)
	if err == nil && !clientIDForm.MatchString(id) {
		err = verification.ErrNotFound
	}
	return client, err
}

func credentialWire(c credential.Credential) api.Credential {
	return api.Credential{
		ClientID: c.ClientID, Name: c.Name, Scope: api.Scope(c.Scope), Compat: api.Compat(c.Compat),
		NumericIds: c.NumericIDs, NumberMatching: !c.PlainApprovals, CreatedAt: c.CreatedAt.UTC(),
	}
}
