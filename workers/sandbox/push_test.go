package sandbox_test

import (
	"bytes"
	"crypto/ecdsa"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sideshow/apns2"
	"github.com/sideshow/apns2/payload"
	"github.com/sideshow/apns2/token"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/workers/sandbox"
)

func h2c() *http.Client {
	protocols := new(http.Protocols)
	protocols.SetUnencryptedHTTP2(true)
	return &http.Client{Transport: &http.Transport{Protocols: protocols}}
}

func (b *bundle) apns(t *testing.T) *apns2.Client {
	t.Helper()
	key, err := token.AuthKeyFromBytes(b.account.APNsKey)
	require.NoError(t, err)
	c := apns2.NewTokenClient(&token.Token{AuthKey: key, KeyID: b.account.APNsKeyID, TeamID: b.account.APNsTeamID})
	c.Host = b.url + "/sandbox/apns"
	c.HTTPClient = h2c()
	t.Cleanup(c.HTTPClient.CloseIdleConnections)
	return c
}

func (b *bundle) notification(pushToken string) *apns2.Notification {
	return &apns2.Notification{
		DeviceToken: pushToken, Topic: b.account.APNsTopic, ApnsID: "123e4567-e89b-12d3-a456-42665544000a", CollapseID: "v1",
		Expiration: time.Now().Add(5 * time.Minute), Priority: apns2.PriorityHigh, PushType: apns2.PushTypeAlert,
		Payload: payload.NewPayload().AlertTitle("Example Bank").AlertBody("Are you signing in?").Custom("verification_id", "v1").
			Custom("device_id", "d1").Custom("context", `{"ip":"203.0.113.7"}`).Custom("number_salt", aSalt).Custom("respond_to", b.assent.url+"/v1/verifications/v1/responses"),
	}
}

type phone struct {
	ID        string `json:"id"`
	Platform  string `json:"platform"`
	Name      string `json:"name"`
	PushToken string `json:"push_token"`
	PublicKey []byte `json:"public_key"`
}

func (b *bundle) phone(t *testing.T, platform string) phone {
	t.Helper()
	res := b.do(t, http.MethodPost, "/sandbox/phones", nil, `{"platform":"`+platform+`","name":"Ana's phone"}`)
	require.Equal(t, http.StatusCreated, res.status, "%s", res.body)
	var p phone
	require.NoError(t, json.Unmarshal(res.body, &p))
	return p
}

const aSalt = "pXk2Jq0cT1m5l8S3vRwZbA"

const aHexToken = "00fc13adff785122b4ad28809a3420982341241421348097878e577c991de8f0"

func TestANotificationArrivesOverHTTP2(t *testing.T) {
	b := setup(t)
	p := b.phone(t, "apns")
	require.Len(t, p.PushToken, 64)
	res, err := b.apns(t).PushWithContext(t.Context(), b.notification(p.PushToken))
	require.NoError(t, err)
	require.True(t, res.Sent(), "%d %s", res.StatusCode, res.Reason)
	require.Equal(t, "123e4567-e89b-12d3-a456-42665544000a", res.ApnsID)

	m := b.one(t, "?channel=push&to="+p.PushToken)
	require.Equal(t, "apns", m.Provider)
	require.Equal(t, "Example Bank\nAre you signing in?", m.Text)
	require.Equal(t, "v1", m.Data["verification_id"])
	require.JSONEq(t, `{"ip":"203.0.113.7"}`, m.Data["context"])
	require.NotContains(t, m.Data, "aps")

	res, err = b.apns(t).PushWithContext(t.Context(), b.notification(aHexToken))
	require.NoError(t, err)
	require.True(t, res.Sent(), "a device that is no sandbox phone is played too")
}

func TestAPNsSpeaksHTTP2Only(t *testing.T) {
	b := setup(t)
	res := b.do(t, http.MethodPost, "/sandbox/apns/3/device/"+aHexToken, nil, "{}")
	require.Equal(t, http.StatusHTTPVersionNotSupported, res.status)
}

