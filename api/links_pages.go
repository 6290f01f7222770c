package api

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/kept-practice/kept/api/web"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// page draws the link as it stands: its form while it is open, else what there is to know.
func (l *links) page(v visitor, status int, d draft) {
	switch {
	case v.link.State == desk.LinkDone:
		l.note(v.Context, status, l.donePage(v.link))
	case v.link.State == desk.LinkClosed:
		l.note(v.Context, status, l.closedPage(v.link))
	case v.link.Purpose == desk.LinkMove, v.link.Purpose == desk.LinkBook:
		l.timesPage(v, status, d)
	case v.link.Purpose == desk.LinkIntake && v.n > 0:
		l.paperPage(v, status, d)
	case v.link.Purpose == desk.LinkIntake:
		l.papersPage(v, status)
	case v.link.Purpose == desk.LinkPreferences:
		l.preferencesPage(v, status, d)
	case v.link.Purpose == desk.LinkPay:
		l.billPage(v, status, d)
	default:
		l.askPage(v, status, d)
	}
}

func (l *links) shell(k desk.Link, title string) web.Shell {
	return web.Shell{Title: title, Practice: k.Name, Phone: k.Phone, Style: l.css}
}

// askPage is for links that ask one thing: confirm, cancel, check in, unsubscribe.
func (l *links) askPage(v visitor, status int, d draft) {
	k := v.link
	a := web.Ask{Hello: k.GivenName, Nonce: l.newNonce(v), Error: d.sentence, Typed: d.form.Get("reason")}
	switch k.Purpose {
	case desk.LinkConfirm:
		a.Shell, a.Lead, a.Button = l.shell(k, "Confirm your visit"), "will you come to this visit?", "Yes, I will be there"
		a.Hint = "If you cannot come, use the links in our message to move or cancel the visit."
	case desk.LinkCancel:
		a.Shell, a.Lead, a.Button = l.shell(k, "Cancel your visit"), "do you want to cancel this visit?", "Cancel this visit"
		a.Reason, a.Danger, a.Hint = true, true, "You can cancel here until "+actsUntil(k)+". After that, please call us."
	case desk.LinkCheckIn:
		a.Shell, a.Lead, a.Button = l.shell(k, "Check in"), "have you arrived? Let us know with one tap.", "I am here"
		a.Papers = openPapers(k.Packet)
	case desk.LinkUnsubscribe:
		a.Shell, a.Button = l.shell(k, "Stop invitations"), "Stop invitations"
		a.Lead = k.Name + " will no longer invite you to come back for a visit."
		a.Hint = "Messages about visits that you book, and about invoices, still reach you."
		l.write(v.Context, status, web.UnsubscribePage(a))
		return
	}
	a.Visit = *visitView(k)
	l.write(v.Context, status, web.AskPage(a))
}

// donePage answers as the first success did: the effect stands.
func (l *links) donePage(k desk.Link) web.Note {
	n := web.Note{Tone: "good", Visit: visitView(k)}
	switch k.Purpose {
	case desk.LinkConfirm:
		n.Head, n.Text = "Thank you, "+k.GivenName, []string{"Your visit is confirmed. We look forward to seeing you."}
	case desk.LinkCancel:
		n.Head, n.Text = "Your visit is cancelled", []string{"Thank you for telling us. To book another one, please call us."}
		n.Visit.Off = true
	case desk.LinkMove:
		n.Head, n.Text = "Your visit is moved", []string{"This is your new time. We send you a message with it."}
	case desk.LinkBook:
		n.Head, n.Text = "You have a visit", []string{"Your time is booked. We send you a message with everything you need."}
	case desk.LinkCheckIn:
		n.Head, n.Text, n.Visit = "Welcome, "+k.GivenName, []string{"You are checked in. Please take a seat."}, nil
		if papers := openPapers(k.Packet); len(papers) > 0 {
			n.Text = append(n.Text, "Still to fill in: "+strings.Join(papers, ", ")+". Use the link in our earlier message, or ask at the desk.")
		}
	case desk.LinkIntake:
		n.Head, n.Text = "Thank you, "+k.GivenName, []string{"All your papers are here. There is nothing more to fill in."}
	case desk.LinkPay:
		n.Head, n.Text = "Paid, thank you", []string{"Nothing is owed on this invoice."}
	case desk.LinkUnsubscribe:
		n.Head, n.Text = "You get no more invitations", []string{"Messages about visits that you book, and about invoices, still reach you."}
	}
	n.Shell = l.shell(k, n.Head)
	if k.GivenName != "" {
		n.Title = strings.TrimSuffix(n.Head, ", "+k.GivenName) // a title stays in the browser's history
	}
	return n
}

