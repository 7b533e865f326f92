package events_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
)

func TestTheRankOfAReportIsHowMuchItSays(t *testing.T) {
	ladder := [][]string{
		{events.DeliveryRequested, "a word of next year", ""},
		{events.DeliveryBegun},
		{events.DeliveryRetrying, events.DeliveryUnknown},
		{events.DeliverySent},
		{events.DeliveryUnanswered, events.DeliveryFailed, events.DeliveryExpired},
		{events.DeliveryDelivered},
	}
	for rank, statuses := range ladder {
		for _, s := range statuses {
			require.Equal(t, rank, events.Rank(s), s)
		}
	}
}
