package httpapi

import (
	"context"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/template"
	"github.com/assent-io/assent/services/verification"
)

func TestWhoWaitsLongForATurnIsSentAway(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		work := make(longWork, 1)
		first, err := work.turn(t.Context())
		require.NoError(t, err)
		begun := time.Now()
		_, err = work.turn(t.Context())
		require.ErrorIs(t, err, verification.ErrUnavailable)
		require.Equal(t, turnWait, time.Since(begun)) // of the bubble's clock
		gone, leave := context.WithCancel(t.Context())
		leave()
		_, err = work.turn(gone)
		require.ErrorIs(t, err, context.Canceled)

		asked := make(chan struct{})
		ended := make(chan error)
		go func() { ended <- first.without(t.Context(), func() error { <-asked; return nil }) }()
		synctest.Wait()
		second, err := work.turn(t.Context())
		require.NoError(t, err)
		close(asked)
		synctest.Wait()
		second.end()
		second.end()
		require.NoError(t, <-ended)
		require.Len(t, work, 1)
		first.end()
		require.Empty(t, work)

		var none *turn // of a request too small to take turns
		require.NoError(t, none.without(t.Context(), func() error { return nil }))
		none.end()
	})
}

// busy is a server all of whose turns are taken, and a request whose sender no longer waits for one.
func busy(t *testing.T) (*Server, context.Context) {
	t.Helper()
	s := &Server{config: Config{Now: time.Now}, long: make(longWork, 1), shapes: newShapes(api.CreateNotification{})}
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

	for _, body := range []string{`{"text":"x","html":"<p>x</p>"}`, strings.Repeat(" ", longBody) + `{"text":"x"}`} {
		_, err = newDraft(s, credential.Credential{}, "", []byte(body)).read(ctx)
		require.ErrorIs(t, err, context.Canceled)
	}
}
