// Package keyring holds the keys that keep codes, link tokens and addresses out
// of the event streams: it seals what only one channel's worker may read, and
// computes the keyed hashes that stand where a secret would. Every record names
// the key it was made with, so keys can change while records live.
//
// A keyring file holds either the root key, from which all others are derived
// (HKDF-SHA256, RFC 5869), or the derived keys of some uses: a worker's opens its own
// channel's messages and no others, and seals dead letters, which it cannot open.
package keyring

import (
	"crypto/aes"
	"crypto/cipher"
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base32"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"github.com/assent-io/assent/events"
)

// Use names what a key is for. Each use has its own derived key.
type Use string

// The uses of keys. A channel's key is Channel(c).
const (
	root        Use = "root"
	Checks      Use = "checks"       // hashes of codes and link tokens
	Destination Use = "destinations" // hashes of addresses
	Records     Use = "records"      // sealed addresses of registered devices
	Tokens      Use = "tokens"       // access tokens of the token endpoint
	Pages       Use = "pages"        // form tokens of the accept page
	Recovery    Use = "recovery"     // hashes of recovery codes and bypass tokens
	Tickets     Use = "tickets"      // names and contents of tickets, and whose guesses are counted
	Idempotency Use = "idempotency"  // ids and body fingerprints of idempotent requests
	Sandbox     Use = "sandbox"      // accounts of the sandbox carriers
	WebPush     Use = "webpush"      // the key pair that push services know us by
	Letters     Use = "deadletters"  // the key pair of dead letters, from which both halves follow
	// LettersPublic seals dead letters and opens none.
	LettersPublic Use = "deadletters/public"
)

// Channel is the use of the key that seals one channel's messages.
func Channel(c events.Channel) Use { return Use("channel/" + string(c)) }

const keyBytes = 32

// ErrNoKey says that this keyring does not hold the key a record was made with.
var ErrNoKey = errors.New("key not in this keyring")

// ErrForged says that sealed content does not belong where it was found: other
// id, other channel, or changed bytes.
var ErrForged = errors.New("sealed content does not open")

type key struct {
	ID  string `json:"id"`
	Use Use    `json:"use"`
	Key []byte `json:"key"`
}

// Keyring derives and caches keys. It is safe for concurrent use. Its zero value holds no key.
type Keyring struct {
	keys []key // newest first; keys[0] makes new records

	mu    sync.RWMutex
	raw   map[string][]byte
	aeads map[string]cipher.AEAD
}

type file struct {
	Version int   `json:"version"`
	Keys    []key `json:"keys"`
}

// LoadOrCreate reads the keyring at path, or makes one with a single new root key,
// readable by its owner only. The file is complete or absent, never half written.
func LoadOrCreate(path string) (*Keyring, error) {
	k, err := Load(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return k, err
	}
	secret := make([]byte, keyBytes)
	rand.Read(secret) // never fails: crypto/rand ends the program instead
	id := make([]byte, 5)
	rand.Read(id)
	f := file{Version: 1, Keys: []key{{
		ID: "k" + strings.ToLower(base32.StdEncoding.EncodeToString(id)), Use: root, Key: secret,
	}}}
	if err := write(path, f, os.Link); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, err
	}
	return Load(path) // another process may have been first; its file is the one that counts
}

// Load reads a keyring file. A missing file is fs.ErrNotExist.
func Load(path string) (*Keyring, error) {
	b, err := os.ReadFile(path)
	if err != nil {
		return nil, fmt.Errorf("read keyring: %w", err)
	}
	var f file
	if err := json.Unmarshal(b, &f); err != nil {
		return nil, fmt.Errorf("read keyring %s: not a keyring file", path)
	}
	if f.Version != 1 || len(f.Keys) == 0 {
		return nil, fmt.Errorf("read keyring %s: version %d with %d keys, want version 1 with at least one", path, f.Version, len(f.Keys))
	}
	for i, k := range f.Keys {
		if k.ID == "" || k.Use == "" || len(k.Key) != keyBytes {
			return nil, fmt.Errorf("read keyring %s: key %d is not complete", path, i+1)
		}
	}
	return &Keyring{keys: f.Keys, raw: map[string][]byte{}, aeads: map[string]cipher.AEAD{}}, nil
}

// Export writes a keyring file that holds only the keys of these uses, for a process
// that must not have more. It needs the root key and replaces no existing file.
func (k *Keyring) Export(path string, uses ...Use) error {
	f := file{Version: 1}
	for _, id := range k.IDs() {
		for _, use := range uses {
			raw, err := k.derive(id, use)
			if err != nil {
				return err
			}
			f.Keys = append(f.Keys, key{ID: id, Use: use, Key: raw})
		}
	}
	return write(path, f, os.Link) // Link refuses to replace a file that appeared meanwhile
}

// ExportOnce is Export where there is no such file yet. One that is there keeps its keys, and gets
// what it lacks of these uses under them: files that were made before a use was known.
func (k *Keyring) ExportOnce(path string, uses ...Use) error {
	err := k.Export(path, uses...)
	if !errors.Is(err, fs.ErrExist) {
		return err
	}
	old, err := Load(path)
	if err != nil {
		return err
	}
	f := file{Version: 1, Keys: slices.Clone(old.keys)}
	for _, id := range old.IDs() {
		for _, use := range uses {
			if slices.ContainsFunc(old.keys, func(e key) bool { return e.ID == id && (e.Use == use || e.Use == root) }) {
				continue
			}
			raw, err := k.derive(id, use)
			if errors.Is(err, ErrNoKey) {
				continue // a key of another keyring
			}
			if err != nil {
				return err
			}
			f.Keys = append(f.Keys, key{ID: id, Use: use, Key: raw})
		}
	}
	if len(f.Keys) == len(old.keys) {
		return nil
	}
	return write(path, f, os.Rename)
}

