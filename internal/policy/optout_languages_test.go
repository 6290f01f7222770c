package policy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// The words by which people of each language stop and start texts again.
func TestOptOut_C13_KeywordsPerLanguage(t *testing.T) {
	t.Parallel()
	for language, words := range map[string]struct{ stop, start []string }{
		"en": {[]string{"STOP", "END", "QUIT", "UNSUBSCRIBE", "REVOKE", "OPT OUT", "STOPALL"}, []string{"START", "UNSTOP", "OPTIN", "OPT IN"}},
		"es": {[]string{"ALTO", "PARAR", "BAJA", "DETENER", "No más mensajes"}, []string{"INICIAR", "ALTA", "SUSCRIBIR"}},
		"fr": {[]string{"ARRÊT", "ARRETER", "ARRÊTEZ SVP", "DÉSABONNER", "DÉSINSCRIRE"}, []string{"COMMENCER", "REPRENDRE"}},
		"de": {[]string{"STOPP", "ABMELDEN", "ABBESTELLEN", "Bitte abmelden", "KEINE SMS"}, []string{"ANMELDEN", "FORTSETZEN"}},
	} {
		for _, word := range words.stop {
			require.Equal(t, ReplyOptOut, OptOut(word), "%s: %s", language, word)
		}
		for _, word := range words.start {
			require.Equal(t, ReplyOptIn, OptOut(word), "%s: %s", language, word)
		}
	}
}
