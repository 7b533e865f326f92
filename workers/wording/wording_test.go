package wording

import (
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"
	"golang.org/x/text/feature/plural"
	"pgregory.net/rapid"

	"github.com/assent-io/assent/events"
)

func locales() []string { return []string{"en", "de", "es", "fr", "pt", "hi", "ar"} }

// unicodeOnly has the languages that are written in letters outside of the alphabet of text messages.
var unicodeOnly = []string{"hi", "ar"}

func full() Facts {
	return Facts{
		Brand:   "Example Bank",
		Context: events.Context{Action: "Sign in", Place: "Lyon, France", IP: "203.0.113.7", Device: "Firefox on Windows"},
		Life:    5 * time.Minute,
	}
}

func TestForChoosesTheLanguage(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ locale, language, speech string }{
		{"", "en", "en-US"},
		{"en", "en", "en-US"},
		{"en-GB", "en", "en-GB"},
		{"de", "de", "de-DE"},
		{"de-CH", "de", "de-DE"},
		{"es", "es", "es-ES"},
		{"es-MX", "es", "es-MX"},
		{"fr-CA", "fr", "fr-CA"},
		{"fr_FR", "fr", "fr-FR"},
		{"pt", "pt", "pt-BR"},
		{"pt-PT", "pt", "pt-PT"},
		{"PT-br", "pt", "pt-BR"},
		{"hi", "hi", "hi-IN"},
		{"ar", "ar", "arb"},
		{"ar-EG", "ar", "arb"},
		{"ja", "en", "en-US"},
		{"zh-Hans-CN", "en", "en-US"},
		{"tlh", "en", "en-US"},
		{"not a locale", "en", "en-US"},
		{"\x00", "en", "en-US"},
	} {
		t.Run("locale "+c.locale, func(t *testing.T) {
			t.Parallel()
			w := For(c.locale)
			require.Equal(t, c.language, w.Language())
			require.Equal(t, c.speech, w.SpeechLanguage())
		})
	}
}

// eachSentence visits every sentence of a language by the name of its field.
func eachSentence(s sentences, visit func(name, sentence string)) {
	var walk func(name string, v reflect.Value)
	walk = func(name string, v reflect.Value) {
		if v.Kind() == reflect.String {
			visit(name, v.String())
			return
		}
		if v.Kind() == reflect.Map { // the plural forms, which are each language's own
			return
		}
		for i := range v.NumField() {
			walk(name+"."+v.Type().Field(i).Name, v.Field(i))
		}
	}
	walk("sentences", reflect.ValueOf(s))
}

func TestEveryLanguageHasEverySentenceWithTheSameParts(t *testing.T) {
	t.Parallel()
	part := regexp.MustCompile(`\{[a-z]*\}`)
	parts := func(sentence string) []string {
		found := part.FindAllString(sentence, -1)
		slices.Sort(found)
		return found
	}
	want := map[string][]string{}
	eachSentence(english.words, func(name, sentence string) { want[name] = parts(sentence) })
	require.NotEmpty(t, want)
	known := []string{"{brand}", "{action}", "{place}", "{ip}", "{life}", "{code}", "{digits}", "{link}", "{n}", "{fields}"}
	for _, lang := range catalog() {
		eachSentence(lang.words, func(name, sentence string) {
			require.NotEmpty(t, sentence, "%s lacks %s", lang.tag, name)
			require.Equal(t, want[name], parts(sentence), "%s, %s", lang.tag, name)
			require.Subset(t, known, append(parts(sentence), "{n}"), "%s, %s", lang.tag, name)
			require.Equal(t, strings.TrimSpace(sentence), sentence, "%s, %s", lang.tag, name)
			if strings.HasSuffix(name, ".plain") {
				require.NotContains(t, sentence, "{brand}", "%s, %s", lang.tag, name)
			}
			if strings.HasSuffix(name, ".named") {
				require.Contains(t, sentence, "{brand}", "%s, %s", lang.tag, name)
			}
		})
	}
}

