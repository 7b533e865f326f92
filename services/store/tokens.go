package store

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/services/credential"
)

// An access token is four parts joined by dots: the client id in base64url, the millisecond it ends,
// a nonce, and a keyed hash of these, of the hash of the client's secret and of when the credential was
// made. So every process can check every token without asking anybody, and a token dies with its
// credential and with its secret: a credential that is made again, with the same secret even, is another.
//
// The bucket makes a client's token the same everywhere, and takes tokens back:
//
//	current.<client>  the nonce that is handed out, and since when
//	revoked.<nonce>   says that tokens with this nonce are dead
//
// Entries leave when no token that they speak of can live.

const (
	tokensBucket = "ASSENT_TOKENS"
	// refreshLife is how long a refresh token works: as long again as its access token, so that a
	// client may come back after the end.
	refreshLife = 2 * credential.TokenLife
	// leastLeft is what a token has left when it is handed out.
	leastLeft = time.Minute
	maxToken  = 300 // bytes

	accessPurpose  = "access token v2"
	refreshPurpose = "refresh token v2"
)

func currentKey(clientID string) string { return "current." + clientID }
func revokedKey(nonce string) string    { return "revoked." + nonce }

func tokensOf(ctx context.Context, js jetstream.JetStream, replicas int) (jetstream.KeyValue, error) {
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{
		Bucket: tokensBucket, History: 1, TTL: refreshLife, Replicas: max(1, replicas),
	})
	if err != nil {
		return nil, fmt.Errorf("ensure bucket %s: %w", tokensBucket, err)
	}
	return kv, nil
}

// tokenRecord is the token that a client is given.
type tokenRecord struct {
	Version   int       `json:"version"`
	Nonce     string    `json:"nonce"`
	KeyID     string    `json:"key_id"`
	CreatedAt time.Time `json:"created_at"`
}

// claims are what a token says.
type claims struct {
	purpose  string
	clientID string
	end      time.Time
	nonce    string
}

func (c claims) sum(keys *keyring.Keyring, keyID string, owner credentialRecord) ([]byte, error) {
	return keys.Sum(keyID, keyring.Tokens, c.purpose, c.clientID, strconv.FormatInt(c.end.UnixMilli(), 10), c.nonce, //nolint:wrapcheck // it says what it is
		string(owner.SecretHash), strconv.FormatInt(owner.CreatedAt.UnixMilli(), 10))
}

func (c claims) text(mac []byte) string {
	return strings.Join([]string{
		base64.RawURLEncoding.EncodeToString([]byte(c.clientID)), strconv.FormatInt(c.end.UnixMilli(), 10), c.nonce,
		base64.RawURLEncoding.EncodeToString(mac),
	}, ".")
}

// readToken takes a token apart. Nothing in it is to be believed before genuine has said so.
func readToken(purpose, text string) (c claims, mac []byte, ok bool) {
	parts := strings.Split(text, ".")
	if len(text) > maxToken || len(parts) != 4 || parts[2] == "" {
		return c, nil, false
	}
	client, err1 := base64.RawURLEncoding.Strict().DecodeString(parts[0])
	end, err2 := strconv.ParseInt(parts[1], 10, 64)
	mac, err3 := base64.RawURLEncoding.Strict().DecodeString(parts[3])
	if errors.Join(err1, err2, err3) != nil || strconv.FormatInt(end, 10) != parts[1] { // one token has one spelling
		return c, nil, false
	}
	return claims{purpose, string(client), time.UnixMilli(end), parts[2]}, mac, true
}

// genuine tells whether the claims were signed for this record, with whichever of the keys.
func (c *Credentials) genuine(cl claims, mac []byte, r credentialRecord) bool {
	if len(r.SecretHash) == 0 {
		return false
	}
	for _, keyID := range c.cfg.Keys.IDs() {
		sum, err := cl.sum(c.cfg.Keys, keyID, r)
		if err == nil && hmac.Equal(sum, mac) && r.ClientID == cl.clientID {
			return true
		}
	}
	return false
}

