package push_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/workers/delivery"
	"github.com/assent-io/assent/workers/push"
)

// gatewayFunc is a provider made of a function.
type gatewayFunc func(ctx context.Context, m delivery.Push) (delivery.Receipt, error)

func (f gatewayFunc) SendPush(ctx context.Context, m delivery.Push) (delivery.Receipt, error) {
	return f(ctx, m)
}

// accepts is a provider that keeps what it got.
func accepts(got *delivery.Push) gatewayFunc {
	return func(_ context.Context, m delivery.Push) (delivery.Receipt, error) {
		*got = m
		return delivery.Receipt{ID: "1"}, nil
	}
}

func refusesToBeCalled(t *testing.T) gatewayFunc {
	t.Helper()
	return func(context.Context, delivery.Push) (delivery.Receipt, error) {
		t.Error("the provider was called")
		return delivery.Receipt{}, nil
	}
}

func message(platform string) delivery.Message {
	created := time.Date(2026, 11, 21, 15, 27, 3, 500, time.FixedZone("CET", 3600))
	return delivery.Message{
		ID: "vrf_01", Channel: events.Push, Challenge: events.Approval, Send: 3, To: "push-token",
		Device: &events.PushDevice{Platform: platform}, DeviceID: "dev_01",
		Brand:     "Example Bank",
		Context:   events.Context{IP: "203.0.113.7", Action: "Pay €49.00 to <Café & Co>", Place: "Near Lyon", Device: "Firefox on Windows"},
		CreatedAt: created, ExpiresAt: created.Add(5 * time.Minute),
	}
}

var config = push.Config{PublicURL: "https://id.example.com/"}

func TestAPushCarriesWhatTheAppNeedsToAskAndToAnswer(t *testing.T) {
	t.Parallel()
	var got delivery.Push
	m := message("apns")
	_, err := push.New(config, accepts(&got)).Send(t.Context(), m)
	require.NoError(t, err)

	assert.Equal(t, "vrf_01", got.VerificationID)
	assert.Equal(t, 3, got.Send)
	assert.Equal(t, m.To, got.To)
	assert.Equal(t, m.ExpiresAt, got.ExpiresAt)
	assert.Contains(t, got.Title, "Example Bank", "who")
	assert.Contains(t, got.Body.Reveal(), "Pay €49.00 to <Café & Co>", "what")
	assert.Contains(t, got.Body.Reveal(), "Near Lyon", "from where")
	assert.True(t, got.Buttons)

	signed, err := json.Marshal(m.Context)
	require.NoError(t, err)
	assert.Equal(t, map[string]string{
		"verification_id": "vrf_01",
		"device_id":       "dev_01",
		"brand":           "Example Bank",
		"context":         string(signed),
		"action":          "Pay €49.00 to <Café & Co>",
		"ip":              "203.0.113.7",
		"place":           "Near Lyon",
		"device":          "Firefox on Windows",
		"requested_at":    "2026-11-21T14:27:03Z",
		"expires_at":      "2026-11-21T14:32:03Z",
		"respond_to":      "https://id.example.com/v1/verifications/vrf_01/responses",
	}, got.Data)
}

func TestANumberToMatchComesAsChoicesOrAsItsLength(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		change  func(*delivery.Message)
		key     string // beside those of a plain question; empty: none
		value   string
		buttons bool
	}{
		"a plain question":                  {func(*delivery.Message) {}, "", "", true},
		"choices":                           {func(m *delivery.Message) { m.NumberLength, m.Choices = 1, []string{"3", "7", "9", "1"} }, "choices", `["3","7","9","1"]`, false},
		"a number to type":                  {func(m *delivery.Message) { m.NumberLength = 2 }, "number_length", "2", false},
		"choices without a number to match": {func(m *delivery.Message) { m.Choices = []string{"3"} }, "", "", true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var got delivery.Push
			m := message("fcm")
			tc.change(&m)
			_, err := push.New(config, accepts(&got)).Send(t.Context(), m)
			require.NoError(t, err)
			assert.Equal(t, tc.buttons, got.Buttons, "a number cannot be told by a button of the notification")
			assert.Empty(t, got.Code)
			assert.NotEmpty(t, got.Data["respond_to"])
			if tc.key == "" {
				assert.Len(t, got.Data, 11)
				return
			}
			assert.Len(t, got.Data, 12)
			assert.Equal(t, tc.value, got.Data[tc.key])
		})
	}
}

