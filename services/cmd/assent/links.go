package main

import (
	"net/netip"

	"github.com/assent-io/assent/services/httpapi/accept"
)

// linksConfig is about the pages behind links.
type linksConfig struct {
	// ScannerNetworks are where scanners of mail call from; not set: accept.ScannerNetworks. An empty list has none.
	ScannerNetworks []string `koanf:"scanner_networks"`
}

// networks reads the list, and says what in it is no network.
func (c linksConfig) networks() (networks []netip.Prefix, faults []string) {
	written := c.ScannerNetworks
	if written == nil {
		written = accept.ScannerNetworks()
	}
	for i, one := range written {
		network, err := netip.ParsePrefix(one)
		if err != nil {
			faults = append(faults, fault("links.scanner_networks", "entry %d: want a network such as 40.92.0.0/15 or 2a01:111:f400::/48", i+1))
			continue
		}
		networks = append(networks, network.Masked())
	}
	return networks, faults
}
