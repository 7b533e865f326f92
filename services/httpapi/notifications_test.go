package httpapi_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/verification"
)

const toOne = `{"to":"+1 (415) 555-0123","text":"Your parcel is on its way."}`

func (b *bench) notify(body string) api.Notification {
	b.t.Helper()
	a := b.post("/v1/notifications", body)
	require.Equal(b.t, http.StatusAccepted, a.StatusCode, "body: %s", a.body)
	var n api.Notification
	a.json(b.t, &n)
	require.Equal(b.t, "/v1/notifications/"+n.ID, a.Header.Get("Location"))
	return n
}

// equipped has templates, suppressions and placeholders.
func equipped(c *httpapi.Config) {
	c.Templates = letterheads{}
	c.Listed = stops{"sms:+14155550199": "stop", "push:token": "device_gone"}
}

func TestANotificationToOneIsQueued(t *testing.T) {
	t.Parallel()
	b := setup(t)
	n := b.notify(`{"to":"+1 (415) 555-0123","text":"Line one\nline two","brand":"Example Bank","metadata":{"order":"4711"},"lane":"transactional","locale":"pt-BR"}`)
	require.Equal(t, api.NotificationStateQueued, n.State)
	require.Equal(t, api.LaneTransactional, n.Lane)
	require.Equal(t, api.MessageChannelSMS, n.Channel)
	require.Equal(t, "+1••••••0123", n.To)
	require.Equal(t, 1, n.Accepted)
	require.Equal(t, 1, n.Counts.Queued)
	require.Empty(t, n.Refused)
	require.Equal(t, "4711", n.Metadata["order"])
	require.Equal(t, n.CreatedAt, n.SendAt)
	require.Equal(t, time.Hour, n.ExpiresAt.Sub(n.SendAt))
	r := b.notices.request(n.ID)
	require.Equal(t, shop, r.Notification.Credential)
	require.Equal(t, "+14155550123", r.Addressees[0].To)
	require.Equal(t, "pt-BR", r.Addressees[0].Locale)
	require.Equal(t, []notification.Body{{Text: "Line one\nline two"}}, r.Bodies)
	require.NotContains(t, b.log.String(), "5550123")
	require.NotContains(t, b.log.String(), "Line one")
	require.Contains(t, b.log.String(), `"notification_id":"`+n.ID)

	bulk := b.notify(toOne)
	require.Equal(t, api.LaneBulk, bulk.Lane)
	require.Equal(t, 24*time.Hour, bulk.ExpiresAt.Sub(bulk.SendAt))
	require.NoError(t, testutil.GatherAndCompare(b.metrics, strings.NewReader(`
# HELP assent_notifications_accepted_total Messages of notifications that were queued.
# TYPE assent_notifications_accepted_total counter
assent_notifications_accepted_total{channel="sms",lane="bulk"} 1
assent_notifications_accepted_total{channel="sms",lane="transactional"} 1
`), "assent_notifications_accepted_total"))
}

func TestANotificationTakesItsRoadFromTheRecipient(t *testing.T) {
	t.Parallel()
	b := setup(t)
	u := b.register(`{"preferred_channel":"email"}`)
	require.Equal(t, api.MessageChannelEmail, u.PreferredChannel)
	var phone, mailbox api.Device
	b.post("/v1/users/"+u.ID+"/devices", `{"kind":"phone","address":"+14155550123"}`).json(t, &phone)
	b.clock.pass(time.Minute)
	b.post("/v1/users/"+u.ID+"/devices", `{"kind":"mailbox","address":"ana@example.com"}`).json(t, &mailbox)
	plain := b.register(`{}`)
	b.post("/v1/users/"+plain.ID+"/devices", `{"kind":"phone","address":"+14155550124"}`)
	for body, want := range map[string]struct{ channel, to string }{
		`{"to":"+14155550123","text":"x"}`:                           {"sms", "+14155550123"},
		`{"to":"+14155550123","channel":"voice","text":"x"}`:         {"voice", "+14155550123"},
		`{"to":"Ana@EXAMPLE.com","text":"x"}`:                        {"email", "Ana@example.com"},
		`{"device_id":"` + phone.ID + `","text":"x"}`:                {"sms", "+14155550123"},
		`{"device_id":"` + mailbox.ID + `","text":"x"}`:              {"email", "ana@example.com"},
		`{"user_id":"` + u.ID + `","text":"x"}`:                      {"email", "ana@example.com"},
		`{"user_id":"` + u.ID + `","channel":"voice","text":"x"}`:    {"voice", "+14155550123"},
		`{"user_id":"` + plain.ID + `","text":"x","brand":"Parcel"}`: {"sms", "+14155550124"},
	} {
		r := b.notices.request(b.notify(body).ID)
		require.Equal(t, want.channel, r.Addressees[0].Channel, body)
		require.Equal(t, want.to, r.Addressees[0].To, body)
	}
	require.Equal(t, "Notification", b.notices.request(b.notify(`{"to":"ana@example.com","text":"x"}`).ID).Bodies[0].Subject)
	require.Equal(t, "Parcel", b.notices.request(b.notify(`{"to":"ana@example.com","text":"x","brand":"Parcel"}`).ID).Bodies[0].Subject)
}