func TestAPNsRefusesANotificationThatAppleWouldRefuse(t *testing.T) {
	b := setup(t)
	c := b.apns(t)
	for _, x := range []struct {
		change func(n *apns2.Notification)
		status int
		reason string
	}{
		{func(n *apns2.Notification) { n.DeviceToken = "nohex" }, 400, apns2.ReasonBadDeviceToken},
		{func(n *apns2.Notification) { n.DeviceToken = "" }, 400, apns2.ReasonMissingDeviceToken},
		{func(n *apns2.Notification) { n.DeviceToken = "dead" + aHexToken[4:] }, 410, apns2.ReasonUnregistered},
		{func(n *apns2.Notification) { n.DeviceToken = "unregistered-1" }, 410, apns2.ReasonUnregistered},
		{func(n *apns2.Notification) { n.Topic = "" }, 400, apns2.ReasonMissingTopic},
		{func(n *apns2.Notification) { n.Topic = "com.example" }, 400, apns2.ReasonTopicDisallowed},
		{func(n *apns2.Notification) { n.PushType = "shout" }, 400, apns2.ReasonInvalidPushType},
		{func(n *apns2.Notification) { n.ApnsID = "1" }, 400, apns2.ReasonBadMessageID},
		{func(n *apns2.Notification) { n.Priority = 7 }, 400, apns2.ReasonBadPriority},
		{func(n *apns2.Notification) { n.PushType = apns2.PushTypeBackground }, 400, apns2.ReasonBadPriority},
		{func(n *apns2.Notification) { n.CollapseID = strings.Repeat("x", 65) }, 400, apns2.ReasonBadCollapseID},
		{func(n *apns2.Notification) { n.Payload = []byte(`{"x":1}`) }, 400, apns2.ReasonPayloadEmpty},
		{func(n *apns2.Notification) { n.Payload = []byte(`{"aps":"` + strings.Repeat("x", 4096) + `"}`) }, 413, apns2.ReasonPayloadTooLarge},
	} {
		t.Run(x.reason, func(t *testing.T) {
			n := b.notification(aHexToken)
			x.change(n)
			res, err := c.PushWithContext(t.Context(), n)
			require.NoError(t, err)
			require.Equal(t, x.status, res.StatusCode)
			require.Equal(t, x.reason, res.Reason)
			if x.status == http.StatusGone {
				require.False(t, res.Timestamp.IsZero())
			}
		})
	}
	require.Empty(t, b.messages(t, ""))
}

func TestAPNsChecksProviderTokens(t *testing.T) {
	now := time.Now()
	b := setup(t, func(c *sandbox.Config) { c.Now = func() time.Time { return now } })
	push := func(authorization string) answered {
		h := map[string]string{"apns-topic": b.account.APNsTopic, "apns-push-type": "alert"}
		if authorization != "" {
			h["Authorization"] = authorization
		}
		c := h2c()
		defer c.CloseIdleConnections()
		return b.doWith(t.Context(), t, c, http.MethodPost, "/sandbox/apns/3/device/"+aHexToken, h, `{"aps":{"alert":"x"}}`)
	}
	key, err := token.AuthKeyFromBytes(b.account.APNsKey)
	require.NoError(t, err)
	bearer := func(kid, team string) string {
		tok := &token.Token{AuthKey: key, KeyID: kid, TeamID: team}
		_, err := tok.Generate()
		require.NoError(t, err)
		return "bearer " + tok.Bearer
	}
	good := bearer(b.account.APNsKeyID, b.account.APNsTeamID)
	require.Equal(t, http.StatusOK, push(good).status)
	require.Equal(t, http.StatusOK, push(good).status, "remembered")
	for want, authorization := range map[string]string{
		"MissingProviderToken": "", "InvalidProviderToken": "bearer x.y.z",
	} {
		res := push(authorization)
		require.Equal(t, http.StatusForbidden, res.status)
		require.Equal(t, want, res.json(t)["reason"])
	}
	for _, bad := range []string{bearer("OTHERKEYID", b.account.APNsTeamID), bearer(b.account.APNsKeyID, "OTHERTEAM0"), good + "x", "Basic x"} {
		require.Equal(t, "InvalidProviderToken", push(bad).json(t)["reason"])
	}
	now = now.Add(61 * time.Minute)
	res := push(good)
	require.Equal(t, http.StatusForbidden, res.status)
	require.Equal(t, "ExpiredProviderToken", res.json(t)["reason"])
}

