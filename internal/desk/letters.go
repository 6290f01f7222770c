package desk

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Letter is one message, rendered and ready for its gateway.
type Letter struct {
	Message     policy.ID
	Channel     string
	Address     string
	From        string // the practice's name
	ReplyTo     string
	Sender      string // the practice's own number for texts, "" for the common one
	Subject     string
	Text        string
	HTML        string
	Unsubscribe string // one-click address; only on what is list mail
}

// WriteLetter renders the message of a step from the facts of this moment and writes its row, in the transaction that claims
// its effect. Links are minted here, so a message that is never sent leaves no link that anybody could know.
func (d *Desk) WriteLetter(ctx context.Context, tx *db.Tx, s policy.Subject, step policy.Step, look Looked, baseURL string) (Letter, error) {
	w := letterWriter{Desk: d, tx: tx, subject: s, step: step, look: look, baseURL: baseURL, values: map[string]string{}}
	if err := w.address(ctx); err != nil {
		return Letter{}, err
	}
	kind, err := w.fill(ctx)
	if err != nil {
		return Letter{}, err
	}
	template, err := w.template(ctx, kind)
	if err != nil {
		return Letter{}, fmt.Errorf("template for %s by %s: %w", kind, step.Channel, err)
	}
	text, err := policy.Render(policy.MessageTemplate{Kind: kind, Channel: step.Channel, Subject: template.Subject, Body: template.Body}, w.values)
	if err != nil {
		return Letter{}, fmt.Errorf("render %s: %w", kind, err)
	}
	w.letter.Message, w.letter.Subject, w.letter.Text, w.letter.HTML = db.NewID(), text.Subject, text.Text, text.HTML
	return w.letter, tx.MessageInsert(ctx, db.MessageInsertParams{
		PracticeID: tx.Practice, ID: w.letter.Message, ClientID: look.Client, SubjectKind: s.Kind, SubjectID: s.ID, EffectKey: step.Key, Kind: kind,
		Channel: step.Channel, Address: w.letter.Address, TemplateID: template.ID, Locale: template.Locale, Segments: 1,
		CausedByStep: step.Rule, OccurredAt: look.Ground.Now,
	})
}

// CountSegments notes how many segments a text costs.
func (d *Desk) CountSegments(ctx context.Context, tx *db.Tx, message policy.ID, segments int) error {
	return tx.MessageSetSegments(ctx, db.MessageSetSegmentsParams{PracticeID: tx.Practice, ID: message, Segments: int32(segments)})
}

type letterWriter struct {
	*Desk
	tx      *db.Tx
	subject policy.Subject
	step    policy.Step
	look    Looked
	baseURL string
	facts   db.MessageContextRow
	values  map[string]string
	letter  Letter
}

// template is the practice's text for a kind. A practice that is older than the kind gets the default one as its first.
func (w *letterWriter) template(ctx context.Context, kind string) (db.TemplateForRow, error) {
	wanted := db.TemplateForParams{
		PracticeID: w.tx.Practice, Kind: kind, Channel: w.step.Channel, Locale: w.facts.ClientLocale, FallbackLocale: w.facts.PracticeLocale,
	}
	found, err := w.tx.TemplateFor(ctx, wanted)
	first, known := defaultTemplate(kind, w.step.Channel)
	if !db.NoRows(err) || !known {
		return found, err
	}
	if err := w.tx.TemplateEnsure(ctx, db.TemplateEnsureParams{
		PracticeID: w.tx.Practice, ID: db.NewID(), Kind: kind, Channel: w.step.Channel, Locale: w.facts.PracticeLocale, Subject: first.Subject, Body: first.Body,
	}); err != nil {
		return found, err
	}
	return w.tx.TemplateFor(ctx, wanted)
}

func (w *letterWriter) address(ctx context.Context) error {
	var err error
	if w.facts, err = w.tx.MessageContext(ctx, w.tx.Practice, w.look.Client); err != nil {
		return fmt.Errorf("read practice and client: %w", err)
	}
	reach, err := w.tx.ReachOf(ctx, w.tx.Practice, w.look.Client)
	if err != nil {
		return err
	}
	for _, r := range reach {
		if r.Channel == w.step.Channel {
			w.letter.Address = r.Address
		}
	}
	w.letter.Channel, w.letter.From, w.letter.ReplyTo = w.step.Channel, w.facts.PracticeName, w.facts.PracticeMail
	w.values["practice_name"], w.values["given_name"] = w.facts.PracticeName, w.facts.GivenName
	w.values["practice_phone"], w.values["postal_address"] = w.facts.PracticePhone, w.facts.PracticeAddress
	if w.step.Channel == policy.ChannelSMS {
		account, err := w.tx.GatewayAccountFor(ctx, w.tx.Practice, "sms")
		if err != nil && !db.NoRows(err) {
			return err
		}
		w.letter.Sender = account
	}
	return nil
}

