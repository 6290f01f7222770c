package desk

import (
	"context"
	"crypto/sha256"
	"fmt"
	"slices"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// LinkState says what a link can do now.
type LinkState string

const (
	LinkOpen   LinkState = "open"   // its one effect can be had
	LinkDone   LinkState = "done"   // the effect was had, or its purpose was reached another way
	LinkClosed LinkState = "closed" // it can be read, but acts no more, or not yet; Why says which
)

// Why a link is closed.
const (
	WhyBegun       = "begun"        // the visit has started
	WhyOver        = "over"         // the visit is over
	WhyTooLate     = "too_late"     // inside the time in which nobody cancels or moves by a link
	WhyTooEarly    = "too_early"    // check-in opens later
	WhyNotApproved = "not_approved" // the practice has not said yes yet
	WhyExpired     = "expired"      // an invitation ran out
)

// Link is an opened link: what its page may show, and what may be done with it now. Nothing in it goes beyond the client's
// first name and the one thing the link is about.
type Link struct {
	ID          policy.ID
	Practice    policy.ID
	Client      policy.ID
	Purpose     string
	State       LinkState
	Why         string
	GivenName   string
	Name        string // of the practice
	Phone       string
	Country     string
	Strict      bool // say nothing of what the visit is for
	Now         time.Time
	Zone        *time.Location
	Visit       *LinkVisit  // the visit it is about, or that came of it
	Packet      *Packet     // intake and check-in
	Bill        *LinkBill   // pay
	Recall      *LinkRecall // book
	Preferences []Preference

	subject policy.Subject
	version int32
	used    bool
	expires time.Time
}

// LinkVisit is a visit as a page shows it.
type LinkVisit struct {
	ID           policy.ID
	Service      policy.ID
	Provider     policy.ID
	Location     policy.ID
	ProviderName string
	Place        string
	Address      string
	Status       policy.Status
	Version      int32
	StartsAt     time.Time
	EndsAt       time.Time
	ActsUntil    time.Time // to cancel or move by link
	CheckInFrom  time.Time
}

// LinkBill is an invoice as a page shows it; amounts are minor units.
type LinkBill struct {
	Invoice  policy.ID
	Number   int64
	On       policy.LocalDate // the day of the visit
	Currency string
	Total    int64
	Owed     int64
	Lines    []LinkBillLine
}

// LinkBillLine is one line of an invoice.
type LinkBillLine struct {
	Description string
	Total       int64
}

// LinkRecall is what an invitation back offers.
type LinkRecall struct {
	ID       policy.ID
	Service  policy.ID
	Location policy.ID
	Provider policy.ID // whom the client saw last; zero when nobody knows
}

// errNoLink is the one answer to every token that is not exactly one of ours, or whose subject is gone.
func errNoLink() error {
	return policy.NewError(policy.NotFound, "link_not_found", "This link does not work. It may be incomplete, or too old.")
}

// OpenLink reads what a token is for. It changes nothing. 404 for unknown, foreign, erased and long expired tokens, all
// alike; 410 for a real one whose visit was cancelled or moved, with the next step: the Link then still names the practice.
func (d *Desk) OpenLink(ctx context.Context, token string) (Link, error) {
	l, err := d.openLink(ctx, token)
	return l, db.Classify(err)
}

func (d *Desk) openLink(ctx context.Context, token string) (Link, error) {
	hash := sha256.Sum256([]byte(token))
	practice, err := d.store.Anyone().PracticeOfLink(ctx, hash[:])
	if err != nil {
		return Link{}, fmt.Errorf("find the practice of a link: %w", err)
	}
	q := d.store.In(practice)
	row, err := q.LinkPage(ctx, practice, hash[:])
	if db.NoRows(err) {
		return Link{}, errNoLink()
	}
	if err != nil {
		return Link{}, fmt.Errorf("read a link: %w", err)
	}
	ended := row.Purpose != LinkUnsubscribe && !row.Now.Before(row.ExpiresAt.Add(readable)) // unsubscribing never ends
	if row.ClientStatus == "archived" || row.ClientStatus == "erased" || ended {
		return Link{}, errNoLink()
	}
	l := Link{
		ID: row.ID, Practice: practice, Client: row.ClientID, Purpose: row.Purpose, GivenName: row.GivenName,
		Name: row.PracticeName, Phone: row.PracticePhone, Country: row.Country, Strict: row.PrivacyMode == "strict", Now: row.Now.UTC(),
		subject: policy.Subject{Practice: practice, Kind: row.SubjectKind, ID: row.SubjectID},
		version: row.Version, used: row.UsedAt != nil, expires: row.ExpiresAt,
	}
	if l.Zone, err = policy.LoadZone(row.Zone); err != nil {
		return Link{}, fmt.Errorf("zone of the practice: %w", err)
	}
	if row.RevokedAt != nil && !slices.Contains([]string{"cancelled", "moved", "voided"}, row.RevokedReason) {
		return Link{}, errNoLink()
	}
	switch l.Purpose {
	case LinkPay:
		err = l.openBill(ctx, q)
	case LinkBook:
		err = l.openRecall(ctx, q)
	case LinkUnsubscribe:
		err = l.openList(ctx, q)
	case LinkPreferences:
		err = l.openPreferences(ctx, q)
	default:
		err = l.openVisit(ctx, q, hash[:])
	}
	return l, err
}

func (l *Link) openVisit(ctx context.Context, q *db.Queries, tokenHash []byte) error {
	if err := l.readVisit(ctx, q, l.subject.ID); err != nil {
		return err
	}
	if err := l.stands(); err != nil {
		// The link was read before the visit. Its own post may have come in between, and then it is marked as used by now.
		row, readErr := q.LinkPage(ctx, l.Practice, tokenHash)
		if readErr != nil {
			return noLink(readErr)
		}
		if l.used = row.UsedAt != nil; l.stands() != nil {
			return err
		}
	}
	switch l.Purpose {
	case LinkIntake, LinkCheckIn:
		row, err := q.PacketByAppointment(ctx, l.Practice, l.Visit.ID)
		if db.NoRows(err) && l.Purpose == LinkCheckIn {
			break
		}
		if err != nil {
			return noLink(err)
		}
		p, err := readPacket(ctx, q, db.PacketByIDRow(row))
		if err != nil {
			return err
		}
		l.Packet = &p
	}
	l.State, l.Why = l.judgeVisit()
	return nil
}

// readVisit fills in the visit; foreign and unknown ones make the link one that does not exist.
func (l *Link) readVisit(ctx context.Context, q *db.Queries, id policy.ID) error {
	v, err := q.LinkVisit(ctx, l.Practice, id)
	if err != nil {
		return noLink(err)
	}
	if v.ClientID != l.Client {
		return errNoLink()
	}
	settings, err := settingsAt(ctx, q, l.Practice, &v.LocationID, &v.ServiceID, &v.ProviderID)
	if err != nil {
		return err
	}
	if l.Zone, err = policy.LoadZone(v.Zone); err != nil {
		return fmt.Errorf("zone of the visit: %w", err)
	}
	l.Visit = &LinkVisit{
		ID: v.ID, Service: v.ServiceID, Provider: v.ProviderID, Location: v.LocationID, ProviderName: v.ProviderName, Place: v.LocationName,
		Address: v.PostalAddress, Status: policy.Status(v.Status), Version: v.Version, StartsAt: v.StartsAt.UTC(), EndsAt: v.EndsAt.UTC(),
		ActsUntil: v.StartsAt.UTC().Add(-time.Duration(settings.NoCancelMinutes) * time.Minute), CheckInFrom: v.StartsAt.UTC().Add(-checkInLead),
	}
	if v.LocationPhone != "" {
		l.Phone = v.LocationPhone
	}
	return nil
}

// stands refuses links whose visit was cancelled, or moved since they were made. The link that did it stays readable.
func (l *Link) stands() error {
	v := l.Visit
	switch v.Status {
	case policy.StatusCancelled, policy.StatusLateCancelled, policy.StatusDeclined, policy.StatusExpired:
		if l.Purpose == LinkCancel && l.used && l.version == v.Version {
			return nil
		}
		return policy.NewError(policy.Gone, "visit_cancelled", "This visit was cancelled. To book another one, please call the practice.")
	}
	if slices.Contains(linksOfTime, l.Purpose) && l.version != v.Version && (l.Purpose != LinkMove || !l.used) {
		return policy.NewError(policy.Gone, "visit_moved", "This visit was moved to another time. Please use the link in our newest message, or call the practice.")
	}
	return nil
}

// judgeVisit says what a link about a visit can do now.
func (l *Link) judgeVisit() (LinkState, string) {
	v := l.Visit
	before := v.Status == policy.StatusBooked || v.Status == policy.StatusConfirmed
	if !policy.Live(v.Status) && v.Status != policy.StatusCancelled && v.Status != policy.StatusLateCancelled {
		return LinkClosed, WhyOver
	}
	switch l.Purpose {
	case LinkConfirm:
		switch {
		case v.Status == policy.StatusRequested:
			return LinkClosed, WhyNotApproved
		case v.Status != policy.StatusBooked:
			return LinkDone, ""
		}
		return until(l.Now, v.StartsAt)
	case LinkCancel, LinkMove:
		switch {
		case !policy.Live(v.Status), l.Purpose == LinkMove && l.version != v.Version:
			return LinkDone, ""
		case !before && v.Status != policy.StatusRequested || !l.Now.Before(v.StartsAt):
			return LinkClosed, WhyBegun
		case !l.Now.Before(v.ActsUntil):
			return LinkClosed, WhyTooLate
		}
		return LinkOpen, ""
	case LinkCheckIn:
		switch {
		case v.Status == policy.StatusRequested:
			return LinkClosed, WhyNotApproved
		case !before:
			return LinkDone, ""
		case !l.Now.Before(v.EndsAt):
			return LinkClosed, WhyOver
		case l.Now.Before(v.CheckInFrom):
			return LinkClosed, WhyTooEarly
		}
		return LinkOpen, ""
	default: // intake
		if l.Packet.Open() == 0 {
			return LinkDone, ""
		}
		return until(l.Now, v.StartsAt)
	}
}

func until(now, end time.Time) (LinkState, string) {
	if now.Before(end) {
		return LinkOpen, ""
	}
	return LinkClosed, WhyBegun
}

// noLink turns what is not there into the one answer, and lets real trouble through.
func noLink(err error) error {
	if db.NoRows(err) {
		return errNoLink()
	}
	return err
}