func (b *bundle) fcm(t *testing.T, body string) answered {
	t.Helper()
	return b.do(t, http.MethodPost, "/sandbox/fcm/v1/projects/"+b.account.FCMProjectID+"/messages:send", map[string]string{
		"Authorization": "Bearer " + b.account.FCMToken, "Content-Type": "application/json",
	}, body)
}

func (b *bundle) fcmBody(pushToken string) string {
	return `{"message":{"token":"` + pushToken + `","data":{"verification_id":"v1","device_id":"d1","context":"{\"ip\":\"203.0.113.7\"}","number_salt":"` + aSalt + `","respond_to":"` + b.assent.url +
		`/v1/verifications/v1/responses"},"android":{"collapse_key":"v1","priority":"high","ttl":"300s"}}}`
}

func TestAnFCMMessageArrives(t *testing.T) {
	b := setup(t)
	p := b.phone(t, "fcm")
	res := b.fcm(t, b.fcmBody(p.PushToken))
	require.Equal(t, http.StatusOK, res.status, "%s", res.body)
	require.True(t, strings.HasPrefix(res.json(t)["name"].(string), "projects/"+b.account.FCMProjectID+"/messages/"))
	m := b.one(t, "?channel=push")
	require.Equal(t, "fcm", m.Provider)
	require.Equal(t, p.PushToken, m.To)
	require.Equal(t, "v1", m.Data["verification_id"])
	require.Empty(t, m.Text, "data only: nothing is shown by the platform")

	res = b.fcm(t, `{"message":{"token":"another","notification":{"title":"Example Bank","body":"Sign in?"}},"validateOnly":false}`)
	require.Equal(t, http.StatusOK, res.status, "%s", res.body)
	require.Equal(t, "Example Bank\nSign in?", b.one(t, "?to=another").Text)

	require.Equal(t, http.StatusOK, b.fcm(t, `{"message":{"token":"app","data":{"title":"Example Bank","body":"Sign in?"}}}`).status)
	require.Equal(t, "Example Bank\nSign in?", b.one(t, "?to=app").Text, "what the app draws from its data")
}

func TestFCMRefusesAMessageThatGoogleWouldRefuse(t *testing.T) {
	b := setup(t)
	for name, c := range map[string]struct{ body, field string }{
		"not JSON":             {`{`, ""},
		"no message":           {`{}`, "message"},
		"no target":            {`{"message":{}}`, "message"},
		"two targets":          {`{"message":{"token":"a","topic":"b"}}`, "message"},
		"an unknown field":     {`{"message":{"token":"a","colour":"blue"}}`, "message"},
		"data of another type": {`{"message":{"token":"a","data":{"n":1}}}`, "message.data"},
		"a reserved key":       {`{"message":{"token":"a","data":{"google.x":"1"}}}`, "message.data"},
		"an unknown priority":  {`{"message":{"token":"a","android":{"priority":"urgent"}}}`, "message.android.priority"},
		"a life without unit":  {`{"message":{"token":"a","android":{"ttl":"300"}}}`, "message.android.ttl"},
		"a token with a space": {`{"message":{"token":"a b"}}`, "message.token"},
		"a title of wrong type": {
			`{"message":{"token":"a","notification":{"title":1}}}`, "message.notification.title",
		},
		"too much data": {`{"message":{"token":"a","data":{"n":"` + strings.Repeat("x", 4097) + `"}}}`, "message.data"},
	} {
		t.Run(name, func(t *testing.T) {
			res := b.fcm(t, c.body)
			require.Equal(t, http.StatusBadRequest, res.status, "%s", res.body)
			e := res.json(t)["error"].(map[string]any)
			require.Equal(t, "INVALID_ARGUMENT", e["status"])
			require.Equal(t, "INVALID_ARGUMENT", e["details"].([]any)[0].(map[string]any)["errorCode"])
			if c.field != "" {
				require.Contains(t, string(res.body), `"field":"`+c.field+`"`)
			}
		})
	}
	res := b.fcm(t, b.fcmBody("unregistered-1"))
	require.Equal(t, http.StatusNotFound, res.status)
	require.Contains(t, string(res.body), `"errorCode":"UNREGISTERED"`)
	require.Contains(t, string(res.body), "google.firebase.fcm.v1.FcmError")

	path := "/sandbox/fcm/v1/projects/" + b.account.FCMProjectID + "/messages:send"
	require.Equal(t, http.StatusUnauthorized, b.do(t, http.MethodPost, path, nil, "{}").status)
	require.Equal(t, http.StatusForbidden, b.do(t, http.MethodPost, "/sandbox/fcm/v1/projects/other/messages:send",
		map[string]string{"Authorization": "Bearer " + b.account.FCMToken, "Content-Type": "application/json"}, "{}").status)
	require.Empty(t, b.messages(t, ""))
}

