package store_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/store"
)

func issue(t *testing.T, c *store.Credentials, cred credential.Credential) credential.Token {
	t.Helper()
	token, err := c.Issue(t.Context(), cred)
	require.NoError(t, err)
	return token
}

func dead(t *testing.T, c *store.Credentials, token string) {
	t.Helper()
	_, err := c.Bearer(t.Context(), token)
	require.ErrorIs(t, err, credential.ErrToken)
}

func TestAClientHasOneTokenInAllProcesses(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.credentials(), h.credentials()
	cred, secret := client(t, one, "page", "shop", credential.ReadUsers)
	right(t, two, "page", secret)

	var wg sync.WaitGroup
	got := make(chan credential.Token, 16)
	for i := range 16 {
		wg.Go(func() {
			token, err := []*store.Credentials{one, two}[i%2].Issue(t.Context(), cred)
			if err != nil {
				t.Error(err)
			}
			got <- token
		})
	}
	wg.Wait()
	first := <-got
	for range 15 {
		require.Equal(t, first, <-got)
	}
	require.Equal(t, credential.TokenLife, first.ExpiresAt.Sub(first.CreatedAt))
	require.NotEqual(t, first.Access, first.Refresh)
	for _, c := range []*store.Credentials{one, two, h.credentials()} {
		owner, err := c.Bearer(t.Context(), first.Access)
		require.NoError(t, err)
		require.Equal(t, cred, owner)
		dead(t, c, first.Refresh)
	}
	longest, _ := client(t, one, strings.Repeat("x", 64), "shop", credential.ReadUsers)
	token := issue(t, one, longest)
	for _, text := range []string{token.Access, token.Refresh} {
		require.Regexp(t, `^[A-Za-z0-9._-]{1,299}$`, text)
	}
	other, _ := client(t, one, "other", "shop", credential.ReadUsers)
	require.NotEqual(t, first.Access, issue(t, one, other).Access)
}

func TestATokenEndsAndIsReplacedAMinuteBefore(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	cred, _ := client(t, c, "page", "shop", credential.ReadUsers)
	first := issue(t, c, cred)
	h.clock.forward(credential.TokenLife - 2*time.Minute)
	require.Equal(t, first, issue(t, c, cred))
	h.clock.forward(61 * time.Second)
	second := issue(t, c, cred)
	require.NotEqual(t, first.Access, second.Access)
	require.Equal(t, second, issue(t, c, cred))
	_, err := c.Bearer(t.Context(), first.Access)
	require.NoError(t, err, "it has its last minute")
	h.clock.forward(time.Minute)
	dead(t, c, first.Access)
	_, err = c.Bearer(t.Context(), second.Access)
	require.NoError(t, err)
}

func TestARevokedTokenIsDeadInEveryProcessAndTheNextIsAnother(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.credentials(), h.credentials()
	cred, secret := client(t, one, "page", "shop", credential.ReadUsers)
	right(t, two, "page", secret)
	first := issue(t, one, cred)
	require.NoError(t, one.RevokeToken(t.Context(), cred, first.Access))
	dead(t, one, first.Access)
	second := issue(t, two, cred)
	require.NotEqual(t, first.Access, second.Access, "the other process gives out no dead token")
	require.Eventually(t, func() bool {
		_, err := two.Bearer(t.Context(), first.Access)
		return err != nil
	}, waitLong, tick)
	dead(t, h.credentials(), first.Access)
	_, err := one.Refresh(t.Context(), cred, first.Access, first.Refresh)
	require.ErrorIs(t, err, credential.ErrToken, "the refresh token died with it")
	require.NoError(t, one.RevokeToken(t.Context(), cred, first.Access), "again, which changes nothing")
	require.Equal(t, second, issue(t, one, cred))
	_, err = one.Bearer(t.Context(), second.Access)
	require.NoError(t, err)
}

