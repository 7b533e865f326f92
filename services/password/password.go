// Package password hashes passwords with Argon2id, and compares. It keeps nothing: the
// store keeps the hashes, and whoever logs people in bounds how often may be guessed.
package password

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/argon2"
	"golang.org/x/text/unicode/norm"
)

// What new hashes cost: of the settings that OWASP recommends one that takes little memory, so that a small
// machine can check several at once.
const (
	memory      = 19 << 10 // KiB
	passes      = 2
	parallelism = 1
	saltBytes   = 16
	hashBytes   = 32
)

// What a stored hash may cost. It may come from an import or an older setting, but not from somebody
// who would make one login take all memory.
const (
	maxMemory   = 256 << 10 // KiB
	maxPasses   = 16
	maxParallel = 16
	minSalt     = 8
	maxSalt     = 64
	minHash     = 16
	maxHash     = 64
)

// ErrHash says that a stored hash is none of ours. The error does not quote it.
var ErrHash = errors.New("not an Argon2id hash in PHC string form")

// The lengths of passwords, in characters. NIST SP 800-63B-4 section 3.1.1.2 asks for 8 at least where
// the password is one of two factors, for 64 to be allowed, and for no rules on what they are made of.
const (
	minLength = 8
	maxLength = 256
)

// maxWait is how long a password may wait for its turn to be hashed.
const maxWait = 10 * time.Second

// What is wrong with a password, or with the moment.
var (
	ErrLength  = fmt.Errorf("must have %d to %d characters", minLength, maxLength)
	ErrOwnName = errors.New("must not be a name of its owner")
	ErrBusy    = errors.New("too many passwords are being hashed")
)

// Acceptable tells whether a password may be set by somebody who has these names; it fails with ErrLength or
// ErrOwnName.
func Acceptable(password string, own ...string) error {
	if n := utf8.RuneCountInString(password); n < minLength || n > maxLength {
		return ErrLength
	}
	for _, name := range own {
		if strings.EqualFold(name, password) {
			return ErrOwnName
		}
	}
	return nil
}

// Hasher hashes and compares, a few at once: each takes 19 MiB and a core. It is safe for concurrent use.
type Hasher struct {
	turns chan struct{}
	wait  time.Duration
	// absent is compared with where there is no hash.
	absent hash
}

// New makes a Hasher that works on so many passwords at once, at least one.
func New(atOnce int) *Hasher {
	return &Hasher{
		turns:  make(chan struct{}, max(1, atOnce)),
		wait:   maxWait,
		absent: hash{memory: memory, passes: passes, parallelism: parallelism, salt: make([]byte, saltBytes), sum: make([]byte, hashBytes)},
	}
}

// Hash is slow and takes memory on purpose; it waits for its turn, and fails with ErrBusy
// after 10 s, and when ctx ends first. How a keyboard composed the characters makes no difference (NFKC).
func (h *Hasher) Hash(ctx context.Context, password string) (string, error) {
	p := hash{memory: memory, passes: passes, parallelism: parallelism, salt: make([]byte, saltBytes), sum: make([]byte, hashBytes)}
	rand.Read(p.salt) // never fails: crypto/rand ends the program instead
	var err error
	if p.sum, err = h.sum(ctx, p, password); err != nil {
		return "", err
	}
	return p.String(), nil
}

// Check compares; an empty hash takes as long as a new one and never matches. It fails with ErrHash for
// what is no hash, and otherwise as Hash does.
func (h *Hasher) Check(ctx context.Context, stored, password string) (bool, error) {
	p := h.absent
	if stored != "" {
		var err error
		if p, err = parse(stored); err != nil {
			return false, err
		}
	}
	sum, err := h.sum(ctx, p, password)
	if err != nil {
		return false, err
	}
	return subtle.ConstantTimeCompare(sum, p.sum) == 1 && stored != "", nil
}

func (h *Hasher) sum(ctx context.Context, p hash, password string) ([]byte, error) {
	if err := ctx.Err(); err != nil { // a free turn and an ended context would be drawn by lot
		return nil, fmt.Errorf("wait to hash password: %w", err)
	}
	late := time.NewTimer(h.wait)
	defer late.Stop()
	select {
	case h.turns <- struct{}{}:
		defer func() { <-h.turns }()
	case <-late.C:
		return nil, ErrBusy
	case <-ctx.Done():
		return nil, fmt.Errorf("wait to hash password: %w", ctx.Err())
	}
	return argon2.IDKey(norm.NFKC.Bytes([]byte(password)), p.salt, p.passes, p.memory, p.parallelism, uint32(len(p.sum))), nil //nolint:gosec // at most maxHash
}

// hash is a hash with what it was made with.
type hash struct {
	memory, passes uint32
	parallelism    uint8
	salt, sum      []byte
}

// String is the PHC string form.
func (p hash) String() string {
	enc := base64.RawStdEncoding.EncodeToString
	return fmt.Sprintf("%sm=%d,t=%d,p=%d$%s$%s", prefix(), p.memory, p.passes, p.parallelism, enc(p.salt), enc(p.sum))
}

func prefix() string { return fmt.Sprintf("$argon2id$v=%d$", argon2.Version) }

func parse(stored string) (hash, error) {
	rest, ours := strings.CutPrefix(stored, prefix())
	parts := strings.Split(rest, "$")
	if !ours || len(parts) != 3 {
		return hash{}, ErrHash
	}
	var p hash
	var err1, err2, err3 error
	_, err1 = fmt.Sscanf(parts[0], "m=%d,t=%d,p=%d", &p.memory, &p.passes, &p.parallelism)
	p.salt, err2 = base64.RawStdEncoding.Strict().DecodeString(parts[1])
	p.sum, err3 = base64.RawStdEncoding.Strict().DecodeString(parts[2])
	if errors.Join(err1, err2, err3) != nil || !p.sane() || p.String() != stored {
		return hash{}, ErrHash // two spellings of one hash are one too many
	}
	return p, nil
}

func (p hash) sane() bool {
	return p.parallelism >= 1 && p.parallelism <= maxParallel &&
		p.memory >= 8*uint32(p.parallelism) && p.memory <= maxMemory &&
		p.passes >= 1 && p.passes <= maxPasses &&
		len(p.salt) >= minSalt && len(p.salt) <= maxSalt &&
		len(p.sum) >= minHash && len(p.sum) <= maxHash
}
