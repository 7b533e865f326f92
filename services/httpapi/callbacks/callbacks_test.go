package callbacks_test

import (
	"cmp"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/callbacks"
	"github.com/assent-io/assent/services/verification"
)

const (
	authToken = "0123456789abcdef0123456789abcdef"
	public    = "https://auth.example.net/assent" // with a path, as behind a proxy that strips it

	smsID      = "0193c0de-0000-7000-8000-000000000001"
	voiceID    = "0193c0de-0000-7000-8000-000000000002"
	emailID    = "0193c0de-0000-7000-8000-000000000003"
	approvalID = "0193c0de-0000-7000-8000-000000000004" // SMS, newest
	olderID    = "0193c0de-0000-7000-8000-000000000005" // SMS approval to the same number
	numberID   = "0193c0de-0000-7000-8000-000000000009" // voice approval with a number of six digits
	callID     = "0193c0de-0000-7000-8000-000000000006" // voice approval
	closedID   = "0193c0de-0000-7000-8000-000000000007" // voice approval, denied
	expiredID  = "0193c0de-0000-7000-8000-000000000008" // voice code, past its end
	unknownID  = "0193c0de-0000-7000-8000-00000000ffff"

	ana = "+14155550100"
)

var now = time.Date(2026, 11, 21, 14, 27, 3, 0, time.UTC)

// records stands in for the store: it holds verifications and keeps what is published, once per
// event id, as the broker does.
type records struct {
	verifications map[string]verification.Verification
	approvals     map[string][]string // ids by address, newest first
	bound         map[string]string
	seen          map[string]bool
	reports       []events.DeliverySettled // of workers
	settled       []events.DeliverySettled
	answered      []events.ResponseReceived
	asked         []string // ids that Get was called with
	silent        bool     // nobody decides what answers mean
	decided       int      // how many of answered were
	err           error
	unreadable    error // of the reports
}

func (s *records) Asked(ctx context.Context, id string) (verification.Verification, error) {
	return s.Get(ctx, id)
}

func (s *records) Get(_ context.Context, id string) (verification.Verification, error) {
	s.asked = append(s.asked, id)
	if s.err != nil {
		return verification.Verification{}, s.err
	}
	v, ok := s.verifications[id]
	if !ok {
		return v, verification.ErrNotFound
	}
	return v, nil
}

func (s *records) Code(ctx context.Context, id string) (verification.Verification, verification.Code, error) {
	v, err := s.Get(ctx, id)
	if err != nil {
		return v, "", err
	}
	if v.Challenge != verification.CodeChallenge {
		return v, "", verification.ErrChallenge
	}
	return v, "482913", nil
}

func (s *records) NumberHash(_ context.Context, id, digits string) ([]byte, error) {
	return []byte("hash of " + digits + " for " + id), s.err
}

// Await decides on what was answered, as the verifier does, or waits until ctx ends.
func (s *records) Await(ctx context.Context, id string, seen uint64) (*verification.Verification, error) {
	v := s.verifications[id]
	for ; !s.silent && s.decided < len(s.answered); s.decided++ {
		if a := s.answered[s.decided]; a.ID == id {
			v, _ = verification.Apply(v, verification.Answered{Decision: verification.Decision(a.Decision), EventID: a.EventID, Number: a.Number}, now)
			v.Revision++
		}
	}
	s.verifications[id] = v
	if v.Revision == seen && !v.Status.Closed() {
		<-ctx.Done()
	}
	return &v, s.err
}

func (s *records) OpenApprovals(_ context.Context, address string) ([]verification.Verification, error) {
	var open []verification.Verification
	for _, id := range s.approvals[address] {
		if v := s.verifications[id]; v.Status == verification.Pending {
			open = append(open, v)
		}
	}
	return open, s.err
}

func (s *records) Bind(_ context.Context, reply, id string) (string, error) {
	if s.bound[reply] == "" {
		s.bound[reply] = id
	}
	return s.bound[reply], nil
}

func (s *records) Settle(_ context.Context, d events.DeliverySettled) error {
	if s.err == nil && !s.seen[d.EventID] {
		s.seen[d.EventID] = true
		s.settled = append(s.settled, d)
	}
	return s.err
}

// Reports is what workers reported, and what was published since.
func (s *records) Reports(_ context.Context, id string) ([]events.DeliverySettled, error) {
	var all []events.DeliverySettled
	for _, d := range slices.Concat(s.reports, s.settled) {
		if d.ID == id {
			all = append(all, d)
		}
	}
	return all, cmp.Or(s.unreadable, s.err)
}

