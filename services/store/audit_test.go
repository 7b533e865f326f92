package store_test

import (
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/store"
)

func (h *house) audit() *store.Audit {
	h.t.Helper()
	a, err := store.NewAudit(h.t.Context(), h.js())
	require.NoError(h.t, err)
	return a
}

func TestAnAccountReadsItsOwnAuditLogPageByPageNewestFirst(t *testing.T) {
	h := build(t)
	log := h.audit()
	at := time.Date(2026, 11, 21, 10, 0, 0, 0, time.UTC)
	for i := range 7 {
		for _, account := range []string{"shop", "bank"} {
			require.NoError(t, log.Record(t.Context(), audit.Entry{
				Account: account, Actor: "login-page", Action: audit.CredentialUpdated, Subject: "c" + strconv.Itoa(i%2), UserID: "u" + strconv.Itoa(i%3),
				Reason: "because", Details: map[string]string{"i": strconv.Itoa(i)}, At: at.Add(time.Duration(i) * time.Second),
			}))
		}
	}
	var seen []string
	filter := audit.Filter{Limit: 3}
	for {
		page, next, err := log.Entries(t.Context(), "shop", filter)
		require.NoError(t, err)
		require.LessOrEqual(t, len(page), 3)
		for _, e := range page {
			require.Equal(t, "shop", e.Account)
			seen = append(seen, e.Details["i"])
		}
		if next == 0 {
			break
		}
		filter.Before = next
	}
	require.Equal(t, []string{"6", "5", "4", "3", "2", "1", "0"}, seen)

	page, _, err := log.Entries(t.Context(), "bank", audit.Filter{Limit: 100, Subject: "u2"})
	require.NoError(t, err)
	require.Len(t, page, 2, "a subject is also the user whom it is about")
	require.Equal(t, audit.Entry{
		ID: page[0].ID, Account: "bank", Actor: "login-page", Action: audit.CredentialUpdated, Subject: "c1", UserID: "u2",
		Reason: "because", Details: map[string]string{"i": "5"}, At: at.Add(5 * time.Second),
	}, page[0])
	page, _, err = log.Entries(t.Context(), "bank", audit.Filter{Limit: 100, Action: audit.NotMe})
	require.NoError(t, err)
	require.Empty(t, page)
}
