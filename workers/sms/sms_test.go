package sms_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/gsm7"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/sms"
)

// gateway keeps what it was given.
type gateway struct {
	sent []delivery.SMS
	err  error
}

func (g *gateway) SendSMS(_ context.Context, m delivery.SMS) (delivery.Receipt, error) {
	g.sent = append(g.sent, m)
	if g.err != nil {
		return delivery.Receipt{}, g.err
	}
	return delivery.Receipt{ID: "SM1"}, nil
}

func message(challenge events.Challenge) delivery.Message {
	m := delivery.Message{
		ID: "vrf_01", Channel: events.SMS, Challenge: challenge, Send: 2, Attempt: 1,
		To: "+14155550100", Brand: "Example Bank",
		Context:   events.Context{Action: "Sign in", Place: "Lyon, France", IP: "203.0.113.7"},
		ExpiresAt: time.Now().Add(5 * time.Minute),
	}
	switch challenge {
	case events.Code:
		m.Code = "482913"
	case events.Link:
		m.LinkToken = "q3Jk-7_ZtW0"
	case events.Approval:
	}
	return m
}

func TestEachChallengeIsRendered(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		challenge events.Challenge
		body      string
	}{
		{events.Code, "482913 is your Example Bank code. It expires in 5 minutes. Don't share it."},
		{
			events.Link,
			"Example Bank: is this you? Sign in - Lyon, France (203.0.113.7). Answer within 5 minutes: https://id.example.com/l/q3Jk-7_ZtW0",
		},
		{
			events.Approval,
			"Example Bank: is this you? Sign in - Lyon, France (203.0.113.7). Reply YES to approve, NO to refuse. Expires in 5 minutes.",
		},
	} {
		t.Run(string(c.challenge), func(t *testing.T) {
			t.Parallel()
			g := &gateway{}
			for _, public := range []string{"https://id.example.com", "https://id.example.com/"} {
				receipt, err := sms.New(sms.Config{PublicURL: public, Callbacks: "/callbacks/twilio/sms", Replies: true}, g).Send(t.Context(), message(c.challenge))
				require.NoError(t, err)
				require.Equal(t, delivery.Receipt{ID: "SM1"}, receipt)
			}
			require.Len(t, g.sent, 2)
			for _, sent := range g.sent {
				require.Equal(t, c.body, sent.Body.Reveal())
				require.Equal(t, "+14155550100", sent.To.Reveal())
				require.Equal(t, "https://id.example.com/callbacks/twilio/sms/vrf_01/0/2/1", sent.CallbackURL)
				require.Positive(t, sent.ValidFor)
				require.LessOrEqual(t, sent.ValidFor, 5*time.Minute)
			}
		})
	}
}

func TestEveryLanguageFitsOneMessageWithTheCodeFirst(t *testing.T) {
	t.Parallel()
	digits := regexp.MustCompile(`\b\d{4,10}\b`)
	for _, locale := range []string{"", "en-GB", "de-AT", "es-MX", "fr-CA", "pt-PT", "ja"} {
		g := &gateway{}
		s := sms.New(sms.Config{PublicURL: "https://id.example.com", Callbacks: "/callbacks/twilio/sms", Replies: true}, g)
		for _, challenge := range []events.Challenge{events.Code, events.Link, events.Approval} {
			m := message(challenge)
			m.Locale, m.Brand = locale, strings.Repeat("Example 99", 3)
			m.LinkToken = delivery.Code(strings.Repeat("x", 43))
			_, err := s.Send(t.Context(), m)
			require.NoError(t, err)
			body := g.sent[len(g.sent)-1].Body.Reveal()
			n, ok := gsm7.Septets(body)
			require.True(t, ok, body)
			require.LessOrEqual(t, n, 160, body)
			if challenge == events.Code {
				require.Equal(t, "482913", digits.FindString(body))
			}
		}
	}
}

