package onelogin

import (
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/enrolment"
	"github.com/assent-io/assent/services/verification"
)

// messageOptions is how a person is asked, where the request says so.
type messageOptions struct {
	// id is that of the verification; empty: a new one, with an alias for clients that need numbers.
	id string
	// idempotencyKey makes repeated calls find the first verification; id is then IDFor of it.
	idempotencyKey string
	life           time.Duration
	text           string
	redirectTo     string
	alphanumeric   bool
	context        verification.Context
}

// activation is a new verification that asks the owner of an active device. Nothing is stored or sent
// until it goes to Verifications.Create.
func (s *Server) activation(c *call, d device.Device, f factor, o messageOptions) (verification.Activation, error) {
	id := o.id
	if id == "" {
		var err error
		if id, err = s.newID(c); err != nil {
			return verification.Activation{}, err
		}
	}
	d.Factor = f.is
	a, err := enrolment.Question(d, id, enrolment.Message{
		Client: c.client.ClientID, Text: o.text, RedirectTo: o.redirectTo, Alphanumeric: o.alphanumeric,
		Life: o.life, Shortest: s.config.Settings.shortest(),
		Brand: s.config.Settings.Brand, Context: o.context,
	}, s.config.Now(), s.config.Random)
	a.IdempotencyKey = o.idempotencyKey
	return a, err //nolint:wrapcheck // says what it did
}

// newID draws the id of a verification.
func (s *Server) newID(c *call) (string, error) {
	if c.client.NumericIDs {
		id, _, err := newAliasedID(s.config.Random)
		return id, err
	}
	id, err := uuid.NewV7FromReader(s.config.Random)
	return id.String(), err //nolint:wrapcheck // only a broken source of randomness fails
}
