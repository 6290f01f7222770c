package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/url"
	"strings"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
)

// play is one client's journey under way.
type play struct {
	out      io.Writer
	at       running
	store    *db.Store
	practice desk.CreatedPractice
	staff    *caller
	mailbox  *caller
	client   *browser

	givenName, familyName, mail string
	clientID, visitID           string
	service, location           string
	visitAt                     time.Time
	seen                        int    // mails read so far
	papers                      string // address of the intake link
	lastReminder, lastDunning   answer
}

type scene struct {
	name string
	act  func(context.Context) error
}

func (p *play) scenes() []scene {
	return []scene{
		{"the client is taken on and leaves a card", p.takeOn},
		{"the visit is booked", p.book},
		{"the client confirms", p.confirm},
		{"the papers are filled in and signed", p.fillIn},
		{"the reminders come", p.remind},
		{"the client checks in and the visit takes place", p.visit},
		{"the invoice is issued and the card declined", p.bill},
		{"the unpaid invoice is followed up", p.followUp},
		{"the client pays", p.pay},
		{"the recall comes and the client books again", p.recall},
	}
}

// say prints one line of the timeline: the practice's clock, then what happened.
func (p *play) say(ctx context.Context, format string, args ...any) error {
	now, err := p.now(ctx)
	if err != nil {
		return err
	}
	return p.line(now, fmt.Sprintf(format, args...))
}

func (p *play) line(at time.Time, text string) error {
	_, err := fmt.Fprintf(p.out, "%s  %s\n", at.Format("Mon 2 Jan 2006 15:04"), text)
	return err
}

// sayMails prints each mail at the instant by which it was sent, on the practice's clock.
func (p *play) sayMails(ctx context.Context, fresh []answer) error {
	now, err := p.now(ctx)
	if err != nil {
		return err
	}
	sent, err := p.staff.get(ctx, "/v1/messages?limit=100&channel=mail&client_id="+p.clientID)
	if err != nil {
		return err
	}
	times := sent.list("data") // newest first, as in the mailbox
	for i, m := range fresh {
		at := now
		if n := len(fresh) - 1 - i; n < len(times) {
			if told, err := time.Parse(time.RFC3339, times[n].text("occurred_at")); err == nil {
				at = told.In(now.Location())
			}
		}
		if err := p.line(at, "mail: "+m.text("subject")); err != nil {
			return err
		}
	}
	return nil
}

func (p *play) now(ctx context.Context) (time.Time, error) {
	clock, err := p.staff.get(ctx, "/v1/test-clock")
	if err != nil {
		return time.Time{}, err
	}
	now, err := time.Parse(time.RFC3339, clock.text("now_at"))
	if err != nil {
		return now, fmt.Errorf("the test clock: %w", err)
	}
	zone, err := time.LoadLocation("America/New_York")
	return now.In(zone), err
}

// advance moves the practice's clock and waits until everything due on the way is done.
func (p *play) advance(ctx context.Context, to time.Time) error {
	if _, err := p.staff.post(ctx, "/v1/test-clock/advance", map[string]any{"to": to.UTC().Format(time.RFC3339)}); err != nil {
		return err
	}
	if err := p.until(ctx, "the clock arrives", func() (bool, error) {
		clock, err := p.staff.get(ctx, "/v1/test-clock")
		if err == nil && clock.text("status") == "stuck" {
			err = fmt.Errorf("the clock is stuck on %s", clock.text("stuck_on"))
		}
		return clock.text("status") == "ready", err
	}); err != nil {
		return err
	}
	return p.sendAgain(ctx)
}

// until asks again and again, 20 times a second, until something has come true.
func (p *play) until(ctx context.Context, what string, ask func() (bool, error)) error {
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for {
		done, err := ask()
		if err != nil || done {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		case <-tick.C:
		}
	}
}

// mails returns the client's mails that were not read yet, oldest first.
func (p *play) mails(ctx context.Context) ([]answer, error) {
	box, err := p.mailbox.get(ctx, "/api/messages?limit=100&to="+url.QueryEscape(p.mail))
	if err != nil {
		return nil, err
	}
	all := box.list("messages") // newest first
	var fresh []answer
	for i := len(all) - 1 - p.seen; i >= 0; i-- {
		fresh = append(fresh, all[i])
	}
	p.seen = len(all)
	return fresh, nil
}

// link finds the address on the line of a mail that begins with these words.
func link(mail answer, words string) (string, error) {
	for line := range strings.SplitSeq(mail.text("text"), "\n") {
		if at := strings.Index(line, "http"); at >= 0 && strings.HasPrefix(line, words) {
			return line[at:], nil
		}
	}
	return "", fmt.Errorf("the mail %q has no line %q with a link", mail.text("subject"), words)
}