func TestEveryLanguageHasItsPluralForms(t *testing.T) {
	t.Parallel()
	for _, lang := range catalog() {
		for n := 1; n <= 1440; n++ {
			form := plural.Cardinal.MatchPlural(lang.tag, n, 0, 0, 0, 0)
			require.NotEmpty(t, lang.words.minutes[form], "%s, %d minutes", lang.tag, n)
			require.NotEmpty(t, lang.words.seconds[form], "%s, %d seconds", lang.tag, n)
		}
		for _, forms := range []counted{lang.words.minutes, lang.words.seconds} {
			require.Contains(t, forms[plural.Other], "{n}")
		}
	}
}

func TestEveryLetterIsOfItsLanguage(t *testing.T) {
	t.Parallel()
	for _, lang := range catalog() {
		script := map[string]*unicode.RangeTable{"hi": unicode.Devanagari, "ar": unicode.Arabic}[lang.tag.String()]
		if script == nil {
			script = unicode.Latin
		}
		eachSentence(lang.words, func(name, sentence string) {
			for _, r := range regexp.MustCompile(`\{[a-z]+\}`).ReplaceAllString(sentence, "") {
				require.True(t, !unicode.IsLetter(r) || unicode.Is(script, r), "%s %s: %q in %s", lang.tag, name, r, sentence)
				require.False(t, unicode.Is(unicode.Cf, r), "%s %s: an invisible letter in %s", lang.tag, name, sentence)
			}
		})
	}
}

func TestTheDirectionIsTheOneThatTheLanguageIsWrittenIn(t *testing.T) {
	t.Parallel()
	for _, locale := range locales() {
		require.Equal(t, map[bool]string{false: "ltr", true: "rtl"}[locale == "ar"], For(locale).Direction())
	}
}

func everyText(w Wording, f Facts) []string {
	code, link := w.CodeMail(f), w.LinkMail(f)
	push, pushedCode := w.ApprovalPush(f), w.CodePush(f, "482913")
	texts := []string{
		w.CodeText(f, "482913"), w.LinkText(f, "https://id.example.com/l/abc"), w.ApprovalText(f, false), w.ApprovalText(f, true),
		w.CodeCall(f), w.PressForCode(), w.SpokenCode(f, "482913"), w.SpokenCodeAgain("482913"),
		w.ApprovalCall(f), w.ApprovalKeys(), w.OtherKey(), w.NumberKeys(6), w.OtherNumber(6), w.Mismatch(), w.Matched(), w.NoMatch(), w.Closed(), w.Goodbye(),
		w.Acknowledged(events.Approve, f), w.Acknowledged(events.Deny, f), w.Acknowledged(events.NotMe, f), w.Acknowledged("", f),
		push.Title, push.Body, pushedCode.Title, pushedCode.Body,
	}
	for _, m := range []Mail{code, link} {
		texts = append(texts, m.Subject, m.Headline, m.Lead, m.Expires, m.Keep, m.Why)
	}
	return append(texts, link.Button, link.Address)
}

func TestNothingReadsOddWhateverIsUnknown(t *testing.T) {
	t.Parallel()
	odd := regexp.MustCompile(`[{}]|  |^[ ,.:?!-]|[-,:(] ?[.)]|\.\.|\(\)`)
	for _, locale := range locales() {
		for mask := range 1 << 6 {
			f := full()
			if mask>>5 == 1 {
				f = payment()
			}
			for bit, part := range []*string{&f.Brand, &f.Context.Action, &f.Context.Place, &f.Context.IP, &f.Context.Device} {
				if mask&(1<<bit) != 0 {
					*part = ""
				}
			}
			for _, text := range everyText(For(locale), f) {
				require.NotEmpty(t, text)
				require.NotRegexp(t, odd, text)
			}
		}
	}
}

func TestPartsFromOutsideAreNotFilledThemselves(t *testing.T) {
	t.Parallel()
	f := full()
	f.Brand = "{code} {life}"
	require.Equal(t, "482913 is your {code} {life} code. It expires in 5 minutes. Don't share it.", For("en").CodeText(f, "482913"))
}

