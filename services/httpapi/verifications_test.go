package httpapi_test

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/api"
	"github.com/assent-io/assent/events"
	"github.com/assent-io/assent/events/autofill"
	"github.com/assent-io/assent/services/httpapi"
	"github.com/assent-io/assent/services/verification"
)

func TestCreateAnswersWithTheVerification(t *testing.T) {
	t.Parallel()
	b := setup(t)
	a := b.post("/v1/verifications", `{"to":"+1 (415) 555-0123","channel":"sms","brand":"Example Bank","locale":"pt-BR",
		"expires_in":30,"code_length":10,"context":{"ip":"2001:db8::7","action":"Sign in","place":"Lisbon","device":"Firefox"},
		"metadata":{"order":"4711"}}`)
	require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
	v := a.verification(t)
	require.Equal(t, "/v1/verifications/"+v.ID, a.Header.Get("Location"))
	require.Equal(t, `"0.pending"`, a.Header.Get("ETag"))
	require.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	require.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
	require.NotContains(t, string(a.body), "4155550")
	require.Equal(t, 5, v.ChecksLeft)
	require.Equal(t, "4711", v.Metadata["order"])
	require.Equal(t, 30*time.Second, v.ExpiresAt.Sub(v.CreatedAt))

	activation := b.store.activation(v.ID)
	require.Equal(t, "+14155550123", activation.To)
	require.Len(t, activation.Secrets.Code.Reveal(), 10)
	require.NotContains(t, string(a.body), activation.Secrets.Code.Reveal())
	require.Equal(t, verification.Context{IP: "2001:db8::7", Action: "Sign in", Place: "Lisbon", Device: "Firefox"}, activation.Verification.Context)
	require.Equal(t, shop, activation.Verification.Credential)
}

func TestCreateTakesEveryChannelAndChallenge(t *testing.T) {
	t.Parallel()
	for body, want := range map[string]api.Verification{
		smsCode: {Channel: "sms", Challenge: "code"},
		`{"to":"+14155550123","channel":"sms","challenge":"link"}`:         {Channel: "sms", Challenge: "link"},
		`{"to":"+14155550123","channel":"sms","challenge":"approval"}`:     {Channel: "sms", Challenge: "approval"},
		`{"to":"+4915123456789","channel":"voice"}`:                        {Channel: "voice", Challenge: "code"},
		`{"to":"+4915123456789","channel":"voice","challenge":"approval"}`: {Channel: "voice", Challenge: "approval"},
		`{"to":"ana@example.com","channel":"email"}`:                       {Channel: "email", Challenge: "code"},
		`{"to":"ana@example.com","channel":"email","challenge":"link"}`:    {Channel: "email", Challenge: "link"},
	} {
		t.Run(body, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			v, _ := b.create(body)
			require.Equal(t, want.Channel, v.Channel)
			require.Equal(t, want.Challenge, v.Challenge)
		})
	}
}

func TestACodeByTextMessageHasAPageAndAnApp(t *testing.T) {
	t.Parallel()
	b := setup(t)
	both := verification.Autofill{Origin: "example.com", AppHash: "FA+9qCX9VSu"}
	const fields = `"origin":"example.com","app_hash":"FA+9qCX9VSu"`
	for body, want := range map[string]verification.Autofill{
		smsCode: {},
		`{"to":"+14155550123","channel":"sms",` + fields + `}`:                                                             both,
		`{"to":"+14155550123","channel":"sms","origin":"localhost"}`:                                                       {Origin: "localhost"},
		`{"to":"+14155550123","channel":"sms","code_length":4,"origin":"` + strings.Repeat("abc.", 62) + `abcde"}`:         {Origin: strings.Repeat("abc.", 62) + "abcde"},
		`{"to":"+14155550123","channel":"voice",` + fields + `,"fallback":[{"channel":"sms","after":30}]}`:                 both,
		`{"to":"+14155550123","channel":"sms","app_hash":"FA+9qCX9VSu","origin":"` + strings.Repeat("abc.", 27) + `abcd"}`: {Origin: strings.Repeat("abc.", 27) + "abcd", AppHash: both.AppHash},
	} {
		a := b.post("/v1/verifications", body)
		require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
		require.Equal(t, want, b.store.activation(a.verification(t).ID).Autofill, body)
	}
}

func TestAnAppsHashMustHaveRoomBesideTheOperatorsPage(t *testing.T) {
	t.Parallel()
	b := setup(t, func(c *httpapi.Config) {
		c.Autofill = autofill.Hint{Origin: strings.Repeat("abc.", 40) + "com", AppHash: "AAAAAAAAAAA"}
	})
	require.Equal(t, http.StatusCreated, b.post("/v1/verifications", smsCode).StatusCode, "what the client did not ask for is no fault of its request")
	p := b.post("/v1/verifications", `{"to":"+14155550123","channel":"sms","app_hash":"FA+9qCX9VSu"}`).problem(t)
	require.Equal(t, http.StatusUnprocessableEntity, p.Status)
	require.Equal(t, "#/app_hash", p.Errors[0].Pointer)
	require.Contains(t, p.Errors[0].Detail, "191 bytes")
	a := b.post("/v1/verifications", `{"to":"+14155550123","channel":"sms","app_hash":"FA+9qCX9VSu","origin":"example.com"}`)
	require.Equal(t, http.StatusCreated, a.StatusCode, "%s", a.body)
}

