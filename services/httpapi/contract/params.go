// Package contract is the public API as Go sees it: an interface with one method for
// every operation of the OpenAPI document, and the routes that lead to them. It is
// generated, so an operation without a handler does not compile. Package httpapi
// implements it; nobody else uses it.
package contract

import "github.com/assent-io/assent/api"

// The parameters of the operations are wire types, so they are generated beside the document.
type (
	// VerificationID is a path parameter.
	VerificationID = api.VerificationID
	// UserID is a path parameter.
	UserID = api.UserID
	// DeviceID is a path parameter.
	DeviceID = api.DeviceID
	// IdempotencyKey is a header.
	IdempotencyKey = api.IdempotencyKey
	// Wait is a query parameter.
	Wait = api.Wait
	// Prefer is a header.
	Prefer = api.Prefer
	// IfNoneMatch is a header.
	IfNoneMatch = api.IfNoneMatch
	// CreateVerificationParams are the headers of a create.
	CreateVerificationParams = api.CreateVerificationParams
	// GetVerificationParams are the query and headers of a read.
	GetVerificationParams = api.GetVerificationParams
	// StreamVerificationParams are the headers of an event stream.
	StreamVerificationParams = api.StreamVerificationParams
	// ListUsersParams are the query of a list.
	ListUsersParams = api.ListUsersParams
	// ListAuditParams are the query of a list.
	ListAuditParams = api.ListAuditParams
	// ChangePhoneParams are the headers of a change.
	ChangePhoneParams = api.ChangePhoneParams
	// ListDeadLettersParams are the query of a list.
	ListDeadLettersParams = api.ListDeadLettersParams
	// ProviderName is a path parameter.
	ProviderName = api.ProviderName
	// NotificationID is a path parameter.
	NotificationID = api.NotificationID
	// NotificationIdempotencyKey is a header.
	NotificationIdempotencyKey = api.NotificationIdempotencyKey
	// CreateNotificationParams are the headers of a create.
	CreateNotificationParams = api.CreateNotificationParams
	// ListMessagesParams are the query of a list.
	ListMessagesParams = api.ListMessagesParams
	// DeadLetterID is a path parameter.
	DeadLetterID = api.DeadLetterID
	// ListSuppressionsParams are the query of a list.
	ListSuppressionsParams = api.ListSuppressionsParams
	// SuppressionID is a path parameter.
	SuppressionID = api.SuppressionID
	// TemplateName is a path parameter.
	TemplateName = api.TemplateName
	// GetTemplateParams are the query of a read.
	GetTemplateParams = api.GetTemplateParams
	// PutTemplateParams are the headers of a save.
	PutTemplateParams = api.PutTemplateParams
	// EnrolmentID is a path parameter.
	EnrolmentID = api.EnrolmentID
	// BypassTokenID is a path parameter.
	BypassTokenID = api.BypassTokenID
	// ClientID is a path parameter.
	ClientID = api.ClientID
	// RealmName is a path parameter.
	RealmName = api.RealmName
	// JoinPhoneParams are the headers of a phone that joins.
	JoinPhoneParams = api.JoinPhoneParams
	// CountPhoneParams are the headers of a count.
	CountPhoneParams = api.CountPhoneParams
	// TryPhoneParams are the headers of a trial.
	TryPhoneParams = api.TryPhoneParams
	// GetPromptStateParams are the query and headers of a look at one question.
	GetPromptStateParams = api.GetPromptStateParams
	// ListPromptsParams are the query and headers of a look for prompts.
	ListPromptsParams = api.ListPromptsParams
)
