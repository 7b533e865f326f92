// Package wording is the one catalog of the sentences that people read and hear
// in messages: texts, calls, mails and pushes, by language. It holds words and
// how they are filled, nothing else: no markup, no provider, no decision. The
// channels (sms, voice, email, push) call it; the accept page has its own words.
//
// Every entry is a whole sentence with named parts. Sentences of text messages
// use only letters of the GSM 7-bit alphabet, because one letter outside it
// cuts the room for a message from 160 letters to 70. Hindi and Arabic have no
// letter inside it: their sentences are short instead.
package wording

import (
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/text/feature/plural"
	"golang.org/x/text/language"

	"github.com/assent-io/assent/events"
)

// Facts are the named parts of sentences, except secrets: those are passed to
// the one method that shows them. Every part may be empty.
type Facts struct {
	// Brand is who asks. Without one, sentences are chosen that name nobody.
	Brand   string
	Context events.Context
	// Life is how long the person still has to answer.
	Life time.Duration
}

// Wording is the sentences of one language. The zero value is not usable; see For.
type Wording struct {
	lang   *tongue
	speech string
}

// tongue is one language of the catalog.
type tongue struct {
	tag language.Tag
	// speech is the language that calls are spoken in, accents the regional ones that may replace it.
	speech  string
	accents []string
	// fromRight says that the language is written from the right.
	fromRight bool
	words     sentences
}

// For chooses the sentences for a BCP 47 locale: its own language, else a close
// one, else English. It never fails.
func For(locale string) Wording {
	tongues := catalog()
	wanted, err := language.Parse(locale)
	if locale == "" || err != nil {
		return Wording{lang: tongues[0], speech: tongues[0].speech}
	}
	_, best, sure := languages.Match(wanted)
	if sure == language.No {
		best = 0
	}
	chosen := tongues[best]
	w := Wording{lang: chosen, speech: chosen.speech}
	for _, accent := range chosen.accents {
		if a := language.MustParse(accent); sameRegion(a, wanted) {
			w.speech = accent
		}
	}
	return w
}

func sameRegion(a, b language.Tag) bool {
	aLang, _ := a.Base()
	bLang, _ := b.Base()
	aRegion, _ := a.Region()
	bRegion, _ := b.Region()
	return aLang == bLang && aRegion == bRegion
}

// Language is the BCP 47 tag of the sentences, for Content-Language and lang attributes.
func (w Wording) Language() string { return w.lang.tag.String() }

// Direction is the one that they are written in, ltr or rtl, as HTML names it.
func (w Wording) Direction() string {
	if w.lang.fromRight {
		return "rtl"
	}
	return "ltr"
}

// SpeechLanguage is the tag for a voice that reads them, in the providers' form, such as de-DE.
func (w Wording) SpeechLanguage() string { return w.speech }

// SpokenLanguage is the tag for a voice that reads a text of others in this locale, which may be of a language
// that Assent has no sentences in.
func SpokenLanguage(locale string) string {
	tag, err := language.Parse(locale)
	if err != nil || tag.IsRoot() {
		return For(locale).SpeechLanguage()
	}
	base, _ := tag.Base()
	words := For(locale)
	if own, _ := words.lang.tag.Base(); own == base {
		return words.SpeechLanguage()
	}
	region, _ := tag.Region()
	return base.String() + "-" + region.String()
}

// line is one sentence, or two that stand together: one that names the brand, and
// one for when there is none to name.
type line struct{ named, plain string }

// say fills a sentence in one pass, so that a part never gets filled itself.
func (w Wording) say(l line, f Facts, more ...string) string {
	sentence := l.named
	if f.Brand == "" {
		sentence = l.plain
	}
	parts := append([]string{
		"{brand}", f.Brand,
		"{action}", f.Context.Action,
		"{place}", f.Context.Place,
		"{ip}", f.Context.IP,
		"{life}", w.life(f.Life),
	}, more...)
	return strings.NewReplacer(parts...).Replace(sentence)
}

func (w Wording) plain(sentence string, f Facts, more ...string) string {
	return w.say(line{named: sentence, plain: sentence}, f, more...)
}

// grace lets 4 minutes 57 seconds, which is 5 minutes on its way, read as 5 minutes.
const grace = 5 * time.Second

// life says a length of time in whole minutes or seconds, never more than is left
// by more than the grace.
func (w Wording) life(d time.Duration) string {
	n, words := int((d+grace)/time.Minute), w.lang.words.minutes
	if n < 1 {
		n, words = max(int(d/time.Second), 1), w.lang.words.seconds
	}
	sentence, ok := words[plural.Cardinal.MatchPlural(w.lang.tag, n, 0, 0, 0, 0)]
	if !ok {
		sentence = words[plural.Other]
	}
	return strings.Replace(sentence, "{n}", strconv.Itoa(n), 1)
}

// sentence ends a text from outside as a sentence, unless it already ends as one.
func sentence(text string) string {
	end, _ := utf8.DecodeLastRuneInString(text)
	if text == "" || strings.ContainsRune(".?!।؟", end) {
		return text
	}
	return text + "."
}

// paragraph joins whole sentences and leaves out the empty ones.
func paragraph(sentences ...string) string {
	return join(" ", sentences...)
}

func join(between string, parts ...string) string {
	var b strings.Builder
	for _, p := range parts {
		if p == "" {
			continue
		}
		if b.Len() > 0 {
			b.WriteString(between)
		}
		b.WriteString(p)
	}
	return b.String()
}
