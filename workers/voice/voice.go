// Package voice is the phone call channel: it writes the script of a call and hands it to
// its gateway, and it writes what a call in progress hears after a key press. It knows no
// provider beyond the script's language, TwiML, and decides nothing. The delivery loop
// calls the Sender; the composition root gives the Script functions to the api, which
// answers the callbacks of calls with them.
package voice

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/wording"
)

// Gateway starts one phone call.
type Gateway interface {
	StartCall(ctx context.Context, c delivery.Call) (delivery.Receipt, error)
}

// Config is where calls lead back to.
type Config struct {
	// PublicURL is what callbacks start with.
	PublicURL string
	// Callbacks is the path that the provider reports to, with the message's name behind it:
	// /callbacks/twilio/call. Empty: it cannot reach the public URL.
	Callbacks string
	// Keys is the path below which key presses come back: /callbacks/twilio/voice. Empty: none do, and a
	// code stands in the script itself.
	Keys string
}

// ringFor gives up before most voicemails answer.
const ringFor = 25 * time.Second

// maxScript is the longest inline script that is taken, in characters.
const maxScript = 4000

// New is the channel's Sender. A challenge that this deployment cannot carry is refused for good.
func New(cfg Config, gateway Gateway) delivery.Sender {
	cfg.PublicURL = strings.TrimRight(cfg.PublicURL, "/")
	return &sender{cfg: cfg, gateway: gateway}
}

type sender struct {
	cfg     Config
	gateway Gateway
}

// Send writes the script and makes one call.
func (s *sender) Send(ctx context.Context, m delivery.Message) (delivery.Receipt, error) {
	life := time.Until(m.ExpiresAt)
	verbs, err := s.script(m, life)
	if err != nil {
		return delivery.Receipt{}, err
	}
	text, err := verbs.twiML()
	if err != nil {
		return delivery.Receipt{}, err
	}
	if len([]rune(text)) > maxScript {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonMessageRefused, fmt.Errorf("the script is longer than %d characters", maxScript))
	}
	call := delivery.Call{
		Name: m.Name(), To: m.To, Script: delivery.Code(text), Lines: verbs.lines(),
		RingFor: min(ringFor, max(life, time.Second)), ValidFor: life,
	}
	if s.cfg.Callbacks != "" && s.cfg.PublicURL != "" {
		call.CallbackURL = s.cfg.PublicURL + s.cfg.Callbacks + "/" + m.Name().Path()
	}
	return s.gateway.StartCall(ctx, call)
}

func (s *sender) script(m delivery.Message, life time.Duration) (script, error) {
	facts := wording.Facts{Brand: m.Brand, Context: m.Context, Life: life}
	if m.Notice != nil {
		if m.Notice.Text == "" {
			return nil, delivery.Permanent(events.ReasonMessageRefused, errors.New("the notification holds no text"))
		}
		return tell(m.Locale, facts, m.Notice.Text.Reveal()), nil
	}
	switch m.Challenge {
	case events.Code:
		if m.Code == "" {
			return nil, delivery.Permanent(events.ReasonMessageRefused, errors.New("the activation holds no code"))
		}
		if s.wayBack() {
			return askForKey(m.Locale, facts, s.keyURL(m.ID, "code")), nil
		}
		return tellCode(m.Locale, facts, m.Code.Reveal()), nil
	case events.Approval:
		if !s.wayBack() {
			return nil, delivery.Permanent(events.ReasonNotConfigured, errors.New("key presses need a public URL for callbacks"))
		}
		if m.NumberLength > 0 {
			return askForNumber(m.Locale, facts, m.NumberLength, s.keyURL(m.ID, "answer")), nil
		}
		return askForDecision(m.Locale, facts, s.keyURL(m.ID, "answer")), nil
	case events.Link: // cannot be spoken
	}
	return nil, delivery.Permanent(events.ReasonNotConfigured, fmt.Errorf("calls carry no challenge %q", m.Challenge))
}

func (s *sender) keyURL(id, what string) string {
	return s.cfg.PublicURL + s.cfg.Keys + "/" + url.PathEscape(id) + "/" + what
}

func (s *sender) wayBack() bool { return s.cfg.Keys != "" && s.cfg.PublicURL != "" }
