package api

import (
	"errors"
	"regexp"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/kept-practice/kept/internal/policy"
)

// Kind says what an id names: its prefix on the wire and the words for it.
type Kind interface {
	names() (prefix, noun string) // the noun with its article
}

// ID is a UUID as callers see it: a prefix and 26 characters of Crockford's base32 in lower case (cli_01k3…), so that the id
// of a client cannot be passed where an appointment's is due, in Go as on the wire. The zero ID is "not given".
type ID[K Kind] policy.ID

// Every kind of thing that has an id at the API.
type (
	appointmentKind    struct{}
	cadenceKind        struct{}
	cadenceVersionKind struct{}
	caseKind           struct{}
	classKind          struct{}
	clientKind         struct{}
	closureKind        struct{}
	contactPointKind   struct{}
	formKind           struct{}
	holdKind           struct{}
	invoiceKind        struct{}
	journalKind        struct{}
	journeyKind        struct{}
	keyKind            struct{}
	linkKind           struct{}
	locationKind       struct{}
	messageKind        struct{}
	overrideKind       struct{}
	packetKind         struct{}
	paymentKind        struct{}
	paymentMethodKind  struct{}
	practiceKind       struct{}
	providerKind       struct{}
	recallKind         struct{}
	resourceKind       struct{}
	serviceKind        struct{}
	shiftKind          struct{}
	staffKind          struct{}
	taskKind           struct{}
	templateKind       struct{}
)

func (appointmentKind) names() (prefix, noun string)    { return "apt", "an appointment" }
func (cadenceKind) names() (prefix, noun string)        { return "cad", "a cadence" }
func (cadenceVersionKind) names() (prefix, noun string) { return "cdv", "a version of a cadence" }
func (caseKind) names() (prefix, noun string)           { return "cas", "a case" }
func (classKind) names() (prefix, noun string)          { return "cls", "a class" }
func (clientKind) names() (prefix, noun string)         { return "cli", "a client" }
func (closureKind) names() (prefix, noun string)        { return "clo", "a closure" }
func (contactPointKind) names() (prefix, noun string)   { return "cpt", "a contact point" }
func (formKind) names() (prefix, noun string)           { return "frm", "a form" }
func (holdKind) names() (prefix, noun string)           { return "hld", "a hold" }
func (invoiceKind) names() (prefix, noun string)        { return "inv", "an invoice" }
func (journalKind) names() (prefix, noun string)        { return "jnl", "a journal entry" }
func (journeyKind) names() (prefix, noun string)        { return "jrn", "a journey" }
func (keyKind) names() (prefix, noun string)            { return "key", "an API key" }
func (linkKind) names() (prefix, noun string)           { return "lnk", "a link" }
func (locationKind) names() (prefix, noun string)       { return "loc", "a location" }
func (messageKind) names() (prefix, noun string)        { return "msg", "a message" }
func (overrideKind) names() (prefix, noun string)       { return "ovr", "an override" }
func (packetKind) names() (prefix, noun string)         { return "pkt", "a packet" }
func (paymentKind) names() (prefix, noun string)        { return "pay", "a payment" }
func (paymentMethodKind) names() (prefix, noun string)  { return "pmd", "a payment method" }
func (practiceKind) names() (prefix, noun string)       { return "prc", "a practice" }
func (providerKind) names() (prefix, noun string)       { return "prv", "a provider" }
func (recallKind) names() (prefix, noun string)         { return "rcl", "a recall" }
func (resourceKind) names() (prefix, noun string)       { return "rsc", "a resource" }
func (serviceKind) names() (prefix, noun string)        { return "svc", "a service" }
func (shiftKind) names() (prefix, noun string)          { return "shf", "a shift" }
func (staffKind) names() (prefix, noun string)          { return "stf", "a member of the staff" }
func (taskKind) names() (prefix, noun string)           { return "tsk", "a task" }
func (templateKind) names() (prefix, noun string)       { return "tpl", "a message template" }

