package events_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/assent-io/assent/events"
)

const asyncAPIPath = "../api/asyncapi.yaml"

// asyncAPI is what these tests read of the document.
type asyncAPI struct {
	Channels map[string]struct {
		Address    string
		Parameters map[string]parameter
		JetStream  struct{ Stream, Republish string } `yaml:"x-jetstream"`
		Messages   map[string]reference
	}
	Operations map[string]struct {
		Action    string
		Channel   reference
		JetStream struct {
			Consumers []struct {
				Name, Filter string
				Filters      []string
			}
		} `yaml:"x-jetstream"`
	}
	Components struct {
		Parameters map[string]parameter
		Messages   map[string]struct {
			Name     string
			Payload  reference
			Examples []struct {
				Name    string
				Payload any
			}
		}
		Schemas map[string]schema
	}
}

type reference struct {
	Ref string `yaml:"$ref"`
}

type parameter struct {
	Ref  string `yaml:"$ref"`
	Enum []string
}

// schema is the part of JSON Schema that the document uses. Decoding is strict, so that a word
// these tests do not check cannot slip in.
type schema struct {
	Ref         string `yaml:"$ref"`
	Type        string
	Description string
	Format      string
	Const       any
	Enum        []string
	Required    []string
	Properties  map[string]schema
	Items       *schema
}

func readAsyncAPI(t *testing.T) asyncAPI {
	t.Helper()
	f, err := os.Open(asyncAPIPath)
	require.NoError(t, err)
	defer func() { _ = f.Close() }()
	var whole asyncAPI
	require.NoError(t, yaml.NewDecoder(f).Decode(&whole))
	require.NotEmpty(t, whole.Components.Schemas)

	var loose struct{ Components struct{ Schemas yaml.Node } }
	b, err := os.ReadFile(asyncAPIPath)
	require.NoError(t, err)
	require.NoError(t, yaml.Unmarshal(b, &loose))
	again, err := yaml.Marshal(&loose.Components.Schemas)
	require.NoError(t, err)
	strict := yaml.NewDecoder(strings.NewReader(string(again)))
	strict.KnownFields(true)
	require.NoError(t, strict.Decode(&map[string]schema{}), "a schema uses a word that this test does not check")
	return whole
}

// payloads are the Go types behind the document's schemas.
var payloads = map[string]reflect.Type{
	"VerificationActivated":  reflect.TypeFor[events.VerificationActivated](),
	"VerificationChanged":    reflect.TypeFor[events.VerificationChanged](),
	"ResponseReceived":       reflect.TypeFor[events.ResponseReceived](),
	"DeliverySettled":        reflect.TypeFor[events.DeliverySettled](),
	"FallbackStep":           reflect.TypeFor[events.FallbackStep](),
	"ActionAudited":          reflect.TypeFor[events.ActionAudited](),
	"ContextField":           reflect.TypeFor[events.Field](),
	"TimerDue":               reflect.TypeFor[events.TimerDue](),
	"WindowEntry":            reflect.TypeFor[events.WindowEntry](),
	"DeadLetter":             reflect.TypeFor[events.DeadLetter](),
	"GovernorAsk":            reflect.TypeFor[events.GovernorAsk](),
	"GovernorAnswer":         reflect.TypeFor[events.GovernorAnswer](),
	"GovernorStates":         reflect.TypeFor[events.GovernorStates](),
	"ProviderPause":          reflect.TypeFor[events.ProviderPause](),
	"ProviderKey":            reflect.TypeFor[events.ProviderKey](),
	"ProviderReport":         reflect.TypeFor[events.ProviderReport](),
	"ProviderAsk":            reflect.TypeFor[events.ProviderAsk](),
	"ProviderState":          reflect.TypeFor[events.ProviderState](),
	"MessageSizes":           reflect.TypeFor[events.MessageSizes](),
	"LaneCounts":             reflect.TypeFor[events.LaneCounts](),
	"PushDevice":             reflect.TypeFor[events.PushDevice](),
	"Context":                reflect.TypeFor[events.Context](),
	"Sealed":                 reflect.TypeFor[events.Sealed](),
	"NotificationProgressed": reflect.TypeFor[events.NotificationProgressed](),
	"MessageBegun":           reflect.TypeFor[events.MessageBegun](),
	"MessageEnded":           reflect.TypeFor[events.MessageEnded](),
	"NotificationQueued":     reflect.TypeFor[events.NotificationQueued](),
	"NotificationPart":       reflect.TypeFor[events.NotificationPart](),
	"NotificationRecipient":  reflect.TypeFor[events.NotificationRecipient](),
	"RefusedRecipient":       reflect.TypeFor[events.RefusedRecipient](),
	"MessageReceipt":         reflect.TypeFor[events.MessageReceipt](),
	"Proof":                  reflect.TypeFor[events.Proof](),
	"ApprovalProved":         reflect.TypeFor[events.ApprovalProved](),
	"DeviceUsed":             reflect.TypeFor[events.DeviceUsed](),
	"Suppression":            reflect.TypeFor[events.Suppression](),
	"PromptsAsked":           reflect.TypeFor[events.PromptsAsked](),
	"PromptAsked":            reflect.TypeFor[events.PromptAsked](),
}

