package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/yubikey"
)

type realmsCommand struct {
	Create realmsCreateCommand `cmd:"" help:"Make a realm, and print its application id and key this once."`
	List   realmsListCommand   `cmd:"" help:"List the realms of the account."`
	Rotate realmsRotateCommand `cmd:"" help:"Give a realm another key, and print it this once."`
	Remove realmsRemoveCommand `cmd:"" help:"Remove a realm. The users stay."`
}

var errRealmName = &usageError{errors.New("the name must be 1 to 64 letters, digits, dashes or underscores, the first a letter or digit, and not the first part of another path")}

type realmsCreateCommand struct {
	Name       string        `arg:"" name:"name" help:"First segment of its paths, such as secureauth1."`
	AppID      string        `name:"app-id" help:"Application id, 32 hexadecimal digits (default: a made one)." placeholder:"ID"`
	AppKeyFile string        `name:"app-key-file" help:"File with the application key of an application that has one, 64 hexadecimal digits (default: a made one)." placeholder:"FILE" type:"path"`
	Brand      string        `help:"Who asks, in messages and on pages." placeholder:"BRAND"`
	Method     []string      `help:"Type of authentication that it may use, such as sms or push_accept; may be repeated (default: all)." placeholder:"METHOD"`
	EchoOTP    bool          `name:"echo-otp" help:"Tell the caller each code that is sent, for platforms that compare it themselves."`
	Life       time.Duration `help:"How long codes, links and questions live (default: 5m)." placeholder:"DURATION"`
	apiAccess
}

// Run makes the realm. Its key goes to standard output, and that it is told once to standard error.
func (c realmsCreateCommand) Run(p *program) error {
	request, err := c.request()
	if err != nil {
		return err
	}
	var made api.CreatedRealm
	if err := c.call(p, http.MethodPost, "/v1/realms", request, &made); err != nil {
		return fmt.Errorf("create realm: %w", err)
	}
	return printKey(p, c.JSON, made)
}

func (c realmsCreateCommand) request() (api.CreateRealm, error) {
	r := api.CreateRealm{Name: c.Name, AppID: c.AppID, Settings: &api.RealmSettings{}}
	switch {
	case !realm.ValidName(c.Name):
		return r, errRealmName
	case c.AppID != "" && !realm.ValidAppID(c.AppID):
		return r, &usageError{errors.New("--app-id must be 32 hexadecimal digits")}
	case c.Life != 0 && (c.Life < realm.MinLife || c.Life > realm.MaxLife):
		return r, &usageError{fmt.Errorf("--life must be %v to %v", realm.MinLife, realm.MaxLife)}
	}
	if c.AppKeyFile != "" {
		b, err := os.ReadFile(c.AppKeyFile)
		if err != nil {
			return r, fmt.Errorf("read application key: %w", err)
		}
		if r.AppKey = strings.TrimRight(string(b), "\r\n"); !realm.ValidKey(r.AppKey) {
			return r, fmt.Errorf("read application key: %s does not hold 64 hexadecimal digits", c.AppKeyFile)
		}
	}
	if c.Brand != "" {
		r.Settings.Brand = &c.Brand
	}
	if len(c.Method) > 0 {
		r.Settings.Methods = &c.Method
	}
	if c.EchoOTP {
		r.Settings.EchoOtp = &c.EchoOTP
	}
	if c.Life != 0 {
		life := int(c.Life / time.Second)
		r.Settings.Life = &life
	}
	return r, nil
}

func printKey(p *program, asJSON bool, made api.CreatedRealm) error {
	if asJSON {
		return writeIndented(p.stdout, made)
	}
	fmt.Fprintf(p.stdout, "realm:   %s\napp_id:  %s\napp_key: %s\n", made.Name, made.AppID, made.AppKey)
	fmt.Fprintln(p.stderr, "The key cannot be shown again.")
	return nil
}

type realmsListCommand struct{ apiAccess }

