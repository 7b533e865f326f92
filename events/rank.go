package events

// Rank orders the statuses of one message by how much they tell: a report of a higher rank stands above
// one of a lower, whenever it comes. Providers' receipts come out of order, and more than once.
func Rank(status string) int {
	switch status {
	case DeliveryRequested:
		return 1
	case DeliveryBegun:
		return 2
	case DeliveryRetrying, DeliveryUnknown:
		return 3
	case DeliverySent:
		return 4
	case DeliveryExpired, DeliveryUnanswered, DeliveryFailed:
		return 5
	case DeliveryDelivered:
		return 6
	default:
		return 0
	}
}
