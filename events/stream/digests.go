package stream

import "math/bits"

// digests is a set of hashes, of a million in some twelve megabytes: a map of Go takes three times as much. Its
// zero value is empty.
type digests struct {
	slots []uint64 // open addressing: a hash stands at its home or in the first free slot after; 0 is free
	n     int
}

const (
	firstSlots = 64
	// At most four of five slots are taken, and a full set grows by a quarter.
	mostTaken, ofSlots = 4, 5
)

func (d *digests) len() int { return d.n }

func (d *digests) has(h uint64) bool {
	if d.n == 0 {
		return false
	}
	_, found := d.find(solid(h))
	return found
}

func (d *digests) add(h uint64) {
	if (d.n+1)*ofSlots > len(d.slots)*mostTaken {
		d.grow()
	}
	if at, found := d.find(solid(h)); !found {
		d.slots[at] = solid(h)
		d.n++
	}
}

func (d *digests) remove(h uint64) {
	if d.n == 0 {
		return
	}
	free, found := d.find(solid(h))
	if !found {
		return
	}
	d.n--
	// What was pushed aside by it, or by others that were, moves up, so that no search ends early.
	for at := d.next(free); d.slots[at] != 0; at = d.next(at) {
		home := d.home(d.slots[at])
		stays := home > free && home <= at
		if at < free {
			stays = home > free || home <= at
		}
		if !stays {
			d.slots[free] = d.slots[at]
			free = at
		}
	}
	d.slots[free] = 0
}

func (d *digests) clear() { *d = digests{} }

func (d *digests) grow() {
	old := d.slots
	d.slots = make([]uint64, max(firstSlots, len(old)+len(old)/4))
	for _, h := range old {
		if h != 0 {
			at, _ := d.find(h)
			d.slots[at] = h
		}
	}
}

// find is where a hash stands, or would.
func (d *digests) find(h uint64) (at int, found bool) {
	for at = d.home(h); d.slots[at] != 0; at = d.next(at) {
		if d.slots[at] == h {
			return at, true
		}
	}
	return at, false
}

// home is the slot that a hash falls on: the same part of the slots as of all hashes.
func (d *digests) home(h uint64) int {
	part, _ := bits.Mul64(h, uint64(len(d.slots)))
	return int(part) //nolint:gosec // less than the number of slots
}

func (d *digests) next(at int) int {
	if at++; at < len(d.slots) {
		return at
	}
	return 0
}

// solid keeps a hash apart from a free slot.
func solid(h uint64) uint64 { return max(h, 1) }
