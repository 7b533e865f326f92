package store

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/verification"
)

// CredentialsConfig is what the credentials need.
type CredentialsConfig struct {
	// Keys makes and checks access tokens; it holds the root key, or that of keyring.Tokens.
	Keys *keyring.Keyring
	// Replicas of the buckets; zero: one.
	Replicas int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Credentials keeps the clients that may call the API, and their tokens. Only hashes of their secrets
// are stored: the secrets are random, so a plain SHA-256 cannot be searched. Each process holds all of
// them in memory, kept current by a watch, so that checking one costs no round trip.
type Credentials struct {
	follower
	cfg     CredentialsConfig
	kv      jetstream.KeyValue
	tokens  jetstream.KeyValue
	lookups *lookups

	mu    sync.RWMutex
	known map[string]knownCredential
	// seen is the revision that the watch has come to.
	seen    uint64
	revoked *revocations
}

type knownCredential struct {
	record   credentialRecord
	revision uint64
}

type credentialRecord struct {
	Version    int    `json:"version"`
	ClientID   string `json:"client_id"`
	SecretHash []byte `json:"secret_hash"`
	// Records of before there were accounts and scopes lack what follows.
	Account    string            `json:"account,omitempty"`
	Name       string            `json:"name,omitempty"`
	Scope      credential.Scope  `json:"scope,omitempty"`
	Compat     credential.Compat `json:"compat,omitempty"`
	NumericIDs bool              `json:"numeric_ids,omitempty"`
	// PlainApprovals is absent where numbers are matched.
	PlainApprovals bool      `json:"plain_approvals,omitempty"`
	CreatedAt      time.Time `json:"created_at"`
}

func recordOf(c credential.Credential, secretHash []byte) credentialRecord {
	return credentialRecord{
		Version: events.Version, ClientID: c.ClientID, SecretHash: secretHash, Account: c.Account, Name: c.Name,
		Scope: c.Scope, Compat: c.Compat, NumericIDs: c.NumericIDs, PlainApprovals: c.PlainApprovals, CreatedAt: c.CreatedAt,
	}
}

func (r credentialRecord) credential() credential.Credential {
	return credential.Credential{
		ClientID: r.ClientID, Name: r.Name, Account: cmp.Or(r.Account, r.ClientID), Scope: cmp.Or(r.Scope, credential.ManageAll),
		Compat: cmp.Or(r.Compat, credential.CompatDefault), NumericIDs: r.NumericIDs,
		PlainApprovals: r.PlainApprovals, CreatedAt: r.CreatedAt,
	}
}

// NewCredentials opens the buckets and returns once everything in them is known. Close ends the watches.
func NewCredentials(ctx context.Context, js jetstream.JetStream, cfg CredentialsConfig) (*Credentials, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	c := &Credentials{
		cfg: cfg, known: map[string]knownCredential{}, lookups: newLookups(cfg.Now), revoked: newRevocations(cfg.Now),
	}
	var err error
	if c.kv, err = bucket(ctx, js, credentialsBucket, cfg.Replicas); err != nil {
		return nil, err
	}
	if c.tokens, err = tokensOf(ctx, js, cfg.Replicas); err != nil {
		return nil, err
	}
	if err = c.follow(ctx, js, c.kv, ">", c.apply); err == nil {
		err = c.follow(ctx, js, c.tokens, revokedKey("*"), c.applyRevocation)
	}
	if err != nil {
		c.Close()
		return nil, fmt.Errorf("load credentials: %w", err)
	}
	return c, nil
}

func (c *Credentials) apply(e jetstream.KeyValueEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seen = max(c.seen, e.Revision())
	if c.known[e.Key()].revision > e.Revision() {
		return
	}
	if r, ok := readCredential(e); ok {
		c.known[e.Key()] = knownCredential{r, e.Revision()}
		return
	}
	delete(c.known, e.Key())
}

// readCredential is the record of an entry; false for one that was removed.
func readCredential(e jetstream.KeyValueEntry) (r credentialRecord, ok bool) {
	if e.Operation() != jetstream.KeyValuePut || json.Unmarshal(e.Value(), &r) != nil || r.ClientID != e.Key() {
		return credentialRecord{}, false
	}
	return r, true
}

// learn takes in what was read or written past the watch, and returns what holds now: the watch may
// have been faster, and then it knows better.
func (c *Credentials) learn(r credentialRecord, revision uint64) (credentialRecord, bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.known[r.ClientID]
	if ok && known.revision >= revision {
		return known.record, true
	}
	if !ok && c.seen >= revision {
		return credentialRecord{}, false // removed since
	}
	c.known[r.ClientID] = knownCredential{r, revision}
	return r, true
}

// ValidClientID tells whether a client id can be stored: 1 to 64 letters, digits, dashes or underscores.
func ValidClientID(id string) bool { return credentialForm.MatchString(id) }

// Authenticate is the credential that the secret belongs to; credential.ErrWrong without one.
func (c *Credentials) Authenticate(ctx context.Context, clientID, secret string) (credential.Credential, error) {
	hash := sha256.Sum256([]byte(secret))
	r, err := c.find(ctx, clientID, string(hash[:]), func(r credentialRecord) bool {
		// An unknown client compares against an empty hash: it takes as long and never matches.
		return subtle.ConstantTimeCompare(r.SecretHash, hash[:]) == 1
	})
	if err != nil {
		return credential.Credential{}, err
	}
	return r.credential(), nil
}

// find is the client's record, where it fits what the client sent; credential.ErrWrong where it does
// not. Both an unknown client and a proof that does not fit are looked up in the bucket once before
// they count as such: the watch may lag behind a credential that another process has just made or
// changed. It takes the same path for both, so that the time does not tell them apart.
func (c *Credentials) find(ctx context.Context, clientID, proof string, fits func(credentialRecord) bool) (credentialRecord, error) {
	c.mu.RLock()
	known := c.known[clientID].record
	c.mu.RUnlock()
	if fits(known) {
		return known, nil
	}
	if !ValidClientID(clientID) {
		return credentialRecord{}, credential.ErrWrong
	}
	var found credentialRecord
	err := c.lookups.do(ctx, sha256.Sum256([]byte(clientID+"\x00"+proof)), func(ctx context.Context) (fit bool, err error) {
		found, _, err = c.get(ctx, clientID)
		if errors.Is(err, verification.ErrNotFound) {
			return false, nil
		}
		return err == nil && fits(found), err
	})
	return found, err
}

// get reads a record from the bucket.
func (c *Credentials) get(ctx context.Context, clientID string) (r credentialRecord, revision uint64, err error) {
	e, err := c.kv.Get(ctx, clientID)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return r, 0, verification.ErrNotFound
	}
	if err != nil {
		return r, 0, unavailable(err)
	}
	r, ok := readCredential(e)
	if !ok {
		return r, 0, fmt.Errorf("decode credential: the record at revision %d is none", e.Revision())
	}
	if r, ok = c.learn(r, e.Revision()); !ok {
		return r, 0, verification.ErrNotFound
	}
	return r, e.Revision(), nil
}

