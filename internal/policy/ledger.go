package policy

import (
	"fmt"
	"slices"
)

// Account is one side of the books.
type Account string

const (
	AccountReceivable Account = "receivable" // what clients owe
	AccountRevenue    Account = "revenue"
	AccountTax        Account = "tax"  // owed to the state
	AccountCash       Account = "cash" // captured less refunded; equals the gateway's book
	AccountFees       Account = "fees" // what gateways keep for themselves
	AccountRefunds    Account = "refunds"
	AccountWriteOff   Account = "write_off"
)

// AllAccounts lists every account.
func AllAccounts() []Account {
	return []Account{AccountReceivable, AccountRevenue, AccountTax, AccountCash, AccountFees, AccountRefunds, AccountWriteOff}
}

// Entry is one posting in minor units: debits are positive, credits negative. Entries are written in sets that sum to zero, and
// never changed: a mistake is reversed.
type Entry struct {
	Account  Account
	Amount   int64
	Currency string
}

// IssueEntries post an issued invoice: the client owes total, of which tax goes to the state. They are empty for an invoice of
// nothing. Tax may not exceed total.
func IssueEntries(total, tax Money) ([]Entry, error) {
	revenue, err := total.Sub(tax)
	if err == nil && (tax.Amount < 0 || revenue.Amount < 0) {
		err = NewError(Invalid, "amount_out_of_range", "An invoice's tax lies between 0 and its total.")
	}
	if err != nil {
		return nil, err
	}
	return post(total.Currency, posting{AccountReceivable, total.Amount}, posting{AccountRevenue, -revenue.Amount}, posting{AccountTax, -tax.Amount}), nil
}

// PaymentEntries post money that came in for what the client owes.
func PaymentEntries(amount Money) ([]Entry, error) {
	return transfer(AccountReceivable, AccountCash, amount)
}

// RefundEntries post money that went back to the client. The invoice stays paid; what was given back shows in its own account.
func RefundEntries(amount Money) ([]Entry, error) {
	return transfer(AccountCash, AccountRefunds, amount)
}

// WriteOffEntries post a debt that the practice gives up.
func WriteOffEntries(amount Money) ([]Entry, error) {
	return transfer(AccountReceivable, AccountWriteOff, amount)
}

// Reverse posts the opposite of a set, which undoes it in the books and leaves both to be read.
func Reverse(entries []Entry) []Entry {
	reversed := slices.Clone(entries)
	for i := range reversed {
		reversed[i].Amount = -reversed[i].Amount
	}
	return reversed
}

// Balanced tells, as an Internal error, why a set cannot be written: an unknown account, an entry of nothing, or a currency whose
// entries do not sum to zero.
func Balanced(entries []Entry) error {
	sums := map[string]int64{}
	for _, e := range entries {
		if !slices.Contains(AllAccounts(), e.Account) {
			return NewError(Internal, "unbalanced_entries", fmt.Sprintf("There is no account %q.", e.Account))
		}
		if e.Amount == 0 {
			return NewError(Internal, "unbalanced_entries", fmt.Sprintf("An entry on %s moves nothing.", e.Account))
		}
		sum, err := addAmounts(sums[e.Currency], e.Amount)
		if err != nil {
			return NewError(Internal, "unbalanced_entries", fmt.Sprintf("The entries in %s are too large to sum.", e.Currency))
		}
		sums[e.Currency] = sum
	}
	for currency, sum := range sums {
		if sum != 0 {
			return NewError(Internal, "unbalanced_entries", fmt.Sprintf("The entries in %s sum to %d and not to zero.", currency, sum))
		}
	}
	return nil
}

type posting struct {
	account Account
	amount  int64
}

// transfer moves a positive amount from one account to another.
func transfer(from, to Account, amount Money) ([]Entry, error) {
	if amount.Amount <= 0 {
		return nil, NewError(Invalid, "amount_out_of_range", "The amount must be more than nothing.")
	}
	return post(amount.Currency, posting{to, amount.Amount}, posting{from, -amount.Amount}), nil
}

// post leaves out what moves nothing.
func post(currency string, postings ...posting) []Entry {
	var entries []Entry
	for _, p := range postings {
		if p.amount != 0 {
			entries = append(entries, Entry{Account: p.account, Amount: p.amount, Currency: currency})
		}
	}
	return entries
}
