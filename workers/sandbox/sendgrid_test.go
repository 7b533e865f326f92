package sandbox_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/sendgrid/sendgrid-go/helpers/eventwebhook"
	"github.com/sendgrid/sendgrid-go/helpers/mail"
	"github.com/stretchr/testify/require"
)

func aMail() *mail.SGMailV3 {
	m := mail.NewSingleEmail(mail.NewEmail("Example Bank", "no-reply@example.org"), "Your code", mail.NewEmail("", anasAt),
		"482913 is your Example Bank code.", "<p>Your code: <b>482913</b></p>")
	m.Personalizations[0].SetCustomArg("verification_id", "v1")
	m.Personalizations[0].SetCustomArg("send", "1")
	off := false
	m.TrackingSettings = &mail.TrackingSettings{ClickTracking: &mail.ClickTrackingSetting{Enable: &off, EnableText: &off}, OpenTracking: &mail.OpenTrackingSetting{Enable: &off}}
	return m
}

func (b *bundle) mail(t *testing.T, body []byte) answered {
	t.Helper()
	return b.do(t, http.MethodPost, "/sandbox/sendgrid/v3/mail/send", map[string]string{
		"Authorization": "Bearer " + b.account.SendGridAPIKey, "Content-Type": "application/json",
	}, string(body))
}

func TestAMailArrivesWithItsCodeAndIsReported(t *testing.T) {
	b := setup(t)
	res := b.mail(t, mail.GetRequestBody(aMail()))
	require.Equal(t, http.StatusAccepted, res.status, "%s", res.body)
	id := res.header.Get("X-Message-Id")
	require.Len(t, id, 22)

	m := b.one(t, "?to=ANA@example.com&channel=email")
	require.Equal(t, "482913", m.Code)
	require.Equal(t, "Your code", m.Subject)
	require.Equal(t, "Example Bank <no-reply@example.org>", m.From)
	require.Equal(t, "<p>Your code: <b>482913</b></p>", m.HTML)

	got := b.assent.next(t)
	require.Equal(t, "/callbacks/sendgrid/events", got.path)
	ok, err := eventwebhook.VerifySignature(&b.account.SendGridWebhookKey.PublicKey, got.body,
		got.header.Get(eventwebhook.VerificationHTTPHeader), got.header.Get(eventwebhook.TimestampHTTPHeader))
	require.NoError(t, err)
	require.True(t, ok)
	var events []map[string]any
	require.NoError(t, json.Unmarshal(got.body, &events))
	require.Len(t, events, 2)
	for i, want := range []string{"processed", "delivered"} {
		require.Equal(t, want, events[i]["event"])
		require.Equal(t, "v1", events[i]["verification_id"])
		require.Equal(t, "1", events[i]["send"])
		require.Equal(t, anasAt, events[i]["email"])
		require.True(t, strings.HasPrefix(events[i]["sg_message_id"].(string), id))
		require.NotEmpty(t, events[i]["sg_event_id"])
	}
	require.NotEqual(t, events[0]["sg_event_id"], events[1]["sg_event_id"])
}

func TestAMailsHTMLHasItsOwnPolicy(t *testing.T) {
	b := setup(t)
	b.mail(t, mail.GetRequestBody(aMail()))
	m := b.one(t, "")
	res := b.do(t, http.MethodGet, "/sandbox/messages/"+m.ID+"/html", nil, "")
	require.Equal(t, http.StatusOK, res.status)
	require.Contains(t, res.header.Get("Content-Security-Policy"), "default-src 'none'")
	require.Contains(t, res.header.Get("Content-Security-Policy"), "sandbox")
	require.Contains(t, string(res.body), "<b>482913</b>")

	m2 := aMail()
	m2.Content[1].Value = "<!doctype html><html><HEAD><title>x</title></HEAD><body>y</body></html>"
	b.mail(t, mail.GetRequestBody(m2))
	whole := b.messages(t, "?wait=10&after="+m.ID)[0]
	res = b.do(t, http.MethodGet, "/sandbox/messages/"+whole.ID+"/html", nil, "")
	require.Equal(t, `<!doctype html><html><HEAD><base target="_blank"><title>x</title></HEAD><body>y</body></html>`, string(res.body))

	b.text(t, nil)
	sms := b.one(t, "?channel=sms")
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodGet, "/sandbox/messages/"+sms.ID+"/html", nil, "").status)
}

