package realm_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/realm"
)

func TestSettingsThatAreNotSetAreCompletedAndOthersStay(t *testing.T) {
	t.Parallel()
	ten := realm.Limit{Count: 10, Window: 10 * time.Minute}
	require.Equal(t, realm.Settings{Life: 5 * time.Minute, Attempts: ten, Validations: ten}, realm.Settings{}.Complete())

	set := realm.Settings{
		Brand: "Example Bank", Methods: []string{"sms"}, EchoOTP: true, Life: time.Minute,
		Attempts: realm.Limit{Window: time.Hour}, Validations: realm.Limit{Count: 3, Window: time.Minute},
	}
	require.Equal(t, set, set.Complete())
	require.Equal(t, realm.Settings{}.Complete(), realm.Settings{}.Complete().Complete())
}

func TestARealmMayUseAllMethodsOrThoseThatAreNamed(t *testing.T) {
	t.Parallel()
	require.Len(t, realm.Methods(), 16)
	for _, m := range realm.Methods() {
		require.True(t, realm.Settings{}.Allows(m), m)
		require.Equal(t, m == "sms" || m == "push_accept", realm.Settings{Methods: []string{"sms", "push_accept"}}.Allows(m), m)
	}
}

func TestNamesIdsAndKeysHaveTheirForms(t *testing.T) {
	t.Parallel()
	for name, valid := range map[string]bool{
		"secureauth1": true, "SecureAuth-2_x": true, "1": true, strings.Repeat("a", 64): true,
		"": false, "-a": false, "_a": false, "a b": false, "a/b": false, "a.b": false, "ü": false, "a\n": false, strings.Repeat("a", 65): false,
		"api": false, "auth": false, "v1": false, "l": false, "docs": false, "callbacks": false, "sandbox": false, "problems": false,
	} {
		require.Equal(t, valid, realm.ValidName(name), "%q", name)
	}
	id := "8f14e45fceea167a5a36dedd4bea2543"
	for text, valid := range map[string]bool{id: true, strings.ToUpper(id): true, id[1:]: false, id + "0": false, id[1:] + "g": false, id + "\n": false, "": false} {
		require.Equal(t, valid, realm.ValidAppID(text), "%q", text)
	}
	require.True(t, realm.ValidKey(id+id))
	require.False(t, realm.ValidKey(id))
	require.False(t, realm.ValidKey(id+id[1:]+"x"))
}
