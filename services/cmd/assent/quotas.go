package main

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/workers/governor"
	"github.com/assent-io/assent/workers/routing"
	"github.com/assent-io/assent/workers/sms"
)

// quotasConfig is what the providers of each channel allow, by name.
type quotasConfig struct {
	SMS   map[string]quotaConfig `koanf:"sms"`
	Voice map[string]quotaConfig `koanf:"voice"`
	Email map[string]quotaConfig `koanf:"email"`
	Push  map[string]quotaConfig `koanf:"push"`
}

type quotaConfig struct {
	// Rate is how much the provider takes in which time, such as 100/s or 600000/m: segments of texts, else messages.
	Rate string `koanf:"rate"`
	// Concurrency is how many calls all processes together may make at once.
	Concurrency int `koanf:"concurrency"`
}

// defaultFCMRate is the quota of a project (Firebase documentation, "Throttling and quotas").
const defaultFCMRate = "600000/m"

// maxConcurrency is above what any fleet makes at once.
const maxConcurrency = 1 << 20

func (q quotasConfig) of(c events.Channel) map[string]quotaConfig {
	switch c {
	case events.SMS:
		return q.SMS
	case events.Voice:
		return q.Voice
	case events.Email:
		return q.Email
	case events.Push:
		return q.Push
	default:
		return nil
	}
}

// quota is what a provider allows on a channel. The configuration was checked.
func (c config) quota(channel events.Channel, provider string) governor.Quota {
	set := c.Quotas.of(channel)[provider]
	if set.Rate == "" && provider == fcmName {
		set.Rate = defaultFCMRate
	}
	q := governor.Quota{Concurrency: set.Concurrency}
	if set.Rate != "" {
		q.Rate, _ = governor.ParseRate(set.Rate)
	}
	return q
}

// carriersOf names all that carry a channel, the sandbox too where it stands in.
func (c config) carriersOf(channel events.Channel) []string {
	names := c.providersFor(channel)
	if name, ok := c.standsIn(channel); ok {
		names = append(names, name)
	}
	return names
}

// checkQuotas reports what is wrong with the quotas of a channel.
func (c config) checkQuotas(channel events.Channel) []string {
	var faults []string
	known := c.carriersOf(channel)
	for _, name := range slices.Sorted(maps.Keys(c.Quotas.of(channel))) {
		set, section := c.Quotas.of(channel)[name], "quotas."+string(channel)+"."+name
		if !slices.Contains(known, name) {
			faults = append(faults, fault(section, "provider %s is not configured for this channel; there are: %s", name, strings.Join(known, ", ")))
			continue
		}
		if set.Rate != "" {
			if _, err := governor.ParseRate(set.Rate); err != nil {
				faults = append(faults, fault(section+".rate", "%v", err))
			}
		}
		if set.Concurrency < 0 || set.Concurrency > maxConcurrency {
			faults = append(faults, fault(section+".concurrency", "want 1 to %d; 0 is no limit", maxConcurrency))
		}
	}
	return faults
}

// account tells the accounts at one provider apart, by a short hash: what it counts together. The senders of
// one account have quotas of their own. By which address a process reaches the provider makes no difference.
func (c config) account(provider string) string {
	var parts []string
	switch provider {
	case twilioName:
		parts = []string{c.Twilio.AccountSID, c.Twilio.From, c.Twilio.MessagingServiceSID}
	case sendgridName:
		parts = []string{c.SendGrid.APIKey}
	case smtpName:
		parts = []string{c.SMTP.Host, fmt.Sprint(c.SMTP.Port), c.SMTP.Username}
	case apnsName:
		parts = []string{c.APNs.TeamID, c.APNs.Topic}
	case fcmName:
		parts = []string{c.FCM.ProjectID}
	default: // an adapter has its name, and Web Push no account
	}
	sum := sha256.Sum256([]byte(strings.Join(append(parts, "assent governor"), "\x00")))
	return hex.EncodeToString(sum[:4])
}

// governed puts the gate that all processes share in front of each provider.
func (p *process) governed(ctx context.Context, channel events.Channel, providers []routing.Provider) error {
	client, err := p.governor(ctx)
	if err != nil {
		return err
	}
	for i := range providers {
		name := providers[i].Name
		quota := p.cfg.quota(channel, name)
		providers[i].Gate = client.Gate(events.ProviderKey{Channel: channel, Provider: name, Account: p.cfg.account(name)}, quota)
		if channel == events.SMS { // it is asked while there is a rate, be it only that of other processes
			providers[i].Units = sms.Units(sms.Config{PublicURL: p.publicURL(), Replies: true})
		}
	}
	return nil
}

// governor is how this process asks the governor of all workers, which it may become.
func (p *process) governor(ctx context.Context) (*governor.Client, error) {
	if p.governing != nil {
		return p.governing, nil
	}
	client, err := governor.Start(ctx, p.js, governor.Config{
		Process: rand.Text(), Shares: p.cfg.Lanes, Metrics: governor.NewMetrics(p.registry, p.cfg.Lanes),
		Log: p.log.With("role", "governor"), Now: time.Now, // it never goes back, whatever happens to p.now
	})
	if err != nil {
		return nil, err
	}
	p.governing = client
	p.onStop(stopLast, client.Close)
	return client, nil
}

// providers are how the providers stand: those of the configuration, and those that the workers have.
func (p *process) providers(ctx context.Context) (*store.Providers, error) {
	known := map[events.Channel][]string{}
	for _, channel := range events.Channels() {
		known[channel] = p.cfg.carriersOf(channel)
	}
	return store.NewProviders(ctx, p.js, store.ProvidersConfig{
		Known: known, Now: p.now,
		States: func(ctx context.Context) (events.GovernorStates, error) { return governor.Show(ctx, p.js.Conn()) },
	})
}
