package smtp_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"mime/quotedprintable"
	"net/mail"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/provider/providertest"
	"github.com/assent-io/assent/workers/provider/smtp"
)

const (
	ana  = "ana@example.org"
	code = "482913"
)

func message() delivery.Mail {
	return delivery.Mail{
		Name:    delivery.Name{VerificationID: "0190c5a1-3c4d-7e5f-8a6b-9c0d1e2f3a4b", Step: 1, Send: 2, Attempt: 3},
		From:    mail.Address{Name: "Example Bank", Address: "no-reply@example.com"},
		To:      ana,
		Subject: "Your Example Bank code",
		Text:    "Your code is " + code + "\n\n.\nUntil later",
		HTML:    "<p>Your code is <b>" + code + "</b></p>",
		Headers: map[string]string{"Auto-Submitted": "auto-generated", "Message-ID": "<other@example.com>"},
	}
}

// parts are the bodies of a mail by their type, with line ends as they were written.
func parts(t *testing.T, m *mail.Message) map[string]string {
	t.Helper()
	kind, parameters, err := mime.ParseMediaType(m.Header.Get("Content-Type"))
	require.NoError(t, err)
	require.Equal(t, "multipart/alternative", kind)
	found := map[string]string{}
	for r := multipart.NewReader(m.Body, parameters["boundary"]); ; {
		part, err := r.NextRawPart()
		if err != nil {
			return found
		}
		require.Equal(t, "quoted-printable", part.Header.Get("Content-Transfer-Encoding"))
		body, err := io.ReadAll(quotedprintable.NewReader(part))
		require.NoError(t, err)
		require.NotContains(t, found, part.Header.Get("Content-Type"))
		found[part.Header.Get("Content-Type")] = strings.ReplaceAll(string(body), "\r\n", "\n")
	}
}

func read(t *testing.T, e event) *mail.Message {
	t.Helper()
	m, err := mail.ReadMessage(bytes.NewReader(e.Data))
	require.NoError(t, err)
	return m
}

func TestAMailArrivesWhole(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{TLS: "none"})
	before := time.Now().Add(-time.Second)
	m := message()
	m.Subject = "Ihr Prüfcode für „Beispielbank“, der einzige, der gilt, solange Sie keinen neuen verlangen"
	m.From.Name = "Beispielbank \"Süd\", Köln"
	receipt, err := gateway(t, srv.inClear()).SendMail(t.Context(), m)
	require.NoError(t, err)
	const id = "0190c5a1-3c4d-7e5f-8a6b-9c0d1e2f3a4b-1-2@example.com"
	require.Equal(t, delivery.Receipt{ID: id}, receipt, "an answer without a queue id")

	e := srv.next(t, "mail")
	assert.Equal(t, "no-reply@example.com", e.From)
	assert.Equal(t, ana, e.To)
	assert.Equal(t, "[127.0.0.1]", e.Helo)
	assert.False(t, e.UTF8)
	for line := range bytes.Lines(e.Data) {
		assert.LessOrEqual(t, len(line), 80)
		assert.True(t, bytes.IndexFunc(line, func(r rune) bool { return r > '~' }) < 0, "the mail is ASCII")
	}

	got := read(t, e)
	from, err := got.Header.AddressList("From")
	require.NoError(t, err)
	assert.Equal(t, []*mail.Address{{Name: m.From.Name, Address: m.From.Address}}, from)
	to, err := got.Header.AddressList("To")
	require.NoError(t, err)
	assert.Equal(t, []*mail.Address{{Address: ana}}, to)
	subject, err := new(mime.WordDecoder).DecodeHeader(got.Header.Get("Subject"))
	require.NoError(t, err)
	assert.Equal(t, m.Subject, subject)
	assert.Equal(t, []string{"<" + id + ">"}, got.Header["Message-Id"], "the channel's own id gives way")
	assert.Equal(t, []string{"auto-generated"}, got.Header["Auto-Submitted"])
	assert.Empty(t, got.Header.Get("User-Agent")+got.Header.Get("X-Mailer"))
	date, err := got.Header.Date()
	require.NoError(t, err)
	assert.WithinRange(t, date, before, time.Now())
	assert.Equal(t, map[string]string{
		"text/plain; charset=UTF-8": m.Text.Reveal(), "text/html; charset=UTF-8": m.HTML.Reveal(),
	}, parts(t, got))
	assert.Less(t, bytes.Index(e.Data, []byte("text/plain")), bytes.Index(e.Data, []byte("text/html")), "the plain part stands first")
}

