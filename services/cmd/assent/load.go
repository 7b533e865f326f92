package main

import (
	"errors"
	"fmt"
	"os"
	"reflect"
	"slices"
	"strings"
	"time"

	"github.com/go-viper/mapstructure/v2"
	"github.com/knadh/koanf/parsers/yaml"
	"github.com/knadh/koanf/providers/rawbytes"
	"github.com/knadh/koanf/v2"
)

// secretKeys are the keys that may come as a file: KEY_file holds the path.
var secretKeys = []string{
	"bootstrap_client_secret", "nats.password", "twilio.auth_token", "sendgrid.api_key", "smtp.password",
	"adapters.*.secret", "apns.key", "fcm.credentials", "fcm.token", "webpush.private_key", "sandbox.secret", "secureauth.app_key", "secureauth.yubikey_key",
}

// faultsError is everything that is wrong with a configuration.
type faultsError struct{ faults []string }

func (e *faultsError) Error() string {
	return fmt.Sprintf("the configuration has %d fault(s):\n  %s", len(e.faults), strings.Join(e.faults, "\n  "))
}

// fault names a key with its place in the environment.
func fault(key, format string, a ...any) string {
	return fmt.Sprintf("%s (%s): %s", key, envName(key), fmt.Sprintf(format, a...))
}

func envName(key string) string {
	return envPrefix + strings.ToUpper(strings.ReplaceAll(key, ".", "__"))
}

const envPrefix = "ASSENT_"

// notKeys are variables of this prefix that are no configuration keys.
var notKeys = []string{"ASSENT_NO_COLOR", "ASSENT_CONFIG"}

// load reads the file, if one is named, and the environment over it. Every fault is collected;
// a *faultsError lists them all.
func load(path string, env []string) (config, []string, error) {
	k := koanf.New(".")
	if path != "" {
		b, err := os.ReadFile(path)
		if err != nil {
			return config{}, nil, fmt.Errorf("read configuration: %w", err)
		}
		if err := k.Load(rawbytes.Provider(b), yaml.Parser()); err != nil {
			return config{}, nil, fmt.Errorf("read configuration %s: not YAML: %w", path, err)
		}
	}
	for _, e := range env {
		name, value, _ := strings.Cut(e, "=")
		if !strings.HasPrefix(name, envPrefix) || slices.Contains(notKeys, name) {
			continue
		}
		key := strings.ReplaceAll(strings.ToLower(strings.TrimPrefix(name, envPrefix)), "__", ".")
		if err := k.Set(key, value); err != nil {
			return config{}, nil, fmt.Errorf("read %s: %w", name, err)
		}
	}
	faults := readSecretFiles(k)
	known := knownKeys(reflect.TypeFor[config](), "")
	for _, key := range k.Keys() {
		if !slices.ContainsFunc(known, func(pattern string) bool { return matchesKey(pattern, key) }) {
			faults = append(faults, unknown(key, known))
			k.Delete(key)
		}
	}
	c := defaults()
	err := k.UnmarshalWithConf("", &c, koanf.UnmarshalConf{DecoderConfig: &mapstructure.DecoderConfig{
		Result: &c, WeaklyTypedInput: true, TagName: "koanf",
		DecodeHook: mapstructure.ComposeDecodeHookFunc(mapstructure.StringToTimeDurationHookFunc(), listOfText),
	}})
	faults = append(faults, typeFaults(err)...)
	c.publicURLSet = c.PublicURL != ""
	// Paths are put behind them, and a double slash is another path to whoever serves them.
	c.PublicURL, c.Sandbox.URL = strings.TrimRight(c.PublicURL, "/"), strings.TrimRight(c.Sandbox.URL, "/")
	if c.Keyring == "" {
		c.Keyring = c.Data + "/keyring.json"
	}
	return c, faults, nil
}

// listOfText reads a list from one text, as the environment has it: sms, voice.
func listOfText(from, to reflect.Type, value any) (any, error) {
	if from.Kind() != reflect.String || to != reflect.TypeFor[[]string]() {
		return value, nil
	}
	list := []string{}
	for part := range strings.SplitSeq(reflect.ValueOf(value).String(), ",") {
		if part = strings.TrimSpace(part); part != "" {
			list = append(list, part)
		}
	}
	return list, nil
}

