package proof

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kept-practice/kept/internal/policy"
)

// letter is one message of ours with the effect that sent it.
type letter struct {
	ID, Practice, SubjectID policy.ID
	Channel, Kind, Key      string
	State                   string // of its effect
}

func (l letter) effect() string { return l.Kind + "/" + l.SubjectID.String() + " " + l.Key }

// messages compares what we say we sent with what the gateways took: each effect at most once, none that we call done is
// missing, none that we call not done went out, and nothing of one practice carries another's.
func (j *judge) messages(ctx context.Context) error {
	if err := j.promised(ctx); err != nil {
		return fmt.Errorf("INV4, what every journey owes: %w", err)
	}
	if err := j.rule(ctx, openOutcomes); err != nil {
		return fmt.Errorf("INV4, %s: %w", openOutcomes.what, err)
	}
	if !j.ledger.read {
		return nil
	}
	rows, err := j.tx.Query(ctx, `
		select m.id, m.practice_id, m.subject_id, m.channel, m.subject_kind, m.effect_key, coalesce(e.state, 'missing')
		from messages m
		left join effects e on e.practice_id = m.practice_id and e.subject_kind = m.subject_kind and e.subject_id = m.subject_id and e.key = m.effect_key
		where $1::uuid[] is null or m.practice_id = any($1)
		order by m.id`, j.books.Practices)
	if err != nil {
		return fmt.Errorf("INV4, read the messages: %w", err)
	}
	letters, err := pgx.CollectRows(rows, pgx.RowToStructByPos[letter])
	if err != nil {
		return fmt.Errorf("INV4, read the messages: %w", err)
	}
	j.compareMessages(letters)
	return nil
}

func (j *judge) compareMessages(letters []letter) {
	byID := make(map[policy.ID]letter, len(letters))
	for _, l := range letters {
		byID[l.ID] = l
	}
	took := map[string]int{}
	var stray, mixed []string
	sent := 0
	for _, m := range j.ledger.sent {
		l, known := byID[m.Ref]
		if !known && len(j.books.Practices) > 0 && (m.Practice.IsZero() || !j.ours(m.Practice)) {
			continue
		}
		sent++
		switch {
		case !known:
			stray = append(stray, m.Channel+" "+m.ID)
		case !m.Practice.IsZero() && m.Practice != l.Practice:
			mixed = append(mixed, m.Channel+" "+m.ID)
		}
		took[l.effect()]++
	}
	effects := map[string]string{}
	var twice, missing, denied []string
	for _, l := range letters {
		effects[l.effect()] = l.State
	}
	for _, l := range letters {
		effect, n := l.effect(), took[l.effect()]
		if _, open := effects[effect]; !open {
			continue
		}
		delete(effects, effect)
		switch {
		case n > 1:
			twice = append(twice, fmt.Sprintf("%s went out %d times", effect, n))
		case n == 0 && l.State == string(policy.EffectAccepted):
			missing = append(missing, effect)
		case n > 0 && (l.State == string(policy.EffectFailed) || l.State == string(policy.EffectRefused)):
			denied = append(denied, effect+" is "+l.State)
		}
	}
	j.note("INV4", "every message went out at most once for its version, rule and channel", sent, twice)
	j.note("INV4", "every message that the gateway took is one of ours", sent, stray)
	j.note("INV4", "every message that we call sent was taken by the gateway", len(letters), missing)
	j.note("INV4", "no message that we call refused or failed was taken by the gateway", len(letters), denied)
	j.note("INV8", "no message of one practice carries another's id", sent, mixed)
}

// openOutcomes: an outcome that nobody knows has, or had, a person who settles it.
var openOutcomes = rule{
	"INV4", "every unknown outcome of a finished subject was shown to a person",
	`select count(*) from effects where state = 'unknown' and ($1::uuid[] is null or practice_id = any($1))`,
	`select format('%s/%s %s', e.subject_kind, e.subject_id, e.key) from effects e
	join subjects s on s.practice_id = e.practice_id and s.kind = e.subject_kind and s.id = e.subject_id
	where e.state = 'unknown' and s.status = 'done' and ($1::uuid[] is null or e.practice_id = any($1))
		and not exists (select from tasks t where t.practice_id = e.practice_id and t.subject_kind = e.subject_kind
			and t.subject_id = e.subject_id and t.step_key = e.key)
		and not exists (select from overrides o where o.practice_id = e.practice_id and o.subject_kind = e.subject_kind
			and o.subject_id = e.subject_id and o.step_key = e.key and o.verb in ('skip', 'send_again'))
	order by 1`,
}