// Bearer is the client of an access token; credential.ErrToken for one that has ended, was revoked or
// made up.
func (c *Credentials) Bearer(ctx context.Context, token string) (credential.Credential, error) {
	cl, mac, ok := readToken(accessPurpose, token)
	if !ok || !c.cfg.Now().Before(cl.end) {
		return credential.Credential{}, credential.ErrToken
	}
	r, err := c.find(ctx, cl.clientID, string(mac), func(r credentialRecord) bool { return c.genuine(cl, mac, r) })
	if errors.Is(err, credential.ErrWrong) || err == nil && c.revoked.has(cl.nonce) {
		return credential.Credential{}, credential.ErrToken
	}
	if err != nil {
		return credential.Credential{}, err
	}
	return r.credential(), nil
}

// Issue is the client's token: the same in every process until it has ended, nearly, or was revoked.
func (c *Credentials) Issue(ctx context.Context, cred credential.Credential) (credential.Token, error) {
	c.mu.RLock()
	known, ok := c.known[cred.ClientID]
	c.mu.RUnlock()
	if !ok {
		return credential.Token{}, credential.ErrWrong // revoked since it was authenticated
	}
	for try := range tries {
		current, revision, err := c.current(ctx, cred.ClientID)
		if err != nil {
			return credential.Token{}, err
		}
		left := current.CreatedAt.Add(credential.TokenLife).Sub(c.cfg.Now())
		if revision > 0 && left >= leastLeft && !c.revoked.has(current.Nonce) {
			t, err := c.token(current, known.record)
			if !errors.Is(err, keyring.ErrNoKey) { // a key that was taken out of the keyring takes its tokens along
				return t, err
			}
		}
		fresh := tokenRecord{events.Version, rand.Text(), c.cfg.Keys.CurrentID(), c.cfg.Now().UTC().Truncate(time.Millisecond)}
		err = c.putCurrent(ctx, cred.ClientID, fresh, revision)
		if err == nil {
			return c.token(fresh, known.record)
		}
		if !outrun(err) {
			return credential.Token{}, unavailable(err)
		}
		if err := pause(ctx, try); err != nil { // somebody else made one: theirs it is
			return credential.Token{}, err
		}
	}
	return credential.Token{}, unavailable(errOutrun)
}

// current is the record of the token that is handed out, at revision 0 where there is none.
func (c *Credentials) current(ctx context.Context, clientID string) (r tokenRecord, revision uint64, err error) {
	e, err := c.tokens.Get(ctx, currentKey(clientID))
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return r, 0, nil
	}
	if err != nil {
		return r, 0, unavailable(err)
	}
	if err := json.Unmarshal(e.Value(), &r); err != nil {
		return r, 0, fmt.Errorf("decode token record: %w", err)
	}
	return r, e.Revision(), nil
}

func (c *Credentials) putCurrent(ctx context.Context, clientID string, r tokenRecord, revision uint64) error {
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode token record: %w", err)
	}
	if revision == 0 {
		_, err = c.tokens.Create(ctx, currentKey(clientID), b)
	} else {
		_, err = c.tokens.Update(ctx, currentKey(clientID), b, revision)
	}
	return err //nolint:wrapcheck // Issue tells the kinds apart
}

// token signs what the record says.
func (c *Credentials) token(r tokenRecord, owner credentialRecord) (credential.Token, error) {
	access := claims{accessPurpose, owner.ClientID, r.CreatedAt.Add(credential.TokenLife), r.Nonce}
	refresh := claims{refreshPurpose, owner.ClientID, r.CreatedAt.Add(refreshLife), r.Nonce}
	accessMAC, err := access.sum(c.cfg.Keys, r.KeyID, owner)
	if err != nil {
		return credential.Token{}, fmt.Errorf("sign token: %w", err)
	}
	refreshMAC, err := refresh.sum(c.cfg.Keys, r.KeyID, owner)
	if err != nil {
		return credential.Token{}, fmt.Errorf("sign token: %w", err)
	}
	return credential.Token{
		Access: access.text(accessMAC), Refresh: refresh.text(refreshMAC), CreatedAt: r.CreatedAt, ExpiresAt: access.end.UTC(),
	}, nil
}

