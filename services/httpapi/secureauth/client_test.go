package secureauth_test

import (
	"bytes"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/internal/storetest"
	"github.com/assent-io/assent/services/realm"
)

// The dates of requests: milliseconds, as SDKs since 9.2 send them, and whole seconds.
const (
	milliseconds = "Mon, 02 Jan 2006 15:04:05.000 GMT"
	seconds      = http.TimeFormat
)

// client is an application that signs as the contract says. Its fields are the ways in which SDKs differ.
type client struct {
	h     *house
	realm realm.Realm
	key   []byte
	// prefix is the realm's segment with its slash; empty: none.
	prefix string
	// dates are the headers that hold the date, and form is its spelling.
	dates []string
	form  string
	// late is how much later than the signature the date of the header is.
	late time.Duration
	// spell is the spelling of the path that is signed.
	spell func(escaped string) string
	// feed is signed behind the path of a request without a body.
	feed string
	// at is when it believes to be; nil: the clock's ticks.
	at func() time.Time
	// unsigned leaves the signatures of answers unchecked.
	unsigned bool
}

// client makes a realm of the shop that may do everything, unless change says otherwise.
func (h *house) client(change ...func(*realm.Realm)) client {
	h.t.Helper()
	r := realm.Realm{
		Name: "secureauth-" + uuid.NewString()[:8], AppID: strings.ReplaceAll(uuid.NewString(), "-", ""), Account: shop,
		CreatedAt: h.clock.Now(),
	}
	for _, c := range change {
		c(&r)
	}
	r.Settings = r.Settings.Complete()
	key := drawKey(h.t)
	h.realms.set(application{r, [][]byte{key}})
	return client{h: h, realm: r, key: key, prefix: "/" + r.Name, dates: []string{"X-SA-Ext-Date"}, form: milliseconds, spell: asSent}
}

func drawKey(t *testing.T) []byte {
	t.Helper()
	key := make([]byte, 32)
	_, err := rand.Read(key)
	require.NoError(t, err)
	return key
}

// echoOTP lets a realm's answers hold the codes.
func echoOTP(r *realm.Realm) { r.Settings.EchoOTP = true }

// account makes the realm another account's.
func account(name string) func(*realm.Realm) {
	return func(r *realm.Realm) { r.Account = name }
}

// settings changes the settings of a realm.
func settings(change func(*realm.Settings)) func(*realm.Realm) {
	return func(r *realm.Realm) { change(&r.Settings) }
}

func asSent(escaped string) string { return escaped }

// unescaped is the path as SDKs sign it that escape after they sign.
func unescaped(escaped string) string {
	plain, err := url.PathUnescape(escaped)
	if err != nil {
		return escaped
	}
	return plain
}

// of is the client at another api process.
func (c client) of(h *house) client {
	c.h = h
	return c
}

// do calls a path below the realm, such as /api/v1/auth: escaped as it is sent, with its query. body is
// marshalled, but for a string, which is sent as it is; nil is no body.
func (c client) do(method, path string, body any) answer {
	c.h.t.Helper()
	return c.send(c.request(method, path, body))
}

func (c client) get(path string) answer {
	c.h.t.Helper()
	return c.do(http.MethodGet, path, nil)
}

func (c client) post(path string, body any) answer {
	c.h.t.Helper()
	return c.do(http.MethodPost, path, body)
}

func (c client) put(path string, body any) answer {
	c.h.t.Helper()
	return c.do(http.MethodPut, path, body)
}

func (c client) delete(path string, body any) answer {
	c.h.t.Helper()
	return c.do(http.MethodDelete, path, body)
}

