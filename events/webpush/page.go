package webpush

import "strings"

// pagePrefix begins the push token of a page that has no subscription. No subscription begins like it.
const pagePrefix = "page:"

// Page is the push token of a page without a subscription: nothing reaches it, and it asks for its questions while
// it is open. It is another one for each device, because tokens are what is suppressed.
func Page(deviceID string) string { return pagePrefix + deviceID }

// IsPage tells whether a push token is that of a page without a subscription.
func IsPage(token string) bool { return strings.HasPrefix(token, pagePrefix) }
