package sandbox

import (
	"encoding/json"
	"fmt"
	"io"
	"mime"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"

	"github.com/assent-io/assent/events"
)

const (
	maxFCMData = 4096
	fcmError   = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
	badDetail  = "type.googleapis.com/google.rpc.BadRequest"
	maxFCMLife = 28 * 24 * time.Hour
)

// writeFCM answers with Google's error shape. Code is the FCM error code; field names what is wrong.
func writeFCM(w http.ResponseWriter, status int, name, code, field, message string) {
	details := []map[string]any{}
	if code != "" {
		details = append(details, map[string]any{"@type": fcmError, "errorCode": code})
	}
	if field != "" {
		details = append(details, map[string]any{"@type": badDetail, "fieldViolations": []map[string]string{{"field": field, "description": message}}})
	}
	writeJSON(w, status, map[string]any{"error": map[string]any{"code": status, "message": message, "status": name, "details": details}})
}

func fcmDialect() dialect {
	return dialect{
		channel: events.Push, provider: providerFCM,
		refuse: func(w http.ResponseWriter) {
			writeFCM(w, http.StatusNotFound, "NOT_FOUND", "UNREGISTERED", "", "Requested entity was not found.")
		},
		throttle: func(w http.ResponseWriter, after int) {
			setRetryAfter(w, after)
			writeFCM(w, http.StatusTooManyRequests, "RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED", "", "Sending quota exceeded.")
		},
	}
}

// serveFCM is messages:send of FCM's HTTP v1 API.
func (s *Sandbox) serveFCM(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequestBytes))
	rest, inAPI := strings.CutPrefix(r.URL.Path, "/sandbox/fcm/v1/projects/")
	project, isSend := strings.CutSuffix(rest, "/messages:send")
	kind, _, _ := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch {
	case !inAPI || !isSend || strings.Contains(project, "/") || r.Method != http.MethodPost:
		writeFCM(w, http.StatusNotFound, "NOT_FOUND", "", "", "The requested URL was not found on this server.")
	case !equal(r.Header.Get("Authorization"), "Bearer "+s.account.FCMToken):
		w.Header().Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/"`)
		writeFCM(w, http.StatusUnauthorized, "UNAUTHENTICATED", "", "", "Request had invalid authentication credentials. Expected OAuth 2 access token.")
	case project != s.account.FCMProjectID:
		writeFCM(w, http.StatusForbidden, "PERMISSION_DENIED", "SENDER_ID_MISMATCH", "", "Permission denied on this project.")
	case err != nil || kind != "application/json":
		writeFCM(w, http.StatusBadRequest, "INVALID_ARGUMENT", "INVALID_ARGUMENT", "", "The request body is not JSON.")
	case s.misbehave(w, r, fcmDialect()):
	default:
		s.takeFCM(w, r, body)
	}
}

func (s *Sandbox) takeFCM(w http.ResponseWriter, r *http.Request, body []byte) {
	req, fault := parseFCM(body)
	if fault != nil {
		writeFCM(w, http.StatusBadRequest, "INVALID_ARGUMENT", "INVALID_ARGUMENT", fault.field, fault.message)
		return
	}
	if outcomeOf(events.Push, req.to) == outcomeGone {
		fcmDialect().refuse(w)
		return
	}
	name := fmt.Sprintf("projects/%s/messages/0:%d%%%s", s.account.FCMProjectID, s.now().UnixMicro(), strings.ReplaceAll(uuid.NewString(), "-", "")[:16])
	if !req.validateOnly {
		s.receive(&message{
			complete: true, channel: events.Push, provider: providerFCM, providerID: name, to: req.to, from: s.account.FCMProjectID,
			subject: req.title, text: joinLines(req.title, req.body), data: req.data, code: s.find.codePushed(req.data), status: "accepted", receivedAt: s.now().UTC(),
			request: recordRequest(r, body), phone: s.phones.byToken(req.to),
		})
	}
	writeJSON(w, http.StatusOK, map[string]string{"name": name})
}

// fcmRequest is what a send asks for, after its checks.
type fcmRequest struct {
	to           string // token, or the topic or condition
	title, body  string
	data         map[string]string
	validateOnly bool
}

type fcmFault struct{ field, message string }

// object is a JSON object of the API; its keys come in either of protobuf's two spellings.
type object map[string]json.RawMessage

// known reads an object and refuses fields the published description does not have.
func known(raw json.RawMessage, path string, names ...string) (object, *fcmFault) {
	if len(raw) == 0 || string(raw) == "null" {
		return object{}, nil
	}
	var read object
	if json.Unmarshal(raw, &read) != nil {
		return nil, &fcmFault{path, "Invalid value at '" + path + "': want an object"}
	}
	o := object{}
	for k, v := range read {
		name := camel(k)
		if !slices.Contains(names, name) {
			return nil, &fcmFault{path, fmt.Sprintf("Invalid JSON payload received. Unknown name %q at '%s': Cannot find field.", k, path)}
		}
		o[name] = v
	}
	return o, nil
}

