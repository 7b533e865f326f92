package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ThreeDotsLabs/watermill/message"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/governor"
	"github.com/assent-io/assent/workers/notification"
	"github.com/assent-io/assent/workers/routing"
)

// process is what the roles of one process share: configuration, broker, listeners, and the order
// in which everything ends.
type process struct {
	cfg config
	log *slog.Logger
	now func() time.Time
	js  jetstream.JetStream
	// ownsTopology: this process makes the keyring and the streams; others wait for them.
	ownsTopology bool

	registry *prometheus.Registry
	metrics  *metrics
	started  atomic.Bool   // all roles serve
	closing  chan struct{} // closed when the process is asked to end: parked requests are answered

	listeners map[string]*listener // by the address that was asked for
	stops     [stopStages][]func()
	failed    chan error // the first thing that ended by itself
	governing *governor.Client

	once struct {
		keys       func() (*keyring.Keyring, error)
		publisher  func() *stream.Publisher
		deliveries func() *delivery.Metrics
		routing    func() *routing.Metrics
		notices    func() *notification.Metrics
	}

	// list is who gets no messages, followed by all roles of the process together; nil until one asks.
	list *stream.SuppressionList
}

// The order of ending: consumers stop pulling and finish what they hold while everything they
// call still serves; then what holds connections open lets go of them; then the listeners; then
// what all of them used.
const (
	stopFirst = iota
	stopHolding
	stopLast
	stopStages
)

// readyTimeout bounds how long a role waits at its start for the broker, the streams and the keyring.
const readyTimeout = 90 * time.Second

func newProcess(cfg config, js jetstream.JetStream, log *slog.Logger) *process {
	p := &process{
		cfg: cfg, log: log, now: time.Now, js: js, registry: prometheus.NewRegistry(),
		closing: make(chan struct{}), listeners: map[string]*listener{}, failed: make(chan error, 1),
	}
	p.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	p.metrics = newMetrics(p.registry)
	p.once.keys = sync.OnceValues(p.openKeyring)
	p.once.publisher = sync.OnceValue(p.openPublisher)
	p.once.deliveries = sync.OnceValue(func() *delivery.Metrics { return delivery.NewMetrics(p.registry) })
	p.once.routing = sync.OnceValue(func() *routing.Metrics { return routing.NewMetrics(p.registry) })
	p.once.notices = sync.OnceValue(func() *notification.Metrics { return notification.NewMetrics(p.registry, p.deliveries()) })
	return p
}

func newLogger(c logConfig, w io.Writer) *slog.Logger {
	var level slog.Level
	_ = level.UnmarshalText([]byte(c.Level)) // checked with the configuration
	o := &slog.HandlerOptions{Level: level}
	var h slog.Handler = slog.NewJSONHandler(w, o)
	if c.Format == "text" {
		h = slog.NewTextHandler(w, o)
	}
	return slog.New(h).With("version", version)
}

// dial begins to connect to the broker, which may not be there yet; awaitBroker waits for it.
func dial(c natsConfig, name string, log *slog.Logger) (*nats.Conn, error) {
	options := append(connectionOptions(name, log), nats.RetryOnFailedConnect(true))
	if c.Username != "" {
		options = append(options, nats.UserInfo(c.Username, c.Password))
	}
	nc, err := nats.Connect(c.URL, options...)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", c.URL, err)
	}
	return nc, nil
}

// awaitBroker returns once the broker is connected.
func (p *process) awaitBroker(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	said := false
	for !p.js.Conn().IsConnected() {
		if !said {
			p.log.Info("waiting for the broker")
			said = true
		}
		if err := pause(ctx, startPause); err != nil {
			return fmt.Errorf("connect to the broker: no answer in %s", readyTimeout)
		}
	}
	return nil
}

func connectionOptions(name string, log *slog.Logger) []nats.Option {
	return []nats.Option{
		nats.Name("assent-" + name), nats.MaxReconnects(-1), nats.ReconnectWait(250 * time.Millisecond),
		nats.DisconnectErrHandler(func(_ *nats.Conn, err error) {
			if err != nil {
				log.Warn("broker connection lost", "err", err)
			}
		}),
		nats.ReconnectHandler(func(*nats.Conn) { log.Info("broker connection is back") }),
		nats.ErrorHandler(func(_ *nats.Conn, _ *nats.Subscription, err error) { log.Warn("broker reports a fault", "err", err) }),
	}
}

// startPause is between two looks at something that another process is about to make.
const startPause = 100 * time.Millisecond

