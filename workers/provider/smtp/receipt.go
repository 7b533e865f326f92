package smtp

import (
	"regexp"
	"slices"
	"strings"
)

// token is a queue id as mail servers write them. A number alone is none: it might be a code.
var token = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{5,63}$`)

// queueID finds the name under which the server queued the mail, by which its log is searched.
// There is no rule for where it stands, only habits; an answer with other habits has none.
func queueID(answer string) string {
	line, _, _ := strings.Cut(answer, "\n")
	words := strings.Fields(enhancedForm.ReplaceAllString(line, ""))
	found := ""
	for i, word := range words {
		rest := words[i+1:]
		switch {
		case strings.HasPrefix(word, "id="): // Exim: OK id=1tXyz-000000001Ab-2cDe
			found = strings.TrimPrefix(word, "id=")
		case strings.EqualFold(word, "queued") && len(rest) > 1 && strings.EqualFold(rest[0], "as"):
			found = rest[1] // Postfix: Ok: queued as 4F1B2C3D4E
		case i == 0 && slices.Equal(rest, []string{"Message", "accepted", "for", "delivery"}):
			found = word // Sendmail and OpenSMTPD: 58LCa1b2 Message accepted for delivery
		case i == 0 && strings.EqualFold(word, "ok") && len(rest) == 1:
			found = rest[0] // Amazon SES: Ok 0100018f-…-000000
		}
	}
	if !token.MatchString(found) || !strings.ContainsAny(found, "0123456789") || strings.Trim(found, "0123456789") == "" {
		return ""
	}
	return found
}