// closedPage says why nothing can be done here now, and what to do instead.
func (l *links) closedPage(k desk.Link) web.Note {
	n := web.Note{Tone: "plain", Visit: visitView(k)}
	switch k.Why {
	case desk.WhyTooEarly:
		n.Head = "Check-in is not open yet"
		n.Text = []string{"Come back to this page from " + inWords(k.Visit.CheckInFrom, k) + " on."}
	case desk.WhyTooLate:
		n.Head = "Too late to change it here"
		n.Text = []string{"Changes were possible here until " + actsUntil(k) + ". Please call us."}
	case desk.WhyNotApproved:
		n.Head, n.Text = "Please wait for our answer", []string{"We have your request and tell you as soon as the visit is set."}
	case desk.WhyOver:
		n.Head, n.Text = "This visit is over", []string{"There is nothing left to do here."}
	case desk.WhyExpired:
		if k.Purpose == desk.LinkPreferences {
			n.Head, n.Text = "This link has run out", []string{"Use the one in our newest mail, or call us."}
			break
		}
		n.Head, n.Text = "This invitation has run out", []string{"To book a visit, please call us."}
	default:
		n.Head, n.Text = "This visit's time has come", []string{"It cannot be changed here any more. Please call us, or speak to us at the desk."}
	}
	n.Shell = l.shell(k, n.Head)
	return n
}

const (
	daysShown   = 14
	lookFurther = 4 // stretches of days that are searched for the first free time
)

// timesPage shows the days with free times as links and one day's times as a form.
func (l *links) timesPage(v visitor, status int, d draft) {
	k := v.link
	page := web.Times{
		Shell: l.shell(k, "Choose a time"), Hello: k.GivenName, Lead: "when would you like to come instead?", Visit: visitView(k),
		Head: "Choose a new time", Button: "Move my visit", Error: d.sentence, Nonce: l.newNonce(v),
	}
	var provider policy.ID
	if k.Purpose == desk.LinkBook {
		page.Lead, page.Head, page.Button = "when would you like to come?", "Choose a time", "Book this time"
		provider = k.Recall.Provider
	} else {
		provider = k.Visit.Provider
	}
	q := v.Request.URL.Query()
	anybody := provider.IsZero() || q.Get("with") == "any"
	if anybody {
		provider = policy.ID{}
	} else {
		page.Anybody = "?with=any"
	}
	today := policy.LocalDay(k.Now, k.Zone)
	from, asked := dayIn(q.Get("from"), today)
	times, from, err := l.timesFrom(v, from, asked, provider)
	if err != nil {
		l.fail(v, err)
		return
	}
	query := func(from policy.LocalDate, day string) string {
		with := url.Values{"from": {from.String()}}
		if anybody && q.Get("with") == "any" {
			with.Set("with", "any")
		}
		if day != "" {
			with.Set("day", day)
		}
		return "?" + with.Encode()
	}
	if today.Before(from) {
		earlier := from.AddDays(-daysShown)
		if earlier.Before(today) {
			earlier = today
		}
		page.Earlier = query(earlier, "")
	}
	page.Later = query(from.AddDays(daysShown), "")
	l.fillDays(&page, k, times, q.Get("day"), func(day string) string { return query(from, day) })
	l.write(v.Context, status, web.TimesPage(page))
}

// timesFrom reads one stretch of days; when nobody asked for a certain one, the first stretch that has a free time.
func (l *links) timesFrom(v visitor, from policy.LocalDate, asked bool, provider policy.ID) ([]desk.FreeTime, policy.LocalDate, error) {
	for look := 1; ; look++ {
		times, err := l.deps.Desk.LinkTimes(v.Request.Context(), v.link, from, daysShown, provider)
		if err != nil || asked || len(times) > 0 || look == lookFurther {
			return times, from, err
		}
		from = from.AddDays(daysShown)
	}
}

// dayIn reads a day out of a query; anything else, and days gone by, are today.
func dayIn(s string, today policy.LocalDate) (day policy.LocalDate, asked bool) {
	day, err := policy.ParseLocalDate(s)
	if err != nil || day.Before(today) || today.DaysUntil(day) > 3*366 {
		return today, false
	}
	return day, true
}

func (l *links) fillDays(page *web.Times, k desk.Link, times []desk.FreeTime, chosen string, query func(day string) string) {
	byDay := map[string][]desk.FreeTime{}
	var days []string
	people := map[policy.ID]bool{}
	for _, t := range spread(times, k.Zone) {
		day := policy.LocalDay(t.StartsAt, k.Zone).String()
		if byDay[day] == nil {
			days = append(days, day)
		}
		byDay[day] = append(byDay[day], t)
		people[t.Provider] = true
	}
	if byDay[chosen] == nil && len(days) > 0 {
		chosen = days[0]
	}
	for _, day := range days {
		first := byDay[day][0].StartsAt.In(k.Zone)
		page.Days = append(page.Days, web.DayTab{
			Query: query(day), Weekday: first.Format("Mon"), Date: first.Format(shortDay(k)), Free: fmt.Sprintf("%d free", len(byDay[day])), Current: day == chosen,
		})
	}
	for _, t := range byDay[chosen] {
		s := web.Slot{Value: t.StartsAt.UTC().Format(time.RFC3339) + "~" + l.handle(k.ID, t.Provider), Time: t.StartsAt.In(k.Zone).Format(clockForm(k))}
		if len(people) > 1 {
			s.With = t.ProviderName
		}
		page.Slots = append(page.Slots, s)
	}
	if page.HasTimes = len(page.Slots) > 0; page.HasTimes {
		first := byDay[chosen][0].StartsAt
		page.Day, page.Zone = first.In(k.Zone).Format(dayForm(k)), zoneName(first, k)
	}
}

