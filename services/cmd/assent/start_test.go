package main

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// freeAddress is a loopback address that nobody listens on.
func freeAddress(t *testing.T) string {
	t.Helper()
	for range 100 {
		// Below the ports that the kernel gives to whoever asks for any, as the tests beside this one do.
		l, err := (&net.ListenConfig{}).Listen(t.Context(), "tcp", fmt.Sprintf("127.0.0.1:%d", 10_000+rand.N(10_000)))
		if err != nil {
			continue
		}
		require.NoError(t, l.Close())
		return l.Addr().String()
	}
	require.FailNow(t, "a hundred ports are taken")
	return ""
}

// status is what an address answers; 0 while nobody does.
func status(t *testing.T, url string) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	require.NoError(t, err)
	resp, err := (&http.Client{}).Do(req)
	if err != nil {
		return 0
	}
	defer func() { _ = resp.Body.Close() }()
	return resp.StatusCode
}

func TestARoleThatWaitsForTheBrokerIsAliveNotReadyAndEndsWhenAsked(t *testing.T) {
	t.Parallel()
	ops := freeAddress(t)
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	args := []string{"run", "verifier", "--nats", "nats://" + freeAddress(t), "--ops-listen", ops}
	env := []string{"ASSENT_DATA=" + filepath.Join(t.TempDir(), "data")}
	go func() { ended <- run(ctx, args, env, io.Discard, io.Discard) }()
	require.Eventually(t, func() bool { return status(t, "http://"+ops+"/healthz") == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
	require.Equal(t, http.StatusServiceUnavailable, status(t, "http://"+ops+"/readyz"))
	require.Empty(t, ended)
	cancel()
	require.NoError(t, <-ended, "being asked to end is no failure")
}