// readSecretFiles replaces each KEY_file by the content of the file it names.
func readSecretFiles(k *koanf.Koanf) (faults []string) {
	var keys []string
	for _, key := range k.Keys() {
		if name, ok := strings.CutSuffix(key, "_file"); ok && slices.ContainsFunc(secretKeys, func(p string) bool { return matchesKey(p, name) }) {
			keys = append(keys, name)
		}
	}
	for _, key := range keys {
		path := k.String(key + "_file")
		if path == "" {
			continue
		}
		k.Delete(key + "_file")
		if k.String(key) != "" {
			faults = append(faults, fault(key, "set both as a value and as a file"))
			continue
		}
		b, err := os.ReadFile(path)
		if err != nil {
			faults = append(faults, fault(key+"_file", "%v", err))
			continue
		}
		if err := k.Set(key, strings.TrimRight(string(b), "\r\n")); err != nil {
			faults = append(faults, fault(key+"_file", "%v", err))
		}
	}
	return faults
}

// typeFaults are the values that do not have their key's type. The values are not repeated: one
// may be a secret on the wrong key.
func typeFaults(err error) []string {
	if err == nil {
		return nil
	}
	var faults []string
	var walk func(error)
	walk = func(err error) {
		if joined, ok := err.(interface{ Unwrap() []error }); ok {
			for _, e := range joined.Unwrap() {
				walk(e)
			}
			return
		}
		// One step at a time: errors.As would find the first of those that are joined further in.
		if one, ok := err.(*mapstructure.DecodeError); ok { //nolint:errorlint // see above
			key, _, _ := strings.Cut(strings.ToLower(one.Name()), "[") // a list is one key
			faults = append(faults, fault(key, "%s", formOf(reflect.TypeFor[config](), key)))
			return
		}
		if inner := errors.Unwrap(err); inner != nil {
			walk(inner)
			return
		}
		faults = append(faults, "a value has the wrong type")
	}
	walk(err)
	return faults
}

// formOf says what the value of a key looks like.
func formOf(t reflect.Type, key string) string {
	head, rest, nested := strings.Cut(key, ".")
	for i := range t.NumField() {
		f := t.Field(i)
		switch tag := f.Tag.Get("koanf"); {
		case tag != head:
		case nested && f.Type.Kind() == reflect.Struct:
			return formOf(f.Type, rest)
		case nested && f.Type.Kind() == reflect.Map:
			_, rest, _ = strings.Cut(rest, ".")
			return formOf(f.Type.Elem(), rest)
		case f.Type == reflect.TypeFor[time.Duration]():
			return "want a length of time such as 200ms, 10s or 5m"
		case f.Type.Kind() == reflect.Int:
			return "want a whole number"
		case f.Type.Kind() == reflect.Bool:
			return "want true or false"
		case f.Type.Kind() == reflect.Slice:
			return "want a list of texts"
		}
	}
	return "want a text" // all others are
}

// knownKeys lists the keys of a configuration struct.
func knownKeys(t reflect.Type, prefix string) []string {
	var keys []string
	for i := range t.NumField() {
		f := t.Field(i)
		tag := f.Tag.Get("koanf")
		switch {
		case tag == "" || tag == "-":
		case strings.HasSuffix(tag, ",squash"):
			keys = append(keys, knownKeys(f.Type, prefix)...)
		case f.Type.Kind() == reflect.Struct:
			keys = append(keys, knownKeys(f.Type, prefix+tag+".")...)
		case f.Type.Kind() == reflect.Map: // of sections that the operator names
			keys = append(keys, knownKeys(f.Type.Elem(), prefix+tag+".*.")...)
		default:
			keys = append(keys, prefix+tag)
		}
	}
	return keys
}

// matchesKey tells whether a key is the one that a pattern names, where * is a name of the operator's.
func matchesKey(pattern, key string) bool {
	want, have := strings.Split(pattern, "."), strings.Split(key, ".")
	if len(want) != len(have) {
		return false
	}
	for i := range want {
		if want[i] != have[i] && (want[i] != "*" || have[i] == "") {
			return false
		}
	}
	return true
}

// unknown names a key that does not exist, and the nearest one that does.
func unknown(key string, known []string) string {
	best, distance := "", len(key)/2+1
	for _, k := range known {
		if d := editDistance(key, k); d < distance {
			best, distance = k, d
		}
	}
	switch {
	case strings.HasSuffix(key, "_service_host"), strings.HasSuffix(key, "_service_port"), strings.Contains(key, "_port_"):
		return fault(key, "no such key; it looks like a Kubernetes service link (set enableServiceLinks: false)")
	case best != "":
		return fault(key, "no such key; did you mean %s?", best)
	default:
		return fault(key, "no such key")
	}
}

// editDistance is Levenshtein's.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := 1; i <= len(a); i++ {
		diagonal := row[0]
		row[0] = i
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			diagonal, row[j] = row[j], min(row[j]+1, row[j-1]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
