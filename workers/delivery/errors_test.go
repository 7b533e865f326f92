package delivery_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

func TestMarksAreFoundThroughWrappingAndLeadToTheirCause(t *testing.T) {
	t.Parallel()
	cause := errors.New("cause")
	for name, c := range map[string]struct {
		err    error
		class  delivery.Class
		reason string
		after  time.Duration
		cause  error
	}{
		"bare":          {cause, delivery.ClassTransient, "", 0, cause},
		"timeout":       {context.DeadlineExceeded, delivery.ClassTransient, "", 0, context.DeadlineExceeded},
		"permanent":     {delivery.Permanent(events.ReasonUndeliverable, cause), delivery.ClassPermanent, events.ReasonUndeliverable, 0, cause},
		"retry after":   {delivery.RetryAfter(time.Minute, cause), delivery.ClassRetryAfter, "", time.Minute, cause},
		"unknown":       {delivery.Unknown(cause), delivery.ClassUnknown, "", 0, cause},
		"misconfigured": {delivery.Misconfigured(cause), delivery.ClassMisconfigured, "", 0, cause},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, err := range []error{c.err, fmt.Errorf("send sms: %w", c.err), errors.Join(errors.New("other"), c.err)} {
				require.Equal(t, c.class, delivery.ClassOf(err))
				require.Equal(t, c.reason, delivery.ReasonOf(err))
				require.Equal(t, c.after, delivery.AfterOf(err))
			}
			require.ErrorIs(t, c.err, c.cause)
		})
	}
}

func TestCodesAndAddressesPrintAsRedactedAndAreThereForWhoAsks(t *testing.T) {
	t.Parallel()
	m := delivery.Message{ID: "id-1", To: number, Code: code, LinkToken: token}
	asJSON, err := json.Marshal(m)
	require.NoError(t, err)
	for _, printed := range []string{
		fmt.Sprint(m), fmt.Sprintf("%+v", m), fmt.Sprintf("%#v", m), string(asJSON),
		fmt.Sprintf("%v %s %#v", m.To, m.Code, m.LinkToken),
	} {
		require.Contains(t, printed, "REDACTED")
		requireNoSecrets(t, printed)
	}
	require.Equal(t, number, m.To.Reveal())
	require.Equal(t, code, m.Code.Reveal())
	require.Equal(t, token, m.LinkToken.Reveal())
}
