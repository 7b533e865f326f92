package sandbox

import (
	"fmt"
	"mime"
	"slices"
	"strings"
	"time"
	"unicode"
)

// faults checks a mail as SendGrid does before it takes it. All faults are reported together.
func (m *mailSend) faults(now time.Time) []sendGridError {
	var errs []sendGridError
	add := func(field, format string, args ...any) { errs = append(errs, mailFault(field, format, args...)) }
	switch {
	case m.From == nil:
		add("from.email", "The from object must be provided for every email send. It is an object that requires the email parameter, but may also contain a name parameter.")
	case !validMailbox(*m.From):
		add("from.email", "The from email does not contain a valid address.")
	}
	if n := len(m.Personalizations); n == 0 || n > maxRecipients {
		add("personalizations", "The personalizations field is required and must have at least one and at most %d personalizations.", maxRecipients)
	}
	templated := m.TemplateID != ""
	for i := range m.Personalizations {
		errs = append(errs, m.Personalizations[i].faults(i, m.Subject != "" || templated, m.CustomArgs, now)...)
	}
	if m.ReplyTo != nil && m.ReplyToList != nil {
		add("reply_to", "You can use either reply_to or reply_to_list, but not both.")
	}
	if m.ReplyTo != nil && !validMailbox(*m.ReplyTo) {
		add("reply_to.email", "The reply_to email does not contain a valid address.")
	}
	errs = append(errs, m.contentFaults(templated)...)
	errs = append(errs, headerFaults("headers", m.Headers)...)
	if len(m.Categories) > maxCategories {
		add("categories", "The number of categories exceeds %d.", maxCategories)
	}
	for i, c := range m.Categories {
		if len(c) > 255 || slices.Contains(m.Categories[:i], c) {
			add("categories", "Categories must be unique and no longer than 255 characters.")
		}
	}
	if m.SendAt != 0 && time.Unix(m.SendAt, 0).After(now.Add(scheduleWithin)) {
		add("send_at", "Scheduling more than 72 hours in advance is forbidden")
	}
	if m.ASM != nil && m.ASM.GroupID == nil {
		add("asm.group_id", "The asm group_id is required.")
	}
	if n := len(m.IPPoolName); m.IPPoolName != "" && (n < 2 || n > 64) {
		add("ip_pool_name", "The ip_pool_name must be 2 to 64 characters.")
	}
	for i, a := range m.Attachments {
		if a.Content == "" || a.Filename == "" {
			add(fmt.Sprintf("attachments.%d", i), "The attachment content and filename are required.")
		}
		if a.Disposition != "" && a.Disposition != "inline" && a.Disposition != "attachment" {
			add(fmt.Sprintf("attachments.%d.disposition", i), "The attachment disposition must be inline or attachment.")
		}
	}
	return errs
}

func (p *personalization) faults(i int, subject bool, args map[string]string, now time.Time) []sendGridError {
	var errs []sendGridError
	at := fmt.Sprintf("personalizations.%d.", i)
	add := func(field, format string, a ...any) { errs = append(errs, mailFault(at+field, format, a...)) }
	if len(p.To) == 0 {
		add("to", "The to array is required for all personalization objects, and must have at least one email object with a valid email address.")
	}
	if len(p.To)+len(p.CC)+len(p.BCC) > maxRecipients {
		add("to", "There may be at most %d recipients.", maxRecipients)
	}
	seen := map[string]bool{}
	for _, list := range []struct {
		name string
		all  []mailbox
	}{{"to", p.To}, {"cc", p.CC}, {"bcc", p.BCC}} {
		for j, one := range list.all {
			if !validMailbox(one) {
				add(fmt.Sprintf("%s.%d.email", list.name, j), "Does not contain a valid address.")
			} else if key := strings.ToLower(one.Email); seen[key] {
				add(list.name, "Each email address in the personalization block should be unique between to, cc, and bcc.")
			} else {
				seen[key] = true
			}
		}
	}
	if p.From != nil && !validMailbox(*p.From) {
		add("from.email", "The from email does not contain a valid address.")
	}
	if p.Subject == "" && !subject {
		errs = append(errs, mailFault("subject", "The subject is required. You can get around this requirement if you use a template with a subject defined or if every personalization has a subject defined."))
	}
	size := 0
	for _, set := range []map[string]string{args, p.CustomArgs} {
		for k, v := range set {
			size += len(k) + len(v)
		}
	}
	if size > maxCustomArgs {
		add("custom_args", "The custom arguments exceed the limit of %d bytes.", maxCustomArgs)
	}
	if p.SendAt != 0 && time.Unix(p.SendAt, 0).After(now.Add(scheduleWithin)) {
		add("send_at", "Scheduling more than 72 hours in advance is forbidden")
	}
	return append(errs, headerFaults(at+"headers", p.Headers)...)
}

func (m *mailSend) contentFaults(templated bool) []sendGridError {
	var errs []sendGridError
	if templated {
		return append(errs, mailFault("template_id", "The sandbox has no templates: send content."))
	}
	if len(m.Content) == 0 {
		return append(errs, mailFault("content", "Unless a valid template_id is provided, the content parameter is required. There must be at least one defined content block. We typically suggest both text/plain and text/html blocks are included, but only one block is required."))
	}
	rank := map[string]int{"text/plain": 1, "text/x-amp-html": 2, "text/html": 3}
	last := 0
	for i, c := range m.Content {
		field := fmt.Sprintf("content.%d.", i)
		kind, _, err := mime.ParseMediaType(c.Type)
		if err != nil {
			errs = append(errs, mailFault(field+"type", "The content type must be a valid MIME type."))
			continue
		}
		if c.Value == "" {
			errs = append(errs, mailFault(field+"value", "The content value must be a string at least one character in length."))
		}
		now, known := rank[kind]
		if !known {
			now = 4
		}
		if now < last || (known && now == last) {
			errs = append(errs, mailFault("content", "If present, text/plain and text/html may only be provided once, and text/plain must come first, then text/html."))
		}
		last = now
	}
	return errs
}

func headerFaults(field string, headers map[string]string) []sendGridError {
	reserved := []string{
		"x-sg-id", "x-sg-eid", "received", "dkim-signature", "content-type", "content-transfer-encoding",
		"to", "from", "subject", "reply-to", "cc", "bcc",
	}
	var errs []sendGridError
	for k, v := range headers {
		if slices.Contains(reserved, strings.ToLower(k)) {
			errs = append(errs, mailFault(field, "The header %s is reserved.", k))
		}
		if strings.ContainsFunc(k, func(r rune) bool { return r > unicode.MaxASCII || r <= ' ' || r == ':' }) || strings.ContainsFunc(v, func(r rune) bool { return r > unicode.MaxASCII || r < ' ' }) {
			errs = append(errs, mailFault(field, "The header %s must be ASCII without line breaks.", k))
		}
	}
	return errs
}
