package wording

// Push is the visible text of a push. It shows on locked screens, as text messages do.
type Push struct{ Title, Body string }

// CodePush brings a code, in the words of a text message: the person reads it where it arrives. The
// title names who it is for, as a mail's subject does.
func (w Wording) CodePush(f Facts, code string) Push {
	return Push{
		Title: w.say(w.lang.words.mailCodeSubject, f),
		Body:  w.code(f, code),
	}
}

// ApprovalPush asks for an approval: who asks in the title, what exactly is agreed to and from where in the body.
func (w Wording) ApprovalPush(f Facts) Push {
	c := f.Context
	return Push{
		Title: w.say(w.lang.words.pushTitle, f),
		Body:  join("\n", f.fields(), paragraph(sentence(join(" · ", c.Action, c.Place, c.Device)), w.lang.words.pushBody)),
	}
}