func TestCreateRefusesBadRequestsAndStoresNothing(t *testing.T) {
	t.Parallel()
	const ok = `"to":"+14155550123","channel":"sms"`
	long := strings.Repeat("x", 129)
	for name, test := range map[string]struct {
		body    string
		pointer string
		detail  string
	}{
		"nothing at all":                 {`{}`, "#/to", "required"},
		"no channel":                     {`{"to":"+14155550123"}`, "#/channel", "required"},
		"unknown channel":                {`{"to":"+14155550123","channel":"fax"}`, "#/channel", "sms, voice, email or push"},
		"channel in the wrong case":      {`{"to":"+14155550123","channel":"SMS"}`, "#/channel", "sms, voice, email or push"},
		"push to an address":             {`{"to":"+14155550123","channel":"push"}`, "#/device_id", "required"},
		"address and device":             {`{` + ok + `,"device_id":"019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d"}`, "#/device_id", "together"},
		"unknown device":                 {`{"device_id":"019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d"}`, "#/device_id", "not a registered"},
		"device id that reaches for all": {`{"device_id":"*"}`, "#/device_id", "not a registered"},
		"email address for sms":          {`{"to":"ana@example.com","channel":"sms"}`, "#/to", "not an email"},
		"number for email":               {`{"to":"+14155550123","channel":"email"}`, "#/to", "not a phone number"},
		"number without country":         {`{"to":"4155550123","channel":"sms"}`, "#/to", "country code"},
		"number with letters":            {`{"to":"+1800FLOWERS","channel":"sms"}`, "#/to", "digits"},
		"number with an extension":       {`{"to":"+14155550123;ext=4","channel":"sms"}`, "#/to", "digits"},
		"number in other digits":         {`{"to":"+١٤١٥٥٥٥٠١٢٣","channel":"sms"}`, "#/to", ""},
		"country that is none":           {`{"to":"+99912345678","channel":"sms"}`, "#/to", "country code"},
		"number too short":               {`{"to":"+1415555","channel":"sms"}`, "#/to", "too short"},
		"number too long":                {`{"to":"+141555501234567","channel":"voice"}`, "#/to", "too long"},
		"number that cannot be":          {`{"to":"+11115550123","channel":"sms"}`, "#/to", "exists"},
		"plus alone":                     {`{"to":"+","channel":"sms"}`, "#/to", ""},
		"mailbox without domain":         {`{"to":"ana@","channel":"email"}`, "#/to", "domain"},
		"mailbox without local part":     {`{"to":"@example.com","channel":"email"}`, "#/to", "email address"},
		"mailbox with a name":            {`{"to":"Ana <ana@example.com>","channel":"email"}`, "#/to", ""},
		"two mailboxes":                  {`{"to":"ana@example.com,bob@example.com","channel":"email"}`, "#/to", ""},
		"mailbox with a header":          {`{"to":"ana@example.com\r\nBcc: bob@example.com","channel":"email"}`, "#/to", ""},
		"mailbox with quotes":            {`{"to":"\"a b\"@example.com","channel":"email"}`, "#/to", "email address"},
		"mailbox at an address":          {`{"to":"ana@[127.0.0.1]","channel":"email"}`, "#/to", "domain"},
		"mailbox at a number":            {`{"to":"ana@127.0.0.1","channel":"email"}`, "#/to", "domain"},
		"mailbox at a host":              {`{"to":"ana@localhost","channel":"email"}`, "#/to", "domain"},
		"mailbox at a broken label":      {`{"to":"ana@-example-.com","channel":"email"}`, "#/to", "domain"},
		"mailbox not in ASCII":           {`{"to":"añá@example.com","channel":"email"}`, "#/to", "ASCII"},
		"mailbox with a long name":       {`{"to":"` + strings.Repeat("a", 65) + `@example.com","channel":"email"}`, "#/to", "64"},
		"mailbox that is too long":       {`{"to":"ana@` + strings.Repeat("abc.", 70) + `com","channel":"email"}`, "#/to", "254"},
		"empty address":                  {`{"to":"","channel":"sms"}`, "#/to", "empty"},
		"address of the wrong type":      {`{"to":14155550123,"channel":"sms"}`, "#/to", "a string"},
		"null":                           {`{` + ok + `,"brand":null}`, "#/brand", "a string"},
		"challenge for another channel":  {`{"to":"ana@example.com","channel":"email","challenge":"approval"}`, "#/challenge", "code or link"},
		"spoken link":                    {`{"to":"+14155550123","channel":"voice","challenge":"link"}`, "#/challenge", "code or approval"},
		"unknown challenge":              {`{` + ok + `,"challenge":"riddle"}`, "#/challenge", "must be"},
		"too short a life":               {`{` + ok + `,"expires_in":29}`, "#/expires_in", "30 to 600"},
		"too long a life":                {`{` + ok + `,"expires_in":601}`, "#/expires_in", "30 to 600"},
		"no life":                        {`{` + ok + `,"expires_in":0}`, "#/expires_in", "30 to 600"},
		"life that overflows":            {`{` + ok + `,"expires_in":9223372036854775808}`, "#/expires_in", "an integer"},
		"half a second":                  {`{` + ok + `,"expires_in":30.5}`, "#/expires_in", "an integer"},
		"life as text":                   {`{` + ok + `,"expires_in":"300"}`, "#/expires_in", "an integer"},
		"three digits":                   {`{` + ok + `,"code_length":3}`, "#/code_length", "4 to 10"},
		"no digits":                      {`{` + ok + `,"code_length":0}`, "#/code_length", "4 to 10"},
		"eleven digits":                  {`{` + ok + `,"code_length":11}`, "#/code_length", "4 to 10"},
		"digits of a link":               {`{` + ok + `,"challenge":"link","code_length":6}`, "#/code_length", "challenge code"},
		"origin with a scheme":           {`{` + ok + `,"origin":"https://example.com"}`, "#/origin", "host name"},
		"origin with a port":             {`{` + ok + `,"origin":"example.com:443"}`, "#/origin", "host name"},
		"origin with a path":             {`{` + ok + `,"origin":"example.com/login"}`, "#/origin", "host name"},
		"origin with a line break":       {`{` + ok + `,"origin":"example.com\n"}`, "#/origin", "host name"},
		"origin without a dot":           {`{` + ok + `,"origin":"example"}`, "#/origin", "host name"},
		"origin at an address":           {`{` + ok + `,"origin":"203.0.113.7"}`, "#/origin", "host name"},
		"origin not in ASCII":            {`{` + ok + `,"origin":"bücher.example"}`, "#/origin", "host name"},
		"origin that is too long":        {`{` + ok + `,"origin":"` + strings.Repeat("abc.", 63) + `ab"}`, "#/origin", "host name"},
		"origin that is empty":           {`{` + ok + `,"origin":""}`, "#/origin", "empty"},
		"origin of a link":               {`{` + ok + `,"challenge":"link","origin":"example.com"}`, "#/origin", "code by sms"},
		"origin of a call":               {`{"to":"+14155550123","channel":"voice","origin":"example.com"}`, "#/origin", "code by sms"},
		"app hash of a mail":             {`{"to":"ana@example.com","channel":"email","app_hash":"FA+9qCX9VSu"}`, "#/app_hash", "code by sms"},
		"app hash of twelve characters":  {`{` + ok + `,"app_hash":"FA+9qCX9VSuu"}`, "#/app_hash", "11"},
		"app hash with a dash":           {`{` + ok + `,"app_hash":"FA-9qCX9VSu"}`, "#/app_hash", "11"},
		"app hash without room":          {`{` + ok + `,"app_hash":"FA+9qCX9VSu","origin":"` + strings.Repeat("abc.", 28) + `abc"}`, "#/app_hash", "143 bytes"},
		"locale that is none":            {`{` + ok + `,"locale":"portuguese"}`, "#/locale", "language tag"},
		"locale with underscore":         {`{` + ok + `,"locale":"pt_BR"}`, "#/locale", "language tag"},
		"locale with empty part":         {`{` + ok + `,"locale":"pt-"}`, "#/locale", "language tag"},
		"long brand":                     {`{` + ok + `,"brand":"` + long + `"}`, "#/brand", "30"},
		"brand with a line break":        {`{` + ok + `,"brand":"a\nb"}`, "#/brand", "control"},
		"blank brand":                    {`{` + ok + `,"brand":"   "}`, "#/brand", "blank"},
		"brand with a bell":              {`{` + ok + `,"brand":"a\u0007b"}`, "#/brand", "control"},
		"brand with C1 control":          {`{` + ok + `,"brand":"a\u0085b"}`, "#/brand", "control"},
		"brand with line separator":      {`{` + ok + `,"brand":"a\u2028b"}`, "#/brand", "control"},
		"brand that turns text around":   {`{` + ok + `,"brand":"a\u202eb"}`, "#/brand", "direction"},
		"brand with half a surrogate":    {`{` + ok + `,"brand":"a\ud800b"}`, "#/brand", "Unicode"},
		"brand with a link":              {`{` + ok + `,"brand":"HTTPS://evil.example"}`, "#/brand", "web address"},
		"brand with www":                 {`{` + ok + `,"brand":"www.evil.example"}`, "#/brand", "web address"},
		"brand as object":                {`{` + ok + `,"brand":{}}`, "#/brand", "a string"},
		"action with a link":             {`{` + ok + `,"context":{"action":"see ftp://x"}}`, "#/context/action", "web address"},
		"action that is long":            {`{` + ok + `,"context":{"action":"` + long + `"}}`, "#/context/action", "128"},
		"place with a control":           {`{` + ok + `,"context":{"place":"a\u0000"}}`, "#/context/place", "control"},
		"device with a mark":             {`{` + ok + `,"context":{"device":"a\u200f"}}`, "#/context/device", "direction"},
		"address that is none":           {`{` + ok + `,"context":{"ip":"300.1.1.1"}}`, "#/context/ip", "IP address"},
		"address with a zone":            {`{` + ok + `,"context":{"ip":"fe80::1%eth0"}}`, "#/context/ip", "IP address"},
		"zone with control characters":   {`{` + ok + `,"context":{"ip":"::1%\u0007\n"}}`, "#/context/ip", "IP address"},
		"unknown part of context":        {`{` + ok + `,"context":{"color":"red"}}`, "#/context/color", "not a field"},
		"context as text":                {`{` + ok + `,"context":"Lisbon"}`, "#/context", "an object"},
		"metadata with a number":         {`{` + ok + `,"metadata":{"order":4711}}`, "#/metadata/order", "a string"},
		"metadata as list":               {`{` + ok + `,"metadata":["a"]}`, "#/metadata", "an object"},
		"metadata with a long key":       {`{` + ok + `,"metadata":{"` + strings.Repeat("k", 41) + `":"v"}}`, "#/metadata/" + strings.Repeat("k", 41), "40"},
		"metadata with an empty key":     {`{` + ok + `,"metadata":{"":"v"}}`, "#/metadata", "empty key"},
		"metadata with a long value":     {`{` + ok + `,"metadata":{"k":"` + long + long + `"}}`, "#/metadata/k", "256"},
		"metadata with a control":        {`{` + ok + `,"metadata":{"k":"a\u001b[31m"}}`, "#/metadata/k", "control"},
		"metadata in excess":             {`{` + ok + `,"metadata":{` + pairs(17) + `}}`, "#/metadata", "16"},
		"unknown field":                  {`{` + ok + `,"chanel":"sms"}`, "#/chanel", "not a field"},
		"field in the wrong case":        {`{` + ok + `,"Brand":"x"}`, "#/Brand", "not a field"},
		"unknown field with a slash":     {`{` + ok + `,"a/b~c d":1}`, "#/a~1b~0c%20d", "not a field"},
		"fallback without an address":    {`{` + ok + `,"fallback":[{"channel":"email","after":30}]}`, "#/fallback/0/channel", "no address"},
		"fallback to no device":          {`{` + ok + `,"fallback":[{"channel":"push","after":30}]}`, "#/fallback/0/channel", "no address"},
		"fallback to a device unknown":   {`{` + ok + `,"fallback":[{"device_id":"019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d","after":30}]}`, "#/fallback/0/device_id", "not a registered device"},
		"fallback to an app by address":  {`{` + ok + `,"fallback":[{"channel":"push","to":"x","after":30}]}`, "#/fallback/0/device_id", "required"},
		"fallback to a bad address":      {`{` + ok + `,"fallback":[{"channel":"email","to":"x","after":30}]}`, "#/fallback/0/to", "@"},
		"fallback to two addresses":      {`{` + ok + `,"fallback":[{"channel":"sms","to":"+14155550124","device_id":"x","after":30}]}`, "#/fallback/0/device_id", "together"},
		"fallback without a channel":     {`{` + ok + `,"fallback":[{"after":30}]}`, "#/fallback/0/channel", "required"},
		"fallback without a time":        {`{` + ok + `,"fallback":[{"channel":"voice"}]}`, "#/fallback/0/after", "required"},
		"fallback at once":               {`{` + ok + `,"fallback":[{"channel":"voice","after":0}]}`, "#/fallback/0/after", "at least 1"},
		"fallback after the end":         {`{` + ok + `,"expires_in":60,"fallback":[{"channel":"voice","after":60}]}`, "#/fallback/0/after", "before the end"},
		"fallbacks after the end":        {`{` + ok + `,"expires_in":60,"fallback":[{"channel":"voice","after":40},{"channel":"sms","after":40}]}`, "#/fallback/1/after", "before the end"},
		"fallback that carries no link":  {`{` + ok + `,"challenge":"link","fallback":[{"channel":"voice","after":30}]}`, "#/fallback/0/channel", "challenge link"},
		"fallback to an app with a code": {`{` + ok + `,"fallback":[{"channel":"totp","after":30}]}`, "#/fallback/0/channel", "sms, voice, email or push"},
		"four fallbacks":                 {`{` + ok + `,"fallback":[` + strings.Repeat(`{"channel":"voice","after":9},`, 3) + `{"channel":"sms","after":9}]}`, "#/fallback", "at most 3"},
		"fallback that is no list":       {`{` + ok + `,"fallback":{"channel":"voice","after":30}}`, "#/fallback", "a list"},
		"a list":                         {`[]`, "#", "an object"},
		"a string":                       {`"x"`, "#", "an object"},
		"null alone":                     {`null`, "#", "an object"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			a := b.post("/v1/verifications", test.body)
			p := a.problem(t)
			require.Equal(t, http.StatusUnprocessableEntity, p.Status, "%s", a.body)
			require.Equal(t, api.ProblemCodeInvalidRequest, p.Code)
			require.Equal(t, test.pointer, p.Errors[0].Pointer, "%s", a.body)
			require.Contains(t, p.Errors[0].Detail, test.detail)
			require.Zero(t, b.store.count(), "nothing may be stored")
		})
	}
}

