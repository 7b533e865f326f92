package store_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

func users(t *testing.T, h *house) *store.Users {
	t.Helper()
	u, err := store.NewUsers(t.Context(), h.js(), h.keys, 1)
	require.NoError(t, err)
	return u
}

func user(external string) device.User {
	return device.User{ID: uuid.Must(uuid.NewV7()).String(), Credential: "shop", ExternalID: external, Name: "Ana"}
}

func TestUsersBelongToTheirClientAndExternalIDsAreTheirs(t *testing.T) {
	h := build(t)
	u := users(t, h)
	ana := user("ana@shop")
	require.NoError(t, u.CreateUser(t.Context(), ana))
	require.ErrorIs(t, u.CreateUser(t.Context(), user("ana@shop")), device.ErrExists)
	elsewhere := user("ana@shop")
	elsewhere.Credential = "bank"
	require.NoError(t, u.CreateUser(t.Context(), elsewhere))

	got, err := u.User(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Equal(t, ana.ExternalID, got.ExternalID)
	_, err = u.User(t.Context(), "bank", ana.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = u.User(t.Context(), "shop", "*")
	require.ErrorIs(t, err, verification.ErrNotFound)

	require.NoError(t, u.DeleteUser(t.Context(), "shop", ana.ID))
	require.ErrorIs(t, u.DeleteUser(t.Context(), "shop", ana.ID), verification.ErrNotFound)
	require.NoError(t, u.CreateUser(t.Context(), user("ana@shop")), "the external id is free again")
}

func TestPagesOfUsersAreNewestFirstAndComplete(t *testing.T) {
	h := build(t)
	u := users(t, h)
	var made []string
	for range 7 {
		x := user("")
		require.NoError(t, u.CreateUser(t.Context(), x))
		made = append([]string{x.ID}, made...)
	}
	var got []string
	for after := ""; ; {
		page, next, err := u.Users(t.Context(), "shop", after, 3)
		require.NoError(t, err)
		for _, x := range page {
			got = append(got, x.ID)
		}
		if next == "" {
			break
		}
		after = next
	}
	require.Equal(t, made, got)
}

func TestDevicesComeBackWholeAndStandSealed(t *testing.T) {
	h := build(t)
	u := users(t, h)
	ana := user("")
	require.NoError(t, u.CreateUser(t.Context(), ana))
	d := device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: ana.ID, Credential: "shop", Kind: device.Push, Name: "Phone",
		Address: "a-very-recognisable-push-token", Platform: device.APNs, PublicKey: []byte{1, 2},
	}
	require.NoError(t, u.CreateDevice(t.Context(), d))
	got, err := u.Device(t.Context(), "shop", d.ID)
	require.NoError(t, err)
	require.Equal(t, d, got)
	_, err = u.Device(t.Context(), "bank", d.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)

	orphan := d
	orphan.ID, orphan.UserID = uuid.NewString(), uuid.NewString()
	require.ErrorIs(t, u.CreateDevice(t.Context(), orphan), verification.ErrNotFound)

	list, err := u.Devices(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Len(t, list, 1)
	require.NoError(t, u.DeleteUser(t.Context(), "shop", ana.ID))
	_, err = u.Device(t.Context(), "shop", d.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
}

func TestCredentialsAreCheckedInMemoryAndKnownToEveryProcess(t *testing.T) {
	h := build(t)
	one, err := store.NewCredentials(t.Context(), h.js(), 1)
	require.NoError(t, err)
	t.Cleanup(one.Close)
	require.NoError(t, one.Ensure(t.Context(), "dev", "a-recognisable-secret"))
	require.NoError(t, one.Authenticate(t.Context(), "dev", "a-recognisable-secret"))
	for _, c := range [][2]string{{"dev", "wrong"}, {"dev", ""}, {"other", "a-recognisable-secret"}, {"", ""}} {
		require.ErrorIs(t, one.Authenticate(t.Context(), c[0], c[1]), store.ErrCredential)
	}
	two, err := store.NewCredentials(t.Context(), h.js(), 1)
	require.NoError(t, err)
	t.Cleanup(two.Close)
	require.NoError(t, two.Authenticate(t.Context(), "dev", "a-recognisable-secret"))
	require.NoError(t, one.Ensure(t.Context(), "dev", "rotated"))
	require.Eventually(t, func() bool { return two.Authenticate(t.Context(), "dev", "rotated") == nil }, waitLong, tick)
	require.ErrorIs(t, two.Authenticate(t.Context(), "dev", "a-recognisable-secret"), store.ErrCredential)
	require.Error(t, one.Ensure(t.Context(), "a.b", "x"))
}

func TestNothingSecretStandsInTheFiles(t *testing.T) {
	h := build(t)
	dir := h.dir
	s, u := h.store(), users(t, h)
	var secrets []string
	for _, c := range []verification.Challenge{verification.CodeChallenge, verification.LinkChallenge} {
		for range 20 {
			a := h.activation(func(p *verification.Params) {
				p.Challenge = c
				if c == verification.CodeChallenge {
					p.CodeLength = verification.MaxCodeLength
				}
			})
			create(t, s, a)
			secrets = append(secrets, a.Secrets.Code.Reveal()+a.Secrets.Token.Reveal(), a.To)
		}
	}
	ana := user("")
	require.NoError(t, u.CreateUser(t.Context(), ana))
	require.NoError(t, u.CreateDevice(t.Context(), device.Device{
		ID: uuid.NewString(), UserID: ana.ID, Credential: "shop", Kind: device.Mailbox, Address: "ana.recognisable@example.com",
	}))
	secrets = append(secrets, "ana.recognisable")
	h.server.Shutdown() // everything is on the disk now
	found := 0
	require.NoError(t, filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if strings.Contains(string(b), "assent.activation.sms.") {
			found++
		}
		for _, secret := range secrets {
			require.NotContains(t, string(b), secret, path)
		}
		return err
	}))
	require.Positive(t, found, "the records themselves were searched")
}