// Ensure stores the credential that the operator configured, in place of an older one of the same id.
// It can manage everything, and has an account of its own: one that another account made is refused,
// or what the operator keeps would be that account's.
func (c *Credentials) Ensure(ctx context.Context, clientID, secret string) error {
	if !ValidClientID(clientID) {
		return errors.New("client id must be 1 to 64 letters, digits, dashes or underscores")
	}
	known, err := c.Authenticate(ctx, clientID, secret)
	if err == nil && known.Account == clientID {
		return nil
	}
	cred := credential.Credential{ClientID: clientID, Account: clientID, Compat: credential.CompatDefault, CreatedAt: c.cfg.Now().UTC()}
	switch r, _, err := c.get(ctx, clientID); {
	case err == nil:
		if cred = r.credential(); cred.Account != clientID {
			return fmt.Errorf("client id %s belongs to the account %s; revoke it there, or choose another", clientID, cred.Account)
		}
	case !errors.Is(err, verification.ErrNotFound):
		return err
	}
	cred.Scope = credential.ManageAll
	hash := sha256.Sum256([]byte(secret))
	b, err := json.Marshal(recordOf(cred, hash[:]))
	if err != nil {
		return fmt.Errorf("encode credential: %w", err)
	}
	revision, err := c.kv.Put(ctx, clientID, b)
	if err != nil {
		return fmt.Errorf("store credential: %w", err)
	}
	c.learn(recordOf(cred, hash[:]), revision) // the watch would bring it, but the caller may use it at once
	return nil
}

var errOutrun = errors.New("other writers were faster each time")

// outrun tells whether a write failed because the key is not at the revision that it was read at.
func outrun(err error) bool {
	return errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch)
}

// pause waits a little longer each time, so that a replica that lags has caught up.
func pause(ctx context.Context, try int) error {
	t := time.NewTimer(time.Duration(try) * 5 * time.Millisecond)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err() //nolint:wrapcheck // as good as what the next call would say
	}
}