func TestWhatIsRevokedIsDeadInAProcessWhoseBrokerForgotItsWatch(t *testing.T) {
	t.Parallel()
	h := build(t)
	js := h.js()
	here, err := store.NewCredentials(t.Context(), js, store.CredentialsConfig{Keys: h.keys, Now: h.clock.now})
	require.NoError(t, err)
	t.Cleanup(here.Close)
	elsewhere := h.credentials()
	shop, _ := client(t, elsewhere, "shop-1", "shop", credential.ManageAll)
	token := issue(t, elsewhere, shop)
	_, err = here.Bearer(t.Context(), token.Access)
	require.NoError(t, err)

	// As when the broker is started again: watches do not survive it, connections come back.
	tokens, err := js.Stream(t.Context(), "KV_ASSENT_TOKENS")
	require.NoError(t, err)
	watches := tokens.ConsumerNames(t.Context())
	for name := range watches.Name() {
		require.NoError(t, tokens.DeleteConsumer(t.Context(), name))
	}
	require.NoError(t, watches.Err())
	require.NoError(t, elsewhere.RevokeToken(t.Context(), shop, token.Access))
	require.NoError(t, js.Conn().ForceReconnect())
	require.Eventually(t, func() bool {
		_, err := here.Bearer(t.Context(), token.Access)
		return errors.Is(err, credential.ErrToken)
	}, 5*time.Second, 10*time.Millisecond)
}

func TestATokenOfAnotherClientIsNotRevoked(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	cred, _ := client(t, c, "page", "shop", credential.ReadUsers)
	other, _ := client(t, c, "other", "shop", credential.ManageAll)
	token := issue(t, c, cred)
	for _, text := range []string{token.Access, token.Refresh, "", "x", "a.b.c.d"} {
		require.NoError(t, c.RevokeToken(t.Context(), other, text))
	}
	_, err := c.Bearer(t.Context(), token.Access)
	require.NoError(t, err)
}

func TestARefreshTakesTheOldTokenBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	cred, _ := client(t, c, "page", "shop", credential.ReadUsers)
	other, _ := client(t, c, "other", "shop", credential.ReadUsers)
	first := issue(t, c, cred)
	foreign := issue(t, c, other)
	for name, pair := range map[string][2]string{
		"swapped":           {first.Refresh, first.Access},
		"two access tokens": {first.Access, first.Access},
		"another's refresh": {first.Access, foreign.Refresh},
		"another's pair":    {foreign.Access, foreign.Refresh},
		"nothing":           {"", ""},
	} {
		_, err := c.Refresh(t.Context(), cred, pair[0], pair[1])
		require.ErrorIs(t, err, credential.ErrToken, name)
	}
	second, err := c.Refresh(t.Context(), cred, first.Access, first.Refresh)
	require.NoError(t, err)
	dead(t, c, first.Access)
	_, err = c.Refresh(t.Context(), cred, first.Access, first.Refresh)
	require.ErrorIs(t, err, credential.ErrToken)
	require.Equal(t, second, issue(t, c, cred))

	h.clock.forward(credential.TokenLife + time.Hour)
	third, err := c.Refresh(t.Context(), cred, second.Access, second.Refresh)
	require.NoError(t, err, "an access token that has ended can still be refreshed")
	h.clock.forward(2 * credential.TokenLife)
	_, err = c.Refresh(t.Context(), cred, third.Access, third.Refresh)
	require.ErrorIs(t, err, credential.ErrToken)
}