func TestLifeIsSaidInWholeUnitsAndNeverTooLong(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		life   time.Duration
		en, de string
	}{
		{5 * time.Minute, "5 minutes", "5 Minuten"},
		{5*time.Minute - 200*time.Millisecond, "5 minutes", "5 Minuten"},
		{4*time.Minute + 20*time.Second, "4 minutes", "4 Minuten"},
		{119 * time.Second, "2 minutes", "2 Minuten"},
		{100 * time.Second, "1 minute", "1 Minute"},
		{58 * time.Second, "1 minute", "1 Minute"},
		{30 * time.Second, "30 seconds", "30 Sekunden"},
		{time.Second, "1 second", "1 Sekunde"},
		{0, "1 second", "1 Sekunde"},
		{-time.Minute, "1 second", "1 Sekunde"},
	} {
		require.Equal(t, c.en, For("en").life(c.life), c.life)
		require.Equal(t, c.de, For("de").life(c.life), c.life)
	}
	for minutes, want := range map[int]string{1: "دقيقة واحدة", 2: "دقيقتين", 3: "3 دقائق", 10: "10 دقائق", 11: "11 دقيقة", 103: "103 دقائق"} {
		require.Equal(t, want, For("ar").life(time.Duration(minutes)*time.Minute))
	}
	require.Equal(t, "5 ثوانٍ", For("ar").life(5*time.Second))
	require.Equal(t, "30 सेकंड", For("hi").life(30*time.Second))
}

func TestSpokenTextNamesWhoWhatAndWhere(t *testing.T) {
	t.Parallel()
	for _, locale := range locales() {
		w := For(locale)
		spoken := w.ApprovalCall(full())
		for _, part := range []string{"Example Bank", "Sign in", "Lyon, France"} {
			require.Contains(t, spoken, part)
		}
		require.NotContains(t, spoken, "203.0.113.7", "digits are spoken only where no place is known")
		f := full()
		f.Context.Place = ""
		require.Contains(t, w.ApprovalCall(f), "203.0.113.7")
		require.Contains(t, w.SpokenCode(full(), "482913"), "4, 8, 2, 9, 1, 3.")
		require.Contains(t, w.SpokenCodeAgain("482913"), "4, 8, 2, 9, 1, 3.")
		for _, key := range []string{"1", "2", "3"} {
			require.Contains(t, w.ApprovalKeys(), key)
		}
		require.Contains(t, w.SpokenCode(full(), "B41832"), ": B, 4, 1, 8, 3, 2.")
		require.Contains(t, w.SpokenCodeAgain("B41832"), ": B, 4, 1, 8, 3, 2.")
		require.Empty(t, w.SpokenFields(full()))
		require.Contains(t, w.SpokenFields(payment()), ": Amount: 49.00 EUR. Payee: Café Lumière.")
		require.Regexp(t, "Example Bank.* Amount: 49.00 EUR. Payee: Café Lumière. .*Sign in.*Lyon", w.ApprovalCall(payment()))
		require.Contains(t, w.NumberKeys(6), "6")
		require.Contains(t, w.NumberKeys(6), "0", "the key of whoever did not ask")
		require.Contains(t, w.OtherNumber(2), "2")
	}
	f := full()
	require.Contains(t, For("en").NumberKeys(2), "To refuse, press star, then hash. If this wasn't you, press 0, then hash.")
	f.Context.Action = "Pay now?"
	require.Contains(t, For("en").ApprovalCall(f), "The request is: Pay now.")
}

func TestAcknowledgementsTellTheDecisionsApart(t *testing.T) {
	t.Parallel()
	for _, locale := range locales() {
		said := map[string]events.Decision{}
		for _, d := range []events.Decision{events.Approve, events.Deny, events.NotMe, "", "something else"} {
			said[For(locale).Acknowledged(d, full())] = d
		}
		require.Len(t, said, 5, locale)
		require.Contains(t, For(locale).Acknowledged(events.NotMe, full()), "Example Bank")
	}
}

