package secureauth

import (
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"
	"golang.org/x/text/language"
	"golang.org/x/text/language/display"

	"github.com/assent-io/assent/services/realm"
)

// The types of networks.
const (
	networkMobile   = "mobile"
	networkLandline = "landline"
	networkVirtual  = "virtual"
	networkPager    = "pager"
	networkTollFree = "toll_free"
	networkPremium  = "premium"
	// networkUnknown is also where a plan gives mobile and fixed numbers the same ranges, as North America's
	// does. No rule blocks it: it would block a whole country.
	networkUnknown = "unknown"
)

var networkTypes = []string{networkMobile, networkLandline, networkVirtual, networkPager, networkTollFree, networkPremium, networkUnknown}

// The reasons for which a number is blocked.
const (
	blockedByNetwork = "networkType"
	blockedByCountry = "country"
	blockedByCarrier = "carrier"
)

// networkOf is the type of network that a number's range belongs to.
func networkOf(n *phonenumbers.PhoneNumber) string {
	switch phonenumbers.GetNumberType(n) {
	case phonenumbers.MOBILE:
		return networkMobile
	case phonenumbers.FIXED_LINE:
		return networkLandline
	case phonenumbers.VOIP, phonenumbers.PERSONAL_NUMBER, phonenumbers.UAN:
		return networkVirtual
	case phonenumbers.PAGER:
		return networkPager
	case phonenumbers.TOLL_FREE:
		return networkTollFree
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST:
		return networkPremium
	case phonenumbers.FIXED_LINE_OR_MOBILE, phonenumbers.VOICEMAIL, phonenumbers.UNKNOWN:
		return networkUnknown
	default:
		return networkUnknown
	}
}

// carrierCode names a range where no carrier's own code is known: the country and the kind of network.
func carrierCode(region, network string) string {
	if network == networkLandline {
		network = "fixed"
	}
	return strings.Trim(region+"-"+strings.ToUpper(network), "-")
}

// countryOf is the three-letter code and the English name of a region; empty for numbers of no country.
func countryOf(region string) (code, name string) {
	r, err := language.ParseRegion(region)
	if err != nil || !r.IsCountry() {
		return "", ""
	}
	if region == "US" { // the tables have its everyday name
		return "USA", "United States of America"
	}
	return r.ISO3(), display.English.Regions().Name(r)
}

// blocks are the reasons for which a realm sends nothing to a number of this country, carrier and network.
func blocks(b realm.Block, region string, c carrier) []string {
	var reasons []string
	if contains(b.NetworkTypes, c.NetworkType) {
		reasons = append(reasons, blockedByNetwork)
	}
	if contains(b.Countries, region) || contains(b.Countries, c.CountryCode) {
		reasons = append(reasons, blockedByCountry)
	}
	if contains(b.Carriers, c.Carrier) || contains(b.Carriers, c.CarrierCode) {
		reasons = append(reasons, blockedByCarrier)
	}
	return reasons
}

// contains looks for a word in either case of letters; an empty one is never there.
func contains(list []string, word string) bool {
	return word != "" && slices.ContainsFunc(list, func(s string) bool { return strings.EqualFold(s, word) })
}
