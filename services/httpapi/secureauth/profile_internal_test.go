package secureauth

import (
	"context"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/password"
	"github.com/assent-io/assent/services/realm"
)

func TestNumbersOfProfilesAreDialledAsTheirOwnersMeanThem(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"+14155550100": "+14155550100", "+1 (415) 555-0100": "+14155550100", "(415) 555-0100": "+14155550100", "415.555.0100": "+14155550100",
		"1-415-555-0100": "+14155550100", " 4155550100 ": "+14155550100", "0044 20 7946 0018": "+442079460018",
		"123-456-7890": "", "555-0100": "", "020 7946 0018": "", "": "", "call me": "", "+": "", "ana@example.com": "", "4155550100x12": "",
	} {
		require.Equal(t, want, dialable(typed), typed)
		_, err := e164(typed)
		require.Equal(t, want == "", err != nil, typed)
		if err != nil && len(typed) > 6 {
			require.NotContains(t, err.Error(), typed)
		}
	}
}

func TestAProfileIsKeptBesideWhatOtherDoorsKeep(t *testing.T) {
	t.Parallel()
	before := device.User{Username: "ana", Email: "ana@example.com", Phone: "+14155550100", Name: "Ana L.", GivenName: "Ana", Attributes: map[string]string{"title": `"Dr"`}}
	p, err := profileOf(before)
	require.NoError(t, err)
	require.Equal(t, map[string]string{"Phone1": "+14155550100"}, p.phones())
	require.Equal(t, map[string]string{"Email1": "ana@example.com"}, p.emails())
	p.set("phone3", "123-456-7890")
	p.visited(access{IPAddress: "192.0.2.1", At: time.Unix(1, 0).UTC(), AuthState: "Success"})
	after := before
	require.NoError(t, p.into(&after))
	require.Equal(t, map[string]string{"title": `"Dr"`}, before.Attributes, "a change that is not stored leaves no trace")
	require.Equal(t, `"Dr"`, after.Attributes["title"])
	require.Equal(t, "Ana L.", after.Name, "a name stays that nobody changed")
	require.NotContains(t, after.Attributes[profileAttribute], "ana@example.com")
	again, err := profileOf(after)
	require.NoError(t, err)
	require.Equal(t, p, again)
}

func TestAProfileThatDoesNotDecodeIsAnErrorOfOurs(t *testing.T) {
	t.Parallel()
	_, err := profileOf(device.User{Attributes: map[string]string{profileAttribute: "["}})
	require.Error(t, err)
	require.Equal(t, http.StatusInternalServerError, faultFor(err).code)
}

func TestAnAnswerIsRightHoweverItIsSpelled(t *testing.T) {
	t.Parallel()
	for typed, want := range map[string]string{
		"  New   York ": "new york", "STRASSE": "strasse", "Straße": "strasse", "ﬁne": "fine", "São Paulo": "são paulo",
	} {
		require.Equal(t, want, spoken(typed))
	}
}

// crowded is a Passwords that has no turns left.
type crowded struct{ Passwords }

func (crowded) Check(context.Context, string, string) (bool, error) {
	return false, password.ErrBusy
}

func TestAPasswordThatGetsNoTurnIsTriedLater(t *testing.T) {
	t.Parallel()
	_, err := check(t.Context(), crowded{}, "hash", "password")
	f := faultFor(err)
	require.Equal(t, http.StatusServiceUnavailable, f.code)
	require.Equal(t, "1", f.header.Get("Retry-After"))
}

func TestBlockRulesKnowEveryReason(t *testing.T) {
	t.Parallel()
	told := profile{Ported: map[string]ported{"+442079460018": {Carrier: &carrierInfo{Carrier: "Example", CarrierCode: "FR-EX", CountryCode: "FR", NetworkType: networkVirtual}}}}
	for name, x := range map[string]struct {
		block realm.Block
		want  []string
	}{
		"no rules":             {},
		"other rules":          {block: realm.Block{Countries: []string{"DE"}, NetworkTypes: []string{networkLandline}, Carriers: []string{"Other"}}},
		"the network":          {realm.Block{NetworkTypes: []string{"VIRTUAL"}}, []string{"networkType"}},
		"the number's land":    {realm.Block{Countries: []string{"gb"}}, []string{"country"}},
		"the carrier's land":   {realm.Block{Countries: []string{"FR"}}, []string{"country"}},
		"the carrier":          {realm.Block{Carriers: []string{"EXAMPLE"}}, []string{"carrier"}},
		"the carrier's code":   {realm.Block{Carriers: []string{"fr-ex"}}, []string{"carrier"}},
		"all at the same time": {realm.Block{Countries: []string{"GB"}, NetworkTypes: []string{networkVirtual}, Carriers: []string{"Example"}}, []string{"networkType", "country", "carrier"}},
	} {
		_, reasons, err := evaluate("+44 20 7946 0018", told, x.block)
		require.NoError(t, err)
		require.Equal(t, x.want, reasons, name)
	}
	_, _, err := evaluate(strings.Repeat("9", 50), told, realm.Block{})
	require.ErrorIs(t, err, errNoNumber)
}

func TestNetworksAreThoseOfTheRange(t *testing.T) {
	t.Parallel()
	for number, want := range map[string]string{
		"+4915123456789": networkMobile, "+442079460018": networkLandline, "+445600123456": networkVirtual, "+447640123456": networkPager,
		"+18005550199": networkTollFree, "+19005550199": networkPremium, "+19495550123": networkUnknown, "+11234567890": networkUnknown,
	} {
		n, _, err := evaluate(number, profile{}, realm.Block{})
		require.NoError(t, err, number)
		require.Equal(t, want, n.CurrentCarrier.NetworkType, number)
		require.Contains(t, networkTypes, want)
	}
}
