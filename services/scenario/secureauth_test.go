package scenario_test

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"maps"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// The words of stories about platforms that speak SecureAuth's API.

// application is a platform that was written for SecureAuth: it knows its realm, its application id
// and key, and nothing of ours but the host.
type application struct {
	*story
	sdk
	realm string // none: paths start with /api
	id    string
	key   []byte
	calls int
	made  map[string]bool // the changes that were signed
}

// Realm makes one, as an operator does, and the application that it is for.
func (s *story) Realm(speaks sdk, settings fields) *application {
	s.t.Helper()
	name := "secureauth-" + rand.Text()[:10]
	asked := fields{"name": name}
	if settings != nil {
		asked["settings"] = settings
	}
	made := read[struct {
		Name   string `json:"name"`
		AppID  string `json:"app_id"`
		AppKey string `json:"app_key"`
	}](s.t, s.Call(http.MethodPost, "/v1/realms", asked), http.StatusCreated)
	require.Equal(s.t, name, made.Name)
	require.Regexp(s.t, `^[0-9a-f]{32}$`, made.AppID)
	key, err := hex.DecodeString(made.AppKey)
	require.NoError(s.t, err)
	require.Len(s.t, key, 32)
	return &application{story: s, sdk: speaks, realm: name, id: made.AppID, key: key, made: map[string]bool{}}
}

// with is an application in the words of another test.
func (s *story) with(a *application) *application {
	same := *a
	same.story, same.made = s, map[string]bool{}
	return &same
}

// said is what all answers are made of.
type said struct {
	Status      string         `json:"status"`
	Message     string         `json:"message"`
	UserID      string         `json:"user_id"`
	OTP         *string        `json:"otp"`
	ReferenceID string         `json:"reference_id"`
	Symbol      string         `json:"symbol"`
	Count       int            `json:"count"`
	Factors     []secureFactor `json:"factors"`
	Properties  map[string]struct {
		Value    string `json:"value"`
		Writable string `json:"isWritable"`
	} `json:"properties"`
}

// secureFactor is one of a user's factors.
type secureFactor struct {
	Type         string   `json:"type"`
	ID           string   `json:"id"`
	Value        string   `json:"value"`
	Capabilities []string `json:"capabilities"`
}

// Call signs and asks; each call goes to another api process, where there are several. Path is what
// follows /api/v1 and the like, escaped, with its query.
func (a *application) Call(method, path string, body any, options ...option) answer {
	a.t.Helper()
	bases := append([]string{a.base}, a.others...)
	a.calls++
	return a.At(bases[a.calls%len(bases)], method, path, body, options...)
}

// At is Call on one address.
func (a *application) At(base, method, path string, body any, options ...option) answer {
	a.t.Helper()
	if !strings.HasPrefix(path, "/api/") {
		path = "/api/" + a.version + path
	}
	if a.realm != "" {
		path = "/" + a.realm + path
	}
	target, err := url.Parse(base + path)
	require.NoError(a.t, err)
	var raw any
	text := ""
	if body != nil {
		text = a.encode(a.t, body)
		raw = text
	}
	got, err := a.ask(a.t.Context(), method, target.String(), raw, append(a.change(method, target, text), options...)...)
	require.NoError(a.t, err, "%s %s", method, path)
	a.knows(got)
	return got
}

// change is headers for a client that knows: a change is taken once for each date, and dates may be
// whole seconds.
func (a *application) change(method string, target *url.URL, body string) (signed []option) {
	a.t.Helper()
	if method == http.MethodGet {
		return a.headers(method, target, body)
	}
	eventually(a.t, "the next second begins", func() bool {
		now := time.Now()
		date, _ := a.dates(method, now.UTC())
		what := strings.Join([]string{method, date, target.Path, body}, "\n")
		if a.made[what] {
			return false
		}
		a.made[what] = true
		signed = a.headersAt(now, method, target, body)
		return true
	})
	return signed
}

// headers are those of one signed request.
func (a *application) headers(method string, target *url.URL, body string) []option {
	return a.headersAt(time.Now(), method, target, body)
}

func (a *application) headersAt(now time.Time, method string, target *url.URL, body string) []option {
	date, dates := a.dates(method, now.UTC())
	signed := []string{method, date, a.id, a.signs(target)}
	switch {
	case body != "":
		signed = append(signed, body)
	case method != http.MethodGet:
		signed[3] += a.emptyBody
	}
	options := []option{func(r *http.Request) {
		r.Header.Del("Content-Type")
		r.SetBasicAuth(a.id, mac(a.key, strings.Join(signed, "\n")))
	}}
	if body != "" || a.alwaysTyped {
		options = append(options, header("Content-Type", a.contentType))
	}
	for name, value := range dates {
		options = append(options, header(name, value))
	}
	return options
}

func mac(key []byte, text string) string {
	h := hmac.New(sha256.New, key)
	h.Write([]byte(text))
	return base64.StdEncoding.EncodeToString(h.Sum(nil))
}

