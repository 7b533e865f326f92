// Package httpapi is the public door: it turns HTTP requests into calls of the domain
// and its stores, and what they say into JSON and problem documents. It decides
// nothing about a verification and stores nothing; the small interfaces it needs are
// declared here and implemented in package store. The composition root makes one
// Server and mounts the people's pages, callbacks and reference beside it.
package httpapi

import (
	"context"
	"crypto/rand"
	"io"
	"iter"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/letter"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

// Verifications keeps verifications. Every method fails with verification.ErrNotFound for an id it
// does not know and with verification.ErrUnavailable when it cannot be asked.
type Verifications interface {
	// Create stores the record and queues its message in one step. Under an idempotency key that
	// was used before it returns what was stored then, and replayed.
	Create(ctx context.Context, a verification.Activation) (v verification.Verification, replayed bool, err error)
	Get(ctx context.Context, id string) (verification.Verification, error)
	// Check compares a code and counts it. With verification.ErrClosed or ErrChallenge it returns
	// the verification as it is.
	Check(ctx context.Context, id string, code verification.Code) (v verification.Verification, valid bool, err error)
	Resolve(ctx context.Context, id string, f verification.Fact) (verification.Verification, error)
	Resend(ctx context.Context, id string) (verification.Verification, error)
	// Await returns as soon as the revision differs from seen, or the verification is closed
	// (by expiry too), or ctx ends: then the present state and no error. It returns a pointer for the
	// sake of small stacks: tens of thousands of requests may be parked in it.
	Await(ctx context.Context, id string, seen uint64) (*verification.Verification, error)
	// Deliveries lists the steps of all messages, oldest first.
	Deliveries(ctx context.Context, id string) ([]events.DeliverySettled, error)
	// PushKey is the public key (PKIX, DER) of a device that a verification asks by push.
	PushKey(ctx context.Context, id, deviceID string) ([]byte, error)
	// NumberHash is the keyed hash of digits that came with an approval.
	NumberHash(ctx context.Context, id, digits string) ([]byte, error)
	// MatchNumber is the number that the person must match; empty where there is none, or no longer.
	MatchNumber(ctx context.Context, v verification.Verification) (verification.Code, error)
	// NumberSalt is what a phone signs its number under.
	NumberSalt(ctx context.Context, id string) (string, error)
	// Choices are the numbers that an app offers with an approval; none where it offers none.
	Choices(ctx context.Context, id string) ([]string, error)
}

// Users keeps users and their devices, apart for each account. What belongs to another account is
// verification.ErrNotFound.
type Users interface {
	// CreateUser returns the user as stored. It fails with device.ErrExists where the external id is taken.
	CreateUser(ctx context.Context, u device.User) (device.User, error)
	User(ctx context.Context, account, id string) (device.User, error)
	// Users lists at most limit users behind after, in a stable order; next is empty on the last page.
	Users(ctx context.Context, account, after string, limit int) (users []device.User, next string, err error)
	// DeleteUser removes the user's devices too.
	DeleteUser(ctx context.Context, account, id string) error
	// CreateDevice returns the device as stored.
	CreateDevice(ctx context.Context, d device.Device) (device.Device, error)
	Device(ctx context.Context, account, id string) (device.Device, error)
	// Devices lists the user's devices, pending ones too.
	Devices(ctx context.Context, account, userID string) ([]device.Device, error)
	DeleteDevice(ctx context.Context, account, id string) error
	// OrderDevices stores which devices the user is asked by first, and returns the user as stored.
	OrderDevices(ctx context.Context, account, userID string, ids []string) (device.User, error)
}

// Credentials knows the clients, and keeps them apart for each account. What belongs to another
// account is verification.ErrNotFound.
type Credentials interface {
	// Authenticate fails with credential.ErrWrong where the pair is wrong, in the same time whichever half is.
	Authenticate(ctx context.Context, clientID, secret string) (credential.Credential, error)
	// Bearer is the client of a token; credential.ErrToken for one that has ended, was revoked or made up.
	Bearer(ctx context.Context, token string) (credential.Credential, error)
	// CreateCredential draws the secret. It fails with credential.ErrExists where any account has the client id.
	CreateCredential(ctx context.Context, c credential.Credential) (secret string, err error)
	// ListCredentials lists those of an account by client id.
	ListCredentials(ctx context.Context, account string) ([]credential.Credential, error)
	Credential(ctx context.Context, account, clientID string) (credential.Credential, error)
	// UpdateCredential stores name, scope, compat and numeric ids as change leaves them, and returns
	// what is stored. change may be called again where somebody else was faster. It fails with
	// credential.ErrLast.
	UpdateCredential(ctx context.Context, account, clientID string, change func(*credential.Credential)) (credential.Credential, error)
	// RevokeCredential fails with credential.ErrLast for the last of an account that can manage credentials.
	RevokeCredential(ctx context.Context, account, clientID string) error
}

// Realms knows the applications of SecureAuth's API, and keeps them apart for each account. What belongs
// to another account is verification.ErrNotFound. Names are the same in either letter case.
type Realms interface {
	// CreateRealm draws an application id that is empty and a key that is nil, and returns the realm as
	// stored with its key. It fails with realm.ErrExists where any account has the name or the id.
	CreateRealm(ctx context.Context, r realm.Realm, key []byte) (realm.Realm, []byte, error)
	// Realms lists those of an account by name.
	Realms(ctx context.Context, account string) ([]realm.Realm, error)
	RealmByName(ctx context.Context, account, name string) (realm.Realm, error)
	// UpdateRealm stores the settings as change leaves them, and returns what is stored. change may be
	// called again where somebody else was faster.
	UpdateRealm(ctx context.Context, account, name string, change func(*realm.Settings)) (realm.Realm, error)
	// RotateRealm draws another key. The one before stays good for the overlap.
	RotateRealm(ctx context.Context, account, name string, overlap time.Duration) (realm.Realm, []byte, error)
	DeleteRealm(ctx context.Context, account, name string) error
}

// Letters keeps dead letters, and shows each account its own. What belongs to another account is
// verification.ErrNotFound.
type Letters interface {
	// Letters finds those that fit, newest first. A page may hold fewer than the limit, even none, and yet
	// have a next: the filter's Before for the page that follows; zero where there is none.
	Letters(ctx context.Context, account string, f letter.Filter) (page []letter.Letter, next uint64, err error)
	Letter(ctx context.Context, account string, id uint64) (letter.Letter, error)
	// ReplayLetter queues what a letter keeps, removes it, and returns the verification that it is about. It
	// fails with *letter.RefusedError and *verification.LimitError.
	ReplayLetter(ctx context.Context, account string, id uint64) (verificationID string, err error)
	DropLetter(ctx context.Context, account string, id uint64) error
}

// Notifications keeps notifications. Every method fails with verification.ErrNotFound for an id it does not know
// and with verification.ErrUnavailable when it cannot be asked.
type Notifications interface {
	// IDFor is the id that belongs to a client's idempotency key.
	IDFor(clientID, idempotencyKey string) string
	// Destination is what stands for an address where suppressions are looked up.
	Destination(channel, to string) (string, error)
	// Repeated is the first answer under an idempotency key; verification.ErrNotFound where there was none. It
	// fails with verification.ErrIdempotencyMismatch.
	Repeated(ctx context.Context, account, idempotencyKey, id string, body []byte) (notification.View, error)
	// Create queues all messages or none. Under an idempotency key that was used before it returns the first
	// answer, and replayed. It fails with notification.ErrTooLarge and as verifications' Create does.
	Create(ctx context.Context, r notification.Request) (v notification.View, replayed bool, err error)
	Get(ctx context.Context, id string) (notification.View, error)
	// Message is one message, and what part of its notification says of the whole: whose it is, its lane and times.
	Message(ctx context.Context, messageID string) (notification.Message, notification.Notification, error)
	// Messages lists at most limit messages behind after, in one state where that is not empty; next is empty
	// on the last page. An after that is none of its own is verification.ErrNotFound.
	Messages(ctx context.Context, n notification.Notification, state notification.State, after string, limit int) (
		page []notification.Message, next string, err error)
	// Deliveries is the timeline of one message, oldest first.
	Deliveries(ctx context.Context, messageID string) ([]events.DeliverySettled, error)
	// Cancel withdraws what is not on its way, and returns what is then. It fails with notification.ErrClosed
	// where there is nothing.
	Cancel(ctx context.Context, id string) (notification.View, error)
	CancelMessage(ctx context.Context, messageID string) (notification.Message, error)
}

// Listed knows the addresses that get no messages.
type Listed interface {
	Suppressed(ctx context.Context, account, credential, destination string, lane events.Lane) (cause string, suppressed bool, err error)
}

// Suppressions keeps the list of those who get no messages. An account sees its own entries and those for
// everybody; others are verification.ErrNotFound.
type Suppressions interface {
	// AddSuppression returns the entry as it stands then, and whether it was added or widened just now.
	AddSuppression(ctx context.Context, e suppression.Entry) (stands suppression.Entry, added bool, err error)
	// ImportSuppressions tells how many were added. After an error some may be.
	ImportSuppressions(ctx context.Context, entries []suppression.Entry) (added int, err error)
	Suppression(ctx context.Context, account, id string) (suppression.Entry, error)
	// RemoveSuppression fails with suppression.ErrOperators where the entry is for everybody and the account not
	// the operator's.
	RemoveSuppression(ctx context.Context, account, id string) error
	// Suppressions finds those that fit, newest first. A page may hold fewer than the limit, even none, and yet
	// have a next: the filter's Before for the page that follows; zero where there is none.
	Suppressions(ctx context.Context, account string, f suppression.Filter) (page []suppression.Entry, next uint64, err error)
	// ExportSuppressions has the full addresses. With suppression.ErrSealed comes an entry that cannot be opened;
	// any other error is the end.
	ExportSuppressions(ctx context.Context, account string) iter.Seq2[suppression.Entry, error]
}

// Templates keeps the texts of notifications, apart for each account. What belongs to another account is
// verification.ErrNotFound. Version zero is the newest.
type Templates interface {
	// SaveTemplate stores a prepared template as its next version. With an expected version it fails with
	// template.ErrVersion unless that is the newest; zero: there must be none.
	SaveTemplate(ctx context.Context, t template.Template, expected *int) (template.Template, error)
	Template(ctx context.Context, account, name string, version int) (template.Template, error)
	// Templates lists those of an account by name, with their newest version.
	Templates(ctx context.Context, account string) ([]template.Summary, error)
	// TemplateVersions lists the versions of one, the newest first.
	TemplateVersions(ctx context.Context, account, name string) ([]template.Summary, error)
	DeleteTemplate(ctx context.Context, account, name string) error
	// Open makes a version ready to compose messages from.
	Open(ctx context.Context, account, name string, version int) (*template.Compiled, error)
}

// Responses takes the answers of people.
type Responses interface {
	// Respond returns once the answer is durable.
	Respond(ctx context.Context, r events.ResponseReceived) error
}

// Config is what a Server needs. All fields are required but where a default is named.
type Config struct {
	Verifications Verifications
	Users         Users
	Credentials   Credentials
	Realms        Realms
	Letters       Letters
	Providers     Providers
	Suppressions  Suppressions
	Templates     Templates
	Responses     Responses
	Notifications Notifications
	Audit         Audit
	Recovery      Recovery
	// EnrolmentLinks gives out the links to the page that Enrol serves, and EnrolKinds are what can be added there.
	EnrolmentLinks EnrolmentLinks
	EnrolKinds     []device.Kind
	// Listed is asked before a notification is queued for an address. Nil: nobody is on the list.
	Listed Listed
	// Proofs is the archive of signed answers.
	Proofs Proofs
	// Phones knows the apps that speak for themselves.
	Phones Phones
	// Authenticator is what pages that are phones are told.
	Authenticator func() api.Authenticator
	// Segments counts the parts of the text message that asks a new verification, as its channel would send it, and
	// MaxSegments is how many are allowed. Zero: any number, and nothing is counted.
	Segments    func(verification.Activation) int
	MaxSegments int
	// PushBytes is how large the push that asks a new verification can become. Nil: nothing is counted.
	PushBytes func(verification.Activation) int
	// Autofill is what holds for the codes of text messages whose requests name no origin or app of their own.
	Autofill autofill.Hint
	// Operator is the account that may pause and resume providers, which all accounts share.
	Operator string
	// IDFor is the verification id that belongs to a client's idempotency key: a UUID in its
	// usual form, the same for the same pair in every process.
	IDFor func(clientID, idempotencyKey string) string

	// Accept serves /l/, Enrol /enrol/, Callbacks /callbacks/, Reference /docs, AuthenticatorPage /authenticator/. Nil: the path is
	// not found.
	Accept, Enrol, Callbacks, Reference, AuthenticatorPage http.Handler
	// OneLogin serves the token endpoint and the rest of OneLogin's API: /auth/, /api/1/, /api/2/ and
	// /session_via_api_token. Nil: these paths are not found.
	OneLogin http.Handler
	// SecureAuth serves the paths, escaped, of which ServesSecureAuth says that they are SecureAuth's. It gets
	// them as they came, since they are signed. Nil: these paths are not found.
	SecureAuth       http.Handler
	ServesSecureAuth func(path string) bool

	// Closing is closed when the process shuts down: parked requests are then answered at once
	// with their present state. Nil: never.
	Closing <-chan struct{}
	// Heartbeat is the pause between comments on an event stream; zero: 15 seconds.
	Heartbeat time.Duration
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	// Random draws codes and link tokens; nil: crypto/rand.
	Random     io.Reader
	Log        *slog.Logger
	Registerer prometheus.Registerer
}

// Server is the handler of the whole public listener but for health and metrics.
type Server struct {
	config  Config
	handler http.Handler
	shapes  shapes
	titles  map[api.ProblemCode]explanation
	metrics *metrics
	long    longWork
	// closing ends when the process shuts down.
	closing context.Context
}

// New makes a Server. It fails where the embedded API document cannot be read, which tests rule out,
// or where a metric is registered twice with different labels.
func New(c Config) (*Server, error) {
	if c.Heartbeat == 0 {
		c.Heartbeat = 15 * time.Second
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Random == nil {
		c.Random = rand.Reader
	}
	document, explanations, err := readDocument(api.Spec())
	if err != nil {
		return nil, err
	}
	m, err := newMetrics(c.Registerer)
	if err != nil {
		return nil, err
	}
	s := &Server{
		config: c, titles: explanations, metrics: m, long: newLongWork(), closing: closingContext(c.Closing),
		shapes: newShapes(
			api.CreateVerification{}, api.CheckCode{}, api.PushAnswer{}, api.CreateUser{}, api.CreateDevice{},
			api.CreateCredential{}, api.UpdateCredential{}, api.CreateRealm{}, api.UpdateRealm{}, api.RotateRealm{},
			api.JoinPhone{}, api.PauseProvider{}, api.ResumeProvider{}, api.CreateNotification{}, api.AddSuppression{},
			api.PutTemplate{}, api.PreviewTemplate{}, api.PreviewDraft{}, api.ChangePhone{}, api.TryPhone{}, api.CountPhone{},

			api.OrderDevices{}, api.CreateBypassToken{}, api.RecoverUser{}, api.CreateEnrolment{},
		),
	}
	s.handler = s.routes(document)
	return s, nil
}

var _ contract.ServerInterface = (*Server)(nil)

func (s *Server) routes(document []byte) *http.ServeMux {
	mux := http.NewServeMux()
	contract.HandlerWithOptions(s, contract.StdHTTPServerOptions{BaseRouter: mux, ErrorHandlerFunc: s.refuseParameter})
	mux.HandleFunc("GET /openapi.json", serveBytes("application/json", "public, max-age=300", document))
	mux.HandleFunc("GET /robots.txt", serveBytes("text/plain; charset=utf-8", "public, max-age=3600", []byte(robots)))
	mux.HandleFunc("GET /problems/{code}", s.explainProblem)
	for pattern, h := range map[string]http.Handler{
		"/l/": s.config.Accept, "/enrol/": s.config.Enrol, "/callbacks/": s.config.Callbacks, "/docs": s.config.Reference,
		"/docs/": s.config.Reference,
	} {
		if h != nil {
			mux.Handle(pattern, mounted(h))
		}
	}
	if s.config.AuthenticatorPage != nil {
		mux.Handle("/authenticator", routed(s.config.AuthenticatorPage))
		mux.Handle("/authenticator/", routed(s.config.AuthenticatorPage))
	}
	if s.config.OneLogin != nil {
		for _, pattern := range []string{"/auth/", "/api/1/", "/api/2/", "/session_via_api_token", "/session_via_api_token/"} {
			mux.Handle(pattern, routed(s.config.OneLogin))
		}
	}
	return mux
}

// ServeHTTP answers one request, and writes one log line about it.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	handler := s.handler
	if s.config.SecureAuth != nil && s.config.ServesSecureAuth(r.URL.EscapedPath()) {
		handler = routed(s.config.SecureAuth)
	} else {
		r = singleSlashes(r)
	}
	rec := &recorder{ResponseWriter: w, server: s, request: r, started: time.Now(), requestID: requestID(r)}
	h := w.Header()
	h.Set("X-Request-Id", rec.requestID)
	h.Set("X-Content-Type-Options", "nosniff")
	h.Set("Referrer-Policy", "no-referrer")
	h.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	h.Set("Cache-Control", "no-store")
	defer rec.finish()
	if handler == s.handler && dotted(r.URL.Path) {
		s.fail(rec, r, &refusal{code: api.ProblemCodeNotFound, detail: "There is nothing at this path."})
		return // the mux would redirect
	}
	handler.ServeHTTP(rec, r)
}

// dotted tells whether a path has segments that mean others.
func dotted(path string) bool {
	return strings.Contains(path, "/.") && slices.ContainsFunc(strings.Split(path, "/"), func(segment string) bool {
		return segment == "." || segment == ".."
	})
}

// singleSlashes mends what a base address with a slash at its end makes of a path. The mux would redirect,
// and many clients do not send a body again.
func singleSlashes(r *http.Request) *http.Request {
	if !strings.Contains(r.URL.Path, "//") {
		return r
	}
	mended := r.Clone(r.Context())
	mended.URL.Path, mended.URL.RawPath = singled(r.URL.Path), singled(r.URL.RawPath)
	return mended
}

func singled(path string) string {
	for strings.Contains(path, "//") {
		path = strings.ReplaceAll(path, "//", "/")
	}
	return path
}

// mounted hands a path to a handler of its own, whose not-found pages are left as they are.
func mounted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec := observed(w); rec != nil {
			// The handler may have a mux that overwrites the pattern.
			rec.mounted, rec.route = true, r.Pattern
		}
		h.ServeHTTP(w, r)
	})
}

// routed hands a path to a handler with a mux of its own, whose patterns are as good for logs and
// metrics as those of this one.
func routed(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if rec := observed(w); rec != nil {
			rec.mounted, rec.route = true, r.Pattern
			defer func() {
				if r.Pattern != "" { // empty where it has no such path
					rec.route = r.Pattern
				}
			}()
		}
		h.ServeHTTP(w, r)
	})
}

// closingContext is a context that ends with the channel. One goroutine for the whole server waits
// on the channel, so that a parked request needs none.
func closingContext(closing <-chan struct{}) context.Context {
	if closing == nil {
		return context.Background()
	}
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		<-closing
		cancel()
	}()
	return ctx
}
