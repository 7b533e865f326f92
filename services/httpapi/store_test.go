package httpapi_test

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/services/audit"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/letter"
	"github.com/assent-io/assent/services/verification"
)

// memory is every store the server needs, in memory. It keeps codes in clear, as no real store may.
type memory struct {
	mu        sync.Mutex
	now       func() time.Time
	records   map[string]record
	changed   chan struct{} // closed and renewed with each change
	clients   []client
	realms    []keyedRealm
	letters   []letter.Letter
	audit     []audit.Entry
	users     []device.User
	devices   []device.Device
	responses []events.ResponseReceived
	proofs    []events.ApprovalProved
	used      map[string]time.Time
	steps     []events.DeliverySettled
	// err, where set, is what the next store calls fail with.
	err error
	// createErr, where set, is what creates fail with.
	createErr error
	// panics, where set, is what the next Get panics with.
	panics any
	// parked counts the calls of Await that have begun, for tests that must know that somebody waits.
	parked chan struct{}
}

type record struct {
	v    verification.Verification
	a    verification.Activation
	body string
}

func newMemory(now func() time.Time) *memory {
	return &memory{clients: newClients(), now: now, records: map[string]record{}, changed: make(chan struct{}), parked: make(chan struct{}, 1000)}
}

func (m *memory) fail(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.err = err
}

// lock returns the error that the test wants.
func (m *memory) lock() error {
	m.mu.Lock()
	return m.err
}

func (m *memory) Create(_ context.Context, a verification.Activation) (verification.Verification, bool, error) {
	err := m.lock()
	defer m.mu.Unlock()
	if err = firstErr(err, m.createErr); err != nil {
		return verification.Verification{}, false, err
	}
	if known, ok := m.records[a.Verification.ID]; ok {
		if known.body != string(a.Body) {
			return verification.Verification{}, false, verification.ErrIdempotencyMismatch
		}
		return known.v, true, nil
	}
	a.Verification.SecretHash = []byte(a.Secrets.Code.Reveal() + a.Secrets.Token.Reveal())
	m.records[a.Verification.ID] = record{a.Verification, a, string(a.Body)}
	return a.Verification, false, nil
}

func (m *memory) Get(_ context.Context, id string) (verification.Verification, error) {
	err := m.lock()
	defer m.mu.Unlock()
	if m.panics != nil {
		panic(m.panics)
	}
	if err != nil {
		return verification.Verification{}, err
	}
	r, ok := m.records[id]
	if !ok {
		return verification.Verification{}, verification.ErrNotFound
	}
	return r.v.At(m.now()), nil
}

func (m *memory) Check(ctx context.Context, id string, code verification.Code) (verification.Verification, bool, error) {
	v, err := m.Resolve(ctx, id, verification.Checked{Hash: []byte(code.Reveal())})
	return v, v.Status == verification.Approved, err
}

func (m *memory) Resolve(_ context.Context, id string, f verification.Fact) (verification.Verification, error) {
	err := m.lock()
	defer m.mu.Unlock()
	r, ok := m.records[id]
	if err != nil || !ok {
		return verification.Verification{}, firstErr(err, verification.ErrNotFound)
	}
	v, err := verification.Apply(r.v, f, m.now())
	if err != nil {
		return v, err
	}
	v.Revision++
	r.v = v
	m.store(id, r)
	return v, nil
}

func firstErr(a, b error) error {
	if a != nil {
		return a
	}
	return b
}

func (m *memory) store(id string, r record) {
	m.records[id] = r
	close(m.changed)
	m.changed = make(chan struct{})
}

func (m *memory) Resend(_ context.Context, id string) (verification.Verification, error) {
	err := m.lock()
	defer m.mu.Unlock()
	if err != nil {
		return verification.Verification{}, err
	}
	r := m.records[id]
	if r.v = r.v.At(m.now()); r.v.Status.Closed() {
		return verification.Verification{}, verification.ErrClosed // without the verification, as a store may
	}
	r.v.Sends++
	r.v.Revision++
	m.store(id, r)
	return r.v, nil
}

