package httpapi

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/plaintext"
)

// The limits of free text, in characters. They stand in the API document too.
const (
	maxBrand       = 30
	maxContext     = 128
	maxName        = 100
	maxExternalID  = 128
	maxLocale      = 35
	maxPairs       = 16
	maxPairKey     = 40
	maxPairValue   = 256
	maxPushToken   = 4096
	maxEncodedKey  = 256
	maxCodeAsTyped = 64
)

// text checks what is shown to people or echoed: nothing in it may change how the text around it
// reads, on a phone, in a terminal or in a log. Empty is fine; that a field is given is checked before.
func (f *faults) text(field, s string, longest int) {
	if n := utf8.RuneCountInString(s); n > longest {
		f.add(field, fmt.Sprintf("must be at most %d characters, not %d", longest, n))
		return
	}
	for _, r := range s {
		switch {
		case !plaintext.Unshowable(r): // nearly everything
		case r == utf8.RuneError:
			f.add(field, "holds a character that is not valid Unicode")
		case unicode.Is(unicode.Bidi_Control, r):
			f.add(field, "must not hold characters that change the direction of text")
		default:
			f.add(field, "must not hold control characters or line breaks")
		}
	}
}

// sentText is text that goes into messages to strangers: it must not bring a link of its own,
// or the service would deliver anybody's phishing under the brand's name.
func (f *faults) sentText(field, s string, longest int) {
	f.text(field, s, longest)
	if s == "" {
		return
	}
	if strings.TrimSpace(s) == "" {
		f.add(field, "must not be blank")
	}
	if plaintext.HasWebAddress(s) {
		f.add(field, "must not hold a web address")
	}
}

// The limits of the fields that are agreed to.
const (
	maxBound      = 6
	maxFieldLabel = 30
	maxFieldValue = 70
)

// contextFields checks what the person agrees to. It goes into messages, and is signed over.
func (f *faults) contextFields(field string, fields []api.ContextField) {
	if len(fields) > maxBound {
		f.add(field, fmt.Sprintf("must have at most %d fields, not %d", maxBound, len(fields)))
		return
	}
	labels := map[string]bool{}
	for i, one := range fields {
		at := field + "/" + strconv.Itoa(i)
		for _, part := range []struct {
			name, text string
			longest    int
		}{{"label", one.Label, maxFieldLabel}, {"value", one.Value, maxFieldValue}} {
			if part.text == "" {
				f.add(at+"/"+part.name, "must not be empty")
				continue
			}
			f.sentText(at+"/"+part.name, part.text, part.longest)
			f.noMarkup(at+"/"+part.name, part.text)
		}
		if labels[one.Label] {
			f.add(at+"/label", "must be another than those before")
		}
		labels[one.Label] = true
	}
}

// noMarkup refuses what some program between here and the person might take for mark-up: what is approved must read
// the same on every road.
func (f *faults) noMarkup(field, s string) {
	if strings.ContainsAny(s, "<>") {
		f.add(field, "must not hold < or >")
	}
}

// locale checks the form of a BCP 47 tag, not whether there is such a language.
func (f *faults) locale(field, s string) {
	if s == "" {
		return
	}
	const rule = "must be a language tag such as en or pt-BR"
	parts := strings.Split(s, "-")
	if len(s) > maxLocale || len(parts[0]) < 2 || len(parts[0]) > 3 {
		f.add(field, rule)
		return
	}
	for i, p := range parts {
		if len(p) < 1 || len(p) > 8 {
			f.add(field, rule)
			return
		}
		for j := range len(p) {
			c := p[j] | 0x20
			letter, digit := c >= 'a' && c <= 'z', p[j] >= '0' && p[j] <= '9'
			if !letter && (i == 0 || !digit) {
				f.add(field, rule)
				return
			}
		}
	}
}

func (f *faults) metadata(field string, m map[string]string) {
	if len(m) > maxPairs {
		f.add(field, fmt.Sprintf("must have at most %d pairs, not %d", maxPairs, len(m)))
		return
	}
	for key, value := range m {
		if key == "" {
			f.add(field, "must not have an empty key")
		}
		if n := utf8.RuneCountInString(key); n > maxPairKey {
			f.add(join(field, key), fmt.Sprintf("must have a key of at most %d characters, not %d", maxPairKey, n))
		}
		f.text(join(field, key), key, maxPairKey)
		f.text(join(field, key), value, maxPairValue)
	}
}