// kinds lets an id of another kind be told from nonsense. A kind that is missing here answers 422 where 404 is due.
var kinds = []Kind{
	appointmentKind{},
	cadenceKind{},
	cadenceVersionKind{},
	caseKind{},
	classKind{},
	clientKind{},
	closureKind{},
	contactPointKind{},
	formKind{},
	holdKind{},
	invoiceKind{},
	journalKind{},
	journeyKind{},
	keyKind{},
	linkKind{},
	locationKind{},
	messageKind{},
	overrideKind{},
	packetKind{},
	paymentKind{},
	paymentMethodKind{},
	practiceKind{},
	providerKind{},
	recallKind{},
	resourceKind{},
	serviceKind{},
	shiftKind{},
	staffKind{},
	taskKind{},
	templateKind{},
}

const (
	crockford    = "0123456789abcdefghjkmnpqrstvwxyz"
	encodedChars = 26 // 128 bits, 5 a character; the first holds 3
	encodedID    = `[0-7][0-9a-hjkmnp-tv-z]{25}`
)

var encodedForm = regexp.MustCompile(`^` + encodedID + `$`)

// IsZero tells an id that was not given.
func (id ID[K]) IsZero() bool { return policy.ID(id).IsZero() }

// String gives the prefixed form.
func (id ID[K]) String() string {
	return prefixOf[K]() + encodeID(policy.ID(id))
}

// MarshalText and UnmarshalText carry the prefixed form through JSON, paths and queries.
func (id ID[K]) MarshalText() ([]byte, error) { return []byte(id.String()), nil }

func (id *ID[K]) UnmarshalText(b []byte) error {
	encoded, ok := strings.CutPrefix(string(b), prefixOf[K]())
	if !ok || !encodedForm.MatchString(encoded) {
		var k K
		return errors.New(expectedID(k))
	}
	*id = ID[K](decodeID(encoded))
	return nil
}

// Schema tells OpenAPI and the validator what the id looks like.
func (id ID[K]) Schema(huma.Registry) *huma.Schema {
	var k K
	return &huma.Schema{
		Type: huma.TypeString, Pattern: `^` + prefixOf[K]() + encodedID + `$`, PatternDescription: describeID(k),
		Examples: []any{prefixOf[K]() + "01k3gq8w5ne7r9vjzt4xhb2mdc"},
	}
}

// OrNil is the id for a nullable column: nil when it was not given.
func (id ID[K]) OrNil() *policy.ID {
	if id.IsZero() {
		return nil
	}
	plain := policy.ID(id)
	return &plain
}

// idOrNil is a nullable column as a view's optional id.
func idOrNil[K Kind](id *policy.ID) *ID[K] { return (*ID[K])(id) }

func prefixOf[K Kind]() string {
	var k K
	prefix, _ := k.names()
	return prefix + "_"
}

func describeID(k Kind) string {
	prefix, noun := k.names()
	return "the id of " + noun + " (" + prefix + "_…)"
}

// expectedID is the validator's message for a pattern with describeID as its description.
func expectedID(k Kind) string { return "expected string to be " + describeID(k) }

// wellFormedID tells whether s is the id of some kind, and not just any text.
func wellFormedID(s string) bool {
	for _, k := range kinds {
		prefix, _ := k.names()
		if encoded, ok := strings.CutPrefix(s, prefix+"_"); ok {
			return encodedForm.MatchString(encoded)
		}
	}
	return false
}

func encodeID(id policy.ID) string {
	var out [encodedChars]byte
	var bits uint
	var acc uint16
	at := encodedChars
	for i := len(id) - 1; i >= 0; i-- {
		acc |= uint16(id[i]) << bits
		for bits += 8; bits >= 5; bits -= 5 {
			at--
			out[at] = crockford[acc&31]
			acc >>= 5
		}
	}
	out[0] = crockford[acc&31]
	return string(out[:])
}

// decodeID reads what encodedForm has accepted.
func decodeID(s string) (id policy.ID) {
	var bits uint
	var acc uint16
	at := len(id)
	for i := len(s) - 1; i >= 0 && at > 0; i-- {
		acc |= uint16(strings.IndexByte(crockford, s[i])) << bits
		if bits += 5; bits >= 8 {
			at--
			id[at] = byte(acc)
			acc >>= 8
			bits -= 8
		}
	}
	return id
}
