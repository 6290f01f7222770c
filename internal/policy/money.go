package policy

import (
	"cmp"
	"fmt"
	"math"
	"math/big"
	"math/bits"
	"slices"
	"strconv"
)

// MaxAmount is the largest amount that anybody may type, in minor units: what the card gateway takes in one payment.
const MaxAmount = 99_999_999

// Quantities are thousandths, tax rates are basis points (hundredths of a percent).
const (
	milli      = 1_000
	fullRateBP = 10_000
)

// Money is an amount in the currency's minor units (cents, pence, yen).
type Money struct {
	Amount   int64
	Currency string // ISO 4217, one that CurrencyDigits knows
}

// currency is how many digits the minor unit has and how people write it in English.
type currency struct {
	digits int
	symbol string // empty: the code stands before the number
}

var currencies = map[string]currency{
	"AED": {2, ""}, "AUD": {2, "A$"}, "BGN": {2, ""}, "BHD": {3, ""}, "BRL": {2, "R$"}, "CAD": {2, "C$"}, "CHF": {2, ""}, "CLP": {0, ""},
	"COP": {2, ""}, "CZK": {2, ""}, "DKK": {2, ""}, "EGP": {2, ""}, "EUR": {2, "€"}, "GBP": {2, "£"}, "HKD": {2, "HK$"}, "HUF": {2, ""},
	"IDR": {2, ""}, "ILS": {2, ""}, "INR": {2, ""}, "JPY": {0, "¥"}, "KES": {2, ""}, "KRW": {0, ""}, "KWD": {3, ""},
	"MAD": {2, ""}, "MXN": {2, "MX$"}, "MYR": {2, ""}, "NGN": {2, ""}, "NOK": {2, ""}, "NPR": {2, ""}, "NZD": {2, "NZ$"}, "PEN": {2, ""},
	"PHP": {2, ""}, "PLN": {2, ""}, "QAR": {2, ""}, "RON": {2, ""}, "SAR": {2, ""}, "SEK": {2, ""}, "SGD": {2, "S$"}, "THB": {2, ""},
	"TRY": {2, ""}, "TWD": {2, ""}, "UAH": {2, ""}, "USD": {2, "$"}, "VND": {0, ""}, "XPF": {0, ""}, "ZAR": {2, ""},
}

// CurrencyDigits is the number of digits of a currency's minor unit; ok is false for a currency that kept does not keep books in.
func CurrencyDigits(code string) (n int, ok bool) {
	c, ok := currencies[code]
	return c.digits, ok
}

// ValidateCurrency refuses, as Invalid, a code that kept does not keep books in; casing counts.
func ValidateCurrency(code string) error {
	if _, ok := currencies[code]; !ok {
		return NewError(Invalid, "unknown_currency", "Name the currency by its ISO 4217 code in capitals, such as USD, EUR or GBP.")
	}
	return nil
}

// Validate refuses, as Invalid, an amount that nobody may type: negative, over MaxAmount, or in an unknown currency.
func (m Money) Validate() error {
	if err := ValidateCurrency(m.Currency); err != nil {
		return err
	}
	return validAmount(m.Amount)
}

func validAmount(minor int64) error {
	if minor < 0 || minor > MaxAmount {
		return NewError(Invalid, "amount_out_of_range", fmt.Sprintf("Amounts are whole minor units from 0 to %d.", MaxAmount))
	}
	return nil
}

// Add and Sub refuse, as Invalid, two currencies, and a result that no int64 holds.
func (m Money) Add(other Money) (Money, error) {
	if err := m.sameCurrency(other); err != nil {
		return Money{}, err
	}
	sum, err := addAmounts(m.Amount, other.Amount)
	return Money{Amount: sum, Currency: m.Currency}, err
}

func (m Money) Sub(other Money) (Money, error) {
	if err := m.sameCurrency(other); err != nil {
		return Money{}, err
	}
	if other.Amount == math.MinInt64 {
		return Money{}, errOverflow()
	}
	difference, err := addAmounts(m.Amount, -other.Amount)
	return Money{Amount: difference, Currency: m.Currency}, err
}

func (m Money) sameCurrency(other Money) error {
	if m.Currency != other.Currency {
		return NewError(Invalid, "currency_mismatch", "Amounts of two currencies do not add up.")
	}
	return nil
}

