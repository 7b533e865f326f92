package httpapi

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

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