func TestBadNotificationsAreRefusedByTheirFields(t *testing.T) {
	t.Parallel()
	const to = `"to":"+14155550123"`
	type fault struct{ body, pointer, detail string }
	for name, c := range map[string]fault{
		"nobody":                     {`{"text":"x"}`, "#/to", "required"},
		"two ways":                   {`{` + to + `,"user_id":"x","text":"x"}`, "#/user_id", "only one"},
		"a bad number":               {`{"to":"+1415","text":"x"}`, "#/to", "too short"},
		"push to an address":         {`{` + to + `,"channel":"push","text":"x"}`, "#/device_id", "required"},
		"an unknown channel":         {`{` + to + `,"channel":"fax","text":"x"}`, "#/channel", "must be sms, voice, email or push"},
		"totp":                       {`{` + to + `,"channel":"totp","text":"x"}`, "#/channel", "must be sms"},
		"a mailbox for sms":          {`{"to":"a@example.com","channel":"sms","text":"x"}`, "#/to", "must be a phone number"},
		"an unknown device":          {`{"device_id":"*","text":"x"}`, "#/device_id", "not a registered"},
		"an unknown user":            {`{"user_id":"019aa5bf-11aa-7b6e-9d3c-2e4f60718293","text":"x"}`, "#/user_id", "not a registered"},
		"no text":                    {`{` + to + `}`, "#/text", "required"},
		"an empty text":              {`{` + to + `,"text":""}`, "#/text", "must not be empty"},
		"a blank text":               {`{` + to + `,"text":" \n "}`, "#/text", "blank"},
		"text and template":          {`{` + to + `,"text":"x","template":"parcel"}`, "#/template", "together"},
		"a control character":        {`{` + to + `,"text":"x\u0007"}`, "#/text", "control"},
		"text that turns round":      {`{` + to + `,"text":"x\u202e"}`, "#/text", "direction"},
		"a line break in a subject":  {`{"to":"a@example.com","text":"x","subject":"x\r\nBcc: b@example.com"}`, "#/subject", "line breaks"},
		"a line break in a title":    {`{` + to + `,"text":"x","title":"x\n"}`, "#/title", "line breaks"},
		"a line break in a brand":    {`{` + to + `,"text":"x","brand":"x\n"}`, "#/brand", "line breaks"},
		"a placeholder in a brand":   {`{` + to + `,"text":"x","brand":"{{name}}"}`, "#/brand", "{{"},
		"a subject for sms":          {`{` + to + `,"text":"x","subject":"x"}`, "#/subject", "email only"},
		"html for sms":               {`{` + to + `,"text":"x","html":"x"}`, "#/html", "email only"},
		"a title for mail":           {`{"to":"a@example.com","text":"x","title":"x"}`, "#/title", "push only"},
		"a text too long for sms":    {`{` + to + `,"text":"` + strings.Repeat("x", 1601) + `"}`, "#/text", "10 that sms carries"},
		"too many segments":          {`{` + to + `,"text":"` + strings.Repeat("ы", 671) + `"}`, "#/text", "11 parts"},
		"a text too long for voice":  {`{` + to + `,"channel":"voice","text":"` + strings.Repeat("x", 1001) + `"}`, "#/text", "1000 that voice carries"},
		"a mail too long":            {`{"to":"a@example.com","text":"` + strings.Repeat("x", 102401) + `"}`, "#/text", "102400 bytes"},
		"html too long":              {`{"to":"a@example.com","text":"x","html":"` + strings.Repeat("é", 51201) + `"}`, "#/html", "102400 bytes"},
		"a long subject":             {`{"to":"a@example.com","text":"x","subject":"` + strings.Repeat("x", 256) + `"}`, "#/subject", "255 characters"},
		"a strange lane":             {`{` + to + `,"text":"x","lane":"verification"}`, "#/lane", "bulk or transactional"},
		"no time":                    {`{` + to + `,"text":"x","send_at":"tomorrow at eight o'clock"}`, "#/send_at", "must be a time"},
		"a time that is past":        {`{` + to + `,"text":"x","send_at":"2026-11-21T10:00:00Z"}`, "#/send_at", "past"},
		"a time far ahead":           {`{` + to + `,"text":"x","send_at":"2026-12-22T10:00:00Z"}`, "#/send_at", "30 days"},
		"a short life":               {`{` + to + `,"text":"x","expires_in":59}`, "#/expires_in", "60 to 604800"},
		"a long life":                {`{` + to + `,"text":"x","expires_in":604801}`, "#/expires_in", "60 to 604800"},
		"a bad placeholder":          {`{` + to + `,"text":"{{ .Env }}"}`, "#/text", "variable's name only"},
		"a variable that is missing": {`{` + to + `,"text":"{{name}}"}`, "#/variables/name", "is missing"},
		"a variable too long":        {`{` + to + `,"text":"` + strings.Repeat("x", 1600) + `{{name}}","variables":{"name":"Ana"}}`, "#/variables", "10 that sms carries"},
		"a list as a variable":       {`{` + to + `,"text":"{{name}}","variables":{"name":["Ana"]}}`, "#/variables/name", "must be a string"},
		"a truth as a variable":      {`{` + to + `,"text":"{{x}}","variables":{"x":true}}`, "#/variables/x", "must be a string"},
		"a number beyond all":        {`{` + to + `,"text":"{{n}}","variables":{"n":1e999}}`, "#/variables/n", "308 digits"},
		"one in a list":              {`{` + to + `,"text":"x","variables":{"n":[1,[-1e999]]}}`, "#/variables/n", "308 digits"},
		"a control character in one": {`{` + to + `,"text":"{{name}}","variables":{"name":"A\u0000"}}`, "#/variables/name", "control"},
		"an unknown template":        {`{` + to + `,"template":"none"}`, "#/template", "not a template"},
		"an unknown version":         {`{` + to + `,"template":"parcel","template_version":3,"variables":{"name":"Ana"}}`, "#/template_version", "not a version"},
		"a version of nothing":       {`{` + to + `,"text":"x","template_version":1}`, "#/template_version", "needs a template"},
		"a template's variable":      {`{` + to + `,"template":"parcel"}`, "#/variables/name", "is missing"},
		"a template without voice":   {`{` + to + `,"channel":"voice","template":"parcel","variables":{"name":"Ana"}}`, "#/to", "no text for voice"},
		"an unknown field":           {`{` + to + `,"text":"x","when":"now"}`, "#/when", "not a field"},
		"recipients and to":          {`{` + to + `,"text":"x","recipients":[{` + to + `}]}`, "#/to", "together"},
		"no recipients":              {`{"text":"x","recipients":[]}`, "#/recipients", "at least one"},
		"too many recipients":        {`{"text":"x","recipients":[` + strings.Repeat(`{`+to+`},`, 1000) + `{` + to + `}]}`, "#/recipients", "at most 1000"},
		"a batch of bad ones":        {`{"text":"x","recipients":[{"to":"x"},{}]}`, "#/recipients/1/to", "required"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, equipped)
			p := b.post("/v1/notifications", c.body).problem(t)
			require.Equal(t, http.StatusUnprocessableEntity, p.Status)
			require.Equal(t, api.ProblemCodeInvalidRequest, p.Code)
			found := false
			for _, f := range p.Errors {
				found = found || f.Pointer == c.pointer && strings.Contains(f.Detail, c.detail)
			}
			require.True(t, found, "%+v", p.Errors)
			require.Zero(t, b.notices.created)
		})
	}
}

