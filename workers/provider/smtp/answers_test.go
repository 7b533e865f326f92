package smtp_test

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/providertest"
)

func TestEveryAnswerIsClassified(t *testing.T) {
	t.Parallel()
	const (
		transient     = delivery.ClassTransient
		permanent     = delivery.ClassPermanent
		misconfigured = delivery.ClassMisconfigured
		unknown       = delivery.ClassUnknown
		undeliverable = events.ReasonUndeliverable
		refused       = events.ReasonMessageRefused
	)
	type row struct {
		step, say string
		class     delivery.Class
		reason    string
		detail    string
	}
	rows := []row{
		// Later: all of 4xx, greylisting and a full server too.
		{"MAIL", "421 4.3.2 shutting down", transient, "", "4.3.2"},
		{"MAIL", "451 4.7.1 greylisted", transient, "", "4.7.1"},
		{"MAIL", "452 4.3.1 no space", transient, "", "4.3.1"},
		{"RCPT", "450 4.2.1 busy", transient, "", "4.2.1"},
		{"RCPT", "450 4.7.1 greylisted, ana@example.org", transient, "", "4.7.1"},
		{"RCPT", "451 what", transient, "", "451"},
		{"RCPT", "452 4.2.2 full", transient, "", "4.2.2"},
		{".", "421 4.3.0 what", transient, "", "4.3.0"},
		{".", "451 4.7.0 throttled", transient, "", "4.7.0"},
		{".", "452 no space", transient, "", "452"},
		// The recipient's mailbox.
		{"RCPT", "550 5.1.1 unknown: ana@example.org", permanent, undeliverable, "5.1.1"},
		{"RCPT", "550 no such user here: ana@example.org", permanent, undeliverable, "550"},
		{"RCPT", "550 5.0.0 what", permanent, undeliverable, "5.0.0"},
		{"RCPT", "550 5.1.10 null MX", permanent, undeliverable, "5.1.10"},
		{"RCPT", "556 domain takes no mail", permanent, undeliverable, "556"},
		{"RCPT", "501 5.1.3 bad address", permanent, undeliverable, "5.1.3"},
		{"RCPT", "501 bad address", permanent, undeliverable, "501"},
		{"RCPT", "551 not local", permanent, undeliverable, "551"},
		{"RCPT", "553 5.1.2 no such domain", permanent, undeliverable, "5.1.2"},
		{"RCPT", "550 5.2.1 disabled", permanent, undeliverable, "5.2.1"},
		{"RCPT", "552 5.2.2 full", permanent, undeliverable, "5.2.2"},
		{"RCPT", "552 full", permanent, undeliverable, "552"},
		{"RCPT", "550 5.4.4 no route", permanent, undeliverable, "5.4.4"},
		{"RCPT", "553 5.6.7 no such characters", permanent, undeliverable, "5.6.7"},
		{"RCPT", "555 5.5.2 syntax", permanent, undeliverable, "5.5.2"},
		{"RCPT", "550 5.7.17 has another owner", permanent, undeliverable, "5.7.17"},
		{".", "550 5.1.1 unknown", permanent, undeliverable, "5.1.1"},
		{".", "552 5.2.2 full", permanent, undeliverable, "5.2.2"},
		// The mail itself.
		{"MAIL", "552 5.3.4 too large", permanent, refused, "5.3.4"},
		{"MAIL", "552 too large", permanent, refused, "552"},
		{"RCPT", "552 5.3.4 too large", permanent, refused, "5.3.4"},
		{"RCPT", "552 5.2.3 too large for this one", permanent, refused, "5.2.3"},
		{".", "552 too large", permanent, refused, "552"},
		{".", "552 5.3.4 too large", permanent, refused, "5.3.4"},
		{".", "554 5.6.0 bad content", permanent, refused, "5.6.0"},
		{".", "554 what", permanent, refused, "554"},
		{".", "550 5.0.0 content", permanent, refused, "5.0.0"},
		// The sender, which is the operator's to mend.
		{"MAIL", "550 5.1.8 sender's domain", misconfigured, "", "5.1.8"},
		{"MAIL", "550 sender", misconfigured, "", "550"},
		{"MAIL", "553 5.7.1 not your address", misconfigured, "", "5.7.1"},
		{"MAIL", "530 5.7.0 sign in", misconfigured, "", "5.7.0"},
		{"MAIL", "530 sign in", misconfigured, "", "530"},
		{"RCPT", "550 5.1.8 sender's domain", misconfigured, "", "5.1.8"},
		{"RCPT", "553 5.1.7 sender's mailbox", misconfigured, "", "5.1.7"},
		{"RCPT", "554 5.7.1 relaying denied", misconfigured, "", "5.7.1"},
		{"RCPT", "550 5.7.606 banned", misconfigured, "", "5.7.606"},
		{"RCPT", "554 listed", misconfigured, "", "554"},
		{"RCPT", "535 5.7.8 sign in", misconfigured, "", "5.7.8"},
		{"RCPT", "504 5.5.2 your name", misconfigured, "", "5.5.2"},
		{"RCPT", "503 sequence", misconfigured, "", "503"},
		{".", "550 5.7.26 unauthenticated", misconfigured, "", "5.7.26"},
		{".", "554 5.7.1 spam", misconfigured, "", "5.7.1"},
		{".", "503 5.5.1 sequence", misconfigured, "", "5.5.1"},
		// Codes that contradict themselves, and none.
		{"RCPT", "450 5.1.1 what", transient, "", "450"},
		{"RCPT", "550 4.7.1 what", permanent, undeliverable, "550"},
		{"RCPT", "550 5.1.1234 what", permanent, undeliverable, "550"},
		{"RCPT", "550 see ana@example.org\n5.7.1 policy", misconfigured, "", "5.7.1"},
		{".", "354 go on", unknown, "", "354"},
		{".", "299 what", unknown, "", "299"},
	}
	script := map[string]map[string]answer{}
	sender := func(i int) string { return fmt.Sprintf("row%d@example.com", i) }
	for i, r := range rows {
		script[sender(i)] = map[string]answer{r.step: {Say: r.say}}
	}
	srv := start(t, settings{TLS: "none", Script: script})
	for i, r := range rows {
		t.Run(r.step+" "+r.say, func(t *testing.T) {
			t.Parallel()
			g := gateway(t, srv.inClear())
			m := message()
			m.From.Address = sender(i)
			receipt, err := g.SendMail(t.Context(), m)
			require.Error(t, err)
			require.Equal(t, delivery.Receipt{}, receipt)
			require.Equal(t, r.class, delivery.ClassOf(err), "%v", err)
			require.Equal(t, r.reason, delivery.ReasonOf(err), "%v", err)
			require.Equal(t, r.detail, detail(err))
			providertest.LeaksNothing(t, err, ana, code, "what")

			m.From.Address = "fine@example.com"
			_, err = g.SendMail(t.Context(), m)
			require.NoError(t, err, "the next mail is sent, whatever the last one met")
		})
	}
}

