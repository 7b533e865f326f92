package store

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"golang.org/x/text/unicode/norm"

	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// The names by which users are found, each unique within the account.
const (
	fieldExternalID = "external_id"
	fieldUsername   = "username"
	fieldEmail      = "email"
)

// name is one of a user's names as it is compared. Usernames and emails share a space: a person logs in by
// either, so one user's email must not be another's username.
type name struct{ space, text string }

// The spaces of names.
const (
	spaceExternal = "external"
	spaceLogin    = "login"
)

// caseless makes names equal that people take for the same: whatever the case of letters, and however the
// keyboard composed them.
func caseless(text string) string { return strings.ToLower(norm.NFC.String(text)) }

func namesOf(user device.User) []name {
	names := []name{
		{spaceExternal, user.ExternalID}, {spaceLogin, caseless(user.Username)}, {spaceLogin, caseless(user.Email)},
	}
	names = slices.DeleteFunc(names, func(n name) bool { return n.text == "" })
	return slices.Compact(names) // a username that is the email
}

// fieldOf is the field in which a user has a name.
func fieldOf(user device.User, n name) string {
	switch {
	case n.space == spaceExternal:
		return fieldExternalID
	case n.text == caseless(user.Username):
		return fieldUsername
	default:
		return fieldEmail
	}
}

// without is the names that are not among others.
func without(names, others []name) []name {
	return slices.DeleteFunc(names, func(n name) bool { return slices.Contains(others, n) })
}

// nameKeys are where the entry of a name may stand: one for each key of the keyring, the current
// one's first. They hold a hash, because a name is an address or any other text.
func (u *Users) nameKeys(account string, n name) ([]string, error) {
	ids := u.cfg.Keys.IDs()
	keys := make([]string, 0, len(ids))
	for _, id := range ids {
		sum, err := u.cfg.Keys.Sum(id, keyring.Records, n.space, account, n.text)
		if err != nil {
			return nil, fmt.Errorf("hash %s: %w", n.space, err)
		}
		keys = append(keys, fmt.Sprintf("%s.%s.%x", n.space, account, sum))
	}
	return keys, nil
}

// named reads the user that has a name.
func (u *Users) named(ctx context.Context, account string, n name) (device.User, error) {
	if n.text == "" {
		return device.User{}, verification.ErrNotFound
	}
	keys, err := u.nameKeys(account, n)
	if err != nil {
		return device.User{}, err
	}
	for _, key := range keys {
		id, _, err := u.users.get(ctx, key)
		if err == nil {
			var user device.User
			if user, err = u.User(ctx, account, string(id)); err == nil && slices.Contains(namesOf(user), n) {
				return user, nil
			}
		}
		if err != nil && !errors.Is(err, verification.ErrNotFound) {
			return device.User{}, err
		}
	}
	return device.User{}, verification.ErrNotFound
}

// claim is the entry of a name that a user is about to have.
type claim struct {
	field    string // in which the user is to have it
	key      string
	revision uint64
	// fresh: the entry was not this user's before, or is not to be any longer.
	fresh bool
}

// claim takes the entries of names for a user. An entry whose user is gone, or was never stored, or has
// another name by now, is taken over; so may be one whose user is just being stored, which is why
// confirm has to follow.
func (u *Users) claim(ctx context.Context, user device.User, names []name) ([]claim, error) {
	var claims []claim
	for _, n := range names {
		c, err := u.claimName(ctx, user, n)
		if err != nil {
			u.release(ctx, claims)
			return nil, err
		}
		claims = append(claims, c)
	}
	return claims, nil
}

func (u *Users) claimName(ctx context.Context, user device.User, n name) (claim, error) {
	keys, err := u.nameKeys(user.Credential, n)
	if err != nil {
		return claim{}, err
	}
	for range casTries {
		c := claim{field: fieldOf(user, n), key: keys[0], fresh: true}
		for _, key := range slices.Backward(keys) { // the current one last: what was read of it is written over
			var held []byte
			held, c.revision, err = u.users.latest(ctx, key)
			if errors.Is(err, verification.ErrNotFound) {
				continue
			}
			if err != nil {
				return claim{}, err
			}
			if c.fresh = string(held) != user.ID; !c.fresh {
				continue
			}
			if err := u.inUse(ctx, user, string(held), n); err != nil {
				return claim{}, err
			}
		}
		if c.revision == 0 {
			c.fresh = true
			c.revision, err = u.users.create(ctx, c.key, []byte(user.ID), 0)
		} else {
			c.revision, err = u.users.update(ctx, c.key, []byte(user.ID), c.revision, 0)
		}
		if !errors.Is(err, stream.ErrConflict) {
			return c, err
		}
	}
	// Each lost try was another's claim, so somebody has it.
	return claim{}, &device.TakenError{Field: fieldOf(user, n)}
}

// inUse fails with *device.TakenError where the holder of an entry has the name that a user is to have.
func (u *Users) inUse(ctx context.Context, user device.User, holder string, n name) error {
	other, err := u.user(ctx, user.Credential, holder, u.users.latest)
	if err == nil && slices.Contains(namesOf(other), n) {
		return &device.TakenError{Field: fieldOf(user, n)}
	}
	if errors.Is(err, verification.ErrNotFound) {
		return nil
	}
	return err
}

// confirm makes claims final once the record has the names: from now on nobody who looked before can
// take them over. It fails with *device.TakenError where somebody has.
func (u *Users) confirm(ctx context.Context, id string, claims []claim) error {
	for i, c := range claims {
		revision, err := u.users.update(ctx, c.key, []byte(id), c.revision, 0)
		if errors.Is(err, stream.ErrConflict) {
			held, _, err := u.users.latest(ctx, c.key)
			if err != nil && !errors.Is(err, verification.ErrNotFound) {
				return err
			}
			if string(held) != id { // where it is, another change of the same user has confirmed it
				return &device.TakenError{Field: c.field}
			}
			continue
		}
		if err != nil {
			return err
		}
		claims[i].revision = revision
	}
	return nil
}

// release gives up fresh claims, where nobody has taken them since. What stays behind leads to a user
// without the name, and is taken over by the next who wants it.
func (u *Users) release(ctx context.Context, claims []claim) {
	for _, c := range claims {
		if c.fresh {
			_ = u.users.removeRevision(context.WithoutCancel(ctx), c.key, c.revision)
		}
	}
}

// entries are the entries of names that lead to a user, to be released once the user has them no longer.
// They are read while the user still has them: one that is taken again meanwhile has another revision then.
func (u *Users) entries(ctx context.Context, account, id string, names []name) ([]claim, error) {
	var held []claim
	for _, n := range names {
		keys, err := u.nameKeys(account, n)
		if err != nil {
			return nil, err
		}
		for _, key := range keys {
			holder, revision, err := u.users.latest(ctx, key)
			if err == nil && string(holder) == id {
				held = append(held, claim{key: key, revision: revision, fresh: true})
			}
			if err != nil && !errors.Is(err, verification.ErrNotFound) {
				return nil, err
			}
		}
	}
	return held, nil
}
