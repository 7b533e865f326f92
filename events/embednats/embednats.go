// Package embednats runs a NATS server with JetStream inside this process: for
// `assent up`, and for tests, which want the real broker rather than an imitation.
// Production runs the stock server as a process of its own.
package embednats

import (
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
)

// Config says where the streams live and how they reach the disk.
type Config struct {
	// Dir holds the streams. A second server on the same directory continues where the first ended.
	Dir string
	// SyncInterval bounds what a power failure can lose; zero means 200 ms, which measured as
	// cheap as 30 s. A killed process loses nothing at any setting.
	SyncInterval time.Duration
	// SyncAlways syncs before every acknowledgement: about a tenth of the publish rate.
	SyncAlways bool
	// Log receives the server's warnings and errors; nil drops them.
	Log *slog.Logger
}

const (
	defaultSyncInterval = 200 * time.Millisecond
	startTimeout        = 30 * time.Second // a large store is read before the server is ready
	maxMemory           = 1 << 30
)

// Server is a running server. It has no port: whoever could connect could read and forge every
// record, and on a machine with several users a loopback port is everybody's.
type Server struct{ server *server.Server }

// Start returns a server that is ready for connections.
func Start(c Config) (*Server, error) {
	if c.SyncInterval <= 0 {
		c.SyncInterval = defaultSyncInterval
	}
	s, err := server.NewServer(&server.Options{
		ServerName:             "assent",
		DontListen:             true,
		NoSigs:                 true, // the host process owns the signals
		JetStream:              true,
		StoreDir:               c.Dir,
		JetStreamMaxMemory:     maxMemory,
		JetStreamMaxStore:      maxStore,
		SyncInterval:           c.SyncInterval,
		SyncAlways:             c.SyncAlways,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("start embedded nats: %w", err)
	}
	if c.Log != nil {
		s.SetLoggerV2(&logger{c.Log}, false, false, false)
	}
	s.Start()
	if !s.ReadyForConnections(startTimeout) {
		s.Shutdown()
		return nil, errors.New("start embedded nats: not ready in time; another process may hold the data directory")
	}
	return &Server{s}, nil
}

// maxStore is what the streams may take together. The server reserves nothing: it is a ceiling.
const maxStore = 64 << 30

// Connect returns a connection that does not pass the network. It is the only kind there is.
func (s *Server) Connect(o ...nats.Option) (*nats.Conn, error) {
	nc, err := nats.Connect("", append(o, nats.InProcessServer(s.server))...)
	if err != nil {
		return nil, fmt.Errorf("connect to embedded nats: %w", err)
	}
	return nc, nil
}

// Shutdown stops the server and waits until its files are closed.
func (s *Server) Shutdown() {
	s.server.Shutdown()
	s.server.WaitForShutdown()
}

// logger passes the server's words on. Notices are dropped: they tell of every start and stop of
// every stream, which the roles tell in their own words.
type logger struct{ log *slog.Logger }

func (l *logger) Noticef(string, ...any)        {}
func (l *logger) Warnf(format string, v ...any) { l.log.Warn("nats: " + fmt.Sprintf(format, v...)) }

func (l *logger) Fatalf(format string, v ...any) { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }

func (l *logger) Errorf(format string, v ...any) { l.log.Error("nats: " + fmt.Sprintf(format, v...)) }
func (l *logger) Debugf(string, ...any)          {}
func (l *logger) Tracef(string, ...any)          {}
