package policy

import (
	"math"
	"math/big"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func TestMoney_AddSub(t *testing.T) {
	t.Parallel()
	usd := func(n int64) Money { return Money{n, "USD"} }
	sum, err := usd(1).Add(usd(-3))
	require.NoError(t, err)
	require.Equal(t, usd(-2), sum)
	difference, err := usd(1).Sub(usd(3))
	require.NoError(t, err)
	require.Equal(t, usd(-2), difference)
	_, err = usd(1).Add(Money{1, "EUR"})
	require.Equal(t, "currency_mismatch", CodeOf(err))
	_, err = usd(1).Sub(Money{1, "EUR"})
	require.Equal(t, "currency_mismatch", CodeOf(err))
	for _, c := range [][2]int64{{math.MaxInt64, 1}, {math.MinInt64, -1}, {math.MinInt64, math.MinInt64}, {math.MaxInt64, math.MaxInt64}} {
		_, err = usd(c[0]).Add(usd(c[1]))
		require.Equal(t, "amount_out_of_range", CodeOf(err), c)
	}
	for _, c := range [][2]int64{{math.MaxInt64, -1}, {math.MinInt64, 1}, {0, math.MinInt64}} {
		_, err = usd(c[0]).Sub(usd(c[1]))
		require.Equal(t, "amount_out_of_range", CodeOf(err), c)
	}
	rapid.Check(t, func(t *rapid.T) {
		a, b := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b")
		want := new(big.Int).Add(big.NewInt(a), big.NewInt(b))
		sum, err := usd(a).Add(usd(b))
		require.Equal(t, want.IsInt64(), err == nil)
		if err == nil {
			require.Equal(t, want.Int64(), sum.Amount)
		}
	})
}

func TestMoney_TimesAndTaxRoundHalfAwayFromZero(t *testing.T) {
	t.Parallel()
	for _, c := range []struct{ amount, quantity, want int64 }{
		{1000, 1000, 1000}, {1000, 250, 250}, {333, 1500, 500}, {1, 500, 1}, {1, 499, 0}, {-1, 500, -1}, {-1, 499, 0}, {3, 500, 2}, {-3, 500, -2}, {0, 5, 0},
	} {
		got, err := Money{c.amount, "USD"}.Times(c.quantity)
		require.NoError(t, err)
		require.Equal(t, c.want, got.Amount, c)
	}
	for _, c := range []struct{ net, bp, on, within int64 }{
		{1000, 2000, 200, 167}, {1000, 0, 0, 0}, {1250, 1000, 125, 114}, {5, 1000, 1, 0}, {-5, 1000, -1, 0}, {1, 10000, 1, 1}, {10000, 825, 825, 762},
	} {
		on, err := TaxOn(c.net, c.bp)
		require.NoError(t, err)
		require.Equal(t, c.on, on, c)
		within, err := TaxWithin(c.net, c.bp)
		require.NoError(t, err)
		require.Equal(t, c.within, within, c)
	}
	_, err := Money{math.MaxInt64, "USD"}.Times(1001)
	require.Equal(t, "amount_out_of_range", CodeOf(err))
	_, err = Money{math.MinInt64, "USD"}.Times(1000)
	require.Equal(t, "amount_out_of_range", CodeOf(err))
	_, err = Money{math.MaxInt64, "USD"}.Times(math.MaxInt64)
	require.Equal(t, "amount_out_of_range", CodeOf(err))
	rapid.Check(t, func(t *rapid.T) {
		a, b, c := rapid.Int64().Draw(t, "a"), rapid.Int64().Draw(t, "b"), rapid.Int64Range(1, 1<<40).Draw(t, "c")
		product := new(big.Int).Mul(big.NewInt(a), big.NewInt(b))
		doubled := new(big.Int).Add(new(big.Int).Abs(new(big.Int).Lsh(product, 1)), big.NewInt(c))
		want := doubled.Quo(doubled, big.NewInt(2*c))
		if product.Sign() < 0 {
			want.Neg(want)
		}
		got, err := mulDiv(a, b, c)
		if err == nil {
			require.Equal(t, want.Int64(), got)
		} else {
			require.True(t, new(big.Int).Abs(want).Cmp(big.NewInt(math.MaxInt64)) > 0)
		}
	})
}

func TestSplit_LargestRemainder(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		total   int64
		weights []int64
		want    []int64
	}{
		{100, []int64{1, 1, 1}, []int64{34, 33, 33}},
		{-100, []int64{1, 1, 1}, []int64{-34, -33, -33}},
		{10, []int64{1, 2, 3}, []int64{2, 3, 5}},
		{5, []int64{0, 1}, []int64{0, 5}},
		{5, []int64{0, 0}, []int64{3, 2}},
		{5, []int64{-4, 1}, []int64{0, 5}},
		{5, []int64{-4, -1}, []int64{3, 2}},
		{0, []int64{1, 2}, []int64{0, 0}},
		{7, []int64{9}, []int64{7}},
		{7, nil, nil},
		{math.MinInt64, []int64{math.MaxInt64, math.MaxInt64}, []int64{-1 << 62, -1 << 62}},
		{math.MaxInt64, []int64{math.MaxInt64, math.MaxInt64, math.MaxInt64}, []int64{3074457345618258603, 3074457345618258602, 3074457345618258602}},
	} {
		require.Equal(t, c.want, Split(c.total, c.weights), "%d by %v", c.total, c.weights)
	}
}

