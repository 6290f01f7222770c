package desk

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// Setup is what a new practice starts with. Places, rooms and providers refer to each other by position.
type Setup struct {
	Locations []LocationInput
	Rooms     []SetupRoom
	Providers []SetupProvider
	Services  []SetupService
}

// SetupRoom stands at one of the locations.
type SetupRoom struct {
	Name     string
	Location int
	Seats    int
}

// SetupProvider is a person with weekly hours. Mail makes them a member of staff of their own; without it they are the owner.
type SetupProvider struct {
	Name  string
	Mail  string
	Hours []SetupHours
}

// SetupHours are the same hours on some days of the week at one of the locations.
type SetupHours struct {
	Location    int
	Days        []time.Weekday
	From, Until policy.WallTime
}

// SetupService is offered by the named providers, all of them when none is named; those that need a room may use every room.
type SetupService struct {
	ServiceInput
	Providers []int
}

// DefaultSetup can be booked at once: one place, the owner as its provider on working days, three services. Prices are zero
// until the owner sets them, so that nobody is billed what nobody asked for.
func DefaultSetup(owner, practice string) Setup {
	return Setup{
		Locations: []LocationInput{{Name: practice}},
		Providers: []SetupProvider{{Name: owner, Hours: []SetupHours{{Days: workingDays, From: policy.MustWallTime("09:00"), Until: policy.MustWallTime("17:00")}}}},
		Services: []SetupService{
			{ServiceInput: ServiceInput{Name: "First visit", DurationMinutes: 60, Online: true, Forms: []string{FormIntake, FormConsent}}},
			{ServiceInput: ServiceInput{Name: "Follow-up", DurationMinutes: 30, Online: true, Forms: []string{FormConsent}}},
			{ServiceInput: ServiceInput{Name: "Check-up", DurationMinutes: 30, Online: true, RecallEvery: "P6M", Forms: []string{FormConsent}}},
		},
	}
}

var workingDays = []time.Weekday{time.Monday, time.Tuesday, time.Wednesday, time.Thursday, time.Friday}

// apply writes the setup into a practice that was made in the same transaction.
func (s Setup) apply(ctx context.Context, tx *db.Tx, by policy.Principal, in PracticeInput, out *CreatedPractice) error {
	if err := addDefaults(ctx, tx, by); err != nil {
		return err
	}
	for _, l := range s.Locations {
		id, err := addLocation(ctx, tx, by, l, in.Zone, in.Country)
		if err != nil {
			return fmt.Errorf("location %s: %w", l.Name, err)
		}
		out.Locations = append(out.Locations, id)
	}
	for _, r := range s.Rooms {
		room := ResourceInput{Kind: ResourceRoom, Name: r.Name, Seats: r.Seats, Location: &out.Locations[r.Location]}
		if err := room.clean(); err != nil {
			return fmt.Errorf("room %s: %w", r.Name, err)
		}
		id, err := addResource(ctx, tx, by, room)
		if err != nil {
			return err
		}
		out.Rooms = append(out.Rooms, id)
	}
	for _, p := range s.Providers {
		id, err := p.apply(ctx, tx, by, out)
		if err != nil {
			return fmt.Errorf("provider %s: %w", p.Name, err)
		}
		out.Providers = append(out.Providers, id)
	}
	return s.services(ctx, tx, by, out)
}

func (p SetupProvider) apply(ctx context.Context, tx *db.Tx, by policy.Principal, out *CreatedPractice) (policy.ID, error) {
	person := out.Owner
	if p.Mail != "" {
		staff := StaffInput{Name: p.Name, Mail: p.Mail, Role: policy.RoleProvider}
		if err := staff.clean(); err != nil {
			return policy.ID{}, err
		}
		var err error
		if person, err = addStaff(ctx, tx, by, staff); err != nil {
			return policy.ID{}, err
		}
	}
	provider := ResourceInput{Kind: ResourceProvider, Name: p.Name, Staff: &person}
	if err := provider.clean(); err != nil {
		return policy.ID{}, err
	}
	id, err := addResource(ctx, tx, by, provider)
	if err != nil {
		return id, err
	}
	for _, h := range p.Hours {
		for _, day := range h.Days {
			if _, err := addShift(ctx, tx, by, ShiftInput{
				Provider: id, Location: out.Locations[h.Location], Weekday: int(day), StartMinute: h.From.Minutes(), EndMinute: h.Until.Minutes(),
			}); err != nil {
				return id, err
			}
		}
	}
	return id, nil
}