func TestWithoutAWayBack(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name      string
		cfg       sms.Config
		challenge events.Challenge
		reason    string // empty: sent
	}{
		{"a code is sent and nothing is called back", sms.Config{}, events.Code, ""},
		{"a code is sent where callbacks are on but no address is known", sms.Config{Callbacks: "/callbacks/twilio/sms", Replies: true}, events.Code, ""},
		{"a link needs a public URL only", sms.Config{PublicURL: "https://id.example.com"}, events.Link, ""},
		{"a link without a public URL cannot be opened", sms.Config{Callbacks: "/callbacks/twilio/sms", Replies: true}, events.Link, events.ReasonNotConfigured},
		{"an approval without callbacks cannot be answered", sms.Config{PublicURL: "https://id.example.com"}, events.Approval, events.ReasonNotConfigured},
		{"an approval without a public URL cannot be answered", sms.Config{Callbacks: "/callbacks/twilio/sms", Replies: true}, events.Approval, events.ReasonNotConfigured},
		{"an approval over a carrier that brings no replies cannot be answered", sms.Config{PublicURL: "https://id.example.com", Callbacks: "/callbacks/adapters/acme"}, events.Approval, events.ReasonNotConfigured},
		{"a challenge from the future is refused", sms.Config{PublicURL: "https://id.example.com", Callbacks: "/callbacks/twilio/sms", Replies: true}, "dance", events.ReasonNotConfigured},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			g := &gateway{}
			_, err := sms.New(c.cfg, g).Send(t.Context(), message(c.challenge))
			if c.reason == "" {
				require.NoError(t, err)
				require.Len(t, g.sent, 1)
				require.Empty(t, g.sent[0].CallbackURL)
				return
			}
			require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
			require.Equal(t, c.reason, delivery.ReasonOf(err))
			require.Empty(t, g.sent, "nobody is called")
		})
	}
}

func TestACodeComesInTheClientsOwnWording(t *testing.T) {
	t.Parallel()
	for text, want := range map[string]string{
		"ACME: {{otp_code}}, good for {{ otp_expiry }} min": "ACME: 482913, good for 5 min",
		"Zugang – „{{otp_code}}“":                           "Zugang – „482913“", // nothing is rewritten
		"No placeholder":                                    "No placeholder",
	} {
		g := &gateway{}
		m := message(events.Code)
		m.Text = delivery.Code(text)
		_, err := sms.New(sms.Config{}, g).Send(t.Context(), m)
		require.NoError(t, err)
		require.Equal(t, want, g.sent[0].Body.Reveal())
	}
	g := &gateway{}
	for _, challenge := range []events.Challenge{events.Link, events.Approval} {
		m := message(challenge)
		m.Text = "mine"
		_, err := sms.New(sms.Config{PublicURL: "https://id.example.com", Callbacks: "/callbacks/twilio/sms", Replies: true}, g).Send(t.Context(), m)
		require.NoError(t, err)
	}
	require.Contains(t, g.sent[0].Body.Reveal(), "https://id.example.com/l/q3Jk-7_ZtW0", "only codes have a wording of the client's")
	require.Contains(t, g.sent[1].Body.Reveal(), "Reply YES")
}

func TestAnEmptySecretIsNeverSent(t *testing.T) {
	t.Parallel()
	for _, challenge := range []events.Challenge{events.Code, events.Link} {
		g := &gateway{}
		m := message(challenge)
		m.Code, m.LinkToken, m.Text = "", "", "Your code: {{otp_code}}"
		_, err := sms.New(sms.Config{PublicURL: "https://id.example.com"}, g).Send(t.Context(), m)
		require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
		require.Empty(t, g.sent)
	}
}

func TestTheGatewaysErrorComesBackAsItIs(t *testing.T) {
	t.Parallel()
	g := &gateway{err: delivery.RetryAfter(3*time.Second, errors.New("throttled"))}
	_, err := sms.New(sms.Config{}, g).Send(t.Context(), message(events.Code))
	require.ErrorIs(t, err, g.err)
	require.Equal(t, 3*time.Second, delivery.AfterOf(err))
}

func TestANotificationIsSentAsItIs(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	m := message("")
	m.ID, m.Send, m.Notice = events.MessageID("01a1ffa2-79ce-7bf5-b449-a6ce0eb39700", 0, 3), 1, &delivery.Notice{Text: "Your parcel {{code}} — is here ☺"}
	_, err := sms.New(sms.Config{PublicURL: "https://id.example.com", Callbacks: "/callbacks/twilio/sms"}, g).Send(t.Context(), m)
	require.NoError(t, err)
	require.Len(t, g.sent, 1)
	require.Equal(t, "Your parcel {{code}} — is here ☺", g.sent[0].Body.Reveal())
	require.Equal(t, "https://id.example.com/callbacks/twilio/sms/01a1ffa2-79ce-7bf5-b449-a6ce0eb39700-0-3/0/1/1", g.sent[0].CallbackURL)

	m.Notice = &delivery.Notice{}
	_, err = sms.New(sms.Config{}, g).Send(t.Context(), m)
	require.Equal(t, events.ReasonMessageRefused, delivery.ReasonOf(err))
	require.Len(t, g.sent, 1)
}