func (m *memory) Await(ctx context.Context, id string, seen uint64) (*verification.Verification, error) {
	m.parked <- struct{}{}
	for {
		m.mu.Lock()
		v, changed, err := m.records[id].v.At(m.now()), m.changed, m.err
		m.mu.Unlock()
		if err != nil {
			return nil, err
		}
		if v.Revision != seen || v.Status.Closed() {
			return &v, nil
		}
		expiry := time.NewTimer(v.ExpiresAt.Sub(m.now()))
		select {
		case <-changed:
		case <-expiry.C:
		case <-ctx.Done():
			v = v.At(m.now())
			return &v, nil
		}
		expiry.Stop()
	}
}

func (m *memory) Deliveries(context.Context, string) ([]events.DeliverySettled, error) {
	err := m.lock()
	defer m.mu.Unlock()
	return m.steps, err
}

func (m *memory) PushKey(_ context.Context, id, _ string) ([]byte, error) {
	err := m.lock()
	defer m.mu.Unlock()
	return m.records[id].a.PublicKey, err
}

func (m *memory) NumberHash(_ context.Context, id, digits string) ([]byte, error) {
	err := m.lock()
	defer m.mu.Unlock()
	if r, ok := m.records[id]; err == nil && (!ok || r.v.NumberLength == 0) {
		err = verification.ErrChallenge
	}
	return []byte("hash of " + digits), err
}

// saltFor is what phones sign their numbers under.
func saltFor(id string) string { return "salt of " + id }

func (m *memory) NumberSalt(_ context.Context, id string) (string, error) {
	err := m.lock()
	defer m.mu.Unlock()
	return saltFor(id), err
}

func (m *memory) Choices(_ context.Context, id string) ([]string, error) {
	err := m.lock()
	defer m.mu.Unlock()
	return m.records[id].a.Choices, err
}

func (m *memory) MatchNumber(_ context.Context, v verification.Verification) (verification.Code, error) {
	err := m.lock()
	defer m.mu.Unlock()
	if v.NumberLength == 0 || v.Status.Closed() {
		return "", err
	}
	return m.records[v.ID].a.Secrets.Number, err
}

func (m *memory) Proof(_ context.Context, account, id string) (events.ApprovalProved, error) {
	err := m.lock()
	defer m.mu.Unlock()
	for _, e := range m.proofs {
		if e.Account == account && e.ID == id {
			return e, err
		}
	}
	return events.ApprovalProved{}, firstErr(err, verification.ErrNotFound)
}

func (m *memory) LastUsed(_ context.Context, deviceID string) (time.Time, error) {
	err := m.lock()
	defer m.mu.Unlock()
	return m.used[deviceID], err
}

func (m *memory) Record(_ context.Context, e audit.Entry) error {
	err := m.lock()
	defer m.mu.Unlock()
	if err == nil {
		e.ID = uint64(len(m.audit) + 1)
		m.audit = append(m.audit, e)
	}
	return err
}

func (m *memory) RecordOnce(ctx context.Context, e audit.Entry) (bool, error) {
	m.mu.Lock()
	told := slices.ContainsFunc(m.audit, func(x audit.Entry) bool { return x.Action == e.Action && x.EventID == e.EventID })
	m.mu.Unlock()
	if told {
		return false, nil
	}
	return true, m.Record(ctx, e)
}

func (m *memory) Entries(_ context.Context, account string, f audit.Filter) (page []audit.Entry, next uint64, err error) {
	err = m.lock()
	defer m.mu.Unlock()
	for _, e := range slices.Backward(m.audit) {
		switch {
		case f.Before > 0 && e.ID >= f.Before, e.Account != account, !f.Fits(e):
		case len(page) == f.Limit:
			return page, page[len(page)-1].ID, err
		default:
			page = append(page, e)
		}
	}
	return page, 0, err
}

func (m *memory) activation(id string) verification.Activation {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.records[id].a
}

func (m *memory) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return len(m.records)
}