// begun is the send record of a call that was made ten seconds ago.
func begun(id string, channel events.Channel, provider string, step, send, attempt int) events.DeliverySettled {
	return events.DeliverySettled{
		Version: 1, ID: id, Channel: channel, Step: step, Send: send, Attempt: attempt, Status: events.DeliveryBegun,
		Provider: provider, Route: "+1", Receipts: true, At: now.Add(-10 * time.Second),
	}
}

// took is how long after the call that begun tells of a receipt came; only that of an arrival is timed.
func took(status string, at time.Time) float64 {
	if status != events.DeliveryDelivered {
		return 0
	}
	return at.Sub(begun("", "", "", 0, 0, 0).At).Seconds()
}

// after is a later report of the same call.
func after(d events.DeliverySettled, status, providerID string) events.DeliverySettled {
	d.Status, d.ProviderID, d.At = status, providerID, d.At.Add(time.Second)
	return d
}

func (s *records) Respond(_ context.Context, r events.ResponseReceived) error {
	if s.err == nil && !s.seen[r.EventID] {
		s.seen[r.EventID] = true
		s.answered = append(s.answered, r)
	}
	return s.err
}

type scripts struct{}

func (scripts) Code(v verification.Verification, code string) (string, error) {
	return "code " + v.Locale + " " + v.Brand + " " + code, nil
}

func (scripts) Answer(locale, brand string, d events.Decision) (string, error) {
	return "answer " + locale + " " + brand + " " + string(d), nil
}

func (scripts) Retry(v verification.Verification, try string) (string, error) {
	return "retry " + v.ID + try, nil
}

func (scripts) Mismatch(_ verification.Verification, try string) (string, error) {
	return "mismatch, try " + try, nil
}

func (scripts) Compared(locale string, matched bool) (string, error) {
	if matched {
		return "matched " + locale, nil
	}
	return "refused " + locale, nil
}

func (scripts) Goodbye(locale string) (string, error) { return "goodbye " + locale, nil }

type bench struct {
	t       *testing.T
	handler http.Handler
	records *records
	key     *ecdsa.PrivateKey
	metrics *prometheus.Registry
}

func setup(t *testing.T, change ...func(*callbacks.Config)) *bench {
	t.Helper()
	open := func(id string, ch verification.Channel, c verification.Challenge) verification.Verification {
		return verification.Verification{
			ID: id, Channel: ch, Challenge: c, Locale: "en", Brand: "Example Bank", Sends: 2,
			CreatedAt: now.Add(-time.Minute), ExpiresAt: now.Add(4 * time.Minute), Status: verification.Pending,
		}
	}
	s := &records{
		verifications: map[string]verification.Verification{},
		approvals:     map[string][]string{ana: {approvalID, olderID}},
		bound:         map[string]string{}, seen: map[string]bool{},
	}
	number := open(numberID, verification.Voice, verification.ApprovalChallenge)
	number.NumberLength, number.MaxChecks, number.NumberHash = 6, 2, []byte("hash of 706152 for "+numberID)
	denied := open(closedID, verification.Voice, verification.ApprovalChallenge)
	denied.Status = verification.Denied
	expired := open(expiredID, verification.Voice, verification.CodeChallenge)
	expired.ExpiresAt = now
	for _, v := range []verification.Verification{
		open(smsID, verification.SMS, verification.CodeChallenge),
		open(voiceID, verification.Voice, verification.CodeChallenge),
		open(emailID, verification.Email, verification.LinkChallenge),
		open(approvalID, verification.SMS, verification.ApprovalChallenge),
		open(olderID, verification.SMS, verification.ApprovalChallenge),
		open(callID, verification.Voice, verification.ApprovalChallenge),
		number, denied, expired,
	} {
		s.verifications[v.ID] = v
	}
	for _, send := range []int{1, 2} {
		s.reports = append(s.reports, begun(smsID, events.SMS, "twilio", 0, send, 1),
			begun(voiceID, events.Voice, "twilio", 0, send, 1), begun(emailID, events.Email, "sendgrid", 0, send, 1))
	}
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	b := &bench{t: t, records: s, key: key, metrics: prometheus.NewRegistry()}
	cfg := callbacks.Config{
		PublicURL:       func() string { return public },
		TwilioAuthToken: authToken, SendGridKey: &key.PublicKey,
		Verifications: s, Reports: s.Reports, Deliveries: s, Responses: s, Replies: s, Scripts: scripts{},
		Decision: func(reply string) (events.Decision, bool) {
			switch strings.ToUpper(strings.TrimSpace(reply)) {
			case "YES":
				return events.Approve, true
			case "NO":
				return events.Deny, true
			case "NOT ME":
				return events.NotMe, true
			}
			return "", false
		},
		Number: func(reply string) (string, bool) {
			return reply, reply != "" && strings.Trim(reply, "0123456789") == ""
		},
		Now: func() time.Time { return now }, Registerer: b.metrics,
	}
	for _, c := range change {
		c(&cfg)
	}
	b.handler = callbacks.New(cfg)
	return b
}

