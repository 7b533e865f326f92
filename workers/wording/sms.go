package wording

// CodeText is the text message that brings a code. The code is its first run of digits.
func (w Wording) CodeText(f Facts, code string) string {
	return gsmText(w.say(w.lang.words.textCode, f, "{code}", code))
}

// LinkText is the text message that brings a link. Who asks always stands in it; what and
// from where stand in it as far as one message has room, because the page shows them too.
func (w Wording) LinkText(f Facts, link string) string {
	ask := w.say(w.lang.words.textAsk, f)
	answer := w.plain(w.lang.words.textAnswer, f, "{link}", link)
	return shortest(
		paragraph(ask, request(f.Context.Action, f.Context.Place, f.Context.IP), answer),
		paragraph(ask, request(f.Context.Action, f.Context.Place, ""), answer),
		paragraph(ask, request(f.Context.Action, "", ""), answer),
		paragraph(ask, answer),
	)
}

// ApprovalText is the text message that is answered by a reply. Its reader sees nothing
// else, so what is asked and from where is never left out, even where that takes a
// second message; the network address and the expiry are.
func (w Wording) ApprovalText(f Facts) string {
	ask := w.say(w.lang.words.textAsk, f)
	reply := w.plain(w.lang.words.textReply, f)
	expires := w.plain(w.lang.words.textExpires, f)
	place := f.Context.Place
	if place == "" {
		place = f.Context.IP
	}
	return shortest(
		paragraph(ask, request(f.Context.Action, f.Context.Place, f.Context.IP), reply, expires),
		paragraph(ask, request(f.Context.Action, place, ""), reply, expires),
		paragraph(ask, request(f.Context.Action, place, ""), reply),
	)
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
func shortest(texts ...string) string {
	var text string
	for _, t := range texts {
		if text = gsmText(t); single(text) {
			return text
		}
	}
	return text
}