func TestACodeIsReadOnTheScreenAndNothingIsAnswered(t *testing.T) {
	t.Parallel()
	for _, cfg := range []push.Config{config, {}} { // no way back is needed
		var got delivery.Push
		m := message("apns")
		m.Challenge, m.Code, m.Locale = events.Code, "482913", "de"
		_, err := push.New(cfg, accepts(&got)).Send(t.Context(), m)
		require.NoError(t, err)
		assert.Equal(t, "482913", got.Code.Reveal())
		assert.True(t, strings.HasPrefix(got.Body.Reveal(), "482913 ist Ihr Code für Example Bank."), got.Body.Reveal())
		assert.Equal(t, "Ihr Code für Example Bank", got.Title)
		assert.False(t, got.Buttons)
		assert.NotContains(t, got.Data, "respond_to")
		assert.NotContains(t, got.Data, "choices")
		assert.Equal(t, "vrf_01", got.Data["verification_id"])
		assert.Equal(t, "Pay €49.00 to <Café & Co>", got.Data["action"])
		for key, value := range got.Data {
			assert.NotContains(t, value, "482913", key)
		}
		assert.NotContains(t, fmt.Sprintf("%v %+v %#v", got, got, got), "482913", "it cannot be printed")
	}
}

func TestAnApprovalHoldsNoSecret(t *testing.T) {
	t.Parallel()
	var got delivery.Push
	m := message("fcm")
	m.Code, m.LinkToken = "482913", "q7Zk-3vX_token"
	_, err := push.New(config, accepts(&got)).Send(t.Context(), m)
	require.NoError(t, err)
	texts := []string{got.Title, got.Body.Reveal(), got.Code.Reveal()}
	for _, value := range got.Data {
		texts = append(texts, value)
	}
	for _, text := range texts {
		assert.NotContains(t, text, "482913")
		assert.NotContains(t, text, "q7Zk-3vX_token")
		assert.NotContains(t, text, "push-token")
	}
}

func TestAnUnknownContextStillHasEveryKey(t *testing.T) {
	t.Parallel()
	var got delivery.Push
	m := message("apns")
	m.Brand, m.Context = "", events.Context{}
	_, err := push.New(config, accepts(&got)).Send(t.Context(), m)
	require.NoError(t, err)
	assert.Len(t, got.Data, 11)
	assert.Equal(t, "{}", got.Data["context"])
	assert.NotEmpty(t, got.Title)
	assert.NotEmpty(t, got.Body)
	assert.NotContains(t, got.Title+got.Body.Reveal(), "{")
}

func TestWhatNoPushCanCarryIsRefusedForGood(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		cfg    push.Config
		change func(*delivery.Message)
		reason string
	}{
		"a code that is not there": {config, func(m *delivery.Message) { m.Challenge = events.Code }, events.ReasonMessageRefused},
		"a link":                   {config, func(m *delivery.Message) { m.Challenge = events.Link }, events.ReasonNotConfigured},
		"no way back":              {push.Config{}, func(*delivery.Message) {}, events.ReasonNotConfigured},
		"no device":                {config, func(m *delivery.Message) { m.Device = nil }, events.ReasonDeviceGone},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			m := message("apns")
			tc.change(&m)
			_, err := push.New(tc.cfg, refusesToBeCalled(t)).Send(t.Context(), m)
			assert.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
			assert.Equal(t, tc.reason, delivery.ReasonOf(err))
		})
	}
}

