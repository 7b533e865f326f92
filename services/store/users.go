package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// Users keeps users and their devices in key-value buckets. What is personal is sealed, and where a
// key needs it, a keyed hash stands in its place. It is safe for concurrent use.
//
// Keys, with the account first so that no account's key can reach another's:
//
//	users    user.<account>.<id>          the user
//	         external.<account>.<hash>    the id of the user with this external id;
//	         username.…, email.…          likewise
//	         number.<account>.<number>    the id of the user with this number
//	         recovery.<account>.<id>      the user's recovery codes
//	         bypass.<account>.<id>        the user's open bypass tokens
//	devices  device.<account>.<id>        the device
//	         of.<account>.<user>.<id>     says that the user has it
//	         number.<account>.<number>    the id of the device with this number
//	         owner.<id>                   the account of an app install
//
// An entry that leads to a record counts only where the record agrees: so records and entries can be
// written one after the other, and a cut in between leaves nothing wrong.
type Users struct {
	cfg     UsersConfig
	pub     *stream.Publisher
	users   *table
	devices *table
	// turns bounds how many lists of whole accounts are read at once.
	turns chan struct{}
}

// listsAtOnce is how many. Each may have half of what the broker lets a connection fall behind before it
// cuts it, with everything else that goes over it.
const listsAtOnce = 2

// UsersConfig is what keeping users takes.
type UsersConfig struct {
	Keys     *keyring.Keyring
	Replicas int
	// Guesses counts the wrong codes of authenticators.
	Guesses *Guesses
	Now     func() time.Time
}

// The buckets.
const (
	usersBucket       = "ASSENT_USERS"
	devicesBucket     = "ASSENT_DEVICES"
	credentialsBucket = "ASSENT_CREDENTIALS"
)

// NewUsers opens the buckets, and makes them where they are missing. The streams must exist.
func NewUsers(ctx context.Context, js jetstream.JetStream, cfg UsersConfig) (*Users, error) {
	u := &Users{cfg: cfg, pub: stream.NewPublisher(js), turns: make(chan struct{}, listsAtOnce)}
	var err error
	if u.users, err = openTable(ctx, js, usersBucket, cfg.Replicas); err != nil {
		return nil, err
	}
	u.devices, err = openTable(ctx, js, devicesBucket, cfg.Replicas)
	return u, err
}

func bucket(ctx context.Context, js jetstream.JetStream, name string, replicas int) (jetstream.KeyValue, error) {
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, History: 1, Replicas: max(1, replicas)})
	if err != nil {
		return nil, fmt.Errorf("ensure bucket %s: %w", name, err)
	}
	return kv, nil
}

// casTries bounds how often a change is made again that others were faster than.
const casTries = 8

// CreateUser stores a new user and gives them a number. It fails with *device.TakenError where another
// user of the account has one of the names.
func (u *Users) CreateUser(ctx context.Context, user device.User) (device.User, error) {
	claims, err := u.claim(ctx, user, namesOf(user))
	if err != nil {
		return device.User{}, err
	}
	if user.Number, err = u.drawNumber(ctx, u.users, user.Credential, user.ID, 0); err != nil {
		return device.User{}, err
	}
	record, err := u.encodeUser(user)
	if err != nil {
		return device.User{}, err
	}
	key := userKey(user.Credential, user.ID)
	if user.Revision, err = u.users.create(ctx, key, record, 0); err != nil {
		return device.User{}, fmt.Errorf("store user: %w", err)
	}
	if err := u.confirm(ctx, user.ID, claims); err != nil {
		if taken := (*device.TakenError)(nil); errors.As(err, &taken) {
			err = errors.Join(err, u.users.remove(ctx, key), u.users.remove(ctx, numberKey(user.Credential, user.Number)))
			u.release(ctx, claims)
		}
		return device.User{}, err
	}
	return user, nil
}