func TestMailsAndPushesShowTheFactsAndNoCode(t *testing.T) {
	t.Parallel()
	for _, locale := range locales() {
		w := For(locale)
		require.Contains(t, w.CodeMail(full()).Subject, "Example Bank")
		require.Empty(t, w.CodeMail(full()).Button)
		require.NotEmpty(t, w.LinkMail(full()).Button)
		require.Contains(t, w.CodeMail(full()).Expires, "5 ")
		require.Equal(t, []string{"Sign in", "Lyon, France", "Firefox on Windows", "203.0.113.7"}, values(w.Details(full().Context)))
		require.Empty(t, w.Details(events.Context{}))
		push := w.ApprovalPush(full())
		require.Contains(t, push.Title, "Example Bank")
		require.True(t, strings.HasPrefix(w.ApprovalPush(payment()).Body, "Amount: 49.00 EUR\nPayee: Café Lumière\nSign in · Lyon"))
		require.True(t, strings.HasPrefix(push.Body, "Sign in · Lyon, France · Firefox on Windows. "), push.Body)
	}
}

func TestAPushedCodeIsTheFirstNumberOfItsBody(t *testing.T) {
	t.Parallel()
	for locale, want := range map[string]Push{
		"en": {"Your Example Bank code", "482913 is your Example Bank code. It expires in 5 minutes. Don't share it."},
		"de": {"Ihr Code für Example Bank", "482913 ist Ihr Code für Example Bank. Er läuft in 5 Minuten ab. Geben Sie ihn nicht weiter."},
		"es": {"Su código de Example Bank", "482913 es su clave de Example Bank. Caduca en 5 minutos. No la comparta."},
		"fr": {"Votre code Example Bank", "482913 est votre code Example Bank. Il expire dans 5 minutes. Ne le partagez pas."},
		"pt": {"O seu código para Example Bank", "482913 é o seu PIN para Example Bank. Expira em 5 minutos. Nunca o revele a outra pessoa."},
		"hi": {"आपका Example Bank कोड", "482913 आपका Example Bank कोड है। 5 मिनट तक मान्य। किसी को न दें।"},
		"ar": {"رمزك لدى Example Bank", "482913 رمزك لدى Example Bank. صالح لمدة 5 دقائق. لا تشاركه."},
	} {
		require.Equal(t, want, For(locale).CodePush(full(), "482913"))
		plain := For(locale).CodePush(Facts{Life: time.Minute}, "482913")
		require.NotContains(t, plain.Title, "482913", "a title may be read where the body is hidden")
		require.True(t, strings.HasPrefix(plain.Body, "482913 "), plain.Body)
	}
}

func values(details []Detail) []string {
	var vs []string
	for _, d := range details {
		vs = append(vs, d.Value)
	}
	return vs
}

func TestRepliesAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		reply    string
		decision events.Decision
		ok       bool
	}{
		{"YES", events.Approve, true},
		{" yes! ", events.Approve, true},
		{"\"Yes.\"", events.Approve, true},
		{"Ja", events.Approve, true},
		{"SI", events.Approve, true},
		{"sí", events.Approve, true},
		{"Sí", events.Approve, true},
		{"¡sí!", events.Approve, true},
		{"oui", events.Approve, true},
		{"Sim", events.Approve, true},
		{"Bestätigen", events.Approve, true},
		{"NO", events.Deny, true},
		{"No.", events.Deny, true},
		{"nein", events.Deny, true},
		{"NON", events.Deny, true},
		{"não", events.Deny, true},
		{"NAO", events.Deny, true},
		{"not me", events.NotMe, true},
		{"Wasn’t me", events.NotMe, true},
		{"Das war ich  nicht", events.NotMe, true},
		{"ce n'était pas moi", events.NotMe, true},
		{"It wasn't me!", events.NotMe, true},
		{"Ich war das nicht", events.NotMe, true},
		{"No he sido yo", events.NotMe, true},
		{"Ce n’est pas moi", events.NotMe, true},
		{"Não era eu", events.NotMe, true},
		{"हाँ", events.Approve, true},
		{"हां।", events.Approve, true},
		{"जी हाँ", events.Approve, true},
		{"मंज़ूर", events.Approve, true},
		{"नहीं", events.Deny, true},
		{"यह मैंने नहीं किया", events.NotMe, true},
		{"मैं नहीं", events.NotMe, true},
		{"نعم", events.Approve, true},
		{"«نَعَم»", events.Approve, true},
		{"أوافق", events.Approve, true},
		{"لا", events.Deny, true},
		{"لا!", events.Deny, true},
		{"لم أكن أنا", events.NotMe, true},
		{"لستُ أنا", events.NotMe, true},
		{"हाँ नहीं", "", false},
		{"نعم لا", "", false},
		{"", "", false},
		{"...", "", false},
		{"yes no", "", false},
		{"yesterday", "", false},
		{"no yes", "", false},
		{"STOP", "", false},
		{"stopall", "", false},
		{"UNSUBSCRIBE", "", false},
		{"cancel", "", false},
		{"END", "", false},
		{"quit", "", false},
		{"START", "", false},
		{"HELP", "", false},
		{"ok", "", false},
		{"482913", "", false},
	} {
		d, ok := Decision(c.reply)
		require.Equal(t, c.ok, ok, "%q", c.reply)
		require.Equal(t, c.decision, d, "%q", c.reply)
	}
}

