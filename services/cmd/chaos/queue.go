package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

type queueCommand struct {
	common
	Count int `help:"Notifications that wait." default:"1000000"`
}

// Validate is called by kong.
func (c queueCommand) Validate() error {
	if c.Count < 1 || c.Count > mostBulk {
		return fmt.Errorf("--count must be from 1 to %d", mostBulk)
	}
	return c.check(1)
}

const (
	queueQuiet  = 90 * time.Second // without a message, and what is left is lost
	restartGap  = 5 * time.Second
	watchPause  = time.Second
	settleQueue = 20 * time.Second // after the last message, so that what comes twice is seen
)

// footprint is what the system holds at a moment.
type footprint struct {
	what string
	rss  map[string]int // MB by member
	disk int64          // bytes of the broker
}

// Run queues notifications before a paused provider, measures what they cost, lets them go, and kills every
// role in the middle.
func (c queueCommand) Run(p *program) error {
	b := newBook()
	outside, err := newCarrier(b, moods{latency: c.Latency}, c.Seed)
	if err != nil {
		return err
	}
	defer outside.close()
	outside.bulk = newBulk(c.Count)
	outside.bulk.receipts = c.Policy == "hold" // which waits for them
	return inDirectory(p.stdout, func(dir string) error {
		s, err := start(p.ctx, c.common, dir, outside)
		if s != nil {
			defer s.stop()
		}
		if err != nil {
			return err
		}
		if err := s.provider(p.ctx, "pause"); err != nil {
			return err
		}
		prints := []footprint{s.footprint("empty")}
		began := time.Now()
		if err := outside.bulk.post(p.ctx, s); err != nil {
			return err
		}
		accepting := time.Since(began)
		if !wait(p.ctx, restartGap) {
			return errors.New("interrupted")
		}
		prints = append(prints, s.footprint("all queued"))
		before := outside.bulk.taken.Load()
		if err := s.provider(p.ctx, "resume"); err != nil {
			return err
		}
		began = time.Now()
		for _, role := range []string{"", roleSMS, roleNATS, roleAPI} {
			if role == "" {
				if err := c.half(p.ctx, outside.bulk); err != nil {
					return err
				}
				prints = append(prints, s.footprint("half sent"))
				continue
			}
			for _, m := range s.of(role) {
				m.kill()
			}
			if !wait(p.ctx, restartGap) {
				return errors.New("interrupted")
			}
		}
		if err := outside.bulk.drain(p.ctx, queueQuiet); err != nil {
			return err
		}
		draining := outside.bulk.newest().Sub(began)
		prints = append(prints, s.footprint("all sent"))
		if !wait(p.ctx, settleQueue) {
			return errors.New("interrupted")
		}
		told, err := outside.bulk.settled(p.ctx, s)
		if err != nil {
			return err
		}
		c.print(p.stdout, outside.bulk, prints, accepting, draining, before, told)
		return c.verdict(outside.bulk, before, s.faults())
	})
}

// half waits until half of them are sent.
func (c queueCommand) half(ctx context.Context, n *bulk) error {
	for since := time.Now(); n.taken.Load() < int64(c.Count/2); {
		if newest := n.newest(); time.Since(newest) > queueQuiet && time.Since(since) > queueQuiet {
			return fmt.Errorf("nothing was sent for %s", queueQuiet)
		}
		if !wait(ctx, watchPause) {
			return errors.New("interrupted")
		}
	}
	return nil
}

// provider has Twilio paused or resumed.
func (s *system) provider(ctx context.Context, what string) error {
	status, err := s.call(ctx, http.MethodPost, "/v1/providers/twilio/"+what, "", struct{}{}, nil)
	if err == nil && status >= 300 {
		err = fmt.Errorf("status %d", status)
	}
	if err != nil {
		return fmt.Errorf("%s the provider: %w", what, err)
	}
	return nil
}

// footprint measures memory and disk.
func (s *system) footprint(what string) footprint {
	f := footprint{what: what, rss: map[string]int{}}
	for _, m := range s.all() {
		f.rss[m.name] = m.rss()
	}
	_ = filepath.WalkDir(filepath.Join(s.dir, "broker"), func(_ string, d fs.DirEntry, err error) error {
		if err == nil && d.Type().IsRegular() {
			if info, err := d.Info(); err == nil { // gone meanwhile
				f.disk += info.Size()
			}
		}
		return nil
	})
	return f
}

// rss is the resident memory of the process, in MB.
func (m *member) rss() int {
	m.mu.Lock()
	l := m.now
	m.mu.Unlock()
	if l == nil || l.cmd.Process == nil {
		return 0
	}
	text, err := os.ReadFile("/proc/" + strconv.Itoa(l.cmd.Process.Pid) + "/status")
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(text)) {
		if fields := strings.Fields(line); len(fields) > 1 && fields[0] == "VmRSS:" {
			kb, _ := strconv.Atoi(fields[1])
			return kb / 1024
		}
	}
	return 0
}

func (c queueCommand) print(w io.Writer, n *bulk, prints []footprint, accepting, draining time.Duration, before int64, told map[string]int) {
	fmt.Fprintf(w, "\nchaos queue: %d notifications before a paused provider; policy %s, %d sms, carrier %s to %s%s; every sms, the broker and the api killed halfway\n\n",
		c.Count, policyName(c.Policy), c.SMS, c.Latency[0], c.Latency[1], map[bool]string{true: ", a receipt for each"}[n.receipts])
	t := newTable(w)
	fmt.Fprint(t, "resident MB\t")
	for _, f := range prints {
		fmt.Fprint(t, f.what, "\t")
	}
	fmt.Fprintln(t)
	for name := range prints[0].rss {
		fmt.Fprint(t, name, "\t")
		for _, f := range prints {
			fmt.Fprint(t, f.rss[name], "\t")
		}
		fmt.Fprintln(t)
	}
	fmt.Fprint(t, "broker disk MB\t")
	for _, f := range prints {
		fmt.Fprint(t, f.disk>>20, "\t")
	}
	fmt.Fprintln(t)
	_ = t.Flush()
	fmt.Fprintf(w, "\naccepted %d in %s (%.0f/s); sent while paused: %d\n", n.accepted, accepting.Round(time.Second), float64(n.accepted)/accepting.Seconds(), before)
	fmt.Fprintf(w, "taken %d in %s (%.0f/s), lost %d, taken again %d\ntold: %v\n\n", n.taken.Load(), draining.Round(time.Second),
		float64(n.taken.Load())/draining.Seconds(), n.lost(), n.again.Load(), told)
}

func (c queueCommand) verdict(n *bulk, before int64, faults []string) error {
	fault := func(n int, what string) {
		if n > 0 {
			faults = append(faults, fmt.Sprintf("%d %s", n, what))
		}
	}
	fault(int(before), "notifications were sent while the provider was paused")
	fault(n.lost(), "notifications were lost")
	if c.Policy == "hold" {
		fault(int(n.again.Load()), "notifications came twice, and the policy is hold")
	}
	if len(faults) > 0 {
		return &failedError{faults}
	}
	return nil
}