// fill sets the variables of the step's message and says which kind it is.
func (w *letterWriter) fill(ctx context.Context) (string, error) {
	switch purpose, _, _ := strings.Cut(w.step.Key, "/"); purpose {
	case policy.RuleConfirmation:
		return w.visit(ctx, policy.MessageConfirmation)
	case policy.RuleReminder:
		return w.visit(ctx, policy.MessageReminder)
	case policy.RuleCancellation:
		return w.visit(ctx, policy.MessageCancellation)
	case policy.RuleInvoice:
		return w.bill(ctx, policy.MessageInvoice)
	case "dunning":
		return w.bill(ctx, policy.MessageDunning)
	case policy.RuleRecall:
		return policy.MessageRecall, w.recall(ctx)
	case policy.RuleFreshLink:
		return policy.MessageFreshLink, w.fresh(ctx)
	default:
		return "", fmt.Errorf("no message belongs to step %s", w.step.Key)
	}
}

func (w *letterWriter) visit(ctx context.Context, kind string) (string, error) {
	visit, err := w.tx.AppointmentByID(ctx, w.tx.Practice, w.subject.ID)
	if err != nil {
		return "", err
	}
	location, err := w.tx.LocationByID(ctx, w.tx.Practice, visit.LocationID)
	if err != nil {
		return "", err
	}
	w.values["when"] = visit.StartsAt.In(w.look.Ground.Zone).Format("Monday 2 January 2006, 15:04 (MST)")
	w.values["where"] = strings.Trim(location.Name+", "+location.PostalAddress, ", ")
	ahead := visit.Status == string(policy.StatusBooked) || visit.Status == string(policy.StatusConfirmed)
	if kind == policy.MessageCancellation || (kind == policy.MessageFreshLink && !ahead) {
		return kind, nil
	}
	links := map[string]time.Time{LinkConfirm: visit.StartsAt, LinkMove: visit.StartsAt, LinkCancel: visit.StartsAt}
	if visit.Status == string(policy.StatusConfirmed) {
		delete(links, LinkConfirm)
	}
	if kind == policy.MessageReminder || kind == policy.MessageFreshLink {
		links[LinkCheckIn] = visit.EndsAt
	}
	packet, err := w.tx.PacketByAppointment(ctx, w.tx.Practice, visit.ID)
	switch {
	case err == nil && packet.Status == "open":
		links[LinkIntake] = visit.StartsAt
	case err != nil && !db.NoRows(err):
		return "", err
	}
	for _, purpose := range []string{LinkConfirm, LinkMove, LinkCancel, LinkCheckIn, LinkIntake} {
		until, wanted := links[purpose]
		if !wanted {
			continue
		}
		version := visit.Version
		if purpose == LinkIntake {
			version = 0
		}
		if err := w.link(ctx, purpose, w.subject, version, until); err != nil {
			return "", err
		}
	}
	if kind != policy.MessageFreshLink {
		if err := w.preferences(ctx); err != nil {
			return "", err
		}
	}
	if kind == policy.MessageConfirmation && visit.Version > 1 && w.toldBefore(visit.Version) {
		return policy.MessageMoved, nil
	}
	return kind, nil
}

// fresh gives every link that can still act: those of a visit ahead, and that of an unpaid invoice.
func (w *letterWriter) fresh(ctx context.Context) error {
	if _, err := w.visit(ctx, policy.MessageFreshLink); err != nil {
		return err
	}
	invoices, err := w.tx.InvoicesOfVisit(ctx, w.tx.Practice, w.subject.ID)
	if err != nil || len(invoices) == 0 || invoices[len(invoices)-1].Status != policy.InvoiceIssued {
		return err
	}
	collection := policy.Subject{Practice: w.tx.Practice, Kind: policy.KindCollection, ID: invoices[len(invoices)-1].ID}
	return w.link(ctx, LinkPay, collection, 0, w.look.Ground.Now.Add(payLife))
}

