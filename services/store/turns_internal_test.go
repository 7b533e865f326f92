package store

import (
	"context"
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/verification"
)

// The broker cuts a connection that falls 64 MB behind, and with it everything that goes over it: a few
// lists of a large account at once are enough.
func TestListsOfWholeAccountsTakeTurns(t *testing.T) {
	t.Parallel()
	u := &Users{turns: make(chan struct{}, listsAtOnce)}
	began, end, ended := make(chan struct{}), make(chan struct{}), make(chan error)
	read := func(ctx context.Context) error {
		began <- struct{}{}
		<-end
		return ctx.Err()
	}
	for range listsAtOnce + 1 {
		go func() { ended <- u.inTurn(t.Context(), read) }()
	}
	for range listsAtOnce {
		<-began
	}
	gone, leave := context.WithCancel(t.Context())
	leave()
	err := u.inTurn(gone, func(context.Context) error { return errors.New("it has no turn") })
	require.ErrorIs(t, err, verification.ErrUnavailable, "who leaves waits no longer")
	select {
	case <-began:
		t.Fatal("more at once than are allowed")
	default:
	}
	end <- struct{}{}
	require.NoError(t, <-ended)
	<-began // whose turn it is now
	for range listsAtOnce {
		end <- struct{}{}
		require.NoError(t, <-ended)
	}
}
