package api

import (
	"context"
	"net/url"
	"strings"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// InvoiceView is the bill of one completed visit.
type InvoiceView struct {
	ID            ID[invoiceKind]     `json:"id"`
	AppointmentID ID[appointmentKind] `json:"appointment_id"`
	JourneyID     ID[journeyKind]     `json:"journey_id"`
	ClientID      ID[clientKind]      `json:"client_id"`
	ServiceID     ID[serviceKind]     `json:"service_id"`
	ProviderID    ID[providerKind]    `json:"provider_id"`
	LocationID    ID[locationKind]    `json:"location_id"`
	Number        *int64              `json:"number,omitempty" doc:"Without gaps at each location; a draft has none."`
	Status        string              `json:"status" enum:"draft,issued,paid,void"`
	Net           Money               `json:"net"`
	Tax           Money               `json:"tax"`
	Total         Money               `json:"total"`
	Paid          Money               `json:"paid"`
	Refunded      Money               `json:"refunded"`
	Due           Money               `json:"due" doc:"What is still to be paid."`
	OccurredOn    policy.LocalDate    `json:"occurred_on" format:"date" doc:"The day of the visit."`
	IssuedAt      *Instant            `json:"issued_at,omitempty"`
	DueOn         *policy.LocalDate   `json:"due_on,omitempty" format:"date"`
	FollowUpAt    *Instant            `json:"follow_up_at,omitempty" doc:"When the first follow-up falls due, if it is not paid by then."`
	PaidAt        *Instant            `json:"paid_at,omitempty"`
	VoidedAt      *Instant            `json:"voided_at,omitempty"`
	VoidReason    string              `json:"void_reason,omitempty"`
	Version       int32               `json:"version"`
}

// InvoiceWhole is an invoice with its lines, what the books say about it, and its payments.
type InvoiceWhole struct {
	InvoiceView
	Lines    []InvoiceLineView `json:"lines"`
	Ledger   []LedgerView      `json:"ledger" doc:"Sets of entries, oldest first; each sums to zero."`
	Payments []PaymentView     `json:"payments"`
}

// InvoiceLineView is one line.
type InvoiceLineView struct {
	Position      int32            `json:"position"`
	Code          string           `json:"code,omitempty"`
	Description   string           `json:"description"`
	QuantityMilli int64            `json:"quantity_milli" doc:"Thousandths: 1000 is one."`
	Unit          Money            `json:"unit"`
	Discount      Money            `json:"discount"`
	TaxBP         int32            `json:"tax_bp" doc:"Hundredths of a per cent."`
	Net           Money            `json:"net"`
	Tax           Money            `json:"tax"`
	Total         Money            `json:"total"`
	ServiceOn     policy.LocalDate `json:"service_on" format:"date"`
}

// LedgerView is one set of entries.
type LedgerView struct {
	Kind       string        `json:"kind" enum:"issue,payment,refund,reversal,write_off"`
	OccurredAt Instant       `json:"occurred_at"`
	Entries    []LedgerEntry `json:"entries"`
}

// LedgerEntry is one line of the books.
type LedgerEntry struct {
	Account  string `json:"account" enum:"receivable,revenue,tax,cash,refunds,write_off,fees"`
	Amount   int64  `json:"amount" doc:"Debits are positive, credits negative." example:"8000"`
	Currency string `json:"currency" example:"USD"`
}

// PaymentView is one attempt to be paid.
type PaymentView struct {
	ID          ID[paymentKind]  `json:"id"`
	InvoiceID   *ID[invoiceKind] `json:"invoice_id,omitempty"`
	Kind        string           `json:"kind" enum:"charge,checkout,setup,refund,cash"`
	Amount      Money            `json:"amount"`
	Status      string           `json:"status" enum:"created,processing,succeeded,failed,expired"`
	DeclineCode string           `json:"decline_code,omitempty" doc:"The card gateway's word for why."`
	OccurredAt  *Instant         `json:"occurred_at,omitempty" doc:"When it succeeded."`
	ExpiresAt   *Instant         `json:"expires_at,omitempty" doc:"When its page closes, in real time."`
	CreatedAt   Instant          `json:"created_at"`
}

func invoiceView(i db.Invoice) InvoiceView {
	money := func(n int64) Money { return Money{Amount: n, Currency: i.Currency} }
	due := int64(0)
	if i.Status == policy.InvoiceIssued {
		due = max(i.Total-i.Paid, 0)
	}
	return InvoiceView{
		ID: ID[invoiceKind](i.ID), AppointmentID: ID[appointmentKind](i.AppointmentID), JourneyID: ID[journeyKind](i.AppointmentID),
		ClientID: ID[clientKind](i.ClientID), ServiceID: ID[serviceKind](i.ServiceID), ProviderID: ID[providerKind](i.ProviderID),
		LocationID: ID[locationKind](i.LocationID), Number: i.Number, Status: i.Status, Net: money(i.Net), Tax: money(i.Tax), Total: money(i.Total),
		Paid: money(i.Paid), Refunded: money(i.Refunded), Due: money(due), OccurredOn: i.OccurredOn, IssuedAt: atOrNil(i.IssuedAt), DueOn: i.DueOn,
		FollowUpAt: atOrNil(i.FollowUpAt), PaidAt: atOrNil(i.PaidAt), VoidedAt: atOrNil(i.VoidedAt), VoidReason: i.VoidReason, Version: i.Version,
	}
}

func paymentView(p db.Payment) PaymentView {
	return PaymentView{
		ID: ID[paymentKind](p.ID), InvoiceID: idOrNil[invoiceKind](p.InvoiceID), Kind: p.Kind, Amount: Money{Amount: p.Amount, Currency: p.Currency},
		Status: p.Status, DeclineCode: p.DeclineCode, OccurredAt: atOrNil(p.OccurredAt), ExpiresAt: atOrNil(p.ExpiresAt), CreatedAt: at(p.CreatedAt),
	}
}

type listInvoicesInput struct {
	Page[invoiceKind]
	Status        string              `query:"status" enum:"draft,issued,paid,void"`
	ClientID      ID[clientKind]      `query:"client_id"`
	AppointmentID ID[appointmentKind] `query:"appointment_id"`
}

func (s *Server) listInvoices(ctx context.Context, in *listInvoicesInput) (*reply[List[InvoiceView]], error) {
	out := &reply[List[InvoiceView]]{Body: List[InvoiceView]{Data: []InvoiceView{}}}
	staff, ok := ownStaff(ctx)
	if !ok {
		return out, nil
	}
	practice := callerOf(ctx).Practice
	queries := s.deps.Store.In(practice)
	rows, more, err := turn(in.Page,
		func(id *policy.ID, limit int32) ([]db.Invoice, error) {
			return queries.InvoicePageOlder(ctx, db.InvoicePageOlderParams{
				PracticeID: practice, ID: id, Status: textOrNil(in.Status), ClientID: in.ClientID.OrNil(), AppointmentID: in.AppointmentID.OrNil(),
				OwnStaff: staff, PageSize: limit,
			})
		},
		func(id policy.ID, limit int32) ([]db.Invoice, error) {
			return queries.InvoicePageNewer(ctx, db.InvoicePageNewerParams{
				PracticeID: practice, ID: id, Status: textOrNil(in.Status), ClientID: in.ClientID.OrNil(), AppointmentID: in.AppointmentID.OrNil(),
				OwnStaff: staff, PageSize: limit,
			})
		})
	if err != nil {
		return nil, err
	}
	out.Body = List[InvoiceView]{Data: convert(rows, invoiceView), HasMore: more}
	return out, nil
}

// invoice reads an invoice that is within the caller's reach.
func (s *Server) invoice(ctx context.Context, id policy.ID) (db.Invoice, error) {
	practice := callerOf(ctx).Practice
	i, err := s.deps.Store.In(practice).InvoiceByID(ctx, practice, id)
	if db.NoRows(err) {
		return i, errNotFound("invoice")
	}
	if err != nil {
		return i, err
	}
	return i, s.reaches(ctx, i.ProviderID, "invoice")
}

func (s *Server) getInvoice(ctx context.Context, in *byID[invoiceKind]) (*reply[InvoiceWhole], error) {
	i, err := s.invoice(ctx, policy.ID(in.ID))
	if err != nil {
		return nil, err
	}
	return s.invoiceReply(ctx, i)
}

func (s *Server) invoiceReply(ctx context.Context, i db.Invoice) (*reply[InvoiceWhole], error) {
	out := InvoiceWhole{InvoiceView: invoiceView(i)}
	err := s.deps.Store.InPractice(ctx, i.PracticeID, func(tx *db.Tx) error {
		lines, err := tx.InvoiceLines(ctx, tx.Practice, i.ID)
		if err != nil {
			return err
		}
		ledger, err := tx.LedgerOfInvoice(ctx, tx.Practice, i.ID)
		if err != nil {
			return err
		}
		payments, err := tx.PaymentsOfInvoice(ctx, tx.Practice, i.ID)
		out.Lines = convert(lines, func(l db.InvoiceLinesRow) InvoiceLineView { return lineView(l, i.Currency) })
		out.Ledger, out.Payments = ledgerViews(ledger), convert(payments, paymentView)
		return err
	})
	return &reply[InvoiceWhole]{Body: out}, err
}

func lineView(l db.InvoiceLinesRow, currency string) InvoiceLineView {
	money := func(n int64) Money { return Money{Amount: n, Currency: currency} }
	return InvoiceLineView{
		Position: l.Position, Code: l.Code, Description: l.Description, QuantityMilli: l.QuantityMilli, Unit: money(l.UnitAmount), Discount: money(l.Discount),
		TaxBP: l.TaxBp, Net: money(l.Net), Tax: money(l.Tax), Total: money(l.Total), ServiceOn: l.ServiceOn,
	}
}

func ledgerViews(rows []db.LedgerOfInvoiceRow) []LedgerView {
	out := []LedgerView{}
	var set policy.ID
	for _, r := range rows {
		if r.SetID != set || len(out) == 0 {
			out = append(out, LedgerView{Kind: r.Kind, OccurredAt: at(r.OccurredAt)})
			set = r.SetID
		}
		last := &out[len(out)-1]
		last.Entries = append(last.Entries, LedgerEntry{Account: r.Account, Amount: r.Amount, Currency: r.Currency})
	}
	return out
}

type voidInvoiceInput struct {
	ID   ID[invoiceKind] `path:"id"`
	Body struct {
		Reason string `json:"reason" minLength:"1" maxLength:"500" example:"Billed to the wrong client."`
	}
}

func (s *Server) voidInvoice(ctx context.Context, in *voidInvoiceInput) (*reply[InvoiceWhole], error) {
	reason, err := sentenceOf("/reason", in.Body.Reason)
	if err != nil {
		return nil, err
	}
	if _, err := s.invoice(ctx, policy.ID(in.ID)); err != nil {
		return nil, err
	}
	i, rung, err := s.deps.Desk.Void(ctx, callerOf(ctx).Principal, policy.ID(in.ID), reason)
	if err != nil {
		return nil, s.withInvoice(ctx, policy.ID(in.ID), err)
	}
	ring(ctx, rung...)
	return s.invoiceReply(ctx, i)
}

// withInvoice adds the invoice as it stands to a conflict.
func (s *Server) withInvoice(ctx context.Context, id policy.ID, err error) error {
	return s.withFacts(err, func() (string, any, error) {
		i, err := s.invoice(ctx, id)
		return "invoice", invoiceView(i), err
	})
}

func (s *Server) listInvoicePayments(ctx context.Context, in *byID[invoiceKind]) (*reply[List[PaymentView]], error) {
	i, err := s.invoice(ctx, policy.ID(in.ID))
	if err != nil {
		return nil, err
	}
	rows, err := s.deps.Store.In(i.PracticeID).PaymentsOfInvoice(ctx, i.PracticeID, i.ID)
	return &reply[List[PaymentView]]{Body: List[PaymentView]{Data: convert(rows, paymentView)}}, err
}

// HostedPage is a page of the card gateway. Its address is for the client, or for a screen that is turned to them.
type HostedPage struct {
	URL       string   `json:"url" format:"uri"`
	ExpiresAt *Instant `json:"expires_at,omitempty" doc:"When the page closes, in real time."`
}

// HostedInput says where the page leads back to.
type HostedInput struct {
	ReturnURL string `json:"return_url,omitempty" maxLength:"500" format:"uri" example:"https://kept.example.org/l/paid" doc:"An address of this installation; a page that thanks when missing."`
}

type checkoutInput struct {
	ID   ID[invoiceKind] `path:"id"`
	Body *HostedInput
}

// back is where a hosted page leads afterwards. Only this installation's own origin is taken: nobody is sent elsewhere by us.
func (s *Server) back(in *HostedInput) (string, error) {
	if in == nil || in.ReturnURL == "" {
		return s.deps.BaseURL + PaidPath, nil
	}
	base, err := url.Parse(s.deps.BaseURL)
	if err != nil {
		return "", err
	}
	back, err := url.Parse(in.ReturnURL)
	if err != nil || back.Scheme != base.Scheme || back.Host != base.Host || back.User != nil || strings.ContainsAny(in.ReturnURL, "\\ ") {
		return "", policy.InvalidField("/return_url", "foreign_return_url", "Give an address that begins with this installation's own, or leave it out.")
	}
	return back.String(), nil
}

func (s *Server) openCheckout(ctx context.Context, in *checkoutInput) (*reply[HostedPage], error) {
	back, err := s.back(in.Body)
	if err != nil {
		return nil, err
	}
	i, err := s.invoice(ctx, policy.ID(in.ID))
	if err != nil {
		return nil, err
	}
	if s.deps.Cards == nil {
		return nil, errNoCards()
	}
	page, err := s.deps.Cards.Checkout(ctx, i.PracticeID, i.ID, back)
	if err != nil {
		return nil, s.withInvoice(ctx, i.ID, err)
	}
	return &reply[HostedPage]{Body: HostedPage{URL: page}}, nil
}

type cardSetupInput struct {
	ID   ID[clientKind] `path:"id"`
	Body *HostedInput
}

func (s *Server) openCardSetup(ctx context.Context, in *cardSetupInput) (*reply[HostedPage], error) {
	caller, client := callerOf(ctx), policy.ID(in.ID)
	back, err := s.back(in.Body)
	if err != nil {
		return nil, err
	}
	row, err := s.deps.Store.In(caller.Practice).ClientByID(ctx, caller.Practice, client)
	if db.NoRows(err) || (err == nil && (row.Status == "erased" || row.Status == "archived")) {
		return nil, errNotFound("client")
	}
	if err != nil {
		return nil, err
	}
	if err := s.reachesClient(ctx, client, "client"); err != nil {
		return nil, err
	}
	if s.deps.Cards == nil {
		return nil, errNoCards()
	}
	page, expires, err := s.deps.Cards.SetupPage(ctx, caller.Principal, client, back)
	return &reply[HostedPage]{Body: HostedPage{URL: page, ExpiresAt: atOrNil(&expires)}}, err
}

func errNoCards() error {
	return policy.NewError(policy.Unavailable, "cards_unavailable", "No card gateway is connected here. Nothing was done.")
}
