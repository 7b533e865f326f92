package stream

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
)

// PartLog is what is known of one part of a notification.
type PartLog struct {
	Entries  []events.NotificationProgressed
	Receipts []events.MessageReceipt
	// Sequence is that of the last entry, which the next one expects; zero without entries.
	Sequence uint64
	// Until is how long the last entry is kept; zero where that is not known.
	Until time.Time
}

// maxPartLog is more than the log and the receipts of a part can be: some entries and some receipts for each
// of its recipients.
const maxPartLog = 32 * maxBatch

// receiptEnd is how the subjects of receipts end, and those of the log do not.
var receiptEnd = events.ReceiptSubject("", 0)[strings.LastIndexByte(events.ReceiptSubject("", 0), '.'):]

// PartLog reads what stands under a filter, which is events.ProgressOf or events.ProgressSubject of one part;
// of a reader of the stream Progress. With events.ErrUndecodable it returns what could be read.
func (r *Reader) PartLog(ctx context.Context, filter string) (PartLog, error) {
	var log PartLog
	records, err := r.all(ctx, filter, maxPartLog)
	if err != nil {
		return log, err
	}
	var unread error
	for _, rec := range records {
		if strings.HasSuffix(rec.Subject, receiptEnd) {
			receipt, err := events.Decode[events.MessageReceipt](rec.Data)
			if unread = errors.Join(unread, err); err == nil {
				log.Receipts = append(log.Receipts, receipt)
			}
			continue
		}
		log.Sequence = rec.Sequence
		if log.Until = (time.Time{}); rec.TTL > 0 {
			log.Until = rec.StoredAt.Add(rec.TTL)
		}
		entry, err := events.Decode[events.NotificationProgressed](rec.Data)
		if unread = errors.Join(unread, err); err == nil {
			log.Entries = append(log.Entries, entry)
		}
	}
	return log, unread
}
