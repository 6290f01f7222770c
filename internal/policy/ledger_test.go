package policy

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"
)

func gbp(n int64) Money { return Money{n, "GBP"} }

func TestLedger_Builders(t *testing.T) {
	t.Parallel()
	entries, err := IssueEntries(gbp(10200), gbp(1700))
	require.NoError(t, err)
	require.Equal(t, []Entry{{AccountReceivable, 10200, "GBP"}, {AccountRevenue, -8500, "GBP"}, {AccountTax, -1700, "GBP"}}, entries)
	entries, err = IssueEntries(gbp(8500), gbp(0))
	require.NoError(t, err)
	require.Equal(t, []Entry{{AccountReceivable, 8500, "GBP"}, {AccountRevenue, -8500, "GBP"}}, entries)
	entries, err = IssueEntries(gbp(0), gbp(0))
	require.NoError(t, err)
	require.Empty(t, entries)

	entries, err = PaymentEntries(gbp(10200))
	require.NoError(t, err)
	require.Equal(t, []Entry{{AccountCash, 10200, "GBP"}, {AccountReceivable, -10200, "GBP"}}, entries)
	require.Equal(t, []Entry{{AccountCash, -10200, "GBP"}, {AccountReceivable, 10200, "GBP"}}, Reverse(entries))
	require.Equal(t, int64(10200), entries[0].Amount, "the reversed set is left as it was")
	entries, err = RefundEntries(gbp(200))
	require.NoError(t, err)
	require.Equal(t, []Entry{{AccountRefunds, 200, "GBP"}, {AccountCash, -200, "GBP"}}, entries)
	entries, err = WriteOffEntries(gbp(200))
	require.NoError(t, err)
	require.Equal(t, []Entry{{AccountWriteOff, 200, "GBP"}, {AccountReceivable, -200, "GBP"}}, entries)
}

func TestLedger_BuildersRefuse(t *testing.T) {
	t.Parallel()
	for _, build := range []func(Money) ([]Entry, error){PaymentEntries, RefundEntries, WriteOffEntries} {
		for _, amount := range []int64{0, -1, math.MinInt64} {
			_, err := build(gbp(amount))
			require.Equal(t, "amount_out_of_range", CodeOf(err))
		}
	}
	for _, c := range [][2]int64{{100, 101}, {100, -1}, {-100, 0}, {math.MinInt64, math.MaxInt64}} {
		_, err := IssueEntries(gbp(c[0]), gbp(c[1]))
		require.Equal(t, "amount_out_of_range", CodeOf(err), c)
	}
	_, err := IssueEntries(gbp(100), Money{1, "EUR"})
	require.Equal(t, "currency_mismatch", CodeOf(err))
}

func TestBalanced(t *testing.T) {
	t.Parallel()
	require.NoError(t, Balanced(nil))
	require.NoError(t, Balanced([]Entry{{AccountCash, 5, "GBP"}, {AccountReceivable, -5, "GBP"}, {AccountCash, 7, "EUR"}, {AccountFees, -7, "EUR"}}))
	for name, entries := range map[string][]Entry{
		"sums to one":     {{AccountCash, 5, "GBP"}, {AccountReceivable, -4, "GBP"}},
		"two currencies":  {{AccountCash, 5, "GBP"}, {AccountReceivable, -5, "EUR"}},
		"one entry":       {{AccountCash, 5, "GBP"}},
		"moves nothing":   {{AccountCash, 0, "GBP"}},
		"unknown account": {{"pocket", 5, "GBP"}, {AccountReceivable, -5, "GBP"}},
		"too large":       {{AccountCash, math.MaxInt64, "GBP"}, {AccountCash, 1, "GBP"}},
	} {
		err := Balanced(entries)
		require.Equal(t, "unbalanced_entries", CodeOf(err), name)
		require.Equal(t, Internal, KindOf(err), name)
	}
}

func TestLedger_INV3_EverySetSumsToZeroAndReversesToNothing(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		total := rapid.Int64Range(1, MaxAmount).Draw(t, "total")
		tax := rapid.Int64Range(0, total).Draw(t, "tax")
		paid := rapid.Int64Range(1, total).Draw(t, "paid")
		refunded := rapid.Int64Range(1, paid).Draw(t, "refunded")
		balances := map[Account]int64{}
		for _, build := range []func() ([]Entry, error){
			func() ([]Entry, error) { return IssueEntries(gbp(total), gbp(tax)) },
			func() ([]Entry, error) { return PaymentEntries(gbp(paid)) },
			func() ([]Entry, error) { return RefundEntries(gbp(refunded)) },
		} {
			entries, err := build()
			require.NoError(t, err)
			require.NoError(t, Balanced(entries))
			require.NoError(t, Balanced(Reverse(entries)))
			require.Equal(t, entries, Reverse(Reverse(entries)))
			for _, e := range entries {
				balances[e.Account] += e.Amount
			}
		}
		require.Equal(t, total-paid, balances[AccountReceivable])
		require.Equal(t, paid-refunded, balances[AccountCash])
		require.Equal(t, -tax, balances[AccountTax])
	})
}
