// Package phone is the client side of an app on a person's phone, without its screen: a
// key and a push token, what joining gave them, and how to look for questions, answer
// them signed, and make one-time codes. It knows the API's wire form and nothing of the
// server behind it. The command `assent phone` is built on it, and so may be tests.
package phone

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base32"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/device"
)

// Phone is a joined phone: everything that its state file holds. It is not safe for concurrent use.
type Phone struct {
	// Base is the deployment that it joined, and CA the authorities (PEM) that it trusts there beside
	// the system's.
	Base string `json:"base"`
	CA   string `json:"ca,omitempty"`

	DeviceID string `json:"device_id"`
	Name     string `json:"name,omitempty"`
	Brand    string `json:"brand,omitempty"`
	User     string `json:"user,omitempty"`
	// Secret is what the one-time codes are made of, in Base32.
	Secret string `json:"secret"`
	// PrivateKey signs answers: PKCS #8 (DER).
	PrivateKey []byte    `json:"private_key"`
	Platform   string    `json:"platform"`
	PushToken  string    `json:"push_token"`
	JoinedAt   time.Time `json:"joined_at"`

	key  *ecdsa.PrivateKey
	http *http.Client
}

// Invitation is what a phone needs to join.
type Invitation struct {
	// Base is the deployment, such as https://assent.example.com; CA holds its authorities as PEM where
	// the system does not know them.
	Base, CA string
	// Code is the activation code.
	Code string
	// Name is what the person calls the phone; may be empty.
	Name string
	// Platform is device.APNs, device.FCM or device.WebPush; empty: device.FCM. An empty PushToken is drawn at random; a
	// page has none then, and is asked while it looks.
	Platform, PushToken string
}

// ErrNoPrompt says that nothing waits for an answer.
var ErrNoPrompt = errors.New("nothing waits for an answer")

// Join makes a key and joins with it. What the server refuses is an *api.Problem.
func Join(ctx context.Context, i Invitation) (*Phone, error) {
	p := &Phone{Base: i.Base, CA: i.CA, Platform: i.Platform, PushToken: i.PushToken}
	if p.Platform == "" {
		p.Platform = device.FCM
	}
	var err error
	if p.key, err = ecdsa.GenerateKey(elliptic.P256(), rand.Reader); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if p.PrivateKey, err = x509.MarshalPKCS8PrivateKey(p.key); err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	if p.PushToken == "" && p.Platform != device.WebPush {
		p.PushToken = drawToken(p.Platform)
	}
	if err := p.connect(); err != nil {
		return nil, err
	}
	public, err := x509.MarshalPKIXPublicKey(&p.key.PublicKey)
	if err != nil {
		return nil, fmt.Errorf("make key: %w", err)
	}
	body, err := json.Marshal(api.JoinPhone{
		Code: i.Code, Platform: api.Platform(p.Platform), PushToken: &p.PushToken,
		PublicKey: base64.StdEncoding.EncodeToString(public), Name: i.Name,
	})
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	var joined api.JoinedPhone
	// An answer that was lost is asked for once more: the code would be used up, and no phone have its secret.
	repeatable := http.Header{"Idempotency-Key": {rand.Text()}}
	if err = p.call(ctx, http.MethodPost, "/v1/phones", repeatable, body, &joined); errors.As(err, new(*url.Error)) {
		err = p.call(ctx, http.MethodPost, "/v1/phones", repeatable, body, &joined)
	}
	if err != nil {
		return nil, fmt.Errorf("join: %w", err)
	}
	p.DeviceID, p.Name, p.Brand, p.User = joined.DeviceID, joined.Name, joined.Brand, joined.User
	p.Secret, p.JoinedAt = joined.Secret, joined.CreatedAt
	return p, p.check()
}

// tokenBytes is the random part of a push token that nobody was given: as long as Apple's.
const tokenBytes = 32

// drawToken makes a token in the platform's form. Only the sandbox carriers take it.
func drawToken(platform string) string {
	var random [tokenBytes]byte
	rand.Read(random[:]) // never fails: crypto/rand ends the program instead
	random[0] &= 0x0f    // the sandbox takes tokens that begin with dead for those of removed apps
	if platform == device.APNs {
		return hex.EncodeToString(random[:])
	}
	return "phone-" + base64.RawURLEncoding.EncodeToString(random[:])
}