func (s Setup) services(ctx context.Context, tx *db.Tx, by policy.Principal, out *CreatedPractice) error {
	for _, service := range s.Services {
		in := service.ServiceInput
		in.Resources = out.Providers
		if len(service.Providers) > 0 {
			in.Resources = nil
			for _, i := range service.Providers {
				in.Resources = append(in.Resources, out.Providers[i])
			}
		}
		if in.NeedsRoom {
			in.Resources = append(append([]policy.ID{}, in.Resources...), out.Rooms...)
		}
		if err := in.clean(); err != nil {
			return fmt.Errorf("service %s: %w", in.Name, err)
		}
		id, err := addService(ctx, tx, by, in)
		if err != nil {
			return fmt.Errorf("service %s: %w", in.Name, err)
		}
		out.Services = append(out.Services, id)
	}
	return nil
}

// addDefaults writes what every journey needs: a cadence of each kind, a message of each kind and channel, the forms.
func addDefaults(ctx context.Context, tx *db.Tx, by policy.Principal) error {
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return err
	}
	for _, c := range defaultCadences {
		rules, err := json.Marshal(c.rules)
		if err != nil {
			return fmt.Errorf("rules of %s: %w", c.name, err)
		}
		id := db.NewID()
		if err := tx.CadenceInsert(ctx, db.CadenceInsertParams{PracticeID: tx.Practice, ID: id, Kind: c.kind, Name: c.name}); err != nil {
			return err
		}
		if err := tx.CadenceVersionInsert(ctx, db.CadenceVersionInsertParams{
			PracticeID: tx.Practice, ID: db.NewID(), CadenceID: id, N: 1, Status: CadencePublished, Rules: rules, PublishedAt: &clk.now,
		}); err != nil {
			return err
		}
	}
	for _, t := range defaultTemplates {
		if err := policy.CheckTemplate(t); err != nil {
			return fmt.Errorf("default %s by %s: %w", t.Kind, t.Channel, err)
		}
		if err := tx.TemplateInsert(ctx, db.TemplateInsertParams{
			PracticeID: tx.Practice, ID: db.NewID(), Kind: t.Kind, Channel: t.Channel, Locale: "en", N: 1, Subject: t.Subject, Body: t.Body,
		}); err != nil {
			return err
		}
	}
	for _, f := range defaultForms {
		if _, err := policy.ParseFields(f.Fields); err != nil {
			return fmt.Errorf("default form %s: %w", f.FormKey, err)
		}
		f.PracticeID, f.ID = tx.Practice, db.NewID()
		if err := tx.FormInsert(ctx, f); err != nil {
			return err
		}
	}
	return tx.Record(ctx, db.Entry{
		Verb: "defaults_published", By: by, Object: "practice", ID: tx.Practice,
		After: map[string]int{"cadences": len(defaultCadences), "templates": len(defaultTemplates), "forms": len(defaultForms)},
	})
}

var defaultCadences = []struct {
	kind, name string
	rules      []policy.Rule
}{
	{policy.KindJourney, "Reminders", []policy.Rule{
		{ID: "week", Act: policy.ActMessage, When: policy.MustLead("-7d")},
		{ID: "two_days", Act: policy.ActMessage, When: policy.MustLead("-2d")},
		{ID: "two_hours", Act: policy.ActMessage, When: policy.MustLead("-2h")},
	}},
	{policy.KindCollection, "Payment follow-up", []policy.Rule{
		{ID: "first", Act: policy.ActMessage, When: policy.MustLead("+3d@10:00"), Channels: []string{policy.ChannelMail}},
		{ID: "card", Act: policy.ActCharge, When: policy.MustLead("+5d@10:00")},
		{ID: "second", Act: policy.ActMessage, When: policy.MustLead("+7d@10:00"), Channels: []string{policy.ChannelMail}},
		{ID: "call", Act: policy.ActTask, When: policy.MustLead("+14d@10:00"), Title: "The invoice is unpaid after two reminders. Call the client."},
	}},
	{policy.KindRecall, "Recall", []policy.Rule{
		{ID: "first", Act: policy.ActMessage, When: policy.MustLead("0d@10:00")},
		{ID: "second", Act: policy.ActMessage, When: policy.MustLead("+14d@10:00")},
		{ID: "third", Act: policy.ActMessage, When: policy.MustLead("+30d@10:00")},
	}},
}
