package httpapi

import (
	"context"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/template"
)

// busy is a server all of whose turns are taken, and a request whose sender no longer waits for one.
func busy(t *testing.T) (*Server, context.Context) {
	t.Helper()
	s := &Server{long: make(longWork, 1)}
	_, err := s.long.turn(t.Context())
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	return s, ctx
}

func TestHTMLIsReadInTurn(t *testing.T) {
	t.Parallel()
	s, ctx := busy(t)
	request := api.PutTemplate{Variants: []api.TemplateVariant{{Channel: "email", Subject: "x", HTML: "<p>x</p>"}}}
	var f faults
	_, _, err := s.prepare(ctx, &f, "", request, true)
	require.ErrorIs(t, err, context.Canceled)
	_, err = s.compile(ctx, template.Template{})
	require.ErrorIs(t, err, context.Canceled)

	open := func(d *draft, channel events.Channel) error {
		d.texts = wordings{draft: d, own: map[events.Channel]*template.Compiled{}}
		_, err := d.texts.text(ctx, channel)
		return err
	}
	mail := api.CreateNotification{Text: "x", HTML: "<p>x</p>"}
	require.ErrorIs(t, open(&draft{s: s, request: mail}, events.Email), context.Canceled)
	require.NoError(t, open(&draft{s: s, request: mail, body: make([]byte, longBody)}, events.Email), "it has its turn")
	require.NoError(t, open(&draft{s: s, request: mail}, events.SMS), "it has no HTML")
	require.NoError(t, open(&draft{s: s, request: api.CreateNotification{Text: "x"}}, events.Email), "it has no HTML")
}