func (p *play) takeOn(ctx context.Context) error {
	p.givenName, p.familyName = "Marisol", "Quenneville"
	p.mail = "marisol-" + db.NewID().String()[24:] + "@example.org"
	made, err := p.staff.post(ctx, "/v1/clients", map[string]any{
		"given_name": p.givenName, "family_name": p.familyName, "mail": p.mail, "phone": "+12025550171", "source": "phone",
	})
	if err != nil {
		return err
	}
	p.clientID = made.text("id")
	setup, err := p.staff.post(ctx, "/v1/clients/"+p.clientID+"/card-setup", map[string]any{"return_url": p.at.BaseURL + "/docs"})
	if err != nil {
		return err
	}
	checkout, err := p.client.open(ctx, setup.text("url"))
	if err != nil {
		return err
	}
	if _, err := p.client.send(ctx, checkout, map[string]string{"number": "4000000000000341"}); err != nil {
		return err
	}
	if err := p.until(ctx, "the card is on file", func() (bool, error) {
		entries, err := p.staff.get(ctx, "/v1/journal?verb=payment_method_stored")
		return len(entries.list("data")) > 0, err
	}); err != nil {
		return err
	}
	return p.say(ctx, "a new client; her card is on file (it will decline when charged)")
}

func (p *play) book(ctx context.Context) error {
	services, err := p.staff.get(ctx, "/v1/services")
	if err != nil {
		return err
	}
	for _, s := range services.list("data") {
		if s.text("recall_every") != "" {
			p.service = s.text("id")
		}
	}
	locations, err := p.staff.get(ctx, "/v1/locations")
	if err != nil {
		return err
	}
	if len(locations.list("data")) == 0 {
		return errors.New("the practice has no location")
	}
	p.location = locations.list("data")[0].text("id")
	now, err := p.now(ctx)
	if err != nil {
		return err
	}
	free, err := p.staff.get(ctx, fmt.Sprintf("/v1/services/%s/free-times?location=%s&from=%s&days=5", p.service, p.location, now.AddDate(0, 0, 9).Format(time.DateOnly)))
	if err != nil {
		return err
	}
	times := free.list("data")
	if len(times) == 0 {
		return errors.New("no free time")
	}
	slot := times[len(times)/2]
	wanted := map[string]any{
		"client_id": p.clientID, "service_id": p.service, "provider_id": slot.text("provider_id"), "location_id": p.location, "starts_at": slot.text("starts_at"),
	}
	hold, err := p.staff.post(ctx, "/v1/holds", wanted)
	if err != nil {
		return err
	}
	wanted["hold_id"] = hold.text("id")
	booked, err := p.staff.post(ctx, "/v1/appointments", wanted)
	if err != nil {
		return err
	}
	p.visitID = booked.text("id")
	if p.visitAt, err = time.Parse(time.RFC3339, booked.text("starts_at")); err != nil {
		return fmt.Errorf("the visit's time: %w", err)
	}
	return p.say(ctx, "booked for %s; the run: %s", p.visitAt.In(now.Location()).Format("Mon 2 Jan 15:04"), p.runURL(ctx))
}

func (p *play) journey(ctx context.Context) (answer, error) {
	return p.staff.get(ctx, "/v1/journeys/"+strings.Replace(p.visitID, "apt_", "jrn_", 1))
}

// runURL is the deep link of the journey's run in the Temporal UI, as the API tells it.
func (p *play) runURL(ctx context.Context) string {
	j, err := p.journey(ctx)
	if err != nil {
		return err.Error()
	}
	for _, s := range j.list("subjects") {
		if u := s.text("temporal_url"); u != "" {
			return u
		}
	}
	return ""
}

func (p *play) confirm(ctx context.Context) error {
	now, err := p.now(ctx)
	if err != nil {
		return err
	}
	if err := p.advance(ctx, now.Add(24*time.Hour)); err != nil {
		return err
	}
	fresh, err := p.mails(ctx)
	if err != nil {
		return err
	}
	if len(fresh) != 1 {
		return fmt.Errorf("%d mails after booking, want the confirmation alone", len(fresh))
	}
	if err := p.sayMails(ctx, fresh); err != nil {
		return err
	}
	if err := p.act(ctx, fresh[0], "Confirm that you will come", nil); err != nil {
		return err
	}
	papers, err := link(fresh[0], "Please fill in your papers")
	if err != nil {
		return err
	}
	p.papers = papers
	return p.say(ctx, "she confirms by the link in it")
}

// act opens a link of a mail and presses the button of its page.
func (p *play) act(ctx context.Context, mail answer, words string, fill map[string]string) error {
	address, err := link(mail, words)
	if err != nil {
		return err
	}
	opened, err := p.client.open(ctx, address)
	if err != nil {
		return err
	}
	_, err = p.client.send(ctx, opened, fill)
	return err
}

