package desk_test

import (
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

func (o *office) newTask() policy.ID {
	o.t.Helper()
	id := db.NewID()
	o.exec(`insert into tasks (practice_id, id, kind, title, queue, due_at, cause, opened_at) values ($1, $2, 'call', 'Call back', 'front_desk', now(), $3, now())`,
		o.made.ID, id, id.String())
	return id
}

func (o *office) colleague(name string) policy.Principal {
	o.t.Helper()
	person, err := o.AddStaff(o.t.Context(), o.by, desk.StaffInput{Name: name, Mail: name + "@example.org", Role: policy.RoleFrontDesk})
	require.NoError(o.t, err)
	return policy.Principal{Kind: policy.ByStaff, Practice: o.made.ID, Staff: &person.ID, Role: policy.RoleFrontDesk}
}

func TestTask_ThreeClaimOne_OneGetsIt(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	task := o.newTask()
	people := []policy.Principal{o.by, o.colleague("ana"), o.colleague("ben")}
	var wait sync.WaitGroup
	errs := make([]error, len(people))
	for i, p := range people {
		wait.Go(func() { _, errs[i] = o.ClaimTask(t.Context(), p, task) })
	}
	wait.Wait()
	won := 0
	for _, err := range errs {
		if err == nil {
			won++
			continue
		}
		refused(t, err, policy.Conflict, "task_taken")
	}
	require.Equal(t, 1, won)
	require.Equal(t, 1, o.count(`select count(*) from journal where object_id = $1 and verb = 'task_claimed'`, task))
}

func TestTask_ClaimReleaseFinish(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	task, ana := o.newTask(), o.colleague("ana")
	got, err := o.ClaimTask(t.Context(), ana, task)
	require.NoError(t, err)
	require.Equal(t, *ana.Staff, *got.OwnerID)
	_, err = o.ClaimTask(t.Context(), ana, task)
	require.NoError(t, err, "hers already")
	_, err = o.ClaimTask(t.Context(), o.by, task)
	refused(t, err, policy.Conflict, "task_taken")
	got, err = o.ReleaseTask(t.Context(), o.by, task)
	require.NoError(t, err)
	require.Nil(t, got.OwnerID)
	got, err = o.FinishTask(t.Context(), o.by, task, "called, all is well")
	require.NoError(t, err)
	require.Equal(t, "done", got.Status)
	_, err = o.ClaimTask(t.Context(), ana, task)
	refused(t, err, policy.Conflict, "task_over")
	_, err = o.FinishTask(t.Context(), o.by, task, "again")
	refused(t, err, policy.Conflict, "task_over")
	_, err = o.ReleaseTask(t.Context(), o.by, task)
	refused(t, err, policy.Conflict, "task_over")

	other := o.newTask()
	_, err = o.FinishTask(t.Context(), o.by, other, " ")
	refused(t, err, policy.Invalid, "empty", "/reason")
	_, err = o.ClaimTask(t.Context(), policy.Principal{Kind: policy.ByKey, Practice: o.made.ID, Role: policy.RoleOwner}, other)
	refused(t, err, policy.Forbidden, "not_a_person")
	stranger := policy.Principal{Kind: policy.ByStaff, Practice: o.foreign.ID, Staff: &o.foreign.Owner, Role: policy.RoleOwner}
	_, err = o.ClaimTask(t.Context(), stranger, other)
	refused(t, err, policy.NotFound, "task_not_found")
}

func TestPublishTemplate_VersionsAndRefusals(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	in := desk.TemplateInput{Locale: "en", MessageTemplate: policy.MessageTemplate{
		Kind: policy.MessageReminder, Channel: policy.ChannelMail, Subject: "See you at {{practice_name}}", Body: "{{practice_name}} expects you {{when}}.",
	}}
	got, err := o.PublishTemplate(t.Context(), o.by, in)
	require.NoError(t, err)
	require.EqualValues(t, 2, got.N)
	in.After = ptr(int32(1))
	_, err = o.PublishTemplate(t.Context(), o.by, in)
	refused(t, err, policy.Conflict, "stale_version")
	in.After, in.Locale = nil, "en_US"
	_, err = o.PublishTemplate(t.Context(), o.by, in)
	refused(t, err, policy.Invalid, "invalid_locale", "/locale")
	in.Locale, in.Body = "de", "{{practice_name}} erwartet Sie {{when}}, {{service}}."
	_, err = o.PublishTemplate(t.Context(), o.by, in)
	refused(t, err, policy.Invalid, "unknown_variable", "/body")
	in.Body = "{{practice_name}} erwartet Sie {{when}}."
	got, err = o.PublishTemplate(t.Context(), o.by, in)
	require.NoError(t, err)
	require.EqualValues(t, 1, got.N)
}
