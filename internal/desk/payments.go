package desk

import (
	"context"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Kinds of payment row.
const (
	PaymentCharge   = "charge"   // a card on file, while the client is away
	PaymentCheckout = "checkout" // a hosted page
	PaymentSetup    = "setup"    // a hosted page that leaves a card
)

// Payment statuses.
const (
	PaymentProcessing = "processing"
	PaymentSucceeded  = "succeeded"
	PaymentFailed     = "failed"
	PaymentExpired    = "expired"
)

// Charge is a payment row that stands before the gateway is called.
type Charge struct {
	Payment  db.Payment
	Customer string // the gateway's
	Method   string // the gateway's; only for a charge
}

// PrepareCharge writes the row of one charge attempt, in the transaction that claims its effect. The row's id is the core of
// the idempotency key, so a repeated claim of the same effect must hand the old row in.
func (d *Desk) PrepareCharge(ctx context.Context, tx *db.Tx, invoice policy.ID, step string, earlier *policy.ID) (Charge, error) {
	inv, err := tx.InvoiceByID(ctx, tx.Practice, invoice)
	if err != nil {
		return Charge{}, err
	}
	client, err := tx.ClientByID(ctx, tx.Practice, inv.ClientID)
	if err != nil {
		return Charge{}, err
	}
	out := Charge{}
	if client.GatewayCustomer != nil {
		out.Customer = *client.GatewayCustomer
	}
	if earlier != nil {
		if out.Payment, err = tx.PaymentByID(ctx, tx.Practice, *earlier); err != nil {
			return out, err
		}
		out.Method, err = tx.MethodByID(ctx, tx.Practice, *out.Payment.MethodID) // a repeat has the same parameters, whatever card came since
		return out, err
	}
	method, err := tx.MethodOf(ctx, tx.Practice, inv.ClientID)
	if err != nil {
		return Charge{}, fmt.Errorf("card on file: %w", err)
	}
	out.Method = method.GatewayMethod
	id, err := d.insertPayment(ctx, tx, inv, PaymentCharge, &method.ID, step, nil)
	if err != nil {
		return Charge{}, err
	}
	out.Payment, err = tx.PaymentByID(ctx, tx.Practice, id)
	return out, err
}

func (d *Desk) insertPayment(ctx context.Context, tx *db.Tx, inv db.Invoice, kind string, method *policy.ID, step string, expires *time.Time) (policy.ID, error) {
	n, err := tx.PaymentNextN(ctx, db.PaymentNextNParams{PracticeID: tx.Practice, InvoiceID: inv.ID, Kind: kind})
	if err != nil {
		return policy.ID{}, err
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return policy.ID{}, err
	}
	id := db.NewID()
	return id, tx.PaymentInsert(ctx, db.PaymentInsertParams{
		PracticeID: tx.Practice, ID: id, InvoiceID: &inv.ID, ClientID: inv.ClientID, N: n, Kind: kind, Amount: inv.Total - inv.Paid, Currency: inv.Currency,
		MethodID: method, Source: "kept", CausedByStep: step, ExpiresAt: expires, CreatedAt: clk.now,
	})
}

// checkoutLife is how long a hosted page stays open, in real time: the gateway's own clock.
const checkoutLife = 2 * time.Hour

// OpenCheckout prepares a hosted page for what is still owed now, or finds the one the client can go back to. A settled
// invoice answers 409 invoice_settled, one whose card is being charged 409 payment_under_way.
func (d *Desk) OpenCheckout(ctx context.Context, by policy.Principal, invoice policy.ID) (charge Charge, url string, err error) {
	err = d.store.InPractice(ctx, by.Practice, func(tx *db.Tx) error {
		inv, err := d.lockInvoice(ctx, tx, invoice)
		if err != nil {
			return err
		}
		if inv.Status != policy.InvoiceIssued {
			return policy.NewError(policy.Conflict, "invoice_settled", "There is nothing left to pay on this invoice.")
		}
		underWay, err := tx.PaymentUnderWay(ctx, tx.Practice, invoice)
		if err != nil {
			return err
		}
		if underWay {
			return policy.NewError(policy.Conflict, "payment_under_way", "The card on file is being charged for this invoice. Look again in a minute.")
		}
		open, err := tx.PaymentOpenCheckout(ctx, db.PaymentOpenCheckoutParams{PracticeID: tx.Practice, InvoiceID: invoice, Amount: inv.Total - inv.Paid})
		if err == nil {
			url = open.CheckoutUrl
			return nil
		}
		if !db.NoRows(err) {
			return err
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		expires := clk.real.Add(checkoutLife)
		id, err := d.insertPayment(ctx, tx, inv, PaymentCheckout, nil, "", &expires)
		if err != nil {
			return err
		}
		client, err := tx.ClientByID(ctx, tx.Practice, inv.ClientID)
		if err != nil {
			return err
		}
		if client.GatewayCustomer != nil {
			charge.Customer = *client.GatewayCustomer
		}
		charge.Payment, err = tx.PaymentByID(ctx, tx.Practice, id)
		return err
	})
	return charge, url, err
}

// OpenSetup prepares a hosted page on which a client leaves a card. Staff hand its address to the client.
func (d *Desk) OpenSetup(ctx context.Context, by policy.Principal, client policy.ID) (Charge, error) {
	var out Charge
	err := d.command(ctx, by, func(tx *db.Tx) error {
		row, err := tx.ClientByID(ctx, tx.Practice, client)
		if err != nil {
			return notFound(err, "client")
		}
		practice, err := tx.PracticeByID(ctx, tx.Practice)
		if err != nil {
			return err
		}
		clk, err := readClock(ctx, tx.Queries, tx.Practice)
		if err != nil {
			return err
		}
		id, expires := db.NewID(), clk.real.Add(checkoutLife)
		if err := tx.PaymentInsert(ctx, db.PaymentInsertParams{
			PracticeID: tx.Practice, ID: id, ClientID: client, N: 1, Kind: PaymentSetup, Currency: practice.Currency, Source: "staff",
			ExpiresAt: &expires, CreatedAt: clk.now,
		}); err != nil {
			return err
		}
		if row.GatewayCustomer != nil {
			out.Customer = *row.GatewayCustomer
		}
		if err := tx.Record(ctx, db.Entry{Verb: "card_requested", By: by, Object: "client", ID: client}); err != nil {
			return err
		}
		out.Payment, err = tx.PaymentByID(ctx, tx.Practice, id)
		return err
	})
	return out, err
}

// AttachGateway notes what the gateway made for a payment row: its customer, session, intent and page.
func (d *Desk) AttachGateway(ctx context.Context, practice policy.ID, p db.Payment, customer, session, intent, url string) error {
	return d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		if customer != "" {
			if err := tx.ClientSetCustomer(ctx, db.ClientSetCustomerParams{PracticeID: practice, ID: p.ClientID, GatewayCustomer: &customer}); err != nil {
				return err
			}
		}
		return tx.PaymentAttach(ctx, db.PaymentAttachParams{
			PracticeID: practice, ID: p.ID, GatewaySession: orNil(session), GatewayIntent: orNil(intent), CheckoutUrl: url,
		})
	})
}

