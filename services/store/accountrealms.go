package store

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

// What an account does with its realms: it makes, changes, rotates and removes them, and sees those of
// no other account.

// CreateRealm stores a new realm. An application id that is empty and a key that is nil are drawn. It
// returns the realm as stored with its key, and fails with realm.ErrExists where any account has the
// name, in whatever letter case, or the application id.
func (r *Realms) CreateRealm(ctx context.Context, x realm.Realm, key []byte) (realm.Realm, []byte, error) {
	if x.AppID == "" {
		x.AppID = hex.EncodeToString(drawn(appIDBytes))
	}
	if key == nil {
		key = drawn(appKeyBytes)
	}
	if x.CreatedAt.IsZero() {
		x.CreatedAt = r.cfg.Now().UTC().Truncate(time.Millisecond)
	}
	rec, err := r.sealed(x, key)
	if err != nil {
		return realm.Realm{}, nil, err
	}
	for try := range insertTries {
		r.mu.RLock()
		seen, other, taken := r.seen, realmKey(x.AppID), false
		if _, taken = r.known[other]; !taken {
			var k knownRealm
			k, taken = r.namedLocked(x.Name)
			other = realmKey(k.record.AppID)
		}
		r.mu.RUnlock()
		if taken {
			err = r.stands(ctx, other)
		} else {
			err = r.insert(ctx, rec, seen)
		}
		if !errors.Is(err, stream.ErrConflict) {
			break
		}
		if err := pause(ctx, try); err != nil {
			return realm.Realm{}, nil, err
		}
	}
	if errors.Is(err, stream.ErrConflict) {
		err = unavailable(errOutrun)
	}
	if err != nil {
		return realm.Realm{}, nil, err
	}
	return rec.realm(), key, nil
}

const (
	appIDBytes  = 16
	appKeyBytes = 32
	// insertTries bounds the writes of a new name, each of which waits for the watch to come by what
	// others wrote: a second in all.
	insertTries = 20
)

func drawn(size int) []byte {
	b := make([]byte, size)
	rand.Read(b)
	return b
}

// stands is realm.ErrExists for a realm that is in the way, and stream.ErrConflict for one that another
// process has removed.
func (r *Realms) stands(ctx context.Context, key string) error {
	_, err := r.get(ctx, key)
	switch {
	case err == nil:
		return realm.ErrExists
	case errors.Is(err, verification.ErrNotFound):
		return stream.ErrConflict
	default:
		return err
	}
}

// insert writes a record while the bucket stands at seen; stream.ErrConflict where it has moved on.
func (r *Realms) insert(ctx context.Context, rec realmRecord, seen uint64) error {
	b, err := json.Marshal(rec)
	if err != nil {
		return fmt.Errorf("encode realm: %w", err)
	}
	at := stream.WithHeader(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(seen, 10))
	revision, err := r.pub.Put(ctx, "$KV."+realmsBucket+"."+realmKey(rec.AppID), b, at)
	if errors.Is(err, stream.ErrConflict) {
		return err
	}
	if err != nil {
		return unavailable(err)
	}
	r.learn(rec, revision) // the watch would bring it, but the caller may use it at once
	return nil
}

// update writes what change leaves of a realm of the account.
func (r *Realms) update(ctx context.Context, account, name string, change func(*realmRecord) error) (realm.Realm, error) {
	for try := range tries {
		k, err := r.owned(ctx, account, name)
		if err != nil {
			return realm.Realm{}, err
		}
		rec := k.record.clone()
		if err := change(&rec); err != nil {
			return realm.Realm{}, err
		}
		b, err := json.Marshal(rec)
		if err != nil {
			return realm.Realm{}, fmt.Errorf("encode realm: %w", err)
		}
		revision, err := r.kv.Update(ctx, realmKey(rec.AppID), b, k.revision)
		switch {
		case err == nil:
			r.learn(rec, revision)
			return rec.realm(), nil
		case !outrun(err):
			return realm.Realm{}, unavailable(err)
		}
		if err := pause(ctx, try); err != nil {
			return realm.Realm{}, err
		}
	}
	return realm.Realm{}, unavailable(errOutrun)
}

