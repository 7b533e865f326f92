package store

import (
	"context"
	"crypto/hmac"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/recovery"
	"github.com/assent-io/assent/services/verification"
)

// guessRecovery is the kind of the guesses that Recover counts.
const guessRecovery = "recovery"

func recoveryKey(account, userID string) string { return "recovery." + account + "." + userID }
func bypassKey(account, userID string) string   { return "bypass." + account + "." + userID }

// codesRecord is what stands for the recovery codes that are left: they are one entry, so that new ones replace all.
type codesRecord struct {
	Version   int       `json:"version"`
	KeyID     string    `json:"key_id"`
	Hashes    [][]byte  `json:"hashes"`
	CreatedAt time.Time `json:"created_at"`
}

// bypassRecord is all open bypass tokens of a user: they are one entry, so that their number can be bounded.
type bypassRecord struct {
	Version int           `json:"version"`
	Tokens  []bypassToken `json:"tokens"`
}

type bypassToken struct {
	ID    string `json:"id"`
	KeyID string `json:"key_id"`
	Hash  []byte `json:"hash"`
	// Reason is sealed: people write names into it.
	Reason    events.Sealed `json:"reason"`
	UsesLeft  int           `json:"uses_left"`
	CreatedAt time.Time     `json:"created_at"`
	ExpiresAt time.Time     `json:"expires_at"`
}

// ReplaceRecoveryCodes stores a user's recovery codes in place of all earlier ones. The codes are as recovery.Read gives
// them; their hashes are kept.
func (u *Users) ReplaceRecoveryCodes(ctx context.Context, account, userID string, codes []verification.Code, at time.Time) error {
	r := codesRecord{Version: events.Version, KeyID: u.cfg.Keys.CurrentID(), CreatedAt: at.UTC()}
	for _, c := range codes {
		sum, err := u.sumRecovery(r.KeyID, recovery.Code, account, userID, c)
		if err != nil {
			return err
		}
		r.Hashes = append(r.Hashes, sum)
	}
	b, err := json.Marshal(r)
	if err != nil {
		return fmt.Errorf("encode recovery codes: %w", err)
	}
	if err := u.users.put(ctx, recoveryKey(account, userID), b, 0); err != nil {
		return fmt.Errorf("store recovery codes: %w", err)
	}
	return nil
}

// RecoveryCodes tells what is left of a user's recovery codes; the zero Stock where there are none.
func (u *Users) RecoveryCodes(ctx context.Context, account, userID string) (recovery.Stock, error) {
	r, _, err := u.codes(ctx, account, userID, u.users.get)
	return recovery.Stock{Left: len(r.Hashes), CreatedAt: r.CreatedAt}, err
}

// RemoveRecoveryCodes makes all recovery codes of a user worthless; none is no error.
func (u *Users) RemoveRecoveryCodes(ctx context.Context, account, userID string) error {
	return u.drop(ctx, recoveryKey(account, userID))
}

// AddBypassToken stores a bypass token, which leaves by itself. It fails with recovery.ErrCrowded where the user has as
// many as may be open.
func (u *Users) AddBypassToken(ctx context.Context, account, userID string, t recovery.BypassToken, secret verification.Code) error {
	stored := bypassToken{
		ID: t.ID, KeyID: u.cfg.Keys.CurrentID(), UsesLeft: t.UsesLeft, CreatedAt: t.CreatedAt.UTC(), ExpiresAt: t.ExpiresAt.UTC(),
	}
	var err error
	if stored.Hash, err = u.sumRecovery(stored.KeyID, recovery.Token, account, userID, secret); err != nil {
		return err
	}
	if stored.Reason, err = u.cfg.Keys.Seal(keyring.Recovery, t.ID, []byte(t.Reason)); err != nil {
		return fmt.Errorf("seal reason of bypass token: %w", err)
	}
	return u.changeBypass(ctx, account, userID, func(tokens []bypassToken) ([]bypassToken, error) {
		if len(tokens) >= recovery.MaxTokens {
			return nil, recovery.ErrCrowded
		}
		return append(tokens, stored), nil
	})
}