func TestGoodRecipientsOfABatchAreSent(t *testing.T) {
	t.Parallel()
	b := setup(t, equipped)
	body := `{"template":"parcel","locale":"en","variables":{"name":"you"},"recipients":[
		{"to":"+14155550123","variables":{"name":"Ana"}},
		{"to":"+1415"},
		{"to":"+14155550199"},
		{"to":"bo@example.com","locale":"de"},
		{"to":"+14155550124","colour":"red"},
		{"to":"+14155550125","variables":{"name":7}},
		{"to":"","variables":{}},
		{"to":17},
		{"to":"+14155550126","locale":"?"},
		{"to":"+14155550127","channel":"voice"},
		{"to":"+14155550128","template":"none"}]}`
	a := b.do(call{method: http.MethodPost, path: "/v1/notifications", body: body, header: map[string]string{"Idempotency-Key": "k1"}})
	require.Equal(t, http.StatusAccepted, a.StatusCode, "%s", a.body)
	var n api.Notification
	a.json(t, &n)
	require.Equal(t, 2, n.Accepted)
	require.Equal(t, 2, n.Counts.Queued)
	require.Equal(t, 2, n.TemplateVersion)
	refused := map[int]string{}
	for _, x := range n.Refused {
		refused[x.Index] = x.Code + " " + x.Pointer
		require.NotEmpty(t, x.Detail)
	}
	require.Equal(t, map[int]string{
		1: "invalid_recipient #/recipients/1/to", 2: "suppressed #/recipients/2/to",
		4: "invalid_recipient #/recipients/4/colour", 5: "invalid_recipient #/recipients/5/variables/name",
		6: "invalid_recipient #/recipients/6/to", 7: "invalid_recipient #/recipients/7/to", 8: "invalid_recipient #/recipients/8/locale",
		9: "invalid_recipient #/recipients/9/to", 10: "invalid_recipient #/recipients/10/template",
	}, refused)
	r := b.notices.request(n.ID)
	require.Equal(t, []notification.Body{{Text: "en {{name}}"}, {Subject: "Parcel", Text: "de {{name}}"}}, r.Bodies)
	require.Equal(t, []int{0, 3}, []int{r.Addressees[0].Index, r.Addressees[1].Index})
	require.Equal(t, "Ana", r.Addressees[0].Variables["name"])
	require.Equal(t, "you", r.Addressees[1].Variables["name"])

	// The clock moves on and the list of suppressions changes: a repetition is answered as the first.
	b.clock.pass(time.Hour)
	again := b.do(call{method: http.MethodPost, path: "/v1/notifications", body: body, header: map[string]string{"Idempotency-Key": "k1"}})
	require.Equal(t, http.StatusAccepted, again.StatusCode)
	require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
	require.Equal(t, string(a.body), string(again.body))
	require.Equal(t, 1, b.notices.created)
	other := b.do(call{method: http.MethodPost, path: "/v1/notifications", body: toOne, header: map[string]string{"Idempotency-Key": "k1"}})
	require.Equal(t, api.ProblemCodeIdempotencyMismatch, other.problem(t).Code)
}