func pairs(n int) string {
	var list []string
	for i := range n {
		list = append(list, `"`+string(rune('a'+i))+`":""`)
	}
	return strings.Join(list, ",")
}

func TestEveryFaultIsReportedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t)
	p := b.post("/v1/verifications", `{"to":"12","channel":"sms","expires_in":5,"code_length":"six","brand":"www.x.example",
		"colour":1,"locale":"??","context":{"ip":"here"}}`).problem(t)
	var pointers []string
	for _, f := range p.Errors {
		pointers = append(pointers, f.Pointer)
	}
	require.ElementsMatch(t, []string{
		"#/to", "#/expires_in", "#/code_length", "#/brand", "#/colour", "#/locale", "#/context/ip",
	}, pointers)
}

func TestAddressesAreTakenInTheFormsPeopleWrite(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		"+49 151 23456789":          "+4915123456789",
		"+44 20-7946-0958":          "+442079460958",
		"+15005550006":              "+15005550006", // a carrier's own number for tests
		"+390612345678":             "+390612345678",
		"Ana.Maria+tag@Example.COM": "Ana.Maria+tag@example.com",
		"ana@bücher.example":        "ana@xn--bcher-kva.example",
	} {
		t.Run(given, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			channel := "sms"
			if strings.Contains(given, "@") {
				channel = "email"
			}
			v, _ := b.create(`{"to":"` + given + `","channel":"` + channel + `"}`)
			require.Equal(t, want, b.store.activation(v.ID).To)
		})
	}
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	create := func(b *bench, key, body string) answer {
		return b.do(call{method: http.MethodPost, path: "/v1/verifications", body: body, header: map[string]string{"Idempotency-Key": key}})
	}
	t.Run("a repetition gets the first answer, whatever happened since", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		first := create(b, `"a-1"`, smsCode) // quoted
		require.Equal(t, http.StatusCreated, first.StatusCode, "%s", first.body)
		require.Empty(t, first.Header.Get("Idempotent-Replayed"))
		b.resolve(first.verification(t).ID, verification.Cancel{})
		again := create(b, "a-1", smsCode) // the same, bare
		require.Equal(t, http.StatusCreated, again.StatusCode)
		require.Equal(t, "true", again.Header.Get("Idempotent-Replayed"))
		require.JSONEq(t, string(first.body), string(again.body))
		require.Equal(t, first.Header.Get("ETag"), again.Header.Get("ETag"))
		require.Equal(t, first.Header.Get("Location"), again.Header.Get("Location"))
		require.Equal(t, 1, b.store.count())
	})
	t.Run("another body under the same key is refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		create(b, "k", smsCode)
		p := create(b, "k", `{"to":"+14155550124","channel":"sms"}`).problem(t)
		require.Equal(t, api.ProblemCodeIdempotencyMismatch, p.Code)
		require.Equal(t, http.StatusUnprocessableEntity, p.Status)
	})
	t.Run("two clients may use the same key", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		create(b, "k", smsCode)
		a := b.do(call{
			method: http.MethodPost, path: "/v1/verifications", body: smsCode, client: other,
			header: map[string]string{"Idempotency-Key": "k"},
		})
		require.Equal(t, http.StatusCreated, a.StatusCode)
		require.Empty(t, a.Header.Get("Idempotent-Replayed"))
	})
	t.Run("while the first runs the second is told to come back", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		b.store.failOnly(verification.ErrIdempotencyInProgress)
		a := create(b, "k", smsCode)
		p := a.problem(t)
		require.Equal(t, api.ProblemCodeIdempotencyInProgress, p.Code)
		require.Equal(t, http.StatusConflict, p.Status)
		require.Equal(t, "1", a.Header.Get("Retry-After"))
	})
	for name, key := range map[string]string{
		"empty": `""`, "spaces": "a b", "too long": strings.Repeat("k", 256), "not ASCII": "ключ", "half a quote": `"k`, "quote inside": `"k"k"`, "parameters": `"k";a=1`,
	} {
		t.Run("a key is refused that is "+name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			p := create(b, key, smsCode).problem(t)
			require.Equal(t, api.ProblemCodeInvalidHeader, p.Code)
			require.Equal(t, http.StatusBadRequest, p.Status)
			require.Equal(t, "Idempotency-Key", p.Errors[0].Header)
			require.Zero(t, b.store.count())
		})
	}
	for name, key := range map[string]string{
		"with percent signs": "100%", "with an escape": `"a\"b"`, "of 255 characters": strings.Repeat("k", 255), "with commas": "a,b",
	} {
		t.Run("a key is taken "+name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			require.Equal(t, http.StatusCreated, create(b, key, smsCode).StatusCode)
		})
	}
	t.Run("a key given twice is refused", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		r := call{method: http.MethodPost, path: "/v1/verifications", body: smsCode}.request(t.Context())
		r.Header["Idempotency-Key"] = []string{"a", "b"}
		require.Equal(t, api.ProblemCodeInvalidHeader, b.send(r).problem(t).Code)
	})
}

