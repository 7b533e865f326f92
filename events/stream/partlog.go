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

// receiptEnd is how the subjects of receipts end, and those of the log do not.
var receiptEnd = events.ReceiptSubject("", 0)[strings.LastIndexByte(events.ReceiptSubject("", 0), '.'):]

// PartLog reads what stands under a filter, which is events.ProgressOf or events.ProgressSubject of one part;
// of a reader of the stream Progress. With events.ErrUndecodable it returns what could be read. It reads all,
// however much that is: who saw only the oldest would write behind them for ever.
func (r *Reader) PartLog(ctx context.Context, filter string) (PartLog, error) {
	records, err := r.whole(ctx, filter)
	if err != nil {
		return PartLog{}, err
	}
	return partLogOf(records)
}

// NewestPartLog is PartLog with every entry that the stream's leader knows: for who writes behind the last one. A
// replica that lags does not know what was written just now, by another or by the reader itself.
func (r *Reader) NewestPartLog(ctx context.Context, id string, part int) (PartLog, error) {
	records, err := r.whole(ctx, events.ProgressOf(id, part))
	if err != nil {
		return PartLog{}, err
	}
	if r.replicated {
		last := uint64(0)
		for _, rec := range records {
			if !strings.HasSuffix(rec.Subject, receiptEnd) {
				last = rec.Sequence
			}
		}
		missing, err := r.behind(ctx, events.ProgressSubject(id, part), last)
		if err != nil {
			return PartLog{}, err
		}
		records = append(records, missing...)
	}
	return partLogOf(records)
}

// whole reads all messages that a filter matches, oldest first.
func (r *Reader) whole(ctx context.Context, filter string) ([]Record, error) {
	var records []Record
	for from := uint64(1); ; {
		page, err := r.Page(ctx, filter, from)
		if err != nil {
			return nil, err
		}
		records = append(records, page...)
		if len(page) < maxBatch {
			return records, nil
		}
		from = page[len(page)-1].Sequence + 1
	}
}

// behind reads what stands under a subject after a sequence, as the stream's leader knows it: one by one, because
// there is little of it.
func (r *Reader) behind(ctx context.Context, subject string, sequence uint64) ([]Record, error) {
	newest, err := r.Latest(ctx, subject)
	if errors.Is(err, ErrAbsent) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var records []Record
	for newest.Sequence > sequence {
		rec, err := r.next(ctx, subject, sequence+1)
		if errors.Is(err, ErrAbsent) { // its life ended meanwhile
			break
		}
		if err != nil {
			return nil, err
		}
		records = append(records, rec)
		sequence = rec.Sequence
	}
	return records, nil
}

func partLogOf(records []Record) (PartLog, error) {
	var log PartLog
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
