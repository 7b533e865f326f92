package wording

// Push is the visible text of a push. It never holds a code: it shows on locked screens.
type Push struct{ Title, Body string }

// ApprovalPush asks for an approval: who asks in the title, what and from where in the body.
func (w Wording) ApprovalPush(f Facts) Push {
	c := f.Context
	return Push{
		Title: w.say(w.lang.words.pushTitle, f),
		Body:  paragraph(sentence(join(" · ", c.Action, c.Place, c.Device)), w.lang.words.pushBody),
	}
}
