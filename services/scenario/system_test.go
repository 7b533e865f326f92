package scenario_test

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"time"
)

// The credential that every system of these stories starts with.
const (
	clientID     = "example-bank"
	clientSecret = "a secret of the stories, 32 long."
	// sharedSecret is what the roles of separate processes derive the sandbox's accounts from.
	sharedSecret = "a secret that the roles share"
)

// system is one running Assent, however many processes it is made of.
type system struct {
	base    string   // of the API
	others  []string // further API processes
	inbox   string   // of the sandbox carriers
	metrics []string // where /metrics is served
	broker  string   // URL of the separate broker; empty in one process
	data    string

	processes []*process // in the order of their start
	client    *http.Client
	id        string // the credential
	secret    string
}

// elsewhere is a system that is running already, such as one of containers, where the environment
// names one. The stories of Together then play there; those that look into processes do not fit it.
func elsewhere() *system {
	base, named := os.LookupEnv("STORIES_BASE")
	if !named {
		return nil
	}
	s := &system{base: base, client: newClient()}
	for name, field := range map[string]*string{"STORIES_SANDBOX": &s.inbox, "STORIES_CLIENT": &s.id, "STORIES_SECRET": &s.secret} {
		*field, _ = os.LookupEnv(name)
	}
	return s
}

func newClient() *http.Client {
	return &http.Client{
		Transport: &http.Transport{MaxIdleConns: 512, MaxIdleConnsPerHost: 256, IdleConnTimeout: 30 * time.Second},
		// A redirect is an answer to look at.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
}

func credential() []string {
	return []string{"ASSENT_BOOTSTRAP_CLIENT_ID=" + clientID, "ASSENT_BOOTSTRAP_CLIENT_SECRET=" + clientSecret}
}

var banner = regexp.MustCompile(`API +(http://[0-9.:]+)/v1[\s\S]*Client +(\S+) / (.+?)   \(kept in [\s\S]*Ctrl-C stops`)

// startUp runs `assent up` on a free port, with the stories' credential.
func startUp(data string, env ...string) (*system, error) {
	return startUpAt("127.0.0.1:0", data, append(credential(), env...)...)
}

// startUpAt runs `assent up`; without a credential in env it makes and keeps its own.
func startUpAt(listen, data string, env ...string) (*system, error) {
	p, err := assent("assent up", []string{"up", "--listen", listen, "--data", data}, env)
	if err != nil {
		return nil, err
	}
	told, err := p.says(p.out, banner)
	if err != nil {
		return nil, err
	}
	return &system{
		base: told[1], inbox: told[1], metrics: []string{told[1]}, data: data, id: told[2], secret: told[3],
		processes: []*process{p}, client: newClient(),
	}, nil
}

var (
	natsListens = regexp.MustCompile(`Listening for client connections on (127\.0\.0\.1:\d+)`)
	natsReady   = regexp.MustCompile(`Server is ready`)
	roleReady   = regexp.MustCompile(`"msg":"ready".*"ops":"([0-9.:]+)"`)
)

// startBroker runs the stock nats-server on a free port.
func startBroker(dir string) (*process, string, error) { return startBrokerAt(dir, "-1") }

func startBrokerAt(dir, port string) (*process, string, error) {
	path, err := house.natsServer()
	if err != nil {
		return nil, "", err
	}
	p, err := launch("nats-server", path, []string{"-js", "-sd", dir, "-a", "127.0.0.1", "-p", port}, nil)
	if err != nil {
		return nil, "", err
	}
	found, err := p.says(p.log, natsListens)
	if err == nil {
		_, err = p.says(p.log, natsReady)
	}
	if err != nil {
		return nil, "", err
	}
	return p, "nats://" + found[1], nil
}

// workers are the roles that need no address.
func workers() []string { return []string{"verifier", "sms", "voice", "email", "push"} }

// startApart runs each role as a process of its own, with as many api processes as asked for,
// against a separate broker.
func startApart(dir string, apis int, env ...string) (*system, error) {
	broker, url, err := startBroker(filepath.Join(dir, "broker"))
	if err != nil {
		return nil, err
	}
	s := &system{broker: url, data: dir, id: clientID, secret: clientSecret, client: newClient(), processes: []*process{broker}}
	listens := make([]string, apis+1)
	for i := range listens {
		if listens[i], err = freeAddress(); err != nil {
			return nil, err
		}
	}
	apiListens, sandboxListen := listens[:apis], listens[apis]
	s.base, s.inbox = "http://"+apiListens[0], "http://"+sandboxListen
	env = append(append(credential(),
		"ASSENT_NATS__URL="+url, "ASSENT_DATA="+dir, "ASSENT_KEYRING="+filepath.Join(dir, "keyring.json"),
		"ASSENT_PUBLIC_URL="+s.base, "ASSENT_SANDBOX__URL="+s.inbox, "ASSENT_SANDBOX__LISTEN="+sandboxListen,
		"ASSENT_SANDBOX__SECRET="+sharedSecret,
	), env...)
	for _, listen := range apiListens[1:] {
		s.others = append(s.others, "http://"+listen)
	}
	for _, listen := range apiListens {
		if err := s.role("api", env, "--listen", listen); err != nil {
			return nil, err
		}
	}
	for _, name := range append(workers(), "sandbox") {
		if err := s.role(name, env); err != nil {
			return nil, err
		}
	}
	for _, p := range s.processes[1:] {
		found, err := p.says(p.log, roleReady)
		if err != nil {
			return nil, err
		}
		s.metrics = append(s.metrics, "http://"+found[1])
	}
	return s, nil
}

func (s *system) role(name string, env []string, args ...string) error {
	p, err := assent("assent run "+name, append([]string{"run", name}, args...), env)
	if err == nil {
		s.processes = append(s.processes, p)
	}
	return err
}

// stop ends all processes, the first started last.
func (s *system) stop() error {
	// A connection that was opened and never used would hold the end up for five seconds.
	s.client.CloseIdleConnections()
	var faults []error
	for i := len(s.processes) - 1; i >= 0; i-- {
		faults = append(faults, s.processes[i].stop())
	}
	return errors.Join(faults...)
}

// The ports that fixed addresses are taken from lie below those that the kernel gives to everybody
// who asks for any, or somebody else might be there first.
const (
	firstPort = 20_000
	ports     = 12_000
)

// freeAddress is one that nobody listened on a moment ago, and that no other story is told of.
func freeAddress() (string, error) {
	for range 100 {
		port := firstPort + (os.Getpid()*97+int(house.addresses.Add(1)))%ports
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(port))
		l, err := (&net.ListenConfig{}).Listen(context.Background(), "tcp", address)
		if err != nil {
			continue
		}
		return address, l.Close()
	}
	return "", errors.New("find a free port: a hundred are taken")
}
