package smtp

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	protocol "github.com/wneessen/go-mail/smtp"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
)

// quitTimeout is what a server gets to answer our leave.
const quitTimeout = time.Second

// session is one connection that is ready for mails.
type session struct {
	conn   net.Conn // the TCP connection, beneath TLS
	client *protocol.Client
	mails  int
	timer  *time.Timer // ends the session while it is idle
}

// open dials, protects the connection and signs in. Whatever fails here, no mail was sent.
func (g *Gateway) open(ctx context.Context) (*session, error) {
	conn, err := g.dialer.DialContext(ctx, "tcp", g.cfg.address())
	if err != nil {
		return nil, failed(stepConnect, err)
	}
	s := &session{conn: conn}
	release := s.bind(ctx)
	err = g.greet(ctx, s)
	if intact := release(); err == nil && !intact {
		err = failed(stepConnect, ctx.Err())
	}
	if err != nil {
		s.drop()
		return nil, err
	}
	return s, nil
}

// greet brings the connection from its first byte to where mails may be sent.
func (g *Gateway) greet(ctx context.Context, s *session) error {
	wire := s.conn
	if g.cfg.TLS == tlsImplicit {
		protected := tls.Client(s.conn, g.tls)
		if err := protected.HandshakeContext(ctx); err != nil {
			return failed(stepTLS, err)
		}
		wire = protected
	}
	client, err := protocol.NewClient(wire, g.cfg.Host)
	if err != nil {
		return failed(stepGreeting, err)
	}
	s.client = client
	if err := client.Hello(g.helo(s.conn)); err != nil {
		return failed(stepHello, err)
	}
	if g.cfg.TLS == tlsStart {
		// Never in clear instead: whoever can cut the offer out of the answer could read the code.
		if offered, _ := client.Extension("STARTTLS"); !offered {
			return delivery.Misconfigured(errors.New("smtp: the server offers no STARTTLS"))
		}
		if err := client.StartTLS(g.tls); err != nil {
			return failed(stepTLS, err)
		}
	}
	return g.signIn(client)
}

func (g *Gateway) signIn(client *protocol.Client) error {
	if g.cfg.Username == "" {
		return nil
	}
	_, offered := client.Extension("AUTH")
	auth := g.mechanism(strings.Fields(strings.ToUpper(offered)))
	if auth == nil {
		return delivery.Misconfigured(errors.New("smtp: the server offers no way to sign in that we have or may use"))
	}
	if err := client.Auth(auth); err != nil {
		return failed(stepAuth, err)
	}
	return nil
}

// mechanism is the configured one, or the first of ours that the server offers. CRAM-MD5 and
// NTLM, which go-mail's own choice prefers to PLAIN, are not among ours: inside TLS they
// protect nothing, and the server must keep the password itself to check them.
func (g *Gateway) mechanism(offered []string) protocol.Auth {
	user, password, host := g.cfg.Username, g.cfg.Password, g.cfg.Host
	inClear := g.cfg.TLS == tlsNone // on loopback; elsewhere the configuration is refused
	for _, m := range []struct {
		name string
		auth protocol.Auth
	}{
		{authScramSHA256, protocol.ScramSHA256Auth(user, password)},
		{authScramSHA1, protocol.ScramSHA1Auth(user, password)},
		{authPlain, protocol.PlainAuth("", user, password, host, inClear)},
		{authLogin, protocol.LoginAuth(user, password, host, inClear)},
	} {
		if (g.cfg.Auth == authAuto || g.cfg.Auth == m.name) && slices.Contains(offered, strings.ToUpper(m.name)) {
			return m.auth
		}
	}
	return nil
}

// helo is the configured name, or the address of our end as RFC 5321 section 4.1.3 writes it.
func (g *Gateway) helo(conn net.Conn) string {
	if g.cfg.Helo != "" {
		return g.cfg.Helo
	}
	local, err := netip.ParseAddrPort(conn.LocalAddr().String())
	if err != nil {
		return "localhost"
	}
	ip := local.Addr().Unmap().WithZone("")
	if ip.Is4() {
		return "[" + ip.String() + "]"
	}
	return "[IPv6:" + ip.String() + "]"
}

// bind ends every wait on the connection with ctx. The caller releases it, and is told
// whether the connection outlived ctx.
func (s *session) bind(ctx context.Context) (release func() (intact bool)) {
	deadline, _ := ctx.Deadline()
	// It fails on a closed connection only, and then so does what follows.
	_ = s.conn.SetDeadline(deadline)
	return context.AfterFunc(ctx, func() { _ = s.conn.SetDeadline(time.Unix(1, 0)) })
}

// carry is one transaction. Its answer is the server's text on taking the mail.
func (s *session) carry(l letter) (string, error) {
	if s.mails > 0 {
		// It clears what is left of the mail before, and tells whether anybody still listens.
		if err := s.client.Reset(); err != nil {
			return "", failed(stepReset, err)
		}
	}
	if err := s.address(l); err != nil {
		return "", err
	}
	data, err := s.client.Data()
	if err != nil {
		return "", failed(stepData, err)
	}
	return s.write(data, l.data)
}

// address says who sends to whom. SMTPUTF8 is asked for where an address needs it only: a mail
// that has the mark is returned by every server on its way that does not know it.
func (s *session) address(l letter) error {
	if offered, _ := s.client.Extension("SMTPUTF8"); l.utf8 && !offered {
		err := errors.New("smtp: the address has characters that the server does not take")
		if !ascii(l.from) {
			return delivery.Misconfigured(err)
		}
		return delivery.Permanent(events.ReasonUndeliverable, err)
	}
	s.client.SkipSMTPUTF8(!l.utf8)
	if err := s.client.Mail("<" + l.from + ">"); err != nil {
		return failed(stepMail, err)
	}
	if err := s.client.Rcpt("<" + l.to + ">"); err != nil {
		return failed(stepRcpt, err)
	}
	return nil
}

// write sends the mail and its final dot, and hears the answer. go-mail's own Close of the data
// does not tell whether the dot went out.
func (s *session) write(data io.WriteCloser, mail []byte) (string, error) {
	stream, ok := data.(*protocol.DataCloser)
	if !ok {
		return "", failed(stepData, errors.New("the data cannot be written"))
	}
	if _, err := stream.WriteCloser.Write(mail); err != nil {
		return "", failed(stepData, err)
	}
	// What does not leave whole holds no whole dot: the dot is its last byte but two.
	if err := stream.WriteCloser.Close(); err != nil {
		return "", failed(stepData, err)
	}
	_, answer, err := s.client.Text.ReadResponse(250)
	if err != nil {
		return "", failed(stepDot, err)
	}
	return answer, nil
}

// quit takes leave of the server and closes the connection.
func (s *session) quit() {
	_ = s.conn.SetDeadline(time.Now().Add(quitTimeout)) // fails on a closed connection only
	_ = s.client.Quit()                                 // nothing depends on its answer
	s.drop()
}

// drop closes the connection without a word. The TLS layer would wait up to five seconds to
// send its own farewell.
func (s *session) drop() { _ = s.conn.Close() }
