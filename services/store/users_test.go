package store_test

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

func users(t *testing.T, h *house) *store.Users {
	t.Helper()
	u, err := store.NewUsers(t.Context(), h.js(), store.UsersConfig{Keys: h.keys, Guesses: guesses(t, h), Now: h.clock.now})
	require.NoError(t, err)
	return u
}

// stored makes a user whom nothing stops from being made.
func stored(t *testing.T, u *store.Users, user device.User) device.User {
	t.Helper()
	user, err := u.CreateUser(t.Context(), user)
	require.NoError(t, err)
	return user
}

func user(external string) device.User {
	return device.User{ID: uuid.Must(uuid.NewV7()).String(), Credential: "shop", ExternalID: external, Name: "Ana"}
}

func TestUsersBelongToTheirAccountAndExternalIDsAreTheirs(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user("ana@shop"))
	require.ErrorIs(t, taken(t, u, user("ana@shop")), device.ErrExists)
	elsewhere := user("ana@shop")
	elsewhere.Credential = "bank"
	stored(t, u, elsewhere)

	got, err := u.User(t.Context(), "shop", ana.ID)
	require.NoError(t, err)
	require.Equal(t, ana, got)
	for _, id := range []string{"*", ">", "", "x"} {
		_, err = u.User(t.Context(), "shop", id)
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
	_, err = u.User(t.Context(), "bank", ana.ID)
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, err = u.UserByNumber(t.Context(), "bank", ana.Number)
	require.ErrorIs(t, err, verification.ErrNotFound)

	require.NoError(t, u.DeleteUser(t.Context(), "shop", ana.ID))
	require.ErrorIs(t, u.DeleteUser(t.Context(), "shop", ana.ID), verification.ErrNotFound)
	_, err = u.UserByNumber(t.Context(), "shop", ana.Number)
	require.ErrorIs(t, err, verification.ErrNotFound)
	stored(t, u, user("ana@shop")) // the external id is free again
}

// person is a user with all that a user can have, under names of their own.
func person(login string) device.User {
	u := user("external-" + login)
	at := time.Now().UTC()
	u.Username, u.Email, u.Phone = login, login+"@example.com", "+14155550123"
	u.GivenName, u.FamilyName, u.Password = "Recognisable", "Surname", "$argon2id$recognisable-hash"
	u.Attributes = map[string]string{"title": `"recognisable title"`}
	u.CreatedAt, u.UpdatedAt, u.PasswordChangedAt, u.LastLogin = at, at, at, at
	return u
}

