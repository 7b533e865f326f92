package password

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestWhoeverWaitsForATurnWaitsNoLongerThanTheirContext(t *testing.T) {
	t.Parallel()
	h := New(1)
	h.turns <- struct{}{} // somebody is at work
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	_, err := h.Check(ctx, "", "a password")
	require.ErrorIs(t, err, context.DeadlineExceeded)
	<-h.turns
	_, err = h.Check(t.Context(), "", "a password")
	require.NoError(t, err)
}

func TestNobodyWaitsForATurnForever(t *testing.T) {
	t.Parallel()
	h := New(1)
	h.turns <- struct{}{}
	h.wait = time.Millisecond
	_, err := h.Hash(t.Context(), "a password")
	require.ErrorIs(t, err, ErrBusy)
	_, err = h.Check(t.Context(), "", "a password")
	require.ErrorIs(t, err, ErrBusy)
}
