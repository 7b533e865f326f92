package sandbox_test

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sendgrid/sendgrid-go/helpers/mail"
	"github.com/stretchr/testify/require"
)

func (b *bundle) behave(t *testing.T, rule string) map[string]any {
	t.Helper()
	res := b.do(t, http.MethodPut, "/sandbox/behaviour", nil, rule)
	require.Equal(t, http.StatusOK, res.status, "%s", res.body)
	return res.json(t)
}

func TestEachCarrierRefusesInItsOwnWords(t *testing.T) {
	b := setup(t)
	v := b.behave(t, `{"mode":"refuse"}`)
	require.Equal(t, "refuse", v["mode"])
	require.EqualValues(t, 21211, b.text(t, nil).json(t)["code"])
	require.EqualValues(t, 21211, b.phoneCall(t, codeScript, nil).json(t)["code"])
	require.Equal(t, http.StatusBadRequest, b.mail(t, mail.GetRequestBody(aMail())).status)
	require.Equal(t, http.StatusNotFound, b.fcm(t, b.fcmBody("x")).status)
	res, err := b.apns(t).PushWithContext(t.Context(), b.notification(aHexToken))
	require.NoError(t, err)
	require.Equal(t, "BadDeviceToken", res.Reason)
	require.Empty(t, b.messages(t, ""))

	require.Equal(t, "normal", b.behave(t, `{"mode":"normal"}`)["mode"])
	require.Equal(t, http.StatusCreated, b.text(t, nil).status)
}

func TestThrottlingNamesAWaitOrNone(t *testing.T) {
	b := setup(t)
	all := func() []answered {
		res, err := b.apns(t).PushWithContext(t.Context(), b.notification(aHexToken))
		require.NoError(t, err)
		require.Equal(t, http.StatusTooManyRequests, res.StatusCode)
		return []answered{b.text(t, nil), b.phoneCall(t, codeScript, nil), b.mail(t, mail.GetRequestBody(aMail())), b.fcm(t, b.fcmBody("x"))}
	}
	b.behave(t, `{"mode":"throttle","retry_after":7}`)
	for _, res := range all() {
		require.Equal(t, http.StatusTooManyRequests, res.status)
		require.Equal(t, "7", res.header.Get("Retry-After"))
	}
	b.behave(t, `{"mode":"throttle","retry_after":0}`)
	for _, res := range all() {
		require.Equal(t, http.StatusTooManyRequests, res.status)
		require.Empty(t, res.header.Get("Retry-After"))
		require.Empty(t, res.header.Get("X-RateLimit-Reset"))
	}
}

func TestARuleMayCoverOneChannelAndAFewRequests(t *testing.T) {
	b := setup(t)
	b.behave(t, `{"mode":"unavailable","channel":"sms","count":2}`)
	require.Equal(t, http.StatusCreated, b.phoneCall(t, codeScript, nil).status)
	for range 2 {
		res := b.text(t, nil)
		require.Equal(t, http.StatusServiceUnavailable, res.status)
		require.True(t, strings.HasPrefix(string(res.body), "<html>"))
	}
	require.Equal(t, http.StatusCreated, b.text(t, nil).status)

	b.behave(t, `{"mode":"refuse"}`)
	v := b.behave(t, `{"mode":"normal","provider":"fcm"}`)
	require.Len(t, v["rules"], 1)
	require.Equal(t, http.StatusOK, b.fcm(t, b.fcmBody("x")).status)
	require.Equal(t, http.StatusBadRequest, b.text(t, nil).status)
	require.Empty(t, b.behave(t, `{"mode":"normal"}`)["rules"], "normal for all ends every rule")
}

func TestASlowCarrierAnswersLater(t *testing.T) {
	b := setup(t)
	b.behave(t, `{"mode":"slow","delay":0.05}`)
	require.Equal(t, http.StatusCreated, b.text(t, nil).status)
	require.Len(t, b.messages(t, ""), 1)

	b.behave(t, `{"mode":"slow","delay":600}`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/sandbox/sendgrid/v3/mail/send", nil)
	require.NoError(t, err)
	res, err := b.client.Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	require.Error(t, err)
	b.Close() // and does not wait ten minutes for the slow ones
}

func TestAHangingCarrierNeverAnswers(t *testing.T) {
	b := setup(t)
	b.behave(t, `{"mode":"hang"}`)
	ended := make(chan error, 2)
	for _, path := range []string{"/sandbox/fcm/v1/projects/" + b.account.FCMProjectID + "/messages:send"} {
		go func() {
			req, err := http.NewRequestWithContext(context.WithoutCancel(t.Context()), http.MethodPost, b.url+path, strings.NewReader(b.fcmBody("x")))
			if err != nil {
				ended <- err
				return
			}
			req.Header.Set("Authorization", "Bearer "+b.account.FCMToken)
			req.Header.Set("Content-Type", "application/json")
			res, err := b.client.Do(req)
			if err == nil {
				_ = res.Body.Close()
			}
			ended <- err
		}()
	}
	// A second request that gives up by itself shows that the carrier hangs, and not that it is slow to start.
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, b.url+"/sandbox/twilio/2010-04-01/Accounts/"+b.account.TwilioAccountSID+"/Messages.json", strings.NewReader("To=x"))
	require.NoError(t, err)
	req.SetBasicAuth(b.account.TwilioAccountSID, b.account.TwilioAuthToken)
	res, err := b.client.Do(req)
	if err == nil {
		_ = res.Body.Close()
	}
	require.ErrorIs(t, err, context.DeadlineExceeded)
	b.Close()
	select {
	case err := <-ended:
		require.Error(t, err, "Close ends the hanging call without an answer")
	case <-time.After(patience):
		require.FailNow(t, "a hanging call outlived Close")
	}
	require.Empty(t, b.messages(t, ""))
}

func TestBadRulesAreNamed(t *testing.T) {
	b := setup(t)
	for body, field := range map[string]string{
		`{"mode":"sleepy"}`: "#/mode", `{}`: "#/mode", `{"mode":"slow","delay":-1}`: "#/delay", `{"mode":"slow","delay":601}`: "#/delay",
		`{"mode":"throttle","retry_after":-1}`: "#/retry_after", `{"mode":"hang","channel":"fax"}`: "#/channel",
		`{"mode":"hang","provider":"acme"}`: "#/provider", `{"mode":"hang","count":-1}`: "#/count", `{"mode":7}`: "#/mode",
	} {
		res := b.do(t, http.MethodPut, "/sandbox/behaviour", nil, body)
		require.Equal(t, http.StatusUnprocessableEntity, res.status, body)
		require.Contains(t, string(res.body), `"pointer":"`+field+`"`)
	}
	require.Equal(t, "normal", b.do(t, http.MethodGet, "/sandbox/behaviour", nil, "").json(t)["mode"])
}
