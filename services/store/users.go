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
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// Users keeps users and their devices in key-value buckets. Addresses and push tokens are sealed.
//
// Keys, with the owner first so that no client's key can reach another's:
//
//	users    user.<credential>.<id>             the user
//	         external.<credential>.<external>   the id of the user with this external id
//	devices  device.<credential>.<id>           the device
//	         of.<credential>.<user>.<id>        says that the user has it
type Users struct {
	users   jetstream.KeyValue
	devices jetstream.KeyValue
	keys    *keyring.Keyring
}

// The buckets.
const (
	usersBucket       = "ASSENT_USERS"
	devicesBucket     = "ASSENT_DEVICES"
	credentialsBucket = "ASSENT_CREDENTIALS"
)

// NewUsers opens the buckets, and makes them where they are missing.
func NewUsers(ctx context.Context, js jetstream.JetStream, keys *keyring.Keyring, replicas int) (*Users, error) {
	u := &Users{keys: keys}
	var err error
	if u.users, err = bucket(ctx, js, usersBucket, replicas); err != nil {
		return nil, err
	}
	u.devices, err = bucket(ctx, js, devicesBucket, replicas)
	return u, err
}

func bucket(ctx context.Context, js jetstream.JetStream, name string, replicas int) (jetstream.KeyValue, error) {
	kv, err := js.CreateOrUpdateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: name, History: 1, Replicas: max(1, replicas)})
	if err != nil {
		return nil, fmt.Errorf("ensure bucket %s: %w", name, err)
	}
	return kv, nil
}

type userRecord struct {
	Version    int       `json:"version"`
	ID         string    `json:"id"`
	ExternalID string    `json:"external_id,omitempty"`
	Name       string    `json:"name,omitempty"`
	CreatedAt  time.Time `json:"created_at"`
}

type deviceRecord struct {
	Version   int           `json:"version"`
	ID        string        `json:"id"`
	UserID    string        `json:"user_id"`
	Kind      device.Kind   `json:"kind"`
	Name      string        `json:"name,omitempty"`
	Address   events.Sealed `json:"address"`
	Platform  string        `json:"platform,omitempty"`
	PublicKey []byte        `json:"public_key,omitempty"`
	CreatedAt time.Time     `json:"created_at"`
}

// CreateUser stores a new user; device.ErrExists when the client has one with this external id.
func (u *Users) CreateUser(ctx context.Context, user device.User) error {
	if user.ExternalID != "" {
		_, err := u.users.Create(ctx, u.externalKey(user.Credential, user.ExternalID), []byte(user.ID))
		if errors.Is(err, jetstream.ErrKeyExists) {
			return u.reclaim(ctx, user)
		}
		if err != nil {
			return unavailable(err)
		}
	}
	return u.putUser(ctx, user)
}

// reclaim takes an external id whose user was never stored or is gone.
func (u *Users) reclaim(ctx context.Context, user device.User) error {
	key := u.externalKey(user.Credential, user.ExternalID)
	held, err := u.users.Get(ctx, key)
	if err != nil {
		return unavailable(err)
	}
	_, err = u.User(ctx, user.Credential, string(held.Value()))
	if err == nil {
		return device.ErrExists
	}
	if !errors.Is(err, verification.ErrNotFound) {
		return err
	}
	_, err = u.users.Update(ctx, key, []byte(user.ID), held.Revision())
	if errors.Is(err, jetstream.ErrKeyExists) || errors.Is(err, jetstream.ErrKeyRevisionMismatch) {
		return device.ErrExists
	}
	if err != nil {
		return unavailable(err)
	}
	return u.putUser(ctx, user)
}

func (u *Users) putUser(ctx context.Context, user device.User) error {
	b, err := json.Marshal(userRecord{events.Version, user.ID, user.ExternalID, user.Name, user.CreatedAt})
	if err != nil {
		return fmt.Errorf("encode user: %w", err)
	}
	if _, err := u.users.Create(ctx, userKey(user.Credential, user.ID), b); err != nil {
		return unavailable(err)
	}
	return nil
}

// User reads one user of a client; ErrNotFound for those of others.
func (u *Users) User(ctx context.Context, credential, id string) (device.User, error) {
	var r userRecord
	if err := read(ctx, u.users, id, userKey(credential, id), &r); err != nil {
		return device.User{}, err
	}
	return device.User{ID: r.ID, Credential: credential, ExternalID: r.ExternalID, Name: r.Name, CreatedAt: r.CreatedAt}, nil
}