func camel(s string) string {
	parts := strings.Split(s, "_")
	for i, p := range parts[1:] {
		if p != "" {
			parts[i+1] = strings.ToUpper(p[:1]) + p[1:]
		}
	}
	return strings.Join(parts, "")
}

func (o object) text(path, name string) (string, *fcmFault) {
	if o[name] == nil {
		return "", nil
	}
	var s string
	if json.Unmarshal(o[name], &s) != nil {
		return "", &fcmFault{path + "." + name, "Invalid value at '" + path + "." + name + "': want a string"}
	}
	return s, nil
}

func parseFCM(body []byte) (fcmRequest, *fcmFault) {
	var req fcmRequest
	if !json.Valid(body) {
		return req, &fcmFault{"", "Invalid JSON payload received."}
	}
	top, fault := known(body, "", "message", "validateOnly")
	if fault != nil {
		return req, fault
	}
	if top["validateOnly"] != nil && json.Unmarshal(top["validateOnly"], &req.validateOnly) != nil {
		return req, &fcmFault{"validate_only", "Invalid value at 'validate_only': want a boolean"}
	}
	if top["message"] == nil {
		return req, &fcmFault{"message", "Message is required."}
	}
	m, fault := known(top["message"], "message", "name", "data", "notification", "android", "webpush", "apns", "fcmOptions", "token", "topic", "condition")
	if fault != nil {
		return req, fault
	}
	targets := 0
	for _, name := range []string{"token", "topic", "condition"} {
		v, fault := m.text("message", name)
		if fault != nil {
			return req, fault
		}
		if v != "" {
			targets++
			req.to = v
		}
	}
	if targets != 1 {
		return req, &fcmFault{"message", "Exactly one of token, topic or condition is required."}
	}
	if strings.ContainsAny(req.to, " \t\n") && m["token"] != nil {
		return req, &fcmFault{"message.token", "The registration token is not a valid FCM registration token"}
	}
	if req.data, fault = fcmData(m["data"], "message.data"); fault != nil {
		return req, fault
	}
	n, fault := known(m["notification"], "message.notification", "title", "body", "image")
	if fault != nil {
		return req, fault
	}
	if req.title, fault = n.text("message.notification", "title"); fault != nil {
		return req, fault
	}
	if req.body, fault = n.text("message.notification", "body"); fault != nil {
		return req, fault
	}
	if m["notification"] == nil {
		// Nothing is shown by the platform: the app draws what its data says.
		req.title, req.body = req.data["title"], req.data["body"]
	}
	return req, androidFault(m["android"])
}

func fcmData(raw json.RawMessage, path string) (map[string]string, *fcmFault) {
	data := map[string]string{}
	if raw == nil {
		return data, nil
	}
	if json.Unmarshal(raw, &data) != nil {
		return nil, &fcmFault{path, "Invalid value at '" + path + "': want an object of strings"}
	}
	size := 0
	for k, v := range data {
		size += len(k) + len(v)
		if k == "from" || k == "message_type" || strings.HasPrefix(k, "google.") || strings.HasPrefix(k, "gcm.") {
			return nil, &fcmFault{path, "Invalid data payload key: " + k}
		}
	}
	if size > maxFCMData {
		return nil, &fcmFault{path, "Message is too big: data may have at most 4096 bytes."}
	}
	return data, nil
}

func androidFault(raw json.RawMessage) *fcmFault {
	a, fault := known(raw, "message.android", "collapseKey", "priority", "ttl", "restrictedPackageName", "data", "notification", "fcmOptions",
		"directBootOk", "bandwidthConstrainedOk", "restrictedSatelliteOk")
	if fault != nil {
		return fault
	}
	priority, fault := a.text("message.android", "priority")
	if fault != nil {
		return fault
	}
	if priority != "" && !slices.Contains([]string{"normal", "high"}, strings.ToLower(priority)) {
		return &fcmFault{"message.android.priority", "Invalid value at 'message.android.priority': " + priority}
	}
	ttl, fault := a.text("message.android", "ttl")
	if fault != nil {
		return fault
	}
	if ttl != "" {
		number, unit := strings.CutSuffix(ttl, "s")
		seconds, err := strconv.ParseFloat(number, 64)
		if err != nil || !unit || strings.Trim(number, "0123456789.") != "" || seconds > maxFCMLife.Seconds() {
			return &fcmFault{"message.android.ttl", "Invalid value at 'message.android.ttl': want 0s to 2419200s"}
		}
	}
	_, fault = fcmData(a["data"], "message.android.data")
	return fault
}
