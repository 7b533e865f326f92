package scenario_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"sync"
	"testing"
	"time"
)

// carrier stands outside of every process of a story, and so outlives them: it speaks just enough
// of Twilio's Messages API to take texts, and remembers each one.
type carrier struct {
	*httptest.Server
	// hold, where it is set, keeps each call waiting until it is closed.
	hold chan struct{}

	mu      sync.Mutex
	era     int // counts the lives of the program that calls
	texts   map[string][]carried
	began   chan struct{} // closed by the first call that is taken
	started sync.Once
}

// carried is one text that the carrier took.
type carried struct {
	era  int
	code string
}

const (
	carrierAccount = "ACcarrierofthestories"
)

var sixDigits = regexp.MustCompile(`\b\d{6}\b`)

// carrierDelay is about what a near provider takes.
const carrierDelay = 20 * time.Millisecond

func newCarrier(t *testing.T) *carrier {
	t.Helper()
	c := &carrier{texts: map[string][]carried{}, began: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /2010-04-01/Accounts/"+carrierAccount+"/Messages.json", c.take)
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

// env makes a program call this carrier for texts and calls.
func (c *carrier) env() []string {
	return []string{
		"ASSENT_TWILIO__BASE_URL=" + c.URL, "ASSENT_TWILIO__ACCOUNT_SID=" + carrierAccount,
		"ASSENT_TWILIO__AUTH_TOKEN=tokenofthecarrier", "ASSENT_TWILIO__FROM=+14155550100",
	}
}

func (c *carrier) take(w http.ResponseWriter, r *http.Request) {
	to, body := r.FormValue("To"), r.FormValue("Body")
	c.mu.Lock()
	c.texts[to] = append(c.texts[to], carried{c.era, sixDigits.FindString(body)})
	n := len(c.texts)
	c.mu.Unlock()
	c.started.Do(func() { close(c.began) })
	delay := time.NewTimer(carrierDelay)
	defer delay.Stop()
	hold := c.hold
	if hold == nil {
		select {
		case <-delay.C:
		case <-r.Context().Done():
			return
		}
	} else {
		select {
		case <-hold:
		case <-r.Context().Done():
			return
		}
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, `{"sid":"SM%032x","status":"queued","to":%q}`, n, to)
}

// nextEra notes that the program was killed.
func (c *carrier) nextEra() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.era++
}

// got are the texts to a number, oldest first.
func (c *carrier) got(to string) []carried {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]carried{}, c.texts[to]...)
}