// Users lists the users of a client, newest first, at most limit, older than the id after (empty:
// from the newest). next is empty on the last page.
func (u *Users) Users(ctx context.Context, credential, after string, limit int) (users []device.User, next string, err error) {
	ids, err := list(ctx, u.users, userKey(credential, "*"))
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
		user, err := u.User(ctx, credential, id)
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

// DeleteUser removes a user and their devices. The devices go first, so that a user whose removal
// was cut short can be removed again.
func (u *Users) DeleteUser(ctx context.Context, credential, id string) error {
	user, err := u.User(ctx, credential, id)
	if err != nil {
		return err
	}
	devices, err := u.Devices(ctx, credential, id)
	if err != nil {
		return err
	}
	for _, d := range devices {
		if err := u.DeleteDevice(ctx, credential, d.ID); err != nil && !errors.Is(err, verification.ErrNotFound) {
			return err
		}
	}
	if err := u.users.Purge(ctx, userKey(credential, id)); err != nil {
		return unavailable(err)
	}
	if user.ExternalID != "" {
		if err := u.users.Purge(ctx, u.externalKey(credential, user.ExternalID)); err != nil {
			return unavailable(err)
		}
	}
	return nil
}

// CreateDevice stores a device of an existing user.
func (u *Users) CreateDevice(ctx context.Context, d device.Device) error {
	if _, err := u.User(ctx, d.Credential, d.UserID); err != nil {
		return err
	}
	sealed, err := u.keys.Seal(keyring.Records, d.ID, []byte(d.Address))
	if err != nil {
		return fmt.Errorf("seal address: %w", err)
	}
	b, err := json.Marshal(deviceRecord{
		events.Version, d.ID, d.UserID, d.Kind, d.Name, sealed, d.Platform, d.PublicKey, d.CreatedAt,
	})
	if err != nil {
		return fmt.Errorf("encode device: %w", err)
	}
	// The entry in the user's list first: one that leads nowhere is skipped, a device that is in
	// no list would be lost.
	if _, err := u.devices.Create(ctx, ofKey(d.Credential, d.UserID, d.ID), nil); err != nil {
		return unavailable(err)
	}
	if _, err := u.devices.Create(ctx, deviceKey(d.Credential, d.ID), b); err != nil {
		return unavailable(err)
	}
	return nil
}

// Device reads one device of a client; ErrNotFound for those of others.
func (u *Users) Device(ctx context.Context, credential, id string) (device.Device, error) {
	var r deviceRecord
	if err := read(ctx, u.devices, id, deviceKey(credential, id), &r); err != nil {
		return device.Device{}, err
	}
	address, err := u.keys.Open(keyring.Records, r.ID, r.Address)
	if err != nil {
		return device.Device{}, fmt.Errorf("open address: %w", err)
	}
	return device.Device{
		ID: r.ID, UserID: r.UserID, Credential: credential, Kind: r.Kind, Name: r.Name, Address: string(address),
		Platform: r.Platform, PublicKey: r.PublicKey, CreatedAt: r.CreatedAt,
	}, nil
}

// Devices lists the devices of one user, newest first.
func (u *Users) Devices(ctx context.Context, credential, userID string) ([]device.Device, error) {
	if !idForm.MatchString(userID) {
		return nil, verification.ErrNotFound
	}
	ids, err := list(ctx, u.devices, ofKey(credential, userID, "*"))
	if err != nil {
		return nil, err
	}
	devices := make([]device.Device, 0, len(ids))
	for _, id := range ids {
		d, err := u.Device(ctx, credential, id)
		if errors.Is(err, verification.ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		devices = append(devices, d)
	}
	return devices, nil
}

// DeleteDevice removes a device.
func (u *Users) DeleteDevice(ctx context.Context, credential, id string) error {
	d, err := u.Device(ctx, credential, id)
	if err != nil {
		return err
	}
	if err := u.devices.Purge(ctx, deviceKey(credential, id)); err != nil {
		return unavailable(err)
	}
	if err := u.devices.Purge(ctx, ofKey(credential, d.UserID, id)); err != nil {
		return unavailable(err)
	}
	return nil
}

// read decodes the record under a key. The id is checked before it becomes part of one.
func read(ctx context.Context, kv jetstream.KeyValue, id, key string, into any) error {
	if !idForm.MatchString(id) {
		return verification.ErrNotFound
	}
	e, err := kv.Get(ctx, key)
	if errors.Is(err, jetstream.ErrKeyNotFound) {
		return verification.ErrNotFound
	}
	if err != nil {
		return unavailable(err)
	}
	if err := json.Unmarshal(e.Value(), into); err != nil {
		return fmt.Errorf("decode record: %w", err)
	}
	return nil
}

// list is the last tokens of the keys that a filter matches, the greatest first.
func list(ctx context.Context, kv jetstream.KeyValue, filter string) ([]string, error) {
	keys, err := kv.ListKeysFiltered(ctx, filter)
	if err != nil {
		return nil, unavailable(err)
	}
	defer func() { _ = keys.Stop() }()
	var ids []string
	for k := range keys.Keys() {
		ids = append(ids, k[strings.LastIndexByte(k, '.')+1:])
	}
	slices.Sort(ids)
	slices.Reverse(ids)
	return ids, nil
}

func userKey(credential, id string) string     { return "user." + credential + "." + id }
func deviceKey(credential, id string) string   { return "device." + credential + "." + id }
func ofKey(credential, user, id string) string { return "of." + credential + "." + user + "." + id }

// externalKey holds the hash of the client's own id, which may be any text, an address among them.
func (u *Users) externalKey(credential, external string) string {
	sum, err := u.keys.Sum(u.keys.CurrentID(), keyring.Records, "external", credential, external)
	if err != nil {
		return "external." + credential + ".none" // refused by the first seal that follows
	}
	return fmt.Sprintf("external.%s.%x", credential, sum)
}

// credentialForm keeps client ids usable as a token of keys and as the name part of HTTP Basic.
var credentialForm = regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`)
