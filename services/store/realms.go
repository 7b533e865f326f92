package store

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

// RealmsConfig is what the realms need.
type RealmsConfig struct {
	// Keys seals the application keys; it holds the root key, or that of keyring.Records.
	Keys *keyring.Keyring
	// Replicas of the bucket; zero: one.
	Replicas int
	// Now is the clock; nil: time.Now.
	Now func() time.Time
}

// Realms keeps the realms of all accounts, with their keys sealed. Each process holds all of them in
// memory, kept current by a watch, so that checking a signature costs no round trip.
//
// The bucket has one entry for each realm, under its application id. Names must be unique too, and so
// a new name is stored only while the bucket stands where this process has read it to: whatever
// another process did in between refuses the write.
type Realms struct {
	follower
	cfg     RealmsConfig
	kv      jetstream.KeyValue
	pub     *stream.Publisher
	lookups *lookups // by application id, which anybody can cause
	names   *lookups // by name, which those who manage realms can cause

	mu    sync.RWMutex
	known map[string]knownRealm
	// seen is the revision that the watch has come to.
	seen uint64
}

const realmsBucket = "ASSENT_REALMS"

// NewRealms opens the bucket and returns once everything in it is known. Close ends the watch.
func NewRealms(ctx context.Context, js jetstream.JetStream, cfg RealmsConfig) (*Realms, error) {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	r := &Realms{
		cfg: cfg, pub: stream.NewPublisher(js), lookups: newLookups(cfg.Now), names: newLookups(cfg.Now),
		known: map[string]knownRealm{},
	}
	var err error
	if r.kv, err = bucket(ctx, js, realmsBucket, cfg.Replicas); err != nil {
		return nil, err
	}
	var before uint64
	if before, err = lastOf(ctx, js, realmsBucket); err == nil {
		err = r.follow(ctx, js, r.kv, ">", r.apply)
	}
	if err != nil {
		r.Close()
		return nil, fmt.Errorf("load realms: %w", err)
	}
	r.mu.Lock()
	r.seen = max(r.seen, before) // the last entry may be a mark of removal that an operator has swept away
	r.mu.Unlock()
	return r, nil
}

// lastOf is the revision that a bucket stands at.
func lastOf(ctx context.Context, js jetstream.JetStream, name string) (uint64, error) {
	s, err := js.Stream(ctx, "KV_"+name)
	if err != nil {
		return 0, fmt.Errorf("look at bucket: %w", err)
	}
	return s.CachedInfo().State.LastSeq, nil
}

func (r *Realms) apply(e jetstream.KeyValueEntry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.seen = max(r.seen, e.Revision())
	if r.known[e.Key()].revision > e.Revision() {
		return
	}
	if rec, ok := readRealm(e); ok {
		r.known[e.Key()] = r.opened(rec, e.Revision())
		return
	}
	delete(r.known, e.Key())
}

// learn takes in what was read or written past the watch; false where the watch knows that it was
// removed since.
func (r *Realms) learn(rec realmRecord, revision uint64) (knownRealm, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := realmKey(rec.AppID)
	k, ok := r.known[key]
	switch {
	case ok && k.revision >= revision:
		return k, true
	case !ok && r.seen >= revision:
		return knownRealm{}, false
	}
	k = r.opened(rec, revision)
	r.known[key] = k
	return k, true
}

// forget takes out what was removed at a revision. The watch would do it, but the caller may rely on
// it at once.
func (r *Realms) forget(key string, revision uint64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.known[key].revision <= revision {
		delete(r.known, key)
	}
}

// get reads a realm from the bucket.
func (r *Realms) get(ctx context.Context, key string) (knownRealm, error) {
	e, err := r.kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return knownRealm{}, verification.ErrNotFound
	}
	if err != nil {
		return knownRealm{}, unavailable(err)
	}
	rec, ok := readRealm(e)
	if !ok {
		return knownRealm{}, fmt.Errorf("decode realm: the record at revision %d is none", e.Revision())
	}
	k, ok := r.learn(rec, e.Revision())
	if !ok {
		return knownRealm{}, verification.ErrNotFound
	}
	return k, nil
}

