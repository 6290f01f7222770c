package activities

import (
	"context"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
)

// Event is a verified gateway event from the inbox.
type Event struct {
	Gateway string
	Type    string
	Body    []byte
}

// Applied is what an event came to.
type Applied struct {
	State    string // applied, ignored, refused, or parked: to be tried again
	Note     string // no personal data
	Practice *policy.ID
	Rung     []policy.Subject
}

func ignored(note string) Applied { return Applied{State: "ignored", Note: note} }
func parked(note string) Applied  { return Applied{State: "parked", Note: note} }
func refused(note string) Applied { return Applied{State: "refused", Note: note} }

// Apply goes and looks at what an event is about, and applies what it finds. An event only says that something happened;
// what is true the gateway's object tells. It is safe twice and in any order.
func (a *Activities) Apply(ctx context.Context, e Event) (Applied, error) {
	switch e.Gateway {
	case "stripe":
		return a.applyStripe(ctx, e)
	case "mail":
		return a.applyMail(ctx, e)
	case "sms":
		return a.applySMS(ctx, e)
	}
	return ignored("unknown gateway"), nil
}

func (a *Activities) applyStripe(ctx context.Context, e Event) (Applied, error) {
	var event stripe.Event
	if !readable(e.Body, &event) {
		return refused("unreadable"), nil
	}
	if event.Livemode != a.cards.Livemode() {
		return refused("test event in live mode, or the other way round"), nil
	}
	if event.Account != "" {
		return refused("of another account"), nil
	}
	switch {
	case strings.HasPrefix(e.Type, "payment_intent."):
		return a.applyIntent(ctx, event.ObjectID)
	case strings.HasPrefix(e.Type, "checkout.session."):
		return a.applySession(ctx, event.ObjectID)
	default:
		return ignored("nothing in kept turns on " + e.Type), nil
	}
}

// applyIntent applies a payment intent as it is now.
func (a *Activities) applyIntent(ctx context.Context, id string) (Applied, error) {
	intent, out := a.cards.FetchPaymentIntent(ctx, id)
	if done, ok := unfetched(out); !ok {
		return done, nil
	}
	practice, payment, ok := idsIn(intent.Metadata)
	if !ok {
		return ignored("not one of ours"), nil
	}
	news := desk.PaymentNews{Payment: payment, Intent: intent.ID}
	switch {
	case intent.Succeeded():
		news.Status, news.Amount, news.Currency = desk.PaymentSucceeded, intent.ReceivedMinor, strings.ToUpper(intent.Currency)
	case intent.Status == "canceled":
		news.Status = desk.PaymentExpired
	case intent.DeclineCode != "":
		news.Status, news.Code = desk.PaymentFailed, intent.DeclineCode
	default:
		return Applied{State: "ignored", Note: "still " + intent.Status, Practice: &practice}, nil
	}
	return a.applyNews(ctx, practice, news)
}

// applySession applies a hosted page as it is now: paid, left a card, or expired.
func (a *Activities) applySession(ctx context.Context, id string) (Applied, error) {
	page, out := a.cards.FetchCheckoutSession(ctx, id)
	if done, ok := unfetched(out); !ok {
		return done, nil
	}
	practice, payment, ok := idsIn(page.Metadata)
	if !ok {
		return ignored("not one of ours"), nil
	}
	switch {
	case page.Mode == "setup" && page.Status == "complete":
		return a.applySetup(ctx, practice, payment, page.ID)
	case page.PaymentStatus == "paid":
		return a.applyNews(ctx, practice, desk.PaymentNews{
			Payment: payment, Status: desk.PaymentSucceeded, Intent: page.PaymentIntent, Amount: page.AmountMinor, Currency: strings.ToUpper(page.Currency),
		})
	case page.Status == "expired":
		return a.applyNews(ctx, practice, desk.PaymentNews{Payment: payment, Status: desk.PaymentExpired, Intent: page.PaymentIntent})
	}
	return Applied{State: "ignored", Note: "still " + page.Status, Practice: &practice}, nil
}

func (a *Activities) applySetup(ctx context.Context, practice, payment policy.ID, session string) (Applied, error) {
	card, out := a.cards.FetchSetup(ctx, session)
	if done, ok := unfetched(out); !ok {
		return done, nil
	}
	var rung []policy.Subject
	err := a.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		var err error
		rung, err = a.desk.StoreCard(ctx, tx, policy.Principal{Kind: policy.ByGateway, Practice: practice}, desk.CardNews{
			Payment: payment, Customer: card.Customer, Method: card.Method, Brand: card.Brand, Last4: card.Last4, ExpMonth: card.ExpMonth, ExpYear: card.ExpYear,
		})
		return err
	})
	return appliedIn(practice, rung, err)
}

