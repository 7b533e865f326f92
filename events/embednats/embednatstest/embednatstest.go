// Package embednatstest gives tests a NATS server of their own.
package embednatstest

import (
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/assent-io/assent/events/embednats"
)

// Start runs a server that keeps its files in dir, until the test ends. It leaves it to the system when they
// reach the disk: no test cuts the power, and the server's timer for it starts before the stream is made,
// which on a machine that stalls is a race in the server's own code (v2.15.2, fileStore.setSyncTimer).
func Start(t testing.TB, dir string) *embednats.Server {
	t.Helper()
	s, err := embednats.Start(embednats.Config{Dir: dir, SyncInterval: time.Hour})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Shutdown)
	return s
}

// Connect returns a connection of its own, as another process would have, until the test ends.
func Connect(t testing.TB, s *embednats.Server) jetstream.JetStream {
	t.Helper()
	nc, err := s.Connect()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(nc.Close)
	js, err := jetstream.New(nc)
	if err != nil {
		t.Fatal(err)
	}
	return js
}
