package client_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/api/client"
)

func TestNotifyRepeatsUnderTheSameKeyWhenTheConnectionBreaks(t *testing.T) {
	c, s := scripted(t, breaks, answer(http.StatusAccepted, `{"id":"n1","state":"queued","accepted":1}`))
	n, err := c.Notify(t.Context(), api.CreateNotification{To: "+14155550123", Text: "Hello"})
	if err != nil || n.ID != "n1" {
		t.Fatal(n, err)
	}
	if a, b := s.seen[0].Header.Get("Idempotency-Key"), s.seen[1].Header.Get("Idempotency-Key"); a == "" || a != b {
		t.Errorf("keys %q and %q", a, b)
	}
	if s.body[0] != `{"to":"+14155550123","text":"Hello"}` {
		t.Error(s.body[0])
	}
}

func TestNotificationsAreReadListedAndCanceled(t *testing.T) {
	c, s := scripted(t,
		answer(200, `{"id":"n1","state":"sending"}`), answer(200, `{"data":[{"id":"n1-0-0","state":"sent"}],"next":null}`),
		answer(409, `{"status":409,"code":"notification_closed","detail":"Nothing is left to withdraw."}`))
	if n, err := c.Notification(t.Context(), "n1"); err != nil || n.State != api.NotificationStateSending {
		t.Error(n, err)
	}
	if page, err := c.Messages(t.Context(), "n1", api.MessageStateSent, "abc"); err != nil || len(page.Data) != 1 || page.Next != nil {
		t.Error(page, err)
	}
	_, err := c.CancelNotification(t.Context(), "../n1")
	var problem *api.Problem
	if !errors.As(err, &problem) || problem.Code != api.ProblemCodeNotificationClosed {
		t.Error(err)
	}
	var paths []string
	for _, r := range s.seen {
		paths = append(paths, r.Method+" "+r.URL.RequestURI())
	}
	want := "GET /v1/notifications/n1, GET /v1/notifications/n1/messages?after=abc&state=sent, POST /v1/notifications/..%2Fn1/cancel"
	if got := strings.Join(paths, ", "); got != want {
		t.Error(got)
	}
}

func ExampleClient_Notify() {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write([]byte(`{"id":"n1","accepted":1,"refused":[{"index":1,"code":"invalid_recipient","pointer":"#/recipients/1/to","detail":"is too short for a phone number"}]}`))
	}))
	defer server.Close()
	c, err := client.New(server.URL, "shop", "secret")
	if err != nil {
		log.Fatal(err)
	}
	n, err := c.Notify(context.Background(), api.CreateNotification{
		Text:       "Your parcel is on its way.",
		Recipients: []api.CreateRecipient{{To: "+14155550123"}, {To: "+1415"}},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(n.Accepted, "accepted")
	for _, r := range n.Refused {
		fmt.Println(r.Index, r.Code, r.Detail)
	}
	// Output:
	// 1 accepted
	// 1 invalid_recipient is too short for a phone number
}
