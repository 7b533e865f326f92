package onelogin_test

import (
	"context"
	"crypto/rand"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/onelogin"
	"github.com/assent-io/assent/services/verification"
)

func TestASMSCodeCompletesALogin(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, d := h.member(device.SMSCode)
	state := c.state(u)
	require.Equal(t, "SMS token sent to your mobile device. Authentication pending.", c.factor(state, d[0], nil).pending())
	sent := h.verifications.Last()
	require.Equal(t, u.Phone, sent.To)
	require.Equal(t, "Sign in", sent.Verification.Context.Action)
	code := sent.Secrets.Code.Reveal()

	require.Equal(t, noFactor, c.factor(state, d[0], otp(another(code))).refusedV1(http.StatusUnauthorized))
	c.factor(state, d[0], quiet).pending()
	require.Equal(t, 1, h.verifications.Count())
	c.factor(state, d[0], otp(code)).authenticated(u)
	require.Equal(t, noState, c.factor(state, d[0], otp(code)).refusedV1(http.StatusBadRequest))
	stored, err := h.users.UserByNumber(t.Context(), shop, u.Number)
	require.NoError(t, err)
	require.False(t, stored.LastLogin.IsZero())
}

// resent counts the messages that are sent again.
type resent struct {
	onelogin.Verifications
	times atomic.Int64
}

func (r *resent) Resend(ctx context.Context, id string) (verification.Verification, error) {
	v, err := r.Verifications.Resend(ctx, id)
	if err == nil {
		r.times.Add(1)
	}
	return v, err
}

func TestAPushCompletesALoginByPolling(t *testing.T) {
	t.Parallel()
	again := &resent{}
	h := setup(t, func(c *onelogin.Config) { again.Verifications, c.Verifications = c.Verifications, again })
	c := h.client()
	u, d := h.member(device.AppPush)
	state := c.logIn(u, func(b map[string]any) { b["ip_address"] = "203.0.113.7" }).data()["state_token"].(string)
	require.Equal(t, "Authentication pending on OL Protect", c.factor(state, d[0], nil).pending())
	require.Equal(t, "203.0.113.7", h.verifications.Last().Verification.Context.IP)
	for range 3 {
		c.factor(state, d[0], quiet).pending()
	}
	require.Zero(t, again.times.Load())
	c.factor(state, d[0], nil).pending()
	require.EqualValues(t, 1, again.times.Load(), "without do_not_notify the phone is asked again")
	h.answer(verification.Approve)
	c.factor(state, d[0], quiet).authenticated(u)
	require.Equal(t, 1, h.verifications.Count())
	require.Equal(t, noState, c.factor(state, d[0], quiet).refusedV1(http.StatusBadRequest))
}

func TestARefusedPushFailsTheFactorAndLeavesTheOthers(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, d := h.member(device.AppPush, device.EmailLink)
	state := c.state(u)
	c.factor(state, d[0], nil).pending()
	h.answer(verification.Deny)
	for range 2 {
		require.Equal(t, noFactor, c.factor(state, d[0], quiet).refusedV1(http.StatusUnauthorized))
		require.Equal(t, noFactor, c.factor(state, d[0], nil).refusedV1(http.StatusUnauthorized))
	}
	require.Equal(t, "OneLogin Email sent. Authentication pending.", c.factor(state, d[1], nil).pending())
	require.NotEmpty(t, h.verifications.Last().Secrets.Token.Reveal())
	require.Equal(t, noFactor, c.factor(state, d[1], otp("123456")).refusedV1(http.StatusUnauthorized))
	h.answer(verification.Approve)
	c.factor(state, d[1], quiet).authenticated(u)
}

func TestCodesOfAnAppCompleteALoginOnce(t *testing.T) {
	t.Parallel()
	for _, f := range []device.Factor{device.AppCode, device.AppPush} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			c := h.client()
			u, d := h.member(f)
			state := c.state(u)
			if f == device.AppCode {
				require.Contains(t, c.factor(state, d[0], nil).refusedV1(http.StatusBadRequest), "otp_token")
			}
			code := device.OneTimeCode(d[0].Secret, h.clock.Now())
			c.factor(state, d[0], map[string]any{"otp_token": code, "device_id": d[0].Number}).authenticated(u)
			require.Equal(t, noFactor, c.factor(c.state(u), d[0], otp(code)).refusedV1(http.StatusUnauthorized), "the same code again")
			require.Zero(t, h.verifications.Count())
		})
	}
}

func TestASpokenOrMailedCodeCompletesALogin(t *testing.T) {
	t.Parallel()
	for _, f := range []device.Factor{device.VoiceMatch, device.EmailCode} {
		t.Run(string(f), func(t *testing.T) {
			t.Parallel()
			h := setup(t)
			c := h.client()
			u, d := h.member(f)
			state := c.state(u)
			c.factor(state, d[0], nil).pending()
			require.Equal(t, d[0].Address, h.verifications.Last().To)
			c.factor(state, d[0], otp(h.verifications.Last().Secrets.Code.Reveal())).authenticated(u)
		})
	}
}

