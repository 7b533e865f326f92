package httpapi

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/httpapi/contract"
	"github.com/assent-io/assent/services/verification"
)

// maxOrder is how many devices an order may name.
const maxOrder = 100

// OrderDevices says which devices a user is asked by first.
func (s *Server) OrderDevices(w http.ResponseWriter, r *http.Request, userID contract.UserID) {
	client, err := s.authenticate(w, r, credential.ManagePeople)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	request, _, f, err := decode[api.OrderDevices](s.shapes, w, r)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	if len(request.DeviceIDs) > maxOrder {
		f.add("device_ids", fmt.Sprintf("must have at most %d, not %d", maxOrder, len(request.DeviceIDs)))
	}
	if err := invalid(f); err != nil {
		s.fail(w, r, err)
		return
	}
	u, err := s.user(r, client.Account, userID)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	u, devices, err := s.order(r.Context(), client, u, request.DeviceIDs)
	if err != nil {
		s.fail(w, r, err)
		return
	}
	writeJSON(w, http.StatusOK, orderedUserWire(u, devices))
}

// order checks and stores the order, and returns the user with the devices as they are in it.
func (s *Server) order(ctx context.Context, client credential.Credential, u device.User, ids []string) (device.User, []device.Device, error) {
	devices, err := s.devicesInOrder(ctx, u)
	if err != nil {
		return u, nil, err
	}
	var f faults
	for i, id := range ids {
		switch field := "device_ids/" + strconv.Itoa(i); {
		case !slices.ContainsFunc(devices, func(d device.Device) bool { return d.ID == id }):
			f.add(field, "is not a registered device of this user")
		case slices.Index(ids, id) < i:
			f.add(field, "is there twice")
		}
	}
	if err := invalid(f); err != nil {
		return u, nil, err
	}
	e := audit.Entry{Action: audit.DevicesOrdered, Subject: u.ID, UserID: u.ID}
	if len(ids) > 0 {
		e.Details = map[string]string{"default_device_id": ids[0]}
	}
	if err := s.audited(ctx, client, e); err != nil {
		return u, nil, err
	}
	if u, err = s.config.Users.OrderDevices(ctx, client.Account, u.ID, ids); err != nil {
		return u, nil, fmt.Errorf("order devices: %w", err)
	}
	return u, device.InOrder(devices, u.DeviceOrder), nil
}

// devicesInOrder are the devices that a user may be asked by, their default first.
func (s *Server) devicesInOrder(ctx context.Context, u device.User) ([]device.Device, error) {
	devices, err := s.config.Users.Devices(ctx, u.Credential, u.ID)
	if err != nil && !errors.Is(err, verification.ErrNotFound) {
		return nil, fmt.Errorf("list devices of user: %w", err)
	}
	return device.InOrder(devices, u.DeviceOrder), nil
}

// orderedUserWire is a user with their devices, which come in order.
func orderedUserWire(u device.User, devices []device.Device) api.User {
	out := userWire(u)
	for _, d := range devices {
		out.DeviceOrder = append(out.DeviceOrder, d.ID)
	}
	if len(devices) > 0 {
		out.DefaultDeviceID = devices[0].ID
	}
	return out
}
