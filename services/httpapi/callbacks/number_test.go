package callbacks_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/httpapi/callbacks"
	"github.com/assent-io/assent/services/verification"
)

func (b *bench) keys(digits string, query ...string) (status int, heard string) {
	b.t.Helper()
	form := url.Values{"CallSid": {"CA1"}, "Digits": {digits}}
	path := "/callbacks/twilio/voice/" + numberID + "/answer"
	for _, q := range query {
		path += "?" + q
	}
	w := b.do(twilioRequest(b.t, authToken, path, form))
	return w.Code, w.Body.String()
}

// once lets one number be tried, as some doors do.
func (b *bench) once() *bench {
	v := b.records.verifications[numberID]
	v.MaxChecks = 1
	b.records.verifications[numberID] = v
	return b
}

func TestACallThatAsksForANumber(t *testing.T) {
	t.Parallel()
	const retry = "retry " + numberID
	for name, c := range map[string]struct {
		keys, heard string
		decision    events.Decision
		status      verification.Status
		reason      verification.Reason
	}{
		"the right number approves":        {"706152", "matched en", events.Approve, verification.Approved, ""},
		"the last wrong number denies":     {"706153", "refused en", events.Approve, verification.Denied, verification.WrongNumber},
		"a star denies":                    {"*", "answer en Example Bank deny", events.Deny, verification.Denied, ""},
		"stars deny":                       {"***", "answer en Example Bank deny", events.Deny, verification.Denied, ""},
		"a zero says that it was another":  {"0", "answer en Example Bank not_me", events.NotMe, verification.Denied, verification.NotMe},
		"two zeros are no number":          {"00", retry, "", verification.Pending, ""},
		"a shorter number is asked again":  {"70615", retry, "", verification.Pending, ""},
		"a longer number is asked again":   {"7061520", retry, "", verification.Pending, ""},
		"digits and a star are asked anew": {"70615*", retry, "", verification.Pending, ""},
		"no keys are asked again":          {"", retry, "", verification.Pending, ""},
		"the 1 of other calls approves not": {
			"1", retry, "", verification.Pending, "",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t).once()
			before := b.records.verifications[numberID]
			status, heard := b.keys(c.keys)
			require.Equal(t, http.StatusOK, status)
			require.Equal(t, c.heard, heard)
			status, _ = b.keys(c.keys) // Twilio may repeat a call that was slow
			require.Equal(t, http.StatusOK, status)
			if c.decision == "" {
				require.Empty(t, b.records.answered)
				return
			}
			require.Len(t, b.records.answered, 1)
			answered := b.records.answered[0]
			require.Equal(t, c.decision, answered.Decision)
			require.Equal(t, events.ResponseVoice, answered.Kind)
			require.Equal(t, "CA1", answered.Evidence)
			require.NotContains(t, answered.EventID, c.keys, "only a hash of the number leaves")
			v, err := verification.Apply(before, verification.Answered{
				Decision: verification.Decision(answered.Decision), Number: answered.Number,
			}, now)
			require.NoError(t, err)
			require.Equal(t, c.status, v.Status)
			require.Equal(t, c.reason, v.Reason)
		})
	}
}

func TestACallAsksOnceMoreAfterAWrongNumber(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct{ second, heard string }{
		"and the right one approves":     {"706152", "matched en"},
		"and another wrong one denies":   {"222222", "refused en"},
		"and the same wrong one denies":  {"111111", "refused en"},
		"and a star denies":              {"*", "answer en Example Bank deny"},
		"and a slip is asked for again":  {"2", "retry " + numberID + "2"},
		"and a zero says it was another": {"0", "answer en Example Bank not_me"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			_, heard := b.keys("111111")
			require.Equal(t, "mismatch, try 2", heard)
			require.Equal(t, verification.Pending, b.records.verifications[numberID].Status)
			_, heard = b.keys(c.second, "try=2")
			require.Equal(t, c.heard, heard)
		})
	}
}

func TestATryIsOneOfThoseThatThereAre(t *testing.T) {
	t.Parallel()
	ids := map[string]bool{}
	for _, try := range []string{"try=", "try=0", "try=1", "try=-1", "try=99999", "try=two", "try=2x"} {
		b := setup(t).once()
		_, heard := b.keys("111111", try)
		require.Equal(t, "refused en", heard, try)
		ids[b.records.answered[0].EventID] = true
	}
	require.Len(t, ids, 1, "whatever else stands there is the first try")
}