// promised: a finished journey whose visit took place or was missed has, for its confirmation, for every reminder of its
// cadence that fell due before its end, and for its bill, an effect: sent, or with the recorded reason why not.
func (j *judge) promised(ctx context.Context) error {
	rows, err := j.tx.Query(ctx, `
		select a.id, a.version, a.completions, a.status, a.zone, a.starts_at, a.changed_at, a.status_at, v.rules,
			coalesce((select array_agg(e.key) from effects e where e.practice_id = a.practice_id and e.subject_kind = 'journey'
				and e.subject_id = a.id and e.final), '{}'),
			exists (select from invoices i where i.practice_id = a.practice_id and i.appointment_id = a.id and i.completion = a.completions
				and i.status in ('issued', 'paid'))
		from appointments a
		join subjects s on s.practice_id = a.practice_id and s.kind = 'journey' and s.id = a.id and s.status = 'done'
		join cadence_versions v on v.practice_id = a.practice_id and v.id = a.cadence_version_id
		where a.status in ('completed', 'no_show') and ($1::uuid[] is null or a.practice_id = any($1))
		order by a.id`, j.books.Practices)
	if err != nil {
		return err
	}
	var (
		n   int
		bad []string
	)
	visits, err := pgx.CollectRows(rows, pgx.RowToStructByPos[finishedVisit])
	if err != nil {
		return err
	}
	for _, v := range visits {
		owed, err := v.owed()
		if err != nil {
			return err
		}
		for _, o := range owed {
			n++
			if !v.has(o) {
				bad = append(bad, fmt.Sprintf("appointment %s: %s…%s", v.ID, o.prefix, o.suffix))
			}
		}
	}
	j.note("INV4", "every required step of a finished journey was done or has a recorded reason", n, bad)
	return nil
}

type finishedVisit struct {
	ID                            policy.ID
	Version, Completions          int
	Status, Zone                  string
	StartsAt, ChangedAt, StatusAt time.Time
	Rules                         []byte
	Keys                          []string
	Billed                        bool
}

// owed is a step that must have left an effect: its key but for the channel.
type owed struct{ prefix, suffix string }

func (v finishedVisit) owed() ([]owed, error) {
	zone, err := policy.LoadZone(v.Zone)
	if err != nil {
		return nil, err
	}
	rules, err := policy.ParseRules(policy.KindJourney, v.Rules)
	if err != nil {
		return nil, fmt.Errorf("cadence of appointment %s: %w", v.ID, err)
	}
	version := fmt.Sprintf("/v%d", v.Version)
	var list []owed
	if v.ChangedAt.Add(graceBound).Before(v.StatusAt) {
		list = append(list, owed{"confirmation/booked/", version})
	}
	for _, r := range rules {
		if at := r.When.Instant(v.StartsAt, zone); at.Add(quietBound).Before(v.StatusAt) {
			list = append(list, owed{"reminder/" + r.ID + "/", version})
		}
	}
	if v.Status == string(policy.StatusCompleted) && v.Billed {
		list = append(list, owed{"invoice/issued/", fmt.Sprintf("/c%d", v.Completions)})
	}
	return list, nil
}

// A step that quiet hours or the grace may have put off until after the visit's end is not required: the longest either
// can take.
const (
	quietBound = 24 * time.Hour
	graceBound = 26 * time.Hour
)

func (v finishedVisit) has(o owed) bool {
	for _, k := range v.Keys {
		if i := strings.Index(k, "/again"); i >= 0 {
			k = k[:i]
		}
		if strings.HasPrefix(k, o.prefix) && strings.HasSuffix(k, o.suffix) {
			return true
		}
	}
	return false
}