// knows expects of an answer what all have in common: it is signed, and a JSON object with two words.
func (a *application) knows(got answer) {
	a.t.Helper()
	require.Equal(a.t, "application/json; charset=utf-8", got.header.Get("Content-Type"), "answer: %d %s", got.status, got.body)
	require.Equal(a.t, "no-cache, no-store", got.header.Get("Cache-Control"))
	date := got.header.Get("X-SA-DATE")
	_, err := time.Parse(http.TimeFormat, date)
	require.NoError(a.t, err)
	require.Equal(a.t, mac(a.key, date+"\n"+a.id+"\n"+string(got.body)), got.header.Get("X-SA-SIGNATURE"), "answer: %s", got.body)
	var words map[string]any
	require.NoError(a.t, json.Unmarshal(got.body, &words), "answer: %s", got.body)
	require.IsType(a.t, "", words["status"], "answer: %s", got.body)
	require.IsType(a.t, "", words["message"], "answer: %s", got.body)
}

// Says is Call for what is answered with 200.
func (a *application) Says(method, path string, body any, options ...option) said {
	a.t.Helper()
	return read[said](a.t, a.Call(method, path, body, options...), http.StatusOK)
}

// Finds is the answer to a question that has one.
func (a *application) Finds(path string) said {
	a.t.Helper()
	found := a.Says(http.MethodGet, path, nil)
	require.Equal(a.t, "found", found.Status, found.Message)
	return found
}

// member is a person as the realm's users have them.
type member struct {
	*application
	person
	user string
}

// Has makes a person one of the realm's users; more are further properties.
func (a *application) Has(p person, more fields) member {
	a.t.Helper()
	name, _, _ := strings.Cut(p.mailbox, "@")
	return a.HasNamed(name, p, more)
}

// HasNamed is Has for a user id that is told.
func (a *application) HasNamed(user string, p person, more fields) member {
	a.t.Helper()
	properties := fields{"firstName": "Ana", "lastName": "Lima", "phone1": p.number, "email1": p.mailbox}
	maps.Copy(properties, more)
	made := a.Says(http.MethodPost, a.creates, fields{"userId": user, "password": password, "properties": properties})
	require.Equal(a.t, "success", made.Status, made.Message)
	return member{a, p, user}
}

// path is one of the user's.
func (m member) path(rest string) string { return "/users/" + url.PathEscape(m.user) + rest }

// Factors are those that the user can be asked by.
func (m member) Factors() []secureFactor {
	m.t.Helper()
	found := m.Finds(m.path("/factors"))
	require.Equal(m.t, m.user, found.UserID)
	return found.Factors
}

// Factor is the only one of its type.
func (m member) Factor(kind string) secureFactor {
	m.t.Helper()
	var of []secureFactor
	for _, f := range m.Factors() {
		if f.Type == kind {
			of = append(of, f)
		}
	}
	require.Len(m.t, of, 1, "factors of the type %s", kind)
	return of[0]
}

// Auth asks for one type of authentication.
func (m member) Auth(kind string, more fields) said {
	m.t.Helper()
	return m.Says(http.MethodPost, "/auth", m.asks(kind, more))
}

func (m member) asks(kind string, more fields) fields {
	body := fields{"user_id": m.user, "type": kind}
	maps.Copy(body, m.always)
	maps.Copy(body, more)
	return body
}

// Sent asks, and expects that it was taken.
func (m member) Sent(kind string, more fields) said {
	m.t.Helper()
	got := m.Auth(kind, more)
	require.Equal(m.t, "valid", got.Status, got.Message)
	require.Equal(m.t, m.user, got.UserID)
	return got
}

// Types is a code on its way through the platform.
func (m member) Types(otp string) said {
	m.t.Helper()
	a := m.Call(http.MethodPost, "/otp/validate", fields{"user_id": m.user, "otp": otp})
	require.Len(m.t, read[fields](m.t, a, http.StatusOK), 2, "nothing but status and message: %s", a.body)
	return read[said](m.t, a, http.StatusOK)
}

// Where the state of a question is read.
const (
	ofPush = "/auth/"
	ofLink = "/auth/link/"
)

// Reads is one poll: nothing but two words.
func (m member) Reads(where string, asked said) string {
	m.t.Helper()
	require.NotEmpty(m.t, asked.ReferenceID)
	a := m.Call(http.MethodGet, where+asked.ReferenceID, nil)
	got := read[map[string]string](m.t, a, http.StatusOK)
	require.Len(m.t, got, 2, "answer: %s", a.body)
	require.Equal(m.t, "found", got["status"])
	return got["message"]
}

// Polls until the person has answered, and expects this answer.
func (m member) Polls(where string, asked said, want string) {
	m.t.Helper()
	now := ""
	eventually(m.t, "the poll ends in "+want, func() bool {
		now = m.Reads(where, asked)
		return now != "PENDING"
	})
	require.Equal(m.t, want, now)
}