func TestALimitSaysWhatWasExceededAndWhenToReturn(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.failOnly(&verification.LimitError{Policy: "destination", Quota: 5, Window: 10 * time.Minute, RetryAfter: 411*time.Second + time.Millisecond})
	a := b.post("/v1/verifications", smsCode)
	p := a.problem(t)
	require.Equal(t, http.StatusTooManyRequests, p.Status)
	require.Equal(t, api.ProblemCodeLimitExceeded, p.Code)
	require.Equal(t, "https://iana.org/assignments/http-problem-types#quota-exceeded", p.Type)
	require.Equal(t, []string{"destination"}, p.ViolatedPolicies)
	require.Equal(t, 412, p.RetryAfter)
	require.Equal(t, "412", a.Header.Get("Retry-After"))
	require.Equal(t, `"destination";q=5;w=600`, a.Header.Get("RateLimit-Policy"))
	require.Equal(t, `"destination";r=0;t=412`, a.Header.Get("RateLimit"))
}

func TestCheck(t *testing.T) {
	t.Parallel()
	check := func(b *bench, id, code string) answer {
		return b.post("/v1/verifications/"+id+"/check", `{"code":"`+code+`"}`)
	}
	var result struct {
		Valid bool `json:"valid"`
		api.Verification
	}
	t.Run("the code approves, with spaces and dashes as people type them", func(t *testing.T) {
		t.Parallel()
		result := result
		b := setup(t)
		v, code := b.create(smsCode)
		a := check(b, v.ID, code[:3]+" - "+code[3:])
		require.Equal(t, http.StatusOK, a.StatusCode, "%s", a.body)
		a.json(t, &result)
		require.True(t, result.Valid)
		require.Equal(t, api.StatusApproved, result.Status)
		require.NotNil(t, result.ClosedAt)
		require.NotContains(t, string(a.body), code)
		require.Equal(t, `"1.approved"`, a.Header.Get("ETag"))
	})
	t.Run("wrong codes are counted, and the last one closes", func(t *testing.T) {
		t.Parallel()
		result := result
		b := setup(t)
		v, code := b.create(smsCode)
		for left := 4; left >= 0; left-- {
			a := check(b, v.ID, wrong(code))
			require.Equal(t, http.StatusOK, a.StatusCode)
			a.json(t, &result)
			require.False(t, result.Valid)
			require.Equal(t, left, result.ChecksLeft)
		}
		require.Equal(t, api.StatusFailed, result.Status)
		require.Equal(t, "too_many_checks", result.Reason)
		p := check(b, v.ID, code).problem(t)
		require.Equal(t, api.ProblemCodeVerificationClosed, p.Code)
		require.Equal(t, "It failed (too_many_checks) at 2026-11-21T10:04:31Z.", p.Detail)
		require.Equal(t, "/v1/verifications/"+v.ID, p.Instance)
	})
	for name, code := range map[string]string{
		"letters": "12345a", "three digits": "123", "eleven digits": "12345678901", "only dashes": "- -", "other digits": "１２３４５６", "long": strings.Repeat("1 ", 40),
	} {
		t.Run("what cannot be a code does not count: "+name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			v, _ := b.create(smsCode)
			p := check(b, v.ID, code).problem(t)
			require.Equal(t, http.StatusUnprocessableEntity, p.Status)
			require.Equal(t, "#/code", p.Errors[0].Pointer)
			require.NotContains(t, p.Errors[0].Detail, code)
			require.Equal(t, 5, b.get("/v1/verifications/"+v.ID).verification(t).ChecksLeft)
		})
	}
	for name, body := range map[string]string{"missing": `{}`, "a number": `{"code":123456}`, "empty": `{"code":""}`, "beside another field": `{"code":"123456","id":"x"}`} {
		t.Run("a code is refused that is "+name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			v, _ := b.create(smsCode)
			require.Equal(t, http.StatusUnprocessableEntity, b.post("/v1/verifications/"+v.ID+"/check", body).problem(t).Status)
		})
	}
	t.Run("a link has no code to check", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		v, _ := b.create(`{"to":"ana@example.com","channel":"email","challenge":"link"}`)
		p := check(b, v.ID, "123456").problem(t)
		require.Equal(t, api.ProblemCodeWrongChallenge, p.Code)
		require.Equal(t, http.StatusConflict, p.Status)
	})
	t.Run("an expired one is closed", func(t *testing.T) {
		t.Parallel()
		b := setup(t)
		v, code := b.create(smsCode)
		b.clock.pass(5 * time.Minute)
		p := check(b, v.ID, code).problem(t)
		require.Equal(t, api.ProblemCodeVerificationClosed, p.Code)
		require.Equal(t, "It expired at 2026-11-21T10:09:31Z.", p.Detail)
	})
}

