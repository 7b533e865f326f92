package enrolment

import "slices"

// What one link may be used for at most, in whatever browsers.
const (
	// maxAsked messages that ask for a fresh proof and were not answered with one, of them maxPushed pushes: each takes the
	// place of what the client asks, and who has the link only answers none.
	maxAsked  = 5
	maxPushed = 2
	// maxBegun devices, whether or not something came of them: each is a few records.
	maxBegun = 30
)

// Asking is a message that asks for a fresh proof.
type Asking struct {
	// ID is that of the verification.
	ID   string `json:"id"`
	Push bool   `json:"push,omitempty"`
}

// Ask counts a message that is about to ask for a fresh proof. It fails with ErrAsked or ErrPushed where no more are sent.
func (l *Link) Ask(a Asking) error {
	if len(l.Asked) >= maxAsked {
		return ErrAsked
	}
	pushed := 0
	for _, before := range l.Asked {
		if before.Push {
			pushed++
		}
	}
	if a.Push && pushed >= maxPushed {
		return ErrPushed
	}
	l.Asked = append(l.Asked, a)
	return nil
}

// Begin counts a device that is about to be begun. It fails with ErrBegun where no more are.
func (l *Link) Begin() error {
	if l.Begun >= maxBegun {
		return ErrBegun
	}
	l.Begun++
	return nil
}

// Unask takes back a message that was not sent.
func (l *Link) Unask(a Asking) {
	for i := len(l.Asked) - 1; i >= 0; i-- {
		if l.Asked[i] == a {
			l.Asked = slices.Delete(l.Asked, i, i+1)
			return
		}
	}
}

// Proved takes out what asked for a proof that was given: it was the person.
func (l *Link) Proved(verificationID string) {
	l.Asked = slices.DeleteFunc(l.Asked, func(a Asking) bool { return a.ID == verificationID })
}
