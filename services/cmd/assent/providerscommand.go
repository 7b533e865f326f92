package main

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"text/tabwriter"

	"github.com/assent-io/assent/api"
)

type providersCommand struct {
	List   providersListCommand   `cmd:"" help:"List how the providers stand, with all workers together."`
	Pause  providersPauseCommand  `cmd:"" help:"Keep all workers from calling a provider. Messages go to the others of their route, and wait where there is none."`
	Resume providersResumeCommand `cmd:"" help:"End a provider's pause."`
}

type providersListCommand struct{ apiAccess }

// Run prints a table. That no governor answered goes to standard error.
func (c providersListCommand) Run(p *program) error {
	var list api.ProviderList
	if err := c.call(p, http.MethodGet, "/v1/providers", nil, &list); err != nil {
		return fmt.Errorf("list providers: %w", err)
	}
	if c.JSON {
		return writeIndented(p.stdout, list)
	}
	if err := printProviders(p.stdout, list.Data); err != nil {
		return fmt.Errorf("list providers: %w", err)
	}
	if !list.Governed {
		fmt.Fprintln(p.stderr, "No governor answers: is a worker running? Only pauses are known.")
	}
	return nil
}

func printProviders(w io.Writer, list []api.Provider) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintln(t, "NAME\tCHANNEL\tSTATE\tSINCE\tQUOTA\tIN FLIGHT\tWAITING\tPROCESSES\tREASON")
	for _, x := range list {
		since := "-"
		if x.Since != nil {
			since = moment(*x.Since)
		}
		state := string(x.State)
		if x.RetryIn > 0 {
			state += ", " + strconv.Itoa(x.RetryIn) + " s"
		}
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%d\t%d\t%d\t%s\n", printable(x.Name), x.Channel, state, since, quotaText(x.Quota),
			x.InFlight, x.Waiting.Verification+x.Waiting.Transactional+x.Waiting.Bulk, x.Processes, orDash(x.Reason))
	}
	return t.Flush() //nolint:wrapcheck // the caller does
}

func quotaText(q *api.ProviderQuota) string {
	if q == nil {
		return "-"
	}
	var parts []string
	if q.Rate > 0 {
		parts = append(parts, strconv.FormatFloat(q.Rate, 'g', 6, 64)+"/s")
	}
	if q.Concurrency > 0 {
		parts = append(parts, strconv.Itoa(q.Concurrency)+" at once")
	}
	return cmp.Or(strings.Join(parts, ", "), "-")
}

// providerChoice is how a command names a provider.
type providerChoice struct {
	Name    string `arg:"" name:"name" help:"Name of the provider, as assent providers list shows it."`
	Channel string `help:"Only on this channel: sms, voice, email or push." placeholder:"CHANNEL"`
}

func (c providerChoice) path(action string) (string, error) {
	if c.Channel != "" && (!api.Channel(c.Channel).Valid() || api.Channel(c.Channel) == api.ChannelTOTP) {
		return "", &usageError{errors.New("--channel must be sms, voice, email or push")}
	}
	return "/v1/providers/" + url.PathEscape(c.Name) + "/" + action, nil
}

type providersPauseCommand struct {
	providerChoice
	Reason string `help:"Why, for those who ask later." placeholder:"TEXT"`
	apiAccess
}

// Run pauses one provider.
func (c providersPauseCommand) Run(p *program) error {
	path, err := c.path("pause")
	if err != nil {
		return err
	}
	var list api.ProviderList
	body := api.PauseProvider{Channel: api.Channel(c.Channel), Reason: c.Reason}
	if err := c.call(p, http.MethodPost, path, body, &list); err != nil {
		return fmt.Errorf("pause provider %s: %w", c.Name, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, list)
	}
	fmt.Fprintf(p.stdout, "Paused %s.\n", c.what())
	return nil
}

type providersResumeCommand struct {
	providerChoice
	apiAccess
}

// Run ends the pause of one provider.
func (c providersResumeCommand) Run(p *program) error {
	path, err := c.path("resume")
	if err != nil {
		return err
	}
	var list api.ProviderList
	if err := c.call(p, http.MethodPost, path, api.ResumeProvider{Channel: api.Channel(c.Channel)}, &list); err != nil {
		return fmt.Errorf("resume provider %s: %w", c.Name, err)
	}
	if c.JSON {
		return writeIndented(p.stdout, list)
	}
	for _, x := range list.Data {
		if x.State == api.ProviderStatePaused && (c.Channel == "" || string(x.Channel) == c.Channel) {
			return fmt.Errorf("resume provider %s: all its channels are paused; resume it without --channel", c.Name)
		}
	}
	fmt.Fprintf(p.stdout, "Resumed %s.\n", c.what())
	return nil
}

func (c providerChoice) what() string {
	if c.Channel == "" {
		return c.Name
	}
	return c.Name + " on " + c.Channel
}