func TestAnApprovalWithANumberAsksForIt(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	m := message(events.Approval)
	m.NumberLength, m.Code = 2, "47" // no activation holds the number; this one would be told
	_, err := sms.New(sms.Config{PublicURL: "https://id.example.com", Callbacks: "/callbacks/twilio/sms", Replies: true}, g).Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, "Example Bank: is this you? Sign in - Lyon, France (203.0.113.7). Reply with the number on your screen to approve, NO to refuse. Expires in 5 minutes.",
		g.sent[0].Body.Reveal())
}

func TestEveryTextShowsTheFields(t *testing.T) {
	t.Parallel()
	g := &gateway{}
	s := sms.New(sms.Config{PublicURL: "https://id.example.com", Callbacks: "/callbacks/twilio/sms", Replies: true}, g)
	for _, challenge := range []events.Challenge{events.Code, events.Link, events.Approval} {
		m := message(challenge)
		m.Context.Fields = []events.Field{{Label: "Amount", Value: "49.00 EUR"}, {Label: "Payee", Value: "Café Lumière"}}
		m.Autofill = autofill.Hint{Origin: "example.com"}
		_, err := s.Send(t.Context(), m)
		require.NoError(t, err)
		body := g.sent[len(g.sent)-1].Body.Reveal()
		require.Contains(t, body, "\nAmount: 49.00 EUR\nPayee: Café Lumière\n", challenge)
	}
	require.True(t, strings.HasPrefix(g.sent[0].Body.Reveal(), "482913 is your Example Bank code for:\n"))
	require.True(t, strings.HasSuffix(g.sent[0].Body.Reveal(), "\n@example.com #482913"), "the last line stays what phones look for")
}

func TestALongTextIsRefusedBeyondTheLimitAndWarnedOfOnce(t *testing.T) {
	t.Parallel()
	m := message(events.Approval)
	m.Send, m.Locale = 1, "en"
	for range 4 {
		m.Context.Fields = append(m.Context.Fields, events.Field{Label: strings.Repeat("L", 30), Value: strings.Repeat("v", 70)})
	}
	for _, c := range []struct {
		name          string
		most          int
		send, attempt int
		refused       bool
		logged        string
	}{
		{"no limit, with a warning", 0, 1, 1, false, "text message is long"},
		{"a resend is not warned of again", 0, 2, 1, false, ""},
		{"nor is a retry", 0, 1, 2, false, ""},
		{"a limit that is kept", 4, 1, 1, false, "text message is long"},
		{"a limit that is not", 3, 1, 1, true, "text message refused"},
		{"a resend is refused too", 3, 2, 1, true, "text message refused"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			var logged bytes.Buffer
			g := &gateway{}
			cfg := sms.Config{PublicURL: "https://id.example.com", Replies: true, MaxSegments: c.most, Log: slog.New(slog.NewJSONHandler(&logged, nil))}
			m := m
			m.Send, m.Attempt = c.send, c.attempt
			_, err := sms.New(cfg, g).Send(t.Context(), m)
			if c.refused {
				require.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
				require.Equal(t, events.ReasonMessageRefused, delivery.ReasonOf(err))
				require.ErrorContains(t, err, "has 4 segments, and sms.max_segments allows 3")
				require.Empty(t, g.sent)
			} else {
				require.NoError(t, err)
				require.Equal(t, 4, gsm7.Segments(g.sent[0].Body.Reveal()).Segments, "nothing was left out")
			}
			if c.logged == "" {
				require.Empty(t, logged.String())
				return
			}
			require.Contains(t, logged.String(), c.logged)
			require.Contains(t, logged.String(), `"segments":4`)
			require.NotContains(t, logged.String(), "vvv")
		})
	}
}
