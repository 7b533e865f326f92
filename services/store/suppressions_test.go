package store_test

import (
	"bytes"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/suppression"
	"github.com/assent-io/assent/services/verification"
)

const exporter = "operator"

func (h *house) suppressions() *store.Suppressions {
	h.t.Helper()
	s, err := store.NewSuppressions(h.t.Context(), h.js(), store.SuppressionsConfig{Keys: h.keys, Operator: exporter, Now: h.clock.now})
	require.NoError(h.t, err)
	return s
}

// asking is an activation, as change leaves it.
func (h *house) asking(change func(*verification.Activation)) verification.Activation {
	a := h.activation()
	change(&a)
	return a
}

// list is what another process follows.
func (h *house) list() *stream.SuppressionList {
	h.t.Helper()
	l, err := stream.FollowSuppressions(h.t.Context(), h.js())
	require.NoError(h.t, err)
	h.t.Cleanup(l.Close)
	return l
}

func stopped() suppression.Entry {
	return suppression.Entry{Channel: suppression.SMS, To: number, Covers: suppression.All, Cause: suppression.Stop, Provider: "twilio"}
}

func byHand(to string) suppression.Entry {
	return suppression.Entry{
		Channel: suppression.Email, To: to, Scope: suppression.Account, Account: "shop", Covers: suppression.All, Cause: suppression.Manual,
		Note: "asked on the phone",
	}
}

func TestAnAppThatRegistersAgainIsNotGone(t *testing.T) {
	t.Parallel()
	h := build(t)
	u, keep := users(t, h), h.suppressions()
	ana := stored(t, u, user(""))
	var d device.Device
	app(&d)
	token := d.Address
	on := func() int {
		page, _, err := keep.Suppressions(t.Context(), "shop", suppression.Filter{To: token, Channel: suppression.Push, Limit: 10})
		require.NoError(t, err)
		return len(page)
	}
	gone := suppression.Entry{Channel: suppression.Push, To: token, Covers: suppression.All, Cause: suppression.DeviceGone, Provider: "apns"}
	for name, register := range map[string]func(){
		"registered": func() { registered(t, u, ana, app) },
		"proved": func() {
			pending := registered(t, u, ana, app, h.pendingFor(time.Hour))
			require.Equal(t, 1, on(), "not yet proved")
			_, err := u.ActivateDevice(t.Context(), pending)
			require.NoError(t, err)
		},
	} {
		require.NoError(t, keep.Suppress(t.Context(), gone), name)
		require.Equal(t, 1, on(), name)
		registered(t, u, ana) // another device
		require.Equal(t, 1, on(), name)
		register()
		require.Zero(t, on(), name)
	}
	byHand := gone
	byHand.Cause = suppression.Manual
	require.NoError(t, keep.Suppress(t.Context(), byHand))
	registered(t, u, ana, app)
	require.Equal(t, 1, on(), "what people put on the list stays")
}

func TestATokenThatCannotComeOffTheListIsNotRegistered(t *testing.T) {
	t.Parallel()
	h := build(t)
	u := users(t, h)
	ana := stored(t, u, user(""))
	require.NoError(t, h.js().DeleteStream(t.Context(), stream.Suppressions))
	d := device.Device{ID: uuid.Must(uuid.NewV7()).String(), UserID: ana.ID, Credential: ana.Credential, Name: "Phone"}
	app(&d)
	_, err := u.CreateDevice(t.Context(), d)
	require.Error(t, err)
	devices, err := u.Devices(t.Context(), ana.Credential, ana.ID)
	require.NoError(t, err)
	require.Empty(t, devices, "the client tries again, and has one then")
}

func TestNothingIsCreatedForWhoIsOnTheList(t *testing.T) {
	h := build(t)
	list, keep := h.list(), h.suppressions()
	var told []string
	s := h.store(func(c *store.Config) {
		c.Suppressions, c.Suppressed = list, func(channel string) { told = append(told, channel) }
	})
	_, _, err := s.Create(t.Context(), h.asking(func(a *verification.Activation) { a.To = number }))
	require.NoError(t, err)

	require.NoError(t, keep.Suppress(t.Context(), stopped()))
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	_, _, err = s.Create(t.Context(), h.asking(func(a *verification.Activation) { a.To = number }))
	var refused *suppression.RefusedError
	require.ErrorAs(t, err, &refused)
	require.Len(t, refused.Places, 1)
	require.Zero(t, refused.Places[0].Step)
	require.Equal(t, suppression.Stop, refused.Places[0].Entry.Cause)
	require.Equal(t, suppression.Everybody, refused.Places[0].Entry.Scope)
	require.NotContains(t, err.Error(), number[4:])
	require.Equal(t, []string{"sms"}, told)

	removed, err := keep.Resume(t.Context(), suppression.SMS, number)
	require.NoError(t, err)
	require.True(t, removed)
	_, _, err = s.Create(t.Context(), h.asking(func(a *verification.Activation) { a.To = number }))
	require.NoError(t, err, "a removal counts at once")
}

