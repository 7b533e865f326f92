package store_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// credentials are those of one process.
func (h *house) credentials() *store.Credentials {
	h.t.Helper()
	c, err := store.NewCredentials(h.t.Context(), h.js(), store.CredentialsConfig{Keys: h.keys, Now: h.clock.now})
	require.NoError(h.t, err)
	h.t.Cleanup(c.Close)
	return c
}

// client is a new credential of an account, with its secret.
func client(t *testing.T, c *store.Credentials, id, account string, scope credential.Scope) (credential.Credential, string) {
	t.Helper()
	cred := credential.Credential{
		ClientID: id, Name: "A client", Account: account, Scope: scope, Compat: credential.CompatGo, NumericIDs: true,
		CreatedAt: time.Date(2026, 11, 21, 10, 4, 31, 0, time.UTC),
	}
	secret, err := c.CreateCredential(t.Context(), cred)
	require.NoError(t, err)
	return cred, secret
}

func wrong(t *testing.T, c *store.Credentials, id, secret string) {
	t.Helper()
	_, err := c.Authenticate(t.Context(), id, secret)
	require.ErrorIs(t, err, credential.ErrWrong)
}

func right(t *testing.T, c *store.Credentials, id, secret string) credential.Credential {
	t.Helper()
	got, err := c.Authenticate(t.Context(), id, secret)
	require.NoError(t, err)
	return got
}

func TestTheBootstrapCredentialIsKnownToEveryProcessAndReplaced(t *testing.T) {
	t.Parallel()
	h := build(t)
	one := h.credentials()
	require.NoError(t, one.Ensure(t.Context(), "dev", "a-recognisable-secret"))
	got := right(t, one, "dev", "a-recognisable-secret")
	require.Equal(t, "dev", got.Account)
	require.Equal(t, credential.ManageAll, got.Scope)
	require.Equal(t, credential.CompatDefault, got.Compat)
	for _, c := range [][2]string{{"dev", "wrong"}, {"dev", ""}, {"other", "a-recognisable-secret"}, {"", ""}, {"a.b", "x"}, {">", "x"}} {
		wrong(t, one, c[0], c[1])
	}
	two := h.credentials()
	right(t, two, "dev", "a-recognisable-secret")
	_, err := one.UpdateCredential(t.Context(), "dev", "dev", func(c *credential.Credential) { c.Name, c.Compat = "Ours", credential.CompatJava })
	require.NoError(t, err)
	require.NoError(t, one.Ensure(t.Context(), "dev", "a-recognisable-secret"))
	require.Equal(t, "Ours", right(t, one, "dev", "a-recognisable-secret").Name, "the same secret changes nothing")

	require.NoError(t, one.Ensure(t.Context(), "dev", "rotated"))
	got = right(t, two, "dev", "rotated")
	require.Equal(t, "Ours", got.Name)
	require.Equal(t, credential.CompatJava, got.Compat)
	wrong(t, one, "dev", "a-recognisable-secret")
	require.Eventually(t, func() bool {
		_, err := two.Authenticate(t.Context(), "dev", "a-recognisable-secret")
		return err != nil
	}, waitLong, tick)
	require.Error(t, one.Ensure(t.Context(), "a.b", "x"))
}

func TestACredentialWorksAtOnceInEveryProcess(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.credentials(), h.credentials()
	for i := range 50 { // the watch of the other process lags behind some of these
		cred, secret := client(t, one, fmt.Sprintf("client-%d", i), "shop", credential.ReadUsers)
		require.Equal(t, cred, right(t, two, cred.ClientID, secret))
		require.Equal(t, cred, right(t, one, cred.ClientID, secret))
		wrong(t, two, cred.ClientID, secret+"x")
	}
}

func TestClientIDsAreUniqueOverAllAccounts(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.credentials(), h.credentials()
	cred, secret := client(t, one, "page", "shop", credential.ManageAll)
	cred.Account = "bank"
	_, err := two.CreateCredential(t.Context(), cred)
	require.ErrorIs(t, err, credential.ErrExists)
	require.Equal(t, "shop", right(t, two, "page", secret).Account)

	var wg sync.WaitGroup
	made := make(chan string, 8)
	for i := range 8 {
		wg.Go(func() {
			cred := credential.Credential{ClientID: "raced", Account: fmt.Sprintf("account-%d", i), Scope: credential.ManageAll, Compat: credential.CompatDefault}
			if _, err := []*store.Credentials{one, two}[i%2].CreateCredential(t.Context(), cred); err == nil {
				made <- cred.Account
			}
		})
	}
	wg.Wait()
	require.Len(t, made, 1)
}

