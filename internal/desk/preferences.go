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

// LinkPreferences opens the page on which a client chooses what is sent. It can be used until it expires.
const LinkPreferences = "preferences"

// preferencesLife is how long a client can choose by one link.
const preferencesLife = 365 * 24 * time.Hour

// Purposes that a client chooses between.
const (
	PurposeService = "service" // visits: confirmations, reminders, and their invoices
	PurposeRecall  = "recall"  // invitations back
)

// States of a preference.
const (
	PreferenceOn      = "on"
	PreferenceOff     = "off"
	PreferenceStopped = "stopped" // somebody stopped everything to the address, as STOP by text does
	PreferenceLocked  = "locked"  // stopped by others who share the address, or at the practice: this page may not lift it
)

// Preference is one kind of message on one channel that the client has an address for.
type Preference struct {
	Purpose string
	Channel string
	Hint    string // enough of the address to know it by
	State   string
}

// Choice is what a client wants of one preference. Was is the state that the page showed: what changed since is not overrun.
type Choice struct {
	Purpose string
	Channel string
	Was     string
	Want    bool
}

var errPreferencesChanged = policy.NewError(policy.Conflict, "preferences_changed",
	"This has changed meanwhile. Please look at it again and save.")

// SavePreferencesByLink writes what the client chose. Stopping binds all who share the address; starting again lifts only what
// this client may lift. What stands already is left alone, so saving twice is one change.
func (d *Desk) SavePreferencesByLink(ctx context.Context, token string, p Post, choices []Choice) (Acted, error) {
	return d.act(ctx, token, p, LinkPreferences, func(d *Desk, l Link, by policy.Principal) ([]policy.Subject, error) {
		var rung []policy.Subject
		err := d.command(ctx, by, func(tx *db.Tx) error {
			rung = nil
			before, err := standings(ctx, tx.Queries, l.Practice, l.Client)
			if err != nil {
				return err
			}
			clients := []policy.ID{l.Client}
			for _, s := range before {
				clients = append(clients, s.sharers...)
			}
			if err := tx.Lock(ctx, db.LockSet{Clients: clients}); err != nil {
				return err
			}
			locked, err := standings(ctx, tx.Queries, l.Practice, l.Client)
			if err != nil {
				return err
			}
			for _, s := range locked {
				more, err := d.choose(ctx, tx, by, s, choices)
				if err != nil {
					return err
				}
				rung = append(rung, more...)
			}
			return nil
		})
		return rung, err
	})
}

// standing is one address of a client with all that was said about it.
type standing struct {
	client           policy.ID
	channel, address string
	sharers          []policy.ID
	said             []db.OptOutsOpenRow
	refused          map[string]bool // by purpose, of this client alone
}

func standings(ctx context.Context, q *db.Queries, practice, client policy.ID) ([]standing, error) {
	reach, err := q.ReachOf(ctx, practice, client)
	if err != nil {
		return nil, fmt.Errorf("read how the client is reached: %w", err)
	}
	var out []standing
	for _, r := range reach {
		s := standing{
			client: client, channel: r.Channel, address: r.Address,
			refused: map[string]bool{PurposeService: r.RefusedService, PurposeRecall: r.RefusedRecall},
		}
		if s.said, err = q.OptOutsOpen(ctx, db.OptOutsOpenParams{PracticeID: practice, Channel: r.Channel, Address: r.Address}); err != nil {
			return nil, fmt.Errorf("read opt-outs: %w", err)
		}
		rows, err := q.ClientsByAddress(ctx, db.ClientsByAddressParams{PracticeID: practice, Address: r.Address, PageSize: maxSharers})
		if err != nil {
			return nil, fmt.Errorf("find who shares an address: %w", err)
		}
		for _, row := range rows {
			s.sharers = append(s.sharers, row.ID)
		}
		out = append(out, s)
	}
	return out, nil
}

// source names the page and who used it, so that at a shared address each takes back only their own.
func (s standing) source() string { return "preferences/" + s.client.String() }