func TestReservedMailboxesHaveTheirOutcomes(t *testing.T) {
	b := setup(t)
	to := func(mailbox string) []byte {
		m := aMail()
		m.Personalizations[0].To[0].Address = mailbox
		return mail.GetRequestBody(m)
	}
	for mailbox, want := range map[string][]string{
		"bounce@example.com":       {"processed", "bounce"},
		"dropped@example.com":      {"dropped"},
		"unsubscribed@example.com": {"dropped"},
		"deferred@example.com":     {"processed", "deferred", "delivered"},
		"spam@example.com":         {"processed", "delivered", "spamreport"},
		"silent@example.com":       {"processed"},
	} {
		require.Equal(t, http.StatusAccepted, b.mail(t, to(mailbox)).status)
		var events []map[string]any
		require.NoError(t, json.Unmarshal(b.assent.next(t).body, &events))
		var names []string
		for _, e := range events {
			names = append(names, e["event"].(string))
		}
		require.Equal(t, want, names, mailbox)
	}
	require.Equal(t, http.StatusBadRequest, b.mail(t, to("refused@example.com")).status)
	throttled := b.mail(t, to("once@example.com"))
	require.Equal(t, http.StatusTooManyRequests, throttled.status)
	require.NotEmpty(t, throttled.header.Get("X-RateLimit-Reset"))
	require.Equal(t, http.StatusAccepted, b.mail(t, to("once@example.com")).status)
	require.Equal(t, http.StatusTooManyRequests, b.mail(t, to("throttled@example.com")).status)
	require.Equal(t, http.StatusServiceUnavailable, b.mail(t, to("unavailable@example.com")).status)
}

func TestSendGridRefusesAMailThatSendGridWouldRefuse(t *testing.T) {
	b := setup(t)
	for _, c := range []struct {
		name   string
		change func(m map[string]any)
		field  string
	}{
		{"no personalizations", func(m map[string]any) { delete(m, "personalizations") }, "personalizations"},
		{"nobody to send to", func(m map[string]any) { first(m)["to"] = []any{} }, "personalizations.0.to"},
		{"a mailbox that is none", func(m map[string]any) { first(m)["to"] = []any{map[string]any{"email": "ana"}} }, "personalizations.0.to.0.email"},
		{"a mailbox twice", func(m map[string]any) {
			first(m)["to"] = []any{map[string]any{"email": anasAt}, map[string]any{"email": "ANA@example.com"}}
		}, "personalizations.0.to"},
		{"no sender", func(m map[string]any) { delete(m, "from") }, "from.email"},
		{"a sender that is none", func(m map[string]any) { m["from"] = map[string]any{"email": "x@"} }, "from.email"},
		{"no subject", func(m map[string]any) { delete(m, "subject") }, "subject"},
		{"no content", func(m map[string]any) { delete(m, "content") }, "content"},
		{"html before text", func(m map[string]any) {
			c := m["content"].([]any)
			m["content"] = []any{c[1], c[0]}
		}, "content"},
		{"empty text", func(m map[string]any) { m["content"].([]any)[0].(map[string]any)["value"] = "" }, "content.0.value"},
		{"an unknown field", func(m map[string]any) { m["colour"] = "blue" }, "colour"},
		{"a wrong type", func(m map[string]any) { m["subject"] = 7 }, "subject"},
		{"a reserved header", func(m map[string]any) { m["headers"] = map[string]any{"Subject": "x"} }, "headers"},
		{"custom args beyond their size", func(m map[string]any) { first(m)["custom_args"] = map[string]any{"x": strings.Repeat("y", 10_000)} }, "personalizations.0.custom_args"},
		{"a schedule too far away", func(m map[string]any) { m["send_at"] = time.Now().Add(80 * time.Hour).Unix() }, "send_at"},
		{"eleven categories", func(m map[string]any) { m["categories"] = strings.Split("a b c d e f g h i j k", " ") }, "categories"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var m map[string]any
			require.NoError(t, json.Unmarshal(mail.GetRequestBody(aMail()), &m))
			c.change(m)
			body, err := json.Marshal(m)
			require.NoError(t, err)
			res := b.mail(t, body)
			require.Equal(t, http.StatusBadRequest, res.status, "%s", res.body)
			errs := res.json(t)["errors"].([]any)
			require.Equal(t, c.field, errs[0].(map[string]any)["field"])
			require.NotEmpty(t, errs[0].(map[string]any)["message"])
		})
	}
	require.Equal(t, http.StatusBadRequest, b.mail(t, []byte("{")).status)
	require.Empty(t, b.messages(t, ""))
}

func first(m map[string]any) map[string]any { return m["personalizations"].([]any)[0].(map[string]any) }

func TestSendGridKnowsItsKeyAndItsPath(t *testing.T) {
	b := setup(t)
	path := "/sandbox/sendgrid/v3/mail/send"
	require.Equal(t, http.StatusUnauthorized, b.do(t, http.MethodPost, path, map[string]string{"Authorization": "Bearer SG.no"}, "{}").status)
	auth := "Bearer " + b.account.SendGridAPIKey
	require.Equal(t, http.StatusUnsupportedMediaType, b.do(t, http.MethodPost, path, map[string]string{"Authorization": auth}, "{}").status)
	require.Equal(t, http.StatusMethodNotAllowed, b.do(t, http.MethodGet, path, nil, "").status)
	require.Equal(t, http.StatusNotFound, b.do(t, http.MethodPost, "/sandbox/sendgrid/v3/scopes", nil, "").status)
}

func TestSandboxModeChecksAndSendsNothing(t *testing.T) {
	b := setup(t)
	m := aMail()
	on := true
	m.MailSettings = &mail.MailSettings{SandboxMode: &mail.Setting{Enable: &on}}
	require.Equal(t, http.StatusOK, b.mail(t, mail.GetRequestBody(m)).status)
	require.Empty(t, b.messages(t, ""))
}
