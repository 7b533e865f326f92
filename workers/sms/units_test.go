package sms_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/sms"
)

func TestUnitsAreTheSegmentsOfTheText(t *testing.T) {
	t.Parallel()
	units := sms.Units(sms.Config{PublicURL: "https://id.example.com"})
	end := time.Now().Add(5 * time.Minute)
	require.Equal(t, 1, units(delivery.Message{Challenge: events.Code, Code: "482913", ExpiresAt: end}))
	require.Equal(t, 2, units(delivery.Message{Challenge: events.Code, Code: "482913", Text: delivery.Code(strings.Repeat("x", 155) + " {{otp_code}}"), ExpiresAt: end}))
	require.Equal(t, 1, units(delivery.Message{Challenge: events.Code, ExpiresAt: end}), "it will not be sent")
	for text, want := range map[string]int{
		strings.Repeat("x", 160): 1, strings.Repeat("x", 161): 2, strings.Repeat("x", 306): 2, strings.Repeat("x", 307): 3,
		strings.Repeat("я", 70): 1, strings.Repeat("я", 71): 2, strings.Repeat("я", 135): 3, "": 1,
	} {
		require.Equal(t, want, units(delivery.Message{Notice: &delivery.Notice{Text: delivery.Code(text)}}), text)
	}
}
