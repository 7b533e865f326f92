package wording

import (
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/gsm7"
)

// firstCode is how readers of messages, people's phones among them, find a code.
var firstCode = regexp.MustCompile(`\b\d{4,10}\b`)

const (
	longBrand = "Sparkasse Niederoesterreich AG" // 30 letters
	longLink  = "https://verify.bank.example.com/l/0123456789abcdefghijABCDEFGHIJ0123456789abc"
)

func TestTextMessagesFitOneMessage(t *testing.T) {
	t.Parallel()
	require.Len(t, longBrand, 30)
	for _, locale := range locales() {
		for _, brand := range []string{"", "Example Bank", longBrand} {
			for _, life := range []time.Duration{10 * time.Minute, 59 * time.Second, 30 * time.Second} {
				f := full()
				f.Brand, f.Life = brand, life
				w := For(locale)
				for name, text := range map[string]string{
					"code":     w.CodeText(f, "4829130567"),
					"link":     w.LinkText(f, longLink),
					"approval": w.ApprovalText(f),
				} {
					n, ok := gsm7.Septets(text)
					require.True(t, ok, "%s %s leaves the alphabet: %q", locale, name, text)
					require.LessOrEqual(t, n, 160, "%s %s: %q", locale, name, text)
					if brand != "" {
						require.Contains(t, text, brand, "%s %s", locale, name)
					}
				}
				require.Contains(t, w.LinkText(f, longLink), " "+longLink)
				require.Contains(t, w.ApprovalText(f), "Sign in - Lyon, France")
			}
		}
	}
}

func TestTheCodeIsTheFirstRunOfDigits(t *testing.T) {
	t.Parallel()
	for _, locale := range locales() {
		for _, brand := range []string{"", "Bank 2024", "{life} 1234"} {
			for _, code := range []string{"0000", "482913", "4829130567"} {
				f := full()
				f.Brand = brand
				require.Equal(t, code, firstCode.FindString(For(locale).CodeText(f, code)))
			}
		}
	}
}

func TestTextMessagesReadAsMeant(t *testing.T) {
	t.Parallel()
	en, f := For("en"), full()
	require.Equal(t, "482913 is your Example Bank code. It expires in 5 minutes. Don't share it.", en.CodeText(f, "482913"))
	require.Equal(t, "Example Bank: is this you? Sign in - Lyon, France (203.0.113.7). Answer within 5 minutes: https://a.example/l/x",
		en.LinkText(f, "https://a.example/l/x"))
	require.Equal(t, "Example Bank: is this you? Sign in - Lyon, France (203.0.113.7). Reply YES to approve, NO to refuse. Expires in 5 minutes.",
		en.ApprovalText(f))
	require.Equal(t, "482913 is your code. It expires in 5 minutes. Don't share it.", en.CodeText(Facts{Life: f.Life}, "482913"))
	require.Equal(t, "Is this you? Reply YES to approve, NO to refuse. Expires in 5 minutes.", en.ApprovalText(Facts{Life: f.Life}))
}

func TestWhatHasNoRoomIsLeftOutInOrder(t *testing.T) {
	t.Parallel()
	f := full()
	f.Context.Action = "Pay 4900.00 EUR to the account of " + strings.Repeat("Lumiere ", 4) + "GmbH"
	approval := For("en").ApprovalText(f)
	require.Contains(t, approval, f.Context.Action+" - Lyon, France.")
	require.NotContains(t, approval, "203.0.113.7")
	n, ok := gsm7.Septets(approval)
	require.True(t, ok)
	require.LessOrEqual(t, n, 160)

	f.Context.Action = strings.Repeat("Pay Lumiere ", 20)
	require.Contains(t, For("en").ApprovalText(f), f.Context.Action, "what is asked is never left out")
	link := For("en").LinkText(f, longLink)
	require.Equal(t, "Example Bank: is this you? Answer within 5 minutes: "+longLink, link)
}

func TestAccentsDoNotWidenATextMessage(t *testing.T) {
	t.Parallel()
	f := Facts{Brand: "Açaí “São” – Łódź", Context: events.Context{Action: "Entrar"}, Life: time.Minute}
	text := For("pt").CodeText(f, "482913")
	require.Contains(t, text, `Acai "Sao" - Lodz`)
	_, ok := gsm7.Septets(text)
	require.True(t, ok, text)

	f.Brand = "Café Ñandú Größe" // é, Ñ, ö, ß are in the alphabet and stay; ú is not
	require.Contains(t, For("en").CodeText(f, "482913"), "Café Ñandu Größe")

	f.Brand = "Пример"
	require.Contains(t, For("en").CodeText(f, "482913"), "Пример", "another script is left as it is")
}

func TestSingleKnowsTheRoomOfBothAlphabets(t *testing.T) {
	t.Parallel()
	require.True(t, single(strings.Repeat("a", 160)))
	require.False(t, single(strings.Repeat("a", 161)))
	require.False(t, single(strings.Repeat("€", 81)))
	require.True(t, single(strings.Repeat("ж", 70)))
	require.False(t, single(strings.Repeat("ж", 71)))
	require.False(t, single(strings.Repeat("😀", 36)), "a sign outside the first plane takes two units")
}
