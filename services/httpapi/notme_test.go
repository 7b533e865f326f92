package httpapi_test

import (
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/embednats/embednatstest"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/verification"
)

func TestAFreezeIsShownUntilWhenAndItsRemovalIsAudited(t *testing.T) {
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	require.NoError(t, stream.Ensure(t.Context(), js, stream.Topology{}))
	keys, err := keyring.LoadOrCreate(filepath.Join(t.TempDir(), "keyring.json"))
	require.NoError(t, err)
	b := setup(t, func(c *httpapi.Config) {
		c.Suppressions, err = store.NewSuppressions(t.Context(), js, store.SuppressionsConfig{Keys: keys, Operator: "operator", Now: c.Now})
		require.NoError(t, err)
	})
	at := b.clock.now().UTC().Truncate(time.Millisecond)
	until := at.Add(20 * time.Minute)
	const ana = "019aa5bf-11aa-7b6e-9d3c-2e4f60718293"
	pub := stream.NewPublisher(js)
	for _, userID := range []string{"", ana} {
		require.NoError(t, pub.Freeze(t.Context(), events.Suppression{
			Destination: events.FreezeDestination("hash of "+userID, events.Push), Channel: events.Push, ToMasked: "push", Account: shop,
			Cause: events.CauseNotMe, UserID: userID, Until: &until, At: at,
		}, time.Hour))
	}

	all := b.list("?cause=not_me")
	require.Len(t, all.Data, 2)
	whole, one := all.Data[0], all.Data[1]
	require.Equal(t, ana, whole.UserID)
	require.Empty(t, one.UserID)
	for _, s := range all.Data {
		require.Equal(t, api.SuppressionCauseNotMe, s.Cause)
		require.Equal(t, api.SuppressionCoversVerifications, s.Covers)
		require.Equal(t, api.SuppressionScopeAccount, s.Scope)
		require.Equal(t, "push", s.To)
		require.Equal(t, until, s.Until.UTC())
	}
	path := suppressions + "/" + whole.ID
	require.Equal(t, http.StatusOK, b.get(path).StatusCode)
	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodDelete, path: path, client: other}).StatusCode)
	require.Empty(t, b.store.audit, "what is not done is not in the log")
	require.Equal(t, http.StatusNoContent, b.do(call{method: http.MethodDelete, path: path}).StatusCode)
	require.Equal(t, http.StatusNotFound, b.get(path).StatusCode)
	require.Len(t, b.store.audit, 1)
	e := b.store.audit[0]
	require.Equal(t, audit.SuppressionRemoved, e.Action)
	require.Equal(t, []string{shop, shop, whole.ID, ana}, []string{e.Account, e.Actor, e.Subject, e.UserID})
	require.Equal(t, map[string]string{"cause": "not_me", "channel": "push", "scope": "account"}, e.Details)

	b.clock.pass(20 * time.Minute)
	require.Empty(t, b.list("").Data, "it ended by itself")
	require.Equal(t, http.StatusNotFound, b.get(suppressions+"/"+one.ID).StatusCode)
}

func TestNobodyPutsAFreezeOnTheListByHand(t *testing.T) {
	b, _ := withList(t)
	a := b.post(suppressions, `{"to":"+14155550123","covers":"verifications"}`)
	require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	require.Equal(t, "#/covers", a.problem(t).Errors[0].Pointer)
	got := b.imported("text/csv", "to,cause,covers\n+14155550123,not_me,\n+14155550124,,verifications\n")
	require.Equal(t, 2, got.Refused)
	require.Contains(t, got.Faults[0].Detail, "must be stop, bounce, spam_report, device_gone, manual or imported")
}

func TestAVerificationForWhoWasJustBombedSaysUntilWhenAndWhatLiftsIt(t *testing.T) {
	b := setup(t)
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	entry := suppression.Entry{
		ID: "AbCdEfGhIjKlMnOpQrStUv.f-shop", Cause: suppression.NotMe, Scope: suppression.Account, ToMasked: "+1••••••0123",
		At: at, Until: at.Add(20 * time.Minute),
	}
	refused := func() (f api.Fault) {
		t.Helper()
		b.store.failOnly(&suppression.RefusedError{Places: []suppression.Place{{Entry: entry}}})
		a := b.post("/v1/verifications", smsCode)
		require.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
		p := a.problem(t)
		require.Equal(t, api.ProblemCodeSuppressed, p.Code)
		require.Equal(t, "#/to", p.Errors[0].Pointer)
		return p.Errors[0]
	}
	require.Equal(t, "gets no verifications until 2026-11-21T10:20:00Z: the person said that a request was not theirs at 2026-11-21T10:00:00Z; "+
		"DELETE /v1/suppressions/"+entry.ID+" lets them through again", refused().Detail)
	entry.UserID = "ana"
	require.Contains(t, refused().Detail, "which stops all devices of the user on this channel")
}

func TestWhoAnswersNoPromptIsNamedInTheLimit(t *testing.T) {
	b := setup(t)
	b.store.failOnly(&verification.LimitError{Policy: verification.PolicyPrompts, Quota: 5, Window: time.Hour, RetryAfter: 411 * time.Second})
	a := b.post("/v1/verifications", smsCode)
	require.Equal(t, http.StatusTooManyRequests, a.StatusCode)
	require.Equal(t, "411", a.Header.Get("Retry-After"))
	require.Equal(t, `"prompts";q=5;w=3600`, a.Header.Get("RateLimit-Policy"))
	require.Equal(t, `"prompts";r=0;t=411`, a.Header.Get("RateLimit"))
	p := a.problem(t)
	require.Equal(t, api.ProblemCodeLimitExceeded, p.Code)
	require.Equal(t, []string{"prompts"}, p.ViolatedPolicies)
	require.Equal(t, "The user left 5 push requests unanswered in 3600 seconds, which is the limit. Ask in another way, or come back in 411 seconds.", p.Detail)
}
