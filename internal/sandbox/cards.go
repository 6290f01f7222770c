package sandbox

import "strings"

const codeAuthenticate = "authentication_required"

// testCard is one of Stripe's published test numbers and what its bank does.
type testCard struct {
	Number     string
	Brand      string
	Says       string // for the page: what happens
	onAttach   string // decline code when put on file
	onCharge   string // decline code of every charge
	challenges bool   // asks its owner on the page
	always     bool   // asks on every charge, so off-session charges fail for good
}

var testCards = []testCard{
	{Number: "4242424242424242", Brand: "visa", Says: "succeeds"},
	{Number: "5555555555554444", Brand: "mastercard", Says: "succeeds"},
	{Number: "4000000000000002", Brand: "visa", Says: "is declined", onAttach: "generic_decline", onCharge: "generic_decline"},
	{Number: "4000000000000341", Brand: "visa", Says: "can be put on file, every charge is declined", onCharge: "generic_decline"},
	{Number: "4000000000009995", Brand: "visa", Says: "has insufficient funds", onAttach: "insufficient_funds", onCharge: "insufficient_funds"},
	{Number: "4000002500003155", Brand: "visa", Says: "asks its owner once", challenges: true},
	{Number: "4000002760003184", Brand: "visa", Says: "asks its owner every time", challenges: true, always: true},
	{Number: "4000000000000069", Brand: "visa", Says: "has expired", onAttach: "expired_card", onCharge: "expired_card"},
	{Number: "4000000000000127", Brand: "visa", Says: "has a wrong CVC", onAttach: "incorrect_cvc", onCharge: "incorrect_cvc"},
	{Number: "4000000000000119", Brand: "visa", Says: "meets a processing error", onAttach: "processing_error", onCharge: "processing_error"},
}

// testTokens are payment methods that can be named without a page, for seeds.
var testTokens = map[string]string{
	"pm_card_visa":                   "4242424242424242",
	"pm_card_mastercard":             "5555555555554444",
	"pm_card_chargeDeclined":         "4000000000000002",
	"pm_card_chargeCustomerFail":     "4000000000000341",
	"pm_card_authenticationRequired": "4000002760003184",
}

var declineMessages = map[string]string{
	"insufficient_funds": "Your card has insufficient funds.",
	"expired_card":       "Your card has expired.",
	"incorrect_cvc":      "Your card's security code is incorrect.",
	"processing_error":   "An error occurred while processing your card. Try again in a little bit.",
	codeAuthenticate:     "Your card was declined. This transaction requires authentication.",
}

// cardByNumber finds a test card; blanks and dashes are forgiven.
func cardByNumber(number string) (testCard, bool) {
	number = strings.NewReplacer(" ", "", "-", "").Replace(number)
	for _, c := range testCards {
		if c.Number == number {
			return c, true
		}
	}
	return testCard{}, false
}

// cardOf finds what a stored card does; the last four digits of the test cards are all different.
func cardOf(m *paymentMethod) testCard {
	for _, c := range testCards {
		if strings.HasSuffix(c.Number, m.Card.Last4) {
			return c
		}
	}
	return testCard{}
}

// chargeVerdict is the decline code of a charge, "" when it succeeds. Present means the client is on the page and has
// already answered the bank if it asked.
func chargeVerdict(m *paymentMethod, present bool) string {
	c := cardOf(m)
	authenticated := m.Sandbox != nil && m.Sandbox.Authenticated
	switch {
	case c.onCharge != "":
		return c.onCharge
	case !present && c.challenges && (c.always || !authenticated):
		return codeAuthenticate
	}
	return ""
}

func newMethod(t *tx, c testCard, customer string) *paymentMethod {
	return &paymentMethod{
		ID: newID("pm_"), Object: "payment_method", Type: "card", Created: t.now.Unix(), Customer: optional(customer),
		Metadata: map[string]string{}, Sandbox: &methodPrivate{},
		Card: card{
			Brand: c.Brand, Country: "US", ExpMonth: 12, ExpYear: t.now.Year() + 3, Funding: "credit",
			Fingerprint: "sandbox" + c.Number[len(c.Number)-4:], Last4: c.Number[len(c.Number)-4:],
		},
	}
}
