package policy

import (
	"slices"
	"strings"
	"unicode"
)

// Reply is what a client's text message asks for.
type Reply string

const (
	ReplyOptOut     Reply = "opt_out"  // stop at once, every kind of message
	ReplyOptIn      Reply = "opt_in"   // messages may come again
	ReplyConfirm    Reply = "confirm"  // the client comes to the visit that was asked about
	ReplyCancelWord Reply = "cancel"   // opts out, since carriers and law read it so, and opens a task: it may have meant the visit
	ReplyDoubtful   Reply = "doubtful" // anything else: a person reads it at once
)

// StopsMessages tells whether the reply ends messages to its number.
func (r Reply) StopsMessages() bool { return r == ReplyOptOut || r == ReplyCancelWord }

// OptOut reads a text message. It forgives case, accents, punctuation, full-width and spelled-out letters, and courtesy around the word.
// A message that comes down to a keyword or to a wish not to be written to decides; one that says anything else besides is
// doubtful, so that "please don't stop" or "cancel my visit on Tuesday" reaches a person.
func OptOut(text string) Reply {
	words := replyWords(text)
	for _, without := range []map[string]bool{nil, courtesy} {
		if reply, ok := replyKeywords[strings.Join(leaveOut(words, without), "")]; ok {
			return reply
		}
	}
	if silence[strings.Join(wishWords(words), " ")] {
		return ReplyOptOut
	}
	return ReplyDoubtful
}

// replyLists are whole messages, written as they come out of replyWords and without spaces. Words that mean something else in another
// language of the tables (tak, dung, igen) are left to people.
var replyLists = []struct {
	reply Reply
	words string
}{
	{ReplyOptOut, `stop stopp stops stopall stopit stopmessages stoptexts stoptexting stopsms quit end revoke optout optmeout unsubscribe unsubscribeme
		unsub removeme notexts nosms nomessages nomoretexts
		arret arreter arretez arretezsms desabonner desabonnement desinscrire desinscription desinscrivezmoi
		alto parar pare para baja dardebaja darmedebaja detener salir desuscribir desuscribirme nomas nomasmensajes cancelarsuscripcion
		stoppen abmelden abbestellen austragen beenden abmeldung keinesms keinenachrichten
		ferma fermare fermati disiscrivi disiscrivermi disiscrizione annullaiscrizione
		sair descadastrar cancelarinscricao
		stoppa avsluta avregistrera avslutt stoppe lopeta meldaf afmelden afmeld uitschrijven
		przestan wypisz rezygnuje odhlasit leiratkozas dur ayril abonelikten
		стоп отписаться отписка отпишите зупинити відписатися
		停止 退订 退訂 取消订阅 取消訂閱 配信停止 解除 중지 수신거부 توقف ايقاف إيقاف הסר रोकें`},
	{ReplyOptIn, `start unstop optin optmein subscribe resubscribe resume begin reprendre commencer abonner inscrire iniciar empezar suscribir alta
		anmelden fortsetzen riprendi inizia iscrivi inscrever starta aanmelden старт подписаться 开始 订阅 訂閱 再開 시작`},
	{ReplyConfirm, `yes y yep yeah c confirm confirmed confirming yesconfirm yesiconfirm iconfirm illbethere iwillbethere
		oui confirme confirmer jeconfirme jeviens si confirmo confirmar siconfirmo ja bestatigt bestatigen jabestatigt ichkomme
		conferma confermo siconfermo sim simconfirmo bevestig bevestigen bekrafta bekreft bekraeft potwierdzam ano potvrzuji evet onayliyorum
		да подтверждаю так підтверджую 是 确认 確認 はい 네 예 확인 نعم تأكيد כן हाँ हां ใช่`},
	{ReplyCancelWord, `cancel canceled cancelled cancelar cancela annuler annulez annule annulla annullare absagen stornieren storno annuleren
		avboka peruuta anuluj zrus zrusit iptal отмена скасувати 取消 キャンセル 취소 الغاء إلغاء בטל`},
}

