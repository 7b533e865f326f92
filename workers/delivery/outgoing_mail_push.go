package delivery

import (
	"net/mail"
	"time"
)

// Mail is one rendered message for an email provider. Text and HTML are secrets, because
// they hold the code or the link.
type Mail struct {
	Name
	From       mail.Address
	To         Address
	Subject    string
	Text, HTML Code
	// Headers are set on the mail besides what the provider sets by itself.
	Headers map[string]string
}

// Push is one rendered message for a push provider: what is visible on a locked screen,
// and the data from which the app draws its question. The body is a secret, because it holds
// the code where one is sent.
type Push struct {
	// Name is that of the message: the same message twice shows one banner.
	Name
	// To is the push token of the app install.
	To    Address
	Title string
	Body  Code
	// Code is what the person came for; the app gets it as its datum "code". Empty for an approval.
	Code Code
	Data map[string]string
	// Buttons tells that a plain yes or no is an answer, so that both may stand on the notification.
	Buttons bool
	// ExpiresAt is when the provider stops trying to hand it to the device.
	ExpiresAt time.Time
}
