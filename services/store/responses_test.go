package store_test

import (
	"context"
	"encoding/json"
	"slices"
	"testing"
	"time"

	"github.com/google/uuid"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/events/keyring"
	"github.com/assent-io/assent/events/stream"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/store"
	"github.com/assent-io/assent/services/verification"
)

func byVoice(p *verification.Params) {
	p.Channel, p.Challenge, p.NumberLength, p.MaxChecks = verification.Voice, verification.ApprovalChallenge, 6, 1
}

// answer is an approval with digits, as a callback publishes it.
func answer(t *testing.T, s *store.Verifications, id, digits string) verification.Answered {
	t.Helper()
	hash, err := s.NumberHash(t.Context(), id, digits)
	require.NoError(t, err)
	return verification.Answered{Decision: verification.Approve, Number: hash}
}

// other is a number of the same length.
func other(c verification.Code) string {
	first := byte('0')
	if c.Reveal()[0] == '0' {
		first = '1'
	}
	return string(first) + c.Reveal()[1:]
}

func TestTheNumberThatWasShownApprovesAndAnotherDenies(t *testing.T) {
	h := build(t)
	one, two := h.store(), h.store()
	right, wrong := h.activation(byVoice), h.activation(byVoice)
	require.Equal(t, 6, create(t, one, right).NumberLength)
	create(t, one, wrong)

	v, err := two.Resolve(t.Context(), right.Verification.ID, answer(t, two, right.Verification.ID, right.Secrets.Number.Reveal()))
	require.NoError(t, err)
	require.Equal(t, verification.Approved, v.Status)
	v, err = two.Resolve(t.Context(), wrong.Verification.ID, answer(t, two, wrong.Verification.ID, other(wrong.Secrets.Number)))
	require.NoError(t, err)
	require.Equal(t, verification.Denied, v.Status)
	require.Equal(t, verification.WrongNumber, v.Reason)

	v, err = one.Get(t.Context(), right.Verification.ID)
	require.NoError(t, err)
	require.Equal(t, verification.Approved, v.Status)
	require.Equal(t, 6, v.NumberLength)
}

func TestTheNumberGoesIntoNoMessageAndItsHashIsOfItsOwnVerification(t *testing.T) {
	h := build(t)
	s := h.store()
	a, b := h.activation(byVoice), h.activation(byVoice)
	create(t, s, a)
	create(t, s, b)
	digits := a.Secrets.Number.Reveal()
	e := h.record(events.Voice, a.Verification.ID)
	plain, err := h.keys.Open(keyring.Channel(events.Voice), e.ID, e.Content)
	require.NoError(t, err)
	require.NotContains(t, string(plain), digits)
	hash, err := s.NumberHash(t.Context(), a.Verification.ID, digits)
	require.NoError(t, err)
	require.Equal(t, e.NumberHash, hash)
	require.Empty(t, e.SecretHash)
	raw, err := events.Encode(e)
	require.NoError(t, err)
	require.NotContains(t, string(raw), `"`+digits+`"`)
	foreign, err := s.NumberHash(t.Context(), b.Verification.ID, digits)
	require.NoError(t, err)
	require.NotEqual(t, hash, foreign)

	open, err := s.Get(t.Context(), a.Verification.ID)
	require.NoError(t, err)
	shown, err := s.MatchNumber(t.Context(), open)
	require.NoError(t, err)
	require.Equal(t, digits, shown.Reveal(), "whoever asked shows it where the person began")
	closed, err := s.Resolve(t.Context(), b.Verification.ID, verification.Cancel{})
	require.NoError(t, err)
	shown, err = s.MatchNumber(t.Context(), closed)
	require.NoError(t, err)
	require.Empty(t, shown, "nothing waits for it any more")

	plainApproval := h.activation(func(p *verification.Params) { p.Challenge = verification.ApprovalChallenge })
	create(t, s, plainApproval)
	_, err = s.NumberHash(t.Context(), plainApproval.Verification.ID, digits)
	require.ErrorIs(t, err, verification.ErrChallenge)
	_, err = s.NumberHash(t.Context(), uuid.NewString(), digits)
	require.ErrorIs(t, err, verification.ErrNotFound)
	_, _, err = s.Check(t.Context(), a.Verification.ID, a.Secrets.Number)
	require.ErrorIs(t, err, verification.ErrChallenge, "a number to match is no code")
}

