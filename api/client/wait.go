package client

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/assent-io/assent/api"
)

const (
	// firstPause and longestPause bound the pauses after broken connections and refusals without a Retry-After.
	firstPause   = 500 * time.Millisecond
	longestPause = 10 * time.Second
)

// Wait returns once the verification is closed, whichever way: the caller looks at Status. It asks
// again for as long as ctx lives, over broken connections too, and comes back when the server says so
// after 429 and 503. It fails with ctx's error, or with the *api.Problem of a request that waiting
// does not mend, such as not_found.
func (c *Client) Wait(ctx context.Context, id string) (*api.Verification, error) {
	var v api.Verification
	header := http.Header{}
	target := path(id, "") + "?wait=" + strconv.Itoa(int(c.wait.Seconds()))
	pause, quick := firstPause, 0
	for {
		asked := time.Now()
		answered, err := c.call(ctx, http.MethodGet, target, header, nil, &v)
		if ctx.Err() != nil && err != nil {
			return nil, fmt.Errorf("wait for verification: %w", ctx.Err())
		}
		if err == nil {
			if v.ID != "" && v.Closed() {
				return &v, nil
			}
			if tag := answered.Get("ETag"); tag != "" {
				header["If-None-Match"] = []string{tag}
			}
			pause = firstPause
			// A server that shuts down answers at once; it is not asked again and again for that.
			if quick++; time.Since(asked) >= time.Second {
				quick = 0
			}
			if quick > 2 {
				if err := sleep(ctx, firstPause); err != nil {
					return nil, fmt.Errorf("wait for verification: %w", err)
				}
			}
			continue
		}
		after, ok := again(err, pause)
		if !ok {
			return nil, fmt.Errorf("wait for verification: %w", err)
		}
		if err := sleep(ctx, after); err != nil {
			return nil, fmt.Errorf("wait for verification: %w", err)
		}
		pause = min(2*pause, longestPause)
	}
}

// again tells whether a failed request is worth repeating, and after which pause.
func again(err error, pause time.Duration) (time.Duration, bool) {
	var p *api.Problem
	if !errors.As(err, &p) {
		return pause, broken(err)
	}
	switch p.Status {
	case http.StatusTooManyRequests, http.StatusServiceUnavailable:
		if p.RetryAfter > 0 {
			return time.Duration(p.RetryAfter) * time.Second, true
		}
		return pause, true
	case http.StatusBadGateway, http.StatusGatewayTimeout: // of a proxy between
		return pause, true
	default:
		return 0, false
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