// wrong is a code of the same length that is not the code.
func wrong(code string) string {
	if code[0] == '0' {
		return "1" + code[1:]
	}
	return "0" + code[1:]
}

func TestResendAndCancel(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(smsCode)
	path := "/v1/verifications/" + v.ID
	sent := b.post(path+"/resend", "")
	require.Equal(t, http.StatusAccepted, sent.StatusCode)
	require.Equal(t, path, sent.Header.Get("Location"))
	require.Equal(t, v.ID, sent.verification(t).ID)

	canceled := b.post(path+"/cancel", "")
	require.Equal(t, http.StatusOK, canceled.StatusCode)
	require.Equal(t, api.StatusCanceled, canceled.verification(t).Status)
	require.Zero(t, canceled.verification(t).ChecksLeft)

	for _, action := range []string{"/resend", "/cancel"} {
		p := b.post(path+action, "").problem(t)
		require.Equal(t, api.ProblemCodeVerificationClosed, p.Code)
		require.Equal(t, "It was canceled at 2026-11-21T10:04:31Z.", p.Detail)
	}
}

func TestDeliveriesAreATimeline(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(smsCode)
	b.store.steps = []events.DeliverySettled{
		{Status: events.DeliverySent, Channel: events.SMS, Send: 1, Provider: "twilio", ProviderID: "SM1", Attempt: 2, At: v.CreatedAt.Add(time.Second)},
		{Status: events.DeliveryFailed, Channel: events.SMS, Send: 1, Provider: "twilio", Reason: events.ReasonUndeliverable, Detail: "30003", At: v.CreatedAt.Add(2 * time.Second)},
	}
	a := b.get("/v1/verifications/" + v.ID + "/deliveries")
	var list api.DeliveryList
	a.json(t, &list)
	require.Equal(t, []api.Delivery{
		{Status: "requested", Channel: "sms", Send: 1, At: v.CreatedAt},
		{Status: "sent", Channel: "sms", Send: 1, Provider: "twilio", ProviderID: "SM1", Attempt: 2, At: v.CreatedAt.Add(time.Second)},
		{Status: "failed", Channel: "sms", Send: 1, Provider: "twilio", Reason: "undeliverable", Detail: "30003", At: v.CreatedAt.Add(2 * time.Second)},
	}, list.Data)
}

