//go:build bench

package main

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"slices"
	"strings"
	"time"

	"go.temporal.io/sdk/client"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// Where each chain stands in the year: booked on a Monday morning in New York, the visit on a Friday or a Wednesday at two.
var (
	zone     = mustZone("America/New_York")
	bookedAt = time.Date(2027, 1, 11, 10, 0, 0, 0, zone)
	inFour   = time.Date(2027, 1, 15, 14, 0, 0, 0, zone) // two reminders
	inNine   = time.Date(2027, 1, 20, 14, 0, 0, 0, zone) // three
)

// Cards of the sandbox.
const (
	goodCard = "4242424242424242"
	badCard  = "4000000000000341" // stored, then declined when charged
)

// chain is one client's way from booking on, in a practice of its own, played as fast as its timers are cut.
type chain struct {
	f        *floor
	practice desk.CreatedPractice
	client   policy.ID
	staff    staff
	browser  *http.Client
	notes    <-chan note
	apart    bool // rings keep their distance: each waits until the run sleeps again

	visit  policy.ID
	seen   []note
	mails  []string
	booked time.Duration // how long the booking's answer took
}

// wallet is a card on file as the sandbox knows it.
type wallet struct{ customer, method string }

// chainInput says whom a chain is about.
type chainInput struct {
	wait  time.Duration // what each timer is cut to
	card  *wallet
	apart bool
}

func (f *floor) newChain(ctx context.Context, in chainInput) (*chain, error) {
	made, err := f.s.newPractice(ctx, 1, desk.FormConsent)
	if err != nil {
		return nil, err
	}
	c := &chain{
		f: f, practice: made, browser: newHTTP(), notes: f.hasten(made.ID, in.wait), apart: in.apart,
		staff: staff{base: f.s.api, key: made.Key.Text, http: http.DefaultClient},
	}
	if c.client, err = f.newClient(ctx, c.staff); err != nil {
		return nil, err
	}
	if in.card != nil {
		err = f.s.giveCard(ctx, made.ID, c.client, *in.card)
	}
	return c, err
}

// newPractice makes a test practice with so many providers and one service: half an hour, with a price, a recall, and these papers.
func (s *stack) newPractice(ctx context.Context, providers int, forms ...string) (desk.CreatedPractice, error) {
	setup := desk.DefaultSetup("Olive Ashford", "Harbour Lane")
	hours := setup.Providers[0]
	hours.Hours[0].From, hours.Hours[0].Until = policy.MustWallTime("07:00"), policy.MustWallTime("19:00")
	setup.Providers = slices.Repeat([]desk.SetupProvider{hours}, providers)
	setup.Services = setup.Services[2:]
	setup.Services[0].Price, setup.Services[0].Forms = 9_000, forms
	made, err := s.desk.CreatePractice(ctx, desk.PracticeInput{
		Mode: desk.ModeTest, Name: "Harbour Lane Practice", Zone: zone.String(), Currency: "USD", Country: "US",
		Mail: "owner@harbourlane.example.org", Phone: "+12025550142", PostalAddress: "12 Harbour Lane, Portland, ME 04101", Setup: &setup,
	})
	if err != nil {
		return made, fmt.Errorf("make a practice: %w", err)
	}
	return made, s.setClock(ctx, made.ID, bookedAt)
}

func (f *floor) newClient(ctx context.Context, s staff) (policy.ID, error) {
	made, err := s.post(ctx, "/v1/clients", map[string]any{
		"given_name": "Robin", "family_name": "Client", "mail": "robin-" + db.NewID().String()[24:] + "@example.org", "source": "phone",
	})
	if err != nil {
		return policy.ID{}, err
	}
	return idOf(made)
}

// idOf reads the id of an answer's object.
func idOf(answer map[string]any) (policy.ID, error) {
	text, _ := answer["id"].(string)
	_, body, _ := strings.Cut(text, "_")
	n := new(big.Int)
	for _, c := range body {
		n.Or(n.Lsh(n, 5), big.NewInt(int64(strings.IndexRune(crockford, c))))
	}
	if len(body) != 26 || n.BitLen() > 128 {
		return policy.ID{}, fmt.Errorf("%q is no id", text)
	}
	var id policy.ID
	n.FillBytes(id[:])
	return id, nil
}

const crockford = "0123456789abcdefghjkmnpqrstvwxyz"

// typed is an id as the API writes it: its kind and 26 digits to the base 32.
func typed(kind string, id policy.ID) string {
	var digits [26]byte
	n, five := new(big.Int).SetBytes(id[:]), big.NewInt(32)
	for i := len(digits) - 1; i >= 0; i-- {
		digit := new(big.Int)
		n.DivMod(n, five, digit)
		digits[i] = crockford[digit.Int64()]
	}
	return kind + "_" + string(digits[:])
}

func mustZone(name string) *time.Location {
	zone, err := policy.LoadZone(name)
	if err != nil {
		panic(err)
	}
	return zone
}

// giveCard puts a card on file that the sandbox knows from another client.
func (s *stack) giveCard(ctx context.Context, practice, who policy.ID, w wallet) error {
	_, err := s.admin.Exec(ctx, "update clients set gateway_customer = $3 where practice_id = $1 and id = $2", practice, who, w.customer)
	if err == nil {
		_, err = s.admin.Exec(ctx, `insert into payment_methods (practice_id, id, client_id, gateway_method, brand, last4, exp_month, exp_year, mandate_at)
			values ($1, $2, $3, $4, 'visa', '4242', 12, 2031, now())`, practice, db.NewID(), who, w.method)
	}
	if err != nil {
		return fmt.Errorf("give a card: %w", err)
	}
	return nil
}

