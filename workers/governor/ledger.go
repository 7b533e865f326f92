package governor

import (
	"cmp"
	"slices"
	"time"

	"github.com/assent-io/assent/events"
)

// Ledger is what a governor knows: for each provider what may be sent, who wants to, and what calls came to. It is
// a function of what it is told and of the times that it is handed, which never go back. It is not safe for
// concurrent use.
type Ledger struct {
	term     uint64
	shares   Shares
	began    time.Time
	accounts map[events.ProviderKey]*account
	paused   map[events.ProviderKey]time.Time // without an account; and without a channel for all
}

// NewLedger knows nothing: its buckets are empty.
func NewLedger(term uint64, shares Shares, now time.Time) *Ledger {
	return &Ledger{term: term, shares: shares, began: now, accounts: map[events.ProviderKey]*account{}, paused: map[events.ProviderKey]time.Time{}}
}

// pausePatience is how soon whoever was refused by a pause may ask again.
const pausePatience = 5 * time.Second

// maxAccounts bounds the memory.
const maxAccounts = 1024

func (l *Ledger) account(key events.ProviderKey, now time.Time) *account {
	a := l.accounts[key]
	if a == nil {
		if len(l.accounts) >= maxAccounts {
			return nil
		}
		a = newAccount(key, l.shares, now, l.began)
		a.paused = l.pausedSince(key)
		l.accounts[key] = a
	}
	return a
}

// Report takes in what a process says about one provider. term is that of the governor whose grants it speaks
// of. changed tells that the state of the provider is another now.
func (l *Ledger) Report(now time.Time, process string, term uint64, r events.ProviderReport) (changed bool) {
	a := l.account(r.Key, now)
	return a != nil && a.take(now, process, r, term == l.term)
}

// Ask asks for calls. Where ok is false the answer comes with a Turn.
func (l *Ledger) Ask(now time.Time, process string, w events.ProviderAsk) (answer events.GovernorAnswer, ok bool) {
	a := l.account(w.Key, now)
	if a == nil || a.lanes[w.Lane] == nil || len(w.Sizes) == 0 {
		return events.GovernorAnswer{Version: events.Version, Term: l.term}, true
	}
	p := a.process(process, now)
	refused := func(reason string, wait time.Duration) (events.GovernorAnswer, bool) {
		delete(p.asks, w.Lane)
		return l.answer(a, p, events.GovernorAnswer{Reason: reason, Wait: milliseconds(wait)}), true
	}
	if !a.paused.IsZero() {
		return refused(events.WaitPaused, pausePatience)
	}
	reason, wait, probe := a.circuit.refusal(now)
	if reason != "" {
		return refused(reason, wait)
	}
	alone := !a.asking(p, w.Lane)
	a.want(p, w)
	if p.asks[w.Lane] == nil { // of no size
		return l.answer(a, p, events.GovernorAnswer{}), true
	}
	if probe {
		// One call, whatever is left of the quota: it is owed.
		a.circuit.look(now, process)
		a.refill(now)
		a.grant(p, w.Lane, p.asks[w.Lane].sizes[0].Units)
		answer := p.asks[w.Lane].answer
		answer.Probe = true
		delete(p.asks, w.Lane)
		return l.answer(a, p, answer), true
	}
	// What cannot be satisfied as a whole waits for the turn: it would otherwise be asked for again and again.
	if !alone && w.Lane != events.LaneVerification || !a.affords(now, w.Sizes) {
		return answer, false
	}
	a.divide(now, p, w.Lane)
	mine := p.asks[w.Lane]
	if mine.answer.Calls == 0 {
		return answer, false
	}
	if alone && len(mine.sizes) == 0 {
		a.spare(p, w.Lane)
	}
	delete(p.asks, w.Lane)
	return l.answer(a, p, mine.answer), true
}

func (l *Ledger) answer(a *account, p *process, g events.GovernorAnswer) events.GovernorAnswer {
	g.Version, g.Term, g.Granted, g.Processes = events.Version, l.term, p.granted, len(a.processes)
	return g
}

// Granted is an answer that came with a turn.
type Granted struct {
	Process string
	Key     events.ProviderKey
	Lane    events.Lane
	Answer  events.GovernorAnswer
}

// Turn divides what there is among all who wait, and answers them all, in an order that is always the same.
func (l *Ledger) Turn(now time.Time) []Granted {
	var all []Granted
	for _, a := range l.accounts {
		a.expire(now)
		if len(a.processes) == 0 {
			if a.idle(now) {
				delete(l.accounts, a.key)
			}
			continue
		}
		reason, wait, probe := a.circuit.refusal(now)
		switch {
		case !a.paused.IsZero():
			reason, wait = events.WaitPaused, pausePatience
		case reason == "" && !probe:
			a.divide(now, nil, "")
		}
		for _, name := range events.Lanes() {
			for _, p := range a.processes {
				w := p.asks[name]
				if w == nil {
					continue
				}
				if reason != "" && w.answer.Calls == 0 {
					w.answer.Reason, w.answer.Wait = reason, milliseconds(wait)
				}
				all = append(all, Granted{p.name, a.key, name, l.answer(a, p, w.answer)})
				delete(p.asks, name)
			}
		}
	}
	slices.SortFunc(all, func(x, y Granted) int {
		return cmp.Or(cmp.Compare(x.Key.Channel, y.Key.Channel), cmp.Compare(x.Key.Provider, y.Key.Provider),
			cmp.Compare(x.Key.Account, y.Key.Account), cmp.Compare(x.Lane, y.Lane), cmp.Compare(x.Process, y.Process))
	})
	return all
}

// Pause notes an operator's word: since when a provider is not to be called, on one channel or, where that is
// empty, on all; the zero time ends it.
func (l *Ledger) Pause(provider string, channel events.Channel, since time.Time) {
	key := events.ProviderKey{Provider: provider, Channel: channel}
	if since.IsZero() {
		delete(l.paused, key)
	} else {
		l.paused[key] = since
	}
	for k, a := range l.accounts {
		a.paused = l.pausedSince(k)
	}
}

func (l *Ledger) pausedSince(key events.ProviderKey) time.Time {
	if since, ok := l.paused[events.ProviderKey{Provider: key.Provider}]; ok {
		return since
	}
	return l.paused[events.ProviderKey{Provider: key.Provider, Channel: key.Channel}]
}

// States says how all providers stand.
func (l *Ledger) States(now time.Time) events.GovernorStates {
	s := events.GovernorStates{Version: events.Version, Term: l.term, Providers: []events.ProviderState{}}
	for _, a := range l.accounts {
		a.expire(now)
		s.Providers = append(s.Providers, a.state(now))
	}
	slices.SortFunc(s.Providers, func(x, y events.ProviderState) int {
		return cmp.Or(cmp.Compare(x.Key.Channel, y.Key.Channel), cmp.Compare(x.Key.Provider, y.Key.Provider), cmp.Compare(x.Key.Account, y.Key.Account))
	})
	return s
}
