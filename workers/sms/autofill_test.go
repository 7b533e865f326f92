package sms_test

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/sms"
)

const (
	page = "example.com"
	app  = "FA+9qCX9VSu"
)

// sentOf is the text that a message came to, and what was logged.
func sentOf(t *testing.T, m delivery.Message) (body, logged string) {
	t.Helper()
	var log bytes.Buffer
	g := &gateway{}
	cfg := sms.Config{PublicURL: "https://id.example.com", Replies: true, Log: slog.New(slog.NewJSONHandler(&log, nil))}
	_, err := sms.New(cfg, g).Send(t.Context(), m)
	require.NoError(t, err)
	require.Len(t, g.sent, 1)
	return g.sent[0].Body.Reveal(), log.String()
}

func TestACodesLastLineIsForPhonesAndBrowsers(t *testing.T) {
	t.Parallel()
	for locale, human := range map[string]string{
		"":      "482913 is your Example Bank code. It expires in 5 minutes. Don't share it.",
		"de-AT": "482913 ist Ihr Code für Example Bank. Er läuft in 5 Minuten ab. Geben Sie ihn nicht weiter.",
		"es-MX": "482913 es su clave de Example Bank. Caduca en 5 minutos. No la comparta.",
		"fr-CA": "482913 est votre code Example Bank. Il expire dans 5 minutes. Ne le partagez pas.",
		"pt-PT": "482913 é o seu PIN para Example Bank. Expira em 5 minutos. Nunca o revele a outra pessoa.",
		"ja":    "482913 is your Example Bank code. It expires in 5 minutes. Don't share it.",
	} {
		m := message(events.Code)
		m.Locale = locale
		plain, _ := sentOf(t, m)
		require.Equal(t, human, plain, locale)
		for line, hint := range map[string]autofill.Hint{
			"\n@example.com #482913":             {Origin: page},
			"\nFA+9qCX9VSu":                      {AppHash: app},
			"\n@example.com #482913 FA+9qCX9VSu": {Origin: page, AppHash: app},
		} {
			m.Autofill = hint
			body, logged := sentOf(t, m)
			require.Equal(t, human+line, body, locale)
			require.LessOrEqual(t, len(body), autofill.MaxBytes, locale)
			require.Empty(t, logged)
		}
	}
}

func TestAClientsOwnWordingHasTheLastLineToo(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ACME: {{otp_code}}":      "ACME: B41832\n@example.com #B41832 FA+9qCX9VSu",
		"ACME:\n{{otp_code}}\n\n": "ACME:\nB41832\n@example.com #B41832 FA+9qCX9VSu",
		"Zugang – „{{otp_code}}“": "Zugang – „B41832“\n@example.com #B41832 FA+9qCX9VSu",
	} {
		m := message(events.Code)
		m.Text, m.Code, m.Autofill = delivery.Code(text), "B41832", autofill.Hint{Origin: page, AppHash: app}
		body, logged := sentOf(t, m)
		require.Equal(t, want, body)
		require.Empty(t, logged)
	}
}

func TestAnAppsHashWithoutRoomIsLeftOutAndLogged(t *testing.T) {
	t.Parallel()
	for _, origin := range []string{"", page} {
		m := message(events.Code)
		m.Text, m.Autofill = delivery.Code("{{otp_code}} "+strings.Repeat("wordy ", 25)), autofill.Hint{Origin: origin, AppHash: app}
		body, logged := sentOf(t, m)
		require.Equal(t, autofill.Hint{Origin: origin}.Under("482913 "+strings.Repeat("wordy ", 25), "482913"), body)
		require.Contains(t, logged, `"verification_id":"vrf_01"`)
		require.NotContains(t, logged, "482913")
		require.NotContains(t, logged, "wordy")
		require.NotContains(t, logged, "+1415")
	}
}

func TestOnlyCodesHaveALastLine(t *testing.T) {
	t.Parallel()
	for _, challenge := range []events.Challenge{events.Link, events.Approval} {
		m := message(challenge)
		want, _ := sentOf(t, m)
		m.Autofill = autofill.Hint{Origin: page, AppHash: app}
		got, _ := sentOf(t, m)
		require.Equal(t, want, got)
	}
}

func TestUnitsCountTheLastLine(t *testing.T) {
	t.Parallel()
	units := sms.Units(sms.Config{PublicURL: "https://id.example.com"})
	m := delivery.Message{
		Challenge: events.Code, Code: "482913", ExpiresAt: time.Now().Add(5 * time.Minute),
		Text: delivery.Code("{{otp_code}}" + strings.Repeat("wordy ", 25)),
	}
	require.Equal(t, 1, units(m))
	m.Autofill.Origin = page
	require.Equal(t, 2, units(m))
	m.Autofill = autofill.Hint{AppHash: app}
	require.Equal(t, 1, units(m), "the hash is left out")
}