func TestAttemptsShareTheMessageIDAndMessagesDoNot(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{TLS: "none"})
	g := gateway(t, srv.inClear())
	id := func(name delivery.Name) string {
		m := message()
		m.Name = name
		_, err := g.SendMail(t.Context(), m)
		require.NoError(t, err)
		return read(t, srv.next(t, "mail")).Header.Get("Message-ID")
	}
	first := id(delivery.Name{VerificationID: "a"})
	require.Equal(t, first, id(delivery.Name{VerificationID: "a", Attempt: 1}))
	require.NotEqual(t, first, id(delivery.Name{VerificationID: "a", Send: 1}))
	require.NotEqual(t, first, id(delivery.Name{VerificationID: "a", Step: 1}))
}

func TestNothingBreaksOutOfItsHeader(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{TLS: "none"})
	g := gateway(t, srv.inClear())
	const attack = "x\r\nBcc: eve@example.net\r\n\r\nbody"
	for name, c := range map[string]struct {
		change func(m *delivery.Mail)
		class  delivery.Class // empty: sent, and harmless
		reason string
	}{
		"subject":              {func(m *delivery.Mail) { m.Subject = attack }, "", ""},
		"the sender's name":    {func(m *delivery.Mail) { m.From.Name = attack }, "", ""},
		"the message's id":     {func(m *delivery.Mail) { m.VerificationID = attack }, "", ""},
		"a header":             {func(m *delivery.Mail) { m.Headers = map[string]string{"X-Note": attack} }, delivery.ClassPermanent, events.ReasonMessageRefused},
		"a header's line feed": {func(m *delivery.Mail) { m.Headers = map[string]string{"X-Note": "x\nBcc: eve@example.net"} }, delivery.ClassPermanent, events.ReasonMessageRefused},
		"a header's name":      {func(m *delivery.Mail) { m.Headers = map[string]string{"X-Note: x\r\nBcc": "eve@example.net"} }, delivery.ClassPermanent, events.ReasonMessageRefused},
		"an endless header":    {func(m *delivery.Mail) { m.Subject = strings.Repeat("x", 2000) }, delivery.ClassPermanent, events.ReasonMessageRefused},
		"the sender":           {func(m *delivery.Mail) { m.From.Address = "a@example.com>\r\nRCPT TO:<eve@example.net" }, delivery.ClassMisconfigured, ""},
		"the recipient":        {func(m *delivery.Mail) { m.To = "ana@example.org>\r\nRCPT TO:<eve@example.net" }, delivery.ClassPermanent, events.ReasonUndeliverable},
		"two recipients":       {func(m *delivery.Mail) { m.To = "ana@example.org, eve@example.net" }, delivery.ClassPermanent, events.ReasonUndeliverable},
		"a named recipient":    {func(m *delivery.Mail) { m.To = "Ana <ana@example.org>" }, delivery.ClassPermanent, events.ReasonUndeliverable},
		"a commented one":      {func(m *delivery.Mail) { m.To = "ana@example.org (Ana)" }, delivery.ClassPermanent, events.ReasonUndeliverable},
		"no recipient":         {func(m *delivery.Mail) { m.To = "" }, delivery.ClassPermanent, events.ReasonUndeliverable},
		"a quoted line end":    {func(m *delivery.Mail) { m.To = "\"a\r\nb\"@example.org" }, delivery.ClassPermanent, events.ReasonUndeliverable},
		"a bare return":        {func(m *delivery.Mail) { m.Text = "a\r.\rMAIL FROM:<eve@example.net>\r" }, "", ""},
		"a dot alone":          {func(m *delivery.Mail) { m.Text = "a\r\n.\r\nMAIL FROM:<eve@example.net>\r\n" }, "", ""},
		"a dot after a feed":   {func(m *delivery.Mail) { m.HTML = "a\n.\nMAIL FROM:<eve@example.net>\n" }, "", ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := message()
			c.change(&m)
			_, err := g.SendMail(t.Context(), m)
			if c.class != "" {
				require.Equal(t, c.class, delivery.ClassOf(err), "%v", err)
				require.Equal(t, c.reason, delivery.ReasonOf(err))
				providertest.LeaksNothing(t, err, ana, code, "eve@")
				return
			}
			require.NoError(t, err)
			e := srv.next(t, "mail")
			require.Equal(t, ana, e.To)
			got := read(t, e)
			require.Empty(t, got.Header.Get("Bcc"))
			require.Len(t, parts(t, got), 2)
			require.NotContains(t, strings.ReplaceAll(string(e.Data), "\r\n", ""), "\r")
		})
	}
	for _, e := range srv.end(t) {
		require.NotEqual(t, "mail", e.Kind, "a mail too many: to %s", e.To)
	}
}