// Run prints a table, by name.
func (c realmsListCommand) Run(p *program) error {
	var list api.RealmList
	if err := c.call(p, http.MethodGet, "/v1/realms", nil, &list); err != nil {
		return fmt.Errorf("list realms: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, list)
	}
	t := tabwriter.NewWriter(p.stdout, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAME\tAPP ID\tBRAND\tMETHODS\tECHOES CODES\tCREATED\tROTATED")
	for _, x := range list.Data {
		brand, methods, echoes, rotated := "", "all", "no", "never"
		if s := x.Settings; s.Brand != nil {
			brand = *s.Brand
		}
		if s := x.Settings; s.Methods != nil && len(*s.Methods) > 0 {
			methods = strings.Join(*s.Methods, ",")
		}
		if s := x.Settings; s.EchoOtp != nil && *s.EchoOtp {
			echoes = "yes"
		}
		if x.RotatedAt != nil {
			rotated = x.RotatedAt.UTC().Format(time.DateOnly)
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n", x.Name, x.AppID, brand, methods, echoes, x.CreatedAt.UTC().Format(time.DateOnly), rotated)
	}
	if err := t.Flush(); err != nil {
		return fmt.Errorf("list realms: %w", err)
	}
	return nil
}

type realmsRotateCommand struct {
	Name    string        `arg:"" name:"name" help:"Name of the realm."`
	Overlap time.Duration `help:"How long the key before stays good, such as 24h (default: it stops at once)." placeholder:"DURATION"`
	apiAccess
}

// Run rotates the key. The new one goes to standard output, and that it is told once to standard error.
func (c realmsRotateCommand) Run(p *program) error {
	if !realm.ValidName(c.Name) {
		return errRealmName
	}
	const longest = 7 * 24 * time.Hour
	if c.Overlap < 0 || c.Overlap > longest {
		return &usageError{errors.New("--overlap must be 0s to 168h")}
	}
	var made api.CreatedRealm
	request := api.RotateRealm{Overlap: int(c.Overlap.Round(time.Second) / time.Second)}
	if err := c.call(p, http.MethodPost, "/v1/realms/"+c.Name+"/rotate", request, &made); err != nil {
		return fmt.Errorf("rotate realm %s: %w", c.Name, err)
	}
	return printKey(p, c.JSON, made)
}

type realmsRemoveCommand struct {
	Name string `arg:"" name:"name" help:"Name of the realm."`
	apiAccess
}

// Run removes the realm.
func (c realmsRemoveCommand) Run(p *program) error {
	if !realm.ValidName(c.Name) {
		return errRealmName
	}
	if err := c.call(p, http.MethodDelete, "/v1/realms/"+c.Name, nil, nil); err != nil {
		return fmt.Errorf("remove realm %s: %w", c.Name, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, map[string]any{"name": c.Name, "removed": true})
	}
	fmt.Fprintln(p.stdout, "Removed "+c.Name+".")
	return nil
}

// secureauthConfig is one realm that is there from the start, of the bootstrap client's account. Others
// are made by /v1/realms.
type secureauthConfig struct {
	// AppID and AppKey are its application id and key, in hexadecimal digits; Realm is its name.
	AppID  string `koanf:"app_id"`
	AppKey string `koanf:"app_key"`
	Realm  string `koanf:"realm"`
	// ClockWindow is how far the date of a signed request may be off, either way.
	ClockWindow time.Duration `koanf:"clock_window"`
	// The YubiKey validation server, where there is one.
	YubiKeyURL      string `koanf:"yubikey_url"`
	YubiKeyClientID string `koanf:"yubikey_client_id"`
	YubiKeyKey      string `koanf:"yubikey_key"`
}

func (c secureauthConfig) yubiKeys() yubikey.Config {
	return yubikey.Config{URL: c.YubiKeyURL, ClientID: c.YubiKeyClientID, Key: c.YubiKeyKey}
}

// The bounds of the clock window: below the one, clocks that are set by hand are refused; above the
// other, so is nobody who replays a request that was seen on its way.
const (
	minClockWindow     = 10 * time.Second
	defaultClockWindow = 5 * time.Minute
	maxClockWindow     = time.Hour
)

// configured tells whether there is a realm from the start.
func (c secureauthConfig) configured() bool { return c.AppID != "" || c.AppKey != "" || c.Realm != "" }

func (c secureauthConfig) check() []string {
	var faults []string
	form := func(key, value, want string, valid func(string) bool) {
		switch {
		case value == "" && c.configured():
			faults = append(faults, fault("secureauth."+key, "missing: a realm has app_id, app_key and realm, or none of them is set"))
		case value != "" && !valid(value):
			faults = append(faults, fault("secureauth."+key, "%s", want))
		}
	}
	form("app_id", c.AppID, "want 32 hexadecimal digits", realm.ValidAppID)
	form("app_key", c.AppKey, "want 64 hexadecimal digits", realm.ValidKey)
	form("realm", c.Realm, "want 1 to 64 letters, digits, dashes or underscores, the first a letter or digit, and not the first part of another path", realm.ValidName)
	if c.ClockWindow < minClockWindow || c.ClockWindow > maxClockWindow {
		faults = append(faults, fault("secureauth.clock_window", "want 10s to 1h"))
	}
	if c.yubiKeys() != (yubikey.Config{}) {
		for _, err := range c.yubiKeys().Validate() {
			key, detail, _ := strings.Cut(err.Error(), ": ")
			faults = append(faults, fault("secureauth."+key, "%s", detail))
		}
	}
	return faults
}