// request is a signed request.
func (c client) request(method, path string, body any) *http.Request {
	c.h.t.Helper()
	var data []byte
	switch b := body.(type) {
	case nil:
	case string:
		data = []byte(b)
	default:
		var err error
		data, err = json.Marshal(b)
		require.NoError(c.h.t, err)
	}
	target := c.prefix + path
	r := httptest.NewRequestWithContext(c.h.t.Context(), method, target, bytes.NewReader(data))
	if data != nil {
		r.Header.Set("Content-Type", "application/json; charset=utf-8")
	}
	at := c.h.clock.tick()
	if c.at != nil {
		at = c.at()
	}
	for _, name := range c.dates {
		r.Header.Set(name, at.Add(c.late).Format(c.form))
	}
	escaped, _, _ := strings.Cut(target, "?")
	signed := method + "\n" + at.Format(c.form) + "\n" + c.realm.AppID + "\n" + c.spell(escaped)
	if len(data) > 0 {
		signed += "\n" + string(data)
	} else {
		signed += c.feed
	}
	r.Header.Set("Authorization", authorization(c.realm.AppID, base64.StdEncoding.EncodeToString(c.hmac(signed))))
	return r
}

func authorization(appID, signature string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(appID+":"+signature))
}

func (c client) hmac(text string) []byte {
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(text))
	return mac.Sum(nil)
}

// send gives a request to the door, and checks what holds for every answer.
func (c client) send(r *http.Request) answer {
	c.h.t.Helper()
	w := httptest.NewRecorder()
	c.h.door.ServeHTTP(w, r)
	return c.read(w.Result())
}

// over sends a request to a server, through whatever stands in front of it.
func (c client) over(base string, r *http.Request) answer {
	c.h.t.Helper()
	sent, err := http.NewRequestWithContext(r.Context(), r.Method, base+r.RequestURI, r.Body)
	require.NoError(c.h.t, err)
	sent.Header = r.Header
	response, err := http.DefaultTransport.RoundTrip(sent) // follows no redirect and keeps no cookie
	require.NoError(c.h.t, err)
	return c.read(response)
}

// read checks that an answer is a JSON object with its two words, which nobody may keep, and its signature.
func (c client) read(response *http.Response) answer {
	t := c.h.t
	t.Helper()
	body, err := io.ReadAll(response.Body)
	require.NoError(t, err)
	require.NoError(t, response.Body.Close())
	a := answer{t, response.StatusCode, response.Header, body}
	require.Equal(t, "application/json; charset=utf-8", a.header.Get("Content-Type"), "body: %s", body)
	require.Equal(t, "no-cache, no-store", a.header.Get("Cache-Control"))
	var words struct{ Status, Message *string }
	a.json(&words)
	require.NotNil(t, words.Status, "body: %s", body)
	require.NotNil(t, words.Message, "body: %s", body)
	if !c.unsigned {
		date := a.header.Get("X-Sa-Date")
		_, err := time.Parse(seconds, date)
		require.NoError(t, err, "the answer is signed: %s", body)
		signature := base64.StdEncoding.EncodeToString(c.hmac(date + "\n" + c.realm.AppID + "\n" + string(body)))
		require.Equal(t, signature, a.header.Get("X-Sa-Signature"), "body: %s", body)
	}
	return a
}

func TestTheClientSignsAsTheReferenceDoes(t *testing.T) {
	t.Parallel()
	key, err := hex.DecodeString(strings.Repeat("0f", 32))
	require.NoError(t, err)
	h := &house{broker: &broker{t: t, clock: &clock{Clock: storetest.NewClock()}}}
	c := client{
		h: h, key: key, prefix: "/secureauth1", dates: []string{"X-SA-Ext-Date"}, form: milliseconds, spell: asSent,
		realm: realm.Realm{AppID: strings.Repeat("ab", 16)},
		at:    func() time.Time { return time.Date(2026, 11, 21, 17, 2, 2, 872e6, time.UTC) },
	}
	r := c.request(http.MethodPost, "/api/v1/auth?x=y", `{"user_id":"jsmith"}`)
	text := "POST\nSat, 21 Nov 2026 17:02:02.872 GMT\n" + strings.Repeat("ab", 16) + "\n/secureauth1/api/v1/auth\n" + `{"user_id":"jsmith"}`
	pair, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(r.Header.Get("Authorization"), "Basic "))
	require.NoError(t, err)
	require.Equal(t, fmt.Sprintf("%s:%s", c.realm.AppID, base64.StdEncoding.EncodeToString(c.hmac(text))), string(pair))
	require.Equal(t, "Sat, 21 Nov 2026 17:02:02.872 GMT", r.Header.Get("X-Sa-Ext-Date"))
}
