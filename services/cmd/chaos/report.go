package main

import (
	"fmt"
	"io"
	"slices"
	"text/tabwriter"
	"time"
)

// quantile of sorted times, in milliseconds; zero of none.
func quantile(sorted []time.Duration, q float64) time.Duration {
	return fine(sorted, q).Round(time.Millisecond)
}

// fine is quantile in tenths of milliseconds.
func fine(sorted []time.Duration, q float64) time.Duration {
	if len(sorted) == 0 {
		return 0
	}
	return sorted[int(q*float64(len(sorted)-1)+0.5)].Round(100 * time.Microsecond)
}

func policyName(p string) string {
	if p == "" {
		return "its own"
	}
	return p
}

func newTable(w io.Writer) *tabwriter.Writer {
	return tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
}

// print tells a run of kills.
func (c killCommand) print(w io.Writer, r result, b *book) {
	fmt.Fprintf(w, "\nchaos kill: %s at %d creates/s, policy %s, seed %d; 1 api, 1 verifier, %d sms, 1 nats; carrier %s to %s, %g %% 503, %g %% resets\n\n",
		c.For, c.Rate, policyName(c.Policy), c.Seed, c.SMS, c.Latency[0], c.Latency[1], 100*c.Busy, 100*c.Reset)
	resets := b.counted(countResetTaken)
	t := newTable(w)
	row := func(n int, name string) { fmt.Fprintf(t, "%d\t %s\n", n, name) }
	row(r.accepted, "created (answered 201)")
	row(r.offered-r.accepted, "never answered, in "+patience.String()+" of asking")
	row(r.taken, "delivered (taken by the carrier at least once)")
	row(r.lost, "lost")
	row(r.held, "held (never sent again, and its timeline says unknown)")
	row(r.late, "late (taken after their end)")
	row(r.duplicates(), fmt.Sprintf("duplicates, of at most %d: %d resets that took and %d in flight at kills", r.bound(resets), resets, r.bound(0)))
	for _, cause := range causes() {
		row(r.repeats[cause], "  "+string(cause))
	}
	row(r.codes, "of them with another code")
	row(r.checked-r.wrong, fmt.Sprintf("codes right, of %d checked", r.checked))
	row(b.counted(countBusy), "calls answered 503")
	row(resets, "calls reset, the message taken")
	row(b.counted(countResetLost), "calls reset, the message not taken")
	row(b.counted(countTold), "callbacks taken")
	row(b.counted(countRefused), "callbacks refused")
	row(b.counted(countGivenUp), "callbacks given up")
	_ = t.Flush()
	fmt.Fprintf(w, "\nfrom create to carrier: p50 %s, p99 %s, max %s\n", quantile(r.arrival, .5), quantile(r.arrival, .99), quantile(r.arrival, 1))
	printKills(w, r)
}

// printKills tells each kill, and the median and the worst of each role.
func printKills(w io.Writer, r result) {
	if len(r.kills) == 0 {
		return
	}
	fmt.Fprint(w, `
recovered: from the kill to the first create accepted (api, nats), the first message of a later create (sms),
           the failure of a bad number that was asked right after (verifier)
caught up: from the kill to the first message of the last create that had been accepted before it,
           whatever held it up: an earlier kill, or a refusal of the carrier
in flight: messages taken whose sender may not have been told, or not have stored it

`)
	t := newTable(w)
	fmt.Fprintln(t, "at\trole\trecovered\tcaught up\tin flight\t")
	for _, k := range r.kills {
		fmt.Fprintf(t, "%.1fs\t%s\t%s\t%s\t%d\t\n", k.at.Sub(r.began).Seconds(), k.life, orElse(k.recovered.Round(time.Millisecond), "never"), orElse(k.caught.Round(time.Millisecond), "-"), k.inFlight)
	}
	_ = t.Flush()
	fmt.Fprintln(w)
	t = newTable(w)
	fmt.Fprintln(t, "role\tkills\trecovered p50\tmax\tcaught up p50\tmax\t")
	for _, role := range []string{roleAPI, roleVerifier, roleSMS, roleNATS} {
		var recovered, caught []time.Duration
		for _, k := range r.kills {
			if k.role == role {
				recovered, caught = append(recovered, k.recovered), append(caught, k.caught)
			}
		}
		if len(recovered) == 0 {
			continue
		}
		slices.Sort(recovered)
		slices.Sort(caught)
		fmt.Fprintf(t, "%s\t%d\t%s\t%s\t%s\t%s\t\n", role, len(recovered), quantile(recovered, .5), quantile(recovered, 1), quantile(caught, .5), quantile(caught, 1))
	}
	_ = t.Flush()
	fmt.Fprintln(w)
}

// orElse is a time, or a word for none.
func orElse(d time.Duration, none string) string {
	if d == 0 {
		return none
	}
	return d.String()
}
