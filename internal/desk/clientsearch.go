package desk

import (
	"cmp"
	"context"
	"fmt"
	"slices"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

// SearchInput is what the desk knows of a caller: anything of a name, a phone, a mail address, a birthday; at least one.
type SearchInput struct {
	Name       string
	Phone      string
	Mail       string
	BirthdayOn *policy.LocalDate
	OwnStaff   *policy.ID // narrows to the clients of that person's visits
	Limit      int        // 1 to 50; 0 is 20
}

// Found is one hit. Score is higher the better everything that was said fits; Matched names what did.
type Found struct {
	ID         policy.ID
	GivenName  string
	FamilyName string
	BirthdayOn *policy.LocalDate
	Status     string
	Score      float64
	Matched    []string
}

// Scores of what fits exactly; a name scores by its likeness, at most 1.
const (
	scorePhone    = 1.5
	scoreMail     = 1.5
	scoreBirthday = 1.0
)

// candidates is how many hits of one kind are weighed against those of another.
const candidates = 200

// SearchClients finds clients by whatever is given, best first. Each thing said adds to the score of those it fits, so a name
// and a birthday together put the right Maria on top. Erased clients are not found.
func (d *Desk) SearchClients(ctx context.Context, practice policy.ID, in SearchInput) ([]Found, error) {
	var hits *searchHits
	err := d.store.InPractice(ctx, practice, func(tx *db.Tx) error {
		p, err := tx.PracticeByID(ctx, practice)
		if err != nil {
			return notFound(err, "practice")
		}
		if err := in.clean(p.Country); err != nil {
			return err
		}
		hits = &searchHits{byID: map[policy.ID]*Found{}}
		if err := in.collect(ctx, tx, hits); err != nil {
			return err
		}
		return in.narrow(ctx, tx, hits)
	})
	if err != nil {
		return nil, err
	}
	return hits.ranked(in.Limit), nil
}

func (in *SearchInput) clean(country string) (err error) {
	if in.Name == "" && in.Phone == "" && in.Mail == "" && in.BirthdayOn == nil {
		return policy.InvalidField("", "nothing_to_find", "Say a name, a phone number, a mail address or a birthday.")
	}
	if in.Limit == 0 {
		in.Limit = 20
	}
	if in.Name, err = lineOrNone("/name", in.Name, maxName); err != nil {
		return err
	}
	if in.Mail != "" {
		if in.Mail, err = mailbox("/mail", in.Mail); err != nil {
			return err
		}
	}
	if in.Phone, err = phoneOrNone("/phone", in.Phone, country); err != nil {
		return err
	}
	if in.BirthdayOn != nil && !in.BirthdayOn.Valid() {
		return policy.InvalidField("/birthday_on", "invalid_date", "Write the date as YYYY-MM-DD, naming a day that exists.")
	}
	return within("/limit", in.Limit, 1, 50)
}

func (in *SearchInput) collect(ctx context.Context, tx *db.Tx, hits *searchHits) error {
	if in.Name != "" {
		rows, err := tx.ClientSearch(ctx, db.ClientSearchParams{PracticeID: tx.Practice, Query: in.Name, Most: candidates})
		if err != nil {
			return fmt.Errorf("search by name: %w", err)
		}
		for _, r := range rows {
			hits.add(Found{ID: r.ID, GivenName: r.GivenName, FamilyName: r.FamilyName, BirthdayOn: r.BirthdayOn, Status: r.Status}, "name", nameScore(r.Likeness, r.Closeness))
		}
	}
	for _, by := range []struct {
		what, address string
		score         float64
	}{{"phone", in.Phone, scorePhone}, {"mail", addressKey(policy.ChannelMail, in.Mail), scoreMail}} {
		if by.address == "" {
			continue
		}
		rows, err := tx.ClientsByAddress(ctx, db.ClientsByAddressParams{PracticeID: tx.Practice, Address: by.address, PageSize: candidates})
		if err != nil {
			return fmt.Errorf("search by %s: %w", by.what, err)
		}
		for _, r := range rows {
			hits.add(Found{ID: r.ID, GivenName: r.GivenName, FamilyName: r.FamilyName, BirthdayOn: r.BirthdayOn, Status: r.Status}, by.what, by.score)
		}
	}
	if in.BirthdayOn == nil {
		return in.likeness(ctx, tx, hits)
	}
	rows, err := tx.ClientsByBirthday(ctx, db.ClientsByBirthdayParams{PracticeID: tx.Practice, BirthdayOn: in.BirthdayOn, PageSize: candidates})
	if err != nil {
		return fmt.Errorf("search by birthday: %w", err)
	}
	for _, r := range rows {
		hits.add(Found{ID: r.ID, GivenName: r.GivenName, FamilyName: r.FamilyName, BirthdayOn: r.BirthdayOn, Status: r.Status}, "birthday", scoreBirthday)
	}
	return in.likeness(ctx, tx, hits)
}

// likeness adds the name's score to those who were found by something else only: of many with one name the search by name
// gives the first.
func (in *SearchInput) likeness(ctx context.Context, tx *db.Tx, hits *searchHits) error {
	var ids []policy.ID
	for id, f := range hits.byID {
		if !slices.Contains(f.Matched, "name") {
			ids = append(ids, id)
		}
	}
	if in.Name == "" || len(ids) == 0 {
		return nil
	}
	rows, err := tx.ClientLikeness(ctx, db.ClientLikenessParams{PracticeID: tx.Practice, Query: in.Name, Ids: ids})
	if err != nil {
		return fmt.Errorf("weigh by name: %w", err)
	}
	for _, r := range rows {
		if r.Likeness >= leastLikeness {
			hits.add(Found{ID: r.ID}, "name", nameScore(r.Likeness, r.Closeness))
		}
	}
	return nil
}

// leastLikeness is below which a name counts as another one.
const leastLikeness = 0.4

// nameScore: how much of what was typed is in the name, and a little for how much of the name was typed.
func nameScore(likeness, closeness float64) float64 { return 0.8*likeness + 0.2*closeness }

// narrow leaves out whom the caller may not see.
func (in *SearchInput) narrow(ctx context.Context, tx *db.Tx, hits *searchHits) error {
	if in.OwnStaff == nil || len(hits.byID) == 0 {
		return nil
	}
	ids := make([]policy.ID, 0, len(hits.byID))
	for id := range hits.byID {
		ids = append(ids, id)
	}
	rows, err := tx.ClientsFound(ctx, db.ClientsFoundParams{PracticeID: tx.Practice, Ids: ids, OwnStaff: in.OwnStaff})
	if err != nil {
		return fmt.Errorf("narrow to own clients: %w", err)
	}
	own := map[policy.ID]bool{}
	for _, r := range rows {
		own[r.ID] = true
	}
	for id := range hits.byID {
		if !own[id] {
			delete(hits.byID, id)
		}
	}
	return nil
}

type searchHits struct {
	byID map[policy.ID]*Found
}

func (h *searchHits) add(f Found, what string, score float64) {
	hit := h.byID[f.ID]
	if hit == nil {
		hit = &f
		h.byID[f.ID] = hit
	}
	hit.Score += score
	hit.Matched = append(hit.Matched, what)
}

// ranked: best first; of equal hits active clients, then the order of names.
func (h *searchHits) ranked(limit int) []Found {
	out := make([]Found, 0, len(h.byID))
	for _, f := range h.byID {
		out = append(out, *f)
	}
	active := func(f Found) int {
		if f.Status == ClientActive {
			return 0
		}
		return 1
	}
	slices.SortFunc(out, func(a, b Found) int {
		return cmp.Or(
			cmp.Compare(b.Score, a.Score), cmp.Compare(active(a), active(b)), cmp.Compare(a.FamilyName, b.FamilyName),
			cmp.Compare(a.GivenName, b.GivenName), slices.Compare(a.ID[:], b.ID[:]),
		)
	})
	return out[:min(limit, len(out))]
}
