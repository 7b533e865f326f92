package store

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/verification"
)

// What an account does with its credentials: it makes, lists, changes and revokes them, and sees
// those of no other account.

// CreateCredential stores a new credential and returns its secret, which is kept nowhere. It fails
// with credential.ErrExists where any account has the client id.
func (c *Credentials) CreateCredential(ctx context.Context, cred credential.Credential) (secret string, err error) {
	if !ValidClientID(cred.ClientID) || !ValidClientID(cred.Account) || !cred.Scope.Valid() || !cred.Compat.Valid() {
		return "", errors.New("store credential: it is not complete")
	}
	secret = rand.Text()
	hash := sha256.Sum256([]byte(secret))
	r := recordOf(cred, hash[:])
	b, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encode credential: %w", err)
	}
	revision, err := c.kv.Create(ctx, cred.ClientID, b)
	if outrun(err) {
		return "", credential.ErrExists
	}
	if err != nil {
		return "", unavailable(err)
	}
	c.learn(r, revision)
	return secret, nil
}

// ListCredentials lists the credentials of an account by client id, as this process knows them: what
// another process does shows within moments.
func (c *Credentials) ListCredentials(_ context.Context, account string) ([]credential.Credential, error) {
	var list []credential.Credential
	c.mu.RLock()
	for _, k := range c.known {
		if cred := k.record.credential(); cred.Account == account {
			list = append(list, cred)
		}
	}
	c.mu.RUnlock()
	slices.SortFunc(list, func(a, b credential.Credential) int { return strings.Compare(a.ClientID, b.ClientID) })
	return list, nil
}

// Credential reads a credential of an account; verification.ErrNotFound for those of others.
func (c *Credentials) Credential(ctx context.Context, account, clientID string) (credential.Credential, error) {
	r, _, err := c.owned(ctx, account, clientID)
	return r.credential(), err
}

func (c *Credentials) owned(ctx context.Context, account, clientID string) (credentialRecord, uint64, error) {
	if !ValidClientID(clientID) {
		return credentialRecord{}, 0, verification.ErrNotFound
	}
	r, revision, err := c.get(ctx, clientID)
	if err == nil && r.credential().Account != account {
		return credentialRecord{}, 0, verification.ErrNotFound
	}
	return r, revision, err
}

// tries is how often a write is tried again that another process was faster than.
const tries = 10

// UpdateCredential stores what change leaves of name, scope, compat and numeric ids; the rest stays.
// It fails with credential.ErrLast where nobody could manage the account's credentials any more. That
// is looked up, not locked: two of the last two that are narrowed at the same moment both are. The
// operator's bootstrap credential is the way back in.
func (c *Credentials) UpdateCredential(
	ctx context.Context, account, clientID string, change func(*credential.Credential),
) (credential.Credential, error) {
	for try := range tries {
		old, revision, err := c.owned(ctx, account, clientID)
		if err != nil {
			return credential.Credential{}, err
		}
		before := old.credential()
		after := before
		change(&after)
		after.ClientID, after.Account, after.CreatedAt = before.ClientID, before.Account, before.CreatedAt
		if !after.Scope.Allows(credential.ManageCredentials) && c.last(before) {
			return credential.Credential{}, credential.ErrLast
		}
		r := recordOf(after, old.SecretHash)
		b, err := json.Marshal(r)
		if err != nil {
			return credential.Credential{}, fmt.Errorf("encode credential: %w", err)
		}
		revision, err = c.kv.Update(ctx, clientID, b, revision)
		switch {
		case err == nil:
			c.learn(r, revision)
			return after, nil
		case !outrun(err):
			return credential.Credential{}, unavailable(err)
		}
		if err := pause(ctx, try); err != nil {
			return credential.Credential{}, err
		}
	}
	return credential.Credential{}, unavailable(errOutrun)
}

// RevokeCredential removes a credential, and its tokens are dead with it. It fails with
// credential.ErrLast as UpdateCredential does.
func (c *Credentials) RevokeCredential(ctx context.Context, account, clientID string) error {
	for try := range tries {
		r, revision, err := c.owned(ctx, account, clientID)
		if err != nil {
			return err
		}
		if c.last(r.credential()) {
			return credential.ErrLast
		}
		err = c.kv.Delete(ctx, clientID, jetstream.LastRevision(revision))
		switch {
		case err == nil:
			c.mu.Lock()
			if c.known[clientID].revision <= revision {
				delete(c.known, clientID) // the watch would do it, but the caller may rely on it at once
			}
			c.mu.Unlock()
			return nil
		case !outrun(err):
			return unavailable(err)
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return unavailable(errOutrun)
}

// last tells whether a credential is the only one of its account that can manage credentials.
func (c *Credentials) last(cred credential.Credential) bool {
	if !cred.Scope.Allows(credential.ManageCredentials) {
		return false
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	for id, k := range c.known {
		other := k.record.credential()
		if id != cred.ClientID && other.Account == cred.Account && other.Scope.Allows(credential.ManageCredentials) {
			return false
		}
	}
	return true
}
