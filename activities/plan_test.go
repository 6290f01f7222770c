package activities_test

import (
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/policy"
)

func TestPlan_TwentyAtOnce_DoTheirStepsOnce(t *testing.T) {
	h := newHouse(t)
	booked := h.book("2027-03-15", 2)
	h.until(booked.Journey, booked.Appointment.StartsAt.UTC().Format(time.RFC3339))
	h.status(booked.Appointment.ID, policy.VerbComplete, "")
	h.setClock(h.now().Add(12 * time.Hour).Format(time.RFC3339))
	var (
		all    sync.WaitGroup
		failed = make(chan error, 20)
	)
	for range 20 {
		all.Go(func() {
			_, err := h.acts.Plan(t.Context(), booked.Journey)
			failed <- err
		})
	}
	all.Wait()
	close(failed)
	for err := range failed {
		require.NoError(t, err)
	}
	require.Equal(t, 1, h.scalar(`select count(*) from invoices`))
	require.Equal(t, 1, h.scalar(`select count(*) from invoices where number = 1`))
	require.Equal(t, 1, h.scalar(`select count(*) from recalls`))
	require.Equal(t, 1, h.scalar(`select count(*) from ledger_sets`))
	h.settle(booked.Journey)
	h.sound()
}

func TestPlan_EatsItsOutboxRowsAndNoOthers(t *testing.T) {
	h := newHouse(t)
	one, two := h.book("2027-03-15", 2), h.book("2027-03-16", 2)
	require.Equal(t, 2, h.scalar(`select count(*) from outbox`))
	h.plan(one.Journey)
	require.False(t, h.rung(one.Journey))
	require.True(t, h.rung(two.Journey))
}

func TestPlan_MissingSubject_IsDone(t *testing.T) {
	h := newHouse(t)
	for _, kind := range []string{policy.KindJourney, policy.KindCollection, policy.KindRecall} {
		s := policy.Subject{Practice: h.practice.ID, Kind: kind, ID: db.NewID()}
		require.True(t, h.plan(s).Done, kind)
		again, err := h.attempt(s, policy.Step{Key: "confirmation/booked/mail/v1", Kind: policy.StepSendMail, Channel: policy.ChannelMail})
		require.NoError(t, err)
		require.False(t, again)
	}
	foreign := h.book("2027-03-15", 2).Journey
	foreign.Practice = db.NewID()
	require.True(t, h.plan(foreign).Done, "another practice's subject is not there")
	require.True(t, h.rung(policy.Subject{Practice: h.practice.ID, Kind: foreign.Kind, ID: foreign.ID}))
}

func TestPlan_FailingFiveTimes_IsStuckWithATaskAndDelaysNoOther(t *testing.T) {
	h := newHouse(t)
	broken, whole := h.book("2027-03-15", 2), h.book("2027-03-16", 2)
	h.plan(broken.Journey)
	h.exec(`update cadence_versions set rules = '{"not": "a list"}'`)
	h.exec(`insert into cadence_versions (practice_id, id, cadence_id, n, rules, status, published_at)
		select practice_id, gen_random_uuid(), cadence_id, n + 1, '[]', status, published_at from cadence_versions`)
	h.exec(`update appointments a set cadence_version_id = v.id from cadence_versions v join cadences c on c.id = v.cadence_id
		where a.id = $1 and c.kind = 'journey' and v.rules = '[]'`, whole.Appointment.ID)
	for n := 1; n <= 7; n++ {
		_, err := h.acts.Plan(t.Context(), broken.Journey)
		require.Error(t, err)
		require.NotContains(t, err.Error(), "Zoë")
		require.Equal(t, n, h.scalar(`select plan_failures from subjects where id = $1`, broken.Appointment.ID))
		if n < 5 {
			require.Empty(t, h.openTasks())
		}
		h.settle(whole.Journey)
	}
	require.Equal(t, []string{"stuck"}, h.openTasks(), "one task, however often it fails")
	require.Equal(t, 1, h.scalar(`select count(*) from subjects where status = 'stuck'`))
	require.Equal(t, 1, h.scalar(`select count(*) from journal where verb = 'subject_stuck'`))
	require.Equal(t, 0, h.scalar(`select count(*) from subjects where id = $1 and status = 'stuck'`, whole.Appointment.ID))

	h.exec(`update cadence_versions set rules = '[]'`)
	h.plan(broken.Journey)
	require.Equal(t, 1, h.scalar(`select count(*) from subjects where id = $1 and status = 'open' and plan_failures = 0`, broken.Appointment.ID))
	require.Empty(t, h.openTasks(), "the task closes with its cause")
	h.sound()
}

