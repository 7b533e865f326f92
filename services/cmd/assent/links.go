package main

import (
	"net/netip"
	"strconv"

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
	for _, one := range written {
		network, err := netip.ParsePrefix(one)
		if err != nil {
			faults = append(faults, fault("links.scanner_networks", "%s: want networks such as 40.92.0.0/15 or 2a01:111:f400::/48", strconv.Quote(one)))
			continue
		}
		networks = append(networks, network.Masked())
	}
	return networks, faults
}