func (m *memory) CreateUser(_ context.Context, u device.User) (device.User, error) {
	err := m.lock()
	defer m.mu.Unlock()
	for _, known := range m.users {
		if u.ExternalID != "" && known.ExternalID == u.ExternalID && known.Credential == u.Credential {
			return u, &device.TakenError{Field: "external_id"}
		}
	}
	u.Number = int64(len(m.users) + 1)
	m.users = append(m.users, u)
	return u, err
}

func (m *memory) User(_ context.Context, credential, id string) (device.User, error) {
	err := m.lock()
	defer m.mu.Unlock()
	for _, u := range m.users {
		if u.Credential == credential && u.ID == id {
			return u, err
		}
	}
	return device.User{}, firstErr(err, verification.ErrNotFound)
}

func (m *memory) Users(_ context.Context, credential, after string, limit int) ([]device.User, string, error) {
	err := m.lock()
	defer m.mu.Unlock()
	var own []device.User
	for _, u := range m.users {
		if u.Credential == credential && u.ID > after {
			own = append(own, u)
		}
	}
	slices.SortFunc(own, func(a, b device.User) int { return strings.Compare(a.ID, b.ID) })
	if len(own) > limit {
		return own[:limit], own[limit-1].ID, err
	}
	return own, "", err
}

func (m *memory) DeleteUser(ctx context.Context, credential, id string) error {
	if _, err := m.User(ctx, credential, id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.users = slices.DeleteFunc(m.users, func(u device.User) bool { return u.ID == id })
	m.devices = slices.DeleteFunc(m.devices, func(d device.Device) bool { return d.UserID == id })
	return nil
}

func (m *memory) CreateDevice(_ context.Context, d device.Device) (device.Device, error) {
	err := m.lock()
	defer m.mu.Unlock()
	d.Number = int64(len(m.devices) + 1)
	m.devices = append(m.devices, d)
	return d, err
}

func (m *memory) Device(_ context.Context, credential, id string) (device.Device, error) {
	err := m.lock()
	defer m.mu.Unlock()
	for _, d := range m.devices {
		if d.Credential == credential && d.ID == id {
			return d, err
		}
	}
	return device.Device{}, firstErr(err, verification.ErrNotFound)
}

func (m *memory) Devices(_ context.Context, credential, userID string) ([]device.Device, error) {
	err := m.lock()
	defer m.mu.Unlock()
	var own []device.Device
	for _, d := range m.devices {
		if d.Credential == credential && d.UserID == userID {
			own = append(own, d)
		}
	}
	return own, err
}

func (m *memory) DeleteDevice(ctx context.Context, credential, id string) error {
	if _, err := m.Device(ctx, credential, id); err != nil {
		return err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.devices = slices.DeleteFunc(m.devices, func(d device.Device) bool { return d.ID == id })
	return nil
}

func (m *memory) DeletePending(ctx context.Context, credential, id string) (removed bool, err error) {
	d, err := m.Device(ctx, credential, id)
	if err != nil || d.Active() {
		return false, err
	}
	return true, m.DeleteDevice(ctx, credential, id)
}

func (m *memory) OrderDevices(_ context.Context, credential, userID string, ids []string) (device.User, error) {
	err := m.lock()
	defer m.mu.Unlock()
	for i, u := range m.users {
		if u.Credential == credential && u.ID == userID {
			m.users[i].DeviceOrder = ids
			return m.users[i], err
		}
	}
	return device.User{}, firstErr(err, verification.ErrNotFound)
}

func (m *memory) Respond(_ context.Context, r events.ResponseReceived) error {
	err := m.lock()
	defer m.mu.Unlock()
	if err == nil {
		m.responses = append(m.responses, r)
	}
	return err
}

func idFor(credential, key string) string {
	return uuid.NewSHA1(uuid.NameSpaceURL, []byte(credential+"\x00"+key)).String()
}

// failOnly makes creating fail, and nothing else.
func (m *memory) failOnly(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.createErr = err
}

// wake lets everybody who waits look again.
func (m *memory) wake() {
	m.mu.Lock()
	defer m.mu.Unlock()
	close(m.changed)
	m.changed = make(chan struct{})
}