// UpdateUser stores a user in place of the same revision; device.ErrChanged for another. Id, number and
// time of making stay as they are. It fails with *device.TakenError as CreateUser does.
func (u *Users) UpdateUser(ctx context.Context, user device.User) (device.User, error) {
	before, err := u.user(ctx, user.Credential, user.ID, u.users.latest)
	if err != nil {
		return device.User{}, err
	}
	if before.Revision != user.Revision {
		return device.User{}, device.ErrChanged
	}
	user.Number, user.CreatedAt = before.Number, before.CreatedAt
	// New names are held before the record has them and old ones left after, so that at no time
	// another user can take one that is in use.
	claims, err := u.claim(ctx, user, without(namesOf(user), namesOf(before)))
	if err != nil {
		return device.User{}, err
	}
	left, err := u.entries(ctx, user.Credential, user.ID, without(namesOf(before), namesOf(user)))
	if err != nil {
		return device.User{}, err
	}
	stored, err := u.replaceUser(ctx, user)
	if errors.Is(err, stream.ErrConflict) {
		u.release(ctx, claims)
		return device.User{}, device.ErrChanged
	}
	if err != nil {
		return device.User{}, err
	}
	if err := u.confirm(ctx, user.ID, claims); err != nil {
		if taken := (*device.TakenError)(nil); errors.As(err, &taken) {
			before.Revision = stored.Revision
			_, undone := u.replaceUser(ctx, before)
			err = errors.Join(err, undone)
			u.release(ctx, claims)
		}
		return device.User{}, err
	}
	u.release(ctx, left)
	return stored, nil
}

// replaceUser writes the record in place of the user's revision; stream.ErrConflict where another stands there.
func (u *Users) replaceUser(ctx context.Context, user device.User) (device.User, error) {
	record, err := u.encodeUser(user)
	if err != nil {
		return device.User{}, err
	}
	user.Revision, err = u.users.update(ctx, userKey(user.Credential, user.ID), record, user.Revision, 0)
	return user, err
}

// User reads one user of an account; ErrNotFound for those of others.
func (u *Users) User(ctx context.Context, account, id string) (device.User, error) {
	user, err := u.user(ctx, account, id, u.users.get)
	for range casTries {
		if err != nil || user.Number != 0 {
			return user, err
		}
		// One of the time before there were numbers.
		if user.Number, err = u.drawNumber(ctx, u.users, account, id, 0); err != nil {
			return device.User{}, err
		}
		if user, err = u.replaceUser(ctx, user); !errors.Is(err, stream.ErrConflict) {
			return user, err
		}
		user, err = u.user(ctx, account, id, u.users.latest)
	}
	return device.User{}, unavailable(errors.New("give user a number: changed too often"))
}

func (u *Users) user(ctx context.Context, account, id string, get reading) (device.User, error) {
	if !events.ValidID(id) {
		return device.User{}, verification.ErrNotFound
	}
	b, revision, err := get(ctx, userKey(account, id))
	if err != nil {
		return device.User{}, err
	}
	return u.decodeUser(account, id, b, revision)
}

// UserByNumber reads the user of an account that has this number.
func (u *Users) UserByNumber(ctx context.Context, account string, number int64) (device.User, error) {
	id, _, err := u.users.get(ctx, numberKey(account, number))
	if err != nil {
		return device.User{}, err
	}
	user, err := u.User(ctx, account, string(id))
	if err == nil && user.Number != number {
		return device.User{}, verification.ErrNotFound
	}
	return user, err
}

// UserByLogin reads the user of an account that has this username, or else this email, in either case
// of letters.
func (u *Users) UserByLogin(ctx context.Context, account, login string) (device.User, error) {
	return u.named(ctx, account, name{spaceLogin, caseless(login)})
}

