package wording

import "strings"

// CodeText is the text message that brings a code, with the fields that it is for. The code is its first run of
// digits.
func (w Wording) CodeText(f Facts, code string) string { return f.gsmText(w.code(f, code)) }

func (w Wording) code(f Facts, code string) string {
	if len(f.Context.Fields) == 0 {
		return w.say(w.lang.words.textCode, f, "{code}", code)
	}
	return w.say(w.lang.words.textCodeFor, f, "{code}", code, "{fields}", f.fields())
}

// LinkText is the text message that brings a link. Who asks and the fields always stand in it; what and
// from where stand in it as far as one message has room, because the page shows them too.
func (w Wording) LinkText(f Facts, link string) string {
	ask := w.say(w.lang.words.textAsk, f)
	answer := w.plain(w.lang.words.textAnswer, f, "{link}", link)
	return f.shortest(
		f.text(ask, request(f.Context.Action, f.Context.Place, f.Context.IP), answer),
		f.text(ask, request(f.Context.Action, f.Context.Place, ""), answer),
		f.text(ask, request(f.Context.Action, "", ""), answer),
		f.text(ask, answer),
	)
}

// ApprovalText is the text message that is answered by a reply: with yes, or with the number on the person's
// screen where one is to be matched. Its reader sees nothing else, so what is asked and from where is never left
// out, even where that takes a second message; the network address and the expiry are.
func (w Wording) ApprovalText(f Facts, number bool) string {
	ask := w.say(w.lang.words.textAsk, f)
	reply := w.lang.words.textReply
	if number {
		reply = w.lang.words.textNumber
	}
	expires := w.plain(w.lang.words.textExpires, f)
	place := f.Context.Place
	if place == "" {
		place = f.Context.IP
	}
	return f.shortest(
		f.text(ask, request(f.Context.Action, f.Context.Place, f.Context.IP), reply, expires),
		f.text(ask, request(f.Context.Action, place, ""), reply, expires),
		f.text(ask, request(f.Context.Action, place, ""), reply),
	)
}

// fields are what is agreed to, each on a line of its own: a value is one line, so none can look like another field.
func (f Facts) fields() string {
	var lines []string
	for _, field := range f.Context.Fields {
		lines = append(lines, field.Label+": "+field.Value)
	}
	return strings.Join(lines, "\n")
}

// text is a first sentence, the fields where there are any, and the other sentences.
func (f Facts) text(first string, others ...string) string {
	if len(f.Context.Fields) == 0 {
		return paragraph(append([]string{first}, others...)...)
	}
	return join("\n", first, f.fields(), paragraph(others...))
}

// request puts the facts of a request in a row: "Sign in - Lyon, France (203.0.113.7)."
// They come from outside in any language, so no grammar connects them.
func request(action, place, ip string) string {
	switch {
	case place == "":
		place = ip
	case ip != "":
		place += " (" + ip + ")"
	}
	return sentence(join(" - ", action, place))
}

// shortest is the first of the texts that fits one message, or the last one.
func (f Facts) shortest(texts ...string) string {
	var text string
	for _, t := range texts {
		if text = f.gsmText(t); single(text) {
			return text
		}
	}
	return text
}

// gsmText is gsmText, except that no letter of a field is written in another way: what is shown is what is signed.
func (f Facts) gsmText(text string) string {
	if fields := f.fields(); plainLetters(fields) != plainSigns(fields) {
		return text
	}
	return gsmText(text)
}
