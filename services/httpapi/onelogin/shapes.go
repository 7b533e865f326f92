package onelogin

import (
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/assent-io/assent/services/credential"
	"github.com/assent-io/assent/services/device"
	"github.com/assent-io/assent/services/verification"
)

// shape is the form of MFA answers of version 2 where OneLogin's documentation and SDKs contradict
// each other. The zero value is the one that most of them take.
type shape struct {
	// registrationList, verificationList and messageList put the answer to a registration's proof, a
	// verification's poll and the activation of a text message into an array of one.
	registrationList, verificationList, messageList bool
	// statusOnly answers a right code with the page's status object instead of one body for all SDKs.
	statusOnly bool
	// refuseWrong answers a wrong code with 403: these clients read no status from a 200.
	refuseWrong bool
	// deviceNumber makes the device_id of an activation a number.
	deviceNumber bool
	// noUser leaves user_id out of an activation: this client takes no field that it does not know.
	noUser bool
	// tokenCreated answers a new temporary code with 201.
	tokenCreated bool
}

// shapes is all that differs. Whoever is not in it takes the default.
var shapes = map[credential.Compat]shape{
	credential.CompatDocs:   {registrationList: true, verificationList: true, messageList: true, statusOnly: true, refuseWrong: true},
	credential.CompatNode:   {registrationList: true, verificationList: true, statusOnly: true, refuseWrong: true},
	credential.CompatPython: {refuseWrong: true, deviceNumber: true, tokenCreated: true},
	credential.CompatJava:   {noUser: true},
	credential.CompatDotnet: {statusOnly: true, refuseWrong: true},
}

func (c *call) shape() shape { return shapes[c.client.Compat] }

// identifier is an id in JSON: a string, or the number that stands for it.
type identifier struct {
	text   string
	number int64
}

// MarshalJSON writes the number where there is one.
func (id identifier) MarshalJSON() ([]byte, error) {
	if id.number > 0 {
		return strconv.AppendInt(nil, id.number, 10), nil
	}
	return json.Marshal(id.text) //nolint:wrapcheck // a string
}

// registrationID is what a device's enrolment is called.
func (c *call) registrationID(d device.Device) identifier {
	if c.client.NumericIDs {
		return identifier{number: d.Number}
	}
	return identifier{text: d.ID}
}

// verificationID is what a verification is called. One that another client made has no number.
func (c *call) verificationID(id string) identifier {
	n, ok := aliasOf(id)
	if c.client.NumericIDs && ok {
		return identifier{number: n}
	}
	return identifier{text: id}
}

// decimal is a number as version 2 writes the ids of users and devices.
func decimal(n int64) identifier { return identifier{text: strconv.FormatInt(n, 10)} }

// answerList answers with the body, or with an array of it.
func answerList(c *call, status int, list bool, body any) {
	if list {
		body = []any{body}
	}
	writeJSON(c.w, status, body)
}

// standing is how a registration or a verification reads.
type standing struct {
	ID     identifier `json:"id"`
	Status string     `json:"status"`
	Device string     `json:"device_id,omitempty"`
}

// accepted is the answer to a right code: what every SDK looks at, in one body.
type accepted struct {
	standing
	Error   bool   `json:"error"`
	Code    int    `json:"code"`
	Type    string `json:"type"`
	Message string `json:"message"`
}

// The words for how things stand.
const (
	wordPending  = "pending"
	wordAccepted = "accepted"
	wordRejected = "rejected"
)

// wordFor is OneLogin's word for a status.
func wordFor(s verification.Status) string {
	switch s {
	case verification.Pending:
		return wordPending
	case verification.Approved:
		return wordAccepted
	case verification.Denied, verification.Expired, verification.Canceled, verification.Failed:
		return wordRejected
	default:
		return wordRejected
	}
}

// answerCode says what became of a code.
func answerCode(c *call, st standing) error {
	sh := c.shape()
	switch {
	case st.Status != wordAccepted && sh.refuseWrong:
		return errForbidden
	case st.Status != wordAccepted:
		writeJSON(c.w, http.StatusOK, st)
	case sh.statusOnly:
		writeJSON(c.w, http.StatusOK, struct {
			Status status `json:"status"`
		}{success})
	default:
		writeJSON(c.w, http.StatusOK, accepted{st, false, success.Code, success.Type, success.Message})
	}
	return nil
}
