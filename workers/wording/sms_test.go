package wording

import (
	"regexp"
	"slices"
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
					"approval": w.ApprovalText(f, false),
					"number":   w.ApprovalText(f, true),
				} {
					if slices.Contains(unicodeOnly, locale) {
						require.LessOrEqual(t, gsm7.Segments(text).Segments, roomInUnicode(name, brand), "%s %s: %q", locale, name, text)
					} else {
						n, ok := gsm7.Septets(text)
						require.True(t, ok, "%s %s leaves the alphabet: %q", locale, name, text)
						require.LessOrEqual(t, n, 160, "%s %s: %q", locale, name, text)
					}
					if brand != "" {
						require.Contains(t, text, brand, "%s %s", locale, name)
					}
				}
				require.Contains(t, w.LinkText(f, longLink), " "+longLink)
				require.Contains(t, w.ApprovalText(f, false), "Sign in - Lyon, France")
				require.Contains(t, w.ApprovalText(f, true), "Sign in - Lyon, France")
			}
		}
	}
}

// roomInUnicode is how many messages a text may take where one has room for 70 letters: a code one, a link with its
// 77 letters and a request with what is asked two, and another one where the brand is long.
func roomInUnicode(text, brand string) int {
	room := 2
	if text == "code" {
		room = 1
	}
	if brand == longBrand {
		room++
	}
	return room
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
		en.ApprovalText(f, false))
	require.Equal(t, "482913 is your code. It expires in 5 minutes. Don't share it.", en.CodeText(Facts{Life: f.Life}, "482913"))
	require.Equal(t, "Is this you? Reply YES to approve, NO to refuse. Expires in 5 minutes.", en.ApprovalText(Facts{Life: f.Life}, false))
}

func TestWhatHasNoRoomIsLeftOutInOrder(t *testing.T) {
	t.Parallel()
	f := full()
	f.Context.Action = "Pay 4900.00 EUR to the account of " + strings.Repeat("Lumiere ", 4) + "GmbH"
	approval := For("en").ApprovalText(f, false)
	require.Contains(t, approval, f.Context.Action+" - Lyon, France.")
	require.NotContains(t, approval, "203.0.113.7")
	n, ok := gsm7.Septets(approval)
	require.True(t, ok)
	require.LessOrEqual(t, n, 160)

	f.Context.Action = strings.Repeat("Pay Lumiere ", 20)
	require.Contains(t, For("en").ApprovalText(f, false), f.Context.Action, "what is asked is never left out")
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

// payment is a request with fields.
func payment() Facts {
	f := full()
	f.Context.Fields = []events.Field{{Label: "Amount", Value: "49.00 EUR"}, {Label: "Payee", Value: "Café Lumière"}}
	return f
}

func TestAReplyWithTheNumberIsAskedForInEveryLanguage(t *testing.T) {
	t.Parallel()
	const ask = ": is this you? Sign in - Lyon, France (203.0.113.7). Reply with the number on your screen to approve, NO to refuse."
	require.Equal(t, "Bank"+ask+" Expires in 5 minutes.", For("en").ApprovalText(func() Facts { f := full(); f.Brand = "Bank"; return f }(), true))
	for _, locale := range locales() {
		w := For(locale)
		text := w.ApprovalText(full(), true)
		require.Contains(t, text, w.lang.words.textNumber)
		require.NotContains(t, text, w.lang.words.textReply)
		_, ok := gsm7.Septets(w.lang.words.textNumber)
		require.Equal(t, !slices.Contains(unicodeOnly, locale), ok, w.lang.words.textNumber)
		require.NotRegexp(t, `\d`, w.lang.words.textNumber)
		no := askedFor.FindAllString(w.lang.words.textNumber, -1)
		require.Len(t, no, 1, locale)
		d, _ := Decision(no[0])
		require.Equal(t, events.Deny, d)
	}
}

func TestFieldsStandOnLinesOfTheirOwn(t *testing.T) {
	t.Parallel()
	en, f := For("en"), payment()
	require.Equal(t, "482913 is your Example Bank code for:\nAmount: 49.00 EUR\nPayee: Café Lumière\nIt expires in 5 minutes. Don't share it.",
		en.CodeText(f, "482913"))
	require.Equal(t, "Example Bank: is this you?\nAmount: 49.00 EUR\nPayee: Café Lumière\nSign in - Lyon, France (203.0.113.7). Answer within 5 minutes: https://a.example/l/x",
		en.LinkText(f, "https://a.example/l/x"))
	f.Context.Action, f.Context.IP = "", ""
	require.Equal(t, "Example Bank: is this you?\nAmount: 49.00 EUR\nPayee: Café Lumière\nLyon, France. Reply with the number on your screen to approve, NO to refuse.",
		en.ApprovalText(f, true))
}

func TestFieldsAreNeverLeftOutOrWrittenInAnotherWay(t *testing.T) {
	t.Parallel()
	f := payment()
	f.Brand = "Açaí"
	for i := range 4 {
		f.Context.Fields = append(f.Context.Fields, events.Field{Label: strings.Repeat("L", 29) + string(rune('0'+i)), Value: strings.Repeat("v", 70)})
	}
	for _, payee := range []string{"Café Lumière", "Łódź Šárka", "Товарищество"} {
		f.Context.Fields[1].Value = payee
		for _, locale := range locales() {
			w := For(locale)
			texts := []string{
				w.CodeText(f, "482913"), w.LinkText(f, longLink), w.ApprovalText(f, false), w.ApprovalText(f, true),
				w.CodePush(f, "482913").Body, w.ApprovalPush(f).Body, w.ApprovalCall(f), w.SpokenFields(f),
			}
			for _, text := range texts {
				for _, field := range f.Context.Fields {
					require.Contains(t, text, field.Label+": "+field.Value)
				}
			}
			require.Equal(t, "482913", firstCode.FindString(texts[0]))
			_, gsm := gsm7.Septets(texts[0])
			require.Equal(t, payee == "Café Lumière" && !slices.Contains(unicodeOnly, locale), gsm, "the brand's accents come off where the fields leave room for it")
		}
	}
	f.Context.Fields = []events.Field{{Label: "Amount", Value: "49,00\u00a0€"}}
	require.Contains(t, For("fr").CodeText(f, "482913"), "Amount: 49,00 €\n", "a space of another width is a space")
}
