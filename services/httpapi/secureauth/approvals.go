package secureauth

import (
	"crypto/rand"
	"fmt"
	"io"
	"math/big"

	"github.com/assent-io/assent/services/verification"
)

const (
	// symbolLength is one digit: it is shown, picked and compared as a symbol.
	symbolLength = 1
	// symbolTries: with four symbols to pick from, a second try would be half a guess.
	symbolTries = 1
	// symbolChoices is how many symbols the phone offers.
	symbolChoices = 4
	symbols       = "0123456789"
)

// asked is the answer to a question that somebody will say yes or no to.
type asked struct {
	Reference string `json:"reference_id"`
	plain
	// Symbol is what the client shows, and the person picks on the phone.
	Symbol string `json:"symbol,omitempty"`
}

// askApp asks a phone for a plain yes. That its owner is recognised by finger or face is the phone's doing:
// its key answers to nobody else.
func (s *Server) askApp(a attempted) error {
	return s.askPhone(a, verification.Params{Challenge: verification.ApprovalChallenge})
}

// askAppForSymbol asks a phone for the symbol that the client shows.
func (s *Server) askAppForSymbol(a attempted) error {
	return s.askPhone(a, verification.Params{
		Challenge: verification.ApprovalChallenge, NumberLength: symbolLength, MaxChecks: symbolTries,
	})
}

func (s *Server) askPhone(a attempted, p verification.Params) error {
	d, err := s.device(a, takesPushes)
	if err != nil {
		return err
	}
	return s.ask(a, destination{channel: verification.Push, to: d.Address, device: d}, p)
}

// linkToPhone sends a link to accept to a number of the profile, or to one of the request's own.
func (s *Server) linkToPhone(a attempted) error {
	to, err := a.number()
	if err != nil {
		return err
	}
	return s.link(a, destination{channel: verification.SMS, to: to})
}

// linkToMailbox sends a link to accept to an address of the profile, or to one of the request's own.
func (s *Server) linkToMailbox(a attempted) error {
	to, err := a.mailbox()
	if err != nil {
		return err
	}
	return s.link(a, destination{channel: verification.Email, to: to})
}

// link asks by a link. Its page asks for no number, because this API shows none.
func (s *Server) link(a attempted, d destination) error {
	if s.links(string(a.Type)) == "" {
		return rejected("type " + string(a.Type) + " needs the public URL of this server, and none is set.")
	}
	return s.ask(a, d, verification.Params{Challenge: verification.LinkChallenge})
}

// ask sends a question and answers with its reference.
func (s *Server) ask(a attempted, d destination, p verification.Params) error {
	if err := s.attempt(a.call, a.user); err != nil {
		return err
	}
	activation, err := s.question(a, d, p)
	if err != nil {
		return err
	}
	symbol := activation.Secrets.Number.Reveal()
	if symbol != "" {
		if activation.Choices, err = choices(s.config.Random, symbol); err != nil {
			return err
		}
	}
	if err := s.create(a, activation); err != nil {
		return err
	}
	a.ingress()
	return a.answer(asked{activation.Verification.ID, plain{statusValid, "", string(a.UserID)}, symbol})
}

// choices are the symbols that the phone offers: the right one among others, in an order that says nothing.
func choices(random io.Reader, right string) ([]string, error) {
	offered := []string{right}
	for _, symbol := range symbols {
		if string(symbol) != right {
			offered = append(offered, string(symbol))
		}
	}
	// The others are drawn first, then all of them are put in order.
	if err := shuffle(random, offered[1:]); err != nil {
		return nil, err
	}
	offered = offered[:symbolChoices]
	return offered, shuffle(random, offered)
}

// shuffle brings a list into any order, each as likely as the others.
func shuffle(random io.Reader, list []string) error {
	for i := len(list) - 1; i > 0; i-- {
		n, err := rand.Int(random, big.NewInt(int64(i+1)))
		if err != nil {
			return fmt.Errorf("draw symbols: %w", err)
		}
		j := n.Int64()
		list[i], list[j] = list[j], list[i]
	}
	return nil
}