func TestTheSchemasHaveTheFieldsOfThePayloads(t *testing.T) {
	doc := readAsyncAPI(t)
	for name, s := range doc.Components.Schemas {
		if name == "Repeatable" { // headers, not a payload
			continue
		}
		goType, ok := payloads[name]
		require.True(t, ok, "schema %s has no payload", name)
		fields := fieldsOf(goType)
		require.Equal(t, slices.Sorted(maps.Keys(fields)), slices.Sorted(maps.Keys(s.Properties)), "properties of %s", name)
		var required []string
		for field, f := range fields {
			require.Equal(t, f.schema, shape(s.Properties[field]), "%s.%s", name, field)
			if !f.optional {
				required = append(required, field)
			}
		}
		require.ElementsMatch(t, required, s.Required, "required of %s", name)
	}
	for name := range payloads {
		require.Contains(t, doc.Components.Schemas, name)
	}
}

type payloadField struct {
	schema   string
	optional bool
}

// fieldsOf reads a payload type's JSON fields, and what schema each would have.
func fieldsOf(t reflect.Type) map[string]payloadField {
	fields := map[string]payloadField{}
	for i := range t.NumField() {
		name, options, _ := strings.Cut(t.Field(i).Tag.Get("json"), ",")
		fields[name] = payloadField{shapeOf(name, t.Field(i).Type), strings.Contains(options, "omit")}
	}
	return fields
}

func shapeOf(name string, t reflect.Type) string {
	if t.Kind() == reflect.Pointer {
		t = t.Elem()
	}
	switch {
	case name == "version":
		return "const 1"
	case t == reflect.TypeFor[time.Time]():
		return "string date-time"
	case t == reflect.TypeFor[[]byte](): // as base64
		return "string"
	case t.Kind() == reflect.Slice:
		return "array of " + shapeOf("", t.Elem())
	case t.Kind() == reflect.Struct:
		for name, payload := range payloads { // a type without a name of its own has one in the document
			if payload == t {
				return "#/components/schemas/" + name
			}
		}
		return "#/components/schemas/" + t.Name()
	case t.Kind() == reflect.Map:
		return "object"
	case t.Kind() == reflect.String:
		return "string"
	case t.Kind() == reflect.Bool:
		return "boolean"
	case t.Kind() == reflect.Float64:
		return "number"
	default:
		return "integer"
	}
}

func shape(s schema) string {
	switch {
	case s.Ref != "":
		return s.Ref
	case s.Const != nil:
		return fmt.Sprintf("const %v", s.Const)
	case s.Items != nil:
		return s.Type + " of " + shape(*s.Items)
	default:
		return strings.TrimSpace(s.Type + " " + s.Format)
	}
}