func TestAddressesBeyondASCIIGoWhereTheServerTakesThem(t *testing.T) {
	t.Parallel()
	modern, old := start(t, settings{TLS: "none", UTF8: true}), start(t, settings{TLS: "none"})
	for name, c := range map[string]struct {
		from, to      string
		wireFrom      string
		wireTo        string
		utf8          bool
		classAtTheOld delivery.Class
	}{
		"plain": {"no-reply@example.com", ana, "no-reply@example.com", ana, false, ""},
		"a domain is written as DNS knows it": {
			"no-reply@köln.example", "ana@bücher.example", "no-reply@xn--kln-sna.example", "ana@xn--bcher-kva.example", false, "",
		},
		"a name before the @ needs SMTPUTF8": {
			"no-reply@example.com", "añá@bücher.example", "no-reply@example.com", "añá@xn--bcher-kva.example", true, delivery.ClassPermanent,
		},
		"the sender's is the operator's to mend": {
			"grüße@example.com", ana, "grüße@example.com", ana, true, delivery.ClassMisconfigured,
		},
		"a quoted name": {"no-reply@example.com", `"ana maria"@example.org`, "no-reply@example.com", "ana maria@example.org", false, ""},
	} {
		t.Run(name, func(t *testing.T) {
			m := message()
			m.From.Address, m.To = c.from, delivery.Address(c.to)
			_, err := gateway(t, modern.inClear()).SendMail(t.Context(), m)
			require.NoError(t, err)
			e := modern.next(t, "mail")
			require.Equal(t, c.wireFrom, e.From)
			require.Equal(t, c.wireTo, e.To)
			require.Equal(t, c.utf8, e.UTF8, "asked for where it is needed only")
			to, err := read(t, e).Header.AddressList("To")
			require.NoError(t, err)
			require.Equal(t, c.wireTo, to[0].Address)

			_, err = gateway(t, old.inClear()).SendMail(t.Context(), m)
			if c.classAtTheOld == "" {
				require.NoError(t, err)
				return
			}
			require.Equal(t, c.classAtTheOld, delivery.ClassOf(err))
			providertest.LeaksNothing(t, err, c.to, "añá")
		})
	}
}

func TestConnectionsAreProtectedAndSignedIn(t *testing.T) {
	t.Parallel()
	ca := newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	for _, kind := range []string{"starttls", "tls"} {
		for offered, want := range map[string]string{
			"":                             "",
			"LOGIN":                        "LOGIN",
			"LOGIN PLAIN CRAM-MD5 NTLM":    "PLAIN",
			"PLAIN SCRAM-SHA-1":            "SCRAM-SHA-1",
			"PLAIN LOGIN SCRAM-SHA-256":    "SCRAM-SHA-256",
			"XOAUTH2 SCRAM-SHA-1 plain":    "SCRAM-SHA-1",
			"SCRAM-SHA-256-PLUS LOGIN OAU": "LOGIN",
		} {
			t.Run(kind+" with "+offered, func(t *testing.T) {
				t.Parallel()
				s := settings{TLS: kind, Certificate: cert, Key: key, Mechanisms: strings.Fields(offered)}
				if offered != "" {
					s.Username, s.Password = user, password
				}
				srv := start(t, s)
				cfg := smtp.Config{Host: srv.host, Port: srv.port, TLS: kind, CAFile: ca.file, Username: s.Username, Password: s.Password, Helo: "app.example.com"}
				if kind == "starttls" {
					cfg.TLS = "" // the default
				}
				g := gateway(t, cfg)
				for range 2 {
					_, err := g.SendMail(t.Context(), message())
					require.NoError(t, err)
				}
				first, second := srv.next(t, "mail"), srv.next(t, "mail")
				require.True(t, first.TLS)
				require.Equal(t, "app.example.com", first.Helo)
				require.Equal(t, strings.TrimSpace(want+" "+s.Username), first.User)
				require.Equal(t, first.Conn, second.Conn, "and used again")
			})
		}
	}
}

