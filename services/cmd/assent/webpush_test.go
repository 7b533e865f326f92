package main

import (
	"io"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/workers/provider/webpush"
)

func TestWebPushIsConfiguredBySubjectOrPublicURL(t *testing.T) {
	const key = "yfWPiYE-n46HLnH0KqZOF1fJJU3MYrct3AELtAQ-oRw"
	c, faults := up(t, "", "ASSENT_WEBPUSH__SUBJECT=mailto:ops@example.com", "ASSENT_WEBPUSH__HOSTS=push.example.com, *.example.net")
	require.Empty(t, faults)
	require.Equal(t, "Web Push", c.realProviders())
	cfg := c.webPush("http://127.0.0.1:8080")
	require.Equal(t, "mailto:ops@example.com", cfg.Subject)
	require.Equal(t, []string{"push.example.com", "*.example.net"}, cfg.Hosts)
	require.Equal(t, webpush.StandIn{PublicURL: "http://127.0.0.1:8080", URL: c.Sandbox.URL}, cfg.StandIn, "the sandbox's phones are reached too")

	file := filepath.Join(t.TempDir(), "vapid")
	require.NoError(t, os.WriteFile(file, []byte(key+"\n"), 0o600))
	c, faults = up(t, "webpush: {private_key_file: "+file+"}\npublic_url: https://assent.example.com")
	require.Empty(t, faults)
	require.Equal(t, key, c.WebPush.PrivateKey)
	require.Equal(t, "https://assent.example.com", c.webPush(c.PublicURL).Subject)

	_, faults = up(t, "webpush: {private_key: shh-secret, hosts: [https://push.example.com]}")
	require.Len(t, faults, 3)
	for i, want := range []string{"webpush.hosts (ASSENT_WEBPUSH__HOSTS)", "webpush.private_key (ASSENT_WEBPUSH__PRIVATE_KEY): want", "webpush.subject (ASSENT_WEBPUSH__SUBJECT): missing"} {
		require.Contains(t, faults[i], want)
		require.NotContains(t, faults[i], "shh-secret")
	}

	c, faults = up(t, "")
	require.Empty(t, faults)
	cfg = c.webPush("http://127.0.0.1:8080")
	require.True(t, cfg.StandIn.Alone)
	require.Empty(t, cfg.Validate(), "the sandbox stands in")
}

func TestWebPushAloneBringsNoSandbox(t *testing.T) {
	c := defaults()
	c.Twilio.AccountSID, c.SendGrid.APIKey, c.APNs.TeamID, c.FCM.ProjectID = "AC", "SG", "team", "project"
	require.True(t, c.allProviders())
	require.NotContains(t, c.providersFor(events.Push), webPushName)
	for _, r := range c.upRoles(false) {
		require.NotEqual(t, sandboxRole, r.name)
	}
	c.WebPush.Subject = "mailto:ops@example.com"
	require.Contains(t, c.providersFor(events.Push), webPushName)
	require.False(t, c.webPush("https://assent.example.com").StandIn.Alone)
}

func TestAPushWorkerWithoutThePushKeyIsTold(t *testing.T) {
	dir := t.TempDir()
	root, err := keyring.LoadOrCreate(filepath.Join(dir, "root.json"))
	require.NoError(t, err)
	c := defaults()
	c.Keyring, c.WebPush.Subject = filepath.Join(dir, "push.json"), "mailto:ops@example.com"
	require.NoError(t, root.Export(c.Keyring, keyring.Channel(events.Push)))
	_, err = newProcess(c, nil, newLogger(c.Log, io.Discard)).webPush()
	require.ErrorContains(t, err, "webpush.private_key is needed")
	require.NoError(t, root.ExportOnce(c.Keyring, keyring.WebPush))
	_, err = newProcess(c, nil, newLogger(c.Log, io.Discard)).webPush()
	require.NoError(t, err)
}