// invited starts an enrolment of OneLogin Protect for the user, and returns its activation code.
func (m member) invited() string {
	m.t.Helper()
	d := m.Tenant()
	found := read[[]struct{ ID int64 }](m.t, d.Call(http.MethodGet, "/api/2/users?username="+url.QueryEscape(m.user), nil), http.StatusOK)
	require.Len(m.t, found, 1, "the doors share their users")
	code := account{d, m.person, found[0].ID}.Enrols("OneLogin Protect", nil).FactorData.VerificationToken
	require.NotEmpty(m.t, code)
	return code
}

// Joins makes a phone with our command line one of the user's.
func (m member) Joins() pocket {
	m.t.Helper()
	return m.story.Joins(m.invited())
}

// Carries makes a sandbox phone one of the user's, and returns the token that its pushes go to.
func (m member) Carries() string {
	m.t.Helper()
	a, err := m.ask(m.t.Context(), http.MethodPost, m.system.inbox+"/sandbox/phones", map[string]string{"platform": string(api.PlatformFCM), "name": "Ana's phone"})
	require.NoError(m.t, err)
	p := read[phone](m.t, a, http.StatusCreated)
	joined := m.story.Call(http.MethodPost, "/v1/phones", api.JoinPhone{
		Code: m.invited(), Platform: api.PlatformFCM, PushToken: &p.Token, PublicKey: p.PublicKey, Name: "Ana's phone",
	})
	require.Equal(m.t, http.StatusCreated, joined.status, "answer: %s", joined.body)
	return p.Token
}

// AnswersWith answers what the phone is asked, with the number that the screen shows.
func (p pocket) AnswersWith(decision, symbol string) {
	p.s.t.Helper()
	status, _, log := p.runs("answer", "--state", p.state, decision, "--number", symbol, "--wait", "30")
	require.Zero(p.s.t, status, "assent phone answer: %s", log)
}

// sdk is how one of SecureAuth's SDKs signs and spells.
type sdk struct {
	name    string
	version string // that it calls
	// dates are the text that is signed, and the headers that are sent.
	dates func(method string, now time.Time) (signed string, headers map[string]string)
	// signs is the path as it is signed.
	signs func(*url.URL) string
	// emptyBody is signed after the path of a request that should have a body and has none.
	emptyBody   string
	contentType string
	alwaysTyped bool // GETs too
	pretty      bool
	creates     string // the path that makes users
	yes         any    // its true
	always      fields // sent with every /auth
}

// The SDKs of this contract, each in its own manner.

func goSDK() sdk {
	return sdk{
		name: "Go", version: "v1", contentType: "application/json; charset=utf-8", dates: goDates(0), signs: unescaped, creates: "/users/", yes: true,
	}
}

func javaSDK() sdk {
	return sdk{
		name: "Java", version: "v1", contentType: "application/json", dates: extDates, signs: unescaped, creates: "/users/", pretty: true,
		yes: true, always: fields{"enduser_ip": ""},
	}
}

func csharpSDK() sdk {
	return sdk{
		name: "C#", version: "v2", contentType: "application/json", dates: extDates, signs: (*url.URL).EscapedPath, creates: "/users",
		yes: "True", always: fields{"domain": "", "biometricType": fields{}},
	}
}

func nodeSDK() sdk {
	return sdk{
		name: "Node", version: "v1", contentType: "application/json; charset=utf-8", alwaysTyped: true, dates: extDates,
		signs: (*url.URL).EscapedPath, creates: "/users", yes: "true",
	}
}

// late is Go's SDK where a second ends between its two looks at the clock, in its release that signs
// a line feed for a body that is not there.
func late() sdk {
	s := goSDK()
	s.name, s.dates, s.emptyBody = "Go, late", goDates(time.Second), "\n"
	return s
}

func deprecatedJava() sdk {
	s := javaSDK()
	s.name = "Java for a deprecated IdP"
	s.dates = func(_ string, now time.Time) (string, map[string]string) {
		date := now.Format(http.TimeFormat)
		return date, map[string]string{"X-SA-Date": date}
	}
	return s
}

func sdks() []sdk {
	return []sdk{goSDK(), late(), javaSDK(), deprecatedJava(), csharpSDK(), nodeSDK()}
}

func unescaped(u *url.URL) string { return u.Path }

func goDates(before time.Duration) func(string, time.Time) (string, map[string]string) {
	return func(method string, now time.Time) (string, map[string]string) {
		sent := map[string]string{"Date": now.Format(http.TimeFormat)}
		if method == http.MethodGet {
			sent["X-SA-Date"] = sent["Date"]
		}
		return now.Add(-before).Format(http.TimeFormat), sent
	}
}

func extDates(_ string, now time.Time) (string, map[string]string) {
	date := now.Format("Mon, 02 Jan 2006 15:04:05.000 GMT")
	return date, map[string]string{"X-SA-Ext-Date": date}
}

// encode is the SDK's JSON, or text as it is.
func (s sdk) encode(t *testing.T, body any) string {
	t.Helper()
	if text, raw := body.(string); raw {
		return text
	}
	var b []byte
	var err error
	if s.pretty {
		b, err = json.MarshalIndent(body, "", "  ")
	} else {
		b, err = json.Marshal(body)
	}
	require.NoError(t, err)
	return string(b)
}