// UpdateRealm stores the settings as change leaves them, and returns what is stored. change may be
// called again where somebody else was faster.
func (r *Realms) UpdateRealm(ctx context.Context, account, name string, change func(*realm.Settings)) (realm.Realm, error) {
	return r.update(ctx, account, name, func(rec *realmRecord) error {
		s := rec.Settings.settings()
		change(&s)
		rec.Settings = settingsOf(s)
		return nil
	})
}

// RotateRealm draws another key. The key before it stays good for the overlap, and so does one before
// that, where its own has not ended sooner; without an overlap every older key stops at once.
func (r *Realms) RotateRealm(ctx context.Context, account, name string, overlap time.Duration) (realm.Realm, []byte, error) {
	key := drawn(appKeyBytes)
	x, err := r.update(ctx, account, name, func(rec *realmRecord) error {
		now := r.cfg.Now().UTC().Truncate(time.Millisecond)
		fresh, err := r.seal(rec.AppID, key)
		if err != nil {
			return err
		}
		rec.overlapUntil(now.Add(overlap), now)
		rec.Keys, rec.RotatedAt = slices.Insert(rec.Keys, 0, fresh), now
		return nil
	})
	if err != nil {
		return realm.Realm{}, nil, err
	}
	return x, key, nil
}

// DeleteRealm removes a realm; the users of its account stay.
func (r *Realms) DeleteRealm(ctx context.Context, account, name string) error {
	for try := range tries {
		k, err := r.owned(ctx, account, name)
		if err != nil {
			return err
		}
		if err = r.remove(ctx, k); !outrun(err) {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return unavailable(errOutrun)
}

func (r *Realms) remove(ctx context.Context, k knownRealm) error {
	key := realmKey(k.record.AppID)
	err := r.kv.Delete(ctx, key, jetstream.LastRevision(k.revision))
	switch {
	case err == nil:
		r.forget(key, k.revision)
		return nil
	case outrun(err):
		return err //nolint:wrapcheck // the caller tries again
	default:
		return unavailable(err)
	}
}

// EnsureRealm stores the realm that the operator configured, with that key and no other. The settings
// of the one that it takes the place of stay: one of the same account with the name or the application
// id. It fails where either belongs to another account, or what the operator keeps would be that one's.
func (r *Realms) EnsureRealm(ctx context.Context, x realm.Realm, key []byte) error {
	for try := range insertTries {
		err := r.ensure(ctx, x, key)
		if !errors.Is(err, stream.ErrConflict) && !outrun(err) {
			return err
		}
		if err := pause(ctx, try); err != nil {
			return err
		}
	}
	return unavailable(errOutrun)
}

func (r *Realms) ensure(ctx context.Context, x realm.Realm, key []byte) error {
	now := r.cfg.Now()
	r.mu.RLock()
	seen := r.seen
	same, isThere := r.known[realmKey(x.AppID)]
	namesake, isNamed := knownRealm{}, false
	for id, k := range r.known {
		if id != realmKey(x.AppID) && strings.EqualFold(k.record.Name, x.Name) {
			namesake, isNamed = k, true
		}
	}
	r.mu.RUnlock()
	for _, k := range []knownRealm{same, namesake} {
		if k.revision > 0 && k.record.Account != x.Account {
			return fmt.Errorf("the realm %s of the account %s has this name or application id; remove it there, or choose others",
				k.record.Name, k.record.Account)
		}
	}
	present, err := same.keysAt(now)
	sameKeys := err == nil && len(present) == 1 && bytes.Equal(present[0], key)
	if !isThere || same.record.Name != x.Name || !sameKeys {
		x.CreatedAt = now.UTC().Truncate(time.Millisecond)
		switch {
		case isThere:
			x.Settings, x.CreatedAt, x.RotatedAt = same.record.Settings.settings(), same.record.CreatedAt, same.record.RotatedAt
			if !sameKeys {
				x.RotatedAt = now.UTC().Truncate(time.Millisecond)
			}
		case isNamed:
			x.Settings, x.CreatedAt = namesake.record.Settings.settings(), namesake.record.CreatedAt
		}
		rec, err := r.sealed(x, key)
		if err != nil {
			return err
		}
		if err := r.insert(ctx, rec, seen); err != nil {
			return err
		}
	}
	if isNamed { // only now, so that a process that ends here leaves the settings to the next
		return r.remove(ctx, namesake)
	}
	return nil
}
