package policy

import (
	"errors"
	"fmt"
)

// LineInput is what someone charges for: a quantity of something at a price.
type LineInput struct {
	QuantityMilli int64 // thousandths: 1000 is one, 250 a quarter of an hour
	UnitMinor     int64 // price of one, in minor units; contains the tax when Inclusive
	DiscountMinor int64 // off the whole line, at most its price
	TaxBP         int64 // basis points: 2000 is 20 %
	Inclusive     bool
}

// LineAmounts is what a line, or a whole invoice, comes to, in minor units. Total is always Net + Tax.
type LineAmounts struct {
	Net, Tax, Total int64
}

// Amounts prices the line: quantity times unit, less the discount, tax by line rounded half away from zero. It refuses, as Invalid
// with a pointer into the line, what no invoice may hold.
func (l LineInput) Amounts() (LineAmounts, error) {
	if err := l.validate(); err != nil {
		return LineAmounts{}, err
	}
	price, err := mulDiv(l.UnitMinor, l.QuantityMilli, milli)
	if err != nil {
		return LineAmounts{}, err
	}
	if l.DiscountMinor > price {
		return LineAmounts{}, InvalidField("/discount", "discount_too_large", "The discount is larger than the line's price.")
	}
	price -= l.DiscountMinor
	a := LineAmounts{Total: price}
	if l.Inclusive {
		a.Tax, err = TaxWithin(price, l.TaxBP)
	} else {
		a.Tax, err = TaxOn(price, l.TaxBP)
		a.Total += a.Tax
	}
	a.Net = a.Total - a.Tax
	if err == nil && a.Total > MaxAmount {
		err = errTotal()
	}
	if err != nil {
		return LineAmounts{}, err
	}
	return a, nil
}

func (l LineInput) validate() error {
	switch {
	case l.QuantityMilli <= 0 || l.QuantityMilli > MaxAmount:
		return InvalidField("/quantity", "quantity_out_of_range", fmt.Sprintf("The quantity must be between 0.001 and %d.%03d.", MaxAmount/milli, MaxAmount%milli))
	case validAmount(l.UnitMinor) != nil:
		return AtField("/unit_amount", validAmount(l.UnitMinor))
	case validAmount(l.DiscountMinor) != nil:
		return AtField("/discount", validAmount(l.DiscountMinor))
	case l.TaxBP < 0 || l.TaxBP > fullRateBP:
		return InvalidField("/tax_bp", "rate_out_of_range", "The tax rate must be between 0 and 10000 basis points (100 %).")
	}
	return nil
}

// PriceLines prices every line and the invoice: its totals are the sums of its lines, so what stands on the paper adds up. Errors
// point to their line by its position.
func PriceLines(lines []LineInput) ([]LineAmounts, LineAmounts, error) {
	var totals LineAmounts
	priced := make([]LineAmounts, len(lines))
	for i, l := range lines {
		a, err := l.Amounts()
		if err != nil {
			return nil, LineAmounts{}, atLine(i, err)
		}
		priced[i] = a
		totals = LineAmounts{Net: totals.Net + a.Net, Tax: totals.Tax + a.Tax, Total: totals.Total + a.Total}
		if totals.Total > MaxAmount {
			return nil, LineAmounts{}, errTotal()
		}
	}
	return priced, totals, nil
}

func atLine(i int, err error) error {
	pointer := fmt.Sprintf("/lines/%d", i)
	var e *Error
	if errors.As(err, &e) && len(e.Fields) > 0 {
		pointer += e.Fields[0].Pointer
	}
	return AtField(pointer, err)
}

func errTotal() *Error {
	return NewError(Invalid, "amount_out_of_range", fmt.Sprintf("An invoice comes to at most %d minor units; split it.", MaxAmount))
}