func TestTheExamplesAreTheGoldenFilesAndFitTheirSchemas(t *testing.T) {
	doc := readAsyncAPI(t)
	seen := map[string]bool{}
	for key, m := range doc.Components.Messages {
		require.NotEmpty(t, m.Examples, key)
		for _, example := range m.Examples {
			seen[example.Name] = true
			b, err := os.ReadFile(filepath.Join("testdata", example.Name))
			require.NoError(t, err)
			shown, err := json.Marshal(example.Payload)
			require.NoError(t, err)
			require.JSONEq(t, string(b), string(shown), example.Name)
			var value any
			require.NoError(t, json.Unmarshal(b, &value))
			require.NoError(t, doc.validate(schema{Ref: m.Payload.Ref}, value), example.Name)
		}
	}
	files, err := filepath.Glob("testdata/*.json")
	require.NoError(t, err)
	for _, path := range files {
		require.True(t, seen[filepath.Base(path)], "%s is no message's example", path)
	}
}

func TestValidationFindsWhatIsWrong(t *testing.T) {
	doc := readAsyncAPI(t)
	for name, value := range map[string]string{
		"a field is missing":       `{"version":1,"id":"x"}`,
		"a field is unknown":       `{"version":1,"id":"x","at":"2026-11-21T10:04:31Z","more":1}`,
		"a field has another type": `{"version":1,"id":7,"at":"2026-11-21T10:04:31Z"}`,
		"a time is none":           `{"version":1,"id":"x","at":"yesterday"}`,
		"the version is another":   `{"version":2,"id":"x","at":"2026-11-21T10:04:31Z"}`,
	} {
		t.Run(name, func(t *testing.T) {
			var v any
			require.NoError(t, json.Unmarshal([]byte(value), &v))
			require.Error(t, doc.validate(doc.Components.Schemas["WindowEntry"], v))
		})
	}
}

// validate checks a value against a schema, and refuses properties that the schema does not name.
func (d asyncAPI) validate(s schema, value any) error {
	if s.Ref != "" {
		named, ok := d.Components.Schemas[strings.TrimPrefix(s.Ref, "#/components/schemas/")]
		if !ok {
			return fmt.Errorf("no schema %s", s.Ref)
		}
		return d.validate(named, value)
	}
	if s.Const != nil && fmt.Sprint(s.Const) != fmt.Sprint(value) {
		return fmt.Errorf("%v is not %v", value, s.Const)
	}
	switch s.Type {
	case "string":
		return validateString(s, value)
	case "integer":
		if n, ok := value.(float64); !ok || n != float64(int64(n)) {
			return fmt.Errorf("%v is no integer", value)
		}
	case "number":
		if _, ok := value.(float64); !ok {
			return fmt.Errorf("%v is no number", value)
		}
	case "array":
		list, ok := value.([]any)
		if !ok {
			return fmt.Errorf("%v is no array", value)
		}
		for i, v := range list {
			if err := d.validate(*s.Items, v); err != nil {
				return fmt.Errorf("%d: %w", i, err)
			}
		}
	case "object":
		return d.validateObject(s, value)
	}
	return nil
}

func validateString(s schema, value any) error {
	text, ok := value.(string)
	if !ok {
		return fmt.Errorf("%v is no string", value)
	}
	if len(s.Enum) > 0 && !slices.Contains(s.Enum, text) {
		return fmt.Errorf("%q is none of %v", text, s.Enum)
	}
	if s.Format == "date-time" {
		if _, err := time.Parse(time.RFC3339Nano, text); err != nil {
			return fmt.Errorf("not a time: %w", err)
		}
	}
	return nil
}

func (d asyncAPI) validateObject(s schema, value any) error {
	object, ok := value.(map[string]any)
	if !ok {
		return fmt.Errorf("%v is no object", value)
	}
	for _, field := range s.Required {
		if _, ok := object[field]; !ok {
			return fmt.Errorf("%s is missing", field)
		}
	}
	for field, v := range object {
		property, ok := s.Properties[field]
		if len(s.Properties) > 0 && !ok {
			return fmt.Errorf("%s is not in the schema", field)
		}
		if err := d.validate(property, v); err != nil {
			return fmt.Errorf("%s: %w", field, err)
		}
	}
	return nil
}

