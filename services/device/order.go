package device

import (
	"cmp"
	"slices"
)

// InOrder are the devices that may be asked, in the order in which the user is asked by them: those that order names
// first, as it has them, and then the others as they were registered. Ids in order that are none of the devices' are
// passed over, so that a device which goes leaves the others as they stand.
func InOrder(devices []Device, order []string) []Device {
	active := slices.DeleteFunc(slices.Clone(devices), func(d Device) bool { return !d.Active() })
	rank := func(d Device) int {
		if i := slices.Index(order, d.ID); i >= 0 {
			return i
		}
		return len(order)
	}
	slices.SortStableFunc(active, func(a, b Device) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), a.CreatedAt.Compare(b.CreatedAt), cmp.Compare(a.ID, b.ID))
	})
	return active
}