func TestCredentialsOfAnotherAccountAreInvisible(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	mine, _ := client(t, c, "mine", "shop", credential.ManageAll)
	client(t, c, "another", "shop", credential.ManageAll)
	_, secret := client(t, c, "theirs", "bank", credential.ManageAll)

	list, err := c.ListCredentials(t.Context(), "shop")
	require.NoError(t, err)
	require.Len(t, list, 2)
	require.Equal(t, "another", list[0].ClientID)
	require.Equal(t, mine, list[1])
	for _, id := range []string{"theirs", "nobody", "a.b", "", "*"} {
		_, err = c.Credential(t.Context(), "shop", id)
		require.ErrorIs(t, err, verification.ErrNotFound)
		_, err = c.UpdateCredential(t.Context(), "shop", id, func(*credential.Credential) {})
		require.ErrorIs(t, err, verification.ErrNotFound)
		require.ErrorIs(t, c.RevokeCredential(t.Context(), "shop", id), verification.ErrNotFound)
	}
	right(t, c, "theirs", secret)
	got, err := c.Credential(t.Context(), "shop", "mine")
	require.NoError(t, err)
	require.Equal(t, mine, got)
}

func TestAnUpdateChangesWhatItMayAndNothingElse(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.credentials(), h.credentials()
	cred, secret := client(t, one, "page", "shop", credential.ReadAll)
	got, err := two.UpdateCredential(t.Context(), "shop", "page", func(c *credential.Credential) {
		*c = credential.Credential{ClientID: "x", Account: "y", Name: "Page", Scope: credential.ManageUsers, Compat: credential.CompatNode}
	})
	require.NoError(t, err)
	want := credential.Credential{
		ClientID: "page", Account: "shop", Name: "Page", Scope: credential.ManageUsers, Compat: credential.CompatNode, CreatedAt: cred.CreatedAt,
	}
	require.Equal(t, want, got)
	require.Equal(t, want, right(t, two, "page", secret), "the secret stays")
	require.Eventually(t, func() bool { return right(t, one, "page", secret) == want }, waitLong, tick)

	// Two who change different things at once both get their way.
	var wg sync.WaitGroup
	for i, c := range []*store.Credentials{one, two} {
		wg.Go(func() {
			_, err := c.UpdateCredential(t.Context(), "shop", "page", func(c *credential.Credential) {
				if i == 0 {
					c.Name = "Renamed"
				} else {
					c.Scope = credential.ReadUsers
				}
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	got, err = one.Credential(t.Context(), "shop", "page")
	require.NoError(t, err)
	require.Equal(t, "Renamed", got.Name)
	require.Equal(t, credential.ReadUsers, got.Scope)
}

func TestTheLastCredentialThatManagesCredentialsStays(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	client(t, c, "chief", "shop", credential.ManageAll)
	client(t, c, "helper", "shop", credential.ManageUsers)
	client(t, c, "theirs", "bank", credential.ManageAll)
	require.ErrorIs(t, c.RevokeCredential(t.Context(), "shop", "chief"), credential.ErrLast)
	narrow := func(c *credential.Credential) { c.Scope = credential.ReadAll }
	_, err := c.UpdateCredential(t.Context(), "shop", "chief", narrow)
	require.ErrorIs(t, err, credential.ErrLast)
	_, err = c.UpdateCredential(t.Context(), "shop", "chief", func(c *credential.Credential) { c.Name = "Chief" })
	require.NoError(t, err)
	require.NoError(t, c.RevokeCredential(t.Context(), "shop", "helper"))
	client(t, c, "second", "shop", credential.ManageAll)
	_, err = c.UpdateCredential(t.Context(), "shop", "chief", narrow)
	require.NoError(t, err)
	require.ErrorIs(t, c.RevokeCredential(t.Context(), "shop", "second"), credential.ErrLast)
}

func TestARevokedCredentialIsDeadInEveryProcessAndItsIDIsFree(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.credentials(), h.credentials()
	client(t, one, "chief", "shop", credential.ManageAll)
	cred, secret := client(t, one, "page", "shop", credential.ReadUsers)
	token, err := one.Issue(t.Context(), cred)
	require.NoError(t, err)
	right(t, two, "page", secret)
	require.NoError(t, one.RevokeCredential(t.Context(), "shop", "page"))
	wrong(t, one, "page", secret)
	_, err = one.Bearer(t.Context(), token.Access)
	require.ErrorIs(t, err, credential.ErrToken)
	require.Eventually(t, func() bool {
		_, err := two.Authenticate(t.Context(), "page", secret)
		_, err2 := two.Bearer(t.Context(), token.Access)
		return err != nil && err2 != nil
	}, waitLong, tick)
	require.ErrorIs(t, one.RevokeCredential(t.Context(), "shop", "page"), verification.ErrNotFound)
	_, err = one.Issue(t.Context(), cred)
	require.ErrorIs(t, err, credential.ErrWrong)

	again, fresh := client(t, two, "page", "bank", credential.ReadUsers)
	require.Equal(t, again, right(t, two, "page", fresh))
	wrong(t, two, "page", secret)
	for _, c := range []*store.Credentials{one, two} {
		_, err = c.Bearer(t.Context(), token.Access)
		require.ErrorIs(t, err, credential.ErrToken, "the old token is not the new client's")
	}
}

func TestARecordOfBeforeThereWereAccountsStillWorks(t *testing.T) {
	t.Parallel()
	h := build(t)
	h.credentials() // makes the bucket
	kv, err := h.js().KeyValue(t.Context(), "ASSENT_CREDENTIALS")
	require.NoError(t, err)
	_, err = kv.PutString(t.Context(), "shop", `{"version":1,"client_id":"shop","secret_hash":"K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=","created_at":"2026-01-02T03:04:05Z"}`)
	require.NoError(t, err)
	got := right(t, h.credentials(), "shop", "secret")
	require.Equal(t, credential.Credential{
		ClientID: "shop", Account: "shop", Scope: credential.ManageAll, Compat: credential.CompatDefault,
		CreatedAt: time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC),
	}, got)
}

func TestSomebodyWhoGuessesDoesNotHammerTheBroker(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	cred, secret := client(t, c, "page", "shop", credential.ReadUsers)
	nc, err := h.server.Connect()
	require.NoError(t, err)
	t.Cleanup(nc.Close)
	reads, err := nc.SubscribeSync("$JS.API.DIRECT.GET.KV_ASSENT_CREDENTIALS.>")
	require.NoError(t, err)
	require.NoError(t, nc.Flush())
	began := time.Now()
	for i := range 1000 {
		wrong(t, c, fmt.Sprintf("nobody-%d", i%500), "x")
		wrong(t, c, "page", fmt.Sprintf("guess-%d", i))
		right(t, c, cred.ClientID, secret)
	}
	require.NoError(t, nc.Flush())
	seconds := int(time.Since(began)/time.Second) + 1
	count, _, err := reads.Pending()
	require.NoError(t, err)
	require.Positive(t, count)
	require.LessOrEqual(t, count, 100*seconds)
}

func TestTheSecretOfACredentialStandsNowhere(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	var secrets []string
	for i := range 20 {
		cred, secret := client(t, c, fmt.Sprintf("recognisable-%d", i), "shop", credential.ManageAll)
		token, err := c.Issue(t.Context(), cred)
		require.NoError(t, err)
		secrets = append(secrets, secret, token.Access, token.Refresh)
	}
	require.NoError(t, c.Ensure(t.Context(), "dev", "a-chosen-secret"))
	secrets = append(secrets, "a-chosen-secret")
	c.Close()
	h.server.Shutdown() // everything is on the disk now
	found := false
	require.NoError(t, filepath.WalkDir(h.dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		found = found || strings.Contains(string(b), `"client_id":"recognisable-0"`)
		for _, secret := range secrets {
			require.NotContains(t, string(b), secret, path)
		}
		return err
	}))
	require.True(t, found, "the records themselves were searched")
}

// record reads an entry of a bucket.
func record(t *testing.T, js jetstream.JetStream, bucket, key string, into any) {
	t.Helper()
	kv, err := js.KeyValue(t.Context(), bucket)
	require.NoError(t, err)
	e, err := kv.Get(t.Context(), key)
	require.NoError(t, err)
	require.NoError(t, json.Unmarshal(e.Value(), into))
}