// fillIn opens each paper of the packet, answers what must be answered, signs and sends it.
func (p *play) fillIn(ctx context.Context) error {
	papers := 0
	for range 5 {
		overview, err := p.client.open(ctx, p.papers)
		if err != nil {
			return err
		}
		next := ""
		for _, l := range overview.links {
			if strings.HasPrefix(l, p.papers+"/") {
				next = l
				break
			}
		}
		if next == "" {
			break
		}
		form, err := p.client.open(ctx, next)
		if err != nil {
			return err
		}
		if _, err := p.client.send(ctx, form, form.form.answers(p.givenName+" "+p.familyName)); err != nil {
			return err
		}
		papers++
	}
	if papers == 0 {
		return errors.New("no paper was found behind the link")
	}
	return p.say(ctx, "she fills in %d paper(s), one of them signed", papers)
}

func (p *play) remind(ctx context.Context) error {
	if err := p.advance(ctx, p.visitAt.Add(-30*time.Minute)); err != nil {
		return err
	}
	fresh, err := p.mails(ctx)
	if err != nil {
		return err
	}
	if len(fresh) == 0 {
		return errors.New("no reminder came")
	}
	if err := p.sayMails(ctx, fresh); err != nil {
		return err
	}
	p.lastReminder = fresh[len(fresh)-1]
	return nil
}

func (p *play) visit(ctx context.Context) error {
	if err := p.act(ctx, p.lastReminder, "Check in when you arrive", nil); err != nil {
		return err
	}
	if err := p.say(ctx, "she checks in by the link in the reminder"); err != nil {
		return err
	}
	if err := p.advance(ctx, p.visitAt.Add(35*time.Minute)); err != nil {
		return err
	}
	if _, err := p.staff.post(ctx, "/v1/appointments/"+p.visitID+"/complete", map[string]any{}); err != nil {
		return err
	}
	return p.say(ctx, "the staff complete the visit")
}

func (p *play) bill(ctx context.Context) error {
	if err := p.advance(ctx, p.visitAt.Add(12*time.Hour)); err != nil {
		return err
	}
	invoices, err := p.staff.get(ctx, "/v1/invoices")
	if err != nil {
		return err
	}
	if len(invoices.list("data")) != 1 || invoices.list("data")[0].text("status") != "issued" {
		return fmt.Errorf("want one issued invoice, have %v", invoices["data"])
	}
	fresh, err := p.mails(ctx)
	if err != nil {
		return err
	}
	if err := p.sayMails(ctx, fresh); err != nil {
		return err
	}
	return p.say(ctx, "the invoice was issued the same day; charging the card on file was declined")
}

func (p *play) followUp(ctx context.Context) error {
	if err := p.advance(ctx, p.visitAt.Add(8*24*time.Hour)); err != nil {
		return err
	}
	fresh, err := p.mails(ctx)
	if err != nil {
		return err
	}
	if len(fresh) < 2 {
		return fmt.Errorf("%d payment reminders within eight days, want two", len(fresh))
	}
	if err := p.sayMails(ctx, fresh); err != nil {
		return err
	}
	p.lastDunning = fresh[len(fresh)-1]
	return nil
}

func (p *play) pay(ctx context.Context) error {
	address, err := link(p.lastDunning, "Pay online")
	if err != nil {
		return err
	}
	bill, err := p.client.open(ctx, address)
	if err != nil {
		return err
	}
	checkout, err := p.client.send(ctx, bill, nil)
	if err != nil {
		return err
	}
	if _, err := p.client.send(ctx, checkout, map[string]string{"number": "4242424242424242"}); err != nil {
		return err
	}
	if err := p.until(ctx, "the invoice is paid", func() (bool, error) {
		invoices, err := p.staff.get(ctx, "/v1/invoices?status=paid")
		return len(invoices.list("data")) == 1, err
	}); err != nil {
		return err
	}
	return p.say(ctx, "she pays on the hosted page; the follow-ups stop")
}

func (p *play) recall(ctx context.Context) error {
	if err := p.advance(ctx, p.visitAt.AddDate(0, 6, 2)); err != nil {
		return err
	}
	fresh, err := p.mails(ctx)
	if err != nil {
		return err
	}
	if len(fresh) != 1 {
		return fmt.Errorf("%d mails half a year later, want the recall alone", len(fresh))
	}
	if err := p.sayMails(ctx, fresh); err != nil {
		return err
	}
	address, err := link(fresh[0], "Choose a time")
	if err != nil {
		return err
	}
	times, err := p.client.open(ctx, address)
	if err != nil {
		return err
	}
	if times.form == nil {
		return fmt.Errorf("the page %q offers no time", times.heading)
	}
	if _, err := p.client.send(ctx, times, times.form.answers("")); err != nil {
		return err
	}
	now, err := p.now(ctx)
	if err != nil {
		return err
	}
	if err := p.advance(ctx, now.Add(24*time.Hour)); err != nil {
		return err
	}
	recalls, err := p.staff.get(ctx, "/v1/recalls")
	if err != nil {
		return err
	}
	if len(recalls.list("data")) != 1 || recalls.list("data")[0].text("status") != "booked" {
		return fmt.Errorf("want the recall answered, have %v", recalls["data"])
	}
	return p.say(ctx, "she books again by the link in it; the recall is answered")
}
