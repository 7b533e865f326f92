package main

import (
	"context"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestTemplatesAreManagedFromTheCommandLine goes the whole way against a deployment.
func TestTemplatesAreManagedFromTheCommandLine(t *testing.T) {
	t.Parallel()
	listen, data := freeAddress(t), filepath.Join(t.TempDir(), "data")
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() {
		ended <- run(ctx, []string{"up", "--listen", listen, "--data", data}, []string{"ASSENT_LOG__LEVEL=error"}, io.Discard, io.Discard)
	}()
	t.Cleanup(func() {
		cancel()
		require.NoError(t, <-ended)
	})
	base := "http://" + listen
	require.Eventually(t, func() bool { return status(t, base+"/readyz") == http.StatusOK }, time.Minute, 20*time.Millisecond)
	templates := func(args ...string) (string, string, error) {
		return invoke(t, nil, append(append([]string{"templates"}, args...), "--base", base, "--data", data)...)
	}
	file := filepath.Join(t.TempDir(), "parcel.json")
	require.NoError(t, os.WriteFile(file, []byte(`{"variables":{"day":{"type":"date","example":"2026-11-22"},"spare":{"type":"string","default":"x"}},
		"variants":[{"channel":"sms","text":"Łódź, {{day}}"},{"channel":"push","title":"Parcel","text":"{{day}}"}]}`), 0o600))

	out, note, err := templates("put", "parcel", file)
	require.NoError(t, err)
	require.Equal(t, "Saved parcel, version 1.\n", out)
	require.Equal(t, "#/variables/spare is declared and never used.\n", note)
	out, _, err = templates("put", "parcel", file)
	require.NoError(t, err)
	require.Equal(t, "Saved parcel, version 2.\n", out)
	out, _, err = templates("list")
	require.NoError(t, err)
	require.Regexp(t, `^NAME +VERSION +SAVED\nparcel +2 +20\d\d-`, out)
	out, _, err = templates("show", "parcel", "--version", "1")
	require.NoError(t, err)
	require.Contains(t, out, `"version": 1`)
	out, _, err = templates("preview", "parcel", "--channel", "sms", "--locale", "en-GB")
	require.NoError(t, err)
	require.Equal(t, "text:\nŁódź, 22 November 2026\n\nUCS-2, 22 characters, segments: 1, 48 more fit the last\n"+
		"not in GSM-7: Ł at position 0\nnot in GSM-7: ó at position 1\nnot in GSM-7: ź at position 3\n", out)
	out, _, err = templates("preview", "parcel", "--channel", "push", "--variables", `{"day":"2026-01-02"}`)
	require.NoError(t, err)
	require.Equal(t, "title:\nParcel\n\ntext:\nJanuary 2, 2026\n\n", out)
	_, _, err = templates("preview", "parcel", "--channel", "push", "--variables", `{"day":"soon"}`)
	require.ErrorContains(t, err, "preview template parcel: 422 invalid_request")
	_, _, err = templates("preview", "parcel", "--channel", "push", "--variables", `[]`)
	require.ErrorContains(t, err, "--variables must be a JSON object")
	_, _, err = templates("show", "a/b")
	require.ErrorContains(t, err, "the name must be 1 to 64 small letters")

	out, _, err = templates("remove", "parcel")
	require.NoError(t, err)
	require.Equal(t, "Removed parcel.\n", out)
	_, _, err = templates("remove", "parcel")
	require.EqualError(t, err, "remove template parcel: 404 not_found: There is nothing with this id.")
}
