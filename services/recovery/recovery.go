// Package recovery describes what stands in for a device that a person has lost: recovery codes, which they keep
// on paper and use once each, and bypass tokens, which somebody who knows them gives out for a while. It is pure;
// package store keeps them as keyed hashes, and the API gives them out and takes them.
package recovery

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"time"
	"unicode"

	"github.com/assent-io/assent/services/verification"
)

const (
	// Codes is how many recovery codes a person gets at once.
	Codes = 10
	// MaxTokens is how many bypass tokens of one user may be open at a time.
	MaxTokens = 5

	// DefaultLife is how long a bypass token works where nothing else is asked for.
	DefaultLife = time.Hour
	// MinLife is the shortest life that may be asked for.
	MinLife = time.Minute
	// MaxLife is the longest.
	MaxLife = 24 * time.Hour
	// DefaultUses is how often a bypass token works where nothing else is asked for.
	DefaultUses = 1
	// MaxUses is how often it works at most.
	MaxUses = 10
)

const (
	// alphabet has none of the characters that are taken for another: 0 and O, 1, I and L.
	alphabet = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
	group    = 4
	// codeLength characters of the alphabet are 59 bits, tokenLength 79. The lengths tell the kinds apart.
	codeLength  = 12
	tokenLength = 16
	// MaxTyped is how long a code may be as people type it, in bytes.
	MaxTyped = 64
)

// Kind is what somebody recovered with.
type Kind string

// The kinds.
const (
	Code  Kind = "recovery_code"
	Token Kind = "bypass_token"
)

// Stock is what is left of a user's recovery codes. Its zero value is that of a user without.
type Stock struct {
	Left      int
	CreatedAt time.Time
}

// BypassToken is an open one, without what it is told by.
type BypassToken struct {
	ID string
	// Reason is why it was given out, in the words of who did.
	Reason               string
	CreatedAt, ExpiresAt time.Time
	UsesLeft             int
}

// Recovered is what came of a code. Its zero value says that it was none.
type Recovered struct {
	Kind Kind
	// CodesLeft is for recovery codes; TokenID and UsesLeft are for bypass tokens.
	CodesLeft int
	TokenID   string
	UsesLeft  int
}

// Valid tells whether the code was one.
func (r Recovered) Valid() bool { return r.Kind != "" }

// ErrCrowded says that the user has MaxTokens open bypass tokens.
var ErrCrowded = errors.New("user has as many bypass tokens as may be open")

// NewCodes draws recovery codes in the form in which they are told, such as K7QF-2M9X-4T8B.
func NewCodes(random io.Reader) ([]verification.Code, error) {
	codes := make([]verification.Code, 0, Codes)
	for range Codes {
		c, err := draw(random, codeLength)
		if err != nil {
			return nil, fmt.Errorf("draw recovery code: %w", err)
		}
		codes = append(codes, c)
	}
	return codes, nil
}

// NewToken draws a bypass token in the form in which it is told, such as K7QF-2M9X-4T8B-W3HN.
func NewToken(random io.Reader) (verification.Code, error) {
	c, err := draw(random, tokenLength)
	if err != nil {
		return "", fmt.Errorf("draw bypass token: %w", err)
	}
	return c, nil
}

// draw takes each character of the alphabet with the same chance: five bits that stand for none are drawn again.
func draw(random io.Reader, length int) (verification.Code, error) {
	drawn := make([]byte, 0, length+length/group)
	buf := make([]byte, length)
	for n := 0; n < length; {
		if _, err := io.ReadFull(random, buf[:length-n]); err != nil {
			return "", err //nolint:wrapcheck // the callers say what was drawn
		}
		for _, b := range buf[:length-n] {
			i := int(b & 0x1f)
			if i >= len(alphabet) {
				continue
			}
			if n > 0 && n%group == 0 {
				drawn = append(drawn, '-')
			}
			drawn = append(drawn, alphabet[i])
			n++
		}
	}
	return verification.Code(drawn), nil
}

// Read is a code as it is compared, and what kind it would be of: without the dashes and spaces that people type, and in
// capitals. False where it can be none, which is not worth a guess.
func Read(typed string) (kind Kind, plain verification.Code, ok bool) {
	if len(typed) > MaxTyped {
		return "", "", false
	}
	var b strings.Builder
	for _, r := range strings.ToUpper(typed) {
		switch {
		case unicode.Is(unicode.Pd, r), unicode.IsSpace(r): // phones make other dashes of what is typed
		case r >= '0' && r <= '9', r >= 'A' && r <= 'Z':
			b.WriteRune(r)
		default:
			return "", "", false
		}
	}
	switch b.Len() {
	case codeLength:
		return Code, verification.Code(b.String()), true
	case tokenLength:
		return Token, verification.Code(b.String()), true
	default:
		return "", "", false
	}
}
