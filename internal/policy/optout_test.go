package policy

import (
	"slices"
	"strings"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestOptOut_BADM_ByAnyReasonableWording(t *testing.T) {
	t.Parallel()
	for want, texts := range map[Reply][]string{
		ReplyOptOut: {
			"stop", "STOP", "Stop.", "  stop!!! ", "«Stop»", "S.T.O.P.", "s t o p", "s-t-o-p", "ＳＴＯＰ", "sto\u200bp", "STOP 🛑", "stop stop", "Stop, stop, stop!", strings.Repeat("stop ", 1000), "stop all", "STOP ALL",
			"quit", "End", "REVOKE", "opt out", "opt-out", "OptOut", "Opt me out", "unsubscribe", "Please unsubscribe me", "unsub", "please stop", "stop please, thanks", "stop it", "Stop this now",
			"Stop texting me", "please stop sending me these messages", "Could you please stop texting me?", "I want you to stop texting me", "I would like to stop receiving these texts",
			"Do not text me", "Don't text me anymore", "dont text me", "Don’t contact me again", "Please do not send me any more reminders", "No more texts", "no more messages please", "No more!",
			"I don't want any more texts from you", "I do not wish to receive your messages", "I don't want to be contacted", "Remove me from your list", "take me off this list", "delete my number",
			"lose my number", "leave me alone", "I revoke my consent", "I withdraw my consent", "STOP. No more texts", "stop, don't text me", "No texts", "I'm opting out", "id like to opt out of texts",
			"ARRÊT", "arrêt", "ARRE\u0302T", "Arrêtez", "Arrêtez SVP", "se désabonner"[3:], "désinscription", "ALTO", "baja", "No más", "parar", "Parar por favor", "Stopp", "stoppen", "ABMELDEN", "Bitte abmelden",
			"Fermare", "ferma", "sair", "afmelden", "avsluta", "przestań", "СТОП", "Стоп!", "отписаться", "停止", "退订", "配信停止", "중지", "توقف", "הסר", "रोकें", "dur",
		},
		ReplyOptIn:      {"start", "START!", "unstop", "opt in", "Opt-in", "OPTIN", "subscribe", "Start please", "commencer", "Suscribir", "anmelden", "Старт", "开始"},
		ReplyConfirm:    {"yes", "Y", "y.", "YES!!!", "c", "C", "C 👍", "confirm", "Confirmed, thank you", "yes please", "ok yes", "Yes, I confirm", "I’ll be there", "oui", "Sí", "si, gracias", "ja", "Ja, danke", "sim", "confermo", "да", "はい", "네", "نعم"},
		ReplyCancelWord: {"CANCEL", "cancel", "Cancel.", "cancelled", "please cancel", "Cancelar", "annuler", "Annulla", "absagen", "stornieren", "отмена", "キャンセル", "iptal"},
		ReplyDoubtful: {
			"", " ", "?", "👍", "ok", "thanks", "please", "no", "No, text me", "maybe", "cancel my appointment", "Cancel my visit on Tuesday please", "can you cancel", "please don't stop", "Don't stop texting me",
			"never stop", "why did you stop texting me", "I don't want to opt out", "no need to stop", "stop and start", "yes stop", "I will stop by at 5", "I'll take this", "can I take it", "I quit smoking",
			"I want to quit", "I don't get your messages", "I am not receiving your texts", "I did not receive a text", "do not send it", "stop texting my wife", "don't text before 9", "at the end",
			"if you stop texting me I will be sad", "Running 5 minutes late", "yes but can we do 3pm", "is the start at 9", "Peru", "tak", "fine", "wrong number", "stopwatch", "1", "where do I park?",
			"\xff\xfe",
		},
	} {
		for _, text := range texts {
			require.Equal(t, want, OptOut(text), "%q", text)
		}
	}
	require.True(t, ReplyOptOut.StopsMessages())
	require.True(t, ReplyCancelWord.StopsMessages(), "opts out, and the task asks what was meant")
	for _, r := range []Reply{ReplyOptIn, ReplyConfirm, ReplyDoubtful} {
		require.False(t, r.StopsMessages())
	}
}

func TestOptOut_TheTablesAgree(t *testing.T) {
	t.Parallel()
	seen := map[string]Reply{}
	for _, list := range replyLists {
		for _, word := range strings.Fields(list.words) {
			key := strings.Join(replyWords(word), "")
			require.NotEmpty(t, key, word)
			require.NotContains(t, seen, key, "%s stands twice", word)
			seen[key] = list.reply
			require.Equal(t, list.reply, OptOut(word), word)
		}
	}
	for wish := range silence {
		words := strings.Fields(wish)
		require.Equal(t, words, wishWords(words), "%q can never be heard", wish)
	}
	for word, meaning := range wishMeanings {
		require.NotContains(t, filler, word, "a word with a meaning is no filler")
		require.NotContains(t, wishMeanings, meaning)
	}
}

func TestOptOut_ForgivesPunctuationAndCase(t *testing.T) {
	t.Parallel()
	keywords := slices.Sorted(func(yield func(string) bool) {
		for k := range replyKeywords {
			if !yield(k) {
				return
			}
		}
	})
	phrases := []string{"stop texting me", "do not text me anymore", "cancel my visit", "please do not stop", "i want to opt out", "see you at five", "no more messages"}
	noise := rapid.SampledFrom([]string{".", "!", "?", ",", " ", "  ", "…", "*", "\n", "\"", "«", "-", "_", "/", "👋", "\u200b"})
	rapid.Check(t, func(t *rapid.T) {
		text := rapid.OneOf(rapid.SampledFrom(keywords), rapid.SampledFrom(phrases)).Draw(t, "text")
		words := strings.Fields(text)
		var b strings.Builder
		for i, w := range words {
			if i > 0 {
				b.WriteString(" ")
			}
			b.WriteString(noise.Draw(t, "before"))
			for _, r := range w {
				if upper := unicode.ToUpper(r); unicode.ToLower(upper) == r && rapid.Bool().Draw(t, "upper") {
					r = upper
				}
				b.WriteRune(r)
			}
			b.WriteString(noise.Draw(t, "after"))
		}
		require.Equal(t, OptOut(text), OptOut(b.String()), "%q", b.String())
	})
}

func FuzzOptOut(f *testing.F) {
	for _, seed := range []string{"stop", "ARRÊT!", "don't stop", "C", "\xff", "ⓢⓣⓞⓟ"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, text string) {
		reply := OptOut(text)
		for _, same := range []string{" " + text + " ", text + "!", "…" + text, strings.Join(replyWords(text), " "), strings.Join(replyWords(text), " , ")} {
			if got := OptOut(same); got != reply {
				t.Fatalf("%q is %s, but %q is %s", text, reply, same, got)
			}
		}
	})
}