// BypassTokens lists a user's open bypass tokens, the oldest first.
func (u *Users) BypassTokens(ctx context.Context, account, userID string) ([]recovery.BypassToken, error) {
	stored, _, err := u.bypass(ctx, account, userID, u.users.get)
	if err != nil {
		return nil, err
	}
	tokens := make([]recovery.BypassToken, 0, len(stored))
	for _, t := range stored {
		reason, err := u.cfg.Keys.Open(keyring.Recovery, t.ID, t.Reason)
		if errors.Is(err, keyring.ErrNoKey) {
			continue // it does not work either
		}
		if err != nil {
			return nil, fmt.Errorf("open reason of bypass token: %w", err)
		}
		tokens = append(tokens, recovery.BypassToken{
			ID: t.ID, Reason: string(reason), CreatedAt: t.CreatedAt, ExpiresAt: t.ExpiresAt, UsesLeft: t.UsesLeft,
		})
	}
	return tokens, nil
}

// RemoveBypassToken takes an open bypass token back; verification.ErrNotFound where there is none with this id.
func (u *Users) RemoveBypassToken(ctx context.Context, account, userID, id string) error {
	return u.changeBypass(ctx, account, userID, func(tokens []bypassToken) ([]bypassToken, error) {
		left := slices.DeleteFunc(tokens, func(t bypassToken) bool { return t.ID == id })
		if len(left) == len(tokens) {
			return nil, verification.ErrNotFound
		}
		return left, nil
	})
}

// Recover uses up a recovery code or one use of a bypass token: of all who bring it at once, in all processes, as many
// succeed as it has uses. The code is as recovery.Read gives it. It fails with *verification.LimitError after too many
// wrong ones. After verification.ErrUnavailable the code may be used up.
func (u *Users) Recover(ctx context.Context, account, userID string, kind recovery.Kind, code verification.Code) (recovery.Recovered, error) {
	right, err := u.cfg.Guesses.Guess(ctx, guessRecovery, account+"\n"+userID)
	if err != nil {
		return recovery.Recovered{}, err
	}
	// Hashed before anything is looked at, so that who has no codes costs the same time.
	sums := map[string][]byte{}
	for _, keyID := range u.cfg.Keys.IDs() {
		if sums[keyID], err = u.sumRecovery(keyID, kind, account, userID, code); err != nil {
			return recovery.Recovered{}, err
		}
	}
	use := u.useCode
	if kind == recovery.Token {
		use = u.useToken
	}
	r, err := use(ctx, account, userID, sums)
	if err == nil && r.Valid() {
		right(ctx)
	}
	return r, err
}

func (u *Users) useCode(ctx context.Context, account, userID string, sums map[string][]byte) (recovery.Recovered, error) {
	var none recovery.Recovered
	for range casTries {
		r, revision, err := u.codes(ctx, account, userID, u.users.latest)
		if err != nil {
			return none, err
		}
		found := -1
		for i, hash := range r.Hashes { // to the end, wherever it is
			if hmac.Equal(hash, sums[r.KeyID]) {
				found = i
			}
		}
		if found < 0 {
			return none, nil
		}
		r.Hashes = slices.Delete(r.Hashes, found, found+1)
		b, err := json.Marshal(r)
		if err != nil {
			return none, fmt.Errorf("encode recovery codes: %w", err)
		}
		_, err = u.users.update(ctx, recoveryKey(account, userID), b, revision, 0)
		if err == nil {
			return recovery.Recovered{Kind: recovery.Code, CodesLeft: len(r.Hashes)}, nil
		}
		if !errors.Is(err, stream.ErrConflict) {
			return none, err
		}
	}
	return none, unavailable(errors.New("use recovery code: changed too often"))
}

func (u *Users) useToken(ctx context.Context, account, userID string, sums map[string][]byte) (recovery.Recovered, error) {
	var used recovery.Recovered
	err := u.changeBypass(ctx, account, userID, func(tokens []bypassToken) ([]bypassToken, error) {
		found := -1
		for i, t := range tokens {
			if hmac.Equal(t.Hash, sums[t.KeyID]) {
				found = i
			}
		}
		if found < 0 {
			return nil, verification.ErrNotFound
		}
		t := &tokens[found]
		t.UsesLeft--
		used = recovery.Recovered{Kind: recovery.Token, TokenID: t.ID, UsesLeft: t.UsesLeft}
		if t.UsesLeft == 0 {
			tokens = slices.Delete(tokens, found, found+1)
		}
		return tokens, nil
	})
	if errors.Is(err, verification.ErrNotFound) {
		return recovery.Recovered{}, nil
	}
	if err != nil {
		return recovery.Recovered{}, err
	}
	return used, nil
}

