package adapter

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/internal/exchange"
)

// answer is what an adapter says: an id where it took the message, a reason where it refuses for good.
type answer struct {
	ID     string `json:"id"`
	Reason string `json:"reason"`
	Detail string `json:"detail"`
}

// refusal is an answer that took nothing.
type refusal struct {
	name   string
	status int
	detail string // the carrier's code, or empty
}

func (r *refusal) Error() string { return fmt.Sprintf("adapter %s answered %d", r.name, r.status) }

// Detail is the code that the delivery is reported with: the carrier's, else the status.
func (r *refusal) Detail() string {
	if r.detail == "" {
		return strconv.Itoa(r.status)
	}
	return r.detail
}

// receipt settles what the call came to.
func (g *Gateway) receipt(record *exchange.Record, m message) (delivery.Receipt, error) {
	var a answer
	if json.Unmarshal(record.Body(), &a) != nil {
		a = answer{} // a proxy's page, or half a body; what could be read of it does not count
	}
	r := &refusal{name: g.name, status: record.Status()}
	refused := delivery.Receipt{}
	switch {
	case r.status >= 200 && r.status <= 299, r.status == http.StatusConflict: // 409: it was taken before
		if !plain(a.ID, 128) || m.quotedBy(a.ID) {
			return refused, delivery.Unknown(fmt.Errorf("adapter %s answered %d without an id that can be used", g.name, r.status))
		}
		return delivery.Receipt{ID: a.ID}, nil
	case r.status == http.StatusUnprocessableEntity && final(a.Reason):
		if plain(a.Detail, 32) && !m.quotedBy(a.Detail) {
			r.detail = a.Detail
		}
		return refused, delivery.Permanent(a.Reason, r)
	case r.status == http.StatusTooManyRequests:
		return refused, record.Throttled(r)
	case r.status == http.StatusRequestTimeout, r.status >= 500:
		return refused, record.Later(r)
	default:
		// 401, 403: the secret. 3xx, 404, 405: the URL. 422 without a reason of the contract, and all the
		// rest: not an adapter, or one that does not understand us. None of it is the message's fault.
		return refused, delivery.Misconfigured(r)
	}
}

// final tells whether a reason is one that an adapter may refuse a message for.
func final(reason string) bool {
	switch reason {
	case events.ReasonUndeliverable, events.ReasonUnsubscribed, events.ReasonRegionBlocked, events.ReasonMessageRefused:
		return true
	default:
		return false
	}
}

// plain tells whether a word of the adapter's is fit for reports: short, and visible ASCII.
func plain(s string, most int) bool {
	if s == "" || len(s) > most {
		return false
	}
	return !strings.ContainsFunc(s, func(r rune) bool { return r <= ' ' || r > '~' })
}

// quotedBy tells whether a word of the adapter's repeats the number, the code or the link of the message,
// which enter no report. Only whole numbers are compared: an id of digits may hold any few of them by chance.
func (m message) quotedBy(word string) bool {
	text := m.To + " " + m.Text
	for _, l := range m.Script {
		text += " " + strings.ReplaceAll(l.Text, ", ", "") // digits that are read one by one
	}
	if strings.Contains(word, strings.TrimPrefix(m.To, "+")) || len(word) > shortWord && strings.Contains(text, word) {
		return true
	}
	told := numbers(text)
	return slices.ContainsFunc(numbers(word), func(n string) bool { return len(n) >= shortCode && slices.Contains(told, n) })
}

const (
	shortCode = 4 // of digits: none is shorter
	shortWord = 8 // of letters: no link is as short
)

// numbers are the runs of digits in s.
func numbers(s string) []string {
	return strings.FieldsFunc(s, func(r rune) bool { return r < '0' || r > '9' })
}
