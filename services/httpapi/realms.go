package httpapi

import (
	"encoding/hex"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"time"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/realm"
	"github.com/assent-io/assent/services/verification"
)

// The limits of what a realm may be set to. They stand in the API document too.
const (
	maxRealmBrand   = 40
	maxRealmMethods = 20
	maxCountries    = 250
	maxNetworkTypes = 6
	maxCarriers     = 100
	maxCarrier      = 100
	maxOverlap      = 7 * 24 * time.Hour
)

var countryForm = regexp.MustCompile(`^[A-Z]{2}$`)

func networkTypes() []string {
	return []string{"mobile", "landline", "virtual", "pager", "toll_free", "premium"}
}

// CreateRealm makes a realm of the own account, and tells its key this once.
func (s *Server) CreateRealm(w http.ResponseWriter, r *http.Request) {
	client, err := s.authenticate(w, r, credential.ManageCredentials)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.CreateRealm](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if !realm.ValidName(request.Name) {
		f.add("name", "must be 1 to 64 letters, digits, dashes or underscores, the first a letter or digit, and not the first part of another path")
	}
	if request.AppID != "" && !realm.ValidAppID(request.AppID) {
		f.add("app_id", "must be 32 hexadecimal digits")
	}
	var key []byte
	if request.AppKey != "" {
		if !realm.ValidKey(request.AppKey) {
			f.add("app_key", "must be 64 hexadecimal digits")
		}
		key, _ = hex.DecodeString(request.AppKey) // what it refuses is a fault already
	}
	var sent api.RealmSettings
	if request.Settings != nil {
		sent = *request.Settings
	}
	f.realmSettings(sent)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	fresh := realm.Realm{
		Name: request.Name, AppID: request.AppID, Account: client.Account,
		CreatedAt: s.config.Now().UTC().Truncate(time.Millisecond),
	}
	mergeSettings(&fresh.Settings, sent)
	made, key, err := s.config.Realms.CreateRealm(r.Context(), fresh, key)
	if err != nil {
		s.fail(w, r, fmt.Errorf("create realm: %w", err))
		return
	}
	w.Header().Set("Location", "/v1/realms/"+made.Name)
	writeJSON(w, http.StatusCreated, keyedRealmWire(made, key))
}

// ListRealms lists the realms of the own account.
func (s *Server) ListRealms(w http.ResponseWriter, r *http.Request) {
	client, err := s.authenticate(w, r, credential.ManageCredentials)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	realms, err := s.config.Realms.Realms(r.Context(), client.Account)
	if err != nil {
		s.fail(w, r, fmt.Errorf("list realms: %w", err))
		return
	}
	list := api.RealmList{Data: make([]api.Realm, 0, len(realms))}
	for _, x := range realms {
		list.Data = append(list.Data, realmWire(x))
	}
	writeJSON(w, http.StatusOK, list)
}

