package email_test

import (
	"context"
	"errors"
	"net/mail"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/net/html"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/email"
)

// gatewayFunc is a provider made of a function.
type gatewayFunc func(ctx context.Context, m delivery.Mail) (delivery.Receipt, error)

func (f gatewayFunc) SendMail(ctx context.Context, m delivery.Mail) (delivery.Receipt, error) {
	return f(ctx, m)
}

func config() email.Config {
	return email.Config{From: "Example Bank <no-reply@mail.example.com>", PublicURL: "https://id.example.com/"}
}

func message(change func(*delivery.Message)) delivery.Message {
	m := delivery.Message{
		ID: "vrf_01", Channel: events.Email, Challenge: events.Code, Send: 2, To: "ana@example.org",
		Code: "482913", Brand: "Example Bank",
		Context:   events.Context{IP: "203.0.113.7", Action: "Sign in", Place: "Near Lyon", Device: "Firefox on Windows"},
		CreatedAt: time.Now(), ExpiresAt: time.Now().Add(5 * time.Minute),
	}
	if change != nil {
		change(&m)
	}
	return m
}

func link(m *delivery.Message) {
	m.Challenge, m.Code, m.LinkToken = events.Link, "", "q7Zk-3vX_token"
}

// send renders m and returns the mail that the gateway got.
func send(t *testing.T, cfg email.Config, m delivery.Message) delivery.Mail {
	t.Helper()
	var got delivery.Mail
	want := delivery.Receipt{ID: "1"}
	sender, err := email.New(cfg, gatewayFunc(func(_ context.Context, m delivery.Mail) (delivery.Receipt, error) {
		got = m
		return want, nil
	}))
	require.NoError(t, err)
	receipt, err := sender.Send(t.Context(), m)
	require.NoError(t, err)
	require.Equal(t, want, receipt)
	return got
}