func TestTokensThatAreMadeUp(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	cred, _ := client(t, c, "page", "shop", credential.ReadUsers)
	other, _ := client(t, c, "other", "shop", credential.ManageAll)
	token, foreign := issue(t, c, cred).Access, issue(t, c, other).Access
	parts, foreignParts := strings.Split(token, "."), strings.Split(foreign, ".")
	with := func(i int, part string) string {
		p := append([]string{}, parts...)
		p[i] = part
		return strings.Join(p, ".")
	}
	for name, text := range map[string]string{
		"nothing": "", "dots": "...", "one part": parts[0], "another client": with(0, foreignParts[0]),
		"no client": with(0, ""), "a client that is none": with(0, "Kg"), "more life": with(1, parts[1]+"0"), "no end": with(1, ""),
		"another nonce": with(2, "AAAA"), "another's signature": with(3, foreignParts[3]), "no signature": with(3, ""),
		"another spelling of its end": with(1, "+"+parts[1]), "a leading zero": with(1, "0"+parts[1]),
		"padding": token + "=", "a fifth part": token + ".x", "long": token + strings.Repeat("A", 300), "a longer signature": token + "AAAA",
	} {
		_, err := c.Bearer(t.Context(), text)
		require.ErrorIs(t, err, credential.ErrToken, name)
	}
}

func TestAChangedSecretEndsOlderTokens(t *testing.T) {
	t.Parallel()
	h := build(t)
	one, two := h.credentials(), h.credentials()
	require.NoError(t, one.Ensure(t.Context(), "dev", "first"))
	cred := right(t, one, "dev", "first")
	old := issue(t, one, cred)
	_, err := two.Bearer(t.Context(), old.Access)
	require.NoError(t, err)
	require.NoError(t, one.Ensure(t.Context(), "dev", "second"))
	dead(t, one, old.Access)
	fresh := issue(t, one, cred)
	_, err = two.Bearer(t.Context(), fresh.Access)
	require.NoError(t, err, "known even before the watch brings the new secret")
	dead(t, two, old.Access)
	_, err = one.Refresh(t.Context(), cred, old.Access, old.Refresh)
	require.ErrorIs(t, err, credential.ErrToken)
}

func TestACredentialThatIsMadeAgainDoesNotBringItsOldTokensBack(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	client(t, c, "admin", "dev", credential.ManageAll) // so that dev is not the last
	require.NoError(t, c.Ensure(t.Context(), "dev", "secret"))
	old := issue(t, c, right(t, c, "dev", "secret"))
	require.NoError(t, c.RevokeCredential(t.Context(), "dev", "dev"))
	dead(t, c, old.Access)
	h.clock.forward(time.Hour)
	require.NoError(t, c.Ensure(t.Context(), "dev", "secret"))
	again := right(t, c, "dev", "secret")
	dead(t, c, old.Access)
	_, err := c.Refresh(t.Context(), again, old.Access, old.Refresh)
	require.ErrorIs(t, err, credential.ErrToken)
	fresh := issue(t, c, again)
	_, err = c.Bearer(t.Context(), fresh.Access)
	require.NoError(t, err)
}

func TestAWiderScopeTakesEffectOnTokensThatAreOut(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	cred, _ := client(t, c, "page", "shop", credential.ReadUsers)
	token := issue(t, c, cred)
	_, err := c.UpdateCredential(t.Context(), "shop", "page", func(c *credential.Credential) { c.Scope = credential.ManageUsers })
	require.NoError(t, err)
	got, err := c.Bearer(t.Context(), token.Access)
	require.NoError(t, err)
	require.Equal(t, credential.ManageUsers, got.Scope)
}

func TestTokenRecordsLeaveByThemselves(t *testing.T) {
	t.Parallel()
	h := build(t)
	c := h.credentials()
	cred, _ := client(t, c, "page", "shop", credential.ReadUsers)
	issue(t, c, cred)
	var current struct{ Nonce string }
	record(t, h.js(), "ASSENT_TOKENS", "current.page", &current)
	require.NotEmpty(t, current.Nonce)
	kv, err := h.js().KeyValue(t.Context(), "ASSENT_TOKENS")
	require.NoError(t, err)
	status, err := kv.Status(t.Context())
	require.NoError(t, err)
	require.Equal(t, 2*credential.TokenLife, status.TTL())
}