// spread leaves of starts every few minutes what a person can choose from: quarters of an hour, and others only where no quarter
// is near.
func spread(times []desk.FreeTime, zone *time.Location) []desk.FreeTime {
	const apart = 15 * time.Minute
	last := map[policy.ID]time.Time{}
	return slices.DeleteFunc(slices.Clone(times), func(t desk.FreeTime) bool {
		before, seen := last[t.Provider]
		if seen && t.StartsAt.Sub(before) < apart && t.StartsAt.In(zone).Minute()%15 != 0 {
			return true
		}
		last[t.Provider] = t.StartsAt
		return false
	})
}

func (l *links) billPage(v visitor, status int, d draft) {
	k, b := v.link, v.link.Bill
	amount := func(minor int64) string { return policy.Money{Amount: minor, Currency: b.Currency}.Format() }
	page := web.Bill{
		Shell: l.shell(k, "Your invoice"), Hello: k.GivenName, Total: amount(b.Total), Owed: amount(b.Owed), Nonce: l.newNonce(v), Error: d.sentence,
	}
	if b.Number > 0 {
		page.Number = fmt.Sprintf("No. %d", b.Number)
	}
	if b.Owed != b.Total {
		page.Paid = amount(b.Total - b.Owed)
	}
	visitOn := "Visit on " + time.Date(b.On.Year, b.On.Month, b.On.Day, 12, 0, 0, 0, time.UTC).Format(dayForm(k))
	for _, line := range b.Lines {
		text := line.Description
		if k.Strict {
			text = visitOn
		}
		page.Lines = append(page.Lines, web.BillLine{Text: text, Amount: amount(line.Total)})
	}
	// Browsers hold the redirect of a form to this policy too, and it leads to the gateway.
	v.Header("Content-Security-Policy", policyOf("'self' https: http://127.0.0.1:* http://localhost:*"))
	l.write(v.Context, status, web.BillPage(page))
}

func visitView(k desk.Link) *web.Visit {
	if k.Visit == nil {
		return nil
	}
	start := k.Visit.StartsAt.In(k.Zone)
	return &web.Visit{
		Day: start.Format(dayForm(k)), Time: start.Format(clockForm(k)), Zone: zoneName(start, k), Place: k.Visit.Place, Address: k.Visit.Address,
	}
}

// actsUntil is when a visit can last be cancelled or moved by link.
func actsUntil(k desk.Link) string {
	return inWords(k.Visit.ActsUntil, k)
}

// inWords is an instant in words, on the visit's own clock.
func inWords(t time.Time, k desk.Link) string {
	return t.In(k.Zone).Format(clockForm(k)) + " on " + t.In(k.Zone).Format(dayForm(k))
}

// monthFirst are the countries that write the month before the day and count hours to twelve.
var monthFirst = []string{"CA", "PH", "US"}

func clockForm(k desk.Link) string {
	if slices.Contains(monthFirst, k.Country) {
		return "3:04 PM"
	}
	return "15:04"
}

func dayForm(k desk.Link) string {
	if slices.Contains(monthFirst, k.Country) {
		return "Monday, January 2, 2006"
	}
	return "Monday 2 January 2006"
}

func shortDay(k desk.Link) string {
	if slices.Contains(monthFirst, k.Country) {
		return "Jan 2"
	}
	return "2 Jan"
}

// zoneName says whose clock a time is on: EDT, New York.
func zoneName(t time.Time, k desk.Link) string {
	name := k.Zone.String()
	if at := strings.LastIndex(name, "/"); at >= 0 {
		name = strings.ReplaceAll(name[at+1:], "_", " ") + " time"
	}
	short := t.In(k.Zone).Format("MST")
	if strings.HasPrefix(short, "+") || strings.HasPrefix(short, "-") || short == name {
		return name
	}
	return short + ", " + name
}

// openPapers are the titles of the papers that are still open.
func openPapers(p *desk.Packet) []string {
	var titles []string
	if p == nil || p.Status != "open" {
		return nil
	}
	for _, f := range p.Forms {
		if !f.Submitted {
			titles = append(titles, f.Title)
		}
	}
	return titles
}