// longestLook is how long one request waits. Proxies often cut at 60 seconds.
const longestLook = 25 * time.Second

// An empty answer that came too early is from a server that is shutting down; the next one is asked
// after a pause.
const (
	tooEarly   = 100 * time.Millisecond
	earlyPause = time.Second
)

// Await returns the newest prompt as soon as there is one, or ErrNoPrompt after wait.
func (p *Phone) Await(ctx context.Context, wait time.Duration) (api.Prompt, error) {
	for end := time.Now().Add(wait); ; {
		asked := time.Now()
		look := min(end.Sub(asked), longestLook)
		open, err := p.prompts(ctx, look)
		if err != nil {
			return api.Prompt{}, fmt.Errorf("look for prompts: %w", err)
		}
		if len(open) > 0 {
			return open[0], nil
		}
		if left := time.Until(end); left <= 0 {
			return api.Prompt{}, ErrNoPrompt
		} else if early := look - time.Since(asked); early > tooEarly {
			if err := pause(ctx, min(earlyPause, left)); err != nil {
				return api.Prompt{}, err
			}
		}
	}
}

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *Phone) prompts(ctx context.Context, wait time.Duration) ([]api.Prompt, error) {
	seconds := max(0, int((wait+time.Second-1)/time.Second))
	at := time.Now().UTC().Format(time.RFC3339)
	signature, err := p.sign(device.Request{Purpose: device.Look, DeviceID: p.DeviceID, At: at}.SignedText())
	if err != nil {
		return nil, err
	}
	header := http.Header{"Authorization": {phoneAuthorization(at, signature)}}
	ctx, cancel := context.WithTimeout(ctx, callTimeout+time.Duration(seconds)*time.Second)
	defer cancel()
	var list api.PromptList
	path := "/v1/phones/" + url.PathEscape(p.DeviceID) + "/prompts?wait=" + strconv.Itoa(seconds)
	if err := p.call(ctx, http.MethodGet, path, header, nil, &list); err != nil {
		return nil, err
	}
	return list.Data, nil
}

// NumberError says that a prompt is approved with the number on the other screen, and that none was given: one of
// the Choices, or where there are none one of Length digits.
type NumberError struct {
	Choices []string
	Length  int
}

func (e *NumberError) Error() string {
	switch {
	case len(e.Choices) > 0:
	case e.Length == 1:
		return "the question asks for the digit on the other screen"
	default:
		return fmt.Sprintf("the question asks for the %d digits on the other screen", e.Length)
	}
	last := len(e.Choices) - 1
	among := e.Choices[last]
	if last > 0 {
		among = strings.Join(e.Choices[:last], ", ") + " or " + among
	}
	return printable("the question asks for the number on the other screen: " + among)
}

// Answer signs a decision about a prompt and sends it; number is what the person picked or typed, empty
// where nothing was asked for. It returns once the server has the answer. What it refuses is an
// *api.Problem. Without a number where the prompt asks for one it fails with a *NumberError, and nothing
// is sent. A number that is not among the choices is sent: the server tells the right one.
func (p *Phone) Answer(ctx context.Context, prompt api.Prompt, decision api.Decision, number string) error {
	if decision == api.DecisionApprove && number == "" && (len(prompt.Choices) > 0 || prompt.NumberLength > 0) {
		return &NumberError{Choices: prompt.Choices, Length: prompt.NumberLength}
	}
	at := time.Now().UTC().Format(time.RFC3339)
	signature, err := p.sign(device.Answer{
		VerificationID: prompt.VerificationID, DeviceID: p.DeviceID, Decision: string(decision),
		NumberDigest: device.NumberDigest(prompt.NumberSalt, number),
		AnsweredAt:   at, Context: prompt.Context,
	}.SignedText())
	if err != nil {
		return err
	}
	body, err := json.Marshal(api.PushAnswer{
		DeviceID: p.DeviceID, Decision: decision, AnsweredAt: at, Signature: signature, Number: number,
	})
	if err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	var received api.ReceivedAnswer
	path := "/v1/verifications/" + url.PathEscape(prompt.VerificationID) + "/responses"
	if err := p.call(ctx, http.MethodPost, path, nil, body, &received); err != nil {
		return fmt.Errorf("answer: %w", err)
	}
	return nil
}

