package main

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/governor"
)

func TestQuotasAndLanesComeFromFileOrEnvironment(t *testing.T) {
	c, faults := up(t, "")
	require.Empty(t, faults)
	require.Equal(t, governor.DefaultShares(), c.Lanes)
	require.Equal(t, governor.Quota{Rate: 10_000}, c.quota(events.Push, fcmName))
	require.Equal(t, governor.Quota{}, c.quota(events.Push, apnsName))
	require.Equal(t, governor.Quota{}, c.quota(events.SMS, twilioName))

	c, faults = up(t, `
quotas:
  sms: {twilio: {rate: 100/s, concurrency: 20}}
  push: {fcm: {rate: 60000/m}}
lanes: {verification: 50, transactional: 30, bulk: 20}
`, "ASSENT_QUOTAS__VOICE__TWILIO__RATE=1/s", "ASSENT_LANES__BULK=15", "ASSENT_LANES__VERIFICATION=55")
	require.Empty(t, faults)
	require.Equal(t, governor.Quota{Rate: 100, Concurrency: 20}, c.quota(events.SMS, twilioName))
	require.Equal(t, governor.Quota{Rate: 1}, c.quota(events.Voice, twilioName))
	require.Equal(t, governor.Quota{Rate: 1000}, c.quota(events.Push, fcmName))
	require.Equal(t, governor.Shares{Verification: 55, Transactional: 30, Bulk: 15}, c.Lanes)
}

func TestFaultsOfQuotasAndLanesAreToldWithTheirKeys(t *testing.T) {
	_, faults := up(t, `
quotas:
  sms: {twilio: {rate: fast, concurrency: -1}, acme: {rate: 1/s}}
  email: {twilio: {rate: 1/s}}
lanes: {verification: 100, transactional: 25, bulk: 0}
`)
	all := strings.Join(faults, "\n")
	for _, want := range []string{
		"quotas.sms.twilio.rate (ASSENT_QUOTAS__SMS__TWILIO__RATE): want a rate such as 100/s",
		"quotas.sms.twilio.concurrency (ASSENT_QUOTAS__SMS__TWILIO__CONCURRENCY): want",
		"quotas.sms.acme (ASSENT_QUOTAS__SMS__ACME): provider acme is not configured for this channel; there are: twilio",
		"quotas.email.twilio (ASSENT_QUOTAS__EMAIL__TWILIO): provider twilio is not configured for this channel; there are: sendgrid",
		"lanes.bulk (ASSENT_LANES__BULK): want 1 to 98",
		"lanes.verification (ASSENT_LANES__VERIFICATION): the shares of the lanes make 125 together",
	} {
		require.Contains(t, all, want)
	}
	require.Len(t, faults, 6)
	_, faults = up(t, "quotas: {sms: {twilio: {rates: 1/s}}}")
	require.Contains(t, strings.Join(faults, "\n"), "no such key")
}

func TestAccountsOfOneProviderAreToldApartWithoutSayingWhatTheyAre(t *testing.T) {
	one, two := defaults(), defaults()
	one.SendGrid.APIKey, two.SendGrid.APIKey = "SG.one", "SG.two"
	require.NotEqual(t, one.account(sendgridName), two.account(sendgridName))
	require.Len(t, one.account(sendgridName), 8)
	require.Equal(t, one.account(smtpName), two.account(smtpName))
}