// toldBefore: an earlier version of the visit reached the client, so this one is news of a move.
func (w *letterWriter) toldBefore(version int32) bool {
	for v := int32(1); v < version; v++ {
		for _, c := range []string{policy.ChannelMail, policy.ChannelSMS} {
			e, ok := w.look.Ground.Effects[fmt.Sprintf("confirmation/booked/%s/v%d", c, v)]
			if ok && e.State != policy.EffectRefused && e.State != policy.EffectFailed {
				return true
			}
		}
	}
	return false
}

func (w *letterWriter) bill(ctx context.Context, kind string) (string, error) {
	id, err := w.InvoiceOf(ctx, w.tx, w.subject)
	if err != nil {
		return "", err
	}
	inv, err := w.tx.InvoiceByID(ctx, w.tx.Practice, id)
	if err != nil {
		return "", err
	}
	if inv.Number != nil {
		w.values["number"] = fmt.Sprintf("%d", *inv.Number)
	}
	if inv.Status == policy.InvoicePaid {
		w.values["amount"] = policy.Money{Amount: inv.Paid, Currency: inv.Currency}.Format()
		return policy.MessageReceipt, nil
	}
	w.values["amount"] = policy.Money{Amount: inv.Total - inv.Paid, Currency: inv.Currency}.Format()
	collection := policy.Subject{Practice: w.tx.Practice, Kind: policy.KindCollection, ID: id}
	return kind, w.link(ctx, LinkPay, collection, 0, w.look.Ground.Now.Add(payLife))
}

// payLife and bookLife bound links that no visit bounds.
const (
	payLife  = 365 * 24 * time.Hour
	bookLife = 60 * 24 * time.Hour
)

func (w *letterWriter) recall(ctx context.Context) error {
	if err := w.link(ctx, LinkBook, w.subject, 0, w.look.Ground.Now.Add(bookLife)); err != nil {
		return err
	}
	if w.step.Channel != policy.ChannelMail {
		return nil
	}
	if err := w.link(ctx, LinkUnsubscribe, w.subject, 0, w.look.Ground.Now.Add(10*payLife)); err != nil {
		return err
	}
	w.letter.Unsubscribe = w.values["unsubscribe_url"]
	return w.preferences(ctx)
}

// preferences gives mails a link to choose what is sent; texts stay short and are stopped by an answer.
func (w *letterWriter) preferences(ctx context.Context) error {
	if w.step.Channel != policy.ChannelMail {
		return nil
	}
	return w.link(ctx, LinkPreferences, w.subject, 0, w.look.Ground.Now.Add(preferencesLife))
}

func (w *letterWriter) link(ctx context.Context, purpose string, subject policy.Subject, version int32, until time.Time) error {
	token, err := mint(ctx, w.tx, linkInput{purpose: purpose, client: w.look.Client, subject: subject, version: version, expiresAt: until}, w.look.Ground.Now)
	if err != nil {
		return err
	}
	w.values[purpose+"_url"] = w.baseURL + "/l/" + token
	return nil
}

// InvoiceOf is the invoice that a step of this subject is about: a collection's own, a journey's newest.
func (d *Desk) InvoiceOf(ctx context.Context, tx *db.Tx, s policy.Subject) (policy.ID, error) {
	if s.Kind == policy.KindCollection {
		return s.ID, nil
	}
	rows, err := tx.InvoicesOfVisit(ctx, tx.Practice, s.ID)
	if err != nil {
		return policy.ID{}, err
	}
	if len(rows) == 0 {
		return policy.ID{}, policy.NewError(policy.NotFound, "invoice_not_found", "The visit has no invoice.")
	}
	return rows[len(rows)-1].ID, nil
}

// MessageNews is what a gateway says a message has come to.
type MessageNews struct {
	Message   policy.ID
	Status    string // sent, delivered, bounced or failed
	GatewayID string
	OptOut    string // "all" or "recall" when the receiver asked for it
	Reason    string
}

