package store

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/services/realm"
)

// realmRecord is a realm as its bucket holds it.
type realmRecord struct {
	Version  int            `json:"version"`
	Name     string         `json:"name"`
	AppID    string         `json:"app_id"`
	Account  string         `json:"account"`
	Settings settingsRecord `json:"settings"`
	// Keys has the present key first, then those that still overlap it.
	Keys      []appKeyRecord `json:"keys"`
	CreatedAt time.Time      `json:"created_at"`
	RotatedAt time.Time      `json:"rotated_at,omitzero"`
}

// appKeyRecord is an application key, which opens for its application id only.
type appKeyRecord struct {
	Sealed events.Sealed `json:"sealed"`
	// Until is when it stops; zero for the present key.
	Until time.Time `json:"until,omitzero"`
}

type settingsRecord struct {
	Brand         string      `json:"brand,omitempty"`
	Methods       []string    `json:"methods,omitempty"`
	EchoOTP       bool        `json:"echo_otp,omitempty"`
	StatesAsFound bool        `json:"states_as_found,omitempty"`
	Life          int         `json:"life"` // seconds
	Attempts      limitRecord `json:"attempts"`
	Validations   limitRecord `json:"validations"`
	Block         blockRecord `json:"block,omitzero"`
}

type limitRecord struct {
	Count  int `json:"count"`
	Window int `json:"window"` // seconds
}

type blockRecord struct {
	Countries    []string `json:"countries,omitempty"`
	NetworkTypes []string `json:"network_types,omitempty"`
	Carriers     []string `json:"carriers,omitempty"`
}

func (b blockRecord) IsZero() bool {
	return len(b.Countries) == 0 && len(b.NetworkTypes) == 0 && len(b.Carriers) == 0
}

// realmKey is where a realm stands: hexadecimal digits are the same in either letter case.
func realmKey(appID string) string { return strings.ToLower(appID) }

func settingsOf(s realm.Settings) settingsRecord {
	s = s.Complete()
	limit := func(l realm.Limit) limitRecord { return limitRecord{l.Count, seconds(l.Window)} }
	return settingsRecord{
		Brand: s.Brand, Methods: s.Methods, EchoOTP: s.EchoOTP, StatesAsFound: s.StatesAsFound, Life: seconds(s.Life),
		Attempts: limit(s.Attempts), Validations: limit(s.Validations),
		Block: blockRecord{s.Block.Countries, s.Block.NetworkTypes, s.Block.Carriers},
	}
}

func seconds(d time.Duration) int { return int(d / time.Second) }

func (s settingsRecord) settings() realm.Settings {
	limit := func(l limitRecord) realm.Limit {
		return realm.Limit{Count: l.Count, Window: time.Duration(l.Window) * time.Second}
	}
	return realm.Settings{
		Brand: s.Brand, Methods: slices.Clone(s.Methods), EchoOTP: s.EchoOTP, StatesAsFound: s.StatesAsFound,
		Life: time.Duration(s.Life) * time.Second, Attempts: limit(s.Attempts), Validations: limit(s.Validations),
		Block: realm.Block{
			Countries: slices.Clone(s.Block.Countries), NetworkTypes: slices.Clone(s.Block.NetworkTypes),
			Carriers: slices.Clone(s.Block.Carriers),
		},
	}.Complete()
}

func (rec realmRecord) realm() realm.Realm {
	return realm.Realm{
		Name: rec.Name, AppID: rec.AppID, Account: rec.Account, Settings: rec.Settings.settings(),
		CreatedAt: rec.CreatedAt, RotatedAt: rec.RotatedAt,
	}
}

// clone is a copy that may be changed while others read the record.
func (rec realmRecord) clone() realmRecord {
	rec.Settings, rec.Keys = settingsOf(rec.Settings.settings()), slices.Clone(rec.Keys)
	return rec
}

// maxOverlapping is how many older keys may overlap the present one: each costs a wrongly signed call
// one more comparison.
const maxOverlapping = 4

// overlapUntil ends the keys, each no later than it was to end, and drops those that have ended.
func (rec *realmRecord) overlapUntil(end, now time.Time) {
	for i := range rec.Keys {
		if k := &rec.Keys[i]; k.Until.IsZero() || k.Until.After(end) {
			k.Until = end
		}
	}
	rec.Keys = slices.DeleteFunc(rec.Keys, func(k appKeyRecord) bool { return !now.Before(k.Until) })
	rec.Keys = rec.Keys[:min(len(rec.Keys), maxOverlapping)]
}

// sealed is the record of a realm with one key.
func (r *Realms) sealed(x realm.Realm, key []byte) (realmRecord, error) {
	if !realm.ValidName(x.Name) || !realm.ValidAppID(x.AppID) || x.Account == "" || len(key) != appKeyBytes {
		return realmRecord{}, errors.New("store realm: it is not complete")
	}
	k, err := r.seal(x.AppID, key)
	if err != nil {
		return realmRecord{}, err
	}
	return realmRecord{
		Version: events.Version, Name: x.Name, AppID: x.AppID, Account: x.Account, Settings: settingsOf(x.Settings),
		Keys: []appKeyRecord{k}, CreatedAt: x.CreatedAt, RotatedAt: x.RotatedAt,
	}, nil
}

func (r *Realms) seal(appID string, key []byte) (appKeyRecord, error) {
	s, err := r.cfg.Keys.Seal(keyring.Records, sealedFor(appID), key)
	if err != nil {
		return appKeyRecord{}, fmt.Errorf("seal application key: %w", err)
	}
	return appKeyRecord{Sealed: s}, nil
}

func sealedFor(appID string) string { return "realm/" + realmKey(appID) }

// knownRealm is a realm with its keys open.
type knownRealm struct {
	record   realmRecord
	keys     [][]byte // as in the record; nil for one that cannot be opened
	err      error    // why not
	revision uint64
}

func (r *Realms) opened(rec realmRecord, revision uint64) knownRealm {
	k := knownRealm{record: rec, revision: revision}
	for _, sealed := range rec.Keys {
		key, err := r.cfg.Keys.Open(keyring.Records, sealedFor(rec.AppID), sealed.Sealed)
		k.keys, k.err = append(k.keys, key), errors.Join(k.err, err)
	}
	return k
}

// keysAt are the keys that are good at a time, the present one first.
func (k knownRealm) keysAt(now time.Time) ([][]byte, error) {
	var good [][]byte
	for i, key := range k.keys {
		switch until := k.record.Keys[i].Until; {
		case !until.IsZero() && !now.Before(until):
		case key == nil:
			return nil, k.err
		default:
			good = append(good, key)
		}
	}
	return good, nil
}

// readRealm is the record of an entry; false for one that was removed.
func readRealm(e jetstream.KeyValueEntry) (realmRecord, bool) {
	if e.Operation() != jetstream.KeyValuePut {
		return realmRecord{}, false
	}
	return decodeRealm(e.Key(), e.Value())
}

func decodeRealm(key string, value []byte) (rec realmRecord, ok bool) {
	if json.Unmarshal(value, &rec) != nil || realmKey(rec.AppID) != key || len(rec.Keys) == 0 {
		return realmRecord{}, false
	}
	return rec, true
}
