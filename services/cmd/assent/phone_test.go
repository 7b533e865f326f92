package main

import (
	"bytes"
	"encoding/json"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
)

// carrier stands for a deployment that a phone joins: it takes one code, and asks what it is told to.
type carrier struct {
	*httptest.Server
	asks     atomic.Bool
	choices  atomic.Value // what is chosen from, as JSON; none: nothing
	answered atomic.Value // the last api.PushAnswer
	token    atomic.Value // the push token it was told last
}

func startCarrier(t *testing.T) *carrier {
	t.Helper()
	c := &carrier{}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/phones", func(w http.ResponseWriter, r *http.Request) {
		var request api.JoinPhone
		if json.NewDecoder(r.Body).Decode(&request) != nil || request.Code != "K7QX" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"status":404,"code":"not_found","detail":"No phone is waited for with this code."}`)
			return
		}
		w.WriteHeader(http.StatusCreated)
		_, _ = io.WriteString(w, `{"device_id":"d-1","secret":"JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP","created_at":"2026-11-21T10:01:00Z"}`)
	})
	mux.HandleFunc("GET /v1/phones/d-1/prompts", func(w http.ResponseWriter, _ *http.Request) {
		if !c.asks.Load() {
			_, _ = io.WriteString(w, `{"data":[]}`)
			return
		}
		choices, _ := c.choices.Load().(string)
		_, _ = io.WriteString(w, `{"data":[{"verification_id":"v-1","brand":"Example Bank",`+choices+`
			"context":"{\"ip\":\"203.0.113.7\",\"action\":\"Sign in\",\"place\":\"Lisbon\"}"}]}`)
	})
	mux.HandleFunc("PUT /v1/phones/d-1", func(w http.ResponseWriter, r *http.Request) {
		var change api.ChangePhone
		_ = json.NewDecoder(r.Body).Decode(&change)
		c.token.Store(*change.PushToken)
		w.WriteHeader(http.StatusNoContent)
	})
	mux.HandleFunc("POST /v1/verifications/v-1/responses", func(w http.ResponseWriter, r *http.Request) {
		var answer api.PushAnswer
		if json.NewDecoder(r.Body).Decode(&answer) != nil || answer.Number == "13" {
			w.Header().Set("Content-Type", "application/problem+json")
			w.WriteHeader(http.StatusConflict)
			_, _ = io.WriteString(w, `{"status":409,"code":"verification_closed","detail":"It expired at noon."}`)
			return
		}
		c.answered.Store(answer)
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, `{"id":"v-1","status":"pending"}`)
	})
	c.Server = httptest.NewServer(mux)
	t.Cleanup(c.Close)
	return c
}

// command runs one command line and returns what it printed.
func command(t *testing.T, args ...string) (string, error) {
	t.Helper()
	var out, notes bytes.Buffer
	err := run(t.Context(), args, nil, &out, &notes)
	require.Empty(t, notes.String())
	return out.String(), err
}

func TestAPhoneJoinsAndAnswersFromTheCommandLine(t *testing.T) {
	t.Parallel()
	c := startCarrier(t)
	state := filepath.Join(t.TempDir(), "ana.json")

	_, err := command(t, "phone", "join", "--base", c.URL, "--code", "WRONG", "--state", state)
	require.ErrorContains(t, err, "No phone is waited for with this code.")
	require.NoFileExists(t, state)

	out, err := command(t, "phone", "join", "--base", c.URL, "--code", "K7QX", "--state", state, "--name", "Ana's phone")
	require.NoError(t, err)
	require.Equal(t, "d-1\n", out)
	info, err := os.Stat(state)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	_, err = command(t, "phone", "join", "--base", c.URL, "--code", "K7QX", "--state", state)
	require.ErrorContains(t, err, "--force")
	_, err = command(t, "phone", "join", "--base", c.URL, "--code", "K7QX", "--state", state, "--force", "--platform", "apns")
	require.NoError(t, err)

	_, err = command(t, "phone", "answer", "--state", state, "approve", "--wait", "0")
	require.ErrorContains(t, err, "no question came in 0 seconds")

	c.asks.Store(true)
	for name, want := range map[string]api.Decision{"approve": api.DecisionApprove, "deny": api.DecisionDeny, "not-me": api.DecisionNotMe} {
		out, err = command(t, "phone", "answer", "--state", state, name, "--number", "47", "--wait", "5")
		require.NoError(t, err)
		require.Equal(t, "brand   Example Bank\naction  Sign in\nip      203.0.113.7\nplace   Lisbon\nanswer  "+name+"\n", out)
		answer, ok := c.answered.Load().(api.PushAnswer)
		require.True(t, ok)
		require.Equal(t, want, answer.Decision)
		require.Equal(t, "47", answer.Number)
	}

	_, err = command(t, "phone", "answer", "--state", state, "approve", "--number", "13")
	require.ErrorContains(t, err, "It expired at noon.")

	out, err = command(t, "phone", "code", "--state", state)
	require.NoError(t, err)
	require.Regexp(t, `^[0-9]{6}\n$`, out)
}

func TestANumberIsGivenOnTheCommandLine(t *testing.T) {
	t.Parallel()
	c := startCarrier(t)
	state := filepath.Join(t.TempDir(), "ana.json")
	_, err := command(t, "phone", "join", "--base", c.URL, "--code", "K7QX", "--state", state)
	require.NoError(t, err)
	c.asks.Store(true)
	c.choices.Store(`"choices":["3","7","9","1"],`)

	out, err := command(t, "phone", "answer", "--state", state, "approve")
	require.EqualError(t, err, "the question asks for the number on the other screen: 3, 7, 9 or 1\n  give it with --number; nothing was sent")
	require.Contains(t, out, "choices 3 7 9 1\n")
	require.NotContains(t, out, "answer")
	require.Nil(t, c.answered.Load())

	for _, args := range [][]string{{"approve", "--number", "7"}, {"deny"}} {
		out, err = command(t, append([]string{"phone", "answer", "--state", state}, args...)...)
		require.NoError(t, err)
		require.Contains(t, out, "answer  "+args[0]+"\n")
		answer, ok := c.answered.Load().(api.PushAnswer)
		require.True(t, ok)
		require.Equal(t, api.Decision(args[0]), answer.Decision)
		require.Equal(t, args[0] == "approve", answer.Number == "7")
	}
}

func TestPhoneCommandLinesThatCannotBeUnderstood(t *testing.T) {
	t.Parallel()
	for name, args := range map[string][]string{
		"no decision":         {"phone", "answer", "--state", "x"},
		"an unknown decision": {"phone", "answer", "--state", "x", "maybe"},
		"a wait without end":  {"phone", "answer", "--state", "x", "approve", "--wait", "3601"},
		"no state":            {"phone", "code"},
		"no code":             {"phone", "join", "--base", "http://a", "--state", "x"},
		"an unknown platform": {"phone", "join", "--base", "http://a", "--state", "x", "--code", "c", "--platform", "fax"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := command(t, args...)
			var usage *usageError
			require.ErrorAs(t, err, &usage)
		})
	}
}

func TestFilesThatAPhoneCannotUseAreNamed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	_, err := command(t, "phone", "code", "--state", filepath.Join(dir, "none.json"))
	require.ErrorContains(t, err, "none.json")
	_, err = command(t, "phone", "join", "--base", "http://127.0.0.1:1", "--code", "c", "--state", filepath.Join(dir, "no", "x.json"))
	require.ErrorContains(t, err, filepath.Join(dir, "no"))
	for _, path := range []string{filepath.Join(dir, "none.pem"), filepath.Join(dir, "bad.pem")} {
		if strings.HasSuffix(path, "bad.pem") {
			require.NoError(t, os.WriteFile(path, []byte("x"), 0o600))
		}
		_, err = command(t, "phone", "join", "--base", "https://127.0.0.1:1", "--code", "c", "--state", filepath.Join(dir, "x.json"), "--ca", path)
		require.ErrorContains(t, err, path)
	}
	secured := httptest.NewUnstartedServer(http.NotFoundHandler())
	secured.Config.ErrorLog = log.New(io.Discard, "", 0) // it would tell of the client that trusts it not
	secured.StartTLS()
	defer secured.Close()
	_, err = command(t, "phone", "join", "--base", secured.URL, "--code", "c", "--state", filepath.Join(dir, "x.json"))
	require.ErrorContains(t, err, "--ca FILE")
	require.NoFileExists(t, filepath.Join(dir, "x.json"))
}

func TestAPushTokenIsChangedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	c := startCarrier(t)
	state := filepath.Join(t.TempDir(), "ana.json")
	_, err := command(t, "phone", "join", "--base", c.URL, "--code", "K7QX", "--state", state)
	require.NoError(t, err)
	for range 2 { // the file is read again
		out, err := command(t, "phone", "token", "--state", state, "--push-token", "another")
		require.NoError(t, err)
		require.Equal(t, "d-1\n", out)
		require.Equal(t, "another", c.token.Load())
		kept, err := os.ReadFile(state)
		require.NoError(t, err)
		require.Contains(t, string(kept), `"push_token": "another"`)
	}
	_, err = command(t, "phone", "token", "--state", state+".none")
	require.ErrorContains(t, err, "read phone")
}
