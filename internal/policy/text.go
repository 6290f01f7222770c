package policy

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxMarks is how many combining marks may follow one another; more is a stack that covers other lines. No script needs it.
const maxMarks = 8

// CleanName gives a one-line text as it is stored: ends trimmed, else kept as sent. It refuses, as Invalid, what CleanText refuses, and
// what has nothing visible in it. maxRunes counts characters after trimming.
func CleanName(s string, maxRunes int) (string, error) { return CleanText(s, maxRunes, false) }

// CleanText gives a text as it is stored: ends trimmed, all else kept as sent, markup and template signs included, since whoever shows
// it makes it inert. It refuses, as Invalid: bytes that are not UTF-8, control characters, direction overrides, absurd stacks of
// marks, nothing visible, more than maxRunes characters; line ends and tabs unless multiline.
func CleanText(s string, maxRunes int, multiline bool) (string, error) {
	if !utf8.ValidString(s) {
		return "", NewError(Invalid, "invalid_utf8", "The text is not valid UTF-8.")
	}
	visible, marks := false, 0
	for _, r := range s {
		switch {
		case multiline && r == '\t':
		case r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			if !multiline {
				return "", NewError(Invalid, "line_break", "Write it on one line.")
			}
		case unicode.IsControl(r):
			return "", NewError(Invalid, "control_character", "Remove the control characters.")
		case isOverride(r):
			return "", NewError(Invalid, "direction_override", "Remove the characters that turn the direction of writing.")
		}
		if marks++; !unicode.IsMark(r) {
			marks = 0
		}
		if marks > maxMarks {
			return "", NewError(Invalid, "stacked_marks", fmt.Sprintf("A character carries at most %d marks.", maxMarks))
		}
		visible = visible || !isBlank(r)
	}
	if !visible {
		return "", NewError(Invalid, "empty", "Write something, spaces alone do not count.")
	}
	s = strings.TrimSpace(s)
	if utf8.RuneCountInString(s) > maxRunes {
		return "", NewError(Invalid, "too_long", fmt.Sprintf("Write at most %d characters.", maxRunes))
	}
	return s, nil
}

// isOverride tells the characters that turn the direction of what follows them; the marks that only hint at it are fine.
func isOverride(r rune) bool { return (r >= 0x202A && r <= 0x202E) || (r >= 0x2066 && r <= 0x2069) }

// isBlank tells characters that show nothing by themselves: spaces, joiners and other format characters, fillers, marks.
func isBlank(r rune) bool {
	switch r {
	case '\u115F', '\u1160', '\u2800', '\u3164', '\uFFA0':
		return true
	}
	return unicode.IsSpace(r) || unicode.IsControl(r) || unicode.Is(unicode.Cf, r) || unicode.IsMark(r)
}

// CleanMail gives one plain mailbox as it is stored: ends trimmed, else as sent. It refuses, as Invalid, what the mail gateway cannot
// deliver to or what could mean more than one mailbox: names, comments, lists, quotes, line ends, addresses of machines,
// letters outside ASCII (an international domain goes in its xn-- form).
func CleanMail(s string) (string, error) {
	s = strings.Trim(s, " ")
	local, domain, found := strings.Cut(s, "@")
	if !found || len(s) > 254 || !mailLocal(local) || !mailDomain(domain) {
		return "", NewError(Invalid, "invalid_mail", "Write one e-mail address, such as ana@example.com, and nothing else.")
	}
	return s, nil
}

func mailLocal(s string) bool {
	for _, atom := range strings.Split(s, ".") {
		if atom == "" {
			return false
		}
		for _, r := range atom {
			if !asciiLetterOrDigit(r) && !strings.ContainsRune("!#$%&'*+/=?^_`{|}~-", r) {
				return false
			}
		}
	}
	return len(s) <= 64
}

func mailDomain(s string) bool {
	labels := strings.Split(s, ".")
	for _, label := range labels {
		if label == "" || len(label) > 63 || label[0] == '-' || label[len(label)-1] == '-' {
			return false
		}
		for _, r := range label {
			if !asciiLetterOrDigit(r) && r != '-' {
				return false
			}
		}
	}
	top := labels[len(labels)-1]
	return len(labels) > 1 && len(top) > 1 && strings.IndexFunc(top, unicode.IsDigit) != 0
}

func asciiLetterOrDigit(r rune) bool {
	return (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') || (r >= '0' && r <= '9')
}

// SearchKey is what a text is found by: lower case, Latin letters without their accents, one space between words. Other scripts
// keep their letters and marks. A key's key is itself.
func SearchKey(s string) string {
	return strings.Join(strings.Fields(foldLatin(s)), " ")
}

// foldLatin writes lower case and takes accents off Latin letters, composed or combining, and full-width forms down to ASCII.
func foldLatin(s string) string {
	var b strings.Builder
	b.Grow(len(s))
	for _, r := range s {
		if r >= 0xFF01 && r <= 0xFF5E {
			r -= 0xFF01 - '!'
		}
		r = unicode.ToLower(r)
		switch plain, ok := latinFolds[r]; {
		case ok:
			b.WriteString(plain)
		case r < 0x300 || r > 0x36F: // combining accents fall away
			b.WriteRune(r)
		}
	}
	return b.String()
}

var latinFolds = func() map[rune]string {
	folds := map[rune]string{}
	for plain, accented := range map[string]string{
		"a": "àáâãäåāăąǎǟǡǻȁȃȧạảấầẩẫậắằẳẵặḁẚⱥ", "b": "ƀḃḅḇɓ", "c": "çćĉċčḉƈȼ", "d": "ďđðḋḍḏḑḓɖɗ", "e": "èéêëēĕėęěȅȇȩḕḗḙḛḝẹẻẽếềểễệɇǝə",
		"f": "ḟƒ", "g": "ĝğġģǧǵǥḡɠ", "h": "ĥħȟḣḥḧḩḫẖⱨ", "i": "ìíîïĩīĭįıǐȉȋḭḯỉịɨ", "j": "ĵǰɉ", "k": "ķĸǩḱḳḵƙⱪ", "l": "ĺļľŀłḷḹḻḽƚⱡɫ",
		"m": "ḿṁṃ", "n": "ñńņňŋǹṅṇṉṋƞɲ", "o": "òóôõöøōŏőơǒǫǭǿȍȏȫȭȯȱṍṏṑṓọỏốồổỗộớờởỡợɵ", "p": "ṕṗƥᵽ", "q": "ɋ", "r": "ŕŗřȑȓṙṛṝṟɍɽ",
		"s": "śŝşšșṡṣṥṧṩſẛȿ", "t": "ţťŧțṫṭṯṱẗƭʈⱦ", "u": "ùúûüũūŭůűųưǔǖǘǚǜȕȗṳṵṷṹṻụủứừửữựʉ", "v": "ṽṿʋ", "w": "ŵẁẃẅẇẉẘⱳ", "x": "ẋẍ",
		"y": "ýÿŷȳẏẙỳỵỷỹƴɏ", "z": "źżžẑẓẕƶȥⱬ", "ae": "æǣǽ", "oe": "œ", "ss": "ßẞ", "th": "þ", "ij": "ĳ", "dz": "ǆǳ", "lj": "ǉ", "nj": "ǌ",
	} {
		for _, r := range accented {
			folds[r] = plain
		}
	}
	return folds
}()
