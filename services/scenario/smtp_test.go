package scenario_test

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	netmail "net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/emersion/go-sasl"
	"github.com/emersion/go-smtp"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// mailServer is a server that keeps to the protocol: mail is taken over TLS, from who signed in.
type mailServer struct {
	mu      sync.Mutex
	letters map[string][]string // by recipient
}

// newMailServer serves on a free port and returns it with the certificate to trust.
func newMailServer(t *testing.T) (s *mailServer, host, port, certificate string) {
	t.Helper()
	s = &mailServer{letters: map[string][]string{}}
	certificate, key := selfSigned(t, t.TempDir())
	pair, err := tls.LoadX509KeyPair(certificate, key)
	require.NoError(t, err)
	server := smtp.NewServer(smtp.BackendFunc(func(c *smtp.Conn) (smtp.Session, error) { return &mailVisit{s: s, conn: c}, nil }))
	server.Domain, server.TLSConfig = "mail.example.com", &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: tls.VersionTLS12}
	l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", "127.0.0.1:0")
	require.NoError(t, err)
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(l) }()
	t.Cleanup(func() {
		require.NoError(t, server.Shutdown(context.WithoutCancel(t.Context())))
		require.NoError(t, <-ended)
	})
	host, port, err = net.SplitHostPort(l.Addr().String())
	require.NoError(t, err)
	return s, host, port, certificate
}

func (s *mailServer) got(to string) []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]string{}, s.letters[to]...)
}

// mailVisit is one connection.
type mailVisit struct {
	s      *mailServer
	conn   *smtp.Conn
	signed bool
	to     []string
}

func (v *mailVisit) AuthMechanisms() []string { return []string{sasl.Plain} }

func (v *mailVisit) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, username, password string) error {
		if _, secured := v.conn.TLSConnectionState(); !secured || username != "assent" || password != "letmein" {
			return smtp.ErrAuthFailed
		}
		v.signed = true
		return nil
	}), nil
}

func (v *mailVisit) Mail(string, *smtp.MailOptions) error {
	if !v.signed {
		return smtp.ErrAuthRequired
	}
	return nil
}

func (v *mailVisit) Rcpt(to string, _ *smtp.RcptOptions) error {
	if strings.HasPrefix(to, "nobody") {
		return &smtp.SMTPError{Code: 550, EnhancedCode: smtp.EnhancedCode{5, 1, 1}, Message: "no such user: " + to}
	}
	v.to = append(v.to, to)
	return nil
}

func (v *mailVisit) Data(r io.Reader) error {
	m, err := netmail.ReadMessage(r)
	if err != nil || m.Header.Get("Message-Id") == "" || m.Header.Get("Date") == "" {
		return errors.Join(smtp.ErrDataReset, err)
	}
	body, err := io.ReadAll(m.Body)
	if err != nil {
		return err
	}
	v.s.mu.Lock()
	defer v.s.mu.Unlock()
	for _, to := range v.to {
		v.s.letters[to] = append(v.s.letters[to], sixDigits.FindString(string(body)))
	}
	return nil
}

func (v *mailVisit) Reset()        { v.to = nil }
func (v *mailVisit) Logout() error { return nil }

func TestMailLandsOverSMTPWithTLSAndASignIn(t *testing.T) {
	t.Parallel()
	server, host, port, certificate := newMailServer(t)
	s := Alone(t, "ASSENT_SMTP__HOST="+host, "ASSENT_SMTP__PORT="+port, "ASSENT_SMTP__CA_FILE="+certificate,
		"ASSENT_SMTP__USERNAME=assent", "ASSENT_SMTP__PASSWORD=letmein", "ASSENT_EMAIL__FROM=Example Bank <no-reply@example.com>")
	for range 5 { // over one connection or several
		ana := somebody()
		v := s.Create(mail(ana))
		eventually(t, "the mail lands", func() bool { return len(server.got(ana.mailbox)) == 1 })
		require.True(t, s.Check(v, server.got(ana.mailbox)[0]).Valid)
		eventually(t, "the timeline says so", func() bool { return len(s.timelineOf(t, v, "sent")) == 1 })
		require.Equal(t, "smtp", s.timelineOf(t, v, "sent")[0].Provider)
	}
	v := s.Create(ask("nobody@example.com", api.ChannelEmail))
	s.Waiting(v).Sees(api.StatusFailed, "undeliverable")
	require.Equal(t, "5.1.1", s.timelineOf(t, v, "failed")[0].Detail)
}
