package secureauth_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/json"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/secureauth"
	"github.com/assent-io/assent/services/internal/storetest"
	"github.com/assent-io/assent/services/password"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

const shop = "shop"

// house is the door of one api process in front of real stores.
type house struct {
	*broker
	door          *secureauth.Server
	users         *store.Users
	tickets       *store.Tickets
	guesses       *store.Guesses
	counts        *store.Counts
	passwords     *password.Hasher
	verifications *storetest.Recorder
	silence       *storetest.Silence
}

// broker is what the api processes of a test share.
type broker struct {
	*storetest.Broker

	t      *testing.T
	clock  *clock
	realms *realms
	people atomic.Int64
}

// clock is one that also tells the dates of requests.
type clock struct {
	*storetest.Clock

	last atomic.Int64
}

// tick is now in whole milliseconds, later than any tick before: no two requests have the same date.
func (c *clock) tick() time.Time {
	for {
		last := c.last.Load()
		next := max(c.Now().UnixMilli(), last+1)
		if c.last.CompareAndSwap(last, next) {
			return time.UnixMilli(next).UTC()
		}
	}
}

// realms are the applications that every process knows.
type realms struct {
	mu    sync.Mutex
	known map[string]application
	lost  error // what asking fails with; nil: nothing
}

type application struct {
	realm realm.Realm
	keys  [][]byte
}

func (r *realms) Realm(_ context.Context, appID string) (realm.Realm, [][]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.lost != nil {
		return realm.Realm{}, nil, r.lost
	}
	a, ok := r.known[appID]
	if !ok {
		return realm.Realm{}, nil, realm.ErrUnknown
	}
	return a.realm, a.keys, nil
}

func (r *realms) set(a application) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[a.realm.AppID] = a
}

func (r *realms) lose(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.lost = err
}

// setup starts a broker, and one api process on it.
func setup(t *testing.T, options ...func(*secureauth.Config)) *house {
	t.Helper()
	shared := storetest.NewBroker(t)
	b := &broker{Broker: shared, t: t, clock: &clock{Clock: shared.Clock}, realms: &realms{known: map[string]application{}}}
	return b.process(options...)
}

// process is one more api process: it shares the broker with the others, and nothing else.
func (b *broker) process(options ...func(*secureauth.Config)) *house {
	t := b.t
	t.Helper()
	s := b.Stores(t)
	h := &house{
		broker: b, passwords: password.New(2), silence: s.Silence, guesses: s.Guesses, users: s.Users, tickets: s.Tickets,
		verifications: s.Verifications,
	}
	var err error
	h.counts, err = store.NewCounts(t.Context(), b.JS, store.CountsConfig{Keys: b.Keys, Now: b.clock.Now})
	require.NoError(t, err)
	config := secureauth.Config{
		Realms: b.realms, Users: h.users, Verifications: h.verifications, Tickets: h.tickets, Guesses: h.guesses,
		Counts: h.counts, Passwords: h.passwords, PublicURL: func() string { return "https://assent.example" }, Now: b.clock.Now,
	}
	for _, o := range options {
		o(&config)
	}
	h.door = secureauth.New(config)
	return h
}

// user stores a person with a number and a mailbox of their own.
func (h *house) user(change ...func(*device.User)) device.User {
	h.t.Helper()
	n := h.people.Add(1)
	u := device.User{
		ID: uuid.Must(uuid.NewV7()).String(), Credential: shop, CreatedAt: h.clock.Now(),
		Username: fmt.Sprintf("ana%d", n), Email: fmt.Sprintf("ana%d@example.com", n), Phone: fmt.Sprintf("+1415555%04d", 100+n),
		GivenName: "Ana", FamilyName: "Lima",
	}
	for _, c := range change {
		c(&u)
	}
	u, err := h.users.CreateUser(h.t.Context(), u)
	require.NoError(h.t, err)
	return u
}

func username(name string) func(*device.User) {
	return func(u *device.User) { u.Username = name }
}