func orNil(s string) *string {
	if s == "" {
		return nil
	}
	return &s
}

// PaymentNews is what the gateway says a payment has come to: from its own answer, from an event, from a look-up.
type PaymentNews struct {
	Payment  policy.ID
	Status   string // succeeded, failed or expired
	Intent   string
	Code     string // of a decline
	Amount   int64  // as the gateway took it, compared with our row
	Currency string
}

// ApplyPayment is the one monotone applier: a success stands for ever and is booked once, a failure may still be overtaken.
// An amount or currency that is not ours moves no money and becomes a task. It returns the subjects to ring.
func (d *Desk) ApplyPayment(ctx context.Context, tx *db.Tx, by policy.Principal, news PaymentNews) ([]policy.Subject, error) {
	payment, err := tx.PaymentByID(ctx, tx.Practice, news.Payment)
	if err != nil {
		return nil, err
	}
	if payment.InvoiceID == nil {
		return nil, nil
	}
	inv, err := d.lockInvoice(ctx, tx, *payment.InvoiceID)
	if err != nil {
		return nil, err
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return nil, err
	}
	if news.Status == PaymentSucceeded && (news.Amount != payment.Amount || news.Currency != payment.Currency) {
		return nil, openTask(ctx, tx, taskInput{
			cause: "payment_differs/" + payment.ID.String(), kind: "payment_differs", queue: "billing", client: payment.ClientID, dueAt: clk.now,
			title: "The gateway took another amount or currency than we asked for. Nothing was booked; reconcile by hand.",
		})
	}
	settle := db.PaymentSettleParams{PracticeID: tx.Practice, ID: payment.ID, Status: news.Status, DeclineCode: news.Code, GatewayIntent: orNil(news.Intent)}
	if news.Status == PaymentSucceeded {
		settle.OccurredAt = &clk.now
	}
	n, err := tx.PaymentSettle(ctx, settle)
	if err != nil || n == 0 {
		return nil, err
	}
	if news.Status != PaymentSucceeded {
		return d.recordDecline(ctx, tx, by, inv, payment, news)
	}
	return d.bookPayment(ctx, tx, by, inv, payment, clk.now)
}

