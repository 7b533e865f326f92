package secureauth

import (
	"crypto/hmac"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/assent-io/assent/services/realm"
)

// maxBody bounds a body, in bytes.
const maxBody = 64 << 10

// admit lets a call in that is signed as the contract says, with every spelling that SDKs sign, and
// that was not made before. What the call is about is not looked at before.
func (s *Server) admit(c *call) error {
	c.now = s.config.Now()
	claim, err := readClaim(c.r)
	if err != nil {
		return err
	}
	if !realm.ValidAppID(claim.appID) {
		return realm.ErrUnknown
	}
	r, keys, err := s.config.Realms.Realm(c.ctx(), claim.appID)
	if err != nil {
		return err //nolint:wrapcheck // faultFor knows it
	}
	if len(keys) == 0 {
		return realm.ErrUnknown
	}
	// From here on every answer is signed: the application is known, if not who speaks for it.
	c.realm, c.appID, c.key = r, claim.appID, keys[0]
	note(c.w, r.AppID, "", nil)
	date, err := s.readDate(c)
	if err != nil {
		return err
	}
	if c.body, err = io.ReadAll(http.MaxBytesReader(c.w, c.r.Body, maxBody)); err != nil {
		return unreadable(err)
	}
	key := claim.signer(keys, c.r.Method, date.spellings(), signedPaths(received(c.r)), c.body)
	if key == nil {
		return unauthorized("Invalid credentials.")
	}
	c.key = key // of two that overlap, the one that the client has
	name, _, _, err := c.address()
	if err != nil {
		return err
	}
	if name != "" && !strings.EqualFold(name, r.Name) {
		return unauthorized("AppId is unknown. It is not the application of the realm in this path.")
	}
	return s.once(c, claim)
}

// unreadable refuses a body that did not come whole. One that is too long says so itself.
func unreadable(err error) error {
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return large
	}
	return rejected("The body did not arrive whole.")
}

// claim is what the Authorization header says.
type claim struct {
	appID string
	sum   []byte
}

// readClaim reads Basic base64(APPID ":" base64(signature)).
func readClaim(r *http.Request) (claim, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		return claim{}, unauthorized("The Authorization header is missing.")
	}
	scheme, encoded, _ := strings.Cut(header, " ")
	if !strings.EqualFold(scheme, "Basic") {
		return claim{}, unauthorized("The Authorization header must have the scheme Basic.")
	}
	pair, err := base64.StdEncoding.DecodeString(strings.TrimSpace(encoded))
	if err != nil {
		return claim{}, unauthorized("The Authorization header does not hold base64 behind its scheme.")
	}
	appID, signature, ok := strings.Cut(string(pair), ":")
	if !ok || appID == "" {
		return claim{}, unauthorized("The Authorization header must hold the AppId, a colon and the signature.")
	}
	// A signature of another form is wrong as any other is: its owner is looked up all the same.
	sum, err := base64.StdEncoding.DecodeString(signature)
	if err != nil {
		sum = nil
	}
	return claim{appID, sum}, nil
}

// signer is the key that made the signature over one of the spellings; nil: none did. It compares all of
// them, each in constant time, so that the time tells nothing about which came close.
func (k claim) signer(keys [][]byte, method string, dates, paths []string, body []byte) []byte {
	endings := [][]byte{append([]byte("\n"), body...)}
	if len(body) == 0 {
		// One SDK signs the line feed in front of a body that it does not have.
		endings = [][]byte{nil, []byte("\n")}
	}
	found := -1
	for i, key := range keys {
		for _, date := range dates {
			for _, path := range paths {
				for _, ending := range endings {
					same := subtle.ConstantTimeCompare(sum(key, method, date, k.appID, path, ending), k.sum)
					found = subtle.ConstantTimeSelect(same, i, found)
				}
			}
		}
	}
	if found < 0 {
		return nil
	}
	return keys[found]
}

func sum(key []byte, method, date, appID, path string, ending []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(method + "\n" + date + "\n" + appID + "\n" + path))
	mac.Write(ending)
	return mac.Sum(nil)
}

// dateHeaders are where the date of a request stands, the one that counts first.
var dateHeaders = []string{"X-SA-Ext-Date", "X-SA-Date", "Date"}

// dateForms are the spellings of whole seconds. A fraction may follow the seconds of each.
var dateForms = []string{
	"Mon, 02 Jan 2006 15:04:05 GMT", "Mon, 2 Jan 2006 15:04:05 GMT",
	"Mon, 02 Jan 2006 15:04:05 UTC", "Mon, 02 Jan 2006 15:04:05 +0000",
}

// date is the date of a request, with its literal text, which is signed.
type date struct {
	text, form string
	at         time.Time
}

func (s *Server) readDate(c *call) (date, error) {
	i := slices.IndexFunc(dateHeaders, func(name string) bool { return c.r.Header.Get(name) != "" })
	if i < 0 {
		return date{}, unauthorized("The request has no date: none of the headers X-SA-Ext-Date, X-SA-Date and Date.")
	}
	d := date{text: c.r.Header.Get(dateHeaders[i])}
	for _, form := range dateForms {
		at, err := time.Parse(form, d.text)
		if err != nil {
			continue
		}
		d.at, d.form = at, form
		break
	}
	if d.form == "" {
		return date{}, unauthorized("The header " + dateHeaders[i] + " is not a date such as Sat, 21 Nov 2026 17:02:02 GMT.")
	}
	if off := c.now.Sub(d.at).Abs(); off > s.config.ClockWindow {
		return date{}, unauthorized(fmt.Sprintf(
			"The header %s is %s off the clock of the server, which allows %s.", dateHeaders[i], off.Round(time.Second), s.config.ClockWindow))
	}
	return d, nil
}

// spellings are the dates that may have been signed. An SDK whose dates have whole seconds reads the
// clock once to sign and once more for the header, and a second may begin in between.
func (d date) spellings() []string {
	if d.at.Format(d.form) != d.text { // it has a fraction
		return []string{d.text}
	}
	return []string{d.text, d.at.Add(-time.Second).Format(d.form)}
}

// sign adds the signature of an answer, where the application is known.
func (c *call) sign(body []byte) {
	if c.key == nil {
		return
	}
	date := c.server.config.Now().UTC().Format(http.TimeFormat)
	mac := hmac.New(sha256.New, c.key)
	mac.Write([]byte(date + "\n" + c.appID + "\n"))
	mac.Write(body)
	c.w.Header().Set("X-SA-DATE", date)
	c.w.Header().Set("X-SA-SIGNATURE", base64.StdEncoding.EncodeToString(mac.Sum(nil)))
}
