package proof

import (
	"context"
	"encoding/json"
	"fmt"
	"time"

	"github.com/jackc/pgx/v5"

	"github.com/kept-practice/kept/internal/policy"
)

// sentAt is the relation (message, at) of every instant at which something may have gone out: claims as they stand, and what
// the gateways took, less the longest time from the beginning of a claim to the end of its call.
const sentAt = `sent as (
	select e.practice_id, e.subject_kind, e.subject_id, e.key, e.channel, e.client_id, m.address, e.first_claimed_at as at
	from effects e
	join messages m on m.practice_id = e.practice_id and m.subject_kind = e.subject_kind and m.subject_id = e.subject_id and m.effect_key = e.key
	where e.channel in ('mail', 'sms') and e.state <> 'refused' and ($1::uuid[] is null or e.practice_id = any($1))
	union
	select m.practice_id, m.subject_kind, m.subject_id, m.effect_key, m.channel, m.client_id, m.address, taken.at - interval '10 seconds'
	from unnest($2::uuid[], $3::timestamptz[]) as taken (message, at) join messages m on m.id = taken.message
	where $1::uuid[] is null or m.practice_id = any($1))`

// tooLateQueries: nothing was claimed after the commit of what forbade it, and nothing went out later than a call takes.
var tooLateQueries = []struct{ what, query string }{
	{"no message ahead of a visit was sent after it was cancelled", `with ` + sentAt + `
		select format('%s/%s %s', s.subject_kind, s.subject_id, s.key) from sent s
		where s.subject_kind = 'journey' and split_part(s.key, '/', 1) in ('confirmation', 'reminder') and (
			select j.verb from journal j where j.practice_id = s.practice_id and j.object_kind = 'appointment' and j.object_id = s.subject_id
				and j.verb in ('appointment_booked', 'appointment_moved', 'appointment_undone', 'appointment_cancelled')
				and j.recorded_at < s.at order by j.recorded_at desc limit 1) = 'appointment_cancelled'
		order by 1`},
	{"no message was sent to an address that had opted out", `with ` + sentAt + `
		select format('%s/%s %s', s.subject_kind, s.subject_id, s.key) from sent s
		join opt_outs o on o.practice_id = s.practice_id and o.channel = s.channel and o.address = s.address
			and (o.purpose = 'all' or (o.purpose = 'recall' and s.subject_kind = 'recall')
				or (o.purpose = 'service' and s.subject_kind <> 'recall'))
		join journal j on j.practice_id = o.practice_id and j.object_kind = 'opt_out' and j.object_id = o.id and j.verb = 'client_opted_out'
		where j.recorded_at < s.at and not exists (
			select from journal l where l.practice_id = s.practice_id and l.verb = 'client_opted_in' and l.after ->> 'channel' = o.channel and l.after ->> 'purpose' in ('all', o.purpose)
				and l.after -> 'clients' ? s.client_id::text and l.recorded_at > j.recorded_at and l.recorded_at < s.at)
		order by 1`},
	{"no invitation was sent to a client who had refused them", `with ` + sentAt + `
		select format('%s/%s %s', s.subject_kind, s.subject_id, s.key) from sent s
		join journal j on j.practice_id = s.practice_id and j.verb = 'client_opted_out' and j.object_kind = 'client' and j.object_id = s.client_id
			and j.after -> 'channels' ? s.channel
		where s.subject_kind = 'recall' and j.recorded_at < s.at and not exists (
			select from consents c where c.practice_id = s.practice_id and c.client_id = s.client_id and c.channel = s.channel
				and c.purpose = 'recall' and c.granted and c.recorded_at > j.recorded_at and c.recorded_at < s.at)
		order by 1`},
}

func (j *judge) tooLate(ctx context.Context) error {
	ids, at := []policy.ID{}, []time.Time{}
	for _, m := range j.ledger.sent {
		if !m.Ref.IsZero() {
			ids, at = append(ids, m.Ref), append(at, m.At)
		}
	}
	var n int
	if err := j.tx.QueryRow(ctx, `with `+sentAt+` select count(*) from sent`, j.books.Practices, ids, at).Scan(&n); err != nil {
		return fmt.Errorf("INV5, count what was sent: %w", err)
	}
	for _, q := range tooLateQueries {
		bad, err := j.lines(ctx, q.query, j.books.Practices, ids, at)
		if err != nil {
			return fmt.Errorf("INV5, %s: %w", q.what, err)
		}
		j.note("INV5", q.what, n, bad)
	}
	return nil
}