func TestAServerThatWantsNothingOfUsIsTheOperatorsToMend(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		raw    map[string]answer
		class  delivery.Class
		detail string
	}{
		"a greeting with 554":     {map[string]answer{"": {Say: "554 5.7.1 no service for you"}}, delivery.ClassMisconfigured, "5.7.1"},
		"a greeting with 421":     {map[string]answer{"": {Say: "421 4.7.0 too many connections"}}, delivery.ClassTransient, "4.7.0"},
		"another protocol":        {map[string]answer{"": {Say: "* OK IMAP4rev1 OpenSSH"}}, delivery.ClassMisconfigured, ""},
		"a name it does not like": {map[string]answer{"EHLO": {Say: "550 5.7.1 your name"}, "HELO": {Say: "550 your name"}}, delivery.ClassMisconfigured, "5.7.1"},
		"nonsense after the dot":  {map[string]answer{".": {Say: "ana@example.org"}}, delivery.ClassUnknown, ""},
		"nonsense before it":      {map[string]answer{"RCPT": {Say: "ana@example.org"}}, delivery.ClassTransient, ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t, settings{Raw: c.raw})
			_, err := gateway(t, srv.inClear()).SendMail(t.Context(), message())
			require.Error(t, err)
			require.Equal(t, c.class, delivery.ClassOf(err), "%v", err)
			require.Equal(t, c.detail, detail(err))
			providertest.LeaksNothing(t, err, ana, code, "OpenSSH")
		})
	}
}

