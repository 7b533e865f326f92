package main

import (
	"sync"
	"time"
)

// message is one that a carrier took.
type message struct {
	code    string
	carrier string
	caller  string    // the life of the worker that sent it; the backup is not told
	at      time.Time // its request had been read
	// answered is zero where the caller was cut off before its answer.
	answered time.Time
	reset    bool // the carrier took it and then reset the connection
}

// book is what the outside world remembers. Two carriers write into the same one.
type book struct {
	mu       sync.Mutex
	messages map[string][]*message // by number, oldest first
	calls    map[string]int        // by number
	counts   map[string]int        // what else happened, by name
	heard    time.Time             // the newest call
}

func newBook() *book {
	return &book{messages: map[string][]*message{}, calls: map[string]int{}, counts: map[string]int{}}
}

// call notes that a carrier was asked to send something to a number, and how often now.
func (b *book) call(to string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.heard = time.Now()
	b.calls[to]++
	return b.calls[to]
}

func (b *book) take(to string, m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.at = time.Now()
	b.messages[to] = append(b.messages[to], m)
}

// answer notes that the caller is about to be told.
func (b *book) answer(m *message) {
	b.mu.Lock()
	defer b.mu.Unlock()
	m.answered = time.Now()
}

func (b *book) count(what string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[what]++
}

func (b *book) counted(what string) int {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.counts[what]
}

func (b *book) quietSince() time.Time {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.heard
}

// all is a copy of what was taken, by number.
func (b *book) all() map[string][]message {
	b.mu.Lock()
	defer b.mu.Unlock()
	taken := make(map[string][]message, len(b.messages))
	for to, list := range b.messages {
		for _, m := range list {
			taken[to] = append(taken[to], *m)
		}
	}
	return taken
}
