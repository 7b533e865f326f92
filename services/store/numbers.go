package store

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strconv"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/stream"
)

// numberTries bounds how often a number is drawn that stands for something already, which happens
// only after the counter was lost.
const numberTries = 16

// drawNumber draws a number that no user and no device of any account has, and notes in t whose it is.
func (u *Users) drawNumber(ctx context.Context, t *table, account, id string, life time.Duration) (int64, error) {
	for range numberTries {
		sequence, err := u.pub.Put(ctx, events.NumberSubject, nil)
		if err != nil {
			return 0, unavailable(err)
		}
		if sequence > math.MaxInt32 {
			return 0, errors.New("draw number: all numbers of 32 bits are used up")
		}
		_, err = t.create(ctx, numberKey(account, int64(sequence)), []byte(id), life)
		if err == nil {
			return int64(sequence), nil
		}
		if !errors.Is(err, stream.ErrConflict) {
			return 0, err
		}
	}
	return 0, unavailable(fmt.Errorf("draw number: %d in a row are taken", numberTries))
}

func numberKey(account string, number int64) string {
	return "number." + account + "." + strconv.FormatInt(number, 10)
}
