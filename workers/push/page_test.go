package push_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/push"
)

func TestAPageThatNothingReachesTakesQuestionsOnly(t *testing.T) {
	t.Parallel()
	question := message("webpush")
	question.To = "page:019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d"
	_, err := push.Pages{}.Send(t.Context(), question)
	require.NoError(t, err)

	code, notice := question, question
	code.Challenge, code.Code = events.Code, "482913"
	notice.Notice = &delivery.Notice{Text: "Your parcel is on its way."}
	for name, m := range map[string]delivery.Message{"a code": code, "a notification": notice} {
		_, err := push.Pages{}.Send(t.Context(), m)
		require.ErrorContains(t, err, "approvals only", name)
		require.NotContains(t, err.Error(), "482913")
	}
}
