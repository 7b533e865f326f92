package main

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/phone"
)

type phoneCommand struct {
	Join   phoneJoinCommand   `cmd:"" help:"Join with an activation code, and keep the phone in a file."`
	Answer phoneAnswerCommand `cmd:"" help:"Wait for a question, show it, and answer it signed."`
	Code   phoneCodeCommand   `cmd:"" help:"Print the present one-time code."`
	Token  phoneTokenCommand  `cmd:"" help:"Change the push token, as apps do when they get a new one."`
}

type phoneJoinCommand struct {
	Base      string `help:"Address of the deployment." required:"" placeholder:"URL"`
	Code      string `help:"Activation code, as the enrolment gave it." required:"" placeholder:"CODE"`
	State     string `help:"File to keep the phone in; it holds the private key." required:"" placeholder:"FILE" type:"path"`
	Name      string `help:"What the phone is called." placeholder:"NAME"`
	Platform  string `help:"Who carries its pushes: fcm or apns." enum:"fcm,apns" default:"fcm"`
	PushToken string `help:"Push token (default: a random one, which the sandbox carriers take)." placeholder:"TOKEN"`
	CA        string `name:"ca" help:"Certificates (PEM) to trust beside the system's; kept with the phone." placeholder:"FILE" type:"path"`
	Force     bool   `help:"Replace a phone that is in the file already."`
}

// Run joins and prints the device id. The file is there once it returns without an error, complete.
func (c phoneJoinCommand) Run(p *program) error {
	authorities, err := readAuthorities(c.CA)
	if err != nil {
		return err
	}
	place, err := phone.Reserve(c.State, c.Force)
	if errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("%s is there already\n  replace it with --force, or name another file", c.State)
	}
	if err != nil {
		return err
	}
	defer place.Release()
	joined, err := phone.Join(p.ctx, phone.Invitation{
		Base: c.Base, CA: authorities, Code: c.Code, Name: c.Name, Platform: c.Platform, PushToken: c.PushToken,
	})
	if err != nil {
		return trustHint(err)
	}
	if err := place.Keep(joined); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, joined.DeviceID)
	return nil
}

// readAuthorities reads a file of certificates; none is no file.
func readAuthorities(path string) (string, error) {
	if path == "" {
		return "", nil
	}
	b, err := os.ReadFile(path)
	if err != nil {
		return "", fmt.Errorf("read certificates: %w", err)
	}
	if !x509.NewCertPool().AppendCertsFromPEM(b) {
		return "", fmt.Errorf("read certificates: %s holds none in PEM form", path)
	}
	return string(b), nil
}

// trustHint says what helps against a certificate of a private authority.
func trustHint(err error) error {
	var unknown x509.UnknownAuthorityError
	if errors.As(err, &unknown) {
		return fmt.Errorf("%w\n  name the certificates to trust: --ca FILE", err)
	}
	return err
}

type phoneAnswerCommand struct {
	Decision string `arg:"" help:"approve, deny or not-me." enum:"approve,deny,not-me"`
	State    string `help:"File that the phone is kept in." required:"" placeholder:"FILE" type:"path"`
	Number   string `help:"Number that the other screen shows; to approve where one is asked for." placeholder:"DIGITS"`
	Wait     int    `help:"Seconds to wait for a question, up to an hour." default:"30" placeholder:"SECONDS"`
}

// decisions are the answers by their names on the command line.
var decisions = map[string]api.Decision{"approve": api.DecisionApprove, "deny": api.DecisionDeny, "not-me": api.DecisionNotMe}

// maxPhoneWait bounds how long a phone waits, in seconds.
const maxPhoneWait = 3600

// Run answers the newest question. It fails where none comes in time, or the answer is refused.
func (c phoneAnswerCommand) Run(p *program) error {
	if c.Wait < 0 || c.Wait > maxPhoneWait {
		return &usageError{fmt.Errorf("--wait: want 0 to %d seconds", maxPhoneWait)}
	}
	own, err := phone.Load(c.State)
	if err != nil {
		return err
	}
	prompt, err := own.Await(p.ctx, time.Duration(c.Wait)*time.Second)
	switch {
	case errors.Is(err, phone.ErrNoPrompt):
		return fmt.Errorf("no question came in %d seconds", c.Wait)
	case errors.Is(err, context.Canceled) && p.ctx.Err() != nil:
		return errors.New("ended before a question came")
	case err != nil:
		return err
	}
	for _, line := range phone.Question(prompt) {
		fmt.Fprintf(p.stdout, "%-8s%s\n", line[0], line[1])
	}
	err = own.Answer(p.ctx, prompt, decisions[c.Decision], c.Number)
	var number *phone.NumberError
	if errors.As(err, &number) {
		return fmt.Errorf("%w\n  give it with --number; nothing was sent", number)
	}
	if err != nil {
		return err
	}
	fmt.Fprintf(p.stdout, "%-8s%s\n", "answer", c.Decision)
	return nil
}

type phoneCodeCommand struct {
	State string `help:"File that the phone is kept in." required:"" placeholder:"FILE" type:"path"`
}

// Run prints the code that counts now.
func (c phoneCodeCommand) Run(p *program) error {
	own, err := phone.Load(c.State)
	if err != nil {
		return err
	}
	code, err := own.Code(time.Now())
	if err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, code)
	return nil
}

type phoneTokenCommand struct {
	State     string `help:"File that the phone is kept in." required:"" placeholder:"FILE" type:"path"`
	PushToken string `help:"New push token (default: a random one, which the sandbox carriers take)." placeholder:"TOKEN"`
}

// Run changes the token, and prints the device id. The file has the new one once it returns without an error.
func (c phoneTokenCommand) Run(p *program) error {
	own, err := phone.Load(c.State)
	if err != nil {
		return err
	}
	place, err := phone.Reserve(c.State, true)
	if err != nil {
		return err
	}
	defer place.Release()
	if err := own.ChangeToken(p.ctx, c.PushToken); err != nil {
		return trustHint(err)
	}
	if err := place.Keep(own); err != nil {
		return err
	}
	fmt.Fprintln(p.stdout, own.DeviceID)
	return nil
}