func (b *bench) do(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	b.handler.ServeHTTP(w, r)
	return w
}

func (b *bench) counted(name string, labels ...string) float64 {
	b.t.Helper()
	families, err := b.metrics.Gather()
	require.NoError(b.t, err)
	for _, f := range families {
		for _, m := range f.GetMetric() {
			values := make([]string, len(m.GetLabel()))
			for i, l := range m.GetLabel() {
				values[i] = l.GetValue()
			}
			if f.GetName() == name && strings.Join(values, " ") == strings.Join(labels, " ") {
				return m.GetCounter().GetValue()
			}
		}
	}
	return 0
}

func TestRoutesAnswerInProblems(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.do(httptest.NewRequestWithContext(t.Context(), http.MethodGet, "/callbacks/twilio/inbound", nil))
	require.Equal(t, http.StatusMethodNotAllowed, w.Code)
	require.Equal(t, "POST", w.Header().Get("Allow"))
	require.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
	w = b.do(httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/callbacks/twilio/other", nil))
	require.Equal(t, http.StatusNotFound, w.Code)
	require.JSONEq(t, `{"title":"Not Found","status":404,"code":"not_found","detail":"There is no such callback."}`, w.Body.String())
}

func TestNothingIsBelievedWithoutAKey(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *callbacks.Config) { c.TwilioAuthToken, c.SendGridKey = "", nil })
	// An attacker who knows that no token is configured can sign with the empty one.
	r := twilioRequest(t, "", "/callbacks/twilio/inbound", url.Values{"From": {ana}, "Body": {"YES"}, "MessageSid": {"SM1"}})
	require.Equal(t, http.StatusForbidden, b.do(r).Code)
	r = httptest.NewRequestWithContext(t.Context(), http.MethodPost, "/callbacks/sendgrid/events", strings.NewReader("[]"))
	require.Equal(t, http.StatusForbidden, b.do(r).Code)
	require.InDelta(t, 1, b.counted("assent_callbacks_refused_total", "twilio", "not_configured"), 0)
	require.InDelta(t, 1, b.counted("assent_callbacks_refused_total", "sendgrid", "not_configured"), 0)
	require.Empty(t, b.records.answered)
}

func TestABrokerThatIsAwayMakesTheProviderCallAgain(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.records.err = verification.ErrUnavailable
	for path, form := range map[string]url.Values{
		"/callbacks/twilio/sms/" + smsID + "/0/1/1":     {"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}},
		"/callbacks/twilio/voice/" + voiceID + "/code":  {"CallSid": {"CA1"}, "Digits": {"1"}},
		"/callbacks/twilio/voice/" + callID + "/answer": {"CallSid": {"CA1"}, "Digits": {"1"}},
		"/callbacks/twilio/inbound":                     {"MessageSid": {"SM1"}, "From": {ana}, "Body": {"YES"}},
	} {
		w := b.do(twilioRequest(t, authToken, path, form))
		require.Equal(t, http.StatusServiceUnavailable, w.Code, path)
	}
	w := b.do(b.sendGridRequest(now, `[{"event":"delivered","sg_event_id":"e1","verification_id":"`+emailID+`","send":"1"}]`))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Empty(t, b.records.settled)
	require.Empty(t, b.records.answered)
}

func TestMetricsHaveHelpAndGoodNames(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.do(twilioRequest(t, authToken, "/callbacks/twilio/sms/"+smsID+"/0/1/1", url.Values{"MessageSid": {"SM1"}, "MessageStatus": {"delivered"}}))
	problems, err := testutil.GatherAndLint(b.metrics)
	require.NoError(t, err)
	require.Empty(t, problems)
}
