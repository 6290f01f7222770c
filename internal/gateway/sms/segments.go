package sms

import "strings"

// The GSM 03.38 alphabet; characters of its extension table cost two septets.
const (
	gsmBasic = "@£$¥èéùìòÇ\nØø\rÅåΔ_ΦΓΛΩΠΨΣΘΞÆæßÉ !\"#¤%&'()*+,-./0123456789:;<=>?¡ABCDEFGHIJKLMNOPQRSTUVWXYZÄÖÑÜ§" +
		"¿abcdefghijklmnopqrstuvwxyzäöñüà"
	gsmExtended = "\f^{}\\[~]|€"
)

// Segments counts the texts a body is billed as: 160 characters, or 153 each when there are several; 70 and 67 when a
// character lies outside the GSM alphabet (gsm is false). Neither an escape pair nor a surrogate pair is ever split.
func Segments(body string) (n int, gsm bool) {
	if body == "" {
		return 0, true
	}
	gsm = true
	for _, r := range body {
		if !strings.ContainsRune(gsmBasic, r) && !strings.ContainsRune(gsmExtended, r) {
			gsm = false
			break
		}
	}
	single, each := 160, 153
	if !gsm {
		single, each = 70, 67
	}
	units, room, parts := 0, each, 1
	for _, r := range body {
		cost := width(r, gsm)
		units += cost
		if cost > room {
			parts, room = parts+1, each
		}
		room -= cost
	}
	if units <= single {
		return 1, gsm
	}
	return parts, gsm
}

func width(r rune, gsm bool) int {
	if (gsm && strings.ContainsRune(gsmExtended, r)) || (!gsm && r > 0xFFFF) {
		return 2
	}
	return 1
}