func TestAUserComesBackWhole(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := person("Ana.Lima")
	ana.Locked, ana.PreferredChannel = true, "email"
	ana = stored(t, u, ana)
	require.Positive(t, ana.Number)
	require.NotZero(t, ana.Revision)

	for _, read := range []func() (device.User, error){
		func() (device.User, error) { return u.User(t.Context(), "shop", ana.ID) },
		func() (device.User, error) { return u.UserByNumber(t.Context(), "shop", ana.Number) },
		func() (device.User, error) { return u.UserByLogin(t.Context(), "shop", "ana.lima") },
		func() (device.User, error) { return u.UserByLogin(t.Context(), "shop", "ANA.LIMA@EXAMPLE.COM") },
	} {
		got, err := read()
		require.NoError(t, err)
		require.Equal(t, ana, got)
	}
	for _, login := range []string{"", "ana", "ana.lima@example.org", "external-Ana.Lima"} {
		_, err := u.UserByLogin(t.Context(), "shop", login)
		require.ErrorIs(t, err, verification.ErrNotFound, login)
	}
	_, err := u.UserByLogin(t.Context(), "bank", "ana.lima")
	require.ErrorIs(t, err, verification.ErrNotFound)
	for _, number := range []int64{0, -1, 1, ana.Number + 1} {
		_, err := u.UserByNumber(t.Context(), "shop", number)
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
}

func TestPagesOfUsersAreNewestFirstAndComplete(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	var made []string
	for range 7 {
		made = append(made, stored(t, u, user("")).ID)
	}
	elsewhere := user("")
	elsewhere.Credential = "bank"
	stored(t, u, elsewhere)
	all, err := u.AllUsers(t.Context(), "shop")
	require.NoError(t, err)
	require.Equal(t, made, ids(all), "oldest first")
	var got []string
	for after := ""; ; {
		page, next, err := u.Users(t.Context(), "shop", after, 3)
		require.NoError(t, err)
		got = append(got, ids(page)...)
		if next == "" {
			break
		}
		after = next
	}
	slices.Reverse(made)
	require.Equal(t, made, got)

	require.NoError(t, u.DeleteUser(t.Context(), "shop", made[0]))
	all, err = u.AllUsers(t.Context(), "shop")
	require.NoError(t, err)
	require.Len(t, all, 6)
	all, err = u.AllUsers(t.Context(), "nobody")
	require.NoError(t, err)
	require.Empty(t, all)
}

func ids(users []device.User) []string {
	var ids []string
	for _, u := range users {
		ids = append(ids, u.ID)
	}
	return ids
}

func TestNumbersAreUniqueAcrossProcesses(t *testing.T) {
	t.Parallel()
	h := build(t)
	var mu sync.Mutex
	seen := map[int64]bool{}
	var wg sync.WaitGroup
	for range 4 {
		u := users(t, h)
		for range 8 {
			wg.Go(func() {
				made, err := u.CreateUser(t.Context(), user(""))
				mu.Lock()
				defer mu.Unlock()
				if err != nil || seen[made.Number] || made.Number <= 10_000_000 || made.Number > math.MaxInt32 {
					t.Errorf("number %d: %v", made.Number, err)
				}
				seen[made.Number] = true
			})
		}
	}
	wg.Wait()
	require.Len(t, seen, 32)
}

func TestANumberThatStandsForSomebodyIsNotGivenAgain(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana, bob := stored(t, u, user("")), stored(t, u, user(""))
	// The counter is lost, and begins again.
	require.NoError(t, h.js().DeleteStream(t.Context(), stream.Numbers))
	require.NoError(t, stream.Ensure(t.Context(), h.js(), stream.Topology{}))
	carl := stored(t, u, user(""))
	require.NotContains(t, []int64{ana.Number, bob.Number}, carl.Number)
}

func TestRecordsOfTheTimeBeforeNumbersAreReadAndGetOne(t *testing.T) {
	t.Parallel()
	h := build(t)
	ctx, id, deviceID := t.Context(), uuid.Must(uuid.NewV7()).String(), uuid.Must(uuid.NewV7()).String()
	for _, bucket := range []string{"ASSENT_USERS", "ASSENT_DEVICES"} { // as they were made
		_, err := h.js().CreateKeyValue(ctx, jetstream.KeyValueConfig{Bucket: bucket, History: 1, Replicas: 1})
		require.NoError(t, err)
	}
	put := func(bucket, key, value string) {
		kv, err := h.js().KeyValue(ctx, bucket)
		require.NoError(t, err)
		_, err = kv.Put(ctx, key, []byte(value))
		require.NoError(t, err)
	}
	sealed, err := h.keys.Seal(keyring.Records, deviceID, []byte("a-push-token"))
	require.NoError(t, err)
	address, err := json.Marshal(sealed)
	require.NoError(t, err)
	sum, err := h.keys.Sum(h.keys.CurrentID(), keyring.Records, "external", "shop", "ana-1")
	require.NoError(t, err)
	put("ASSENT_USERS", "user.shop."+id, `{"version":1,"id":"`+id+`","external_id":"ana-1","name":"Ana","created_at":"2026-11-21T10:04:31Z"}`)
	put("ASSENT_USERS", fmt.Sprintf("external.shop.%x", sum), id)
	put("ASSENT_DEVICES", "of.shop."+id+"."+deviceID, "")
	put("ASSENT_DEVICES", "device.shop."+deviceID, `{"version":1,"id":"`+deviceID+`","user_id":"`+id+`","kind":"push",`+
		`"address":`+string(address)+`,"platform":"fcm","public_key":"AQI=","created_at":"2026-11-21T10:04:31Z"}`)

	u := users(t, h)
	all, err := u.AllUsers(ctx, "shop")
	require.NoError(t, err)
	require.Len(t, all, 1)
	require.Equal(t, "ana-1", all[0].ExternalID)
	require.Equal(t, "Ana", all[0].Name)
	got, err := u.UserByNumber(ctx, "shop", all[0].Number)
	require.NoError(t, err)
	require.Equal(t, all[0], got)
	require.Equal(t, "external_id", taken(t, u, user("ana-1")).Field)

	devices, err := u.Devices(ctx, "shop", id)
	require.NoError(t, err)
	require.Len(t, devices, 1)
	require.Equal(t, "a-push-token", devices[0].Address)
	byNumber, err := u.DeviceByNumber(ctx, "shop", devices[0].Number)
	require.NoError(t, err)
	require.Equal(t, devices[0], byNumber)
	byID, err := u.DeviceByID(ctx, deviceID)
	require.NoError(t, err)
	require.Equal(t, devices[0], byID)
	require.NoError(t, u.DeleteUser(ctx, "shop", id))
	stored(t, u, user("ana-1"))
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
	ana := stored(t, u, person("Ana.Recognisable"))
	ana.Username = "Lima.Recognisable"
	_, err := u.UpdateUser(t.Context(), ana)
	require.NoError(t, err)
	_, err = u.CreateDevice(t.Context(), device.Device{
		ID: uuid.NewString(), UserID: ana.ID, Credential: "shop", Kind: device.Mailbox, Address: "mail.recognisable@example.com",
		Secret: []byte("recognisable-secret-"),
	})
	require.NoError(t, err)
	require.NoError(t, tickets(t, h).Issue(t.Context(), "session", "name-recognisable", []byte("content-recognisable"), time.Hour))
	_, err = guesses(t, h).Guess(t.Context(), "login", "guess-recognisable")
	require.NoError(t, err)
	secrets = append(secrets, "ecognisable", "ECOGNISABLE", "recognisable-secret-", "Surname", "+14155550123",
		base64.StdEncoding.EncodeToString([]byte("recognisable-secret-")), base64.StdEncoding.EncodeToString([]byte("content-recognisable")))
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