func TestPlan_LockedByAnother_GivesUpAndCountsNoFailure(t *testing.T) {
	h := newHouse(t)
	booked := h.book("2027-03-15", 2)
	tx, err := h.super.Begin(t.Context())
	require.NoError(t, err)
	_, err = tx.Exec(t.Context(), `select from subjects for update`)
	require.NoError(t, err)
	began := time.Now()
	_, err = h.acts.Plan(t.Context(), booked.Journey)
	require.Equal(t, policy.Unavailable, policy.KindOf(err))
	require.Less(t, time.Since(began), 4*time.Second)
	require.NoError(t, tx.Rollback(t.Context()))
	require.Equal(t, 0, h.scalar(`select plan_failures from subjects`))
	require.True(t, h.rung(booked.Journey), "the fact still waits for a plan")
}

func TestRecall_IsDueByTheServicesInterval_MonthEndsClamp(t *testing.T) {
	for _, c := range []struct{ visit, every, due string }{
		{"2027-08-31", "P6M1D", "2028-03-01"}, // 29 Feb 2028 and a day
		{"2028-08-31", "P6M1D", "2029-03-01"}, // 28 Feb 2029 and a day
		{"2028-08-31", "P6M", "2029-02-28"},
		{"2028-02-29", "P1Y", "2029-02-28"},
	} {
		h := newHouse(t)
		h.exec(`update services set recall_every = $2 where id = $1`, h.practice.Services[2], c.every)
		h.setClock(policy.MustLocalDate(c.visit).AddDays(-3).String() + "T09:00:00Z")
		booked := h.book(c.visit, 2)
		require.Equal(t, c.visit, policy.LocalDay(booked.Appointment.StartsAt, time.UTC).String())
		h.until(booked.Journey, booked.Appointment.StartsAt.UTC().Format(time.RFC3339))
		h.status(booked.Appointment.ID, policy.VerbComplete, "")
		h.settle(booked.Journey)
		require.Equal(t, 1, h.scalar(`select count(*) from recalls where due_on = $1 and status = 'waiting'`, c.due), "%s %s", c.visit, c.every)
		h.setClock(c.due + "T08:30:00Z")
		h.sweep()
		recall := h.openSubject(policy.KindRecall)
		mails := len(h.post.mails)
		h.until(recall, c.due+"T12:00:00Z")
		require.Len(t, h.post.mails, mails+1, "the first invitation goes on its day")
		require.Contains(t, h.post.mails[mails].Unsubscribe, "https://kept.example.org/l/")
	}
}

func TestRecall_Unanswered_EndsExhausted(t *testing.T) {
	h := newHouse(t)
	booked := h.book("2027-03-15", 2)
	h.until(booked.Journey, booked.Appointment.StartsAt.UTC().Format(time.RFC3339))
	h.status(booked.Appointment.ID, policy.VerbComplete, "")
	h.until(booked.Journey, "2027-03-16T09:00:00Z")
	h.setClock("2027-09-15T08:00:00Z")
	h.sweep()
	h.exec(`delete from outbox where subject_kind = 'collection'`)
	h.exec(`update subjects set status = 'done' where kind = 'collection'`)
	recall := h.openSubject(policy.KindRecall)
	mails := len(h.post.mails)
	require.True(t, h.until(recall, "2027-12-01T12:00:00Z").Done)
	require.Len(t, h.post.mails, mails+3)
	require.Equal(t, 1, h.scalar(`select count(*) from recalls where status = 'exhausted' and closed_at is not null`))
	h.sound()
}

func TestPlan_ItsOwnStepsRingNobodyTwice(t *testing.T) {
	h := newHouse(t)
	h.exec(`insert into settings (practice_id, level, scope_id, key, value) values ($1, 'practice', $1, 'auto_complete', 'true')`, h.practice.ID)
	booked := h.book("2027-03-15", 2)
	h.until(booked.Journey, booked.Appointment.StartsAt.UTC().Format(time.RFC3339))
	h.status(booked.Appointment.ID, policy.VerbArrive, "")
	h.until(booked.Journey, booked.Appointment.EndsAt.UTC().Format(time.RFC3339))
	require.Equal(t, 1, h.scalar(`select count(*) from appointments where status = 'completed'`))
	require.Equal(t, 1, h.scalar(`select count(*) from invoices`), "the same plan went on to the invoice")
	require.Equal(t, 0, h.scalar(`select count(*) from outbox`))
	_, err := h.desk.Undo(t.Context(), h.by, booked.Appointment.ID, "by mistake")
	require.NoError(t, err)
	h.settle(booked.Journey)
	require.Equal(t, 1, h.scalar(`select count(*) from invoices where status = 'void'`))
	require.Equal(t, 0, h.scalar(`select count(*) from outbox`))
}