// changeBypass changes a user's open bypass tokens by compare-and-set. change may be called more than once, and keep
// the list that it is given.
func (u *Users) changeBypass(ctx context.Context, account, userID string, change func([]bypassToken) ([]bypassToken, error)) error {
	key := bypassKey(account, userID)
	for range casTries {
		tokens, revision, err := u.bypass(ctx, account, userID, u.users.latest)
		if err != nil {
			return err
		}
		if tokens, err = change(tokens); err != nil {
			return err
		}
		if err = u.replaceBypass(ctx, key, tokens, revision); err == nil {
			return nil
		}
		if !errors.Is(err, stream.ErrConflict) {
			return fmt.Errorf("store bypass tokens: %w", err)
		}
	}
	return unavailable(errors.New("change bypass tokens: changed too often"))
}

// replaceBypass writes the tokens in place of one revision, zero for none. They leave when the last of them has ended.
func (u *Users) replaceBypass(ctx context.Context, key string, tokens []bypassToken, revision uint64) error {
	if len(tokens) == 0 {
		return u.users.removeRevision(ctx, key, revision)
	}
	b, err := json.Marshal(bypassRecord{events.Version, tokens})
	if err != nil {
		return fmt.Errorf("encode bypass tokens: %w", err)
	}
	life := time.Second
	for _, t := range tokens {
		life = max(life, t.ExpiresAt.Sub(u.cfg.Now()))
	}
	if revision == 0 {
		_, err = u.users.create(ctx, key, b, life)
	} else {
		_, err = u.users.update(ctx, key, b, revision, life)
	}
	return err
}

// codes reads what is left of a user's recovery codes, without those of a key that the keyring no longer has; empty
// at revision 0 where there is nothing.
func (u *Users) codes(ctx context.Context, account, userID string, get reading) (r codesRecord, revision uint64, err error) {
	b, revision, err := get(ctx, recoveryKey(account, userID))
	if errors.Is(err, verification.ErrNotFound) {
		return codesRecord{}, 0, nil
	}
	if err != nil {
		return codesRecord{}, 0, fmt.Errorf("read recovery codes: %w", err)
	}
	if err := json.Unmarshal(b, &r); err != nil {
		return codesRecord{}, 0, fmt.Errorf("decode recovery codes: %w", err)
	}
	if !slices.Contains(u.cfg.Keys.IDs(), r.KeyID) {
		r.Hashes = nil
	}
	return r, revision, nil
}

// bypass reads a user's open bypass tokens; none at revision 0 where there is nothing. The broker drops them a little
// late. Those of a key that this process does not have are there: another process may have it.
func (u *Users) bypass(ctx context.Context, account, userID string, get reading) (tokens []bypassToken, revision uint64, err error) {
	b, revision, err := get(ctx, bypassKey(account, userID))
	if errors.Is(err, verification.ErrNotFound) {
		return nil, 0, nil
	}
	if err != nil {
		return nil, 0, fmt.Errorf("read bypass tokens: %w", err)
	}
	var r bypassRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return nil, 0, fmt.Errorf("decode bypass tokens: %w", err)
	}
	now := u.cfg.Now()
	return slices.DeleteFunc(r.Tokens, func(t bypassToken) bool { return !now.Before(t.ExpiresAt) }), revision, nil
}

// dropRecovery removes all that a user could recover with.
func (u *Users) dropRecovery(ctx context.Context, account, userID string) error {
	if err := u.drop(ctx, recoveryKey(account, userID)); err != nil {
		return err
	}
	return u.drop(ctx, bypassKey(account, userID))
}

// drop removes an entry of the users' bucket. It looks first: a removal leaves a mark, also of nothing.
func (u *Users) drop(ctx context.Context, key string) error {
	_, _, err := u.users.latest(ctx, key)
	if errors.Is(err, verification.ErrNotFound) {
		return nil
	}
	if err != nil {
		return err
	}
	return u.users.remove(ctx, key)
}

// sumRecovery is the keyed hash of a code, bound to its user and kind.
func (u *Users) sumRecovery(keyID string, kind recovery.Kind, account, userID string, code verification.Code) ([]byte, error) {
	sum, err := u.cfg.Keys.Sum(keyID, keyring.Recovery, string(kind), account, userID, code.Reveal())
	if err != nil {
		return nil, fmt.Errorf("hash %s: %w", kind, err)
	}
	return sum, nil
}
