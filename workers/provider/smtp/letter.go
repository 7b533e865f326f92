package smtp

import (
	"bytes"
	"errors"
	"fmt"
	"net/mail"
	"regexp"
	"slices"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	gomail "github.com/wneessen/go-mail"
	"golang.org/x/net/idna"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// letter is a mail as the wire wants it.
type letter struct {
	from, to string // of the envelope: bare, and quoted where they must be
	utf8     bool   // an address has characters that only SMTPUTF8 carries
	id       string // the Message-ID without its brackets
	data     []byte
	secrets  []string
}

// own are the headers that are set here, whatever the channel asks for.
var own = []string{"message-id", "date", "from", "to", "subject", "mime-version", "content-type", "content-transfer-encoding"}

// headerName is a field name of RFC 5322.
var headerName = regexp.MustCompile(`^[!-9;-~]{1,64}$`)

// maxLine is what RFC 5321 section 4.5.3.1.6 leaves of a line without its end.
const maxLine = 998

// compose writes the mail before anybody is called: where go-mail meets a fault while it sends,
// the next command, QUIT too, ends the mail first, and the server takes half a mail for whole.
func compose(m delivery.Mail, at time.Time) (letter, error) {
	from, err := parseMailbox(m.From.Address)
	if err != nil {
		return letter{}, delivery.Misconfigured(fmt.Errorf("smtp: the sender's address: %w", err))
	}
	to, err := parseMailbox(m.To.Reveal())
	if err != nil {
		return letter{}, delivery.Permanent(events.ReasonUndeliverable, fmt.Errorf("smtp: the recipient's address: %w", err))
	}

	// The attempts to send one message share its id: a mailbox that got it may drop the next.
	id := m.Message() + "@" + from.domain
	msg := gomail.NewMsg(gomail.WithNoDefaultUserAgent())
	msg.FromMailAddress(&mail.Address{Name: m.From.Name, Address: from.local + "@" + from.domain})
	msg.ToMailAddress(&mail.Address{Address: to.local + "@" + to.domain})
	msg.Subject(m.Subject)
	msg.SetDateWithValue(at)
	msg.SetMessageIDWithValue(id)
	for name, value := range m.Headers {
		if !headerName.MatchString(name) || strings.ContainsFunc(value, unicode.IsControl) {
			return letter{}, refusedHere("a header would break out of its line")
		}
		if !slices.Contains(own, strings.ToLower(name)) {
			msg.SetGenHeader(gomail.Header(name), value)
		}
	}
	msg.SetBodyString(gomail.TypeTextPlain, m.Text.Reveal())
	if m.HTML != "" {
		msg.AddAlternativeString(gomail.TypeTextHTML, m.HTML.Reveal())
	}

	var data bytes.Buffer
	if _, err := msg.WriteTo(&data); err != nil {
		return letter{}, refusedHere("the mail cannot be written")
	}
	for line := range bytes.Lines(data.Bytes()) {
		if len(bytes.TrimRight(line, "\r\n")) > maxLine {
			return letter{}, refusedHere("a header is longer than a line may be")
		}
	}
	return letter{
		from: from.spec(), to: to.spec(), utf8: !ascii(from.local) || !ascii(to.local), id: id, data: data.Bytes(),
		secrets: []string{m.To.Reveal(), m.Text.Reveal(), m.HTML.Reveal()},
	}, nil
}

func refusedHere(text string) error {
	return delivery.Permanent(events.ReasonMessageRefused, errors.New("smtp: "+text))
}

// holds tells whether a word stands in what is secret of the mail.
func (l letter) holds(word string) bool {
	return slices.ContainsFunc(l.secrets, func(s string) bool { return strings.Contains(s, word) })
}

// mailbox is an address in its two halves, the domain as DNS knows it.
type mailbox struct{ local, domain string }

// parseMailbox reads a bare address: no name, no comment, no list. Its errors quote nothing.
func parseMailbox(address string) (mailbox, error) {
	malformed := errors.New("not an address")
	if !utf8.ValidString(address) || strings.ContainsFunc(address, unicode.IsControl) {
		return mailbox{}, malformed
	}
	parsed, err := mail.ParseAddress(address)
	if err != nil || parsed.Name != "" {
		return mailbox{}, malformed
	}
	at := strings.LastIndexByte(parsed.Address, '@')
	domain, err := idna.Lookup.ToASCII(parsed.Address[at+1:])
	if err != nil || domain == "" {
		return mailbox{}, errors.New("its domain cannot exist")
	}
	// Whatever else the parser took off, a name's brackets or a comment, was not for an address.
	if address != parsed.Address && "<"+address+">" != (&mail.Address{Address: parsed.Address}).String() {
		return mailbox{}, malformed
	}
	return mailbox{local: parsed.Address[:at], domain: domain}, nil
}

// spec is the address for the envelope.
func (b mailbox) spec() string {
	a := mail.Address{Address: b.local + "@" + b.domain}
	return strings.TrimSuffix(strings.TrimPrefix(a.String(), "<"), ">")
}

func ascii(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r > unicode.MaxASCII })
}
