package httpapi

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/webpush"
	"github.com/assent-io/assent/services/address"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// CreateDevice registers a phone, a mailbox or an app install of a user.
func (s *Server) CreateDevice(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.CreateDevice](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d := device.Device{
		ID: uuid.Must(uuid.NewV7()).String(), UserID: userID, Credential: client.Account,
		Kind: device.Kind(request.Kind), Name: request.Name, CreatedAt: s.config.Now().UTC().Truncate(time.Millisecond),
	}
	f.text("name", request.Name, maxName)
	describeDevice(&f, request, &d)
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	if _, err := s.user(r, client.Account, userID); err != nil {
		s.fail(w, r, err)
		return
	}
	d, err = s.config.Users.CreateDevice(r.Context(), d)
	if err != nil {
		s.fail(w, r, fmt.Errorf("create device: %w", err))
		return
	}
	w.Header().Set("Location", "/v1/devices/"+d.ID)
	writeJSON(w, http.StatusCreated, deviceWire(d))
}

// describeDevice fills in the address of a phone or mailbox, or what reaches and recognises an app.
func describeDevice(f *faults, request api.CreateDevice, d *device.Device) {
	var err error
	switch request.Kind {
	case api.DeviceKindPhone:
		d.Address, err = address.Phone(request.Address)
	case api.DeviceKindMailbox:
		d.Address, err = address.Mailbox(request.Address)
	case api.DeviceKindApp:
		if request.Address != "" {
			f.add("address", "goes with a phone or mailbox; an app has a push_token")
		}
		describeApp(f, request, d)
		if d.Address == "" {
			d.Address = webpush.Page(d.ID)
		}
		return
	default:
		f.add("kind", "must be phone, mailbox or push")
		return
	}
	if request.Address == "" {
		f.add("address", "is required")
	} else if err != nil {
		f.add("address", err.Error())
	}
	for name, given := range map[string]bool{
		"platform": request.Platform != "", "push_token": request.PushToken != "", "public_key": request.PublicKey != "",
	} {
		if given {
			f.add(name, "goes with the kind push only")
		}
	}
}

func describeApp(f *faults, request api.CreateDevice, d *device.Device) {
	d.Platform = string(request.Platform)
	if !request.Platform.Valid() {
		f.add("platform", "must be apns, fcm or webpush")
	}
	d.Address = readPushToken(f, request.Platform, request.PushToken)
	if request.PublicKey == "" {
		f.add("public_key", "is required")
		return
	}
	var err error
	d.PublicKey, err = decodeKey(request.PublicKey)
	if err == nil {
		err = device.CheckPublicKey(d.PublicKey)
	}
	if err != nil {
		f.add("public_key", "must be a P-256 public key as SubjectPublicKeyInfo (DER) in base64")
	}
}

// readPushToken finds what is wrong with what an app got from Apple, Firebase or its browser, and returns
// it as it is kept.
func readPushToken(f *faults, platform api.Platform, token string) string {
	if platform == api.PlatformWebPush && token != "" {
		s, err := webpush.Parse(token)
		if err != nil {
			f.add("push_token", err.Error())
		}
		token = s.Token() // browsers put spaces and members into it that are not needed
	}
	switch {
	case token == "" && platform == api.PlatformWebPush: // a page that nothing reaches
	case token == "":
		f.add("push_token", "is required")
	case webpush.IsPage(token): // what stands for none is not for clients to say
		f.add("push_token", "must be what the app got from Apple or Firebase")
	case len(token) > maxPushToken || !visibleASCII(token):
		f.add("push_token", fmt.Sprintf("must be at most %d visible ASCII characters", maxPushToken))
	case platform == api.PlatformAPNs:
		if raw, err := hex.DecodeString(token); err != nil || len(raw) < 32 || len(raw) > 100 {
			f.add("push_token", "must be an APNs token: 64 or more hexadecimal digits")
		}
	}
	return token
}

// given is a text that may be empty, or not there.
func given(text *string) string {
	if text == nil {
		return ""
	}
	return *text
}

