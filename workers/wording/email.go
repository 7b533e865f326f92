package wording

import "github.com/assent-io/assent/events"

// Mail is the sentences of one mail, in the order they are read. Markup, code, link and
// table belong to the email channel.
type Mail struct {
	Subject  string
	Headline string
	Lead     string
	// Button labels the link, Address introduces it as text; both are empty in a mail with a code.
	Button, Address string
	Expires         string
	// Keep warns against sharing, Why explains the mail to somebody who did not expect it.
	Keep, Why string
}

// CodeMail is the mail that brings a code. The subject does not hold it: subjects are
// shown on locked screens and kept in logs.
func (w Wording) CodeMail(f Facts) Mail {
	s := w.lang.words
	return Mail{
		Subject:  w.say(s.mailCodeSubject, f),
		Headline: s.mailCodeHeadline,
		Lead:     w.say(s.mailCodeLead, f),
		Expires:  w.plain(s.mailCodeExpires, f),
		Keep:     w.say(s.mailCodeKeep, f),
		Why:      w.say(s.mailCodeWhy, f),
	}
}

// LinkMail is the mail that brings a link to the page where the person decides.
func (w Wording) LinkMail(f Facts) Mail {
	s := w.lang.words
	return Mail{
		Subject:  w.say(s.mailLinkSubject, f),
		Headline: s.mailLinkHeadline,
		Lead:     w.say(s.mailLinkLead, f),
		Button:   s.mailLinkButton,
		Address:  s.mailLinkAddress,
		Expires:  w.plain(s.mailLinkExpires, f),
		Keep:     s.mailLinkKeep,
		Why:      w.say(s.mailLinkWhy, f),
	}
}

// Detail is one fact of a request with its label.
type Detail struct{ Label, Value string }

// Fields are what exactly is agreed to, in the client's order.
func Fields(c events.Context) []Detail {
	fields := make([]Detail, 0, len(c.Fields))
	for _, f := range c.Fields {
		fields = append(fields, Detail(f))
	}
	return fields
}

// Details are the known facts of a request, what is asked first.
func (w Wording) Details(c events.Context) []Detail {
	l := w.lang.words.labels
	all := []Detail{{l.action, c.Action}, {l.place, c.Place}, {l.device, c.Device}, {l.network, c.IP}}
	var known []Detail
	for _, d := range all {
		if d.Value != "" {
			known = append(known, d)
		}
	}
	return known
}