func TestTheAddressesAreTheSubjects(t *testing.T) {
	doc := readAsyncAPI(t)
	addresses := map[string]string{}
	for name, c := range doc.Channels {
		addresses[name] = c.Address
	}
	require.Equal(t, map[string]string{
		"activation":   events.ActivationSubject("{channel}", "{id}"),
		"outcome":      events.OutcomeSubject("{id}"),
		"audit":        events.AuditSubject("{account}"),
		"changed":      events.ChangedSubject("{id}"),
		"asked":        events.AskedSubject("{id}"),
		"response":     events.ResponseSubject("{kind}", "{id}"),
		"delivery":     events.DeliverySubject("{id}", "{status}"),
		"begun":        strings.TrimSuffix(events.BegunSubject("{id}", 0, 0, 0), "0.0.0") + "{step}.{send}.{attempt}",
		"fallback":     strings.TrimSuffix(events.FallbackSubject("{channel}", "{id}", 0), "0") + "{step}",
		"timer":        strings.TrimSuffix(events.TimerSubject("{kind}", "{id}", 0, 0), "0.0") + "{step}.{send}",
		"due":          events.DueSubject("{kind}", "{id}"),
		"window":       events.WindowSubject("{kind}", "{key}"),
		"guess":        events.GuessSubject("{kind}", "{key}"),
		"count":        events.CountSubject("{kind}", "{key}"),
		"used":         strings.TrimSuffix(events.UsedSubject("{device}", 0), "0") + "{step}",
		"number":       events.NumberSubject,
		"deadletter":   events.DeadLetterSubject("{consumer}"),
		"govern":       events.GovernorAskSubject,
		"govern-show":  events.GovernorShowSubject,
		"govern-state": events.GovernorStateSubject,
		"pause":        "$KV.ASSENT_PROVIDERS.{provider}",
		"progress":     strings.Replace(events.ProgressSubject("{id}", 0), ".0.", ".{part}.", 1),

		"notification": strings.TrimSuffix(events.NotificationSubject("{lane}", "{channel}", "{id}", 0), "0") + "{part}",
		"later":        strings.TrimSuffix(events.LaterSubject("{channel}", "{id}", 0), "0") + "{part}",
		"receipt":      strings.Replace(events.ReceiptSubject("{id}", 0), ".0.", ".{part}.", 1),
		"proof":        strings.TrimSuffix(events.ProofSubject("{id}", time.UnixMilli(0)), "0") + "{created}",
		"lastuse":      events.LastUseSubject("{device}"),
		"suppression":  events.SuppressionSubject("{destination}", "{scope}"),
		"audit-once":   events.AuditOnceSubject("{account}", "{action}", "{event}"),
		"prompt":       strings.TrimSuffix(events.PromptSubjects, ">") + "{user}",
	}, addresses)
	require.Equal(t, events.ChangedSubjects, doc.Channels["outcome"].JetStream.Republish)
	require.Equal(t, events.AskedSubjects, doc.Channels["activation"].JetStream.Republish)

	filters := map[string]string{}
	for _, o := range doc.Operations {
		for _, c := range o.JetStream.Consumers {
			filters[c.Name] = strings.Join(append(c.Filters, c.Filter), "")
		}
	}
	want := map[string]string{
		"verifier-responses":  events.ResponseSubjects,
		"verifier-deliveries": events.DeliveriesWith(events.DeliveryFailed) + events.DeliveriesWith(events.DeliveryUnanswered),
		"verifier-timers":     events.DueSubjects,
	}
	for _, c := range events.Channels() {
		want[string(c)] = events.ActivationsOf(c)
	}
	require.Equal(t, want, filters)
}