// judged is one claim of a message with what its quiet hours turn on.
type judged struct {
	Practice   policy.ID
	Effect     string
	ClaimedFor time.Time
	Zone       string
	Location   *policy.ID
	Service    *policy.ID
	Provider   *policy.ID
}

// quietHours: no message was judged to go inside the quiet hours of its client's zone, by the practice's clock. Answers to
// what the client did in the ten minutes before, and what staff said to send now, are exempt.
func (j *judge) quietHours(ctx context.Context) error {
	settings, err := j.settings(ctx)
	if err != nil {
		return fmt.Errorf("INV6, read the settings: %w", err)
	}
	rows, err := j.tx.Query(ctx, `
		select e.practice_id, format('%s/%s %s', e.subject_kind, e.subject_id, e.key), e.claimed_for,
			coalesce(c.zone, a.zone, l.zone, p.zone), coalesce(a.location_id, i.location_id), coalesce(a.service_id, i.service_id, r.service_id),
			coalesce(a.provider_id, i.provider_id)
		from effects e
		join practices p on p.id = e.practice_id
		left join clients c on c.practice_id = e.practice_id and c.id = e.client_id
		left join appointments a on a.practice_id = e.practice_id and a.id = e.subject_id and e.subject_kind = 'journey'
		left join invoices i on i.practice_id = e.practice_id and i.id = e.subject_id and e.subject_kind = 'collection'
		left join locations l on l.practice_id = i.practice_id and l.id = i.location_id
		left join recalls r on r.practice_id = e.practice_id and r.id = e.subject_id and e.subject_kind = 'recall'
		where e.channel in ('mail', 'sms') and e.state <> 'refused' and e.exempt = '' and ($1::uuid[] is null or e.practice_id = any($1))
			and not exists (select from overrides o where o.practice_id = e.practice_id and o.subject_kind = e.subject_kind and o.subject_id = e.subject_id
				and o.verb in ('fire_now', 'retry', 'send_again') and o.at <= e.claimed_for
				and (o.step_key = e.key or split_part(e.key, '/again', 1) = split_part(o.step_key, '/again', 1)))
			and not exists (select from journal j where j.practice_id = e.practice_id and j.subject_kind = e.subject_kind and j.subject_id = e.subject_id
				and j.actor_kind = 'client' and j.at <= e.claimed_for and j.at >= e.claimed_for - interval '10 minutes')
		order by 2`, j.books.Practices)
	if err != nil {
		return fmt.Errorf("INV6, read the claims: %w", err)
	}
	claims, err := pgx.CollectRows(rows, pgx.RowToStructByPos[judged])
	if err != nil {
		return fmt.Errorf("INV6, read the claims: %w", err)
	}
	var bad []string
	for _, c := range claims {
		zone, err := policy.LoadZone(c.Zone)
		if err != nil {
			return fmt.Errorf("INV6, %s: %w", c.Effect, err)
		}
		effective, err := settings.at(c)
		if err != nil {
			return fmt.Errorf("INV6, %s: %w", c.Effect, err)
		}
		if effective.QuietHours.Quiet(c.ClaimedFor, zone) {
			bad = append(bad, c.Effect+" at "+c.ClaimedFor.In(zone).Format("15:04 MST"))
		}
	}
	j.note("INV6", "no message but answers went out in quiet hours", len(claims), bad)
	return nil
}

type storedSetting struct {
	Practice, Scope policy.ID
	Level, Key      string
	Value           json.RawMessage
	Locked          bool
}

type storedSettings []storedSetting

func (j *judge) settings(ctx context.Context) (storedSettings, error) {
	rows, err := j.tx.Query(ctx, `select practice_id, scope_id, level, key, value, locked from settings
		where $1::uuid[] is null or practice_id = any($1)`, j.books.Practices)
	if err != nil {
		return nil, err
	}
	return pgx.CollectRows(rows, pgx.RowToStructByPos[storedSetting])
}

// at resolves the settings for one claim.
func (s storedSettings) at(c judged) (policy.Settings, error) {
	var values []policy.SettingValue
	is := func(id *policy.ID, scope policy.ID) bool { return id != nil && *id == scope }
	for _, v := range s {
		level := policy.Level(v.Level)
		speaks := level == policy.LevelPractice || (level == policy.LevelLocation && is(c.Location, v.Scope)) ||
			(level == policy.LevelService && is(c.Service, v.Scope)) || (level == policy.LevelProvider && is(c.Provider, v.Scope))
		if v.Practice == c.Practice && speaks {
			values = append(values, policy.SettingValue{Key: v.Key, Level: level, Value: v.Value, Locked: v.Locked})
		}
	}
	return policy.ResolveSettings(values)
}
