package enrolment

import (
	"slices"
	"time"

	"github.com/assent-io/assent/services/verification"
)

// What one link may be used for at most, in whatever browsers.
const (
	// maxAsked messages that ask for a fresh proof and were not answered with one, of them maxPushed pushes: each takes the
	// place of what the client asks, and who has the link only answers none.
	maxAsked  = 5
	maxPushed = 2
	// maxBegun devices, whether or not something came of them: each is a few records.
	maxBegun = 30
	// maxOpened questions for an app's code, each a record of its own, and maxGuessed comparisons of a code with one device or
	// with the recovery codes, in every codeWindow. The person has stream.GuessQuota wrong ones of each in that time, in
	// whatever they log in to: who has the link only leaves them some.
	maxOpened  = 10
	maxGuessed = 3
	codeWindow = 10 * time.Minute
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

// Open counts a question for an app's code that is about to be asked as a proof. It fails with *verification.LimitError.
func (l *Link) Open(now time.Time) (err error) {
	l.Opened, err = roll(l.Opened, maxOpened, now)
	return err
}

// Guess counts a code that needs no message and is about to be compared with a device, or with the recovery codes, by what
// it is compared with. It fails with *verification.LimitError.
func (l *Link) Guess(with string, now time.Time) error {
	times, err := roll(l.Guessed[with], maxGuessed, now)
	if err != nil {
		return err
	}
	if l.Guessed == nil {
		l.Guessed = map[string][]time.Time{}
	}
	l.Guessed[with] = times
	return nil
}

// roll adds a time to those of the window, where there are fewer than so many.
func roll(times []time.Time, most int, now time.Time) ([]time.Time, error) {
	times = slices.DeleteFunc(times, func(at time.Time) bool { return !now.Before(at.Add(codeWindow)) })
	if len(times) >= most {
		return times, &verification.LimitError{
			Policy: "enrolment_codes", Quota: most, Window: codeWindow, RetryAfter: max(time.Second, times[0].Add(codeWindow).Sub(now)),
		}
	}
	return append(times, now.UTC().Truncate(time.Millisecond)), nil
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

// Proved takes out what asked for a proof that was given, and what was guessed: it was the person.
func (l *Link) Proved(verificationID string) {
	l.Opened, l.Guessed = nil, nil
	l.Asked = slices.DeleteFunc(l.Asked, func(a Asking) bool { return a.ID == verificationID })
}
