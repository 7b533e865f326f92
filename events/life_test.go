package events_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
)

func TestWhatHappenedBeforeAVerificationByMoreThanClocksDifferIsAboutAnother(t *testing.T) {
	created := time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)
	require.False(t, events.EarlierLife(created, created.Add(time.Hour)))
	require.False(t, events.EarlierLife(created, created.Add(-5*time.Minute)), "the clock of whoever told is slow")
	require.True(t, events.EarlierLife(created, created.Add(-events.Grace)), "no id returns sooner after its end")
}