func TestABackupWhoseAddressWantsNoMessagesIsLeftOut(t *testing.T) {
	h := build(t)
	list, keep := h.list(), h.suppressions()
	s := h.store(func(c *store.Config) { c.Suppressions = list })
	require.NoError(t, keep.Suppress(t.Context(), stopped()))
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	steps := func(a *verification.Activation) {
		a.To = "+14155550199"
		a.Verification.Fallback = []verification.Step{
			{Channel: verification.Voice, After: 20 * time.Second}, {Channel: verification.SMS, After: 20 * time.Second, ToMasked: "+1••••••0177"},
		}
		a.Roads = []verification.Road{{To: number}, {To: "+14155550177"}}
	}
	_, _, err := s.Create(t.Context(), h.asking(steps))
	var refused *suppression.RefusedError
	require.ErrorAs(t, err, &refused, "a step that the client named is refused")
	require.Equal(t, 1, refused.Places[0].Step)

	v, _, err := s.Create(t.Context(), h.asking(func(a *verification.Activation) { steps(a); a.Backups = true }))
	require.NoError(t, err)
	require.Len(t, v.Fallback, 1)
	require.Equal(t, "+1••••••0177", v.Fallback[0].ToMasked)
	_, _, err = s.Create(t.Context(), h.asking(func(a *verification.Activation) {
		steps(a)
		a.To, a.Backups = number, true
	}))
	require.ErrorAs(t, err, &refused, "the device that is asked first is not left out")
	require.Zero(t, refused.Places[0].Step)
}

func TestWhatWasCreatedBeforeIsRepeatedUnderItsKey(t *testing.T) {
	h := build(t)
	list, keep := h.list(), h.suppressions()
	s := h.store(func(c *store.Config) { c.Suppressions = list })
	once := h.asking(func(a *verification.Activation) {
		a.To, a.IdempotencyKey, a.Body = number, "key", []byte("body")
		a.Verification.ID = s.IDFor("shop", "key")
	})
	_, replayed, err := s.Create(t.Context(), once)
	require.NoError(t, err)
	require.False(t, replayed)
	require.NoError(t, keep.Suppress(t.Context(), stopped()))
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	_, replayed, err = s.Create(t.Context(), once)
	require.NoError(t, err)
	require.True(t, replayed)
	_, err = s.Resend(t.Context(), once.Verification.ID)
	require.ErrorAs(t, err, new(*suppression.RefusedError), "but not sent again")
}

func TestTheFirstReportStays(t *testing.T) {
	h := build(t)
	s := h.suppressions()
	first, added, err := s.AddSuppression(t.Context(), byHand("Ana@example.com"))
	require.NoError(t, err)
	require.True(t, added)
	require.Equal(t, "asked on the phone", first.Note)
	h.clock.forward(time.Hour)
	again := byHand("ana@example.com") // the same mailbox
	again.Note = "another"
	stands, added, err := s.AddSuppression(t.Context(), again)
	require.NoError(t, err)
	require.False(t, added)
	require.Equal(t, first.ID, stands.ID)
	require.Equal(t, first.At, stands.At)
	require.Equal(t, "asked on the phone", stands.Note)
	require.Empty(t, stands.To)
	require.Equal(t, "A•••@example.com", stands.ToMasked)
}