func (a *Activities) applyNews(ctx context.Context, practice policy.ID, news desk.PaymentNews) (Applied, error) {
	var rung []policy.Subject
	err := a.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		var err error
		rung, err = a.desk.ApplyPayment(ctx, tx, policy.Principal{Kind: policy.ByGateway, Practice: practice}, news)
		return err
	})
	return appliedIn(practice, rung, err)
}

// applyMail moves a message along: processed, delivered, bounced.
func (a *Activities) applyMail(ctx context.Context, e Event) (Applied, error) {
	var event mail.Event
	if !readable(e.Body, &event) {
		return refused("unreadable"), nil
	}
	message, ours := idOf(event.MessageRef)
	if !ours {
		return ignored("not one of ours"), nil
	}
	status, ok := mailStatus[event.Type]
	if !ok {
		return ignored("nothing in kept turns on " + event.Type), nil
	}
	if event.Class == "blocked" { // refused this time: the address stays
		status = "failed"
	}
	return a.applyMessage(ctx, message, desk.MessageNews{Message: message, Status: status, GatewayID: event.GatewayRef, OptOut: mailOptOut[event.Type], Reason: event.Type})
}

var mailStatus = map[string]string{
	"processed": "sent", "delivered": "delivered", "bounce": "bounced", "dropped": "failed", "spamreport": "delivered",
	"unsubscribe": "delivered", "group_unsubscribe": "delivered",
}

var mailOptOut = map[string]string{"spamreport": "all", "unsubscribe": "recall", "group_unsubscribe": "recall"}

// applySMS moves a text along, or takes in what a client wrote.
func (a *Activities) applySMS(ctx context.Context, e Event) (Applied, error) {
	if e.Type == "inbound" {
		var in sms.Inbound
		if !readable(e.Body, &in) {
			return refused("unreadable"), nil
		}
		return a.applyInbound(ctx, in)
	}
	var status sms.Status
	if !readable(e.Body, &status) {
		return refused("unreadable"), nil
	}
	message, ours := idOf(status.Ref)
	if !ours {
		return ignored("not one of ours"), nil
	}
	state, ok := map[string]string{"queued": "sent", "sent": "sent", "delivered": "delivered", "undelivered": "failed", "failed": "failed"}[status.State]
	if !ok {
		return ignored("nothing in kept turns on " + status.State), nil
	}
	return a.applyMessage(ctx, message, desk.MessageNews{Message: message, Status: state, GatewayID: status.SID, Reason: status.Code})
}

func (a *Activities) applyMessage(ctx context.Context, message policy.ID, news desk.MessageNews) (Applied, error) {
	practice, err := a.store.System().PracticeOfMessage(ctx, message)
	if err != nil {
		return Applied{}, fmt.Errorf("whose message: %w", db.Classify(err))
	}
	if practice.IsZero() {
		return parked("of a message that is not here (yet)"), nil
	}
	rung, err := a.desk.ApplyMessage(ctx, practice, news)
	return appliedIn(practice, rung, err)
}

func (a *Activities) applyInbound(ctx context.Context, in sms.Inbound) (Applied, error) {
	practice, err := a.store.System().PracticeOfAccount(ctx, "sms", in.To)
	if err != nil {
		return Applied{}, fmt.Errorf("whose number: %w", db.Classify(err))
	}
	if practice.IsZero() {
		return refused("of a number that is not ours"), nil
	}
	rung, err := a.desk.ApplyText(ctx, practice, in.From, in.Body)
	return appliedIn(practice, rung, err)
}

// unfetched is what an event comes to when the gateway's object could not be read: gone for good, or tried again.
func unfetched(out gateway.Outcome) (Applied, bool) {
	switch {
	case out.OK():
		return Applied{}, true
	case out.State == gateway.Refused && out.Final:
		return parked("the gateway does not know the object: " + out.Code), false
	default:
		return parked("the gateway did not answer: " + out.Code), false
	}
}

// readable reads the JSON that our own hook wrote.
func readable(raw []byte, into any) bool { return json.Unmarshal(raw, into) == nil }

// idOf reads one of our ids as it comes back from a gateway; other people's references are none of ours.
func idOf(ref string) (policy.ID, bool) {
	id, err := policy.ParseID(ref)
	return id, err == nil
}

func idsIn(metadata map[string]string) (practice, payment policy.ID, ok bool) {
	practice, known := idOf(metadata["practice"])
	payment, ours := idOf(metadata["payment"])
	return practice, payment, known && ours
}

func appliedIn(practice policy.ID, rung []policy.Subject, err error) (Applied, error) {
	if policy.KindOf(err) == policy.NotFound {
		return Applied{State: "parked", Note: "its row is not here (yet)", Practice: &practice}, nil
	}
	return Applied{State: "applied", Practice: &practice, Rung: rung}, err
}