func TestAServerWithoutExtensionsTakesMailToo(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{Raw: map[string]answer{"EHLO": {Say: "502 what?"}, "HELO": {Say: "250 mail.example"}}})
	_, err := gateway(t, srv.inClear()).SendMail(t.Context(), message())
	require.NoError(t, err)
}

func TestAMailThatIsTooLargeForTheServerIsRefusedForGood(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{TLS: "none", MaxBytes: 200})
	_, err := gateway(t, srv.inClear()).SendMail(t.Context(), message())
	require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
	require.Equal(t, events.ReasonMessageRefused, delivery.ReasonOf(err))
	require.Equal(t, "5.3.4", detail(err))
}

func TestTheReceiptIsTheQueueIDWhereTheAnswerHasOne(t *testing.T) {
	t.Parallel()
	const own = "0190c5a1-3c4d-7e5f-8a6b-9c0d1e2f3a4b-1-2@example.com"
	rows := []struct{ say, id string }{
		{"250 2.0.0 Ok: queued as 4F1B2C3D4E", "4F1B2C3D4E"},
		{"250 2.0.0 Ok: queued as 4XyZ1k2Q0Rz9Fq", "4XyZ1k2Q0Rz9Fq"},
		{"250 OK id=1tXyz0-000000001Ab-2cDe", "1tXyz0-000000001Ab-2cDe"},
		{"250 2.0.0 58LCa1b2012345 Message accepted for delivery", "58LCa1b2012345"},
		{"250 2.0.0 1a2b3c4d Message accepted for delivery", "1a2b3c4d"},
		{"250 Ok 0100018f2a7c-5d1e-4b6a-9f3c-8e7d6c5b4a39-000000", "0100018f2a7c-5d1e-4b6a-9f3c-8e7d6c5b4a39-000000"},
		{"250 Ok: queued as fZ1-aBcDeFgHiJ_kLmNo", "fZ1-aBcDeFgHiJ_kLmNo"},
		{"250 2.0.0 OK: queued", own},
		{"250 2.6.0 <a@b> [InternalId=123, Hostname=x] Queued mail for delivery", own},
		{"250 Great success", own},
		{"250 2.0.0 Ok: queued as ana@example.org", own},
		{"250 2.0.0 Ok: queued as 482913", own},
		{"250 2.0.0 Ok: queued as is2026-ana", "is2026-ana"},
		{"250 2.0.0 Ok: queued as ../../etc/passwd1", own},
		{"250 2.0.0 Ok: queued as " + string(make([]byte, 80)), own},
		{"250 Ok example.org1", "example.org1"},
		{"250 Ok ref4c0de", own},
	}
	script := map[string]map[string]answer{}
	for i, r := range rows {
		script[fmt.Sprintf("row%d@example.com", i)] = map[string]answer{".": {Say: r.say}}
	}
	srv := start(t, settings{TLS: "none", Script: script})
	g := gateway(t, srv.inClear())
	for i, r := range rows {
		m := message()
		m.From.Address = fmt.Sprintf("row%d@example.com", i)
		m.Text += "\nref4c0de"
		receipt, err := g.SendMail(t.Context(), m)
		require.NoError(t, err)
		require.Equal(t, delivery.Receipt{ID: r.id}, receipt, r.say)
	}
}
