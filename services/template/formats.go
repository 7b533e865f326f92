package template

import (
	"strconv"
	"strings"
	"time"
	"unicode"

	"golang.org/x/text/currency"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
	"golang.org/x/text/number"
)

// formats writes values as readers of one locale expect them, by the CLDR. It is safe for concurrent use.
type formats struct {
	printer *message.Printer
	base    string // the language
	region  string // empty where the locale names none
	words   calendar
	known   bool // that there are words
	zero    rune // the locale's digit 0
}

func formatsFor(locale string) *formats {
	tag := language.Make(locale)
	base, _ := tag.Base()
	f := &formats{printer: message.NewPrinter(tag), base: base.String(), zero: '0'}
	if region, how := tag.Region(); how == language.Exact {
		f.region = region.String()
	}
	f.words, f.known = calendars()[f.base]
	for _, r := range f.printer.Sprint(number.Decimal(0)) {
		if unicode.IsDigit(r) {
			f.zero = r
		}
	}
	return f
}

// plainSigns replaces the spaces that do not break and the apostrophe of Swiss numbers. They would triple the price
// of a text message, and are read as nothing else.
func plainSigns(s string) string {
	return strings.NewReplacer("\u00a0", " ", "\u202f", " ", "\u2019", "'").Replace(s)
}

// undirected drops the marks that some locales put around signs: values must not turn the direction of text.
func undirected(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.Is(unicode.Bidi_Control, r) {
			return -1
		}
		return r
	}, s)
}

func (f *formats) integer(n int64) string {
	return undirected(plainSigns(f.printer.Sprint(number.Decimal(n))))
}

func (f *formats) number(n float64, most int) string {
	return undirected(plainSigns(f.printer.Sprint(number.Decimal(n, number.MaxFractionDigits(most)))))
}

// money puts the currency's sign where the language has it.
func (f *formats) money(n float64, unit currency.Unit, scale int) string {
	amount := undirected(plainSigns(f.printer.Sprint(number.Decimal(n, number.Scale(scale)))))
	sign := undirected(f.printer.Sprint(currency.Symbol(unit)))
	lettered := strings.ContainsFunc(sign, unicode.IsLetter)
	switch {
	case f.base == "pt" && f.region != "PT", f.base == "nl":
		return sign + " " + amount
	case f.base == "en", f.base == "hi", f.base == "ja", f.base == "zh", f.base == "ko":
		if lettered && sign == unit.String() {
			return sign + " " + amount
		}
		if rest, negative := strings.CutPrefix(amount, "-"); negative {
			return "-" + sign + rest
		}
		return sign + amount
	default:
		return amount + " " + sign
	}
}

// calendar is how a language writes dates and times in their long form.
type calendar struct {
	months [12]string
	// day, at: {d} day, {m} month, {y} year; {date} and {time}.
	day, at string
	// halves are the names of morning and afternoon where there are twelve hours; empty where there are 24.
	halves [2]string
}

// calendars has the languages whose dates are written in words; the others get 2026-11-22 and 14:05.
func calendars() map[string]calendar {
	return map[string]calendar{
		"en": {months: [12]string{"January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November", "December"}, day: "{m} {d}, {y}", at: "{date} at {time}", halves: [2]string{"AM", "PM"}},
		"de": {months: [12]string{"Januar", "Februar", "März", "April", "Mai", "Juni", "Juli", "August", "September", "Oktober", "November", "Dezember"}, day: "{d}. {m} {y}", at: "{date} um {time}"},
		"es": {months: [12]string{"enero", "febrero", "marzo", "abril", "mayo", "junio", "julio", "agosto", "septiembre", "octubre", "noviembre", "diciembre"}, day: "{d} de {m} de {y}", at: "{date}, {time}"},
		"pt": {months: [12]string{"janeiro", "fevereiro", "março", "abril", "maio", "junho", "julho", "agosto", "setembro", "outubro", "novembro", "dezembro"}, day: "{d} de {m} de {y}", at: "{date} às {time}"},
		"fr": {months: [12]string{"janvier", "février", "mars", "avril", "mai", "juin", "juillet", "août", "septembre", "octobre", "novembre", "décembre"}, day: "{d} {m} {y}", at: "{date} à {time}"},
		"hi": {months: [12]string{"जनवरी", "फ़रवरी", "मार्च", "अप्रैल", "मई", "जून", "जुलाई", "अगस्त", "सितंबर", "अक्तूबर", "नवंबर", "दिसंबर"}, day: "{d} {m} {y}", at: "{date} को {time} बजे", halves: [2]string{"am", "pm"}},
		"ar": {months: [12]string{"يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو", "يوليو", "أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر"}, day: "{d} {m} {y}", at: "{date} في {time}", halves: [2]string{"ص", "م"}},
	}
}

// british tells whether English is written as outside of North America: the day first, and 24 hours.
func (f *formats) british() bool {
	if f.base != "en" {
		return false
	}
	switch f.region {
	case "", "US", "CA", "PH":
		return false
	default:
		return true
	}
}

func (f *formats) date(at time.Time) string {
	if !f.known {
		return at.Format(time.DateOnly)
	}
	pattern := f.words.day
	if f.british() {
		pattern = "{d} {m} {y}"
	}
	return strings.NewReplacer(
		"{d}", f.digits(strconv.Itoa(at.Day())), "{m}", f.words.months[at.Month()-1], "{y}", f.digits(strconv.Itoa(at.Year())),
	).Replace(pattern)
}

func (f *formats) time(at time.Time) string {
	if f.words.halves[0] == "" || f.british() {
		return f.digits(at.Format("15:04"))
	}
	half := f.words.halves[0]
	if at.Hour() >= 12 {
		half = f.words.halves[1]
	}
	return f.digits(at.Format("3:04")) + " " + half
}

func (f *formats) dateTime(at time.Time) string {
	if !f.known {
		return f.date(at) + " " + f.time(at)
	}
	return strings.NewReplacer("{date}", f.date(at), "{time}", f.time(at)).Replace(f.words.at)
}

// digits writes digits as the locale does.
func (f *formats) digits(s string) string {
	if f.zero == '0' {
		return s
	}
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' {
			return f.zero + r - '0'
		}
		return r
	}, s)
}
