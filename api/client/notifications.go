package client

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strconv"

	"github.com/assent-io/assent/api"
)

// Notify queues an ordinary message to one person or to many. As with Create, a call is repeated once when the
// connection breaks, and nobody gets a message twice for that. Who was refused is in the answer.
func (c *Client) Notify(ctx context.Context, request api.CreateNotification) (*api.Notification, error) {
	return c.NotifyWithKey(ctx, rand.Text(), request)
}

// NotifyWithKey is Notify under the caller's own idempotency key.
func (c *Client) NotifyWithKey(ctx context.Context, key string, request api.CreateNotification) (*api.Notification, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, fmt.Errorf("create notification: %w", err)
	}
	header := http.Header{"Idempotency-Key": {strconv.Quote(key)}}
	var n api.Notification
	_, err = c.call(ctx, http.MethodPost, "/v1/notifications", header, body, &n)
	if broken(err) && ctx.Err() == nil {
		_, err = c.call(ctx, http.MethodPost, "/v1/notifications", header, body, &n)
	}
	if err != nil {
		return nil, fmt.Errorf("create notification: %w", err)
	}
	return &n, nil
}

// Notification reads a notification as it is now.
func (c *Client) Notification(ctx context.Context, id string) (*api.Notification, error) {
	var n api.Notification
	if _, err := c.call(ctx, http.MethodGet, notificationPath(id, ""), nil, nil, &n); err != nil {
		return nil, fmt.Errorf("get notification: %w", err)
	}
	return &n, nil
}

// Messages lists one page of a notification's messages, those in one state where it is not empty. after is the
// Next of the page before, empty for the first.
func (c *Client) Messages(ctx context.Context, id string, state api.MessageState, after string) (*api.MessageList, error) {
	query := url.Values{}
	if state != "" {
		query.Set("state", string(state))
	}
	if after != "" {
		query.Set("after", after)
	}
	target := notificationPath(id, "/messages")
	if len(query) > 0 {
		target += "?" + query.Encode()
	}
	var page api.MessageList
	if _, err := c.call(ctx, http.MethodGet, target, nil, nil, &page); err != nil {
		return nil, fmt.Errorf("list messages: %w", err)
	}
	return &page, nil
}

// CancelNotification withdraws what was not sent yet. It fails with the problem notification_closed where nothing
// is left to withdraw.
func (c *Client) CancelNotification(ctx context.Context, id string) (*api.Notification, error) {
	var n api.Notification
	if _, err := c.call(ctx, http.MethodPost, notificationPath(id, "/cancel"), nil, nil, &n); err != nil {
		return nil, fmt.Errorf("cancel notification: %w", err)
	}
	return &n, nil
}

func notificationPath(id, action string) string {
	return "/v1/notifications/" + url.PathEscape(id) + action
}
