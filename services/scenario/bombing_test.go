package scenario_test

import (
	"net/http"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// frozen are the entries of the list that people made by saying that a request was not theirs.
func (s *story) frozen() (all []api.Suppression) {
	s.t.Helper()
	return read[api.SuppressionList](s.t, s.Call(http.MethodGet, "/v1/suppressions?cause=not_me", nil), http.StatusOK).Data
}

// audited are the entries of the audit log about something, newest first.
func (s *story) audited(subject string) []api.AuditEntry {
	s.t.Helper()
	return read[api.AuditList](s.t, s.Call(http.MethodGet, "/v1/audit?subject="+subject, nil), http.StatusOK).Data
}

// metric is what a metric line of this prefix says.
func (s *story) metric(prefix string) float64 {
	s.t.Helper()
	a, err := s.ask(s.t.Context(), http.MethodGet, s.base+"/metrics", nil)
	require.NoError(s.t, err)
	for line := range strings.Lines(string(a.body)) {
		if value, ok := strings.CutPrefix(strings.TrimSpace(line), prefix+" "); ok {
			n, err := strconv.ParseFloat(value, 64)
			require.NoError(s.t, err)
			return n
		}
	}
	return 0
}

func TestAPhoneThatIsBombedWithPromptsIsLeftAloneAndItsOwnerIsHeard(t *testing.T) {
	t.Parallel()
	s := Alone(t, "ASSENT_LIMITS__SENDS=1000", "ASSENT_APPROVALS__MAX_UNANSWERED=4")
	phone, ana := s.Phone(api.PlatformFCM), somebody()
	other := s.Register(api.User{ID: phone.Device.UserID}, api.CreateDevice{Kind: api.DeviceKindPhone, Address: ana.number})

	// Each prompt takes the place of the one before, whose poller learns it at once.
	older := s.Create(push(phone))
	for range 3 {
		client := s.Waiting(older)
		newer := s.Create(push(phone))
		client.Sees(api.StatusCanceled, "replaced")
		older = newer
	}
	s.Want(older, api.StatusPending, "")

	// Nobody answers four, and no fifth is sent.
	a := s.Call(http.MethodPost, "/v1/verifications", push(phone))
	p := s.Refused(a, http.StatusTooManyRequests, api.ProblemCodeLimitExceeded)
	require.Equal(t, []string{"prompts"}, p.ViolatedPolicies)
	require.Equal(t, `"prompts";q=4;w=3600`, a.header.Get("RateLimit-Policy"))
	require.Greater(t, p.RetryAfter, 3500)
	s.Want(older, api.StatusPending, "")

	// The person says that it was not them.
	eventually(t, "four prompts arrive", func() bool { return len(s.Messages(phone.Token)) == 4 })
	client := s.Waiting(older)
	require.Equal(t, http.StatusAccepted, s.Decides(s.of(phone, older), api.DecisionNotMe).Status)
	client.Sees(api.StatusDenied, "not_me")
	eventually(t, "the phone is frozen", func() bool { return len(s.frozen()) == 1 })
	freeze := s.frozen()[0]
	require.NotNil(t, freeze.Until)
	log := s.audited(older.ID)
	require.Len(t, log, 1)
	require.Equal(t, "verification.not_me", log[0].Action)
	require.Equal(t, "person", log[0].Actor)
	require.Equal(t, phone.Device.UserID, log[0].UserID)
	require.Equal(t, "push", log[0].Details["answer"])
	require.Equal(t, phone.Device.ID, log[0].Details["device_id"])
	require.InDelta(t, 1, s.metric(`assent_not_me_total{channel="push"}`), 0)

	// Nothing goes to that phone, whatever the challenge; their other device gets its codes.
	code := push(phone).with(func(c *api.CreateVerification) { c.Challenge = api.ChallengeCode })
	for _, q := range []question{push(phone), code} {
		p := s.Refused(s.Call(http.MethodPost, "/v1/verifications", q), http.StatusUnprocessableEntity, api.ProblemCodeSuppressed)
		require.Equal(t, "#/device_id", p.Errors[0].Pointer)
		require.Contains(t, p.Errors[0].Detail, "the person said that a request was not theirs")
		require.Contains(t, p.Errors[0].Detail, "DELETE /v1/suppressions/"+freeze.ID)
	}
	v := s.Create(question{api.CreateVerification{DeviceID: other.ID}})
	require.True(t, s.Check(v, s.Message(ana.number).Code).Valid)

	// The operator lifts it, and the log knows.
	lifted := s.Call(http.MethodDelete, "/v1/suppressions/"+freeze.ID, nil)
	require.Equal(t, http.StatusNoContent, lifted.status)
	require.Empty(t, s.frozen())
	require.Equal(t, "suppression.removed", s.audited(freeze.ID)[0].Action)
	sent := s.Create(code)
	require.True(t, s.Check(sent, s.of(phone, sent).Code).Valid)
	s.Refused(s.Call(http.MethodPost, "/v1/verifications", push(phone)), http.StatusTooManyRequests, api.ProblemCodeLimitExceeded)
}

func TestAPushOfAFallbackIsCountedWithTheOthers(t *testing.T) {
	t.Parallel()
	s := Alone(t, "ASSENT_LIMITS__SENDS=1000", "ASSENT_APPROVALS__MAX_UNANSWERED=2")
	phone := s.Phone(api.PlatformFCM)
	thenPush := func() question {
		return text(somebody()).Approval().Then(api.FallbackStep{DeviceID: phone.Device.ID, After: 1})
	}
	first := s.Create(push(phone))
	client := s.Waiting(first)
	second := s.Create(thenPush())
	client.Sees(api.StatusCanceled, "replaced")
	s.of(phone, second)

	third := s.Create(thenPush())
	eventually(t, "its push is skipped", func() bool { return len(s.timelineOf(t, third, "failed")) == 1 })
	skipped := s.timelineOf(t, third, "failed")[0]
	require.Equal(t, []any{api.ChannelPush, 1, "limited"}, []any{skipped.Channel, skipped.Step, skipped.Reason})
	s.Want(second, api.StatusPending, "")
	s.Want(third, api.StatusPending, "")
	s.Refused(s.Call(http.MethodPost, "/v1/verifications", push(phone)), http.StatusTooManyRequests, api.ProblemCodeLimitExceeded)
	require.Len(t, s.Messages(phone.Token), 2)
}

// of waits for the message of one verification on a phone.
func (s *story) of(p phone, v api.Verification) (found message) {
	s.t.Helper()
	eventually(s.t, "its message arrives", func() bool {
		for _, m := range s.Messages(p.Token) {
			if m.Data["verification_id"] == v.ID {
				found = m
				return true
			}
		}
		return false
	})
	return found
}

func TestWhoAnswersTheirPromptsGetsMore(t *testing.T) {
	t.Parallel()
	s := Alone(t, "ASSENT_LIMITS__SENDS=1000", "ASSENT_APPROVALS__MAX_UNANSWERED=2")
	phone := s.Phone(api.PlatformFCM)
	s.Create(push(phone)) // this one they miss
	v := s.Create(push(phone))
	s.Refused(s.Call(http.MethodPost, "/v1/verifications", push(phone)), http.StatusTooManyRequests, api.ProblemCodeLimitExceeded)
	client := s.Waiting(v)
	answer := map[string]string{"decision": string(api.DecisionApprove), "number": v.MatchNumber}
	require.Equal(t, http.StatusAccepted, s.reply(s.of(phone, v), answer).Status)
	client.Sees(api.StatusApproved, "")
	eventually(t, "their answer counts", func() bool {
		return s.Call(http.MethodPost, "/v1/verifications", push(phone)).status == http.StatusCreated
	})
	s.Create(push(phone))
	s.Refused(s.Call(http.MethodPost, "/v1/verifications", push(phone)), http.StatusTooManyRequests, api.ProblemCodeLimitExceeded)
}
