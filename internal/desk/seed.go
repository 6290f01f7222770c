package desk

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/brianvoe/gofakeit/v7"
	"golang.org/x/sync/errgroup"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// SeedPractice is the id of the test practice that every fresh installation starts with.
var SeedPractice = policy.MustID("019a0000-0000-7000-8000-68617262006c")

// Sizes of the seeded practice.
const (
	seedClients = 200
	seedDays    = 28
	seedNumber  = 20_260_309 // of every random choice, so that two seeds are alike
)

// Seeded is what stands after a seed. Key is set only when this call made the practice.
type Seeded struct {
	Practice     policy.ID
	Key          *Key
	Clients      int
	Appointments int
}

// Seed makes the test practice with its clients and four weeks of calendar, booked as the desk books. A seed that was
// interrupted goes on; one that is done does nothing.
func (d *Desk) Seed(ctx context.Context, say func(string)) (Seeded, error) {
	out := Seeded{Practice: SeedPractice}
	done, err := d.seedDone(ctx)
	if err != nil || done {
		return out, err
	}
	by, key, err := d.seedPractice(ctx, say)
	if err != nil {
		return out, fmt.Errorf("make the test practice: %w", err)
	}
	out.Key = key
	clients, err := d.seedClients(ctx, by)
	if err != nil {
		return out, fmt.Errorf("make its clients: %w", err)
	}
	out.Clients = len(clients)
	say(fmt.Sprintf("%d clients", len(clients)))
	if out.Appointments, err = d.seedCalendar(ctx, by, clients, say); err != nil {
		return out, fmt.Errorf("book its calendar: %w", err)
	}
	return out, d.store.InPractice(ctx, SeedPractice, func(tx *db.Tx) error {
		return tx.Record(ctx, db.Entry{
			Verb: seedDone, By: policy.System(SeedPractice), Object: "practice", ID: SeedPractice, After: map[string]int{"appointments": out.Appointments},
		})
	})
}

const seedDone = "practice_seeded"

func (d *Desk) seedDone(ctx context.Context) (bool, error) {
	verb := seedDone
	rows, err := d.store.In(SeedPractice).JournalPage(ctx, db.JournalPageParams{PracticeID: SeedPractice, Verb: &verb, PageSize: 1})
	return len(rows) > 0, db.Classify(err)
}

// seedPractice makes the practice, or finds the one of an interrupted seed. Its owner does what follows.
func (d *Desk) seedPractice(ctx context.Context, say func(string)) (policy.Principal, *Key, error) {
	by := policy.Principal{Kind: policy.ByStaff, Practice: SeedPractice, Role: policy.RoleOwner}
	q := d.store.In(SeedPractice)
	switch _, err := q.PracticeByID(ctx, SeedPractice); {
	case err == nil:
		staff, err := q.StaffList(ctx, SeedPractice)
		if err != nil {
			return by, nil, db.Classify(err)
		}
		for _, s := range staff {
			if s.Role == string(policy.RoleOwner) {
				by.Staff = &s.ID
			}
		}
		return by, nil, nil
	case !db.NoRows(err):
		return by, nil, db.Classify(err)
	}
	id, setup := SeedPractice, seedSetup()
	made, err := d.CreatePractice(ctx, PracticeInput{
		ID: &id, Mode: ModeTest, Name: "Harbour Lane Practice", Zone: "America/New_York", Currency: "USD", Country: "US", Mail: "desk@harbourlane.example.org",
		Phone: "+12025550142", PostalAddress: "12 Harbour Lane\nPortland, ME 04101", OwnerName: "Olive Ashford", Setup: &setup,
	})
	if err != nil {
		return by, nil, err
	}
	by.Staff = &made.Owner
	say(fmt.Sprintf("Harbour Lane Practice: %d locations, %d providers, %d rooms, %d services",
		len(made.Locations), len(made.Providers), len(made.Rooms), len(made.Services)))
	return by, &made.Key, nil
}

