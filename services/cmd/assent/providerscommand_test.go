package main

import (
	"context"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/embednats/embednatstest"
)

// onlyTwilio is a table without the providers that no worker of the test has.
func onlyTwilio(table string) string {
	var kept []string
	for line := range strings.Lines(table) {
		if strings.HasPrefix(line, "NAME") || strings.HasPrefix(line, "twilio") {
			kept = append(kept, line)
		}
	}
	return strings.Join(kept, "")
}

// TestProvidersArePausedFromTheCommandLine goes the whole way: an API, two workers that ask the governor, and an
// operator.
func TestProvidersArePausedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	listen, data := freeAddress(t), filepath.Join(t.TempDir(), "data")
	js := embednatstest.Connect(t, embednatstest.Start(t, t.TempDir()))
	cfg, faults, err := load("", []string{
		"ASSENT_LOG__LEVEL=error", "ASSENT_DATA=" + data, "ASSENT_LISTEN=" + listen, "ASSENT_SANDBOX__URL=http://" + listen,
		"ASSENT_SANDBOX__LISTEN=" + listen, "ASSENT_QUOTAS__SMS__TWILIO__RATE=100/s",
	})
	require.NoError(t, err)
	require.Empty(t, faults)
	require.NoError(t, cfg.bootstrap())
	selected, err := rolesNamed([]string{apiRole, "sms", "voice", sandboxRole})
	require.NoError(t, err)
	require.Empty(t, cfg.check(selected))
	proc := newProcess(cfg, js, newLogger(cfg.Log, io.Discard))
	proc.ownsTopology = true
	proc.operations(listen)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- proc.run(ctx, selected, func() {}) }()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	base := "http://" + listen
	require.Eventually(t, func() bool { return status(t, base+"/readyz") == http.StatusOK }, time.Minute, 20*time.Millisecond)
	providers := func(args ...string) (string, string, error) {
		return invoke(t, nil, append(append([]string{"providers"}, args...), "--base", base, "--data", data)...)
	}
	const header = `^NAME +CHANNEL +STATE +SINCE +QUOTA +IN FLIGHT +WAITING +PROCESSES +REASON\n`
	since := ` +20\d\d-\d\d-\d\d \d\d:\d\d:\d\d +`
	var out, note string
	require.Eventually(t, func() bool {
		out, note, err = providers("list")
		return err == nil && note == "" && strings.Count(onlyTwilio(out), " ok ") == 2
	}, time.Minute, 20*time.Millisecond)
	require.Regexp(t, header+`twilio +sms +ok`+since+`100/s +0 +0 +1 +-\n`+`twilio +voice +ok`+since+`- +0 +0 +1 +-\n$`, onlyTwilio(out))

	out, _, err = providers("pause", "twilio", "--channel", "sms", "--reason", "maintenance")
	require.NoError(t, err)
	require.Equal(t, "Paused twilio on sms.\n", out)
	out, _, err = providers("list")
	require.NoError(t, err)
	require.Regexp(t, header+`twilio +sms +paused`+since+`100/s +0 +0 +1 +maintenance\n`+`twilio +voice +ok`, onlyTwilio(out))
	_, _, err = providers("pause", "vonage")
	require.ErrorContains(t, err, "There is no such provider; there are: ")
	_, _, err = providers("pause", "twilio", "--channel", "fax")
	require.ErrorContains(t, err, "--channel must be sms, voice, email or push")
	out, _, err = providers("resume", "twilio")
	require.NoError(t, err)
	require.Equal(t, "Resumed twilio.\n", out)
	_, _, err = providers("pause", "twilio")
	require.NoError(t, err)
	_, _, err = providers("resume", "twilio", "--channel", "sms")
	require.ErrorContains(t, err, "resume it without --channel")
}
