package httpapi

import (
	"errors"
	"fmt"
	"net/http"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/notification"
	"github.com/assent-io/assent/services/verification"
)

// CreateNotification queues messages to one person or to many, in one write.
func (s *Server) CreateNotification(w http.ResponseWriter, r *http.Request, _ contract.CreateNotificationParams) {
	client, err := s.authenticate(w, r, credential.Verify)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	key, err := idempotencyKey(r.Header)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	body, err := readBody(w, r, maxBatchBody)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if key != "" {
		// Before anything is checked: devices, templates and suppressions may have changed since the first
		// answer, and a time that was ahead then has come.
		first, err := s.config.Notifications.Repeated(r.Context(), client.Account, key, s.config.Notifications.IDFor(client.ClientID, key), body)
		if err == nil || !errors.Is(err, verification.ErrNotFound) {
			s.answerNotification(w, r, first, true, err)
			return
		}
	}
	d := newDraft(s, client, key, body)
	request, err := d.read(r.Context())
	s.metrics.countRefused(d.lane(), d.refused)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	v, replayed, err := s.config.Notifications.Create(r.Context(), request)
	if errors.Is(err, notification.ErrTooLarge) {
		err = invalid(faults{{Pointer: "#", Detail: "is too large with all its texts; send shorter texts, or fewer recipients at once"}})
	}
	if err == nil && !replayed {
		s.metrics.countAccepted(v.Notification)
	}
	s.answerNotification(w, r, v, replayed, err)
}

func (s *Server) answerNotification(w http.ResponseWriter, r *http.Request, v notification.View, replayed bool, err error) {
	if err != nil {
		s.fail(w, r, fmt.Errorf("create notification: %w", err))
		return
	}
	if replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	note(w, v.ID)
	w.Header().Set("Location", "/v1/notifications/"+v.ID)
	writeJSON(w, http.StatusAccepted, notificationWire(v))
}

// note takes down for the log which notification a request is about.
func note(w http.ResponseWriter, id string) {
	if rec := observed(w); rec != nil {
		rec.notificationID = id
	}
}

// GetNotification reads a notification, or one message of it.
func (s *Server) GetNotification(w http.ResponseWriter, r *http.Request, id contract.NotificationID) {
	client, err := s.authenticate(w, r, credential.Verify, credential.ReadPeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	note(w, notedID(id))
	if isMessageID(id) {
		m, err := s.ownMessage(r, client, id)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		writeJSON(w, http.StatusOK, messageWire(m))
		return
	}
	v, err := s.ownNotification(r, client, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, notificationWire(v))
}

// ListMessages lists the messages of a notification, a page at a time.
func (s *Server) ListMessages(w http.ResponseWriter, r *http.Request, id contract.NotificationID, params contract.ListMessagesParams) {
	client, err := s.authenticate(w, r, credential.Verify, credential.ReadPeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	note(w, notedID(id))
	limit, after, err := readPage(r, params.Limit, params.After)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if r.URL.Query().Has("state") && !params.State.Valid() {
		s.fail(w, r, invalid(faults{{Parameter: "state", Detail: "must be " + choice(notification.States())}}))
		return
	}
	v, err := s.ownNotification(r, client, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	messages, next, err := s.config.Notifications.Messages(r.Context(), v.Notification, notification.State(params.State), after, limit)
	if errors.Is(err, verification.ErrNotFound) && after != "" {
		err = errCursor()
	}
	if err != nil {
		s.fail(w, r, fmt.Errorf("list messages: %w", err))
		return
	}
	page := api.MessageList{Data: make([]api.Message, 0, len(messages))}
	for _, m := range messages {
		page.Data = append(page.Data, messageWire(m))
	}
	if next != "" {
		page.Next = cursor(next)
	}
	writeJSON(w, http.StatusOK, page)
}

// ListMessageDeliveries is the timeline of one message.
func (s *Server) ListMessageDeliveries(w http.ResponseWriter, r *http.Request, id contract.NotificationID) {
	client, err := s.authenticate(w, r, credential.Verify, credential.ReadPeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	note(w, notedID(id))
	messageID := id
	if isMessageID(id) {
		_, err = s.ownMessage(r, client, id)
	} else {
		var v notification.View
		v, err = s.ownNotification(r, client, id)
		if err == nil && v.Message == nil { // a batch has a timeline for each message
			err = &refusal{code: api.ProblemCodeNotFound, detail: "A batch has no timeline of its own; ask for that of one of its messages."}
		}
		messageID = events.MessageID(id, 0, 0)
	}
	if err != nil {
		s.fail(w, r, err)
		return
	}
	steps, err := s.config.Notifications.Deliveries(r.Context(), messageID)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list deliveries: %w", err))
		return
	}
	list := api.DeliveryList{Data: make([]api.Delivery, 0, len(steps))}
	for _, d := range told(steps) {
		list.Data = append(list.Data, deliveryWire(d))
	}
	writeJSON(w, http.StatusOK, list)
}

// CancelNotification withdraws what was not sent yet, of a notification or of one message.
func (s *Server) CancelNotification(w http.ResponseWriter, r *http.Request, id contract.NotificationID) {
	client, err := s.authenticate(w, r, credential.Verify)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	note(w, notedID(id))
	if isMessageID(id) {
		if _, err = s.ownMessage(r, client, id); err == nil {
			var m notification.Message
			if m, err = s.config.Notifications.CancelMessage(r.Context(), id); err == nil {
				writeJSON(w, http.StatusOK, messageWire(m))
				return
			}
			err = withdrawn(m.State, err)
		}
	} else if _, err = s.ownNotification(r, client, id); err == nil {
		var v notification.View
		if v, err = s.config.Notifications.Cancel(r.Context(), id); err == nil {
			writeJSON(w, http.StatusOK, notificationWire(v))
			return
		}
		err = withdrawn(stateOf(v), err)
	}
	s.fail(w, r, err)
}

// withdrawn explains why nothing was left to withdraw.
func withdrawn(state notification.State, err error) error {
	if !errors.Is(err, notification.ErrClosed) || state == "" {
		return fmt.Errorf("cancel notification: %w", err)
	}
	return &refusal{code: api.ProblemCodeNotificationClosed, detail: "Nothing is left to withdraw: it is " + string(state) + "."}
}

// ownNotification reads a notification of the account of the client that asks. An id that is none of ours
// never reaches the store, where it would become part of a subject.
func (s *Server) ownNotification(r *http.Request, client credential.Credential, id string) (notification.View, error) {
	if !events.ValidID(id) {
		return notification.View{}, verification.ErrNotFound
	}
	v, err := s.config.Notifications.Get(r.Context(), id)
	if err != nil {
		return v, fmt.Errorf("read notification: %w", err)
	}
	if v.Credential != client.Account {
		return notification.View{}, verification.ErrNotFound
	}
	return v, nil
}

func (s *Server) ownMessage(r *http.Request, client credential.Credential, id string) (notification.Message, error) {
	m, n, err := s.config.Notifications.Message(r.Context(), id)
	if err != nil {
		return m, fmt.Errorf("read message: %w", err)
	}
	if n.Credential != client.Account {
		return notification.Message{}, verification.ErrNotFound
	}
	return m, nil
}

// isMessageID tells whether an id is that of one message of a notification.
func isMessageID(s string) bool {
	id, _, _, ok := events.ParseMessageID(s)
	return ok && events.ValidID(id)
}

// notedID is the id where it may stand in a log and in an answer; empty for what is none.
func notedID(s string) string {
	if events.ValidID(s) || isMessageID(s) {
		return s
	}
	return ""
}