func TestTheTimelineTellsEachThingOnce(t *testing.T) {
	t.Parallel()
	at := func(v api.Verification, seconds int) time.Time {
		return v.CreatedAt.Add(time.Duration(seconds) * time.Second)
	}
	step := func(status string, attempt int, at time.Time) events.DeliverySettled {
		return events.DeliverySettled{Status: status, Channel: events.SMS, Send: 1, Attempt: attempt, Provider: "acme", Route: "+49", At: at}
	}
	const begun, retrying, unknown = events.DeliveryBegun, events.DeliveryRetrying, events.DeliveryUnknown
	for name, c := range map[string]struct {
		reports func(api.Verification) []events.DeliverySettled
		want    string // status, attempt and seconds
	}{
		"a provider is being called": {func(v api.Verification) []events.DeliverySettled {
			return []events.DeliverySettled{step(begun, 1, at(v, 1))}
		}, "requested/0@0 calling/1@1"},
		"it took the message": {func(v api.Verification) []events.DeliverySettled {
			return []events.DeliverySettled{step(begun, 1, at(v, 1)), step(events.DeliverySent, 1, at(v, 1))}
		}, "requested/0@0 sent/1@1"},
		"the second attempt is under way": {func(v api.Verification) []events.DeliverySettled {
			return []events.DeliverySettled{step(begun, 1, at(v, 1)), step(retrying, 1, at(v, 2)), step(begun, 2, at(v, 3))}
		}, "requested/0@0 retrying/1@2 calling/2@3"},
		"an answer never came, and a receipt did": {func(v api.Verification) []events.DeliverySettled {
			return []events.DeliverySettled{step(begun, 1, at(v, 1)), step(unknown, 1, at(v, 2)), step(events.DeliverySent, 1, at(v, 3)), step(events.DeliveryDelivered, 1, at(v, 4))}
		}, "requested/0@0 unknown/1@2 sent/1@3 delivered/1@4"},
		"the receipt overtook the report": {func(v api.Verification) []events.DeliverySettled {
			return []events.DeliverySettled{step(begun, 1, at(v, 1)), step(events.DeliveryDelivered, 1, at(v, 2)), step(events.DeliverySent, 1, at(v, 1))}
		}, "requested/0@0 sent/1@1 delivered/1@2"},
		"the worker and the provider told the same": {func(v api.Verification) []events.DeliverySettled {
			return []events.DeliverySettled{step(events.DeliverySent, 1, at(v, 1)), step(events.DeliverySent, 1, at(v, 2)), step(events.DeliverySent, 2, at(v, 3))}
		}, "requested/0@0 sent/1@1 sent/2@3"},
		"a receipt of an older program names no attempt": {func(v api.Verification) []events.DeliverySettled {
			return []events.DeliverySettled{step(begun, 1, at(v, 1)), step(events.DeliveryDelivered, 0, at(v, 2))}
		}, "requested/0@0 delivered/0@2"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t)
			v, _ := b.create(smsCode)
			b.store.steps = c.reports(v)
			var list api.DeliveryList
			b.get("/v1/verifications/"+v.ID+"/deliveries").json(t, &list)
			var got []string
			for _, d := range list.Data {
				got = append(got, fmt.Sprintf("%s/%d@%.0f", d.Status, d.Attempt, d.At.Sub(v.CreatedAt).Seconds()))
			}
			require.Equal(t, c.want, strings.Join(got, " "))
		})
	}
}