// Refresh takes a token of the client back and issues another. The access token may have ended; the
// refresh token must be the one that came with it. credential.ErrToken where the pair is wrong.
func (c *Credentials) Refresh(ctx context.Context, cred credential.Credential, access, refresh string) (credential.Token, error) {
	a, ok := c.own(cred, accessPurpose, access)
	r, ok2 := c.own(cred, refreshPurpose, refresh)
	if !ok || !ok2 || a.nonce != r.nonce || !c.cfg.Now().Before(r.end) || c.revoked.has(r.nonce) {
		return credential.Token{}, credential.ErrToken
	}
	if err := c.revoke(ctx, cred.ClientID, r.nonce); err != nil {
		return credential.Token{}, err
	}
	return c.Issue(ctx, cred)
}

// RevokeToken takes an access token of the client back, and the refresh token that came with it. One
// that is not the client's is left as it is, without an error.
func (c *Credentials) RevokeToken(ctx context.Context, cred credential.Credential, access string) error {
	cl, ok := c.own(cred, accessPurpose, access)
	if !ok || !c.cfg.Now().Before(cl.end.Add(refreshLife-credential.TokenLife)) {
		return nil
	}
	return c.revoke(ctx, cred.ClientID, cl.nonce)
}

// own reads a token of this client, ended or not.
func (c *Credentials) own(cred credential.Credential, purpose, text string) (claims, bool) {
	cl, mac, ok := readToken(purpose, text)
	if !ok || cl.clientID != cred.ClientID {
		return claims{}, false
	}
	c.mu.RLock()
	known := c.known[cred.ClientID].record
	c.mu.RUnlock()
	return cl, c.genuine(cl, mac, known)
}

// revoke makes a nonce dead everywhere, and then lets the client have another. In this order a
// process that ends in between has revoked too much of nothing.
func (c *Credentials) revoke(ctx context.Context, clientID, nonce string) error {
	if _, err := c.tokens.Put(ctx, revokedKey(nonce), nil); err != nil {
		return unavailable(err)
	}
	c.revoked.add(nonce, c.cfg.Now())
	current, revision, err := c.current(ctx, clientID)
	if err != nil || revision == 0 || current.Nonce != nonce {
		return err
	}
	// Whoever was faster has put another nonce there.
	if err := c.tokens.Delete(ctx, currentKey(clientID), jetstream.LastRevision(revision)); err != nil && !outrun(err) {
		return unavailable(err)
	}
	return nil
}

func (c *Credentials) applyRevocation(e jetstream.KeyValueEntry) {
	if e.Operation() == jetstream.KeyValuePut {
		c.revoked.add(strings.TrimPrefix(e.Key(), revokedKey("")), e.Created())
	}
}

// revocations are the nonces of revoked tokens, for as long as one of them could live.
type revocations struct {
	now func() time.Time

	mu    sync.RWMutex
	ends  map[string]time.Time
	sweep time.Time
}

func newRevocations(now func() time.Time) *revocations {
	return &revocations{now: now, ends: map[string]time.Time{}}
}

func (r *revocations) has(nonce string) bool {
	r.mu.RLock()
	defer r.mu.RUnlock()
	_, ok := r.ends[nonce]
	return ok
}

const sweepEvery = time.Hour

func (r *revocations) add(nonce string, at time.Time) {
	now := r.now()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ends[nonce] = at.Add(refreshLife)
	if now.Before(r.sweep) {
		return
	}
	r.sweep = now.Add(sweepEvery)
	for n, end := range r.ends {
		if now.After(end) {
			delete(r.ends, n)
		}
	}
}