// Users lists the users of an account, newest first, at most limit, older than the id after (empty:
// from the newest). next is empty on the last page.
func (u *Users) Users(ctx context.Context, account, after string, limit int) (users []device.User, next string, err error) {
	var ids []string
	err = u.inTurn(ctx, func(ctx context.Context) error {
		ids, err = list(ctx, u.users, userKey(account, "*"))
		return err
	})
	if err != nil {
		return nil, "", err
	}
	for _, id := range ids { // ids are UUIDv7: their order is that of their making
		if after != "" && id >= after {
			continue
		}
		if len(users) == limit {
			return users, users[limit-1].ID, nil
		}
		user, err := u.User(ctx, account, id)
		if errors.Is(err, verification.ErrNotFound) {
			continue // deleted meanwhile
		}
		if err != nil {
			return nil, "", err
		}
		users = append(users, user)
	}
	return users, "", nil
}

// AllUsers lists all users of an account, the oldest first.
func (u *Users) AllUsers(ctx context.Context, account string) ([]device.User, error) {
	users := []device.User{}
	err := u.inTurn(ctx, func(ctx context.Context) error {
		return u.users.pass(ctx, userKey(account, "*"), func(key string, b []byte, revision uint64) error {
			user, err := u.decodeUser(account, lastToken(key), b, revision)
			users = append(users, user)
			return err
		})
	})
	if err != nil {
		return nil, err
	}
	for i, user := range users {
		if user.Number != 0 {
			continue
		}
		if users[i], err = u.User(ctx, account, user.ID); err != nil && !errors.Is(err, verification.ErrNotFound) {
			return nil, err
		}
	}
	users = slices.DeleteFunc(users, func(user device.User) bool { return user.ID == "" }) // deleted meanwhile
	slices.SortFunc(users, func(a, b device.User) int { return strings.Compare(a.ID, b.ID) })
	return users, nil
}

// inTurn reads a list of a whole account once it is its turn.
func (u *Users) inTurn(ctx context.Context, read func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, passTimeout)
	defer cancel()
	select {
	case u.turns <- struct{}{}:
		defer func() { <-u.turns }()
		return read(ctx)
	case <-ctx.Done():
		return unavailable(errors.New("list users: too many lists at once"))
	}
}

// DeleteUser removes a user, their devices and what they could recover with. The user goes last, so that
// a user whose removal was cut short can be removed again.
func (u *Users) DeleteUser(ctx context.Context, account, id string) error {
	user, err := u.User(ctx, account, id)
	if err != nil {
		return err
	}
	devices, err := u.Devices(ctx, account, id)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if err := u.DeleteDevice(ctx, account, d.ID); err != nil && !errors.Is(err, verification.ErrNotFound) {
			return err
		}
	}
	left, err := u.entries(ctx, account, id, namesOf(user))
	if err != nil {
		return err
	}
	if err := u.dropRecovery(ctx, account, id); err != nil {
		return err
	}
	if err := u.users.remove(ctx, userKey(account, id)); err != nil {
		return err
	}
	u.release(ctx, left)
	return u.users.remove(ctx, numberKey(account, user.Number))
}

// list is the last tokens of the keys that a filter matches, the greatest first.
func list(ctx context.Context, t *table, filter string) ([]string, error) {
	var ids []string
	err := t.pass(ctx, filter, func(key string, _ []byte, _ uint64) error {
		ids = append(ids, lastToken(key))
		return nil
	}, jetstream.MetaOnly())
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, err
}

func lastToken(key string) string { return key[strings.LastIndexByte(key, '.')+1:] }

func userKey(account, id string) string { return "user." + account + "." + id }

// credentialForm keeps client ids usable as a token of keys and as the name part of HTTP Basic.
var credentialForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)