func seedSetup() Setup {
	hours := func(location int, from, until string, days ...time.Weekday) SetupHours {
		return SetupHours{Location: location, Days: days, From: policy.MustWallTime(from), Until: policy.MustWallTime(until)}
	}
	service := func(name string, minutes int, price int64, in ServiceInput) SetupService {
		in.Name, in.DurationMinutes, in.Price, in.Online = name, minutes, price, true
		if in.Forms == nil {
			in.Forms = []string{FormConsent}
		}
		return SetupService{ServiceInput: in}
	}
	return Setup{
		Locations: []LocationInput{
			{Name: "Harbour Lane", PostalAddress: "12 Harbour Lane, Portland, ME 04101", Phone: "+12025550142"},
			{Name: "Mill Street", PostalAddress: "3 Mill Street, Portland, ME 04103", Phone: "+12025550143"},
		},
		Rooms: []SetupRoom{{Name: "Room 1", Location: 0}, {Name: "Room 2", Location: 0}, {Name: "Mill room", Location: 1}},
		Providers: []SetupProvider{
			{Name: "Olive Ashford", Hours: []SetupHours{hours(0, "09:00", "17:00", workingDays...)}},
			{Name: "Ben Okafor", Mail: "ben@harbourlane.example.org", Hours: []SetupHours{hours(0, "08:00", "16:00", workingDays...)}},
			{Name: "Carla Núñez", Mail: "carla@harbourlane.example.org", Hours: []SetupHours{hours(1, "10:00", "18:00", workingDays...)}},
			{Name: "Dan Whitlock", Mail: "dan@harbourlane.example.org", Hours: []SetupHours{
				hours(0, "09:00", "13:00", time.Monday, time.Tuesday, time.Wednesday), hours(1, "12:00", "18:00", time.Thursday, time.Friday),
			}},
		},
		Services: []SetupService{
			service("First visit", 60, 14_000, ServiceInput{Forms: []string{FormIntake, FormConsent}}),
			service("Follow-up", 30, 8_000, ServiceInput{}),
			service("Check-up", 30, 9_000, ServiceInput{RecallEvery: "P6M"}),
			service("Yearly review", 45, 12_000, ServiceInput{RecallEvery: "P1Y"}),
			service("Treatment", 45, 11_000, ServiceInput{NeedsRoom: true, BufferAfterMinutes: 5}),
			service("Long treatment", 90, 19_500, ServiceInput{NeedsRoom: true, BufferAfterMinutes: 10}),
			service("Phone call", 15, 3_500, ServiceInput{LocationKind: "phone", Forms: []string{}}),
			service("Video call", 30, 7_000, ServiceInput{LocationKind: "video", URLTemplate: "https://video.example.org/harbour-lane"}),
		},
	}
}

// seedClients adds the clients that are still missing and gives all of them in the order of their making.
func (d *Desk) seedClients(ctx context.Context, by policy.Principal) ([]policy.ID, error) {
	there, err := d.store.In(by.Practice).ClientList(ctx, db.ClientListParams{PracticeID: by.Practice, PageSize: seedClients})
	if err != nil {
		return nil, db.Classify(err)
	}
	var ids []policy.ID
	for _, c := range there {
		ids = append(ids, c.ID)
	}
	for _, in := range seedPeople()[len(ids):] {
		client, err := d.CreateClient(ctx, by, in)
		if err != nil {
			return nil, err
		}
		ids = append(ids, client.ID)
	}
	return ids, nil
}

// seedPeople invents the same people every time. Their numbers are of 555-01xx and their mail of example.org, which reach nobody.
func seedPeople() []ClientInput {
	fake := gofakeit.New(seedNumber)
	areas := []string{"202", "207"}
	people := make([]ClientInput, seedClients)
	for i := range people {
		p := ClientInput{GivenName: fake.FirstName(), FamilyName: fake.LastName(), Source: "seed", Prefers: policy.ChannelMail}
		p.Mail = fmt.Sprintf("%s.%s.%d@example.org", strings.ToLower(asciiLetters(p.GivenName)), strings.ToLower(asciiLetters(p.FamilyName)), i)
		born := policy.MustLocalDate("1940-01-01").AddDays(fake.Number(0, 25_000))
		p.BirthdayOn = &born
		if i%3 != 0 {
			p.Phone = fmt.Sprintf("+1%s55501%02d", areas[i/100], i%100)
			if i%2 == 0 {
				p.Prefers = policy.ChannelSMS
			}
		}
		people[i] = p
	}
	return people
}