// verifySigned checks an answer the way the contract says a server must.
func verifySigned(t *testing.T, p phone, got received, contextShown string) map[string]string {
	t.Helper()
	var v map[string]string
	require.NoError(t, json.Unmarshal(got.body, &v))
	parsed, err := x509.ParsePKIXPublicKey(p.PublicKey)
	require.NoError(t, err)
	shown := sha256.Sum256([]byte(contextShown))
	committed := ""
	if v["number"] != "" {
		sum := sha256.Sum256([]byte(aSalt + "\n" + v["number"]))
		committed = hex.EncodeToString(sum[:])
	}
	digest := sha256.Sum256([]byte(fmt.Sprintf("assent-response-v2\nv1\n%s\n%s\n%s\n%s\n%s", v["device_id"], v["decision"], committed, v["answered_at"], hex.EncodeToString(shown[:]))))
	signature, err := base64.RawURLEncoding.DecodeString(v["signature"])
	require.NoError(t, err)
	require.True(t, ecdsa.VerifyASN1(parsed.(*ecdsa.PublicKey), digest[:], signature))
	_, err = time.Parse(time.RFC3339, v["answered_at"])
	require.NoError(t, err)
	return v
}

func TestASandboxPhoneSignsItsAnswer(t *testing.T) {
	b := setup(t)
	for _, platform := range []string{"apns", "fcm"} {
		p := b.phone(t, platform)
		if platform == "apns" {
			res, err := b.apns(t).PushWithContext(t.Context(), b.notification(p.PushToken))
			require.NoError(t, err)
			require.True(t, res.Sent())
		} else {
			require.Equal(t, http.StatusOK, b.fcm(t, b.fcmBody(p.PushToken)).status)
		}
		m := b.one(t, "?to="+p.PushToken)
		b.assent.on("/v1/verifications/v1/responses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
		res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"decision":"not_me"}`)
		require.Equal(t, http.StatusOK, res.status, "%s", res.body)
		require.EqualValues(t, 202, res.json(t)["status"])
		v := verifySigned(t, p, b.assent.next(t), `{"ip":"203.0.113.7"}`)
		require.Equal(t, "not_me", v["decision"])
		require.Equal(t, "d1", v["device_id"])
		require.NotContains(t, v, "number")
	}
}

func TestANumberThatIsPickedIsSignedOver(t *testing.T) {
	b := setup(t)
	b.assent.on("/v1/verifications/v1/responses", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusAccepted) })
	for _, platform := range []string{"apns", "fcm"} {
		p := b.phone(t, platform)
		if platform == "apns" {
			n := b.notification(p.PushToken)
			n.Payload.(*payload.Payload).Custom("choices", `["3","7","9","1"]`)
			res, err := b.apns(t).PushWithContext(t.Context(), n)
			require.NoError(t, err)
			require.True(t, res.Sent())
		} else {
			body := strings.Replace(b.fcmBody(p.PushToken), `"device_id"`, `"choices":"[\"3\",\"7\",\"9\",\"1\"]","device_id"`, 1)
			require.Equal(t, http.StatusOK, b.fcm(t, body).status)
		}
		m := b.one(t, "?to="+p.PushToken)
		require.Equal(t, `["3","7","9","1"]`, m.Data["choices"])
		require.Empty(t, m.Code)
		for number, words := range map[string]string{"7": "approve 7", "": "approve"} {
			res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"decision":"approve","number":"`+number+`"}`)
			require.Equal(t, http.StatusOK, res.status, "%s", res.body)
			require.Equal(t, words, res.json(t)["answer"])
			v := verifySigned(t, p, b.assent.next(t), `{"ip":"203.0.113.7"}`)
			require.Equal(t, "approve", v["decision"])
			require.Equal(t, number, v["number"])
		}
		for _, number := range []string{"x", "12345", " 7"} {
			res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"decision":"approve","number":"`+number+`"}`)
			require.Equal(t, http.StatusUnprocessableEntity, res.status, number)
			require.Contains(t, string(res.body), "#/number")
		}
	}
}

func TestThePushedCodeIsFound(t *testing.T) {
	b := setup(t)
	n := b.notification(aHexToken)
	n.Payload = payload.NewPayload().AlertTitle("Your Bank 2024 code").AlertBody("482913 is your Bank 2024 code.").Custom("code", "482913")
	res, err := b.apns(t).PushWithContext(t.Context(), n)
	require.NoError(t, err)
	require.True(t, res.Sent())
	require.Equal(t, "482913", b.one(t, "?to="+aHexToken).Code)
	for token, c := range map[string]struct{ data, code string }{
		"digits":           {`{"title":"Your code","body":"0047 is your code.","code":"0047"}`, "0047"},
		"letter-first":     {`{"code":"B41832"}`, "B41832"},
		"none":             {`{"title":"Bank 2024","body":"Is this you?"}`, ""},
		"no-code":          {`{"code":"see 482913"}`, ""},
		"a-word":           {`{"code":"hello"}`, ""},
		"more-than-a-code": {`{"code":"12345678901"}`, ""},
	} {
		require.Equal(t, http.StatusOK, b.fcm(t, `{"message":{"token":"`+token+`","data":`+c.data+`}}`).status)
		require.Equal(t, c.code, b.one(t, "?to="+token).Code, token)
	}
}

func TestAPhoneSurvivesARestart(t *testing.T) {
	before := setup(t)
	apple, google := before.phone(t, "apns"), before.phone(t, "fcm")
	after := setup(t) // the same secret, nothing else in common
	require.Equal(t, http.StatusOK, after.fcm(t, after.fcmBody(google.PushToken)).status)
	res, err := after.apns(t).PushWithContext(t.Context(), after.notification(apple.PushToken))
	require.NoError(t, err)
	require.True(t, res.Sent())
	for _, p := range []phone{apple, google} {
		m := after.one(t, "?to="+p.PushToken)
		require.Equal(t, http.StatusOK, after.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"decision":"approve","number":"47"}`).status)
		require.Equal(t, "47", verifySigned(t, p, after.assent.next(t), `{"ip":"203.0.113.7"}`)["number"])
	}
	require.NotContains(t, string(after.do(t, http.MethodGet, "/sandbox/phones", nil, "").body), "PRIVATE")
}