func TestTheListedWordsAreTheContracts(t *testing.T) {
	doc := readAsyncAPI(t)
	var channels []string
	for _, c := range events.Channels() {
		channels = append(channels, string(c))
	}
	asked := append(slices.Clone(channels), string(events.TOTP)) // which no worker delivers
	kinds := []string{events.ResponseLink, events.ResponsePush, events.ResponseSMS, events.ResponseVoice}
	statuses := []string{ // but begun, which has subjects of its own
		events.DeliveryRequested, events.DeliveryRetrying, events.DeliveryUnknown, events.DeliverySent, events.DeliveryUnanswered,
		events.DeliveryDelivered, events.DeliveryFailed, events.DeliveryExpired,
	}
	schemas := doc.Components.Schemas
	for name, c := range map[string]struct{ want, got []string }{
		"channel of a subject":     {asked, doc.Components.Parameters["channel"].Enum},
		"channel of an activation": {asked, schemas["VerificationActivated"].Properties["channel"].Enum},
		"channel of a delivery":    {channels, schemas["DeliverySettled"].Properties["channel"].Enum},
		"status of a message": {
			[]string{events.DeliveryRetrying, events.DeliveryUnknown, events.DeliverySent, events.DeliveryFailed, events.DeliveryExpired},
			schemas["MessageEnded"].Properties["status"].Enum,
		},
		"reason of a wait": {
			[]string{events.WaitPaused, events.WaitUnavailable, events.WaitThrottled}, schemas["NotificationProgressed"].Properties["waiting"].Enum,
		},
		"kind of a subject":        {kinds, doc.Channels["response"].Parameters["kind"].Enum},
		"kind of a response":       {kinds, schemas["ResponseReceived"].Properties["kind"].Enum},
		"status of a subject":      {statuses, doc.Channels["delivery"].Parameters["status"].Enum},
		"status of a delivery":     {slices.Insert(slices.Clone(statuses), 1, events.DeliveryBegun), schemas["DeliverySettled"].Properties["status"].Enum},
		"channel of a dead letter": {asked, schemas["DeadLetter"].Properties["channel"].Enum},
		"channel of a fallback":    {channels, schemas["FallbackStep"].Properties["channel"].Enum},
		"kind of a timer":          {[]string{events.TimerFallback, events.TimerReceipt}, schemas["TimerDue"].Properties["kind"].Enum},
		"kind of a timer's place":  {[]string{events.TimerFallback, events.TimerReceipt}, doc.Components.Parameters["timer"].Enum},
		"kind of a dead letter": {
			[]string{events.LetterUndecodable, events.LetterUndelivered}, schemas["DeadLetter"].Properties["kind"].Enum,
		},
		"channel of a suppression": {channels, schemas["Suppression"].Properties["channel"].Enum},
		"cover of a suppression":   {[]string{events.CoversAll, events.CoversNotifications, events.CoversVerifications}, schemas["Suppression"].Properties["covers"].Enum},
		"cause of a suppression": {
			[]string{
				events.CauseStop, events.CauseBounce, events.CauseSpamReport, events.CauseDeviceGone, events.CauseManual, events.CauseImported,
				events.CauseNotMe,
			}, schemas["Suppression"].Properties["cause"].Enum,
		},
		"challenge": {
			[]string{string(events.Code), string(events.Link), string(events.Approval)},
			schemas["VerificationActivated"].Properties["challenge"].Enum,
		},
		"lane of a notification":    {[]string{string(events.LaneTransactional), string(events.LaneBulk)}, schemas["NotificationQueued"].Properties["lane"].Enum},
		"channel of a notification": {channels, schemas["NotificationQueued"].Properties["channel"].Enum},
		"lane of a subject":         {[]string{string(events.LaneTransactional), string(events.LaneBulk)}, doc.Channels["notification"].Parameters["lane"].Enum},
		"decision": {
			[]string{string(events.Approve), string(events.Deny), string(events.NotMe)},
			schemas["ResponseReceived"].Properties["decision"].Enum,
		},
	} {
		require.Equal(t, c.want, c.got, name)
	}
}

func TestEveryReferenceLeadsSomewhere(t *testing.T) {
	b, err := os.ReadFile(asyncAPIPath)
	require.NoError(t, err)
	var doc any
	require.NoError(t, yaml.Unmarshal(b, &doc))
	found := 0
	var walk func(any)
	walk = func(node any) {
		switch node := node.(type) {
		case map[string]any:
			if ref, ok := node["$ref"].(string); ok {
				found++
				at := doc
				for _, key := range strings.Split(strings.TrimPrefix(ref, "#/"), "/") {
					parent, ok := at.(map[string]any)
					require.True(t, ok, ref)
					require.Contains(t, parent, key, ref)
					at = parent[key]
				}
			}
			for _, v := range node {
				walk(v)
			}
		case []any:
			for _, v := range node {
				walk(v)
			}
		}
	}
	walk(doc)
	require.NotZero(t, found)
}