func pause(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prepare makes the keyring and the streams, or waits until their owner has.
func (p *process) prepare(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	if p.ownsTopology {
		if _, err := p.keys(); err != nil {
			return err
		}
		return stream.Ensure(ctx, p.js, stream.Topology{
			Replicas: p.cfg.NATS.Replicas, SendQuota: p.cfg.Limits.Sends, SendWindow: p.cfg.Limits.Window,
			KeepProofs: p.cfg.Proofs.age(),
		})
	}
	said := false
	for {
		err := stream.Exists(ctx, p.js)
		if err == nil {
			return nil
		}
		if !said {
			p.log.Info("waiting for the streams, which the role api makes", "err", err)
			said = true
		}
		if pause(ctx, startPause) != nil {
			return fmt.Errorf("wait for the streams: %w", err)
		}
	}
}

func (p *process) keys() (*keyring.Keyring, error) { return p.once.keys() }

func (p *process) openKeyring() (*keyring.Keyring, error) {
	if p.ownsTopology {
		return keyring.LoadOrCreate(p.cfg.Keyring)
	}
	k, err := keyring.Load(p.cfg.Keyring)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("no keyring at %s\n  the role api makes one at its first start; set keyring (ASSENT_KEYRING) to the same file", p.cfg.Keyring)
	}
	return k, err
}

// publisher is that of consumers, who put aside what they cannot take.
func (p *process) publisher() *stream.Publisher { return p.once.publisher() }

// openPublisher takes the key that dead letters are sealed with from the keyring. A process that has none
// serves all the same: its letters tell what could not be taken, and why.
func (p *process) openPublisher() *stream.Publisher {
	pub := stream.NewPublisher(p.js).Counting(p.metrics.bury)
	keys, err := p.keys()
	if err == nil {
		err = keys.SealsLetters()
	}
	if err != nil {
		cause, _, _ := strings.Cut(err.Error(), "\n") // what else it advises is for those who need a key
		p.log.Warn("dead letters are stored without their content: there is no key to seal it with; "+
			"run assent keyring init (again), and set keyring (ASSENT_KEYRING) to this role's file", "keyring", p.cfg.Keyring, "err", cause)
		return pub
	}
	return pub.Sealing(keys.SealLetter)
}

func (p *process) deliveries() *delivery.Metrics { return p.once.deliveries() }
func (p *process) routing() *routing.Metrics     { return p.once.routing() }

// publicURL is where people's links and the providers' callbacks start.
func (p *process) publicURL() string {
	if p.cfg.PublicURL != "" {
		return p.cfg.PublicURL
	}
	return p.cfg.scheme() + "://" + p.cfg.Listen
}

func (p *process) onStop(stage int, f func()) { p.stops[stage] = append(p.stops[stage], f) }

// fail reports that a part ended by itself, which ends the process.
func (p *process) fail(err error) {
	select {
	case p.failed <- err:
	default:
	}
}

type handler = message.NoPublishHandlerFunc

// consume runs handlers, by the names of their consumers, until the process ends.
func (p *process) consume(ctx context.Context, name string, handlers map[string]handler, consumers ...stream.Consumer) error {
	log, grace := p.log.With("role", name), p.cfg.Workers.Grace
	router, err := stream.NewRouter(log, grace+time.Second)
	if err != nil {
		return err
	}
	router.AddMiddleware(stream.Middleware(p.publisher())...)
	var subscribers []*stream.Subscriber
	for _, c := range consumers {
		s := stream.NewSubscriber(p.js, stream.SubscriberConfig{MaxInFlight: p.cfg.Workers.MaxInFlight, Grace: grace, Log: log}, c)
		subscribers = append(subscribers, s)
		router.AddConsumerHandler(c.Name, c.Name, s, handlers[c.Name])
	}
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	ended := make(chan error, 1)
	go func() {
		err := router.Run(running)
		ended <- err
		close(ended) // whoever asks later need not wait
		if running.Err() == nil {
			p.fail(fmt.Errorf("consumer %s ended: %w", name, err))
		}
	}()
	p.onStop(stopFirst, func() {
		cancel()
		for _, s := range subscribers {
			_ = s.Close()
		}
		if err := <-ended; err != nil {
			log.Warn("consumer did not end cleanly", "err", err)
		}
	})
	select {
	case <-router.Running():
		return nil
	case err := <-ended:
		return fmt.Errorf("start consumer %s: %w", name, err)
	}
}

// listener is one address with its routes.
type listener struct {
	mux *http.ServeMux
	// root has the paths that the mux would redirect to their clean form: a redirect loses bodies, and
	// some clients sign a path as they write it.
	root   http.Handler
	socket net.Listener
	server *http.Server
	health bool
}

// serve adds a route to an address. Nothing is bound before listen.
func (p *process) serve(address, pattern string, h http.Handler) {
	l := p.listeners[address]
	if l == nil {
		l = &listener{mux: http.NewServeMux()}
		p.listeners[address] = l
	}
	l.mux.Handle(pattern, h)
	if pattern == "/" {
		l.root = h
	}
}

// ServeHTTP routes a request, and never redirects one.
func (l *listener) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if clean := path.Clean(r.URL.Path); l.root != nil && clean != r.URL.Path && clean+"/" != r.URL.Path {
		l.root.ServeHTTP(w, r)
		return
	}
	l.mux.ServeHTTP(w, r)
}

