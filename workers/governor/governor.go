// Package governor keeps the calls of all worker processes within what each provider allows: a rate, calls at
// once, a circuit that all share, and the pauses of operators. The Ledger is the arithmetic, without network or
// clock of its own; the Service is the one process that holds the ledger, by lease; the Client is what every
// worker process asks it through, and hands out Gates. Routing calls the gates; channels and providers are
// names here. The composition root builds all of it.
package governor

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
)

// Quota is what a provider allows one account. The zero Quota allows everything.
type Quota struct {
	// Rate is in units a second: segments of texts, else messages. Zero: no limit.
	Rate float64
	// Concurrency is how many calls may be made at once. Zero: no limit.
	Concurrency int
}

func (q Quota) limited() bool { return q.Rate > 0 || q.Concurrency > 0 }

// least is the smaller of two quotas, in each of its parts.
func (q Quota) least(o Quota) Quota {
	if q.Rate == 0 || o.Rate > 0 && o.Rate < q.Rate {
		q.Rate = o.Rate
	}
	if q.Concurrency == 0 || o.Concurrency > 0 && o.Concurrency < q.Concurrency {
		q.Concurrency = o.Concurrency
	}
	return q
}

// String is the quota as people write it.
func (q Quota) String() string {
	var parts []string
	if q.Rate > 0 {
		parts = append(parts, strconv.FormatFloat(q.Rate, 'g', 6, 64)+"/s")
	}
	if q.Concurrency > 0 {
		parts = append(parts, strconv.Itoa(q.Concurrency)+" at once")
	}
	return strings.Join(parts, ", ")
}

// maxRate is above what any provider takes.
const maxRate = 1e6

// ParseRate reads a rate such as 100/s, 600000/m or 3600/h, in units a second.
func ParseRate(s string) (float64, error) {
	count, unit, _ := strings.Cut(strings.ReplaceAll(s, " ", ""), "/")
	n, err := strconv.ParseFloat(count, 64)
	seconds := map[string]float64{"s": 1, "m": 60, "h": 3600}[unit]
	if err != nil || seconds == 0 || !(n > 0) || n/seconds > maxRate {
		return 0, fmt.Errorf("want a rate such as 100/s, 600000/m or 3600/h, of at most %d a second", int(maxRate))
	}
	return n / seconds, nil
}

// Shares are the lanes' parts of every quota, in percent.
type Shares struct {
	Verification  int `koanf:"verification"`
	Transactional int `koanf:"transactional"`
	Bulk          int `koanf:"bulk"`
}

// DefaultShares are those of a deployment that sets none.
func DefaultShares() Shares { return Shares{Verification: 60, Transactional: 25, Bulk: 15} }

// Of is the share of one lane, in percent.
func (s Shares) Of(l events.Lane) int {
	return events.LaneCounts(s).Of(l)
}

// Validate names every fault by its key.
func (s Shares) Validate() []error {
	var faults []error
	for _, l := range events.Lanes() {
		if s.Of(l) < 1 {
			faults = append(faults, fmt.Errorf("%s: want 1 to 98: without a share a lane would wait for ever", l))
		}
	}
	if sum := s.Verification + s.Transactional + s.Bulk; sum != 100 {
		faults = append(faults, fmt.Errorf("verification: the shares of the lanes make %d together, and must make 100", sum))
	}
	return faults
}

const (
	// silence is after how long without a word a process is taken for dead.
	silence = 3 * time.Second
	// landing is how long after its last word the calls of a process that is taken for dead may still be on their way: it
	// may only be cut off.
	landing = 10 * time.Second
	// memory is how much of a rate is not forgotten where it could not be used: what a turn that comes late
	// would lose. It comes back slowly, because burst is all that may be granted at once, and after that pace times
	// the rate: in no second more than 1.09 of it, which is within the tenth that providers forgive.
	memory = 300 * time.Millisecond
	burst  = 60 * time.Millisecond
	pace   = 1.03
	// turn is between two divisions where there is less than is wanted.
	turn = 50 * time.Millisecond
	// learning is how long a new governor listens before it grants calls at once: in that time each process
	// says what it has in flight.
	learning = 600 * time.Millisecond
	// keep is how long a process keeps what it was granted and does not use.
	keep = 200 * time.Millisecond
)