// state of a purpose. At a shared address only this client's own choice is theirs to lift; a wish against advertising is
// lifted by the practice alone.
func (s standing) state(purpose string) string {
	state := PreferenceOn
	if s.refused[purpose] {
		state = PreferenceOff
	}
	for _, o := range s.said {
		marketing := purpose == PurposeRecall && o.Purpose == "marketing"
		switch {
		case o.Purpose != purpose && o.Purpose != "all" && !marketing:
		case marketing, len(s.sharers) > 1 && o.Source != s.source():
			return PreferenceLocked
		case o.Purpose == "all":
			state = PreferenceStopped
		case state == PreferenceOn:
			state = PreferenceOff
		}
	}
	return state
}

func (s standing) has(purpose string) bool {
	return slices.ContainsFunc(s.said, func(o db.OptOutsOpenRow) bool { return o.Purpose == purpose })
}

// choose brings one address to what was chosen.
func (d *Desk) choose(ctx context.Context, tx *db.Tx, by policy.Principal, s standing, choices []Choice) ([]policy.Subject, error) {
	var start, stop []string
	for _, c := range choices {
		now := s.state(c.Purpose)
		switch {
		case c.Channel != s.channel, c.Want == (c.Was == PreferenceOn), c.Want == (now == PreferenceOn):
		case !c.Want && now == PreferenceOn:
			stop = append(stop, c.Purpose)
		case c.Want && now != c.Was:
			return nil, errPreferencesChanged
		case c.Want && now != PreferenceLocked:
			start = append(start, c.Purpose)
		}
	}
	if len(start) > 0 && s.has("all") { // what was not chosen stays stopped, by itself
		for _, purpose := range []string{PurposeService, PurposeRecall} {
			if !slices.Contains(start, purpose) && !s.has(purpose) {
				stop = append(stop, purpose)
			}
		}
		start = append(start, "all")
	}
	clk, err := readClock(ctx, tx.Queries, tx.Practice)
	if err != nil {
		return nil, err
	}
	for _, purpose := range slices.Concat(start, stop) {
		if purpose == "all" || (purpose == PurposeService && !slices.Contains(start, purpose)) {
			continue // a no about visits belongs to the address, so that START from it takes it back; a no to invitations is the client's own
		}
		if err := tx.ConsentInsert(ctx, db.ConsentInsertParams{
			PracticeID: tx.Practice, ID: db.NewID(), ClientID: s.client, Channel: s.channel, Purpose: purpose,
			Granted: slices.Contains(start, purpose), Source: "preferences_page", At: clk.now,
		}); err != nil {
			return nil, fmt.Errorf("record the choice: %w", err)
		}
	}
	var rung []policy.Subject
	for _, purpose := range stop {
		more, err := d.stopAddress(ctx, tx, by, s.about(purpose), s.sharers)
		if err != nil {
			return nil, err
		}
		rung = append(rung, more...)
	}
	for _, purpose := range start {
		if _, err := tx.OptOutLiftOne(ctx, db.OptOutLiftOneParams{
			PracticeID: tx.Practice, Channel: s.channel, Address: s.address, Purpose: purpose, At: &clk.now,
		}); err != nil {
			return nil, fmt.Errorf("lift the opt-out: %w", err)
		}
		more, err := d.recordReach(ctx, tx, by, policy.OptedIn, policy.ID{}, s.about(purpose), s.sharers)
		if err != nil {
			return nil, err
		}
		rung = append(rung, more...)
	}
	return rung, nil
}

func (s standing) about(purpose string) optOutInput {
	return optOutInput{channel: s.channel, address: s.address, purpose: purpose, source: s.source()}
}

// openPreferences shows what is sent now.
func (l *Link) openPreferences(ctx context.Context, q *db.Queries) error {
	all, err := standings(ctx, q, l.Practice, l.Client)
	if err != nil {
		return err
	}
	for _, purpose := range []string{PurposeService, PurposeRecall} {
		for _, s := range all {
			l.Preferences = append(l.Preferences, Preference{Purpose: purpose, Channel: s.channel, Hint: addressHint(s.channel, s.address), State: s.state(purpose)})
		}
	}
	if l.State = LinkOpen; !l.Now.Before(l.expires) {
		l.State, l.Why = LinkClosed, WhyExpired
	}
	return nil
}

// addressHint is what of an address its owner knows it by, and nobody else.
func addressHint(channel, address string) string {
	if channel == policy.ChannelSMS {
		return "••• " + address[max(0, len(address)-4):]
	}
	name, domain, _ := strings.Cut(address, "@")
	first := []rune(name + "•")[:1]
	return string(first) + "•••@" + domain
}
