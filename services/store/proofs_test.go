package store_test

import (
	"encoding/json"
	"reflect"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

// content is what is sealed for one channel's worker.
func (h *house) content(c events.Channel, id string, sealed events.Sealed) string {
	h.t.Helper()
	plain, err := h.keys.Open(keyring.Channel(c), id, sealed)
	require.NoError(h.t, err)
	return string(plain)
}

func TestASaltGoesToPhonesThatApproveAndToNobodyElse(t *testing.T) {
	h := build(t)
	s := h.store()
	a := h.activation(func(p *verification.Params) {
		p.Channel, p.Challenge, p.DeviceID, p.NumberLength = verification.Push, verification.ApprovalChallenge, uuid.NewString(), 2
		p.Fallback = []verification.Step{{Channel: verification.SMS, After: time.Minute}}
	})
	a.To, a.Platform, a.PublicKey = "push-token", device.FCM, []byte("key")
	a.Roads = []verification.Road{{To: "+14155550199"}}
	v := create(t, s, a)
	salt, err := s.NumberSalt(t.Context(), v.ID)
	require.NoError(t, err)
	e := h.record(events.Push, v.ID)
	require.Contains(t, h.content(events.Push, v.ID, e.Content), `"number_salt":"`+salt+`"`)
	require.NotContains(t, h.content(events.SMS, v.ID, e.Fallback[0].Content), "number_salt")
	require.Equal(t, device.NumberDigest(salt, a.Secrets.Number.Reveal()), e.NumberDigest)
	stored, err := events.Encode(e)
	require.NoError(t, err)
	require.NotContains(t, string(stored), salt)
	_, err = s.Resend(t.Context(), v.ID)
	require.NoError(t, err)
	require.Contains(t, h.content(events.Push, v.ID, h.record(events.Push, v.ID).Content), `"number_salt":"`+salt+`"`)

	call := h.activation(byVoice)
	create(t, s, call)
	e = h.record(events.Voice, call.Verification.ID)
	require.NotContains(t, h.content(events.Voice, e.ID, e.Content), "number_salt")
	require.Empty(t, e.NumberDigest, "no phone signs it")
	other, err := s.NumberSalt(t.Context(), e.ID)
	require.NoError(t, err)
	require.NotEqual(t, salt, other)
	_, err = s.NumberSalt(t.Context(), uuid.NewString())
	require.ErrorIs(t, err, verification.ErrNotFound)
}

// Whoever checks a proof takes a context only as apps get it. One that has a field more must be known there too.
func TestEveryContextThatAppsGetReadsInOneWay(t *testing.T) {
	var c events.Context
	shown := reflect.ValueOf(&c).Elem()
	for i := range shown.NumField() {
		if f := shown.Field(i); f.Kind() == reflect.String {
			f.SetString("<Müller & \u2028 \u0007\"> " + shown.Type().Field(i).Name)
		}
	}
	c.Fields = []events.Field{{Label: "To", Value: "<Müller>"}, {}}
	for _, context := range []events.Context{{}, c} {
		b, err := json.Marshal(context)
		require.NoError(t, err)
		a := device.Answer{Context: string(b)}
		require.True(t, device.Proof{Answer: a, SignedText: a.SignedText()}.Check().Context, "%s", b)
	}
}

func TestTheNewestProofOfAnIdIsFoundAndTheOneBeforeStays(t *testing.T) {
	h := build(t)
	proofs, err := store.NewProofs(t.Context(), h.js())
	require.NoError(t, err)
	id := uuid.NewString()
	for i, brand := range []string{"first", "second"} {
		e := events.ApprovalProved{Version: events.Version, ID: id, Account: "shop", Brand: brand, CreatedAt: h.clock.now().Add(time.Duration(i) * time.Hour)}
		data, err := events.Encode(e)
		require.NoError(t, err)
		_, err = h.js().Publish(t.Context(), events.ProofSubject(id, e.CreatedAt), data)
		require.NoError(t, err)
	}
	e, err := proofs.Proof(t.Context(), "shop", id)
	require.NoError(t, err)
	require.Equal(t, "second", e.Brand)
	for _, c := range [][2]string{{"bank", id}, {"shop", uuid.NewString()}, {"shop", "*"}, {"shop", ""}} {
		_, err = proofs.Proof(t.Context(), c[0], c[1])
		require.ErrorIs(t, err, verification.ErrNotFound, "%v", c)
	}
	for _, id := range []string{uuid.NewString(), ">", ""} {
		at, err := proofs.LastUsed(t.Context(), id)
		require.NoError(t, err)
		require.True(t, at.IsZero())
	}
}
