package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// bulkPrefix starts the numbers that notifications go to. The numbers of the load have another.
const (
	bulkPrefix  = "+1212"
	firstBulk   = 2_000_000 // subscriber numbers do not begin with 0 or 1
	mostBulk    = 10_000_000 - firstBulk
	batchSize   = 1000 // recipients of one request, the most that the API takes
	posters     = 4
	postTimeout = 30 * time.Second
	bulkText    = "Your parcel will be with you today. Questions? Reply to this message."
)

// bulk is notifications by the thousand, and how often a carrier took each.
type bulk struct {
	count    int
	receipts bool            // the carrier tells of each that it was delivered
	took     []atomic.Uint32 // by number
	// first takes and repeated ones; those whose caller was cut off before its answer are in cut.
	taken, again, cut atomic.Int64

	mu       sync.Mutex
	accepted int
	ids      []string
	last     time.Time // the newest first take
}

func newBulk(count int) *bulk { return &bulk{count: count, took: make([]atomic.Uint32, count)} }

// take notes one message that the carrier took; false where the number is not one of these.
func (b *bulk) take(to string) bool {
	digits, ours := strings.CutPrefix(to, bulkPrefix)
	n, err := strconv.Atoi(digits)
	if n -= firstBulk; !ours || err != nil || n < 0 || n >= b.count {
		return false
	}
	if b.took[n].Add(1) > 1 {
		b.again.Add(1)
		return true
	}
	b.taken.Add(1)
	b.mu.Lock()
	b.last = time.Now()
	b.mu.Unlock()
	return true
}

// newest is when the last of them was taken.
func (b *bulk) newest() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// lost is how many were never taken.
func (b *bulk) lost() int { return b.count - int(b.taken.Load()) }

// notification is a batch as the API takes it.
type notification struct {
	Channel    string      `json:"channel"`
	Text       string      `json:"text"`
	Recipients []recipient `json:"recipients"`
}

type recipient struct {
	To string `json:"to"`
}

// post sends all of them as batches, a few at once, and returns when all are accepted. A batch whose
// answer was lost is repeated under the same key.
func (b *bulk) post(ctx context.Context, s *system) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	turns := make(chan int)
	var work sync.WaitGroup
	for range posters {
		work.Go(func() {
			for first := range turns {
				if err := b.postBatch(ctx, s, first); err != nil {
					stop(err)
				}
			}
		})
	}
	for first := 0; first < b.count && ctx.Err() == nil; first += batchSize {
		select {
		case turns <- first:
		case <-ctx.Done():
		}
	}
	close(turns)
	work.Wait()
	return context.Cause(ctx)
}

func (b *bulk) postBatch(ctx context.Context, s *system, first int) error {
	n := notification{Channel: "sms", Text: bulkText}
	for i := first; i < min(first+batchSize, b.count); i++ {
		n.Recipients = append(n.Recipients, recipient{fmt.Sprintf("%s%07d", bulkPrefix, firstBulk+i)})
	}
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	for pause := firstPause; ; pause = min(2*pause, lastPause) {
		var answer struct {
			ID       string `json:"id"`
			Accepted int    `json:"accepted"`
		}
		status, err := s.call(ctx, http.MethodPost, "/v1/notifications", "bulk-"+strconv.Itoa(first), n, &answer)
		switch {
		case err == nil && status == http.StatusAccepted:
			b.mu.Lock()
			defer b.mu.Unlock()
			b.accepted += answer.Accepted
			b.ids = append(b.ids, answer.ID)
			return nil
		case err == nil && status < 500 && status != http.StatusConflict && status != http.StatusTooManyRequests:
			return fmt.Errorf("post a batch: status %d", status)
		case !wait(ctx, pause):
			return fmt.Errorf("post a batch: no answer in %s", patience)
		}
	}
}

// settled asks for every batch whether its states agree with what was sent, and returns how many
// messages are told to be in which state.
func (b *bulk) settled(ctx context.Context, s *system) (map[string]int, error) {
	b.mu.Lock()
	ids := b.ids
	b.mu.Unlock()
	told := map[string]int{}
	for _, id := range ids {
		var answer struct {
			Counts map[string]int `json:"counts"`
		}
		status, err := s.call(ctx, http.MethodGet, "/v1/notifications/"+id, "", nil, &answer)
		if err != nil {
			return nil, err
		}
		if status != http.StatusOK {
			return nil, fmt.Errorf("read a batch: status %d", status)
		}
		for state, n := range answer.Counts {
			told[state] += n
		}
	}
	return told, nil
}

// call makes one call of the API. The answer is decoded into into where it is a success and into is not nil.
func (s *system) call(ctx context.Context, method, path, key string, body, into any) (status int, err error) {
	ctx, cancel := context.WithTimeout(ctx, postTimeout)
	defer cancel()
	var data bytes.Buffer
	if body != nil {
		if err := json.NewEncoder(&data).Encode(body); err != nil {
			return 0, fmt.Errorf("encode a request: %w", err)
		}
	}
	r, err := http.NewRequestWithContext(ctx, method, s.base+path, &data)
	if err != nil {
		return 0, fmt.Errorf("make a request: %w", err)
	}
	r.SetBasicAuth(clientID, clientSecret)
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	if key != "" {
		r.Header.Set("Idempotency-Key", key)
	}
	res, err := s.http.Do(r)
	if err != nil {
		return 0, fmt.Errorf("call the api: %w", err)
	}
	defer func() { _ = res.Body.Close() }()
	if into == nil || res.StatusCode >= 300 {
		_, err = io.Copy(io.Discard, res.Body) // so that the connection is used again
		return res.StatusCode, err
	}
	if err := json.NewDecoder(res.Body).Decode(into); err != nil {
		return 0, fmt.Errorf("read an answer: %w", err)
	}
	return res.StatusCode, nil
}

// drain waits until the carrier took all of them, or none for a while.
func (b *bulk) drain(ctx context.Context, quiet time.Duration) error {
	since := time.Now()
	for b.lost() > 0 {
		newest := b.newest()
		if newest.Before(since) {
			newest = since
		}
		if time.Since(newest) > quiet {
			return nil
		}
		if !wait(ctx, settlePause) {
			return errors.New("interrupted")
		}
	}
	return nil
}