func TestTooManyWrongCodesUseUpTheStateToken(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, d := h.member(device.SMSCode)
	state := c.state(u)
	c.factor(state, d[0], nil).pending()
	code := h.verifications.Last().Secrets.Code.Reveal()
	for range verification.MaxChecks {
		require.Equal(t, noFactor, c.factor(state, d[0], otp(another(code))).refusedV1(http.StatusUnauthorized))
	}
	require.Equal(t, noState, c.factor(state, d[0], otp(code)).refusedV1(http.StatusBadRequest))
	require.Equal(t, noState, c.factor(state, d[0], nil).refusedV1(http.StatusBadRequest))

	// Another login gives no more tries.
	state = c.state(u)
	c.factor(state, d[0], nil).pending()
	c.factor(state, d[0], otp(h.verifications.Last().Secrets.Code.Reveal())).refusedV1(http.StatusTooManyRequests)
	require.Equal(t, noState, c.factor(state, d[0], nil).refusedV1(http.StatusBadRequest))
}

// A client may have the account's name, and the idempotency keys of the native API are its own to choose.
func TestNoIdempotencyKeyOfAClientNamesTheVerificationOfALogin(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, d := h.member(device.SMSCode)
	state := c.state(u)
	key := fmt.Sprintf("login:%s:%d", state, d[0].Number)
	id := h.verifications.IDFor(shop, key)
	v, secrets, err := verification.New(verification.Params{
		ID: id, Credential: shop, Channel: verification.SMS, Challenge: verification.CodeChallenge, Brand: "Shop",
	}, h.clock.Now(), rand.Reader)
	require.NoError(t, err)
	_, _, err = h.verifications.Create(t.Context(), verification.Activation{
		Verification: v, Secrets: secrets, To: "+14155559999", IdempotencyKey: key, Body: []byte("{}"),
	})
	require.NoError(t, err)
	_, valid, err := h.verifications.Check(t.Context(), id, secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)
	c.factor(state, d[0], nil).pending()
	require.Equal(t, u.Phone, h.verifications.Last().To)
}

func TestBadSecondStepsAreNamed(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, d := h.member(device.SMSCode)
	stranger, theirs := h.member(device.SMSCode)
	state := c.state(u)
	require.Contains(t, c.post(factorPath, map[string]any{"device_id": 1}).refusedV1(http.StatusBadRequest), "state_token")
	require.Contains(t, c.post(factorPath, map[string]any{"state_token": state}).refusedV1(http.StatusBadRequest), "device_id")
	require.Contains(t, c.factor(state, theirs[0], nil).refusedV1(http.StatusNotFound), "device_id")
	require.Contains(t, c.factor(state, device.Device{Number: 0}, nil).refusedV1(http.StatusNotFound), "device_id")
	require.Equal(t, noState, c.factor("made-up", d[0], nil).refusedV1(http.StatusBadRequest))
	require.Equal(t, noState, h.client(account("bank")).factor(state, d[0], nil).refusedV1(http.StatusBadRequest))
	require.Equal(t, noFactor, c.factor(state, d[0], otp("123456")).refusedV1(http.StatusUnauthorized), "nothing was asked yet")
	c.post(factorPath, "7").refusedV1(http.StatusBadRequest)
	h.client(scope(credential.ReadAll)).factor(state, d[0], nil).refusedV1(http.StatusForbidden)

	// A password that changes ends the logins of the old one, and so does a lock.
	h.clock.Forward(time.Millisecond)
	c.put(fmt.Sprintf("/api/2/users/%d", u.Number), map[string]any{"password": "another horse", "password_confirmation": "another horse"}).is(http.StatusOK)
	require.Equal(t, noState, c.factor(state, d[0], nil).refusedV1(http.StatusBadRequest))
	state = c.state(stranger)
	c.put(fmt.Sprintf("/api/2/users/%d", stranger.Number), map[string]any{"status": 3}).is(http.StatusOK)
	require.Equal(t, noState, c.factor(state, theirs[0], nil).refusedV1(http.StatusBadRequest))
}

func TestAStateTokenLivesTwoMinutes(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, d := h.member(device.SMSCode)
	state := c.state(u)
	h.clock.Forward(119 * time.Second)
	c.factor(state, d[0], nil).pending()
	h.clock.Forward(2 * time.Second)
	require.Equal(t, noState, c.factor(state, d[0], quiet).refusedV1(http.StatusBadRequest))
}

func TestOfManyWhoCompleteOneLoginOneGetsASession(t *testing.T) {
	t.Parallel()
	h := setup(t)
	c := h.client()
	u, d := h.member(device.AppPush)
	state := c.state(u)
	const callers = 8
	together := func() []answer {
		answers := make([]answer, callers)
		var group sync.WaitGroup
		for i := range callers {
			r := c.request(http.MethodPost, factorPath, map[string]any{"state_token": state, "device_id": d[0].Number, "do_not_notify": true})
			group.Go(func() { answers[i] = h.send(r) })
		}
		group.Wait()
		return answers
	}
	for _, a := range together() {
		a.pending()
	}
	require.Equal(t, 1, h.verifications.Count(), "one message")
	h.answer(verification.Approve)
	done := 0
	for _, a := range together() {
		if a.status == http.StatusOK {
			a.authenticated(u)
			done++
			continue
		}
		require.Equal(t, noState, a.refusedV1(http.StatusBadRequest))
	}
	require.Equal(t, 1, done)
}
