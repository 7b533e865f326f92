package httpapi_test

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/verification"
)

func TestAStepToADeviceKnowsItsUserWhereTheVerificationIsForNone(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{"name":"Ana"}`)
	phone, app := b.phoneOf(u, "+14155550123"), b.appOf(u)
	for name, c := range map[string]struct{ first, verification, step string }{
		"an address": {`"to":"+14155550199","channel":"sms"`, "", u.ID},
		"a device":   {`"device_id":"` + phone.ID + `"`, u.ID, ""},
	} {
		a := b.post("/v1/verifications", `{`+c.first+`,"challenge":"approval","fallback":[{"device_id":"`+app.ID+`","after":30}]}`)
		require.Equal(t, http.StatusCreated, a.StatusCode, "%s: %s", name, a.body)
		b.store.mu.Lock()
		stored := b.store.records[a.verification(t).ID].a.Verification
		b.store.mu.Unlock()
		require.Equal(t, c.verification, stored.UserID, name)
		require.Equal(t, c.step, stored.Fallback[0].UserID, name)
		require.Equal(t, []string{u.ID}, stored.Prompted(), name)
	}
}

func TestAFallbackGoesWhereItsStepsLead(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body  string
		steps []verification.Step
		to    []string
	}{
		"to the same number by default": {
			`{"to":"+14155550123","channel":"sms","fallback":[{"channel":"voice","after":30}]}`,
			[]verification.Step{{Channel: verification.Voice, After: 30 * time.Second, ToMasked: "+1••••••0123"}},
			[]string{"+14155550123"},
		},
		"to other addresses": {
			`{"to":"+14155550123","channel":"sms","fallback":[{"channel":"sms","to":"+1 415 555 0199","after":20},{"channel":"email","to":"ana@example.com","after":40}]}`,
			[]verification.Step{
				{Channel: verification.SMS, After: 20 * time.Second, ToMasked: "+1••••••0199"},
				{Channel: verification.Email, After: 40 * time.Second, ToMasked: "a•••@example.com"},
			},
			[]string{"+14155550199", "ana@example.com"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			a := b.post("/v1/verifications", c.body)
			require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
			v := a.verification(t)
			b.store.mu.Lock()
			stored := b.store.records[v.ID].a
			b.store.mu.Unlock()
			require.Equal(t, c.steps, stored.Verification.Fallback)
			require.Len(t, v.Fallback, len(c.steps))
			for i, road := range stored.Roads {
				require.Equal(t, c.to[i], road.To)
				require.Equal(t, c.steps[i].ToMasked, v.Fallback[i].To, "what is told is masked")
			}
		})
	}
}