func TestABatchWithManyBadRecipientsNamesEach(t *testing.T) {
	t.Parallel()
	b := setup(t)
	var list []string
	for i := range 1000 {
		if i == 500 {
			list = append(list, `{"to":"+14155550123"}`)
			continue
		}
		list = append(list, `{"to":"","device_id":""}`)
	}
	n := b.notify(`{"text":"x","recipients":[` + strings.Join(list, ",") + `]}`)
	require.Equal(t, 1, n.Accepted)
	require.Len(t, n.Refused, 999)
}

// TestTooManyFieldsHideNothing: of one recipient they are their own fault, and what stands behind them is still
// read and checked.
func TestTooManyFieldsHideNothing(t *testing.T) {
	t.Parallel()
	names := make([]string, 257)
	for i := range names {
		names[i] = fmt.Sprintf(`"v%d":"x"`, i)
	}
	many := strings.Join(names, ",")
	const good = `{"to":"+14155550124"}`
	for name, first := range map[string]string{
		"of variables": `{"to":"+14155550123","variables":{` + many + `}}`, "of the recipient": `{"to":"+14155550123",` + many + `}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			begin := `{"text":"x","recipients":[` + first + `,`
			for body, pointer := range map[string]string{
				begin + good + `],"send_at":5}`:         "#/send_at",
				begin + good + `],"lane":5}`:            "#/lane",
				begin + good + `],"expires_in":"60"}`:   "#/expires_in",
				begin + good + `],"chanel":"voice"}`:    "#/chanel",
				begin + good + `],"locale":"?"}`:        "#/locale",
				begin + good + `],"brand":{"a":[1,2]}}`: "#/brand",
			} {
				p := b.post("/v1/notifications", body).problem(t)
				require.Equal(t, api.ProblemCodeInvalidRequest, p.Code, body)
				require.Contains(t, pointers(p), pointer)
			}
			p := b.post("/v1/notifications", begin+good+`],"lane":"bulk","lane":"bulk"}`).problem(t)
			require.Equal(t, api.ProblemCodeMalformedJSON, p.Code)
			require.Zero(t, b.notices.created)

			n := b.notify(begin + `{"to":"+14155550125","chanel":"voice"},` + good + `]}`)
			require.Equal(t, 1, n.Accepted)
			require.Equal(t, []int{0, 1}, []int{n.Refused[0].Index, n.Refused[1].Index})
			require.Equal(t, "#/recipients/1/chanel", n.Refused[1].Pointer)
			require.Equal(t, "+14155550124", b.notices.request(n.ID).Addressees[0].To)
		})
	}
}

func TestANumberIsWrittenAsTheLocaleDoes(t *testing.T) {
	t.Parallel()
	b := setup(t)
	for body, want := range map[string]string{
		`{"to":"+14155550123","text":"{{n}}","variables":{"n":4711}}`:               "4,711",
		`{"to":"+14155550123","text":"{{n}}","locale":"de","variables":{"n":4711}}`: "4.711",
		`{"to":"+14155550123","text":"{{n}}","variables":{"n":"4711"}}`:             "4711",
	} {
		require.Equal(t, want, b.notices.request(b.notify(body).ID).Addressees[0].Variables["n"], body)
	}
}

// TestABadRecipientDoesNotChangeWhatTheTextsAreFor: a subject is for the mail that one of them was meant to get.
func TestABadRecipientDoesNotChangeWhatTheTextsAreFor(t *testing.T) {
	t.Parallel()
	b := setup(t, equipped)
	for name, c := range map[string]string{
		"a bad mailbox":           `"subject":"Parcel","recipients":[{"to":"+14155550123"},{"to":"ana@"}]`,
		"a bad mailbox, named so": `"html":"<p>Hi</p>","recipients":[{"to":"+14155550123"},{"to":"ana","channel":"email"}]`,
		"variables of the mail":   `"html":"<p>Hi</p>","recipients":[{"to":"+14155550123"},{"to":"ana@example.com","variables":{"x":{"a":1e999}}}]`,
		"an unknown user":         `"title":"Parcel","recipients":[{"to":"+14155550123"},{"user_id":"019aa5bf-11aa-7b6e-9d3c-2e4f60718293"}]`,
		"an unknown device":       `"title":"Parcel","recipients":[{"to":"+14155550123"},{"device_id":"*"}]`,
		"nobody":                  `"subject":"Parcel","recipients":[{"to":"+14155550123"},{}]`,
		"no address":              `"subject":"Parcel","recipients":[{"to":"+14155550123"},{"to":17}]`,
		"a channel that is none":  `"subject":"Parcel","recipients":[{"to":"+14155550123"},{"to":"a@example.com","channel":"fax"}]`,
	} {
		n := b.notify(`{"text":"Hi",` + c + `}`)
		require.Equal(t, 1, n.Accepted, name)
		require.Len(t, n.Refused, 1, name)
		require.Equal(t, 1, n.Refused[0].Index, name)
	}
	for _, body := range []string{
		`{"text":"Hi","subject":"Parcel","recipients":[{"to":"+14155550123"},{"to":"+1415"}]}`,
		`{"text":"Hi","title":"Parcel","recipients":[{"to":"+14155550123"},{"to":"ana@"}]}`,
	} {
		p := b.post("/v1/notifications", body).problem(t)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status, "of nobody: %s", body)
	}
}

func pointers(p api.Problem) (list []string) {
	for _, f := range p.Errors {
		list = append(list, f.Pointer)
	}
	return list
}

func TestASuppressedAddressGetsNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, equipped)
	p := b.post("/v1/notifications", `{"to":"+14155550199","text":"x"}`).problem(t)
	require.Equal(t, http.StatusUnprocessableEntity, p.Status)
	require.Equal(t, api.ProblemCodeSuppressed, p.Code)
	require.Equal(t, "#/to", p.Errors[0].Pointer)
	require.Contains(t, p.Errors[0].Detail, "stop")
	b = setup(t, equipped, func(c *httpapi.Config) { c.Listed = stops{"sms:+14155550123": "broken"} })
	p = b.post("/v1/notifications", toOne).problem(t)
	require.Equal(t, api.ProblemCodeUnavailable, p.Code, "who cannot be looked up is not sent")
	require.NotContains(t, b.log.String(), "4155550123")
}

func TestANotificationForLaterIsScheduled(t *testing.T) {
	t.Parallel()
	b := setup(t)
	n := b.notify(`{"to":"+14155550123","text":"x","send_at":"2026-11-22T09:00:00+01:00","expires_in":600}`)
	require.Equal(t, api.NotificationStateScheduled, n.State)
	require.Equal(t, "2026-11-22T08:00:00Z", n.SendAt.Format(time.RFC3339))
	require.Equal(t, "2026-11-22T08:10:00Z", n.ExpiresAt.Format(time.RFC3339))
	now := b.notify(`{"to":"+14155550123","text":"x","send_at":"2026-11-21T10:04:00Z"}`)
	require.Equal(t, now.CreatedAt, now.SendAt, "clocks differ by a little")
}

func TestMessagesOfABatchAreRead(t *testing.T) {
	t.Parallel()
	b := setup(t)
	n := b.notify(`{"text":"x","recipients":[{"to":"+14155550123"},{"to":"+14155550124"},{"to":"+14155550125"}]}`)
	path := "/v1/notifications/" + n.ID
	b.notices.log(n.ID, notification.Entry{Begun: []notification.Begun{{Place: 1, Attempt: 1, Provider: "twilio"}}, Until: n.ExpiresAt, At: n.CreatedAt})
	b.notices.log(n.ID, notification.Entry{Waiting: "provider_paused", Provider: "twilio", At: n.CreatedAt})
	b.get(path).json(t, &n)
	require.Equal(t, api.NotificationStateSending, n.State)
	require.Equal(t, &api.Waiting{Reason: "provider_paused", Provider: "twilio"}, n.Waiting)
	require.Equal(t, 1, n.Counts.Sending)

	var page api.MessageList
	b.get(path+"/messages?limit=2").json(t, &page)
	require.Len(t, page.Data, 2)
	require.Equal(t, api.MessageStateSending, page.Data[1].State)
	second := page.Data[1].ID
	next := *page.Next
	page = api.MessageList{}
	b.get(path+"/messages?limit=2&after="+next).json(t, &page)
	require.Len(t, page.Data, 1)
	require.Nil(t, page.Next)
	b.get(path+"/messages?state=sending").json(t, &page)
	require.Equal(t, second, page.Data[0].ID)
	require.Equal(t, "#state", "#"+b.get(path + "/messages?state=lost").problem(t).Errors[0].Parameter)
	require.Equal(t, api.ProblemCodeInvalidCursor, b.get(path+"/messages?after=OS0x").problem(t).Code)

	var m api.Message
	b.get("/v1/notifications/"+second).json(t, &m)
	require.Equal(t, n.ID, m.NotificationID)
	require.Equal(t, 1, m.Index)
	var list api.DeliveryList
	b.get("/v1/notifications/"+second+"/deliveries").json(t, &list)
	require.Len(t, list.Data, 2, "that it was sent is told once, and that it is called no more")
	require.Equal(t, http.StatusNotFound, b.get(path+"/deliveries").problem(t).Status)
	require.Equal(t, http.StatusNotFound, b.get("/v1/notifications/"+second+"/messages").problem(t).Status)

	for _, p := range []string{path, path + "/messages", path + "/deliveries", "/v1/notifications/" + second, "/v1/notifications/" + second + "/deliveries"} {
		require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodGet, path: p, client: other}).problem(t).Status, p)
	}
	for _, id := range []string{"*", "x", n.ID + "-0-9", n.ID + "-1-0", n.ID + "-0-01", strings.Repeat("*", 36) + "-0-0"} {
		require.Equal(t, http.StatusNotFound, b.get("/v1/notifications/"+id).problem(t).Status, id)
		require.Equal(t, http.StatusNotFound, b.post("/v1/notifications/"+id+"/cancel", "").problem(t).Status, id)
	}
}

func TestWhatWasNotSentIsWithdrawn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	n := b.notify(`{"text":"x","recipients":[{"to":"+14155550123"},{"to":"+14155550124"},{"to":"+14155550125"}]}`)
	path := "/v1/notifications/" + n.ID
	require.Equal(t, http.StatusNotFound, b.do(call{method: http.MethodPost, path: path + "/cancel", client: other}).problem(t).Status)
	var m api.Message
	b.post(path+"-0-1/cancel", "").json(t, &m)
	require.Equal(t, api.MessageStateCanceled, m.State)
	p := b.post(path+"-0-1/cancel", "").problem(t)
	require.Equal(t, api.ProblemCodeNotificationClosed, p.Code)
	require.Equal(t, http.StatusConflict, p.Status)
	require.Contains(t, p.Detail, "canceled")
	b.post(path+"/cancel", "").json(t, &n)
	require.Equal(t, api.NotificationStateCanceled, n.State)
	require.Equal(t, 3, n.Counts.Canceled)
	require.Equal(t, api.ProblemCodeNotificationClosed, b.post(path+"/cancel", "").problem(t).Code)
}

func TestNotificationsAreTakenUpTo2MiB(t *testing.T) {
	t.Parallel()
	b := setup(t)
	large := b.post("/v1/notifications", `{"to":"a@example.com","text":"x","html":"<p>`+strings.Repeat("x", 90<<10)+`</p>"}`)
	require.Equal(t, http.StatusAccepted, large.StatusCode)
	p := b.post("/v1/notifications", `{"to":"a@example.com","text":"`+strings.Repeat("x", 2<<20)+`"}`).problem(t)
	require.Equal(t, api.ProblemCodeBodyTooLarge, p.Code)
	require.Contains(t, p.Detail, "2 MiB")
	require.Contains(t, b.post("/v1/verifications", `{"to":"`+strings.Repeat("x", 64<<10)+`"}`).problem(t).Detail, "64 KiB")
}

func TestNotificationsThatCannotBeStored(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		err    error
		status int
		code   api.ProblemCode
	}{
		"away":      {fmt.Errorf("publish: %w", verification.ErrUnavailable), 503, api.ProblemCodeUnavailable},
		"too slow":  {context.DeadlineExceeded, 503, api.ProblemCodeUnavailable},
		"too large": {notification.ErrTooLarge, 422, api.ProblemCodeInvalidRequest},
		"busy":      {verification.ErrIdempotencyInProgress, 409, api.ProblemCodeIdempotencyInProgress},
		"broken":    {errors.New("secret detail"), 500, api.ProblemCodeInternal},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			b.notices.err = c.err
			p := b.post("/v1/notifications", toOne).problem(t)
			require.Equal(t, c.status, p.Status)
			require.Equal(t, c.code, p.Code)
			require.NotContains(t, p.Detail, "secret")
		})
	}
	b := setup(t, equipped, func(c *httpapi.Config) { c.Templates = letterheads{err: verification.ErrUnavailable} })
	require.Equal(t, 503, b.post("/v1/notifications", `{"to":"+14155550123","template":"parcel"}`).problem(t).Status)
}