func TestEveryListedReplyIsUnderstoodAsWhatItIsListedFor(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for decision, words := range Replies() {
		for _, word := range words {
			require.False(t, seen[word], "%q is listed twice", word)
			seen[word] = true
			got, ok := Decision(strings.ToUpper(word))
			require.True(t, ok, word)
			require.Equal(t, decision, got, word)
		}
	}
}

// askedFor finds the words to reply with: in capitals, or in quotes where a language has none.
var askedFor = regexp.MustCompile(`\b[A-Z]{2,}\b|“[^”]+”|«[^»]+»`)

func TestTheWordsAskedForAreUnderstood(t *testing.T) {
	t.Parallel()
	for _, lang := range catalog() {
		words := askedFor.FindAllString(lang.words.textReply, -1)
		require.Len(t, words, 2, lang.tag)
		yes, _ := Decision(words[0])
		no, _ := Decision(words[1])
		require.Equal(t, events.Approve, yes)
		require.Equal(t, events.Deny, no)
	}
}

func TestAnyReplyIsReadWithoutHarm(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		reply := rapid.String().Draw(t, "reply")
		d, ok := Decision(reply)
		require.Equal(t, ok, d != "")
		number, isNumber := Number(reply)
		require.Equal(t, isNumber, number != "")
		require.Empty(t, strings.Trim(number, "0123456789"))
		require.False(t, ok && isNumber)
	})
}

func TestANumberInAReplyIsRead(t *testing.T) {
	t.Parallel()
	for reply, want := range map[string]string{
		"47": "47", " 47. ": "47", "4 7": "47", "4-7": "47", "4–7": "47", "YES 47": "47", "47 yes": "47", "yes, 47!": "47", "Yes47": "47",
		"47ja": "47", "sí 47": "47", "Oui : 47": "47", "bestätigen 47": "47", "y 4 7": "47", "\"47\"": "47",
		"٤٧": "47", "۴۷": "47", "४७": "47", "हाँ ४७": "47", "نعم ٤٧": "47", "لا ٤٧": "", "４７": "47", "𝟜𝟟": "47", "\u200f47\u200e": "47",
		"04": "04", "0": "0", "471234": "471234", "12345678901234567": "",
		"": "", "yes": "", "no 47": "", "47 no": "", "not me 47": "", "yesterday 47": "", "47 euros": "", "+47": "", "4+7": "", "47 or 48": "",
		"yes 47 yes": "", "ok 47": "", "½": "", "四七": "", "stop 47": "",
	} {
		digits, ok := Number(reply)
		require.Equal(t, want, digits, "%q", reply)
		require.Equal(t, want != "", ok, "%q", reply)
	}
}

func TestEveryDigitOfUnicodeIsReadAsItself(t *testing.T) {
	t.Parallel()
	for _, zero := range []rune{'0', '٠', '۰', '०', '０', '𝟎', '𝟘', '𝟢', '𞥐'} {
		for i := range rune(10) {
			d, ok := digitOf(zero + i)
			require.True(t, ok)
			require.Equal(t, byte('0'+i), d, string(zero+i))
		}
	}
}