// app stores a phone whose app takes pushes and shows codes, unless change says otherwise.
func (h *house) app(u device.User, change ...func(*device.Device)) device.Device {
	h.t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(h.t, err)
	public, err := x509.MarshalPKIXPublicKey(&key.PublicKey)
	require.NoError(h.t, err)
	d := device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: u.ID, Credential: u.Credential, Kind: device.Push, Factor: device.AppPush,
		Name: "HTC One", Address: "token-" + uuid.NewString(), Platform: device.FCM, PublicKey: public,
		Secret: bytes.Repeat([]byte{7}, 20), CreatedAt: h.clock.Now(),
	}
	for _, c := range change {
		c(&d)
	}
	d, err = h.users.CreateDevice(h.t.Context(), d)
	require.NoError(h.t, err)
	return d
}

// factorID is a device's id as the API has it.
func factorID(d device.Device) string { return strings.ReplaceAll(d.ID, "-", "") }

// answers lets the person decide, with the number that they picked where there is one.
func (h *house) answers(id string, decision verification.Decision, number string) {
	h.t.Helper()
	fact := verification.Answered{Decision: decision}
	if number != "" {
		hash, err := h.verifications.NumberHash(h.t.Context(), id, number)
		require.NoError(h.t, err)
		fact.Number = hash
	}
	_, err := h.verifications.Resolve(h.t.Context(), id, fact)
	require.NoError(h.t, err)
}

// answer is a response with its body read.
type answer struct {
	t      *testing.T
	status int
	header http.Header
	body   []byte
}

// is checks the status of HTTP and returns the answer.
func (a answer) is(status int) answer {
	a.t.Helper()
	require.Equal(a.t, status, a.status, "body: %s", a.body)
	return a
}

// says checks the status of HTTP and the words, exactly, and returns the answer.
func (a answer) says(code int, status, message string) answer {
	a.t.Helper()
	o := a.is(code).object()
	require.Equal(a.t, [2]any{status, message}, [2]any{o["status"], o["message"]}, "body: %s", a.body)
	return a
}

// only checks that the body has these fields and no others.
func (a answer) only(fields ...string) answer {
	a.t.Helper()
	var names []string
	for name := range a.object() {
		names = append(names, name)
	}
	require.ElementsMatch(a.t, fields, names, "body: %s", a.body)
	return a
}

func (a answer) json(into any) {
	a.t.Helper()
	require.NoError(a.t, json.Unmarshal(a.body, into), "body: %s", a.body)
}

func (a answer) object() map[string]any {
	a.t.Helper()
	var o map[string]any
	a.json(&o)
	return o
}

// text is a field of the body that is a string; empty where there is none.
func (a answer) text(field string) string {
	s, _ := a.object()[field].(string)
	return s
}

var update = flag.Bool("update", false, "write the golden bodies anew")

// differs is what differs from run to run, and what stands for it.
var differs = []struct {
	form *regexp.Regexp
	put  string
}{
	{regexp.MustCompile(`[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}`), "UUID"},
	{regexp.MustCompile(`"[0-9a-f]{32}"`), `"DEVICE"`},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z`), "TIME"},
	{regexp.MustCompile(`("otp": )"[1-9]\d{5}"`), `$1"DIGITS"`},
	{regexp.MustCompile(`("symbol": )"\d"`), `$1"DIGIT"`},
	{regexp.MustCompile(`\+1415555\d{4}`), "+14155550100"},
	{regexp.MustCompile(`\bana\d+\b`), "ana"},
}

// golden holds an answer against testdata/golden/<folder>/<call>.json.
func (a answer) golden(folder, call string) answer {
	a.t.Helper()
	var b bytes.Buffer
	require.NoError(a.t, json.Indent(&b, a.body, "", "  "), "body: %s", a.body)
	body := b.Bytes()
	for _, d := range differs {
		body = d.form.ReplaceAll(body, []byte(d.put))
	}
	got, err := json.MarshalIndent(map[string]any{"status": a.status, "body": json.RawMessage(body)}, "", "  ")
	require.NoError(a.t, err)
	got = append(got, '\n')
	path := filepath.Join("testdata", "golden", folder, call+".json")
	if *update {
		require.NoError(a.t, os.MkdirAll(filepath.Dir(path), 0o750))
		require.NoError(a.t, os.WriteFile(path, got, 0o600))
	}
	want, err := os.ReadFile(path)
	require.NoError(a.t, err)
	require.Equal(a.t, string(want), string(got), path)
	return a
}