// The limits of the listeners. There is none on the whole of a request or its answer: long polls,
// event streams and the sandbox's slow moods take their time, and each bounds itself.
// (A ReadTimeout would also cut the context of a long poll whose request was read long ago.)
const (
	readHeaderTimeout = 10 * time.Second
	bodyTimeout       = 15 * time.Second
	idleTimeout       = 2 * time.Minute
	maxHeaderBytes    = 32 << 10
)

// otherListen is the flag that moves what serves people.
const otherListen = "--listen 127.0.0.1:8081"

// bind opens an address before its routes are known, so that its port is. A busy one is told with the
// flag that names another instead.
func bind(ctx context.Context, address, instead string) (net.Listener, error) {
	socket, err := (&net.ListenConfig{}).Listen(ctx, "tcp", address)
	if err != nil {
		var op *net.OpError
		if errors.As(err, &op) {
			err = op.Err
		}
		return nil, fmt.Errorf("can't listen on %s: %w\n  try another address: %s", address, err, instead)
	}
	return socket, nil
}

// listen serves every address that has routes and is not served yet. An address may have been bound before.
func (p *process) listen(ctx context.Context) error {
	for address, l := range p.listeners {
		if l.server != nil {
			continue // more routes may have come, which it serves too
		}
		if l.socket == nil {
			var err error
			if l.socket, err = bind(ctx, address, otherListen); err != nil {
				return err
			}
		}
		if err := p.answer(address, l); err != nil {
			return err
		}
	}
	return nil
}

// answer begins to serve an address that is bound. The public one speaks TLS where there is a certificate.
func (p *process) answer(address string, l *listener) error {
	handler, protocols := boundBodies(l, bodyTimeout), new(http.Protocols)
	protocols.SetHTTP1(true)
	server := &http.Server{
		Handler: handler, ReadHeaderTimeout: readHeaderTimeout, IdleTimeout: idleTimeout,
		MaxHeaderBytes: maxHeaderBytes, Protocols: protocols,
		ErrorLog: slog.NewLogLogger(p.log.Handler(), slog.LevelDebug),
	}
	serve := func() error { return server.Serve(l.socket) }
	if p.cfg.TLS.on() && address == p.cfg.Listen {
		files, err := openCertificates(p.cfg.TLS, p.now, p.log)
		if err != nil {
			return err
		}
		protocols.SetHTTP2(true)
		server.Handler, server.TLSConfig = strictTransport(handler), serverTLS(files)
		serve = func() error { return server.ServeTLS(l.socket, "", "") }
	} else {
		protocols.SetUnencryptedHTTP2(true) // proxies speak it, and the sandbox's APNs must be spoken to in it
	}
	l.server = server
	go func() {
		if err := serve(); !errors.Is(err, http.ErrServerClosed) {
			p.fail(fmt.Errorf("serve %s: %w", address, err))
		}
	}()
	return nil
}

// run starts the roles and returns after ctx has ended and everything has come to rest, or with
// the error of the first part that failed. ready is called once all roles serve. Whoever is asked
// to end while it still waits for others has not failed.
func (p *process) run(ctx context.Context, selected []role, ready func()) error {
	err := p.start(ctx, selected)
	switch {
	case err == nil:
		p.started.Store(true)
		p.metrics.ready.Set(1)
		ready()
		select {
		case <-ctx.Done():
			p.log.Info("ending: finishing what is in flight")
		case err = <-p.failed:
		}
	case ctx.Err() != nil:
		p.log.Info("ending before all was ready")
		err = nil
	}
	p.stop()
	return err
}

func (p *process) start(ctx context.Context, selected []role) error {
	if err := p.awaitBroker(ctx); err != nil {
		return err
	}
	if err := p.prepare(ctx); err != nil {
		return err
	}
	for _, r := range selected {
		if err := r.start(ctx, p); err != nil {
			return fmt.Errorf("start role %s: %w", r.name, err)
		}
	}
	return p.listen(ctx)
}

// stop ends everything, in order. It is called once.
func (p *process) stop() {
	close(p.closing) // readiness turns, parked requests are answered
	p.metrics.ready.Set(0)
	all(p.stops[stopFirst])
	all(p.stops[stopHolding])
	ctx, cancel := context.WithTimeout(context.Background(), p.cfg.Workers.Grace)
	defer cancel()
	var servers []func()
	for _, l := range p.listeners {
		servers = append(servers, func() {
			switch {
			case l.server != nil:
				if l.server.Shutdown(ctx) != nil {
					_ = l.server.Close()
				}
			case l.socket != nil:
				_ = l.socket.Close()
			}
		})
	}
	all(servers)
	all(p.stops[stopLast])
}

// all runs functions side by side and waits for them.
func all(functions []func()) {
	var wg sync.WaitGroup
	for _, f := range functions {
		wg.Go(f)
	}
	wg.Wait()
}

// lockData keeps a second process off the data directory. The lock ends with the process, however it ends.
func lockData(dir string) (release func(), err error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	return lockFile(dir + "/lock")
}
