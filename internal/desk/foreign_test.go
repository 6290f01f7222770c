package desk_test

import (
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// BAD-I1: whatever belongs to another practice is not there, for every command of the setup, and nothing is written there.
func TestSetup_ForeignIds_AreNotFound(t *testing.T) {
	t.Parallel()
	o := newOffice(t)
	client := o.newClient("Casey", "Client", desk.ClientInput{Mail: "casey@example.org"})
	key, err := o.CreateKey(t.Context(), o.by, desk.KeyInput{Name: "x", Role: policy.RoleViewer})
	require.NoError(t, err)
	closure, err := o.AddClosure(t.Context(), o.by, desk.ClosureInput{
		Location: &o.made.Locations[0], StartsAt: "2098-01-01T00:00", EndsAt: "2098-01-02T00:00", Reason: "x",
	})
	require.NoError(t, err)
	draft := o.draft(message("x", "-1d"))
	task := o.newTask()
	shift := o.shiftOn(1)
	entries := o.count(`select count(*) from journal`)

	ctx := t.Context()
	them := policy.Principal{Kind: policy.ByStaff, Practice: o.foreign.ID, Staff: &o.foreign.Owner, Role: policy.RoleOwner}
	for name, call := range map[string]func() error{
		"UpdateStaff": func() error {
			_, err := o.UpdateStaff(ctx, them, desk.StaffPatch{ID: o.made.Owner, Version: 1})
			return err
		},
		"CreateKey": func() error {
			_, err := o.CreateKey(ctx, them, desk.KeyInput{Name: "x", Role: policy.RoleViewer, Staff: &o.made.Owner})
			return err
		},
		"RevokeKey": func() error { return o.RevokeKey(ctx, them, key.ID) },
		"UpdateLocation": func() error {
			_, err := o.UpdateLocation(ctx, them, desk.LocationPatch{ID: o.made.Locations[0], Version: 1})
			return err
		},
		"UpdateService": func() error {
			_, err := o.UpdateService(ctx, them, desk.ServicePatch{ID: o.made.Services[0], Version: 1})
			return err
		},
		"ArchiveService": func() error { _, err := o.ArchiveService(ctx, them, o.made.Services[0], 1); return err },
		"SetPrice":       func() error { return o.SetPrice(ctx, them, o.made.Services[0], 1, nil) },
		"UpdateResource": func() error {
			_, err := o.UpdateResource(ctx, them, desk.ResourcePatch{ID: o.made.Providers[0], Version: 1})
			return err
		},
		"ArchiveResource": func() error { _, err := o.ArchiveResource(ctx, them, o.made.Providers[0], 1); return err },
		"ChangeShift": func() error {
			_, err := o.ChangeShift(ctx, them, desk.ShiftChange{Shift: shift, End: true})
			return err
		},
		"LiftClosure": func() error { return o.LiftClosure(ctx, them, closure.ID) },
		"UpdateClient": func() error {
			_, err := o.UpdateClient(ctx, them, desk.ClientPatch{ID: client.ID, Version: 1})
			return err
		},
		"EraseClient":  func() error { _, err := o.EraseClient(ctx, them, client.ID, 1, "x"); return err },
		"AddContact":   func() error { _, err := o.AddContact(ctx, them, client.ID, "mail", "x@example.org"); return err },
		"CloseContact": func() error { _, err := o.CloseContact(ctx, them, client.ID, client.Contacts[0].ID, "x"); return err },
		"RecordConsent": func() error {
			_, err := o.RecordConsent(ctx, them, desk.ConsentInput{Client: client.ID, Channel: "mail", Purpose: "recall", Source: "x"})
			return err
		},
		"DraftCadence": func() error { _, err := o.DraftCadence(ctx, them, o.reminders(), nil); return err },
		"EditCadence": func() error {
			_, err := o.EditCadence(ctx, them, desk.CadenceEdit{ID: draft.ID, Version: 1})
			return err
		},
		"PublishCadence": func() error {
			_, err := o.PublishCadence(ctx, them, desk.PublishInput{Version: draft.ID, Adopt: desk.AdoptFuture})
			return err
		},
		"ArchiveCadence": func() error { return o.ArchiveCadence(ctx, them, o.reminders()) },
		"ReleaseTask":    func() error { _, err := o.ReleaseTask(ctx, them, task); return err },
		"FinishTask":     func() error { _, err := o.FinishTask(ctx, them, task, "x"); return err },
		"SetSetting": func() error {
			in := setting("grace_minutes", `1`)
			in.Level, in.Scope = policy.LevelLocation, o.made.Locations[0]
			_, err := o.SetSetting(ctx, them, in)
			return err
		},
	} {
		require.Equal(t, policy.NotFound, policy.KindOf(call()), name)
	}
	require.Equal(t, entries, o.count(`select count(*) from journal`))
}
