package verification

import (
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"strings"
)

const redacted = "REDACTED"

// Code is the secret digits. It prints as REDACTED everywhere.
type Code string

// String hides the code from formatters.
func (Code) String() string { return redacted }

// GoString hides the code from %#v.
func (Code) GoString() string { return redacted }

// LogValue hides the code from slog.
func (Code) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the code from JSON.
func (Code) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal is the code itself, for sealing, hashing and speaking it.
func (c Code) Reveal() string { return string(c) }

// NewCode draws n decimal digits, each equally likely: bytes of 250 and above are drawn again,
// because 256 is not a multiple of ten and a plain remainder would favour 0 to 5.
func NewCode(random io.Reader, n int) (Code, error) {
	digits := make([]byte, 0, n)
	buf := make([]byte, n)
	for len(digits) < n {
		if _, err := io.ReadFull(random, buf[:n-len(digits)]); err != nil {
			return "", fmt.Errorf("draw code: %w", err)
		}
		for _, b := range buf[:n-len(digits)] {
			if b < 250 {
				digits = append(digits, '0'+b%10)
			}
		}
	}
	return Code(digits), nil
}

// letters begins alphanumeric codes: those that nobody takes for a digit or for another letter.
const letters = "ABCDEFGHJKLMNPQRTUVWXY"

// NewAlphanumericCode draws a code of n characters: a letter, then decimal digits, as in B41832. Each
// letter and each digit is equally likely.
func NewAlphanumericCode(random io.Reader, n int) (Code, error) {
	digits, err := NewCode(random, n-1)
	if err != nil {
		return "", err
	}
	var b [1]byte
	for {
		if _, err := io.ReadFull(random, b[:]); err != nil {
			return "", fmt.Errorf("draw code: %w", err)
		}
		// What would favour the first letters is drawn again.
		if int(b[0]) < 256/len(letters)*len(letters) {
			return Code(letters[int(b[0])%len(letters)]) + digits, nil
		}
	}
}

// Token is the secret of a link. It prints as REDACTED everywhere.
type Token string

// String hides the token from formatters.
func (Token) String() string { return redacted }

// GoString hides the token from %#v.
func (Token) GoString() string { return redacted }

// LogValue hides the token from slog.
func (Token) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the token from JSON.
func (Token) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Reveal is the token itself, for sealing and hashing it.
func (t Token) Reveal() string { return string(t) }

const (
	idBytes     = 16
	secretBytes = 16
	tokenBase   = 62 // letters and digits only: no mail program breaks a link at them
	tokenLength = 43 // digits of base 62 that hold 32 bytes
)

// ErrToken says that a link token is malformed: cut, mistyped, or not ours.
var ErrToken = errors.New("malformed link token")

// NewToken draws a link token for a verification whose id is a UUID. The token carries the id, so
// that the link finds its verification by itself, and 128 random bits that only its hash is kept of.
func NewToken(random io.Reader, id string) (Token, error) {
	raw, err := hex.DecodeString(strings.ReplaceAll(id, "-", ""))
	if err != nil || len(raw) != idBytes {
		return "", fmt.Errorf("draw link token: the id is not a UUID")
	}
	raw = append(raw, make([]byte, secretBytes)...)
	if _, err := io.ReadFull(random, raw[idBytes:]); err != nil {
		return "", fmt.Errorf("draw link token: %w", err)
	}
	s := new(big.Int).SetBytes(raw).Text(tokenBase)
	return Token(strings.Repeat("0", tokenLength-len(s)) + s), nil
}

// TokenID is the id of the verification that a token belongs to, if it is genuine: only the
// comparison with the stored hash tells that.
func TokenID(t Token) (string, error) {
	if len(t) != tokenLength {
		return "", ErrToken
	}
	for _, r := range t {
		if (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "", ErrToken
		}
	}
	n, ok := new(big.Int).SetString(string(t), tokenBase)
	if !ok || n.BitLen() > 8*(idBytes+secretBytes) {
		return "", ErrToken
	}
	raw := n.FillBytes(make([]byte, idBytes+secretBytes))
	h := hex.EncodeToString(raw[:idBytes])
	return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:], nil
}