// Times multiplies by a quantity in thousandths (1500 is one and a half), rounded half away from zero.
func (m Money) Times(quantityMilli int64) (Money, error) {
	amount, err := mulDiv(m.Amount, quantityMilli, milli)
	return Money{Amount: amount, Currency: m.Currency}, err
}

// TaxOn is the tax that comes on top of a net amount at a rate in basis points, rounded half away from zero.
func TaxOn(net, rateBP int64) (int64, error) { return mulDiv(net, rateBP, fullRateBP) }

// TaxWithin is the tax that a gross amount contains at a rate in basis points, rounded half away from zero.
func TaxWithin(gross, rateBP int64) (int64, error) { return mulDiv(gross, rateBP, fullRateBP+rateBP) }

// Split divides total by weights so that the parts sum to it exactly: each gets its share rounded down, the units left over go to the
// largest remainders, the earlier of equals first. A negative total splits as its opposite does. Weights below zero count
// as zero; when all are zero the parts are even. No weights give no parts.
func Split(total int64, weights []int64) []int64 {
	if len(weights) == 0 {
		return nil
	}
	weight := func(i int) *big.Int { return big.NewInt(max(weights[i], 0)) }
	if slices.Max(weights) <= 0 {
		weight = func(int) *big.Int { return big.NewInt(1) }
	}
	sum := new(big.Int)
	for i := range weights {
		sum.Add(sum, weight(i))
	}
	whole := new(big.Int).Abs(big.NewInt(total))
	parts, remainders, order := make([]*big.Int, len(weights)), make([]*big.Int, len(weights)), make([]int, len(weights))
	left := new(big.Int).Set(whole)
	for i := range weights {
		parts[i], remainders[i] = new(big.Int).QuoRem(new(big.Int).Mul(whole, weight(i)), sum, new(big.Int))
		left.Sub(left, parts[i])
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return remainders[b].Cmp(remainders[a]) })
	for _, i := range order[:left.Int64()] {
		parts[i].Add(parts[i], big.NewInt(1))
	}
	out := make([]int64, len(weights))
	for i, p := range parts {
		if total < 0 {
			p.Neg(p)
		}
		out[i] = p.Int64()
	}
	return out
}

// Format writes the amount for people who read English: £1,234.50, ¥500, -$0.05, CHF 12.30. All of it can go in a plain text message.
func (m Money) Format() string {
	c, known := currencies[m.Currency]
	if !known {
		c.digits = 2
	}
	sign, minor := "", strconv.FormatUint(magnitude(m.Amount), 10)
	if m.Amount < 0 {
		sign = "-"
	}
	for len(minor) <= c.digits {
		minor = "0" + minor
	}
	whole, fraction := minor[:len(minor)-c.digits], minor[len(minor)-c.digits:]
	for i := len(whole) - 3; i > 0; i -= 3 {
		whole = whole[:i] + "," + whole[i:]
	}
	if fraction != "" {
		whole += "." + fraction
	}
	return sign + cmp.Or(c.symbol, m.Currency+" ") + whole
}

func addAmounts(a, b int64) (int64, error) {
	sum := a + b
	if (a > 0 && b > 0 && sum <= 0) || (a < 0 && b < 0 && sum >= 0) {
		return 0, errOverflow()
	}
	return sum, nil
}

// mulDiv is a·b/c rounded half away from zero, exact in between; c is positive.
func mulDiv(a, b, c int64) (int64, error) {
	high, low := bits.Mul64(magnitude(a), magnitude(b))
	low, carry := bits.Add64(low, uint64(c)/2, 0)
	high += carry
	if high >= uint64(c) {
		return 0, errOverflow()
	}
	quotient, _ := bits.Div64(high, low, uint64(c))
	if quotient > math.MaxInt64 {
		return 0, errOverflow()
	}
	if (a < 0) != (b < 0) {
		return -int64(quotient), nil
	}
	return int64(quotient), nil
}

func magnitude(n int64) uint64 {
	if n < 0 {
		return -uint64(n)
	}
	return uint64(n)
}

func errOverflow() *Error {
	return NewError(Invalid, "amount_out_of_range", "The amount is too large to keep books in.")
}
