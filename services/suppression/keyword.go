package suppression

import (
	"slices"
	"strings"
	"unicode"
)

// Keyword is what a text message from a person asks of the list.
type Keyword string

// The keywords; the zero value is none.
const (
	KeywordStop  Keyword = "stop"
	KeywordStart Keyword = "start"
	KeywordHelp  Keyword = "help"
)

// Stops are the replies that end messages. The English ones are Twilio's defaults since 2025 (its help
// page "Twilio support for opt-out keywords"), which follow the CTIA's handbook and 47 CFR 64.1200(a)(10);
// the others are what people write in their own language, and what senders there offer them: France's
// carriers prescribe STOP alone and its people write ARRET. Answers to a question (yes, no) are not
// among them, nor words that a sentence begins with.
func Stops() []string {
	return []string{
		"stop", "stopall", "stop all", "unsubscribe", "cancel", "end", "quit", "revoke", "optout", "opt out", // English
		"stopp", "abmelden", "abbestellen", // German; Swedish and Norwegian write stopp too
		"arret", "arrêt", "arreter", "arrêter", "desabonner", "désabonner", "desinscrire", "désinscrire", // French
		"alto", "parar", "baja", "cancelar", // Spanish; the last is Portuguese too
		"pare", "sair", // Portuguese
		"annulla", "ferma", "cancellami", // Italian
		"afmelden", "stoppen", // Dutch
		"avsluta", "avregistrera", // Swedish
		"stans",                                      // Norwegian
		"wypisz", "rezygnuje", "rezygnuję", "koniec", // Polish
		"dur", "iptal", "durdur", // Turkish
		"стоп", "отписаться", "отписка", // Russian
		"रोकें", "बंद", "बंद करो", // Hindi
		"توقف", "ايقاف", "إيقاف", "الغاء", "إلغاء", // Arabic
		"停止", "退订", "退訂", "取消", // Chinese; the first is Japanese too
		"중지", "수신거부", // Korean
	}
}

// Starts are the replies that take a stop back. Twilio takes YES for one too; here that is an answer.
func Starts() []string {
	return []string{
		"start", "unstop", "optin", "opt in", "resume", // English; START and UNSTOP are Twilio's
		"anmelden", "starten", // German; the last is Dutch too
		"demarrer", "démarrer", "reprendre", // French
		"iniciar", "comenzar", "alta", // Spanish; the first is Portuguese too
		"comecar", "começar", // Portuguese
		"inizia",       // Italian
		"aanmelden",    // Dutch
		"basla",        // Turkish
		"başla",        // Turkish
		"старт",        // Russian
		"शुरू",         // Hindi
		"ابدأ", "ابدا", // Arabic
		"开始", "開始", // Chinese; the last is Japanese too
		"시작", // Korean
	}
}

// longest is how long a reply may be that is looked at, in bytes. A keyword stands alone.
const longest = 96

// KeywordOf reads a reply by text message. Only a whole reply counts, whatever its case, spaces,
// punctuation and emoji: a sentence that merely holds the word stop ends nothing.
func KeywordOf(reply string) Keyword {
	if len(reply) > longest {
		return ""
	}
	word := reduce(reply)
	if word == "" {
		return ""
	}
	same := func(keyword string) bool { return reduce(keyword) == word }
	switch {
	case slices.ContainsFunc(Stops(), same):
		return KeywordStop
	case slices.ContainsFunc(Starts(), same):
		return KeywordStart
	default:
		return ""
	}
}

// reduce keeps the letters and digits, in lower case, and the marks that belong to one script, which are its vowels.
// Marks that go with any script fall away: those that choose how an emoji looks, and accents that stand as
// characters of their own, so that an accent counts the same in both of its forms where the table has the word
// without it.
func reduce(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.In(r, unicode.L, unicode.Nd, unicode.M) || unicode.Is(unicode.Inherited, r) {
			return -1
		}
		return unicode.ToLower(r)
	}, s)
}
