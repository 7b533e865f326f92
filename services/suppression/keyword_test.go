package suppression_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/assent-io/assent/services/suppression"
)

func TestWholeRepliesAreKeywords(t *testing.T) {
	for want, replies := range map[suppression.Keyword][]string{
		suppression.KeywordStop: {
			"STOP", "stop", " Stop! ", "STOP.", "\"stop\"", "S T O P", "STOPALL", "Stop all", "unsubscribe", "CANCEL", "End", "quit",
			"REVOKE", "OPTOUT", "opt out", "Opt-Out", "STOP 🛑", "stop\n", "STOPP", "Abmelden", "ABBESTELLEN", "ARRET", "Arrêt",
			"arre\u0302t", "Désabonner", "DESABONNER", "ALTO", "parar", "BAJA", "Cancelar", "PARE", "SAIR", "ANNULLA", "ferma", "AFMELDEN",
			"İPTAL", "iptal", "DUR", "СТОП", "стоп!", "रोकें", "बंद", "बंद करो!", "STOP \u270b\ufe0f", "إلغاء", "退订", "수신거부", "rezygnuję",
		},
		suppression.KeywordStart: {"START", "start.", "UNSTOP", "Opt in", "démarrer", "INICIAR", "BAŞLA", "старт", "開始"},
		"": {
			"", " ", "!!", "🛑", "YES", "yes", "NO", "no", "Y", "n", "ja", "nein", "oui", "non", "si", "sim", "nao", "não", "HELP",
			"please stop", "STOP it", "don't stop", "stopping", "123456", "बाद", "बाद में", "बदी", "रोक", "stop" + strings.Repeat(" ", 200), "the end",
		},
	} {
		for _, reply := range replies {
			require.Equal(t, want, suppression.KeywordOf(reply), "%q", reply)
		}
	}
}

func TestNoWordBothStopsAndStarts(t *testing.T) {
	for _, word := range suppression.Stops() {
		require.Equal(t, suppression.KeywordStop, suppression.KeywordOf(strings.ToUpper(word)), word)
	}
	for _, word := range suppression.Starts() {
		require.Equal(t, suppression.KeywordStart, suppression.KeywordOf(word), word)
	}
}

func TestIDsTakeTheirFormOnly(t *testing.T) {
	const destination = "AbCdEfGhIjKlMnOpQrStUv"
	for _, scope := range []string{"e", "a-shop", "c-shop~login_page-1"} {
		gotDestination, gotScope, ok := suppression.ParseID(suppression.ID(destination, scope))
		require.True(t, ok)
		require.Equal(t, destination, gotDestination)
		require.Equal(t, scope, gotScope)
	}
	for _, bad := range []string{
		"", ".", destination, destination + ".", destination + ".x-y", destination + ".a-", destination + ".*", destination + ".>",
		"*.e", destination + ".a-x.y", destination + ".e\n", strings.Repeat("a", 23) + ".e", destination + ".a-" + strings.Repeat("b", 65),
		destination + ".c-web", destination + ".c-~web", destination + ".c-shop~", destination + ".c-a~b~c", destination + ".a-shop~web",
	} {
		_, _, ok := suppression.ParseID(bad)
		require.False(t, ok, "%q", bad)
	}
}

func TestFiltersFitByAllTheyName(t *testing.T) {
	e := suppression.Entry{Channel: suppression.SMS, Cause: suppression.Stop, Scope: suppression.Everybody}
	require.True(t, suppression.Filter{}.Fits(e))
	require.True(t, suppression.Filter{Cause: suppression.Stop, Channel: suppression.SMS, Scope: suppression.Everybody}.Fits(e))
	require.False(t, suppression.Filter{Cause: suppression.Bounce}.Fits(e))
	require.False(t, suppression.Filter{Channel: suppression.Email}.Fits(e))
	require.False(t, suppression.Filter{Scope: suppression.Account}.Fits(e))
}

func TestRefusalsTellNoAddress(t *testing.T) {
	err := &suppression.RefusedError{Places: []suppression.Place{{Step: 1, Entry: suppression.Entry{To: "+14155550123", Cause: suppression.Stop}}}}
	require.Equal(t, "address gets no messages: step 1 (stop)", err.Error())
}
