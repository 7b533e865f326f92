package sandbox

import (
	"html"
	"regexp"
	"strings"
)

// patterns find codes and links, so that tests need no regular expressions of their own.
type patterns struct {
	link, noise, code, approval, spoken *regexp.Regexp
}

func compilePatterns() patterns {
	return patterns{
		link: regexp.MustCompile(`https?://[^\s<>"']*?/l/[A-Za-z0-9_-]+`),
		// Digits that are no code: URLs, mail addresses, IP addresses, phone numbers, amounts, times.
		noise: regexp.MustCompile(`https?://\S+|\S+@\S+|\b\d{1,3}(?:\.\d{1,3}){3}\b|\b[0-9A-Fa-f]{0,4}(?::[0-9A-Fa-f]{0,4}){2,}\b|\+\d[\d ().-]*\d|[€$£]\s?[\d.,]+|\b\d+[.,]\d+\b|\b\d{1,2}:\d{2}\b`),
		// Digits, or a letter that nobody takes for a digit with five of them.
		code: regexp.MustCompile(`(?:^|[^\pL\d_/#-])(\d{4,10}|[A-HJ-NP-RT-Y]\d{5})(?:[^\pL\d_/-]|$)`),
		// An approval asks for one of two words, or for a number that it does not tell, and carries no code.
		approval: regexp.MustCompile(`\b(?:YES|JA|OUI|SI|SIM)\b[\s\S]*\b(?:NO|NEIN|NON|NAO)\b|` +
			`\b(?:NO to refuse|NEIN zum Ablehnen|NO para rechazar|NON pour refuser|NAO para recusar)\b`),
		// A spoken code is single digits with a pause after each, and may begin with a letter.
		spoken: regexp.MustCompile(`(?:\b[A-HJ-NP-RT-Y][,.;…]?\s+)?\b\d(?:[,.;…]?\s+\d){3,9}\b`),
	}
}

// linkIn is the first link to an accept page in a text, or in a mail's HTML.
func (p patterns) linkIn(text, htmlPart string) string {
	if l := p.link.FindString(text); l != "" {
		return l
	}
	return html.UnescapeString(p.link.FindString(htmlPart))
}

// codeIn is the first number of 4 to 10 digits, or code such as B41832, that stands alone in a written text.
func (p patterns) codeIn(text string) string {
	if p.link.MatchString(text) || p.approval.MatchString(text) {
		return ""
	}
	if m := p.code.FindStringSubmatch(p.noise.ReplaceAllString(text, " ~ ")); m != nil {
		return m[1]
	}
	return ""
}

// codePushed is the code that an app gets beside the text that it shows.
func (p patterns) codePushed(data map[string]string) string {
	if m := p.code.FindStringSubmatch(data["code"]); m != nil && m[1] == data["code"] {
		return m[1]
	}
	return ""
}

// codeSpoken is the last code that a call read out, digit by digit or as one number.
func (p patterns) codeSpoken(lines []string) string {
	for i := len(lines) - 1; i >= 0; i-- {
		if all := p.spoken.FindAllString(lines[i], -1); len(all) > 0 {
			return signsOf(all[len(all)-1])
		}
	}
	// Some scripts say each digit on its own, with a pause after it.
	run := ""
	for i := len(lines) - 1; i >= 0; i-- {
		if d := digitsOf(lines[i]); len(d) == 1 && len(strings.Trim(lines[i], " ,.;…")) == 1 {
			run = d + run
			continue
		}
		if len(run) >= 4 {
			break
		}
		run = ""
	}
	if len(run) >= 4 && len(run) <= 10 {
		return run
	}
	return ""
}

// signsOf is a spoken code without what stands between its digits.
func signsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r >= '0' && r <= '9' || r >= 'A' && r <= 'Z' {
			return r
		}
		return -1
	}, s)
}

func digitsOf(s string) string {
	return strings.Map(func(r rune) rune {
		if r < '0' || r > '9' {
			return -1
		}
		return r
	}, s)
}
