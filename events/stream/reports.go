package stream

import (
	"context"
	"errors"

	"github.com/assent-io/assent/events"
)

// Reports is what was reported of a verification's messages, oldest first; of a reader of the
// stream Deliveries. Most are asked for while there is nothing yet, so one small read looks first.
// With events.ErrUndecodable it returns those that could be read.
func (r *Reader) Reports(ctx context.Context, id string) ([]events.DeliverySettled, error) {
	filter := events.DeliveriesOf(id)
	if _, err := r.Last(ctx, filter); err != nil {
		if errors.Is(err, ErrAbsent) {
			return nil, nil
		}
		return nil, err
	}
	records, err := r.All(ctx, filter)
	if err != nil {
		return nil, err
	}
	reports := make([]events.DeliverySettled, 0, len(records))
	for _, rec := range records {
		d, err2 := events.Decode[events.DeliverySettled](rec.Data)
		if err2 != nil {
			err = err2
			continue
		}
		reports = append(reports, d)
	}
	return reports, err
}
