package policy

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestLineInput_Amounts(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		line LineInput
		want LineAmounts
	}{
		{"one, no tax", LineInput{QuantityMilli: 1000, UnitMinor: 8500}, LineAmounts{8500, 0, 8500}},
		{"tax on top", LineInput{QuantityMilli: 1000, UnitMinor: 8500, TaxBP: 2000}, LineAmounts{8500, 1700, 10200}},
		{"tax within", LineInput{QuantityMilli: 1000, UnitMinor: 10200, TaxBP: 2000, Inclusive: true}, LineAmounts{8500, 1700, 10200}},
		{"a quarter of an hour", LineInput{QuantityMilli: 250, UnitMinor: 18000}, LineAmounts{4500, 0, 4500}},
		{"discount before tax", LineInput{QuantityMilli: 2000, UnitMinor: 5000, DiscountMinor: 1000, TaxBP: 1000}, LineAmounts{9000, 900, 9900}},
		{"discount of everything", LineInput{QuantityMilli: 1000, UnitMinor: 5000, DiscountMinor: 5000, TaxBP: 1000}, LineAmounts{}},
		{"half a cent of tax goes up", LineInput{QuantityMilli: 1000, UnitMinor: 5, TaxBP: 1000}, LineAmounts{5, 1, 6}},
		{"half a cent of price goes up", LineInput{QuantityMilli: 500, UnitMinor: 1}, LineAmounts{1, 0, 1}},
		{"free", LineInput{QuantityMilli: 1000, TaxBP: 2000}, LineAmounts{}},
		{"the most", LineInput{QuantityMilli: 1000, UnitMinor: MaxAmount}, LineAmounts{MaxAmount, 0, MaxAmount}},
	} {
		got, err := c.line.Amounts()
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, got, c.name)
	}
}

func TestLineInput_Refused(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		pointer, code string
		line          LineInput
	}{
		{"/quantity", "quantity_out_of_range", LineInput{UnitMinor: 1}},
		{"/quantity", "quantity_out_of_range", LineInput{QuantityMilli: -1, UnitMinor: 1}},
		{"/quantity", "quantity_out_of_range", LineInput{QuantityMilli: MaxAmount + 1}},
		{"/unit_amount", "amount_out_of_range", LineInput{QuantityMilli: 1000, UnitMinor: -1}},
		{"/unit_amount", "amount_out_of_range", LineInput{QuantityMilli: 1000, UnitMinor: math.MaxInt64}},
		{"/discount", "amount_out_of_range", LineInput{QuantityMilli: 1000, UnitMinor: 1, DiscountMinor: -1}},
		{"/discount", "discount_too_large", LineInput{QuantityMilli: 1000, UnitMinor: 1, DiscountMinor: 2}},
		{"/tax_bp", "rate_out_of_range", LineInput{QuantityMilli: 1000, UnitMinor: 1, TaxBP: -1}},
		{"/tax_bp", "rate_out_of_range", LineInput{QuantityMilli: 1000, UnitMinor: 1, TaxBP: 10001}},
		{"", "amount_out_of_range", LineInput{QuantityMilli: 2000, UnitMinor: MaxAmount}},
		{"", "amount_out_of_range", LineInput{QuantityMilli: 1000, UnitMinor: MaxAmount, TaxBP: 1}},
	} {
		_, _, err := PriceLines([]LineInput{{QuantityMilli: 1000}, c.line})
		var e *Error
		require.ErrorAs(t, err, &e, "%+v", c.line)
		require.Equal(t, Invalid, e.Kind)
		require.Equal(t, c.code, e.Code, "%+v", c.line)
		require.Equal(t, "/lines/1"+c.pointer, e.Fields[0].Pointer)
		require.NotEmpty(t, e.Fields[0].Detail)
	}
	large := LineInput{QuantityMilli: 1000, UnitMinor: MaxAmount}
	_, _, err := PriceLines([]LineInput{large, {QuantityMilli: 1000, UnitMinor: 1}})
	require.Equal(t, "amount_out_of_range", CodeOf(err))
}

func TestPriceLines_B2_SumsEqualTotals(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		inclusive := rapid.Bool().Draw(t, "inclusive")
		line := rapid.Custom(func(t *rapid.T) LineInput {
			l := LineInput{
				QuantityMilli: rapid.Int64Range(1, 20_000).Draw(t, "quantity"), UnitMinor: rapid.Int64Range(0, 100_000).Draw(t, "unit"),
				TaxBP: rapid.Int64Range(0, 10_000).Draw(t, "rate"), Inclusive: inclusive,
			}
			price, err := Money{l.UnitMinor, "USD"}.Times(l.QuantityMilli)
			require.NoError(t, err)
			l.DiscountMinor = rapid.Int64Range(0, price.Amount).Draw(t, "discount")
			return l
		})
		lines := rapid.SliceOfN(line, 0, 12).Draw(t, "lines")
		priced, totals, err := PriceLines(lines)
		require.NoError(t, err)
		var sum LineAmounts
		for i, a := range priced {
			require.Equal(t, a.Total, a.Net+a.Tax)
			require.GreaterOrEqual(t, a.Net, int64(0))
			require.GreaterOrEqual(t, a.Tax, int64(0))
			on, err := TaxOn(a.Net, lines[i].TaxBP)
			require.NoError(t, err)
			require.InDelta(t, on, a.Tax, 1, "tax is the net's, to a unit of rounding")
			sum = LineAmounts{sum.Net + a.Net, sum.Tax + a.Tax, sum.Total + a.Total}
		}
		require.Equal(t, sum, totals)

		entries, err := IssueEntries(Money{totals.Total, "USD"}, Money{totals.Tax, "USD"})
		require.NoError(t, err)
		require.NoError(t, Balanced(entries))
	})
}