func TestNobodyIsTrustedWithoutReason(t *testing.T) {
	t.Parallel()
	ca, stranger := newAuthority(t), newAuthority(t)
	cert, key := ca.issue(t, "127.0.0.1", time.Now().Add(time.Hour))
	elsewhere, elsewhereKey := ca.issue(t, "192.0.2.1", time.Now().Add(time.Hour))
	expired, expiredKey := ca.issue(t, "127.0.0.1", time.Now().Add(-time.Hour))
	good := settings{TLS: "starttls", Certificate: cert, Key: key}
	signed := good
	signed.Username, signed.Password, signed.Mechanisms = user, password, []string{"PLAIN", "SCRAM-SHA-256", "LOGIN"}
	for name, c := range map[string]struct {
		server settings
		change func(c *smtp.Config)
		class  delivery.Class
		text   string
		detail string
	}{
		"an unknown authority":      {good, func(c *smtp.Config) { c.CAFile = stranger.file }, delivery.ClassMisconfigured, "unknown authority", ""},
		"the system's authorities":  {good, func(c *smtp.Config) { c.CAFile = "" }, delivery.ClassMisconfigured, "unknown authority", ""},
		"another's certificate":     {settings{TLS: "starttls", Certificate: elsewhere, Key: elsewhereKey}, nil, delivery.ClassMisconfigured, "192.0.2.1", ""},
		"an expired certificate":    {settings{TLS: "starttls", Certificate: expired, Key: expiredKey}, nil, delivery.ClassMisconfigured, "expired", ""},
		"implicit, another's":       {settings{TLS: "tls", Certificate: elsewhere, Key: elsewhereKey}, func(c *smtp.Config) { c.TLS = "tls" }, delivery.ClassMisconfigured, "192.0.2.1", ""},
		"TLS of yesterday":          {settings{TLS: "starttls", Certificate: cert, Key: key, MinTLS: tls.VersionTLS10, MaxTLS: tls.VersionTLS11}, nil, delivery.ClassMisconfigured, "protocol version", ""},
		"no offer of STARTTLS":      {settings{TLS: "none"}, nil, delivery.ClassMisconfigured, "no STARTTLS", ""},
		"implicit TLS to clear":     {good, func(c *smtp.Config) { c.TLS = "tls" }, delivery.ClassMisconfigured, "does not look like a TLS handshake", ""},
		"STARTTLS put off":          {settings{Raw: map[string]answer{"EHLO": {Say: "250-x\r\n250 STARTTLS"}, "STARTTLS": {Say: "454 4.7.0 later"}}}, nil, delivery.ClassTransient, "TLS answered 454", "4.7.0"},
		"STARTTLS refused":          {settings{Raw: map[string]answer{"EHLO": {Say: "250-x\r\n250 STARTTLS"}, "STARTTLS": {Say: "502 5.5.1 no"}}}, nil, delivery.ClassMisconfigured, "TLS answered 502", "5.5.1"},
		"STARTTLS and then nothing": {settings{Raw: map[string]answer{"EHLO": {Say: "250-x\r\n250 STARTTLS"}, "STARTTLS": {Say: "220 go", Then: "close"}}}, nil, delivery.ClassTransient, "TLS", ""},
		"an answer slipped in": {
			settings{Raw: map[string]answer{"EHLO": {Say: "250-x\r\n250 STARTTLS"}, "STARTTLS": {Say: "220 go\r\n250-x\r\n250 AUTH PLAIN", Then: "close"}}},
			nil, delivery.ClassTransient, "TLS", "",
		},
		"a wrong password":      {signed, func(c *smtp.Config) { c.Username, c.Password, c.Auth = user, "wrong", "plain" }, delivery.ClassMisconfigured, "AUTH answered 535 5.7.8", "5.7.8"},
		"a wrong one for LOGIN": {signed, func(c *smtp.Config) { c.Username, c.Password, c.Auth = user, "wrong", "login" }, delivery.ClassMisconfigured, "AUTH answered 535 5.7.8", "5.7.8"},
		"a wrong one for SCRAM": {signed, func(c *smtp.Config) { c.Username, c.Password = user, "wrong" }, delivery.ClassMisconfigured, "AUTH answered 535 5.7.8", "5.7.8"},
		"no password":           {signed, nil, delivery.ClassMisconfigured, "MAIL FROM answered 502 5.7.0", "5.7.0"},
		"no way to sign in":     {good, func(c *smtp.Config) { c.Username, c.Password = user, password }, delivery.ClassMisconfigured, "no way to sign in", ""},
		"not the way that is configured": {
			signed, func(c *smtp.Config) { c.Username, c.Password, c.Auth = user, password, "scram-sha-1" }, delivery.ClassMisconfigured, "no way to sign in", "",
		},
		"AUTH put off": {
			func() settings {
				s := signed
				s.Script = map[string]map[string]answer{"": {"AUTH": {Say: "454 4.7.0 later, " + user}}}
				return s
			}(),
			func(c *smtp.Config) { c.Username, c.Password = user, password }, delivery.ClassTransient, "AUTH answered 454 4.7.0", "4.7.0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			srv := start(t, c.server)
			cfg := smtp.Config{Host: srv.host, Port: srv.port, CAFile: ca.file}
			if c.change != nil {
				c.change(&cfg)
			}
			receipt, err := gateway(t, cfg).SendMail(t.Context(), message())
			require.Error(t, err)
			require.Equal(t, delivery.Receipt{}, receipt)
			require.Equal(t, c.class, delivery.ClassOf(err), "%v", err)
			require.ErrorContains(t, err, c.text)
			require.Equal(t, c.detail, detail(err))
			providertest.LeaksNothing(t, err, ana, code, user, password, "wrong")
			srv.next(t, "closed")
		})
	}
}