// Realm is the realm of an application id, with the keys that calls may be signed with, the present one
// first. An application id that this process does not know is looked up once before it counts as
// unknown: the watch may lag behind a realm that another process has just made.
func (r *Realms) Realm(ctx context.Context, appID string) (realm.Realm, [][]byte, error) {
	if !realm.ValidAppID(appID) {
		return realm.Realm{}, nil, realm.ErrUnknown
	}
	key := realmKey(appID)
	r.mu.RLock()
	k, ok := r.known[key]
	r.mu.RUnlock()
	if !ok {
		err := r.lookups.do(ctx, sha256.Sum256([]byte(key)), func(ctx context.Context) (fit bool, err error) {
			k, err = r.get(ctx, key)
			if errors.Is(err, verification.ErrNotFound) {
				return false, nil
			}
			return err == nil, err
		})
		if errors.Is(err, credential.ErrWrong) {
			err = realm.ErrUnknown
		}
		if err != nil {
			return realm.Realm{}, nil, err
		}
	}
	keys, err := k.keysAt(r.cfg.Now())
	if err != nil {
		return realm.Realm{}, nil, fmt.Errorf("open key of the realm %s: %w", k.record.Name, err)
	}
	return k.record.realm(), keys, nil
}

// Realms lists the realms of an account by name, as this process knows them: what another process does
// shows within moments.
func (r *Realms) Realms(_ context.Context, account string) ([]realm.Realm, error) {
	var list []realm.Realm
	r.mu.RLock()
	for _, k := range r.known {
		if k.record.Account == account {
			list = append(list, k.record.realm())
		}
	}
	r.mu.RUnlock()
	slices.SortFunc(list, func(a, b realm.Realm) int { return strings.Compare(a.Name, b.Name) })
	return list, nil
}

// RealmByName reads a realm of an account, whatever the letter case of the name; verification.ErrNotFound
// for those of others.
func (r *Realms) RealmByName(ctx context.Context, account, name string) (realm.Realm, error) {
	k, err := r.owned(ctx, account, name)
	return k.record.realm(), err
}

// owned reads a realm of an account from the bucket.
func (r *Realms) owned(ctx context.Context, account, name string) (knownRealm, error) {
	k, ok := r.named(name)
	if !ok {
		// Another process may have made it just now. Names stand in the records only, so all are read.
		err := r.names.do(ctx, sha256.Sum256([]byte(strings.ToLower(name))), func(ctx context.Context) (bool, error) {
			if err := r.readAll(ctx); err != nil {
				return false, err
			}
			k, ok = r.named(name)
			return ok, nil
		})
		if errors.Is(err, credential.ErrWrong) {
			err = verification.ErrNotFound
		}
		if err != nil {
			return knownRealm{}, err
		}
	}
	k, err := r.get(ctx, realmKey(k.record.AppID))
	if err == nil && (k.record.Account != account || !strings.EqualFold(k.record.Name, name)) {
		err = verification.ErrNotFound
	}
	if err != nil {
		return knownRealm{}, err
	}
	return k, nil
}

// readAll takes in the whole bucket.
func (r *Realms) readAll(ctx context.Context) error {
	t := table{kv: r.kv}
	return t.pass(ctx, ">", func(key string, value []byte, revision uint64) error {
		if rec, ok := decodeRealm(key, value); ok {
			r.learn(rec, revision)
		}
		return nil
	})
}

// named is the realm that this process knows by a name, of any account.
func (r *Realms) named(name string) (knownRealm, bool) {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return r.namedLocked(name)
}

func (r *Realms) namedLocked(name string) (knownRealm, bool) {
	for _, k := range r.known {
		if strings.EqualFold(k.record.Name, name) {
			return k, true
		}
	}
	return knownRealm{}, false
}