// GetRealm reads a realm of the own account.
func (s *Server) GetRealm(w http.ResponseWriter, r *http.Request, name contract.RealmName) {
	client, err := s.managesRealm(w, r, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	x, err := s.config.Realms.RealmByName(r.Context(), client.Account, name)
	if err != nil {
		s.fail(w, r, fmt.Errorf("read realm: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, realmWire(x))
}

// UpdateRealm changes the settings that are sent and leaves the rest.
func (s *Server) UpdateRealm(w http.ResponseWriter, r *http.Request, name contract.RealmName) {
	client, err := s.managesRealm(w, r, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.UpdateRealm](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	f.realmSettings(request.Settings)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	x, err := s.config.Realms.UpdateRealm(r.Context(), client.Account, name, func(to *realm.Settings) {
		mergeSettings(to, request.Settings)
	})
	if err != nil {
		s.fail(w, r, fmt.Errorf("update realm: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, realmWire(x))
}

// DeleteRealm removes a realm of the own account.
func (s *Server) DeleteRealm(w http.ResponseWriter, r *http.Request, name contract.RealmName) {
	client, err := s.managesRealm(w, r, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.config.Realms.DeleteRealm(r.Context(), client.Account, name); err != nil {
		s.fail(w, r, fmt.Errorf("remove realm: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// RotateRealm gives a realm another key, and tells it this once.
func (s *Server) RotateRealm(w http.ResponseWriter, r *http.Request, name contract.RealmName) {
	client, err := s.managesRealm(w, r, name)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.RotateRealm](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	f.between("overlap", request.Overlap, 0, int(maxOverlap/time.Second))
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	x, key, err := s.config.Realms.RotateRealm(r.Context(), client.Account, name, time.Duration(request.Overlap)*time.Second)
	if err != nil {
		s.fail(w, r, fmt.Errorf("rotate realm: %w", err))
		return
	}
	writeJSON(w, http.StatusOK, keyedRealmWire(x, key))
}

// managesRealm authenticates a client that may manage realms. A name that cannot be one never reaches
// the store.
func (s *Server) managesRealm(w http.ResponseWriter, r *http.Request, name string) (credential.Credential, error) {
	client, err := s.authenticate(w, r, credential.ManageCredentials)
	if err == nil && !realm.ValidName(name) {
		err = verification.ErrNotFound
	}
	return client, err
}

func (f *faults) between(field string, n, least, most int) {
	if n < least || n > most {
		f.add(field, fmt.Sprintf("must be %d to %d", least, most))
	}
}

// realmSettings checks what is sent of a realm's settings.
func (f *faults) realmSettings(s api.RealmSettings) {
	if s.Brand != nil {
		f.sentText("settings/brand", *s.Brand, maxRealmBrand)
	}
	if s.Methods != nil {
		f.chosen("settings/methods", *s.Methods, maxRealmMethods, realm.Methods())
	}
	if s.Life != nil {
		f.between("settings/life", *s.Life, int(realm.MinLife/time.Second), int(realm.MaxLife/time.Second))
	}
	f.limit("settings/attempts", s.Attempts)
	f.limit("settings/validations", s.Validations)
	if s.Block == nil {
		return
	}
	f.chosen("settings/block/network_types", networkNames(s.Block.NetworkTypes), maxNetworkTypes, networkTypes())
	if f.atMost("settings/block/countries", len(s.Block.Countries), maxCountries) {
		for i, c := range s.Block.Countries {
			if !countryForm.MatchString(c) {
				f.add(element("settings/block/countries", i), "must be two capital letters (ISO 3166)")
			}
		}
	}
	if f.atMost("settings/block/carriers", len(s.Block.Carriers), maxCarriers) {
		for i, c := range s.Block.Carriers {
			f.text(element("settings/block/carriers", i), c, maxCarrier)
		}
	}
}

func element(field string, i int) string { return field + "/" + strconv.Itoa(i) }

// atMost tells whether a list is short enough to be looked through.
func (f *faults) atMost(field string, n, most int) bool {
	if n > most {
		f.add(field, fmt.Sprintf("must be at most %d, not %d", most, n))
	}
	return n <= most
}

// chosen checks that every text of a list is one of those that there are.
func (f *faults) chosen(field string, given []string, most int, known []string) {
	if !f.atMost(field, len(given), most) {
		return
	}
	for i, g := range given {
		if !slices.Contains(known, g) {
			f.add(element(field, i), "must be "+choice(known))
		}
	}
}

func (f *faults) limit(field string, l *api.RealmLimit) {
	if l == nil {
		return
	}
	f.between(field+"/count", l.Count, 0, realm.MaxCount)
	least := 0
	if l.Count > 0 {
		least = 1
	}
	f.between(field+"/window", l.Window, least, int(realm.MaxWindow/time.Second))
}

// mergeSettings puts what is sent in the place of what was there.
func mergeSettings(to *realm.Settings, s api.RealmSettings) {
	if s.Brand != nil {
		to.Brand = *s.Brand
	}
	if s.Methods != nil {
		to.Methods = distinct(*s.Methods)
	}
	if s.EchoOtp != nil {
		to.EchoOTP = *s.EchoOtp
	}
	if s.StatesAsFound != nil {
		to.StatesAsFound = *s.StatesAsFound
	}
	if s.Life != nil {
		to.Life = time.Duration(*s.Life) * time.Second
	}
	if s.Attempts != nil {
		to.Attempts = limitOf(*s.Attempts)
	}
	if s.Validations != nil {
		to.Validations = limitOf(*s.Validations)
	}
	if s.Block == nil {
		return
	}
	if s.Block.Countries != nil {
		to.Block.Countries = distinct(s.Block.Countries)
	}
	if s.Block.NetworkTypes != nil {
		to.Block.NetworkTypes = distinct(networkNames(s.Block.NetworkTypes))
	}
	if s.Block.Carriers != nil {
		to.Block.Carriers = distinct(s.Block.Carriers)
	}
}

func networkNames(types []api.RealmBlockNetworkTypes) []string {
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = string(t)
	}
	return names
}

// distinct is a list without repetitions, in its order.
func distinct(list []string) []string {
	var once []string
	for _, s := range list {
		if !slices.Contains(once, s) {
			once = append(once, s)
		}
	}
	return once
}

// limitOf keeps a window where there is no limit: a limit with neither is one that is not set.
func limitOf(l api.RealmLimit) realm.Limit {
	limit := realm.Limit{Count: l.Count, Window: time.Duration(l.Window) * time.Second}
	if limit == (realm.Limit{}) {
		limit.Window = realm.MaxWindow
	}
	return limit
}

func realmWire(x realm.Realm) api.Realm {
	wire := api.Realm{Name: x.Name, AppID: x.AppID, Settings: settingsWire(x.Settings.Complete()), CreatedAt: x.CreatedAt.UTC()}
	if !x.RotatedAt.IsZero() {
		at := x.RotatedAt.UTC()
		wire.RotatedAt = &at
	}
	return wire
}

func keyedRealmWire(x realm.Realm, key []byte) api.CreatedRealm {
	wire := realmWire(x)
	return api.CreatedRealm{
		Name: wire.Name, AppID: wire.AppID, Settings: wire.Settings, CreatedAt: wire.CreatedAt, RotatedAt: wire.RotatedAt,
		AppKey: hex.EncodeToString(key),
	}
}

func settingsWire(s realm.Settings) api.RealmSettings {
	seconds := func(d time.Duration) int { return int(d / time.Second) }
	limit := func(l realm.Limit) *api.RealmLimit { return &api.RealmLimit{Count: l.Count, Window: seconds(l.Window)} }
	methods, life := append([]string{}, s.Methods...), seconds(s.Life) // a list that is empty is one
	block := api.RealmBlock{Countries: s.Block.Countries, Carriers: s.Block.Carriers}
	for _, k := range s.Block.NetworkTypes {
		block.NetworkTypes = append(block.NetworkTypes, api.RealmBlockNetworkTypes(k))
	}
	return api.RealmSettings{
		Brand: &s.Brand, Methods: &methods, EchoOtp: &s.EchoOTP, StatesAsFound: &s.StatesAsFound, Life: &life,
		Attempts: limit(s.Attempts), Validations: limit(s.Validations), Block: &block,
	}
}
