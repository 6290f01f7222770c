package desk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/nyaruka/phonenumbers"

	"github.com/kept-practice/kept/internal/policy"
)

// maxName bounds what people and things are called, in characters.
const maxName = 100

// line cleans a text of one line that must say something; the error names the field.
func line(pointer, s string, most int) (string, error) {
	out, err := policy.CleanName(s, most)
	return out, policy.AtField(pointer, err)
}

// lineOrNone is line for a text that may be left empty.
func lineOrNone(pointer, s string, most int) (string, error) {
	if s == "" {
		return "", nil
	}
	return line(pointer, s, most)
}

// text cleans a text of several lines that may be left empty.
func text(pointer, s string, most int) (string, error) {
	if s == "" {
		return "", nil
	}
	out, err := policy.CleanText(s, most, true)
	return out, policy.AtField(pointer, err)
}

func mailbox(pointer, s string) (string, error) {
	out, err := policy.CleanMail(s)
	return out, policy.AtField(pointer, err)
}

// phone gives a number in E.164 (+12025550123), read as dialled in the country. It refuses what no message or call should go
// to: letters, several numbers, an extension, short codes, premium and shared-cost numbers.
func phone(pointer, s, country string) (string, error) {
	refuse := func(detail string) (string, error) { return "", policy.InvalidField(pointer, "invalid_phone", detail) }
	const form = "Write one phone number, with + and the country's code or as dialled in the practice's country."
	if len(s) > 40 || strings.IndexFunc(s, func(r rune) bool { return !strings.ContainsRune("+0123456789 ()-./\u00a0", r) }) >= 0 {
		return refuse(form)
	}
	number, err := phonenumbers.Parse(s, country)
	if err != nil || number.GetExtension() != "" {
		return refuse(form)
	}
	if phonenumbers.IsValidShortNumberForRegion(number, country) && !phonenumbers.IsValidNumber(number) {
		return refuse("Short codes cannot be used. Write a whole phone number.")
	}
	if !phonenumbers.IsValidNumber(number) {
		return refuse(form)
	}
	switch phonenumbers.GetNumberType(number) {
	case phonenumbers.PREMIUM_RATE, phonenumbers.SHARED_COST:
		return refuse("Premium and shared-cost numbers cannot be used.")
	}
	return phonenumbers.Format(number, phonenumbers.E164), nil
}

func phoneOrNone(pointer, s, country string) (string, error) {
	if s == "" {
		return "", nil
	}
	return phone(pointer, s, country)
}

// country is an ISO 3166 code of two capitals whose phone numbers can be read.
func country(pointer, code string) error {
	if !phonenumbers.GetSupportedRegions()[code] {
		return policy.InvalidField(pointer, "unknown_country", "Name the country by its ISO 3166 code of two capitals, such as US, GB or DE.")
	}
	return nil
}

func zone(pointer, name string) error {
	_, err := policy.LoadZone(name)
	return policy.AtField(pointer, err)
}

func choice(pointer, s string, choices ...string) error {
	if !slices.Contains(choices, s) {
		return policy.InvalidField(pointer, "not_a_choice", "It must be one of: "+strings.Join(choices, ", ")+".")
	}
	return nil
}

func within(pointer string, n, least, most int) error {
	if n < least || n > most {
		return policy.InvalidField(pointer, "out_of_range", fmt.Sprintf("It must be between %d and %d.", least, most))
	}
	return nil
}

// firstOf is the first error of several checks that do not depend on each other.
func firstOf(checks ...error) error {
	for _, err := range checks {
		if err != nil {
			return err
		}
	}
	return nil
}

// staleVersion is the answer to a change made to something that changed meanwhile.
func staleVersion(what string) error {
	return policy.NewError(policy.Conflict, "stale_version", "The "+what+" was changed meanwhile. Read it again and repeat the change.")
}
