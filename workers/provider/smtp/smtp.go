// Package smtp carries mail to an SMTP server. It turns one delivery.Mail into one
// transaction and the server's answer into a receipt or a marked error; it renders nothing,
// retries nothing and hears of no bounce. Connections are kept for the mails that follow. The
// composition root hands it to package email.
//
// The mail and the words on the wire are go-mail's; when they are said is decided here. go-mail's
// client does not end a call with its context, does not tell whether the mail's end was written,
// calls a mail lost that the server took and then hung up, and quotes server and recipient in
// its errors. The rules come from RFC 5321 (SMTP), RFC 3207 (STARTTLS), RFC 4954 (AUTH), RFC 6531
// (internationalised addresses) and RFC 3463 and 5248 (enhanced status codes).
package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"syscall"
	"time"

	"github.com/assent-io/assent/workers/delivery"
)

// callTimeout bounds one call from the wait for a connection to the answer, even where the
// delivery has longer to live. RFC 5321 would have a client wait for minutes: a one-time code
// does not live that long.
const callTimeout = 10 * time.Second

// dialTimeout leaves a call that met a silent address time for another.
const dialTimeout = 5 * time.Second

// Gateway sends mail. It is safe for concurrent use: each connection is one call's at a time.
type Gateway struct {
	cfg    Config
	tls    *tls.Config
	dialer *net.Dialer
	pool   *pool
}

// New builds the gateway from a valid configuration. It connects to nobody yet.
func New(cfg Config) (*Gateway, error) {
	if faults := cfg.Validate(); len(faults) > 0 {
		return nil, fmt.Errorf("configure smtp: %w", errors.Join(faults...))
	}
	cfg = cfg.withDefaults()
	config, err := cfg.tlsConfig()
	if err != nil {
		return nil, fmt.Errorf("configure smtp: %w", err)
	}
	g := &Gateway{cfg: cfg, tls: config, pool: newPool(cfg.MaxConnections)}
	g.dialer = &net.Dialer{Timeout: dialTimeout, KeepAlive: 15 * time.Second, ControlContext: g.control}
	return g, nil
}

// control looks at the address that a name resolved to before anything is sent there.
func (g *Gateway) control(_ context.Context, _, address string, _ syscall.RawConn) error {
	at, err := netip.ParseAddrPort(address)
	if err != nil {
		return fmt.Errorf("parse the address to dial: %w", err)
	}
	if err := g.cfg.mayDial(at.Addr()); err != nil {
		return &barredError{err}
	}
	return nil
}

// SendMail makes one transaction. The server takes a mail of unknown fate twice when it is sent
// again; its Message-ID is the same, so that the mailbox may drop the second.
func (g *Gateway) SendMail(ctx context.Context, m delivery.Mail) (delivery.Receipt, error) {
	receipt := delivery.Receipt{}
	l, err := compose(m, time.Now())
	if err != nil {
		return receipt, err
	}
	ctx, cancel := context.WithTimeout(ctx, callTimeout)
	defer cancel()
	leave, err := g.pool.enter(ctx)
	if err != nil {
		return receipt, fmt.Errorf("smtp: wait for a free connection: %w", err)
	}
	defer leave()
	answer, err := g.carry(ctx, l)
	if err != nil {
		return receipt, err
	}
	if receipt.ID = queueID(answer); receipt.ID == "" || l.holds(receipt.ID) {
		receipt.ID = l.id
	}
	return receipt, nil
}

// carry takes a connection that is there. A server may have ended it while it was idle, or end
// it now because it has carried enough: then, and as long as the mail's end was not written, a
// new one is dialled, once.
func (g *Gateway) carry(ctx context.Context, l letter) (string, error) {
	if s := g.pool.take(); s != nil {
		answer, err := g.try(ctx, s, l)
		if !gone(err) || ctx.Err() != nil {
			return answer, err
		}
	}
	s, err := g.open(ctx)
	if err != nil {
		return "", err
	}
	return g.try(ctx, s, l)
}

// try carries the letter over s and keeps s where it is of further use.
func (g *Gateway) try(ctx context.Context, s *session, l letter) (string, error) {
	release := s.bind(ctx)
	answer, err := s.carry(l)
	// A deadline that struck is still on the connection, and after an answer of another kind
	// the next mail does better on a connection of its own.
	if intact := release(); intact && (err == nil || delivery.ClassOf(err) == delivery.ClassPermanent) {
		g.pool.keep(s)
	} else {
		s.drop()
	}
	return answer, err
}

// Close takes leave of the server on every idle connection and waits for the calls in flight,
// which end within callTimeout. Calls that come after it fail; nothing is left running.
func (g *Gateway) Close() { g.pool.close() }