// ChangeToken tells the server the push token that the phone got, and keeps it in p; the caller keeps p. An empty one
// is drawn at random, which only the sandbox carriers take. What the server refuses is an *api.Problem.
func (p *Phone) ChangeToken(ctx context.Context, token string) error {
	if token == "" {
		token = drawToken(p.Platform)
	}
	body, err := json.Marshal(api.ChangePhone{PushToken: &token})
	if err != nil {
		return fmt.Errorf("change push token: %w", err)
	}
	at := time.Now().UTC().Format(time.RFC3339Nano) // a change must be later than the one before
	signature, err := p.sign(device.Request{Purpose: device.Change, DeviceID: p.DeviceID, At: at, Body: string(body)}.SignedText())
	if err != nil {
		return err
	}
	header := http.Header{"Authorization": {phoneAuthorization(at, signature)}}
	if err := p.call(ctx, http.MethodPut, "/v1/phones/"+url.PathEscape(p.DeviceID), header, body, nil); err != nil {
		return fmt.Errorf("change push token: %w", err)
	}
	p.PushToken = token
	return nil
}

// phoneAuthorization is the header of what a phone signs.
func phoneAuthorization(at, signature string) string {
	return fmt.Sprintf(`Phone at="%s", signature="%s"`, at, signature)
}

// Code is the phone's one-time code at this time.
func (p *Phone) Code(at time.Time) (string, error) {
	secret, err := decodeSecret(p.Secret)
	if err != nil {
		return "", err
	}
	return device.OneTimeCode(secret, at), nil
}

func decodeSecret(text string) ([]byte, error) {
	secret, err := base32.StdEncoding.WithPadding(base32.NoPadding).DecodeString(strings.TrimRight(strings.ToUpper(text), "="))
	if err != nil || len(secret) == 0 {
		return nil, errors.New("the secret of the one-time codes is not Base32")
	}
	return secret, nil
}

func (p *Phone) sign(text string) (string, error) {
	digest := sha256.Sum256([]byte(text))
	signature, err := ecdsa.SignASN1(rand.Reader, p.key, digest[:])
	if err != nil {
		return "", fmt.Errorf("sign: %w", err)
	}
	return base64.RawURLEncoding.EncodeToString(signature), nil
}

// check tells what a phone lacks to work.
func (p *Phone) check() error {
	if _, err := decodeSecret(p.Secret); err != nil {
		return err
	}
	if p.DeviceID == "" {
		return errors.New("there is no device id")
	}
	key, err := x509.ParsePKCS8PrivateKey(p.PrivateKey)
	if err != nil {
		return errors.New("the private key cannot be read")
	}
	own, ok := key.(*ecdsa.PrivateKey)
	if !ok || own.Curve != elliptic.P256() {
		return errors.New("the private key is not on P-256")
	}
	p.key = own
	return p.connect()
}

// Question is what a person reads of a prompt before they decide: labels and texts, as far as there are.
func Question(prompt api.Prompt) [][2]string {
	var shown struct {
		Action string `json:"action"`
		IP     string `json:"ip"`
		Place  string `json:"place"`
		Device string `json:"device"`
		Fields []struct {
			Label string `json:"label"`
			Value string `json:"value"`
		} `json:"fields"`
	}
	_ = json.Unmarshal([]byte(prompt.Context), &shown) // what cannot be read cannot be shown
	all := [][2]string{{"brand", prompt.Brand}, {"action", shown.Action}}
	for _, f := range shown.Fields { // what is agreed to
		all = append(all, [2]string{f.Label, f.Value})
	}
	all = append(all, [][2]string{
		{"ip", shown.IP}, {"place", shown.Place}, {"device", shown.Device}, {"choices", strings.Join(prompt.Choices, " ")},
	}...)
	var lines [][2]string
	for _, line := range all {
		if line[1] != "" {
			lines = append(lines, [2]string{printable(line[0]), printable(line[1])})
		}
	}
	return lines
}

// printable leaves out what would move a terminal's cursor or change how the text around reads.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if strconv.IsPrint(r) {
			return r
		}
		return -1
	}, s)
}