func TestTheTimelineTellsTheStepsOfAFallback(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, _ := b.create(smsCode)
	until := v.CreatedAt.Add(33*time.Second + 500*time.Microsecond)
	b.store.steps = []events.DeliverySettled{
		{Status: events.DeliveryRequested, Channel: events.Voice, Step: 1, Send: 1, Reason: events.ReasonUnanswered, At: v.CreatedAt.Add(30 * time.Second)},
		{
			Status: events.DeliveryRetrying, Channel: events.Voice, Step: 1, Send: 1, Attempt: 1, Provider: "acme", Route: "+49",
			Class: "retry_after", Detail: "429", Until: &until, At: v.CreatedAt.Add(31 * time.Second),
		},
	}
	var list api.DeliveryList
	b.get("/v1/verifications/"+v.ID+"/deliveries").json(t, &list)
	retryAt := v.CreatedAt.Add(33 * time.Second)
	require.Equal(t, []api.Delivery{
		{Status: "requested", Channel: "sms", Send: 1, At: v.CreatedAt},
		{Status: "requested", Channel: "voice", Step: 1, Send: 1, Reason: "unanswered", At: v.CreatedAt.Add(30 * time.Second)},
		{
			Status: "retrying", Channel: "voice", Step: 1, Send: 1, Attempt: 1, Provider: "acme", Route: "+49",
			Class: "retry_after", Detail: "429", RetryAt: &retryAt, At: v.CreatedAt.Add(31 * time.Second),
		},
	}, list.Data)
}

