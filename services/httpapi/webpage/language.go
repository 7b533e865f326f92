package webpage

import (
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"golang.org/x/text/language"
)

// Language is one that pages are written in.
type Language struct {
	Tag    string // BCP 47
	Name   string // in the language itself
	Dir    string // ltr or rtl, as HTML names it
	Months [12]string
}

// The languages of the pages. The months are short as CLDR has them, but where that is no shorter.
var (
	English = Language{"en", "English", "ltr", [12]string{
		"Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec",
	}}
	German = Language{"de", "Deutsch", "ltr", [12]string{
		"Jan.", "Feb.", "März", "Apr.", "Mai", "Juni", "Juli", "Aug.", "Sept.", "Okt.", "Nov.", "Dez.",
	}}
	Spanish = Language{"es", "Español", "ltr", [12]string{
		"ene", "feb", "mar", "abr", "may", "jun", "jul", "ago", "sept", "oct", "nov", "dic",
	}}
	French = Language{"fr", "Français", "ltr", [12]string{
		"janv.", "févr.", "mars", "avr.", "mai", "juin", "juil.", "août", "sept.", "oct.", "nov.", "déc.",
	}}
	Portuguese = Language{"pt", "Português", "ltr", [12]string{
		"jan.", "fev.", "mar.", "abr.", "maio", "jun.", "jul.", "ago.", "set.", "out.", "nov.", "dez.",
	}}
	Hindi = Language{"hi", "हिन्दी", "ltr", [12]string{
		"जन॰", "फ़र॰", "मार्च", "अप्रैल", "मई", "जून", "जुल॰", "अग॰", "सित॰", "अक्टू॰", "नव॰", "दिस॰",
	}}
	Arabic = Language{"ar", "العربية", "rtl", [12]string{
		"يناير", "فبراير", "مارس", "أبريل", "مايو", "يونيو", "يوليو", "أغسطس", "سبتمبر", "أكتوبر", "نوفمبر", "ديسمبر",
	}}
)

// Self is the language of whatever embeds it.
func (l Language) Self() Language { return l }

// Date is a day in words: form names {day} and {month}, and may name {year}.
func (l Language) Date(form string, t time.Time) string {
	t = t.UTC()
	return strings.NewReplacer("{day}", strconv.Itoa(t.Day()), "{month}", l.Months[t.Month()-1], "{year}", strconv.Itoa(t.Year())).Replace(form)
}

// Catalog is what a page says in each language. The first is for everybody whose language it lacks.
type Catalog[W interface{ Self() Language }] struct {
	wordings []W
	matcher  language.Matcher // made once because making it is slow
}

// NewCatalog makes a catalog of at least one wording.
func NewCatalog[W interface{ Self() Language }](wordings ...W) Catalog[W] {
	tags := make([]language.Tag, len(wordings))
	for i, w := range wordings {
		tags[i] = language.Make(w.Self().Tag)
	}
	return Catalog[W]{wordings, language.NewMatcher(tags)}
}

// All lists the wordings.
func (c Catalog[W]) All() []W { return c.wordings }

// Chosen is the language that the person chose by a link of the page; empty where they chose none.
func (c Catalog[W]) Chosen(r *http.Request) string {
	if i := c.chosen(r); i >= 0 {
		return c.wordings[i].Self().Tag
	}
	return ""
}

func (c Catalog[W]) chosen(r *http.Request) int {
	tag := r.URL.Query().Get("lang")
	return slices.IndexFunc(c.wordings, func(w W) bool { return w.Self().Tag == tag })
}

// For is the wording for a request: of the language that the person chose, else of the locale, else of what the browser asks
// for.
func (c Catalog[W]) For(r *http.Request, locale string) W {
	if i := c.chosen(r); i >= 0 {
		return c.wordings[i]
	}
	if wanted, err := language.Parse(locale); err == nil {
		if _, i, confidence := c.matcher.Match(wanted); confidence >= language.Low {
			return c.wordings[i]
		}
	}
	wanted, _, err := language.ParseAcceptLanguage(r.Header.Get("Accept-Language"))
	if err != nil {
		return c.wordings[0]
	}
	_, i, _ := c.matcher.Match(wanted...)
	return c.wordings[i]
}

// Others are links to the page that was asked for in the other languages.
func (c Catalog[W]) Others(r *http.Request, than Language) []Translation {
	links, query := make([]Translation, 0, len(c.wordings)), r.URL.Query()
	for _, w := range c.wordings {
		if l := w.Self(); l.Tag != than.Tag {
			query.Set("lang", l.Tag)
			links = append(links, Translation{l.Tag, l.Name, "?" + query.Encode()})
		}
	}
	return links
}