// decodeKey takes base64 in both alphabets, padded or not: phones differ.
func decodeKey(s string) ([]byte, error) {
	if len(s) > maxEncodedKey {
		return nil, device.ErrKey
	}
	b, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(strings.NewReplacer("-", "+", "_", "/").Replace(s), "="))
	if err != nil {
		return nil, device.ErrKey
	}
	return b, nil
}

// ListDevices lists a user's devices in the order in which they are asked.
func (s *Server) ListDevices(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.authenticate(w, r, credential.ReadPeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	u, err := s.user(r, client.Account, userID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	devices, err := s.devicesInOrder(r.Context(), u)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	list := api.DeviceList{Data: make([]api.Device, 0, len(devices))}
	for i, d := range devices {
		listed, err := s.deviceShown(r.Context(), client, d)
		if err != nil {
			s.fail(w, r, err)
			return
		}
		listed.Default = i == 0
		list.Data = append(list.Data, listed)
	}
	writeJSON(w, http.StatusOK, list)
}

// GetDevice reads a device.
func (s *Server) GetDevice(w http.ResponseWriter, r *http.Request, id contract.DeviceID) {
	client, err := s.authenticate(w, r, credential.ReadPeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	d, err := s.device(r.Context(), client.Account, id)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	shown, err := s.deviceShown(r.Context(), client, d)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, shown)
}

// deviceShown is a device with what is known of its use: when an app install was last used, and whether its provider
// said that it is gone.
func (s *Server) deviceShown(ctx context.Context, by credential.Credential, d device.Device) (api.Device, error) {
	out := deviceWire(d)
	if d.Kind != device.Push {
		return out, nil
	}
	at, err := s.config.Proofs.LastUsed(ctx, d.ID)
	if err != nil {
		return out, fmt.Errorf("read last use of device: %w", err)
	}
	if !at.IsZero() {
		at = at.UTC()
		out.LastUsedAt = &at
	}
	if s.config.Listed == nil {
		return out, nil
	}
	destination, err := s.config.Notifications.Destination(string(events.Push), d.Address)
	if err != nil {
		return out, fmt.Errorf("hash push token: %w", err)
	}
	cause, listed, err := s.config.Listed.Suppressed(ctx, by.Account, by.ClientID, destination, events.LaneVerification)
	if err != nil {
		return out, fmt.Errorf("look up suppression of device: %w", err)
	}
	if listed && cause == events.CauseDeviceGone {
		out.Unreachable = cause
	}
	return out, nil
}

// DeleteDevice removes a device.
func (s *Server) DeleteDevice(w http.ResponseWriter, r *http.Request, id contract.DeviceID) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if _, err := s.device(r.Context(), client.Account, id); err != nil {
		s.fail(w, r, err)
		return
	}
	if err := s.config.Users.DeleteDevice(r.Context(), client.Account, id); err != nil {
		s.fail(w, r, fmt.Errorf("delete device: %w", err))
		return
	}
	w.WriteHeader(http.StatusNoContent)
}

// device reads a device that may be asked. One that its owner has not proved yet exists in the door
// that enrols it only.
func (s *Server) device(ctx context.Context, account, id string) (device.Device, error) {
	if !events.ValidID(id) {
		return device.Device{}, verification.ErrNotFound
	}
	d, err := s.config.Users.Device(ctx, account, id)
	if err != nil {
		return d, fmt.Errorf("read device: %w", err)
	}
	if !d.Active() {
		return device.Device{}, verification.ErrNotFound
	}
	return d, nil
}

func deviceWire(d device.Device) api.Device {
	out := api.Device{
		ID: d.ID, UserID: d.UserID, Kind: api.DeviceKind(d.Kind), Name: d.Name, Platform: api.Platform(d.Platform),
		CreatedAt: d.CreatedAt.UTC(),
	}
	if d.Kind == device.Phone || d.Kind == device.Mailbox {
		out.Address = device.Mask(d.Kind, d.Address)
	}
	for _, c := range d.Kind.Channels() {
		out.Channels = append(out.Channels, api.Channel(c))
	}
	return out
}
