package main

import (
	"slices"

	"github.com/assent-io/assent/services/device"
)

// enrolmentConfig is about the page where people enrol their own devices.
type enrolmentConfig struct {
	// Kinds are what can be added there; not set: all. A role does not know which carriers the others have.
	Kinds []string `koanf:"kinds"`
}

func (c enrolmentConfig) kinds() []device.Kind {
	if c.Kinds == nil {
		return enrolKinds()
	}
	kinds := make([]device.Kind, len(c.Kinds))
	for i, k := range c.Kinds {
		kinds[i] = device.Kind(k)
	}
	return kinds
}

func enrolKinds() []device.Kind {
	return []device.Kind{device.Phone, device.Mailbox, device.TOTP, device.Push}
}

func (c enrolmentConfig) check() []string {
	var faults []string
	for i, k := range c.kinds() {
		if !slices.Contains(enrolKinds(), k) || slices.Index(c.kinds(), k) < i {
			faults = append(faults, fault("enrolment.kinds", "entry %d: want phone, mailbox, totp and push, each once at most", i+1))
		}
	}
	if c.Kinds != nil && len(c.Kinds) == 0 {
		faults = append(faults, fault("enrolment.kinds", "want at least one of phone, mailbox, totp and push"))
	}
	return faults
}