func TestAccountsSeeTheirOwnAndEverybodys(t *testing.T) {
	h := build(t)
	s := h.suppressions()
	own, _, err := s.AddSuppression(t.Context(), byHand("ana@example.com"))
	require.NoError(t, err)
	require.NoError(t, s.Suppress(t.Context(), stopped()))
	one := byHand("bo@example.com")
	one.Scope, one.ClientID = suppression.OneCredential, "shop-web"
	credentials, _, err := s.AddSuppression(t.Context(), one)
	require.NoError(t, err)

	page, next, err := s.Suppressions(t.Context(), "shop", suppression.Filter{Limit: 10})
	require.NoError(t, err)
	require.Zero(t, next)
	require.Equal(t, []suppression.Scope{suppression.OneCredential, suppression.Everybody, suppression.Account}, scopes(page), "newest first")
	for _, e := range page {
		require.Empty(t, e.To)
	}
	page, _, err = s.Suppressions(t.Context(), "other", suppression.Filter{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []suppression.Scope{suppression.Everybody}, scopes(page))
	everybodys := page[0].ID

	for _, id := range []string{own.ID, credentials.ID, "nonsense", "*.e", everybodys + "x"} {
		_, err := s.Suppression(t.Context(), "other", id)
		require.ErrorIs(t, err, verification.ErrNotFound, id)
		require.ErrorIs(t, s.RemoveSuppression(t.Context(), "other", id), verification.ErrNotFound, id)
	}
	_, err = s.Suppression(t.Context(), "shop", own.ID)
	require.NoError(t, err)
	for _, account := range []string{"other", "shop", ""} {
		require.ErrorIs(t, s.RemoveSuppression(t.Context(), account, everybodys), suppression.ErrOperators, account)
	}
	require.NoError(t, s.RemoveSuppression(t.Context(), exporter, everybodys))
	require.ErrorIs(t, s.RemoveSuppression(t.Context(), "shop", everybodys), verification.ErrNotFound)
	require.NoError(t, s.RemoveSuppression(t.Context(), "shop", own.ID))
	page, _, err = s.Suppressions(t.Context(), "shop", suppression.Filter{Limit: 10})
	require.NoError(t, err)
	require.Equal(t, []suppression.Scope{suppression.OneCredential}, scopes(page))
}

// TestAnEntryOfACredentialStaysWithItsAccount has two accounts with a credential of one name, one after the other.
func TestAnEntryOfACredentialStaysWithItsAccount(t *testing.T) {
	h := build(t)
	list, s := h.list(), h.suppressions()
	one := byHand("ana@example.com")
	one.Scope, one.ClientID = suppression.OneCredential, "web"
	first, added, err := s.AddSuppression(t.Context(), one)
	require.NoError(t, err)
	require.True(t, added)
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	d, _, ok := suppression.ParseID(first.ID)
	require.True(t, ok)
	for account, want := range map[string]bool{"shop": true, "other": false} {
		_, suppressed, err := list.Suppressed(t.Context(), account, "web", d, events.LaneBulk)
		require.NoError(t, err)
		require.Equal(t, want, suppressed, account)
	}
	one.Account, one.Note = "other", "another's"
	second, added, err := s.AddSuppression(t.Context(), one)
	require.NoError(t, err)
	require.True(t, added)
	require.Equal(t, "another's", second.Note)
	require.NoError(t, s.RemoveSuppression(t.Context(), "other", second.ID))
	_, err = s.Suppression(t.Context(), "shop", first.ID)
	require.NoError(t, err)
}

func scopes(page []suppression.Entry) []suppression.Scope {
	var all []suppression.Scope
	for _, e := range page {
		all = append(all, e.Scope)
	}
	return all
}

func TestPagesHoldAllThatFitsOnce(t *testing.T) {
	h := build(t)
	s := h.suppressions()
	var entries []suppression.Entry
	for n := range 600 {
		e := byHand(fmt.Sprintf("ana%d@example.com", n))
		if n%3 == 0 {
			e.Cause = suppression.Imported
		}
		entries = append(entries, e)
	}
	added, err := s.ImportSuppressions(t.Context(), entries)
	require.NoError(t, err)
	require.Equal(t, 600, added)
	added, err = s.ImportSuppressions(t.Context(), entries)
	require.NoError(t, err)
	require.Zero(t, added)

	seen, f := map[string]bool{}, suppression.Filter{Cause: suppression.Imported, Limit: 70}
	for {
		page, next, err := s.Suppressions(t.Context(), "shop", f)
		require.NoError(t, err)
		for _, e := range page {
			require.False(t, seen[e.ID])
			seen[e.ID] = true
		}
		if next == 0 {
			break
		}
		f.Before = next
	}
	require.Len(t, seen, 200)

	page, _, err := s.Suppressions(t.Context(), "shop", suppression.Filter{To: "ANA7@example.com", Channel: suppression.Email, Limit: 5})
	require.NoError(t, err)
	require.Len(t, page, 1)
	require.Equal(t, "a•••@example.com", page[0].ToMasked)

	exported := map[string]bool{}
	for e, err := range s.ExportSuppressions(t.Context(), "shop") {
		require.NoError(t, err)
		exported[e.To] = true
	}
	require.Len(t, exported, 600)
	require.True(t, exported["ana599@example.com"])
}

func TestAllEntriesOfOneAddressAreInOnePage(t *testing.T) {
	t.Parallel()
	h := build(t)
	s := h.suppressions()
	var entries []suppression.Entry
	for n := range 300 {
		e := byHand("ana@example.com")
		e.Account = fmt.Sprintf("other-%d", n)
		entries = append(entries, e)
	}
	_, err := s.ImportSuppressions(t.Context(), entries)
	require.NoError(t, err)
	for _, client := range []string{"web", "app", ""} {
		e := byHand("ana@example.com")
		if e.ClientID = client; client != "" {
			e.Scope = suppression.OneCredential
		}
		_, _, err := s.AddSuppression(t.Context(), e)
		require.NoError(t, err)
	}
	page, next, err := s.Suppressions(t.Context(), "shop", suppression.Filter{To: "ana@example.com", Channel: suppression.Email, Limit: 1})
	require.NoError(t, err)
	require.Zero(t, next)
	require.Equal(t, []suppression.Scope{suppression.Account, suppression.OneCredential, suppression.OneCredential}, scopes(page), "newest first")
	require.Equal(t, "app", page[1].ClientID)
}

func TestOnlyTheOperatorExportsEverybodys(t *testing.T) {
	h := build(t)
	s := h.suppressions()
	require.NoError(t, s.Suppress(t.Context(), stopped()))
	count := func(account string) (n int) {
		for e, err := range s.ExportSuppressions(t.Context(), account) {
			require.NoError(t, err)
			require.Equal(t, number, e.To)
			n++
		}
		return n
	}
	require.Equal(t, 1, count(exporter))
	require.Zero(t, count("shop"))
}

func TestTheListHoldsNoAddressInClear(t *testing.T) {
	h := build(t)
	s := h.suppressions()
	require.NoError(t, s.Suppress(t.Context(), stopped()))
	_, _, err := s.AddSuppression(t.Context(), byHand("ana.secret@example.com"))
	require.NoError(t, err)
	r, err := stream.NewReader(t.Context(), h.js(), stream.Suppressions)
	require.NoError(t, err)
	records, err := r.All(t.Context(), events.SuppressionSubjects)
	require.NoError(t, err)
	require.Len(t, records, 2)
	for _, rec := range records {
		for _, secret := range []string{number[1:], "14155550", "ana.secret", "on the phone"} {
			require.NotContains(t, rec.Subject, secret)
			require.False(t, bytes.Contains(rec.Data, []byte(secret)), "%s: %s", secret, rec.Data)
		}
	}
}

func TestAStepIsSkippedWhoseAddressWantsNoMoreMessages(t *testing.T) {
	h := build(t)
	list, keep := h.list(), h.suppressions()
	s := h.store(func(c *store.Config) { c.Suppressions = list })
	const mailbox = "ana@example.com"
	a := h.asking(func(a *verification.Activation) {
		a.To = number
		a.Verification.Fallback = []verification.Step{{Channel: verification.Email, After: 30 * time.Second, ToMasked: "a•••@example.com"}}
		a.Roads = []verification.Road{{To: mailbox}}
	})
	v, _, err := s.Create(t.Context(), a)
	require.NoError(t, err)
	bounced := suppression.Entry{Channel: suppression.Email, To: mailbox, Covers: suppression.All, Cause: suppression.Bounce}
	require.NoError(t, keep.Suppress(t.Context(), bounced))
	require.Eventually(t, func() bool { return list.Len() == 1 }, waitLong, tick)
	h.clock.forward(31 * time.Second)
	_, err = s.Timed(t.Context(), v.ID, 1)
	require.NoError(t, err)
	steps, err := s.Deliveries(t.Context(), v.ID)
	require.NoError(t, err)
	require.Len(t, steps, 1)
	require.Equal(t, events.DeliveryFailed, steps[0].Status)
	require.Equal(t, events.ReasonSuppressed, steps[0].Reason)

	_, _, err = s.Create(t.Context(), h.asking(func(a *verification.Activation) {
		a.To = number
		a.Verification.Fallback = []verification.Step{{Channel: verification.Email, After: 30 * time.Second}}
		a.Roads = []verification.Road{{To: mailbox}}
	}))
	var refused *suppression.RefusedError
	require.True(t, errors.As(err, &refused))
	require.Equal(t, 1, refused.Places[0].Step)
	require.False(t, strings.Contains(err.Error(), mailbox))
}

// exports is what an export has, by address, and how many entries it could not open.
func exports(t *testing.T, s *store.Suppressions, account string) (all map[string]suppression.Entry, sealed int) {
	t.Helper()
	all = map[string]suppression.Entry{}
	for e, err := range s.ExportSuppressions(t.Context(), account) {
		if errors.Is(err, suppression.ErrSealed) {
			sealed++
			continue
		}
		require.NoError(t, err)
		e.ID = ""
		all[e.To] = e
	}
	return all, sealed
}

func TestTheListOutlivesTheRootKey(t *testing.T) {
	t.Parallel()
	h := build(t)
	older, newer := rotated(t)
	h.keys = older
	s := h.suppressions()
	require.NoError(t, s.Suppress(t.Context(), stopped()))
	_, _, err := s.AddSuppression(t.Context(), byHand("Ana@example.com"))
	require.NoError(t, err)
	many := make([]suppression.Entry, 400)
	for i := range many {
		many[i] = byHand(fmt.Sprintf("ana%d@example.com", i))
	}
	_, err = s.ImportSuppressions(t.Context(), many)
	require.NoError(t, err)
	everybodys, _ := exports(t, s, exporter)
	own, _ := exports(t, s, "shop")
	require.Len(t, own, 401)
	none, _, err := s.Rehash(t.Context())
	require.NoError(t, err)
	require.Zero(t, none, "there is one key")

	h.keys = newer
	var moved atomic.Int64
	var wg sync.WaitGroup
	for range 3 { // api processes that start together
		s := h.suppressions()
		wg.Go(func() {
			n, sealed, err := s.Rehash(t.Context())
			moved.Add(int64(n))
			if err != nil || sealed > 0 {
				t.Error(err, sealed)
			}
		})
	}
	wg.Wait()
	require.EqualValues(t, 402, moved.Load(), "each once")
	s = h.suppressions()
	again, _, err := s.Rehash(t.Context())
	require.NoError(t, err)
	require.Zero(t, again)
	for account, want := range map[string]map[string]suppression.Entry{exporter: everybodys, "shop": own} {
		got, sealed := exports(t, s, account)
		require.Zero(t, sealed)
		require.Equal(t, want, got)
	}
	list := h.list()
	require.Equal(t, 402, list.Len())
	_, _, err = h.store(func(c *store.Config) { c.Suppressions = list }).Create(t.Context(), h.asking(func(a *verification.Activation) { a.To = number }))
	require.ErrorAs(t, err, new(*suppression.RefusedError))
	page, _, err := s.Suppressions(t.Context(), "shop", suppression.Filter{To: "ana@example.com", Channel: suppression.Email, Limit: 5})
	require.NoError(t, err)
	require.Equal(t, "asked on the phone", page[0].Note)
	removed, err := s.Resume(t.Context(), suppression.SMS, number)
	require.NoError(t, err)
	require.True(t, removed, "a START takes back the STOP of before")
}

func TestAnExportGoesOnBehindWhatNoKeyOpens(t *testing.T) {
	t.Parallel()
	h := build(t)
	_, _, err := h.suppressions().AddSuppression(t.Context(), byHand("ana@example.com"))
	require.NoError(t, err)
	h.keys, err = keyring.LoadOrCreate(filepath.Join(t.TempDir(), "another.json"))
	require.NoError(t, err)
	s := h.suppressions()
	_, _, err = s.AddSuppression(t.Context(), byHand("bo@example.com"))
	require.NoError(t, err)
	all, sealed := exports(t, s, "shop")
	require.Equal(t, 1, sealed)
	require.Len(t, all, 1)
	require.Contains(t, all, "bo@example.com")
}
