package notification

import (
	"context"
	"errors"
	"time"

	"github.com/assent-io/assent/events"
)

// Visit works on a part as if the broker had delivered it so often, and says when it would again.
func (h *Handler) Visit(ctx context.Context, q events.NotificationQueued, attempt int) (after time.Duration, err error) {
	err = h.handle(ctx, q, attempt)
	var e *again
	if errors.As(err, &e) {
		return e.after, err
	}
	return 0, err
}
