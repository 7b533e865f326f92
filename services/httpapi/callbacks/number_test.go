package callbacks_test

import (
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/verification"
)

func (b *bench) keys(digits string) (status int, heard string) {
	b.t.Helper()
	form := url.Values{"CallSid": {"CA1"}, "Digits": {digits}}
	w := b.do(twilioRequest(b.t, authToken, "/callbacks/twilio/voice/"+numberID+"/answer", form))
	return w.Code, w.Body.String()
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
		"the right number approves":        {"706152", "answer en Example Bank ", events.Approve, verification.Approved, ""},
		"a wrong number denies":            {"706153", "answer en Example Bank ", events.Approve, verification.Denied, verification.WrongNumber},
		"a star denies":                    {"*", "answer en Example Bank deny", events.Deny, verification.Denied, ""},
		"stars deny":                       {"***", "answer en Example Bank deny", events.Deny, verification.Denied, ""},
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
			b := setup(t)
			for range 2 { // Twilio may repeat a call that was slow
				status, heard := b.keys(c.keys)
				require.Equal(t, http.StatusOK, status)
				require.Equal(t, c.heard, heard)
			}
			v := b.records.verifications[numberID]
			v.SecretHash, v.MaxChecks = []byte("hash of 706152 for "+numberID), 1
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
			v, err := verification.Apply(v, verification.Answered{
				Decision: verification.Decision(answered.Decision), Number: answered.Number,
			}, now)
			require.NoError(t, err)
			require.Equal(t, c.status, v.Status)
			require.Equal(t, c.reason, v.Reason)
		})
	}
}

func TestAnotherNumberInTheSameCallIsAnotherAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for _, digits := range []string{"111111", "222222", "111111"} {
		_, heard := b.keys(digits)
		require.Equal(t, "answer en Example Bank ", heard)
	}
	require.Len(t, b.records.answered, 2)
	require.NotEqual(t, b.records.answered[0].EventID, b.records.answered[1].EventID)
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

func TestAReplyByTextBringsNoNumber(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v := b.records.verifications[approvalID]
	v.NumberLength, v.MaxChecks, v.SecretHash = 2, 2, []byte("hash")
	b.records.verifications[approvalID] = v
	w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/inbound", url.Values{"MessageSid": {"SM1"}, "From": {ana}, "Body": {"YES"}}))
	require.Equal(t, http.StatusOK, w.Code)
	require.Len(t, b.records.answered, 1)
	after, err := verification.Apply(v, verification.Answered{Decision: verification.Approve, Number: b.records.answered[0].Number}, now)
	require.NoError(t, err)
	require.Equal(t, v, after)
}