// detail is what the delivery loop asks an error for.
func detail(err error) string {
	var coded interface{ Detail() string }
	if errors.As(err, &coded) {
		return coded.Detail()
	}
	return ""
}

// go-mail's client is for one goroutine: sharing one, people get each other's codes.
func TestParallelMailsEachReachTheirOwnRecipientOverAFewConnections(t *testing.T) {
	t.Parallel()
	const mails, connections = 300, 3
	srv := start(t, settings{TLS: "none"})
	cfg := srv.inClear()
	cfg.MaxConnections = connections
	g := gateway(t, cfg)
	var wg sync.WaitGroup
	for i := range mails {
		wg.Go(func() {
			m := message()
			m.To, m.Text = delivery.Address(fmt.Sprintf("p%d@example.org", i)), delivery.Code("code "+strconv.Itoa(100000+i))
			_, err := g.SendMail(t.Context(), m)
			assert.NoError(t, err)
		})
	}
	wg.Wait()
	g.Close()

	received, open, most := map[string]string{}, 0, 0
	for closed := 0; len(received) < mails || open > 0 || closed < connections; {
		select {
		case e := <-srv.events:
			switch e.Kind {
			case "open":
				open++
				most = max(most, open)
			case "closed":
				open, closed = open-1, closed+1
			case "mail":
				require.NotContains(t, received, e.To)
				received[e.To] = parts(t, read(t, e))["text/plain; charset=UTF-8"]
			}
		case <-time.After(time.Minute):
			require.Fail(t, "mails are missing", "%d came", len(received))
		}
	}
	// A connection that has carried enough says goodbye while the next is dialled.
	require.LessOrEqual(t, most, connections+1)
	for i := range mails {
		require.Equal(t, "code "+strconv.Itoa(100000+i), received[fmt.Sprintf("p%d@example.org", i)])
	}
}

func TestACallWaitsForAFreeConnectionAsLongAsItMay(t *testing.T) {
	t.Parallel()
	srv := start(t, settings{Raw: map[string]answer{"DATA": {Then: "hang"}}})
	cfg := srv.inClear()
	cfg.MaxConnections = 1
	g := gateway(t, cfg)
	busy, release := context.WithCancel(t.Context())
	defer release()
	first := make(chan error, 1)
	go func() {
		_, err := g.SendMail(busy, message())
		first <- err
	}()
	srv.next(t, "hanging")

	waiting, cancel := context.WithCancel(t.Context())
	second := make(chan error, 1)
	go func() {
		_, err := g.SendMail(waiting, message())
		second <- err
	}()
	cancel()
	err := <-second
	require.ErrorIs(t, err, context.Canceled)
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(err))

	release()
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(<-first))
	_, err = srv.cancelHanging(t, g, message())
	require.Equal(t, delivery.ClassTransient, delivery.ClassOf(err))
	require.ErrorContains(t, err, "DATA", "the connection was its own")
}
