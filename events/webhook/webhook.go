// Package webhook signs and verifies the HTTP calls between Assent and the programs that an operator
// puts in front of a carrier: the messages that adapters get, and the receipts that they send back. It
// is Standard Webhooks (https://www.standardwebhooks.com) through the official library, with what that
// leaves open: a secret that is long enough, an id that cannot run into what follows it, and a clock
// that is passed in. Workers sign with it, services verify.
package webhook

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"
)

// Tolerance is how far the timestamp of a call may be from now.
const Tolerance = 5 * time.Minute

// What a call is refused for.
var (
	ErrForged = errors.New("the signature does not belong to this call")
	ErrStale  = errors.New("the signature's timestamp is too far from now")
)

// The bounds of a secret, in bytes, as the specification has them.
const (
	minSecret = 24
	maxSecret = 64
	prefix    = "whsec_"
)

// Key signs and verifies. The zero Key verifies nothing and signs nothing.
type Key struct{ hook *standardwebhooks.Webhook }

// ParseSecret reads whsec_ and the base64 of 24 to 64 bytes. Its error does not repeat the secret.
func ParseSecret(secret string) (Key, error) {
	encoded, ok := strings.CutPrefix(secret, prefix)
	if !ok {
		return Key{}, errors.New("want whsec_ and base64")
	}
	raw, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return Key{}, errors.New("want whsec_ and standard base64") // the decoder's error tells a place, which helps nobody
	}
	if len(raw) < minSecret || len(raw) > maxSecret {
		return Key{}, fmt.Errorf("want %d to %d bytes behind whsec_, in base64", minSecret, maxSecret)
	}
	hook, err := standardwebhooks.NewWebhookRaw(raw)
	if err != nil {
		return Key{}, fmt.Errorf("read secret: %w", err)
	}
	return Key{hook: hook}, nil
}

// Sign puts id, time and signature of a body into its header.
func (k Key) Sign(header http.Header, id string, at time.Time, body []byte) error {
	if k.hook == nil || !plain(id) {
		return errors.New("sign call: no key, or an id that holds more than visible characters without a dot")
	}
	signature, err := k.hook.Sign(id, at, body)
	if err != nil {
		return fmt.Errorf("sign call: %w", err)
	}
	header.Set(standardwebhooks.HeaderWebhookID, id)
	header.Set(standardwebhooks.HeaderWebhookTimestamp, strconv.FormatInt(at.Unix(), 10))
	header.Set(standardwebhooks.HeaderWebhookSignature, signature)
	return nil
}

// Verify fails with ErrForged or ErrStale where a call is not to be believed. A call that was heard
// before passes: what follows must bear being told twice, or remember the id.
func (k Key) Verify(header http.Header, body []byte, now time.Time) error {
	id, stamp := header.Get(standardwebhooks.HeaderWebhookID), header.Get(standardwebhooks.HeaderWebhookTimestamp)
	seconds, err := strconv.ParseInt(stamp, 10, 64)
	if k.hook == nil || !plain(id) || err != nil {
		return ErrForged
	}
	// The library would look at its own clock.
	if k.hook.VerifyIgnoringTimestamp(body, header) != nil {
		return ErrForged
	}
	if now.Sub(time.Unix(seconds, 0)).Abs() > Tolerance {
		return ErrStale
	}
	return nil
}

// plain tells whether an id is safe to sign: with a dot in it, the end of the id could pass for the
// timestamp, and the timestamp for the beginning of the body.
func plain(id string) bool {
	if id == "" || len(id) > 128 {
		return false
	}
	for i := range len(id) {
		if id[i] <= ' ' || id[i] > '~' || id[i] == '.' {
			return false
		}
	}
	return true
}
