package store

import (
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
)

// ErrCredential says that a client id is unknown or its secret wrong; which of the two is not told.
var ErrCredential = errors.New("unknown client or wrong secret")

// Credentials keeps the clients that may call the API. Only hashes of their secrets are stored:
// the secrets are random, so a plain SHA-256 cannot be searched. Each process holds all of them in
// memory, kept current by a watch, so that checking one costs no round trip.
type Credentials struct {
	kv   jetstream.KeyValue
	stop func() error
	done chan struct{}

	mu    sync.RWMutex
	known map[string]credentialRecord
}

type credentialRecord struct {
	Version    int       `json:"version"`
	ClientID   string    `json:"client_id"`
	SecretHash []byte    `json:"secret_hash"`
	CreatedAt  time.Time `json:"created_at"`
}

// NewCredentials opens the bucket and returns once everything in it is known. Close ends the watch.
func NewCredentials(ctx context.Context, js jetstream.JetStream, replicas int) (*Credentials, error) {
	kv, err := bucket(ctx, js, credentialsBucket, replicas)
	if err != nil {
		return nil, err
	}
	// The watch outlives ctx, which bounds the opening only.
	w, err := kv.WatchAll(context.WithoutCancel(ctx))
	if err != nil {
		return nil, fmt.Errorf("watch credentials: %w", err)
	}
	c := &Credentials{kv: kv, stop: w.Stop, done: make(chan struct{}), known: map[string]credentialRecord{}}
	loaded := make(chan struct{})
	go func() {
		defer close(c.done)
		for e := range w.Updates() {
			if e == nil { // everything that was there has been seen
				close(loaded)
				continue
			}
			c.apply(e)
		}
	}()
	select {
	case <-loaded:
		return c, nil
	case <-ctx.Done():
		c.Close()
		return nil, fmt.Errorf("load credentials: %w", ctx.Err())
	}
}

// Close ends the watch.
func (c *Credentials) Close() {
	_ = c.stop()
	<-c.done
}

func (c *Credentials) apply(e jetstream.KeyValueEntry) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if e.Operation() != jetstream.KeyValuePut {
		delete(c.known, e.Key())
		return
	}
	var r credentialRecord
	if json.Unmarshal(e.Value(), &r) == nil && r.ClientID == e.Key() {
		c.known[e.Key()] = r
	}
}

// ValidClientID tells whether a client id can be stored: 1 to 64 letters, digits, dashes or underscores.
func ValidClientID(id string) bool { return credentialForm.MatchString(id) }

// Ensure stores a credential, in place of an older one of the same id.
func (c *Credentials) Ensure(ctx context.Context, clientID, secret string) error {
	if !ValidClientID(clientID) {
		return errors.New("client id must be 1 to 64 letters, digits, dashes or underscores")
	}
	if c.Authenticate(ctx, clientID, secret) == nil {
		return nil
	}
	hash := sha256.Sum256([]byte(secret))
	r := credentialRecord{events.Version, clientID, hash[:], time.Now().UTC()}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode credential: %w", err)
	}
	if _, err := c.kv.Put(ctx, clientID, b); err != nil {
		return fmt.Errorf("store credential: %w", err)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[clientID] = r // the watch would bring it, but the caller may use it at once
	return nil
}

// Authenticate fails with ErrCredential unless the secret belongs to the client.
func (c *Credentials) Authenticate(_ context.Context, clientID, secret string) error {
	c.mu.RLock()
	r := c.known[clientID]
	c.mu.RUnlock()
	hash := sha256.Sum256([]byte(secret))
	// An unknown client compares against an empty hash: it takes as long and never matches.
	if subtle.ConstantTimeCompare(r.SecretHash, hash[:]) != 1 {
		return ErrCredential
	}
	return nil
}
