package activities_test

import (
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
	"github.com/kept-practice/kept/internal/proof"
)

// busy is a house in which every kind of subject is open: a visit ahead with papers, a visit that was just completed, an
// unpaid invoice in collection with its charge ahead, a recall under way. Every plan has seen everything.
type busy struct {
	*house
	ahead, done desk.Booked
	unpaid      policy.Subject // collection
	recall      policy.Subject
	packet      policy.ID
	booked      desk.Booked // one more visit, of a command's own
	before      map[policy.Subject]outlook
	planned     policy.Subject // a plan that is the command itself sees its own subject
}

func newBusy(t *testing.T) *busy {
	t.Helper()
	h := newHouse(t)
	b := &busy{house: h}
	first := h.book("2027-03-15", 2)
	h.until(first.Journey, first.Appointment.StartsAt.UTC().Format(time.RFC3339))
	h.status(first.Appointment.ID, policy.VerbComplete, "")
	h.until(first.Journey, "2027-03-16T09:00:00Z")
	h.setClock("2027-09-15T08:00:00Z")
	h.sweep()
	h.exec(`update invoices set follow_up_started_at = null, follow_up_at = null`) // the first invoice is not part of the scene
	h.exec(`delete from outbox where subject_kind = 'collection'`)
	h.exec(`delete from subjects where kind = 'collection'`)
	b.recall = h.openSubject(policy.KindRecall)
	h.until(b.recall, "2027-09-15T10:00:00Z")
	b.done = h.book("2027-09-20", 1)
	b.ahead = h.book("2027-10-11", 0)
	h.until(b.done.Journey, b.done.Appointment.StartsAt.UTC().Format(time.RFC3339))
	h.status(b.done.Appointment.ID, policy.VerbArrive, "")
	h.status(b.done.Appointment.ID, policy.VerbComplete, "")
	h.until(b.done.Journey, "2027-09-20T20:00:00Z")
	h.setClock(h.invoice().FollowUpAt.Format(time.RFC3339Nano))
	h.sweep()
	b.unpaid = h.collection()
	for _, s := range b.subjects() {
		h.settle(s)
	}
	require.NoError(t, h.super.QueryRow(t.Context(), `select id from packets where appointment_id = $1`, b.ahead.Appointment.ID).Scan(&b.packet))
	return b
}

// openSubject is the one open subject of a kind.
func (h *house) openSubject(kind string) policy.Subject {
	h.t.Helper()
	s := policy.Subject{Practice: h.practice.ID, Kind: kind}
	require.NoError(h.t, h.super.QueryRow(h.t.Context(), `select id from subjects where kind = $1 and status = 'open'`, kind).Scan(&s.ID))
	return s
}

func (h *house) subjects() []policy.Subject {
	h.t.Helper()
	rows, err := h.super.Query(h.t.Context(), `select practice_id, kind, id from subjects order by kind, id`)
	require.NoError(h.t, err)
	all, err := pgx.CollectRows(rows, pgx.RowToStructByPos[policy.Subject])
	require.NoError(h.t, err)
	return all
}

// outlooks is what the planner says of every subject at this instant.
func (h *house) outlooks() map[policy.Subject]outlook {
	h.t.Helper()
	all := map[policy.Subject]outlook{}
	for _, s := range h.subjects() {
		var done bool
		require.NoError(h.t, h.super.QueryRow(h.t.Context(), `select status = 'done' from subjects where kind = $1 and id = $2`, s.Kind, s.ID).Scan(&done))
		look, err := desk.Look(h.t.Context(), h.store.In(h.practice.ID), s)
		require.NoError(h.t, err)
		raw, err := json.MarshalIndent(look.Outlook, "", " ")
		require.NoError(h.t, err)
		all[s] = outlook{closed: done && look.Outlook.Done, text: string(raw)}
	}
	return all
}

type outlook struct {
	closed bool // it was done, and nothing reopens it
	text   string
}

func (h *house) rung(s policy.Subject) bool {
	h.t.Helper()
	return h.scalar(`select count(*) from outbox where subject_kind = $1 and subject_id = $2`, s.Kind, s.ID) > 0
}

// token finds the newest link of a purpose in the mails that went out.
func (b *busy) token(purpose string) string {
	b.t.Helper()
	for _, m := range slices.Backward(b.post.mails) {
		for _, found := range regexp.MustCompile(`/l/([A-Za-z0-9_-]+)`).FindAllStringSubmatch(m.Text, -1) {
			l, err := b.desk.OpenLink(b.t.Context(), found[1])
			if err == nil && l.Purpose == purpose {
				return found[1]
			}
		}
	}
	b.t.Fatalf("no mail carries a link to %s", purpose)
	return ""
}

func (b *busy) free(service int, day string) desk.FreeTime {
	b.t.Helper()
	free, err := b.desk.FreeTimes(b.t.Context(), b.practice.ID, desk.FreeInput{
		Service: b.practice.Services[service], Location: b.practice.Locations[0], From: policy.MustLocalDate(day), Days: 7,
	})
	require.NoError(b.t, err)
	require.NotEmpty(b.t, free)
	return free[0]
}

func nonce() desk.Post {
	id := db.NewID()
	return desk.Post{Nonce: append(id[:], id[:]...)}
}

// neverRung are the verbs of the table that no command can make ring, with the reason.
var neverRung = map[string]string{
	policy.RecallMoved: "a recall's day is changed only while it sleeps in its table, when it has no run",
}

func TestRings_EveryCommandThatChangesAPlan_LeavesAnOutboxRow(t *testing.T) {
	prepared := newBusy(t)
	require.NoError(t, prepared.super.Close(t.Context()))
	prepared.store.Close()
	rang := map[string]bool{}
	for _, c := range ringCommands() {
		t.Run(c.name, func(t *testing.T) {
			b, copied := *prepared, *prepared.house
			b.house = &copied
			b.post = &post{mails: slices.Clone(prepared.post.mails), intents: map[string]stripe.Payment{}, pages: map[string]stripe.Checkout{}}
			b.open(t, proof.CopyDatabase(t, prepared.url))
			if c.prepare != nil {
				require.NoError(t, c.prepare(t.Context(), &b))
				for _, s := range b.subjects() {
					b.settle(s)
				}
			}
			require.Equal(t, 0, b.scalar(`select count(*) from outbox`))
			mark := b.scalar(`select max(seq) from journal`)
			b.before = b.outlooks()
			require.NoError(t, c.do(t.Context(), &b))
			for s, now := range b.outlooks() {
				if was := b.before[s]; was.text != now.text && !now.closed && s != b.planned {
					require.True(t, b.rung(s), "%s plans something else now and was not rung:\nbefore %s\nnow %s", s.WorkflowID(), was.text, now.text)
				}
			}
			for _, verb := range b.ringing(mark) {
				rang[verb] = true
			}
		})
	}
	for _, verb := range policy.RingingVerbs() {
		if reason, known := neverRung[verb]; known {
			require.False(t, rang[verb], "%s rings after all: %s", verb, reason)
			continue
		}
		require.True(t, rang[verb], "no command of the table rings by %s", verb)
	}
}

// ringing are the verbs since an entry that left an outbox row.
func (h *house) ringing(since int) []string {
	h.t.Helper()
	rows, err := h.super.Query(h.t.Context(), `select distinct j.verb from journal j join outbox o on o.label = j.verb || ' ' || j.id::text where j.seq > $1`, since)
	require.NoError(h.t, err)
	verbs, err := pgx.CollectRows(rows, pgx.RowTo[string])
	require.NoError(h.t, err)
	return verbs
}