func TestSplit_SumsExactlyAndIsFair(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(-1e12, 1e12).Draw(t, "total")
		weights := rapid.SliceOfN(rapid.Int64Range(0, 1e6), 1, 20).Draw(t, "weights")
		parts := Split(total, weights)
		var sum, all int64
		for i := range parts {
			sum += parts[i]
			all += weights[i]
		}
		require.Equal(t, total, sum)
		if all == 0 {
			require.LessOrEqual(t, slices.Max(parts)-slices.Min(parts), int64(1))
			return
		}
		for i, p := range parts { // every part is its exact share rounded up or down
			distance := new(big.Int).Sub(new(big.Int).Mul(big.NewInt(p), big.NewInt(all)), new(big.Int).Mul(big.NewInt(total), big.NewInt(weights[i])))
			require.True(t, distance.Abs(distance).Cmp(big.NewInt(all)) < 0, "part %d of %v by %v", i, parts, weights)
		}
	})
}

func TestMoney_Validate_BADH3(t *testing.T) {
	t.Parallel()
	require.NoError(t, Money{0, "GBP"}.Validate())
	require.NoError(t, Money{99_999_999, "JPY"}.Validate())
	for _, amount := range []int64{-1, 100_000_000, 1e12, math.MinInt64, math.MaxInt64} {
		require.Equal(t, "amount_out_of_range", CodeOf(Money{amount, "GBP"}.Validate()), amount)
	}
	for _, code := range []string{"", "gbp", "GBP ", "XXX", "US", "USDT"} {
		require.Equal(t, "unknown_currency", CodeOf(Money{1, code}.Validate()), code)
		_, ok := CurrencyDigits(code)
		require.False(t, ok)
	}
	n, ok := CurrencyDigits("KWD")
	require.True(t, ok)
	require.Equal(t, 3, n)
}

func TestMoney_Format(t *testing.T) {
	t.Parallel()
	for want, m := range map[string]Money{
		"£12.30": {1230, "GBP"}, "¥500": {500, "JPY"}, "$0.05": {5, "USD"}, "-$0.05": {-5, "USD"}, "€0.00": {0, "EUR"}, "$1,234.50": {123450, "USD"},
		"-£1,234,567.89": {-123456789, "GBP"}, "¥1,000": {1000, "JPY"}, "CHF 12.30": {1230, "CHF"}, "KWD 1.005": {1005, "KWD"}, "KWD 0.005": {5, "KWD"},
		"A$99.99": {9999, "AUD"}, "ABC 1.00": {100, "ABC"}, "¥999": {999, "JPY"}, "-$92,233,720,368,547,758.08": {math.MinInt64, "USD"},
	} {
		require.Equal(t, want, m.Format())
	}
}
