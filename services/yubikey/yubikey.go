// Package yubikey asks a validation server whether a YubiKey's one-time password is genuine
// (Yubico's validation protocol, version 2.0): Yubico's own servers or one that an operator
// runs. It decides nothing about users; the SecureAuth door calls it.
package yubikey

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha1" //nolint:gosec // the protocol's own
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Config names a validation server and its client.
type Config struct {
	// URL is the server's verify address, such as https://api.yubico.com/wsapi/2.0/verify.
	URL      string
	ClientID string
	// Key signs requests and answers, in base64; empty: neither is signed.
	Key string
}

// Validate reports what is wrong, each fault as "key: detail".
func (c Config) Validate() []error {
	var faults []error
	if u, err := url.Parse(c.URL); err != nil || u.Host == "" || u.Scheme != "https" && u.Scheme != "http" || u.RawQuery != "" {
		faults = append(faults, errors.New("yubikey_url: want an absolute http or https URL without a query"))
	}
	if c.ClientID == "" || strings.Trim(c.ClientID, "0123456789") != "" {
		faults = append(faults, errors.New("yubikey_client_id: want the number of a client"))
	}
	if _, err := base64.StdEncoding.DecodeString(c.Key); err != nil {
		faults = append(faults, errors.New("yubikey_key: want base64, as the server's console shows it"))
	}
	return faults
}

// Validator asks one server. It is safe for concurrent use.
type Validator struct {
	cfg    Config
	key    []byte
	client *http.Client
}

// New makes a Validator that calls with client. The configuration must be valid.
func New(cfg Config, client *http.Client) (*Validator, error) {
	key, err := base64.StdEncoding.DecodeString(cfg.Key)
	if err != nil {
		return nil, errors.New("the key of the YubiKey client is not base64")
	}
	return &Validator{cfg: cfg, key: key, client: client}, nil
}

// form is a one-time password: a public identity, then 32 characters that change with each press.
var form = regexp.MustCompile(`^[cbdefghijklnrtuv]{0,16}[cbdefghijklnrtuv]{32}$`)

const changing = 32

// Identity is the public identity of the key that a one-time password came from; false for what is none.
func (*Validator) Identity(otp string) (string, bool) {
	otp = strings.ToLower(strings.TrimSpace(otp))
	if !form.MatchString(otp) {
		return "", false
	}
	return otp[:len(otp)-changing], true
}

const (
	// timeout bounds one question: a person waits for it.
	timeout   = 5 * time.Second
	maxAnswer = 4 << 10
)

// ErrServer says that the server could not tell. It never holds the one-time password.
var ErrServer = errors.New("YubiKey validation server gave no usable answer")

// Valid tells whether a one-time password is genuine and was not used before. It fails with ErrServer.
func (v *Validator) Valid(ctx context.Context, otp string) (bool, error) {
	otp = strings.ToLower(strings.TrimSpace(otp))
	if !form.MatchString(otp) {
		return false, nil
	}
	nonce := strings.ToLower(rand.Text())
	query := map[string]string{"id": v.cfg.ClientID, "nonce": nonce, "otp": otp}
	answer, err := v.ask(ctx, query)
	if err != nil {
		return false, err
	}
	// The answer is to this question and no other, and nobody changed it on its way.
	if answer["status"] == "OK" && (answer["otp"] != otp || answer["nonce"] != nonce) {
		return false, fmt.Errorf("%w: it answers another question", ErrServer)
	}
	if len(v.key) > 0 {
		given, err := base64.StdEncoding.DecodeString(answer["h"])
		if err != nil || subtle.ConstantTimeCompare(given, v.sum(answer)) != 1 {
			return false, fmt.Errorf("%w: its signature is wrong", ErrServer)
		}
	}
	switch answer["status"] {
	case "OK":
		return true, nil
	case "BAD_OTP", "REPLAYED_OTP", "REPLAYED_REQUEST":
		return false, nil
	default:
		return false, fmt.Errorf("%w: it cannot tell", ErrServer)
	}
}

func (v *Validator) ask(ctx context.Context, query map[string]string) (map[string]string, error) {
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	values := url.Values{}
	for name, value := range query {
		values.Set(name, value)
	}
	if len(v.key) > 0 {
		values.Set("h", base64.StdEncoding.EncodeToString(v.sum(query)))
	}
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, v.cfg.URL+"?"+values.Encode(), http.NoBody)
	if err != nil {
		return nil, fmt.Errorf("%w: its address cannot be called", ErrServer)
	}
	resp, err := v.client.Do(r)
	if err != nil {
		return nil, fmt.Errorf("%w: no answer", ErrServer) // the error has the address with the one-time password
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil || resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%w: HTTP status %d", ErrServer, resp.StatusCode)
	}
	answer := map[string]string{}
	for line := range strings.Lines(string(body)) {
		if name, value, ok := strings.Cut(strings.TrimSpace(line), "="); ok {
			answer[name] = value
		}
	}
	return answer, nil
}

// sum is HMAC-SHA1 over the parameters in alphabetical order, without the signature itself.
func (v *Validator) sum(parameters map[string]string) []byte {
	var pairs []string
	for _, name := range slices.Sorted(maps.Keys(parameters)) {
		if name != "h" {
			pairs = append(pairs, name+"="+parameters[name])
		}
	}
	mac := hmac.New(sha1.New, v.key)
	mac.Write([]byte(strings.Join(pairs, "&")))
	return mac.Sum(nil)
}