var replyKeywords = func() map[string]Reply {
	keywords := map[string]Reply{}
	for _, list := range replyLists {
		for _, word := range strings.Fields(list.words) {
			keywords[strings.Join(replyWords(word), "")] = list.reply
		}
	}
	return keywords
}()

// courtesy around any keyword changes nothing.
var courtesy = wordSet(`please pls plz thanks thank you thx ty now ok okay hi hello hey all
	merci svp sil vous plait bonjour por favor gracias hola obrigado obrigada bitte danke hallo grazie prego ciao per`)

// filler are the words around a wish not to be written to that do not change it.
var filler = wordSet(`please pls plz thanks thank thx ok okay hi hello hey now just right away immediately at once
	i id im we you u your me us mine this these that those the a any all anymore more again ever of for from to with on it its here be
	can could would will do number phone list lists kept service system said already and`)

// silence are wishes not to be written to, as wishWords without filler.
var silence = func() map[string]bool {
	wishes := map[string]bool{}
	for _, wish := range []string{
		"stop", "stop text", "quit text", "cease text", "stop send", "stop send text", "stop contact", "stop get text",
		"stop receive text", "not text", "not send text", "not contact", "not write", "not want text", "not want send text", "not want get text",
		"not want receive text", "not want contact", "nomore", "nomore text", "stop nomore text", "stop not text", "stop not contact",
		"removeme", "deleteme", "loseme", "take off", "opt out", "opt out text", "unsubscribe", "unsubscribe text", "stop unsubscribe", "leave alone",
		"revoke consent", "withdraw consent",
	} {
		wishes[wish] = true
	}
	return wishes
}()

// wishMeanings bring words of one meaning together.
var wishMeanings = map[string]string{
	"texts": "text", "texting": "text", "message": "text", "messages": "text", "messaging": "text", "msg": "text", "msgs": "text", "sms": "text",
	"reminder": "text", "reminders": "text", "sending": "send", "contacting": "contact", "contacted": "contact", "getting": "get",
	"receiving": "receive", "writing": "write", "dont": "not", "opting": "opt", "unsubscribing": "unsubscribe", "my": "me", "like": "want", "wish": "want",
}

// wishPairs are two words that count as one, lest filler tears them.
var wishPairs = map[[2]string]string{
	{"no", "more"}: "nomore", {"remove", "me"}: "removeme", {"delete", "me"}: "deleteme", {"lose", "me"}: "loseme",
}

// wishWords are the words of a text by meaning, without filler, repeats and a "want" in front.
func wishWords(words []string) []string {
	heard := make([]string, 0, len(words))
	for _, w := range words {
		if meaning, ok := wishMeanings[w]; ok {
			w = meaning
		}
		if n := len(heard); n > 0 {
			if pair, ok := wishPairs[[2]string{heard[n-1], w}]; ok {
				heard[n-1] = pair
				continue
			}
		}
		heard = append(heard, w)
	}
	heard = slices.Compact(leaveOut(heard, filler))
	if len(heard) > 0 && heard[0] == "want" {
		return heard[1:]
	}
	return heard
}

// replyWords are the words of a text in lower case without accents. Apostrophes and invisible characters fall away inside a word;
// everything else that is neither letter, mark nor digit parts words.
func replyWords(text string) []string {
	return strings.Fields(strings.Map(func(r rune) rune {
		switch {
		case r == '\'' || r == '’' || r == '‘' || r == '`' || unicode.Is(unicode.Cf, r):
			return -1
		case unicode.IsLetter(r) || unicode.IsDigit(r) || unicode.IsMark(r):
			return r
		}
		return ' '
	}, foldLatin(text)))
}

func leaveOut(words []string, set map[string]bool) []string {
	return slices.DeleteFunc(slices.Clone(words), func(w string) bool { return set[w] })
}

func wordSet(list string) map[string]bool {
	set := map[string]bool{}
	for _, w := range strings.Fields(list) {
		set[w] = true
	}
	return set
}