func TestOnlyASandboxPhoneCanAnswer(t *testing.T) {
	b := setup(t)
	require.Equal(t, http.StatusOK, b.fcm(t, b.fcmBody("somebody-elses")).status)
	m := b.one(t, "")
	res := b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"decision":"approve"}`)
	require.Equal(t, http.StatusConflict, res.status)
	require.Contains(t, res.json(t)["detail"], "POST /sandbox/phones")

	p := b.phone(t, "fcm")
	require.Equal(t, http.StatusOK, b.fcm(t, `{"message":{"token":"`+p.PushToken+`"}}`).status)
	m = b.one(t, "?to="+p.PushToken)
	res = b.do(t, http.MethodPost, "/sandbox/messages/"+m.ID+"/answer", nil, `{"decision":"approve"}`)
	require.Equal(t, http.StatusConflict, res.status)
	require.Contains(t, res.json(t)["detail"], "nothing to answer")
}

func TestAddingAPhoneChecksItsInput(t *testing.T) {
	b := setup(t)
	for _, body := range []string{`{}`, `{"platform":"nokia"}`, `{"platform":"apns","name":"` + strings.Repeat("x", 61) + `"}`, `{"platform":"apns","name":"a\nb"}`, `{"platform":"apns","colour":1}`} {
		res := b.do(t, http.MethodPost, "/sandbox/phones", nil, body)
		require.Equal(t, http.StatusUnprocessableEntity, res.status, body)
		require.Equal(t, "application/problem+json", res.header.Get("Content-Type"))
	}
	b.phone(t, "apns")
	var v struct {
		Phones []phone `json:"phones"`
	}
	require.NoError(t, json.NewDecoder(io.LimitReader(bytes.NewReader(b.do(t, http.MethodGet, "/sandbox/phones", nil, "").body), 1<<16)).Decode(&v))
	require.Len(t, v.Phones, 1)
	require.Equal(t, "Ana's phone", v.Phones[0].Name)
}