// write makes the whole file beside its place, and then puts it there.
func write(path string, f file, place func(from, to string) error) error {
	b, err := json.MarshalIndent(f, "", "  ")
	if err != nil {
		return fmt.Errorf("write keyring: %w", err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("write keyring: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".keyring-*") // mode 0600
	if err != nil {
		return fmt.Errorf("write keyring: %w", err)
	}
	defer func() { _ = os.Remove(tmp.Name()) }()
	_, err = tmp.Write(append(b, '\n'))
	if err = errors.Join(err, tmp.Sync(), tmp.Close()); err != nil {
		return fmt.Errorf("write keyring: %w", err)
	}
	if err := place(tmp.Name(), path); err != nil {
		return fmt.Errorf("write keyring: %w", err)
	}
	return nil
}

// CurrentID is the id of the key that new records are made with.
func (k *Keyring) CurrentID() string { return k.keys[0].ID }

// IDs lists the ids of all keys, the current one first: a hash that was stored under an older key is
// found by trying each.
func (k *Keyring) IDs() []string {
	ids := make([]string, 0, len(k.keys))
	for _, e := range k.keys {
		if !slices.Contains(ids, e.ID) {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// Seal encrypts content so that it opens only with the channel's key and for this
// verification id on this channel.
func (k *Keyring) Seal(use Use, id string, content []byte) (events.Sealed, error) {
	keyID := k.CurrentID()
	aead, err := k.aead(keyID, use)
	if err != nil {
		return events.Sealed{}, err
	}
	nonce := make([]byte, aead.NonceSize(), aead.NonceSize()+len(content)+aead.Overhead())
	rand.Read(nonce)
	return events.Sealed{KeyID: keyID, Box: aead.Seal(nonce, nonce, content, associated(use, id))}, nil
}

// Open decrypts what Seal made with the same use and id. It fails with ErrNoKey or ErrForged.
func (k *Keyring) Open(use Use, id string, s events.Sealed) ([]byte, error) {
	aead, err := k.aead(s.KeyID, use)
	if err != nil {
		return nil, err
	}
	if len(s.Box) < aead.NonceSize() {
		return nil, ErrForged
	}
	content, err := aead.Open(nil, s.Box[:aead.NonceSize()], s.Box[aead.NonceSize():], associated(use, id))
	if err != nil {
		return nil, ErrForged
	}
	return content, nil
}

func associated(use Use, id string) []byte { return []byte(string(use) + "\x00" + id) }

// Sum is HMAC-SHA256 over the parts under the key keyID of one use. Each part is
// preceded by its length, so that no two lists of parts give the same input.
func (k *Keyring) Sum(keyID string, use Use, parts ...string) ([]byte, error) {
	raw, err := k.derive(keyID, use)
	if err != nil {
		return nil, err
	}
	mac := hmac.New(sha256.New, raw)
	for _, p := range parts {
		mac.Write(binary.BigEndian.AppendUint64(nil, uint64(len(p))))
		mac.Write([]byte(p))
	}
	return mac.Sum(nil), nil
}

// Secret is a derived key itself, for a protocol that needs one of its own (the
// sandbox's accounts). It never stands in a record.
func (k *Keyring) Secret(use Use) ([]byte, error) { return k.derive(k.CurrentID(), use) }

func (k *Keyring) aead(keyID string, use Use) (cipher.AEAD, error) {
	name := keyID + "/" + string(use)
	k.mu.RLock()
	a, ok := k.aeads[name]
	k.mu.RUnlock()
	if ok {
		return a, nil
	}
	raw, err := k.derive(keyID, use)
	if err != nil {
		return nil, err
	}
	block, err := aes.NewCipher(raw)
	if err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	if a, err = cipher.NewGCM(block); err != nil {
		return nil, fmt.Errorf("make cipher: %w", err)
	}
	k.mu.Lock()
	k.aeads[name] = a
	k.mu.Unlock()
	return a, nil
}

func (k *Keyring) derive(keyID string, use Use) ([]byte, error) {
	name := keyID + "/" + string(use)
	k.mu.RLock()
	raw, ok := k.raw[name]
	k.mu.RUnlock()
	if ok {
		return raw, nil
	}
	for _, e := range k.keys {
		if e.ID != keyID {
			continue
		}
		switch e.Use {
		case use:
			raw = e.Key
		case root:
			var err error
			if raw, err = derived(e.Key, use); err != nil {
				return nil, fmt.Errorf("derive key: %w", err)
			}
		default:
			continue
		}
		k.mu.Lock()
		k.raw[name] = raw
		k.mu.Unlock()
		return raw, nil
	}
	// The key id comes from a record, so an attacker may have written it: it is not repeated here.
	return nil, fmt.Errorf("%w (use %s)", ErrNoKey, use)
}

// derived is the key of one use that follows from the root key.
func derived(rootKey []byte, use Use) ([]byte, error) {
	if use == LettersPublic {
		pair, err := derived(rootKey, Letters)
		if err != nil {
			return nil, err
		}
		return publicHalf(pair)
	}
	return hkdf.Key(sha256.New, rootKey, nil, "assent/"+string(use), keyBytes)
}
