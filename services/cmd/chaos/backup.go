package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"sync"
	"time"
)

// backupKey signs what Assent asks the backup for, and backupSecret is how its configuration has it.
const backupKey = "the key of the backup, 32 bytes."

func backupSecret() string { return "whsec_" + base64.StdEncoding.EncodeToString([]byte(backupKey)) }

// backup is a second provider behind the adapter contract of docs/adapters.md: requests signed as
// Standard Webhooks are, answered with an id; one that comes again is not carried again.
type backup struct {
	book *book
	url  string

	mu  sync.Mutex
	ids map[string]string // of the answers, by message id

	server *http.Server
	served chan struct{}
}

const maxRequest = 64 << 10

func newBackup(b *book) (*backup, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0") //nolint:noctx // nothing to wait for
	if err != nil {
		return nil, fmt.Errorf("open the backup: %w", err)
	}
	s := &backup{book: b, url: "http://" + l.Addr().String() + "/messages", ids: map[string]string{}, served: make(chan struct{})}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /messages", s.message)
	s.server = &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	go func() {
		defer close(s.served)
		_ = s.server.Serve(l) // until close
	}()
	return s, nil
}

func (s *backup) close() {
	_ = s.server.Close() // nobody is told anything any more
	<-s.served
}

// env makes a system use the backup for texts.
func (s *backup) env() []string {
	return []string{
		"ASSENT_ADAPTERS__BACKUP__URL=" + s.url, "ASSENT_ADAPTERS__BACKUP__SECRET=" + backupSecret(), "ASSENT_ADAPTERS__BACKUP__CHANNELS=sms",
	}
}

func (s *backup) message(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		return // the caller is gone
	}
	if !signed(r.Header, body) {
		s.book.count(countUnauthorised)
		http.Error(w, "forged", http.StatusUnauthorized)
		return
	}
	var asked struct {
		MessageID string `json:"message_id"`
		To        string `json:"to"`
		Text      string `json:"text"`
	}
	code := ""
	if json.Unmarshal(body, &asked) == nil {
		code = sixDigits.FindString(asked.Text)
	}
	if asked.To == "" || code == "" {
		s.book.count(countMalformed)
		http.Error(w, "malformed", http.StatusBadRequest)
		return
	}
	s.book.call(asked.To)
	id, first := s.idOf(asked.MessageID)
	status := http.StatusConflict
	if first {
		status = http.StatusAccepted
		m := &message{carrier: "backup", code: code}
		s.book.take(asked.To, m)
		s.book.answer(m)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"id":%q}`, id) // a caller that is gone cannot be told anything
}

// idOf is the answer to a message, and whether it is new.
func (s *backup) idOf(messageID string) (id string, first bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	id, known := s.ids[messageID]
	if !known {
		id = "backup-" + strconv.Itoa(len(s.ids)+1)
		s.ids[messageID] = id
	}
	return id, !known
}

// signed checks a request as https://www.standardwebhooks.com describes it.
func signed(h http.Header, body []byte) bool {
	mac := hmac.New(sha256.New, []byte(backupKey))
	_, _ = fmt.Fprintf(mac, "%s.%s.%s", h.Get("Webhook-Id"), h.Get("Webhook-Timestamp"), body)
	want := "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	for got := range strings.FieldsSeq(h.Get("Webhook-Signature")) {
		if hmac.Equal([]byte(got), []byte(want)) {
			return true
		}
	}
	return false
}
