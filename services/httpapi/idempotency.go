package httpapi

import (
	"net/http"
	"strings"

	"github.com/assent-io/assent/api"
)

const maxIdempotencyKey = 255

// idempotencyKey reads the header in both forms in use: a structured field string in quotes, and
// bare. The two are the same key. Empty without the header.
func idempotencyKey(h http.Header) (string, error) {
	values := h.Values("Idempotency-Key")
	if len(values) == 0 {
		return "", nil
	}
	key := strings.TrimSpace(values[0])
	if strings.HasPrefix(key, `"`) {
		var ok bool
		if key, ok = unquoteString(key); !ok {
			key = "" // refused below
		}
	}
	if len(values) > 1 || key == "" || len(key) > maxIdempotencyKey || !visibleASCII(key) {
		return "", &refusal{code: api.ProblemCodeInvalidHeader, faults: faults{{
			Header: "Idempotency-Key", Detail: "must be one string of 1 to 255 visible ASCII characters",
		}}}
	}
	return key, nil
}

// unquoteString reads an RFC 8941 string: quotes around it, backslash before a quote or backslash.
func unquoteString(s string) (string, bool) {
	if len(s) < 2 || s[len(s)-1] != '"' {
		return "", false
	}
	s = s[1 : len(s)-1]
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '"':
			return "", false
		case '\\':
			if i++; i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
			b.WriteByte(s[i])
		default:
			b.WriteByte(c)
		}
	}
	return b.String(), true
}
