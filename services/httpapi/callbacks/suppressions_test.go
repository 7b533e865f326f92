package callbacks_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/httpapi/callbacks"
	"github.com/assent-io/assent/services/suppression"
)

// entries stands in for the list.
type entries struct {
	added   []suppression.Entry
	resumed []string
	err     error
}

func (l *entries) Suppress(_ context.Context, e suppression.Entry) error {
	if l.err == nil {
		l.added = append(l.added, e)
	}
	return l.err
}

func (l *entries) Resume(_ context.Context, channel suppression.Channel, to string) (bool, error) {
	l.resumed = append(l.resumed, string(channel)+" "+to)
	return true, l.err
}

func withEntries(t *testing.T) (*bench, *entries, *bytes.Buffer) {
	t.Helper()
	l, log := &entries{}, &bytes.Buffer{}
	return setup(t, func(c *callbacks.Config) { c.Suppressions, c.Log = l, slog.New(slog.NewJSONHandler(log, nil)) }), l, log
}

func TestRepliesThatAskForNoMoreMessages(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body, optOut                string
		stops, starts, answers, bad bool
	}{
		"STOP":                               {body: "Stop.", stops: true},
		"another language":                   {body: "ARRÊT", stops: true},
		"Twilio's word counts":               {body: "leave me alone", optOut: "STOP", stops: true},
		"START":                              {body: "start", starts: true},
		"YES is an answer":                   {body: "YES", answers: true},
		"NO is an answer":                    {body: "NO", answers: true},
		"YES that Twilio takes for START":    {body: "YES", optOut: "START", starts: true, answers: true},
		"a word that Twilio takes for START": {body: "weiter", optOut: "START", starts: true},
		"HELP changes nothing":               {body: "STOP", optOut: "HELP"},
		"a sentence changes nothing":         {body: "please stop", bad: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, l, log := withEntries(t)
			form := url.Values{"MessageSid": {"SM7"}, "From": {ana}, "To": {"+15005550006"}, "Body": {c.body}}
			if c.optOut != "" {
				form.Set("OptOutType", c.optOut)
			}
			w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/inbound", form))
			require.Equal(t, http.StatusOK, w.Code)
			require.Contains(t, w.Body.String(), "<Response/>")
			if c.stops {
				require.Equal(t, []suppression.Entry{{
					Channel: suppression.SMS, To: ana, Covers: suppression.All, Cause: suppression.Stop, Provider: "twilio", At: now,
				}}, l.added)
			} else {
				require.Empty(t, l.added)
			}
			if c.starts {
				require.Equal(t, []string{"sms " + ana}, l.resumed)
			} else {
				require.Empty(t, l.resumed)
			}
			require.Equal(t, c.answers, len(b.records.answered) == 1)
			require.NotContains(t, log.String(), ana[3:])
		})
	}
}

func TestAStopThatCannotBeStoredIsAskedForAgain(t *testing.T) {
	t.Parallel()
	b, l, log := withEntries(t)
	l.err = errors.New("broker away")
	w := b.do(twilioRequest(t, authToken, "/callbacks/twilio/inbound", url.Values{"MessageSid": {"SM7"}, "From": {ana}, "Body": {"STOP"}}))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.NotContains(t, log.String(), ana[3:])
}

func TestAForgedStopChangesNothing(t *testing.T) {
	t.Parallel()
	b, l, _ := withEntries(t)
	w := b.do(twilioRequest(t, "another token", "/callbacks/twilio/inbound", url.Values{"MessageSid": {"SM7"}, "From": {ana}, "Body": {"STOP"}}))
	require.Equal(t, http.StatusForbidden, w.Code)
	require.Empty(t, l.added)
}

func TestANumberThatTwilioBlocksIsNoted(t *testing.T) {
	t.Parallel()
	for code, noted := range map[string]int{"21610": 1, "30003": 0} {
		b, l, _ := withEntries(t)
		form := url.Values{"MessageSid": {"SM7"}, "To": {ana}, "MessageStatus": {"undelivered"}, "ErrorCode": {code}}
		require.Equal(t, http.StatusNoContent, b.do(twilioRequest(t, authToken, "/callbacks/twilio/sms/"+unknownID+"/0/1/1", form)).Code)
		require.Len(t, l.added, noted)
	}
}

func TestWhatMailEventsSayOfTheirMailbox(t *testing.T) {
	t.Parallel()
	all, notifications := suppression.All, suppression.Notifications
	for name, c := range map[string]struct {
		fields  string
		cause   suppression.Cause
		covers  suppression.Covers
		detail  string
		resumes bool
	}{
		"no such mailbox":          {`"event":"bounce","type":"bounce","status":"5.1.1"`, suppression.Bounce, all, "5.1.1", false},
		"blocked":                  {`"event":"bounce","type":"blocked","status":"5.1.1"`, "", "", "", false},
		"a full mailbox":           {`"event":"bounce","type":"bounce","status":"5.2.2"`, "", "", "", false},
		"a bounce without a code":  {`"event":"bounce","type":"bounce"`, "", "", "", false},
		"deferred":                 {`"event":"deferred"`, "", "", "", false},
		"spam":                     {`"event":"spamreport"`, suppression.SpamReport, all, "spamreport", false},
		"unsubscribed":             {`"event":"unsubscribe"`, suppression.Stop, notifications, "unsubscribe", false},
		"unsubscribed from some":   {`"event":"group_unsubscribe"`, suppression.Stop, notifications, "group_unsubscribe", false},
		"subscribed again":         {`"event":"group_resubscribe"`, "", "", "", true},
		"dropped as bounced":       {`"event":"dropped","reason":"Bounced Address"`, suppression.Bounce, all, "bounced_address", false},
		"dropped as unsubscribed":  {`"event":"dropped","reason":"Unsubscribed Address"`, suppression.Stop, all, "unsubscribed_address", false},
		"dropped after spam":       {`"event":"dropped","reason":"Spam Reporting Address"`, suppression.SpamReport, all, "spam_reporting_address", false},
		"dropped for our own sake": {`"event":"dropped","reason":"Recipient List over Package Quota"`, "", "", "", false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b, l, log := withEntries(t)
			for _, id := range []string{unknownID, unknownID + "-0-12", "", "somebody-elses"} { // of ours, long forgotten, and not ours
				body := `[{"sg_event_id":"ev1","verification_id":"` + id + `","email":"Ana@Example.COM",` + c.fields + `}]`
				require.Equal(t, http.StatusNoContent, b.do(b.sendGridRequest(now, body)).Code)
			}
			if c.resumes {
				require.Equal(t, []string{"email Ana@example.com", "email Ana@example.com"}, l.resumed)
			}
			if c.cause == "" {
				require.Empty(t, l.added)
				return
			}
			want := suppression.Entry{
				Channel: suppression.Email, To: "Ana@example.com", Covers: c.covers, Cause: c.cause, Provider: "sendgrid", Detail: c.detail, At: now,
			}
			require.Equal(t, []suppression.Entry{want, want}, l.added)
			require.NotContains(t, log.String(), "Ana@")
		})
	}
}