// record reads the stored activation of a verification.
func (h *house) record(c events.Channel, id string) events.VerificationActivated {
	h.t.Helper()
	st, err := h.js().Stream(h.t.Context(), stream.Activations)
	require.NoError(h.t, err)
	raw, err := st.GetLastMsgForSubject(h.t.Context(), events.ActivationSubject(c, id))
	require.NoError(h.t, err)
	e, err := events.Decode[events.VerificationActivated](raw.Data)
	require.NoError(h.t, err)
	return e
}

func TestOwnWordingAndRedirectsAreSealedAndSurviveAResend(t *testing.T) {
	h := build(t)
	s := h.store()
	const text, target = "Ana, {{otp_code}} ({{otp_expiry}} min)", "https://app.example.com/done?for=ana"
	for _, challenge := range []verification.Challenge{verification.CodeChallenge, verification.LinkChallenge, verification.ApprovalChallenge} {
		a := h.activation(func(p *verification.Params) { p.Challenge = challenge })
		a.Text, a.RedirectTo = text, target
		create(t, s, a)
		for range 2 {
			e := h.record(events.SMS, a.Verification.ID)
			stored, err := events.Encode(e)
			require.NoError(t, err)
			require.NotContains(t, string(stored), "otp_code")
			require.NotContains(t, string(stored), "app.example.com")
			plain, err := h.keys.Open(keyring.Channel(events.SMS), e.ID, e.Content)
			require.NoError(t, err)
			require.Contains(t, string(plain), `"text":"`+text+`"`)
			got, err := s.Redirect(t.Context(), e.ID)
			require.NoError(t, err)
			require.Equal(t, target, got)
			_, err = s.Resend(t.Context(), e.ID)
			require.NoError(t, err)
		}
	}
	plain := h.activation()
	create(t, s, plain)
	got, err := s.Redirect(t.Context(), plain.Verification.ID)
	require.NoError(t, err)
	require.Empty(t, got)
	for _, id := range []string{uuid.NewString(), "*", ""} {
		_, err = s.Redirect(t.Context(), id)
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
}

// autofillOf is what stands for the last line of a text message in a sealed content.
func (h *house) autofillOf(id string, c events.Channel, sealed events.Sealed) autofill.Hint {
	h.t.Helper()
	plain, err := h.keys.Open(keyring.Channel(c), id, sealed)
	require.NoError(h.t, err)
	var content events.DeliveryContent
	require.NoError(h.t, json.Unmarshal(plain, &content))
	return autofill.Hint{Origin: content.Origin, AppHash: content.AppHash}
}

func TestACodesPageAndAppGoWithEachTextMessageAndNoOther(t *testing.T) {
	h := build(t)
	preset := autofill.Hint{Origin: "preset.example", AppHash: "AAAAAAAAAAA"}
	plain, s := h.store(), h.store(func(c *store.Config) { c.Autofill = preset })
	own := verification.Autofill{Origin: "example.com", AppHash: "FA+9qCX9VSu"}
	for _, test := range []struct {
		s    *store.Verifications
		asks verification.Autofill
		want autofill.Hint
	}{
		{plain, verification.Autofill{}, autofill.Hint{}},
		{plain, own, autofill.Hint(own)},
		{s, verification.Autofill{}, preset},
		{s, own, autofill.Hint(own)},
		{s, verification.Autofill{Origin: own.Origin}, autofill.Hint{Origin: own.Origin, AppHash: preset.AppHash}},
	} {
		a := h.activation(func(p *verification.Params) {
			p.Fallback = []verification.Step{{Channel: verification.SMS, After: time.Minute}, {Channel: verification.Voice, After: time.Minute}}
		})
		a.Autofill, a.Roads = test.asks, []verification.Road{{To: a.To}, {To: a.To}}
		create(t, test.s, a)
		for range 2 {
			e := h.record(events.SMS, a.Verification.ID)
			require.Equal(t, test.want, h.autofillOf(e.ID, events.SMS, e.Content))
			require.Equal(t, test.want, h.autofillOf(e.ID, events.SMS, e.Fallback[0].Content))
			require.Empty(t, h.autofillOf(e.ID, events.Voice, e.Fallback[1].Content))
			_, err := test.s.Resend(t.Context(), e.ID)
			require.NoError(t, err)
		}
	}
	link := h.activation(func(p *verification.Params) { p.Challenge = verification.LinkChallenge })
	create(t, s, link)
	require.Empty(t, h.autofillOf(link.Verification.ID, events.SMS, h.record(events.SMS, link.Verification.ID).Content), "a link is no code")
}

func TestChoicesAreSealedAndReachTheAppWithEachMessage(t *testing.T) {
	h := build(t)
	s := h.store()
	bySymbol := func(p *verification.Params) {
		p.Channel, p.DeviceID, p.NumberLength, p.MaxChecks = verification.Push, uuid.NewString(), 1, 1
	}
	a := h.activation(bySymbol)
	a.To, a.Platform, a.PublicKey = "push-token", device.APNs, []byte("key")
	right := a.Secrets.Number.Reveal()
	a.Choices = []string{right, "a", "b", "c"} // the letters cannot be met by chance in the record
	create(t, s, a)
	id := a.Verification.ID
	for range 2 {
		e := h.record(events.Push, id)
		stored, err := events.Encode(e)
		require.NoError(t, err)
		require.NotContains(t, string(stored), "choices")
		plain, err := h.keys.Open(keyring.Channel(events.Push), id, e.Content)
		require.NoError(t, err)
		require.Contains(t, string(plain), `"choices":["`+right+`","a","b","c"]`)
		got, err := h.store().Choices(t.Context(), id)
		require.NoError(t, err)
		require.Equal(t, a.Choices, got)
		_, err = s.Resend(t.Context(), id)
		require.NoError(t, err)
	}

	wrong, err := s.Resolve(t.Context(), id, answer(t, s, id, other(a.Secrets.Number)))
	require.NoError(t, err)
	require.Equal(t, verification.Denied, wrong.Status)
	require.Equal(t, verification.WrongNumber, wrong.Reason)
	_, err = s.Resolve(t.Context(), id, answer(t, s, id, right))
	require.ErrorIs(t, err, verification.ErrClosed, "one number is compared, no more")

	typed := h.activation(bySymbol)
	plain := h.activation(func(p *verification.Params) { p.Challenge = verification.ApprovalChallenge })
	plain.Choices = []string{"3"} // nobody asked for a number
	for _, none := range []verification.Activation{typed, plain} {
		create(t, s, none)
		got, err := s.Choices(t.Context(), none.Verification.ID)
		require.NoError(t, err)
		require.Empty(t, got)
	}
	for _, id := range []string{uuid.NewString(), "*", ""} {
		_, err := s.Choices(t.Context(), id)
		require.ErrorIs(t, err, verification.ErrNotFound)
	}
}

func TestAPushedCodeIsSealedAndChecked(t *testing.T) {
	h := build(t)
	s := h.store()
	a := h.activation(func(p *verification.Params) {
		p.Channel, p.Challenge, p.DeviceID = verification.Push, verification.CodeChallenge, uuid.NewString()
	})
	a.To, a.Platform, a.PublicKey = "push-token", device.FCM, []byte("key")
	v := create(t, s, a)
	e := h.record(events.Push, v.ID)
	plain, err := h.keys.Open(keyring.Channel(events.Push), v.ID, e.Content)
	require.NoError(t, err)
	require.Contains(t, string(plain), `"code":"`+a.Secrets.Code.Reveal()+`"`)
	open, err := s.Prompts(t.Context(), device.Device{ID: v.DeviceID, Credential: v.Credential, Address: a.To})
	require.NoError(t, err)
	require.Empty(t, open, "there is nothing to answer on the phone")
	v, valid, err := s.Check(t.Context(), v.ID, a.Secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)
	require.Equal(t, verification.Approved, v.Status)
}

func TestAnAppFindsTheOpenQuestionsOfItsOwnDevice(t *testing.T) {
	h := build(t)
	s := h.store()
	phone := device.Device{ID: uuid.NewString(), Credential: "shop", Kind: device.Push, Address: "push-token"}
	push := func(deviceID, account string) verification.Activation {
		a := h.activation(func(p *verification.Params) {
			p.Channel, p.DeviceID, p.Credential = verification.Push, deviceID, account
		})
		a.To, a.Platform, a.PublicKey = phone.Address, device.APNs, []byte("key")
		return a
	}
	none, err := s.Prompts(t.Context(), phone)
	require.NoError(t, err)
	require.Empty(t, none)

	older, answered, newer := push(phone.ID, "shop"), push(phone.ID, "shop"), push(phone.ID, "shop")
	// The same install, registered twice, or with another account.
	for _, a := range []verification.Activation{older, answered, push(uuid.NewString(), "shop"), push(phone.ID, "bank"), newer} {
		create(t, s, a)
	}
	_, err = s.Resolve(t.Context(), answered.Verification.ID, verification.Answered{Decision: verification.Approve})
	require.NoError(t, err)
	open, err := h.store().Prompts(t.Context(), phone)
	require.NoError(t, err)
	require.Len(t, open, 2)
	require.Equal(t, newer.Verification.ID, open[0].ID)
	require.Equal(t, older.Verification.ID, open[1].ID)

	phone.Address = "another token"
	open, err = s.Prompts(t.Context(), phone)
	require.NoError(t, err)
	require.Len(t, open, 2, "whatever it is reached by")
}

func TestAVerificationOfFifteenMinutesIsOpenToItsEnd(t *testing.T) {
	h := build(t)
	s := h.store()
	a := h.activation(func(p *verification.Params) {
		p.Life, p.Longest = verification.LongestLife, verification.LongestLife
	})
	v := create(t, s, a)
	h.clock.forward(verification.LongestLife - 30*time.Second)
	got, err := s.Get(t.Context(), v.ID)
	require.NoError(t, err)
	require.Equal(t, verification.Pending, got.Status)
	_, valid, err := s.Check(t.Context(), v.ID, a.Secrets.Code)
	require.NoError(t, err)
	require.True(t, valid)
}

func TestAPhoneThatListensIsToldOfItsQuestions(t *testing.T) {
	t.Parallel()
	h := build(t)
	asking, listening := h.store(), h.store() // two processes
	phone := device.Device{ID: uuid.NewString(), Credential: "shop", Kind: device.Push, Address: "token-of-the-phone"}
	next, done := listening.Watch(phone.ID)
	defer done()
	other, otherDone := listening.Watch(uuid.NewString())
	defer otherDone()
	for range 2 {
		a := h.activation(func(p *verification.Params) {
			p.Channel, p.DeviceID, p.Credential = verification.Push, phone.ID, "shop"
		})
		a.To, a.Platform, a.PublicKey = phone.Address, device.APNs, []byte("key")
		create(t, asking, a)
		told, cancel := context.WithTimeout(t.Context(), 10*time.Second)
		next(told)
		require.NoError(t, told.Err(), "nobody told the phone")
		cancel()
		open, err := listening.Prompts(t.Context(), phone)
		require.NoError(t, err)
		require.True(t, slices.ContainsFunc(open, func(v verification.Verification) bool { return v.ID == a.Verification.ID }))
	}
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	other(ended) // returns, since nobody asked that one
}
