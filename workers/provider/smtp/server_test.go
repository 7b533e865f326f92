package smtp_test

import (
	"bufio"
	"crypto/tls"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	server "github.com/emersion/go-smtp"
	"github.com/xdg-go/scram"
)

// serveArgument makes the test's binary a mail server: a process of its own, as servers are.
const serveArgument = "serve-smtp"

func TestMain(m *testing.M) {
	if len(os.Args) == 2 && os.Args[1] == serveArgument {
		if err := serve(os.Stdin, os.Stdout); err != nil {
			fmt.Fprintln(os.Stderr, "serve:", err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// settings are what the child is told on its first line of input. The second makes it read on
// where it stalls; it ends with its input.
type settings struct {
	TLS                string // starttls, tls, none
	Certificate, Key   []byte
	MinTLS, MaxTLS     uint16
	Username, Password string
	Mechanisms         []string
	UTF8               bool
	MaxBytes           int64
	IdleAfter          time.Duration
	// Script is what is answered at a step, by sender; without it mails are taken.
	Script map[string]map[string]answer
	// Raw answers commands without looking at them, by verb ("": the greeting, ".": the mail's
	// end). Where it is set nothing else is, and no protocol is enforced.
	Raw map[string]answer
}

// answer is a reply, and what becomes of the connection after it: close, fin (only the
// server's half), reset, hang until the client goes, or stall: read nothing until told to.
type answer struct {
	Say, Then string
	// From is the time on one connection that this is first answered (raw only): 2, the second.
	From int
}

// event is what the child reports, one JSON object a line.
type event struct {
	Kind     string // listening, open, said (a raw command), hanging, cut (a mail without an end), mail, closed
	Conn     int
	Address  string
	Step     string
	Helo     string
	From, To string
	UTF8     bool
	TLS      bool
	User     string
	Data     []byte
}

// house is the child: its settings and its way to report.
type house struct {
	settings
	readOn chan struct{}
	mu     sync.Mutex
	out    *json.Encoder
}

func (h *house) report(e event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if err := h.out.Encode(e); err != nil {
		os.Exit(1) // nobody listens any more
	}
}

func serve(in io.Reader, out io.Writer) error {
	h := &house{out: json.NewEncoder(out), readOn: make(chan struct{})}
	lines := bufio.NewReader(in)
	first, err := lines.ReadBytes('\n')
	if err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	if err := json.Unmarshal(first, &h.settings); err != nil {
		return fmt.Errorf("read settings: %w", err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // the process is the listener's life
	if err != nil {
		return err
	}
	h.report(event{Kind: "listening", Address: l.Addr().String()})
	go func() {
		if _, err := lines.ReadBytes('\n'); err == nil {
			close(h.readOn)
		}
		_, _ = io.Copy(io.Discard, lines)
		os.Exit(0)
	}()
	l = &counted{Listener: l, house: h}
	if h.Raw != nil {
		return h.serveRaw(l)
	}
	return h.serveProtocol(l)
}

// serveProtocol is go-smtp, which refuses what RFC 5321 does not allow.
func (h *house) serveProtocol(l net.Listener) error {
	s := server.NewServer(server.BackendFunc(func(c *server.Conn) (server.Session, error) {
		return &visit{house: h, conn: c}, nil
	}))
	s.Domain, s.EnableSMTPUTF8, s.MaxMessageBytes, s.ReadTimeout = "mail.example", h.UTF8, h.MaxBytes, h.IdleAfter
	s.ErrorLog = silent{}
	s.AllowInsecureAuth = h.TLS == "none"
	if h.TLS != "none" {
		pair, err := tls.X509KeyPair(h.Certificate, h.Key)
		if err != nil {
			return err
		}
		s.TLSConfig = &tls.Config{Certificates: []tls.Certificate{pair}, MinVersion: h.MinTLS, MaxVersion: h.MaxTLS}
	}
	if h.TLS == "tls" {
		l = tls.NewListener(l, s.TLSConfig)
	}
	return s.Serve(l)
}

// silent keeps resets and the like, which the tests bring about, off the screen.
type silent struct{}

func (silent) Printf(string, ...any) {}
func (silent) Println(...any)        {}

// visit is one connection's session in go-smtp.
type visit struct {
	house *house
	conn  *server.Conn
	user  string
	mail  event
}

// act plays what the script has for a step, if anything.
func (v *visit) act(step string) error {
	a, ok := v.house.Script[v.mail.From][step]
	if !ok {
		a = v.house.Script[""][step]
	}
	v.end(step, a.Then)
	if a.Say == "" {
		return nil
	}
	return reply(a.Say)
}

func (v *visit) end(step, then string) {
	switch then {
	case "close":
		_ = v.conn.Conn().Close()
	case "reset":
		c := v.conn.Conn()
		if t, ok := c.(*tls.Conn); ok {
			c = t.NetConn()
		}
		reset(c)
	case "hang":
		v.house.report(event{Kind: "hanging", Step: step})
		_, _ = io.Copy(io.Discard, v.conn.Conn())
	}
}

// reply is a line of the protocol as go-smtp wants it.
func reply(say string) error {
	parts := regexp.MustCompile(`(?s)^(\d{3}) (?:(\d)\.(\d+)\.(\d+) )?(.*)$`).FindStringSubmatch(say)
	if parts == nil {
		panic("no reply: " + say)
	}
	number := func(s string) int { n, _ := strconv.Atoi(s); return n }
	enhanced := server.NoEnhancedCode
	if parts[2] != "" {
		enhanced = server.EnhancedCode{number(parts[2]), number(parts[3]), number(parts[4])}
	}
	return &server.SMTPError{Code: number(parts[1]), EnhancedCode: enhanced, Message: parts[5]}
}

func (v *visit) Mail(from string, options *server.MailOptions) error {
	_, protected := v.conn.TLSConnectionState()
	at, _ := v.conn.Conn().RemoteAddr().(*net.TCPAddr)
	v.mail = event{
		Kind: "mail", Conn: at.Port, Helo: v.conn.Hostname(), From: from, UTF8: options.UTF8, TLS: protected, User: v.user,
	}
	if v.house.Username != "" && v.user == "" {
		return server.ErrAuthRequired
	}
	return v.act("MAIL")
}

func (v *visit) Rcpt(to string, _ *server.RcptOptions) error {
	v.mail.To = to
	return v.act("RCPT")
}

func (v *visit) Data(r io.Reader) error {
	if a := v.house.Script[v.mail.From]["DATA"]; a.Then != "" {
		v.end("DATA", a.Then)
		return errors.New("ended")
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	v.mail.Data = data
	v.house.report(v.mail)
	return v.act(".")
}

func (v *visit) Reset()                   {}
func (v *visit) Logout() error            { return nil }
func (v *visit) AuthMechanisms() []string { return v.house.Mechanisms }

func (v *visit) Auth(mechanism string) (sasl.Server, error) {
	if err := v.act("AUTH"); err != nil {
		return nil, err
	}
	known := func(username, password string) error {
		if username != v.house.Username || password != v.house.Password {
			return reply("535 5.7.8 no such user as " + username + " with " + password)
		}
		v.user = mechanism + " " + username
		return nil
	}
	switch mechanism {
	case "PLAIN":
		return sasl.NewPlainServer(func(_, username, password string) error { return known(username, password) }), nil
	case "LOGIN":
		return &login{known: known}, nil
	case "SCRAM-SHA-256":
		return newSCRAM(v.house, scram.SHA256, func() { v.user = mechanism + " " + v.house.Username })
	case "SCRAM-SHA-1":
		return newSCRAM(v.house, scram.SHA1, func() { v.user = mechanism + " " + v.house.Username })
	default:
		return nil, server.ErrAuthUnknownMechanism
	}
}

// login asks for one after the other.
type login struct {
	answers []string
	known   func(username, password string) error
}

func (l *login) Next(response []byte) (challenge []byte, done bool, err error) {
	if response != nil {
		l.answers = append(l.answers, string(response))
	}
	switch len(l.answers) {
	case 0:
		return []byte("Username:"), false, nil
	case 1:
		return []byte("Password:"), false, nil
	default:
		return nil, true, l.known(l.answers[0], l.answers[1])
	}
}

// salted is a SCRAM server's side.
type salted struct {
	conversation *scram.ServerConversation
	signedIn     func()
}

func newSCRAM(h *house, hash scram.HashGeneratorFcn, signedIn func()) (sasl.Server, error) {
	client, err := hash.NewClient(h.Username, h.Password, "")
	if err != nil {
		return nil, err
	}
	stored, err := client.GetStoredCredentialsWithError(scram.KeyFactors{Salt: "0123456789abcdef", Iters: 4096})
	if err != nil {
		return nil, err
	}
	s, err := hash.NewServer(func(username string) (scram.StoredCredentials, error) {
		if username != h.Username {
			return scram.StoredCredentials{}, errors.New("unknown")
		}
		return stored, nil
	})
	if err != nil {
		return nil, err
	}
	return &salted{conversation: s.NewConversation(), signedIn: signedIn}, nil
}

func (s *salted) Next(response []byte) (challenge []byte, done bool, err error) {
	if response == nil {
		return nil, false, nil
	}
	if s.conversation.Done() {
		s.signedIn()
		return nil, true, nil
	}
	next, err := s.conversation.Step(string(response))
	if err != nil {
		return nil, false, server.ErrAuthFailed
	}
	return []byte(next), false, nil
}

// serveRaw answers commands as the script has them.
func (h *house) serveRaw(l net.Listener) error {
	for {
		c, err := l.Accept()
		if err != nil {
			return err
		}
		go h.converse(c)
	}
}

func (h *house) converse(c net.Conn) {
	defer func() { _ = c.Close() }()
	at, _ := c.RemoteAddr().(*net.TCPAddr)
	text := textproto.NewConn(c)
	times := map[string]int{}
	for verb := ""; h.say(c, at.Port, verb, times[verb]+1); {
		times[verb]++
		if verb == "DATA" {
			if _, err := text.ReadDotBytes(); err != nil {
				h.report(event{Kind: "cut", Conn: at.Port})
				return
			}
			verb = "."
		} else {
			line, err := text.ReadLine()
			if err != nil {
				return
			}
			verb, _, _ = strings.Cut(strings.ToUpper(line), " ")
		}
		h.report(event{Kind: "said", Conn: at.Port, Step: verb})
	}
}

// say answers one command, its nth of the kind, and tells whether the next may come.
func (h *house) say(c net.Conn, conn int, verb string, nth int) bool {
	a, ok := h.Raw[verb]
	if ok = ok && nth >= a.From; !ok {
		a = map[string]answer{
			"": {Say: "220 mail.example"}, "EHLO": {Say: "250-mail.example\r\n250 8BITMIME"},
			"DATA": {Say: "354 go on"}, "QUIT": {Say: "221 bye", Then: "close"},
		}[verb]
	}
	if !ok && a == (answer{}) {
		a.Say = "250 fine"
	}
	if a.Say != "" {
		_, _ = io.WriteString(c, a.Say+"\r\n")
	}
	switch t, _ := c.(*countedConn).Conn.(*net.TCPConn); a.Then {
	case "close":
		return false
	case "reset":
		reset(c)
		return false
	case "fin":
		_ = t.CloseWrite()
	case "hang":
		h.report(event{Kind: "hanging", Conn: conn, Step: verb})
		_, _ = io.Copy(io.Discard, c)
		return false
	case "stall":
		h.report(event{Kind: "hanging", Conn: conn, Step: verb})
		<-h.readOn
	}
	return true
}

// reset drops a connection as a crashed peer does.
func reset(c net.Conn) {
	t, _ := c.(*countedConn).Conn.(*net.TCPConn)
	_ = t.SetLinger(0) // close sends RST and not FIN
	_ = c.Close()
}

// counted reports connections. They are named by the client's port, which no two have at once.
type counted struct {
	net.Listener
	house *house
}

func (l *counted) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	at, _ := c.RemoteAddr().(*net.TCPAddr)
	l.house.report(event{Kind: "open", Conn: at.Port})
	return &countedConn{Conn: c, closed: sync.OnceFunc(func() { l.house.report(event{Kind: "closed", Conn: at.Port}) })}, nil
}

type countedConn struct {
	net.Conn
	closed func()
}

func (c *countedConn) Close() error {
	err := c.Conn.Close()
	c.closed()
	return err
}
