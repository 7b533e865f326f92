package httpapi_test

import (
	"context"
	"slices"
	"strings"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/verification"
)

// client is a credential of the store in memory, with its secret and its access token in clear.
type client struct {
	credential.Credential
	secret, token string
}

// colleague is another client of shop's account.
const colleague = "colleague"

const shopToken = "c2hvcA.1795255471.9mYx"

// newClients are shop and its colleague, who share an account, and another that has one of its own.
func newClients() []client {
	return []client{
		{credential.Credential{ClientID: shop, Account: shop, Scope: credential.ManageAll, Compat: credential.CompatDefault}, shopSecret, shopToken},
		{credential.Credential{ClientID: colleague, Account: shop, Scope: credential.ManageUsers, Compat: credential.CompatDefault}, shopSecret, "token-of-the-colleague"},
		{credential.Credential{ClientID: other, Account: other, Scope: credential.ManageAll, Compat: credential.CompatDefault}, shopSecret, "token-of-the-other"},
	}
}

func (m *memory) find(is func(client) bool, otherwise error) (credential.Credential, error) {
	err := m.lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.clients, is)
	if err != nil || i < 0 {
		return credential.Credential{}, firstErr(err, otherwise)
	}
	return m.clients[i].Credential, nil
}

func (m *memory) Authenticate(_ context.Context, id, secret string) (credential.Credential, error) {
	return m.find(func(c client) bool { return c.ClientID == id && c.secret == secret }, credential.ErrWrong)
}

// Bearer works even while the store is made to fail.
func (m *memory) Bearer(_ context.Context, token string) (credential.Credential, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, c := range m.clients {
		if c.token == token {
			return c.Credential, nil
		}
	}
	return credential.Credential{}, credential.ErrToken
}

func (m *memory) CreateCredential(_ context.Context, c credential.Credential) (string, error) {
	err := m.lock()
	defer m.mu.Unlock()
	if slices.ContainsFunc(m.clients, func(known client) bool { return known.ClientID == c.ClientID }) {
		err = firstErr(err, credential.ErrExists)
	}
	if err != nil {
		return "", err
	}
	secret := "secret-of-" + c.ClientID
	m.clients = append(m.clients, client{c, secret, "token-of-" + c.ClientID})
	return secret, nil
}

func (m *memory) ListCredentials(_ context.Context, account string) ([]credential.Credential, error) {
	err := m.lock()
	defer m.mu.Unlock()
	var list []credential.Credential
	for _, c := range m.clients {
		if c.Account == account {
			list = append(list, c.Credential)
		}
	}
	slices.SortFunc(list, func(a, b credential.Credential) int { return strings.Compare(a.ClientID, b.ClientID) })
	return list, err
}

func (m *memory) Credential(_ context.Context, account, id string) (credential.Credential, error) {
	return m.find(func(c client) bool { return c.Account == account && c.ClientID == id }, verification.ErrNotFound)
}

func (m *memory) UpdateCredential(
	ctx context.Context, account, id string, change func(*credential.Credential),
) (credential.Credential, error) {
	if _, err := m.Credential(ctx, account, id); err != nil {
		return credential.Credential{}, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	i := slices.IndexFunc(m.clients, func(c client) bool { return c.ClientID == id })
	after := m.clients[i].Credential
	change(&after)
	if !after.Scope.Allows(credential.ManageCredentials) && m.last(account, id) {
		return credential.Credential{}, credential.ErrLast
	}
	m.clients[i].Credential = after
	return after, nil
}

func (m *memory) RevokeCredential(ctx context.Context, account, id string) error {
	if _, err := m.Credential(ctx, account, id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.last(account, id) {
		return credential.ErrLast
	}
	m.clients = slices.DeleteFunc(m.clients, func(c client) bool { return c.ClientID == id })
	return nil
}

// last tells whether no other client of the account manages its credentials.
func (m *memory) last(account, id string) bool {
	return !slices.ContainsFunc(m.clients, func(c client) bool {
		return c.ClientID != id && c.Account == account && c.Scope.Allows(credential.ManageCredentials)
	})
}