func (d *Desk) bookPayment(ctx context.Context, tx *db.Tx, by policy.Principal, inv db.Invoice, payment db.Payment, now time.Time) ([]policy.Subject, error) {
	entries, err := policy.PaymentEntries(policy.Money{Amount: payment.Amount, Currency: payment.Currency})
	if err != nil {
		return nil, err
	}
	if err := post(ctx, tx, inv, posting{kind: "payment", entries: entries, at: now, payment: &payment.ID}); err != nil {
		return nil, err
	}
	row, err := tx.InvoiceAddPaid(ctx, db.InvoiceAddPaidParams{PracticeID: tx.Practice, ID: inv.ID, Amount: payment.Amount, PaidAt: now})
	if err != nil {
		return nil, err
	}
	if row.Paid > row.Total || inv.Status == policy.InvoiceVoid {
		if err := openTask(ctx, tx, taskInput{
			cause: "overpaid/" + payment.ID.String(), kind: "overpaid", queue: "billing", client: inv.ClientID, subject: journeyOf(tx.Practice, inv.AppointmentID),
			dueAt: now, title: "More was paid than the invoice asks for. Refund the difference or keep it as credit.",
		}); err != nil {
			return nil, err
		}
	}
	rung, err := invoiceRings(ctx, tx, policy.InvoiceSettled, inv)
	if err != nil {
		return nil, err
	}
	return rung, tx.Record(ctx, db.Entry{
		Verb: policy.InvoiceSettled, By: by, Subject: journeyOf(tx.Practice, inv.AppointmentID), Object: "invoice", ID: inv.ID, Rings: rung,
		After: map[string]any{"status": row.Status, "paid": row.Paid, "payment": payment.ID, "kind": payment.Kind},
	})
}

func (d *Desk) recordDecline(ctx context.Context, tx *db.Tx, by policy.Principal, inv db.Invoice, payment db.Payment, news PaymentNews) ([]policy.Subject, error) {
	rung, err := invoiceRings(ctx, tx, policy.PaymentFailed, inv)
	if err != nil {
		return nil, err
	}
	return rung, tx.Record(ctx, db.Entry{
		Verb: policy.PaymentFailed, By: by, Subject: journeyOf(tx.Practice, inv.AppointmentID), Object: "payment", ID: payment.ID, Rings: rung,
		After: map[string]any{"status": news.Status, "code": news.Code, "invoice": inv.ID, "kind": payment.Kind},
	})
}

// CardNews is a card that a client left on a hosted page.
type CardNews struct {
	Payment  policy.ID // the setup row
	Customer string
	Method   string
	Brand    string
	Last4    string
	ExpMonth int
	ExpYear  int
}

// StoreCard keeps a card on file; the same card twice changes nothing. It returns the client's open subjects, to ring.
func (d *Desk) StoreCard(ctx context.Context, tx *db.Tx, by policy.Principal, news CardNews) ([]policy.Subject, error) {
	setup, err := tx.PaymentByID(ctx, tx.Practice, news.Payment)
	if err != nil {
		return nil, err
	}
	if err := tx.Lock(ctx, db.LockSet{Clients: []policy.ID{setup.ClientID}}); err != nil {
		return nil, err
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return nil, err
	}
	if err := tx.ClientSetCustomer(ctx, db.ClientSetCustomerParams{PracticeID: tx.Practice, ID: setup.ClientID, GatewayCustomer: &news.Customer}); err != nil {
		return nil, err
	}
	settle := db.PaymentSettleParams{PracticeID: tx.Practice, ID: setup.ID, Status: PaymentSucceeded, OccurredAt: &clk.now}
	if _, err := tx.PaymentSettle(ctx, settle); err != nil {
		return nil, err
	}
	id := db.NewID()
	n, err := tx.MethodInsert(ctx, db.MethodInsertParams{
		PracticeID: tx.Practice, ID: id, ClientID: setup.ClientID, GatewayMethod: news.Method, Brand: news.Brand, Last4: news.Last4,
		ExpMonth: int32(news.ExpMonth), ExpYear: int32(news.ExpYear), MandateAt: clk.now,
	})
	if err != nil || n == 0 {
		return nil, err
	}
	rung, err := openSubjects(ctx, tx, policy.CardStored, []policy.ID{setup.ClientID})
	if err != nil {
		return nil, err
	}
	return rung, tx.Record(ctx, db.Entry{
		Verb: policy.CardStored, By: by, Object: "payment_method", ID: id, Rings: rung, After: map[string]any{"brand": news.Brand, "client": setup.ClientID},
	})
}