func TestACallThatHearsNoVerdictInTimeSaysOnlyThatTheAnswerArrived(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := setup(t)
		b.records.silent = true
		status, heard := b.keys("706152")
		require.Equal(t, http.StatusOK, status)
		require.Equal(t, "answer en Example Bank ", heard)
		require.Len(t, b.records.answered, 1)
	})
}

func TestACallHearsThatTheQuestionWasWithdrawn(t *testing.T) {
	t.Parallel()
	var b *bench
	b = setup(t, func(c *callbacks.Config) { c.Responses = withdrawing{c.Responses, func() *bench { return b }} })
	_, heard := b.keys("706152")
	require.Equal(t, "goodbye en", heard)
}

// withdrawing cancels the question while an answer is on its way.
type withdrawing struct {
	callbacks.Responses
	bench func() *bench
}

func (w withdrawing) Respond(context.Context, events.ResponseReceived) error {
	records := w.bench().records
	v, err := verification.Apply(records.verifications[numberID], verification.Cancel{}, now)
	records.verifications[numberID] = v
	return err
}

func TestANumberThatCannotBeHashedIsAskedForAgainByTheProvider(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.records.err = errors.New("broker is away")
	status, heard := b.keys("706152")
	require.Equal(t, http.StatusServiceUnavailable, status)
	require.NotContains(t, heard, "706152")
	b.records.err = nil
	status, _ = b.keys("706152")
	require.Equal(t, http.StatusOK, status)
	require.Len(t, b.records.answered, 1)
}

func TestAReplyToATextThatAsksForANumber(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, result string
		decision     events.Decision
		status       verification.Status
	}{
		"the number approves":             {"47", "published", events.Approve, verification.Approved},
		"another counts":                  {"48", "published", events.Approve, verification.Pending},
		"a yes alone is unclear":          {"YES", "unclear", "", verification.Pending},
		"a no denies":                     {"NO", "published", events.Deny, verification.Denied},
		"somebody else's is denied":       {"NOT ME", "published", events.NotMe, verification.Denied},
		"a shorter number is unclear":     {"4", "unclear", "", verification.Pending},
		"a longer number is unclear":      {"470", "unclear", "", verification.Pending},
		"a sentence is unclear":           {"what is this", "unclear", "", verification.Pending},
		"an older question is not looked": {"706152", "unclear", "", verification.Pending},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			v := b.records.verifications[approvalID]
			v.NumberLength, v.MaxChecks, v.NumberHash = 2, 2, []byte("hash of 47 for "+approvalID)
			b.records.verifications[approvalID] = v
			for range 2 { // Twilio may repeat it
				w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/inbound", url.Values{"MessageSid": {"SM1"}, "From": {ana}, "Body": {c.body}}))
				require.Equal(t, http.StatusOK, w.Code)
			}
			require.InDelta(t, 2, b.counted("assent_callbacks_total", "inbound", "twilio", c.result), 0)
			if c.decision == "" {
				require.Empty(t, b.records.answered)
				require.Empty(t, b.records.bound, "what says nothing may be said again")
				return
			}
			require.Len(t, b.records.answered, 1)
			answered := b.records.answered[0]
			require.Equal(t, c.decision, answered.Decision)
			require.Equal(t, approvalID, answered.ID)
			require.Equal(t, events.ResponseSMS, answered.Kind)
			require.NotContains(t, answered.EventID, ":47")
			after, err := verification.Apply(v, verification.Answered{Decision: verification.Decision(answered.Decision), EventID: answered.EventID, Number: answered.Number}, now)
			require.NoError(t, err)
			require.Equal(t, c.status, after.Status)
		})
	}
}

func TestANumberAnswersNoQuestionThatAsksForNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/inbound", url.Values{"MessageSid": {"SM1"}, "From": {ana}, "Body": {"47"}}))
	require.Equal(t, http.StatusOK, w.Code)
	require.InDelta(t, 1, b.counted("assent_callbacks_total", "inbound", "twilio", "unclear"), 0)
	require.Empty(t, b.records.answered)
}