// ApplyMessage moves a message along, monotonically. News of a message whose outcome was unknown settles its effect; a bounce
// closes the address and asks a person; the receiver's wish to hear no more binds all who share the address. One transaction, one
// lock set.
func (d *Desk) ApplyMessage(ctx context.Context, practice policy.ID, news MessageNews) ([]policy.Subject, error) {
	by := policy.Principal{Kind: policy.ByGateway, Practice: practice}
	var rung []policy.Subject
	err := d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		message, err := tx.MessageByID(ctx, practice, news.Message)
		if err != nil {
			return err
		}
		var sharers []policy.ID
		if news.OptOut != "" {
			if sharers, err = sharersOf(ctx, tx, message.Address); err != nil {
				return err
			}
		}
		subject := policy.Subject{Practice: practice, Kind: message.SubjectKind, ID: message.SubjectID}
		if err := tx.Lock(ctx, db.LockSet{Clients: append(slices.Clone(sharers), message.ClientID), Subjects: []policy.Subject{subject}}); err != nil {
			return err
		}
		if rung, err = d.moveMessage(ctx, tx, by, message, subject, news); err != nil || news.OptOut == "" {
			return err
		}
		more, err := d.stopAddress(ctx, tx, by, optOutInput{channel: message.Channel, address: message.Address, purpose: news.OptOut, source: "gateway"}, sharers)
		rung = append(rung, more...)
		return err
	})
	return rung, err
}

// moveMessage takes in what became of a message; news that is older than what is known changes nothing.
func (d *Desk) moveMessage(ctx context.Context, tx *db.Tx, by policy.Principal, message db.Message, subject policy.Subject, news MessageNews) ([]policy.Subject, error) {
	n, err := tx.MessageSettle(ctx, db.MessageSettleParams{PracticeID: tx.Practice, ID: message.ID, Status: news.Status, GatewayID: orNil(news.GatewayID)})
	if err != nil || n == 0 {
		return nil, err
	}
	rung, err := d.settleFromNews(ctx, tx, by, subject, message.EffectKey, news)
	if err != nil || (news.Status != "bounced" && news.Status != "failed") {
		return rung, err
	}
	return rung, d.closeAddress(ctx, tx, by, message, news)
}

// settleFromNews: an event proves that a claimed or unknown send was accepted.
func (d *Desk) settleFromNews(ctx context.Context, tx *db.Tx, by policy.Principal, s policy.Subject, key string, news MessageNews) ([]policy.Subject, error) {
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return nil, err
	}
	n, err := tx.EffectSettle(ctx, db.EffectSettleParams{
		PracticeID: tx.Practice, SubjectKind: s.Kind, SubjectID: s.ID, Key: key, State: string(policy.EffectAccepted), Final: true,
		Reason: "an event says so", Reference: orNil(news.GatewayID), SettledAt: clk.now,
	})
	if err != nil || n == 0 {
		return nil, err
	}
	if err := tx.SubjectStepSettled(ctx, db.SubjectStepSettledParams{PracticeID: tx.Practice, Kind: s.Kind, ID: s.ID, Key: key}); err != nil {
		return nil, err
	}
	rung := []policy.Subject{s}
	return rung, tx.Record(ctx, db.Entry{
		Verb: policy.EffectSettled, By: by, Subject: s, Object: "step", Rings: rung, After: map[string]string{"key": key, "state": string(policy.EffectAccepted)},
	})
}

func (d *Desk) closeAddress(ctx context.Context, tx *db.Tx, by policy.Principal, message db.Message, news MessageNews) error {
	if news.Status == "bounced" {
		if _, err := tx.ContactPointClose(ctx, db.ContactPointCloseParams{
			PracticeID: tx.Practice, ClientID: message.ClientID, Channel: message.Channel, Address: message.Address, Reason: "bounced",
		}); err != nil {
			return err
		}
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return err
	}
	if err := openTask(ctx, tx, taskInput{
		cause: "undelivered/" + message.ID.String(), kind: "undelivered", queue: "front_desk", client: message.ClientID, dueAt: clk.now,
		subject: policy.Subject{Practice: tx.Practice, Kind: message.SubjectKind, ID: message.SubjectID}, step: message.EffectKey,
		title: "A message did not arrive. Check the client's address and reach them another way.",
	}); err != nil {
		return err
	}
	rung, err := openSubjects(ctx, tx, policy.ContactChanged, []policy.ID{message.ClientID})
	if err != nil {
		return err
	}
	return tx.Record(ctx, db.Entry{
		Verb: policy.ContactChanged, By: by, Object: "message", ID: message.ID, Reason: news.Status, Rings: rung,
		After: map[string]string{"channel": message.Channel, "status": news.Status},
	})
}
