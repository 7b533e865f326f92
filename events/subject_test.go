package events_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
)

func TestOnlyAUUIDInItsUsualFormIsAnID(t *testing.T) {
	const id = "019aa5c1-7d52-7a10-9a43-0123456789ab"
	require.True(t, events.ValidID(id))
	for _, s := range []string{
		"", "*", ">", id[:35], id + "0", strings.ToUpper(id), "{" + id + "}", "urn:uuid:" + id, strings.ReplaceAll(id, "-", ""),
		id[:35] + "*", id[:35] + ".", id[:8] + "0" + id[9:], "-" + id[1:], id[:34] + "é",
	} {
		require.False(t, events.ValidID(s), s)
	}
}
