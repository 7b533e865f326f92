package client_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/api/client"
)

// deployment stands in for an Assent server: a verification that is approved by the code 123456.
func deployment() *httptest.Server {
	return httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		body, err := io.ReadAll(r.Body)
		if err != nil {
			panic(err)
		}
		switch {
		case strings.HasSuffix(r.URL.Path, "/unknown"):
			w.WriteHeader(http.StatusNotFound)
			_, _ = io.WriteString(w, `{"status":404,"code":"not_found","detail":"There is nothing with this id."}`)
		case strings.HasSuffix(r.URL.Path, "/check") && strings.Contains(string(body), "123456"):
			_, _ = io.WriteString(w, `{"valid":true,"id":"v1","status":"approved"}`)
		case strings.HasSuffix(r.URL.Path, "/check"):
			_, _ = io.WriteString(w, `{"valid":false,"id":"v1","status":"pending","checks_left":4}`)
		case strings.HasSuffix(r.URL.Path, "/cancel"):
			_, _ = io.WriteString(w, `{"id":"v1","status":"canceled"}`)
		case strings.HasSuffix(r.URL.Path, "/resend"):
			w.WriteHeader(http.StatusAccepted)
			_, _ = io.WriteString(w, `{"id":"v1","status":"pending"}`)
		case strings.HasSuffix(r.URL.Path, "/deliveries"):
			_, _ = io.WriteString(w, `{"data":[{"status":"requested","channel":"sms","send":1},{"status":"sent","channel":"sms","send":1,"provider":"twilio"}]}`)
		case r.Method == http.MethodPost:
			w.WriteHeader(http.StatusCreated)
			_, _ = io.WriteString(w, `{"id":"v1","status":"pending","checks_left":5}`)
		case r.URL.Query().Has("wait"):
			_, _ = io.WriteString(w, `{"id":"v1","status":"approved"}`)
		default:
			_, _ = io.WriteString(w, `{"id":"v1","status":"pending","checks_left":5}`)
		}
	}))
}

func connect() (*client.Client, func()) {
	server := deployment()
	c, err := client.New(server.URL, "shop", "secret")
	if err != nil {
		log.Fatal(err)
	}
	return c, server.Close
}

func ExampleNew() {
	c, err := client.New("https://assent.example.com", "shop", "secret")
	fmt.Println(c != nil, err)
	// Output: true <nil>
}

func ExampleWithHTTPClient() {
	c, err := client.New("https://assent.example.com", "shop", "secret",
		client.WithHTTPClient(&http.Client{Timeout: 2 * time.Minute}))
	fmt.Println(c != nil, err)
	// Output: true <nil>
}

func ExampleWithWait() {
	c, err := client.New("https://assent.example.com", "shop", "secret", client.WithWait(50*time.Second))
	fmt.Println(c != nil, err)
	// Output: true <nil>
}

func ExampleClient_Create() {
	c, closeServer := connect()
	defer closeServer()
	v, err := c.Create(context.Background(), api.CreateVerification{To: "+14155550123", Channel: api.ChannelSMS, Brand: "Example Bank"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.ID, v.Status, v.ChecksLeft)
	// Output: v1 pending 5
}

func ExampleClient_CreateWithKey() {
	c, closeServer := connect()
	defer closeServer()
	v, err := c.CreateWithKey(context.Background(), "login-4711", api.CreateVerification{To: "ana@example.com", Channel: api.ChannelEmail})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.ID)
	// Output: v1
}

func ExampleClient_Wait() {
	c, closeServer := connect()
	defer closeServer()
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Minute)
	defer cancel()
	v, err := c.Wait(ctx, "v1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Status)
	// Output: approved
}

func ExampleClient_Check() {
	c, closeServer := connect()
	defer closeServer()
	for _, typed := range []string{"000000", "123456"} {
		checked, err := c.Check(context.Background(), "v1", typed)
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(checked.Valid, checked.Verification.Status)
	}
	// Output:
	// false pending
	// true approved
}

func ExampleClient_Get() {
	c, closeServer := connect()
	defer closeServer()
	_, err := c.Get(context.Background(), "unknown")
	var problem *api.Problem
	if errors.As(err, &problem) {
		fmt.Println(problem.Code, "-", problem.Detail)
	}
	// Output: not_found - There is nothing with this id.
}

func ExampleClient_Resend() {
	c, closeServer := connect()
	defer closeServer()
	v, err := c.Resend(context.Background(), "v1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Status)
	// Output: pending
}

func ExampleClient_Cancel() {
	c, closeServer := connect()
	defer closeServer()
	v, err := c.Cancel(context.Background(), "v1")
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(v.Status)
	// Output: canceled
}

func ExampleClient_Deliveries() {
	c, closeServer := connect()
	defer closeServer()
	steps, err := c.Deliveries(context.Background(), "v1")
	if err != nil {
		log.Fatal(err)
	}
	for _, s := range steps {
		fmt.Println(s.Send, s.Status)
	}
	// Output:
	// 1 requested
	// 1 sent
}
