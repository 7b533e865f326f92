package webpush_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/webpush"
)

func TestAPageWithoutASubscriptionHasATokenOfItsOwn(t *testing.T) {
	t.Parallel()
	one, other := webpush.Page("019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d"), webpush.Page("019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3e")
	require.NotEqual(t, one, other)
	require.True(t, webpush.IsPage(one))
	_, err := webpush.Parse(one)
	require.ErrorIs(t, err, webpush.ErrForm)
	require.False(t, webpush.IsPage(`{"endpoint":"https://push.example.com/1","keys":{}}`))
	require.False(t, webpush.IsPage(""))
}
