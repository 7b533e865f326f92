package events

// Rank orders what can be said of one attempt to deliver a message, by how much it says. Reports come from
// the worker and from the provider, late and out of order: of those about one attempt the highest counts,
// and one that is not higher than what is known says nothing new. Zero is for what speaks of no attempt.
func Rank(status string) int {
	switch status {
	case DeliveryBegun:
		return 1
	case DeliveryRetrying, DeliveryUnknown: // what the caller made of an answer that was none
		return 2
	case DeliverySent:
		return 3
	case DeliveryUnanswered, DeliveryFailed, DeliveryExpired: // carriers give up, and are wrong about it at times
		return 4
	case DeliveryDelivered: // the device has it, whatever was said before
		return 5
	default:
		return 0
	}
}