func asciiLetters(s string) string {
	return strings.Map(func(r rune) rune {
		if (r >= 'a' && r <= 'z') || (r >= 'A' && r <= 'Z') {
			return r
		}
		return -1
	}, s)
}

// seedBook is what one provider's calendar is booked from.
type seedBook struct {
	desk     *Desk
	by       policy.Principal
	provider policy.ID
	shifts   []db.Shift
	services []db.Service
	clients  []policy.ID
	rng      *rand.Rand
	next     int
	booked   func()
}

// seedCalendar books four weeks from tomorrow on, every provider's beside the others'.
func (d *Desk) seedCalendar(ctx context.Context, by policy.Principal, clients []policy.ID, say func(string)) (int, error) {
	q := d.store.In(by.Practice)
	services, err := q.ServiceList(ctx, by.Practice)
	if err != nil {
		return 0, db.Classify(err)
	}
	resources, err := q.ResourceList(ctx, by.Practice)
	if err != nil {
		return 0, db.Classify(err)
	}
	first, err := d.seedFirstDay(ctx, by.Practice)
	if err != nil {
		return 0, err
	}
	var booked atomic.Int64
	group, groupCtx := errgroup.WithContext(ctx)
	people := 0
	for _, r := range resources {
		if r.Kind != ResourceProvider {
			continue
		}
		shifts, err := q.ShiftList(ctx, by.Practice, &r.ID)
		if err != nil {
			return 0, db.Classify(err)
		}
		b := seedBook{desk: d, by: by, provider: r.ID, shifts: shifts, services: services, rng: rand.New(rand.NewPCG(seedNumber, uint64(people)))}
		for i := people % seedProviders; i < len(clients); i += seedProviders {
			b.clients = append(b.clients, clients[i])
		}
		b.booked = func() {
			if n := booked.Add(1); n%100 == 0 {
				say(fmt.Sprintf("%d visits booked", n))
			}
		}
		people++
		group.Go(func() error { return b.book(groupCtx, first) })
	}
	err = group.Wait()
	return int(booked.Load()), err
}

// seedProviders share the clients out, so that nobody is in two places at once.
const seedProviders = 4

func (d *Desk) seedFirstDay(ctx context.Context, practice policy.ID) (policy.LocalDate, error) {
	var first policy.LocalDate
	err := d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		p, err := tx.PracticeByID(ctx, practice)
		if err != nil {
			return err
		}
		day, err := today(ctx, tx, p.Zone)
		first = day.AddDays(1)
		return err
	})
	return first, err
}

func (b *seedBook) book(ctx context.Context, first policy.LocalDate) error {
	for day := range seedDays {
		date := first.AddDays(day)
		for _, shift := range b.shifts {
			if int(date.Weekday()) != int(shift.Weekday) {
				continue
			}
			if err := b.bookShift(ctx, date, shift); err != nil {
				return err
			}
		}
	}
	return nil
}

// bookShift fills about two thirds of a shift. What the calendar refuses, such as a room that is taken, stays free.
func (b *seedBook) bookShift(ctx context.Context, date policy.LocalDate, shift db.Shift) error {
	for minute := int(shift.StartMinute); ; {
		if b.rng.IntN(3) == 0 {
			minute += 30
		}
		service := b.services[b.rng.IntN(len(b.services))]
		length := int(service.DurationMinutes)
		if minute+length > int(shift.EndMinute) {
			return nil
		}
		client := b.clients[b.next%len(b.clients)]
		b.next++
		_, err := b.desk.Book(ctx, b.by, BookInput{
			Client: client, Service: service.ID, Provider: b.provider, Location: shift.LocationID, Source: "seed",
			StartsAt: fmt.Sprintf("%sT%s", date, policy.WallTimeAt(minute)),
		})
		switch {
		case err == nil:
			b.booked()
		case policy.KindOf(err) != policy.Conflict:
			return err
		}
		minute += (length + 14) / 15 * 15
	}
}
