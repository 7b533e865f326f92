package exchange

import (
	"fmt"
	"strconv"
)

// Answer is a provider's refusal, told by its status and its own code word. It holds no
// text of the provider's, which may quote the message.
type Answer struct {
	provider string
	status   int
	word     string
}

// Answered is the refusal with this code; a code that is no word is left out.
func Answered(provider string, status int, code string) *Answer {
	return &Answer{provider: provider, status: status, word: Word(code)}
}

// Error names the provider, the status and the code.
func (a *Answer) Error() string {
	if a.word == unnamed {
		return fmt.Sprintf("%s answered %d", a.provider, a.status)
	}
	return fmt.Sprintf("%s answered %d (%s)", a.provider, a.status, a.word)
}

// Detail is the code that the delivery is reported with: the provider's word, else its status.
func (a *Answer) Detail() string {
	if a.word == unnamed {
		return strconv.Itoa(a.status)
	}
	return a.word
}