// visible is the text a reader of the HTML part sees.
func visible(t *testing.T, m delivery.Mail) string {
	t.Helper()
	root, err := html.Parse(strings.NewReader(m.HTML.Reveal()))
	require.NoError(t, err)
	var b strings.Builder
	for n := range root.Descendants() {
		if n.Type == html.TextNode && n.Parent.Data != "style" && n.Parent.Data != "title" {
			b.WriteString(n.Data + " ")
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

func TestACodeMailShowsTheCodeAndWhoAsksWhatFromWhere(t *testing.T) {
	t.Parallel()
	got := send(t, config(), message(nil))

	assert.Equal(t, "vrf_01", got.VerificationID)
	assert.Equal(t, 2, got.Send)
	assert.Equal(t, delivery.Address("ana@example.org"), got.To)
	assert.Equal(t, mail.Address{Name: "Example Bank", Address: "no-reply@mail.example.com"}, got.From)
	assert.Equal(t, map[string]string{
		"Auto-Submitted":           "auto-generated",
		"X-Auto-Response-Suppress": "All",
		"Content-Language":         "en",
		"Message-ID":               "<vrf_01-0-2@mail.example.com>",
	}, got.Headers)
	assert.Contains(t, got.Subject, "Example Bank")
	assert.NotContains(t, got.Subject, "482913", "subjects show on locked screens and stand in logs")
	for part, text := range map[string]string{"text": got.Text.Reveal(), "html": visible(t, got)} {
		for _, want := range []string{"482913", "Example Bank", "Sign in", "Near Lyon", "Firefox on Windows", "203.0.113.7", "5 minutes"} {
			assert.Contains(t, text, want, "the %s part", part)
		}
	}
}

func TestTheMailsOfTwoFallbackStepsHaveTwoMessageIDsAndAttemptsShareOne(t *testing.T) {
	t.Parallel()
	id := func(step, attempt int) string {
		m := message(func(m *delivery.Message) { m.Step, m.Attempt = step, attempt })
		return send(t, config(), m).Headers["Message-ID"]
	}
	assert.Equal(t, id(1, 1), id(1, 2))
	assert.NotEqual(t, id(1, 1), id(2, 1))
}

func TestTheCodeIsTheFirstRunOfDigitsInEveryLanguage(t *testing.T) {
	t.Parallel()
	digits := regexp.MustCompile(`\d+`)
	for _, locale := range []string{"", "en-GB", "de", "es", "fr-CA", "pt-BR", "hi", "ar-EG", "tlh"} {
		got := send(t, config(), message(func(m *delivery.Message) { m.Locale, m.Brand, m.Code = locale, "Studio 2000", "0041" }))
		assert.Equal(t, "0041", digits.FindString(got.Text.Reveal()), "text part in %q", locale)
	}
	got := send(t, config(), message(func(m *delivery.Message) { m.Locale = "de-AT" }))
	assert.Equal(t, "de", got.Headers["Content-Language"])
	assert.Contains(t, got.HTML.Reveal(), `<html lang="de" dir="ltr"`)
}

func TestAMailInArabicIsReadFromTheRight(t *testing.T) {
	t.Parallel()
	got := send(t, config(), message(func(m *delivery.Message) { link(m); m.Locale = "ar-EG" })).HTML.Reveal()
	assert.Contains(t, got, `<html lang="ar" dir="rtl">`)
	assert.Regexp(t, `<table [^>]*lang="ar" dir="rtl"`, got, "readers of mail drop the outermost element")
	assert.NotContains(t, got, `align="left"`)
	assert.NotContains(t, got, "16px 2px 0", "the room is on the other side")
	assert.Contains(t, got, `<bdi dir="ltr">https://`)
}

func TestALinkMailHasOneAddressInBothPartsAndNoDigitsToTakeForACode(t *testing.T) {
	t.Parallel()
	const address = "https://id.example.com/l/q7Zk-3vX_token"
	got := send(t, config(), message(link))
	assert.Contains(t, got.Text.Reveal(), "\n"+address+"\n", "alone on its line, so that mail programs link all of it")

	root, err := html.Parse(strings.NewReader(got.HTML.Reveal()))
	require.NoError(t, err)
	var hrefs []string
	for n := range root.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		for _, a := range n.Attr {
			switch a.Key {
			case "href":
				assert.Equal(t, "a", n.Data)
				hrefs = append(hrefs, a.Val)
			case "src", "srcset", "background", "action", "data":
				t.Errorf("<%s> loads or posts something: %s", n.Data, a.Key)
			}
		}
		assert.NotContains(t, []string{"script", "img", "link", "iframe", "form", "object"}, n.Data)
	}
	assert.Equal(t, []string{address, address}, hrefs, "the button, and the address for whoever cannot press it")
	assert.NotContains(t, got.HTML.Reveal(), "url(")
	assert.Contains(t, visible(t, got), "Review the request")
}

func TestABrandOrContextWithMarkupIsShownAsTyped(t *testing.T) {
	t.Parallel()
	const hostile = `<b>"Bank" & Söhne</b><script>alert(1)</script>`
	got := send(t, config(), message(func(m *delivery.Message) {
		m.Brand = hostile
		m.Context = events.Context{Action: hostile, Place: hostile, Device: hostile, IP: hostile}
	}))
	assert.NotContains(t, got.HTML.Reveal(), "<script")
	assert.NotContains(t, got.HTML.Reveal(), "<b>")
	assert.Contains(t, visible(t, got), hostile)
	assert.Contains(t, got.Text.Reveal(), hostile)
}

func TestHeadersStayInTheirLines(t *testing.T) {
	t.Parallel()
	cfg := config()
	cfg.From = "no-reply@mail.example.com"
	got := send(t, cfg, message(func(m *delivery.Message) { m.Brand = "Bank\r\nBcc: eve@example.net" }))
	assert.NotContains(t, got.Subject, "\n")
	assert.Equal(t, "BankBcc: eve@example.net", got.From.Name, "a brand stands in for a name that is not configured")
	assert.Equal(t, "no-reply@mail.example.com", got.From.Address)
}

func TestWithoutBrandAndContextNothingOddIsSaid(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*delivery.Message){"a code": func(*delivery.Message) {}, "a link": link} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, config(), message(func(m *delivery.Message) {
				change(m)
				m.Brand, m.Context = "", events.Context{}
			}))
			for _, text := range []string{got.Subject, got.Text.Reveal(), visible(t, got)} {
				assert.NotContains(t, text, "{")
				assert.NotContains(t, text, "  :")
				assert.NotContains(t, text, "<no value>")
			}
			assert.NotContains(t, got.Text.Reveal(), "\n\n\n")
			assert.NotContains(t, got.HTML.Reveal(), "<th")
		})
	}
}

func TestWhatNoMailCanCarryIsRefusedForGood(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg    email.Config
		change func(*delivery.Message)
		reason string
	}{
		"an approval":                  {config(), func(m *delivery.Message) { m.Challenge = events.Approval }, events.ReasonNotConfigured},
		"a challenge nobody knows":     {config(), func(m *delivery.Message) { m.Challenge = "riddle" }, events.ReasonNotConfigured},
		"a link without a public URL":  {email.Config{From: "a@example.com"}, link, events.ReasonNotConfigured},
		"a code challenge, no code":    {config(), func(m *delivery.Message) { m.Code = "" }, events.ReasonMessageRefused},
		"a link challenge, no token":   {config(), func(m *delivery.Message) { m.Challenge = events.Link }, events.ReasonMessageRefused},
		"a code for another challenge": {config(), func(m *delivery.Message) { m.Challenge = "" }, events.ReasonNotConfigured},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sender, err := email.New(tc.cfg, gatewayFunc(func(context.Context, delivery.Mail) (delivery.Receipt, error) {
				t.Error("the provider was called")
				return delivery.Receipt{}, nil
			}))
			require.NoError(t, err)
			_, err = sender.Send(t.Context(), message(tc.change))
			assert.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
			assert.Equal(t, tc.reason, delivery.ReasonOf(err))
		})
	}
}

