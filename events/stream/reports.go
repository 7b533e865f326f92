package stream

import (
	"context"

	"github.com/assent-io/assent/events"
)

// maxReports is more than a verification can have: each of its calls waits for the one before.
const maxReports = 16 * maxBatch

// Reports is what was reported of a verification's messages, oldest first; of a reader of the
// stream Deliveries.
// With events.ErrUndecodable it returns those that could be read.
func (r *Reader) Reports(ctx context.Context, id string) ([]events.DeliverySettled, error) {
	records, err := r.all(ctx, events.DeliveriesOf(id), maxReports)
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