func TestTheGatewaysMarkPassesThrough(t *testing.T) {
	t.Parallel()
	gateway := gatewayFunc(func(context.Context, delivery.Push) (delivery.Receipt, error) {
		return delivery.Receipt{}, delivery.Permanent(events.ReasonDeviceGone, errors.New("gone"))
	})
	_, err := push.New(config, gateway).Send(t.Context(), message("apns"))
	assert.Equal(t, delivery.ClassPermanent, delivery.ClassOf(err))
	assert.Equal(t, events.ReasonDeviceGone, delivery.ReasonOf(err))
}

func TestANotificationAsksNothing(t *testing.T) {
	t.Parallel()
	var got delivery.Push
	m := message("fcm")
	m.Challenge, m.Notice = "", &delivery.Notice{Text: "It is here."}
	sender := push.New(push.Config{}, accepts(&got))
	_, err := sender.Send(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, "Example Bank", got.Title, "the brand stands in for a title")
	assert.Equal(t, "It is here.", got.Body.Reveal())
	assert.False(t, got.Buttons)
	assert.Equal(t, map[string]string{
		"message_id": "vrf_01", "device_id": "dev_01", "brand": "Example Bank",
		"created_at": "2026-11-21T14:27:03Z", "expires_at": "2026-11-21T14:32:03Z",
	}, got.Data)

	m.Notice.Subject = "Parcel"
	_, err = sender.Send(t.Context(), m)
	require.NoError(t, err)
	assert.Equal(t, "Parcel", got.Title)

	m.Notice.Text = ""
	_, err = sender.Send(t.Context(), m)
	assert.Equal(t, events.ReasonMessageRefused, delivery.ReasonOf(err))
}

func TestAPushShowsTheFieldsAndCarriesThemAsTheyAreSigned(t *testing.T) {
	t.Parallel()
	var got delivery.Push
	m := message("apns")
	m.Context.Fields = []events.Field{{Label: "Amount", Value: "49.00 EUR"}, {Label: "Payee", Value: "Café & Co"}}
	_, err := push.New(config, accepts(&got)).Send(t.Context(), m)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(got.Body.Reveal(), "Amount: 49.00 EUR\nPayee: Café & Co\n"), got.Body.Reveal())
	assert.Contains(t, got.Body.Reveal(), "Near Lyon")
	signed, err := json.Marshal(m.Context)
	require.NoError(t, err)
	assert.Equal(t, string(signed), got.Data["context"])
	assert.Contains(t, got.Data["context"], `"fields":[{"label":"Amount","value":"49.00 EUR"},`)

	m.Challenge, m.Code = events.Code, "482913"
	_, err = push.New(config, accepts(&got)).Send(t.Context(), m)
	require.NoError(t, err)
	assert.True(t, strings.HasPrefix(got.Body.Reveal(), "482913 is your Example Bank code for:\nAmount: 49.00 EUR\nPayee: Café & Co\n"), got.Body.Reveal())
}

func TestTheSizeOfAPushIsKnownBeforeItIsSent(t *testing.T) {
	t.Parallel()
	for _, letter := range []string{"a", "&", "ж", "支", "\""} {
		for _, n := range []int{0, 1, 30} {
			m := message("apns")
			m.Context.Fields = nil
			for range 6 {
				m.Context.Fields = append(m.Context.Fields, events.Field{Label: strings.Repeat(letter, n), Value: strings.Repeat(letter, 2*n)})
			}
			var got delivery.Push
			_, err := push.New(config, accepts(&got)).Send(t.Context(), m)
			require.NoError(t, err)
			taken := len(got.Title) + len(got.Body)
			for key, value := range got.Data {
				taken += len(key) + len(value)
			}
			size := push.Bytes(config, m)
			require.Greater(t, size, taken, "what Google counts")
			all, err := json.Marshal(map[string]any{
				"aps": map[string]any{"alert": map[string]string{"title": got.Title, "body": got.Body.Reveal()}, "sound": "default", "mutable-content": 1},
				"d":   got.Data,
			})
			require.NoError(t, err)
			require.Greater(t, size, len(all), "what Apple counts")
		}
	}
	require.Zero(t, push.Bytes(push.Config{}, message("apns")), "what cannot be sent has no size")
}