type userRecord struct {
	Version   int       `json:"version"`
	ID        string    `json:"id"`
	Number    int64     `json:"number,omitempty"`
	Locked    bool      `json:"locked,omitempty"`
	Disabled  bool      `json:"disabled,omitempty"`
	CreatedAt time.Time `json:"created_at"`
	UpdatedAt time.Time `json:"updated_at,omitzero"`
	// PreferredChannel is not personal.
	PreferredChannel string `json:"preferred_channel,omitempty"`
	// DeviceOrder are ids, which are not personal either.
	DeviceOrder []string `json:"device_order,omitempty"`
	// Person is the sealed person.
	Person *events.Sealed `json:"person,omitempty"`
	// ExternalID and Name stand here in records of the time before Person only.
	ExternalID string `json:"external_id,omitempty"`
	Name       string `json:"name,omitempty"`
}

// person is all of a user that is personal.
type person struct {
	ExternalID        string            `json:"external_id,omitempty"`
	Name              string            `json:"name,omitempty"`
	Username          string            `json:"username,omitempty"`
	Email             string            `json:"email,omitempty"`
	Phone             string            `json:"phone,omitempty"`
	GivenName         string            `json:"given_name,omitempty"`
	FamilyName        string            `json:"family_name,omitempty"`
	Password          string            `json:"password,omitempty"`
	PasswordChangedAt time.Time         `json:"password_changed_at,omitzero"`
	LastLogin         time.Time         `json:"last_login,omitzero"`
	Attributes        map[string]string `json:"attributes,omitempty"`
}

func (u *Users) encodeUser(user device.User) ([]byte, error) {
	b, err := json.Marshal(person{ //nolint:gosec // sealed below; the password is a hash already
		user.ExternalID, user.Name, user.Username, user.Email, user.Phone, user.GivenName, user.FamilyName,
		user.Password, user.PasswordChangedAt, user.LastLogin, user.Attributes,
	})
	if err != nil {
		return nil, fmt.Errorf("encode user: %w", err)
	}
	// Bound to the key, so that what is moved to another user or account does not open there.
	sealed, err := u.cfg.Keys.Seal(keyring.Records, userKey(user.Credential, user.ID), b)
	if err != nil {
		return nil, fmt.Errorf("seal user: %w", err)
	}
	b, err = json.Marshal(userRecord{
		Version: events.Version, ID: user.ID, Number: user.Number, Locked: user.Locked, Disabled: user.Disabled,
		CreatedAt: user.CreatedAt, UpdatedAt: user.UpdatedAt, PreferredChannel: user.PreferredChannel, DeviceOrder: user.DeviceOrder,
		Person: &sealed,
	})
	if err != nil {
		return nil, fmt.Errorf("encode user: %w", err)
	}
	return b, nil
}

func (u *Users) decodeUser(account, id string, b []byte, revision uint64) (device.User, error) {
	var r userRecord
	if err := json.Unmarshal(b, &r); err != nil {
		return device.User{}, fmt.Errorf("decode user: %w", err)
	}
	p := person{ExternalID: r.ExternalID, Name: r.Name}
	if r.Person != nil {
		b, err := u.cfg.Keys.Open(keyring.Records, userKey(account, id), *r.Person)
		if err != nil {
			return device.User{}, fmt.Errorf("open user: %w", err)
		}
		if err := json.Unmarshal(b, &p); err != nil {
			return device.User{}, fmt.Errorf("decode user: %w", err)
		}
	}
	return device.User{
		PreferredChannel: r.PreferredChannel, DeviceOrder: r.DeviceOrder,
		ID: id, Number: r.Number, Credential: account, ExternalID: p.ExternalID, Name: p.Name, CreatedAt: r.CreatedAt,
		Username: p.Username, Email: p.Email, Phone: p.Phone, GivenName: p.GivenName, FamilyName: p.FamilyName,
		Password: p.Password, Locked: r.Locked, Disabled: r.Disabled, UpdatedAt: r.UpdatedAt, PasswordChangedAt: p.PasswordChangedAt,
		LastLogin: p.LastLogin, Attributes: p.Attributes, Revision: revision,
	}, nil
}