func TestVerificationsOfAnotherClientAreNotFound(t *testing.T) {
	t.Parallel()
	b := setup(t)
	v, code := b.create(smsCode)
	path := "/v1/verifications/" + v.ID
	for _, c := range []call{
		{method: http.MethodGet, path: path},
		{method: http.MethodGet, path: path + "?wait=1"},
		{method: http.MethodGet, path: path + "/events"},
		{method: http.MethodGet, path: path + "/deliveries"},
		{method: http.MethodPost, path: path + "/check", body: `{"code":"` + code + `"}`},
		{method: http.MethodPost, path: path + "/resend"},
		{method: http.MethodPost, path: path + "/cancel"},
	} {
		c.client = other
		p := b.do(c).problem(t)
		require.Equal(t, http.StatusNotFound, p.Status, c.path)
		require.Equal(t, api.ProblemCodeNotFound, p.Code)
	}
	require.Equal(t, api.StatusPending, b.get(path).verification(t).Status)
}

func TestIdsThatAreNoneNeverReachTheStore(t *testing.T) {
	t.Parallel()
	b := setup(t)
	b.store.fail(errors.New("the store was asked"))
	for _, id := range []string{"x", "*", "%3E", "019AA5C1-7D52-7A10-9A43-3F6F0E1B2C3D", "019aa5c1-7d52-7a10-9a43-3f6f0e1b2c3d.x", "019aa5c107d5207a1009a4303f6f0e1b2c3d"} {
		for _, c := range []call{
			{method: http.MethodGet, path: "/v1/verifications/" + id},
			{method: http.MethodPost, path: "/v1/verifications/" + id + "/cancel"},
			{method: http.MethodGet, path: "/v1/users/" + id},
			{method: http.MethodDelete, path: "/v1/users/" + id},
			{method: http.MethodGet, path: "/v1/users/" + id + "/devices"},
			{method: http.MethodGet, path: "/v1/devices/" + id},
			{method: http.MethodDelete, path: "/v1/devices/" + id},
		} {
			c.header = map[string]string{"Authorization": "Bearer " + shopToken}
			require.Equal(t, http.StatusNotFound, b.do(c).problem(t).Status, c.path)
		}
	}
}