// newWallet lets a client leave a card on the sandbox's page.
func (f *floor) newWallet(ctx context.Context, number string) (*wallet, error) {
	c, err := f.newChain(ctx, chainInput{wait: time.Second})
	if err != nil {
		return nil, err
	}
	defer f.forget(c.practice.ID)
	setup, err := c.staff.post(ctx, "/v1/clients/"+typed("cli", c.client)+"/card-setup", map[string]any{"return_url": f.s.api + "/docs"})
	if err != nil {
		return nil, err
	}
	address, _ := setup["url"].(string)
	checkout, err := open(ctx, c.browser, address)
	if err != nil {
		return nil, err
	}
	if _, err := press(ctx, c.browser, checkout, map[string]string{"number": number}); err != nil {
		return nil, err
	}
	var w wallet
	err = until(ctx, 15*time.Second, "the card is on file", func() (bool, error) {
		rows, err := f.s.admin.Query(ctx, `select c.gateway_customer, m.gateway_method from clients c
			join payment_methods m on m.practice_id = c.practice_id and m.client_id = c.id where c.practice_id = $1`, c.practice.ID)
		if err != nil {
			return false, err
		}
		defer rows.Close()
		if !rows.Next() {
			return false, rows.Err()
		}
		return true, rows.Scan(&w.customer, &w.method)
	})
	return &w, err
}

func (c *chain) journey() policy.Subject {
	return policy.Subject{Practice: c.practice.ID, Kind: policy.KindJourney, ID: c.visit}
}

// await reads notes until one is as wanted.
func (c *chain) await(ctx context.Context, what string, wanted func(note) bool) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Minute)
	defer cancel()
	for {
		select {
		case n := <-c.notes:
			c.seen = append(c.seen, n)
			if n.mail != "" {
				c.mails = append(c.mails, n.mail)
			}
			if wanted(n) {
				return nil
			}
		case <-ctx.Done():
			return fmt.Errorf("waiting until %s: %w", what, ctx.Err())
		}
	}
}

// sent waits until a message of a rule has gone out.
func (c *chain) sent(ctx context.Context, key string) error {
	return c.await(ctx, key+" is sent", func(n note) bool { return n.step != nil && strings.HasPrefix(n.step.Key, key) })
}

// done waits until a subject of the kind says that nothing is left.
func (c *chain) done(ctx context.Context, kind string) error {
	return c.await(ctx, "the "+kind+" is over", func(n note) bool {
		return n.subject.Kind == kind && n.plan != nil && n.plan.Done && len(n.plan.Due) == 0
	})
}

// rest keeps rings apart: it returns when the run sleeps and no fact waits to be seen.
func (c *chain) rest(ctx context.Context, s policy.Subject) error {
	if !c.apart {
		return nil
	}
	return until(ctx, 20*time.Second, "the run sleeps", func() (bool, error) {
		run, err := c.f.client.DescribeWorkflowExecution(ctx, s.WorkflowID(), "")
		if err != nil {
			return false, fmt.Errorf("look at the run: %w", err)
		}
		var waiting int
		err = c.f.s.admin.QueryRow(ctx, "select count(*) from outbox where practice_id = $1", s.Practice).Scan(&waiting)
		return waiting == 0 && run.GetPendingWorkflowTask() == nil && len(run.GetPendingActivities()) == 0, err
	})
}

// looked waits until the journey has looked after what was just done.
func (c *chain) looked(ctx context.Context) error {
	if c.apart {
		return c.rest(ctx, c.journey())
	}
	return c.await(ctx, "the journey looks", func(n note) bool { return n.plan != nil })
}

// book lets the staff book the visit.
func (c *chain) book(ctx context.Context, at time.Time) error {
	began := time.Now()
	booked, err := c.staff.post(ctx, "/v1/appointments", map[string]any{
		"client_id": typed("cli", c.client), "service_id": typed("svc", c.practice.Services[0]), "provider_id": typed("prv", c.practice.Providers[0]),
		"location_id": typed("loc", c.practice.Locations[0]), "starts_at": at.Format(time.RFC3339),
	})
	c.booked = time.Since(began)
	if err != nil {
		return err
	}
	c.visit, err = idOf(booked)
	return err
}

// follow opens the link on a line of the newest mail and presses its button.
func (c *chain) follow(ctx context.Context, words string, fill map[string]string) error {
	if len(c.mails) == 0 {
		return errors.New("no mail has come")
	}
	address, err := linkIn(c.mails[len(c.mails)-1], words)
	if err != nil {
		return err
	}
	opened, err := open(ctx, c.browser, address)
	if err != nil {
		return err
	}
	_, err = press(ctx, c.browser, opened, fill)
	return err
}

// fillIn signs the one paper of the visit.
func (c *chain) fillIn(ctx context.Context) error {
	address, err := linkIn(c.mails[0], "Please fill in your papers")
	if err != nil {
		return err
	}
	overview, err := open(ctx, c.browser, address)
	if err != nil {
		return err
	}
	for _, l := range overview.links {
		if strings.HasPrefix(l, address+"/") {
			form, err := open(ctx, c.browser, l)
			if err == nil {
				_, err = press(ctx, c.browser, form, nil)
			}
			return err
		}
	}
	return errors.New("no paper was found behind the link")
}

// act lets the staff say what happened to the visit.
func (c *chain) act(ctx context.Context, verb string, body map[string]any) error {
	_, err := c.staff.post(ctx, "/v1/appointments/"+typed("apt", c.visit)+"/"+verb, body)
	return err
}

// closed waits until the last run of a subject has ended.
func (c *chain) closed(ctx context.Context, s policy.Subject) error {
	return c.f.client.GetWorkflow(ctx, s.WorkflowID(), "").GetWithOptions(ctx, nil, client.WorkflowRunGetOptions{DisableFollowingRuns: true})
}