func TestTheGatewaysMarkPassesThrough(t *testing.T) {
	t.Parallel()
	sender, err := email.New(config(), gatewayFunc(func(context.Context, delivery.Mail) (delivery.Receipt, error) {
		return delivery.Receipt{}, delivery.RetryAfter(7*time.Second, errors.New("throttled"))
	}))
	require.NoError(t, err)
	_, err = sender.Send(t.Context(), message(nil))
	assert.Equal(t, delivery.ClassRetryAfter, delivery.ClassOf(err))
	assert.Equal(t, 7*time.Second, delivery.AfterOf(err))
}

func TestAConfigurationNamesAllItsFaults(t *testing.T) {
	t.Parallel()
	_, err := email.New(email.Config{PublicURL: "id.example.com"}, nil)
	require.ErrorContains(t, err, "from: missing")
	require.ErrorContains(t, err, "public_url:")
	_, err = email.New(email.Config{From: "Example Bank"}, nil)
	require.ErrorContains(t, err, "from: want an address")
	assert.Empty(t, email.Config{From: "no-reply@example.com"}.Validate())
}

func TestANotificationIsSentAsItsSenderWroteIt(t *testing.T) {
	t.Parallel()
	got := send(t, config(), message(func(m *delivery.Message) {
		m.ID, m.Challenge, m.Code, m.Send, m.Locale = "ntf-0-3", "", "", 1, "nl-NL"
		m.Notice = &delivery.Notice{Subject: "Parcel\r\nBcc: eve@example.net", Text: "It is here.", HTML: "<p>It is here.</p>"}
	}))
	assert.Equal(t, "ParcelBcc: eve@example.net", got.Subject, "a subject stays in its line")
	assert.Equal(t, "It is here.", got.Text.Reveal())
	assert.Equal(t, "<p>It is here.</p>", got.HTML.Reveal())
	assert.Equal(t, map[string]string{
		"Auto-Submitted": "auto-generated", "X-Auto-Response-Suppress": "All", "Content-Language": "nl-NL",
		"Message-ID": "<ntf-0-3-0-1@mail.example.com>",
	}, got.Headers)

	sender, err := email.New(config(), nil)
	require.NoError(t, err)
	_, err = sender.Send(t.Context(), message(func(m *delivery.Message) { m.Notice = &delivery.Notice{Subject: "Parcel"} }))
	assert.Equal(t, events.ReasonMessageRefused, delivery.ReasonOf(err), "nothing is sent without a text")
}

func TestFieldsStandFirstAndLargestInBothParts(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*delivery.Message){"a code": func(*delivery.Message) {}, "a link": link} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := send(t, config(), message(func(m *delivery.Message) {
				change(m)
				m.Context.Fields = []events.Field{{Label: "Amount", Value: "49.00 EUR"}, {Label: "Payee & more", Value: `Café "Lumière" <b>& Co</b>`}}
			}))
			require.Contains(t, got.Text.Reveal(), "\n\nAmount: 49.00 EUR\nPayee & more: Café \"Lumière\" <b>& Co</b>\n\n")
			require.NotContains(t, got.Text.Reveal(), "\n\n\n")
			require.NotContains(t, got.HTML.Reveal(), "<b>")
			shown := visible(t, got)
			for _, text := range []string{got.Text.Reveal(), shown} {
				amount, payee := strings.Index(text, "49.00 EUR"), strings.Index(text, `Café "Lumière" <b>& Co</b>`)
				require.Positive(t, amount)
				require.Greater(t, payee, amount, "in the client's order")
				for _, later := range []string{"Sign in", "Near Lyon", "5 minutes"} {
					require.Greater(t, strings.LastIndex(text, later), payee, later)
				}
			}
			size := regexp.MustCompile(`font-size:(\d+)px[^>]*><bdi>49\.00 EUR`).FindStringSubmatch(got.HTML.Reveal())
			require.Len(t, size, 2)
			headline := regexp.MustCompile(`<h1[^>]*font-size:(\d+)px`).FindStringSubmatch(got.HTML.Reveal())
			require.Greater(t, size[1], headline[1], "larger than the headline")
			if name == "a code" {
				require.Equal(t, "482913", regexp.MustCompile(`\d+`).FindString(got.Text.Reveal()))
			}
		})
	}
}
