package api

import (
	"context"
	"time"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// StaffView is a member of the staff.
type StaffView struct {
	ID         ID[staffKind] `json:"id"`
	Name       string        `json:"name" example:"Robin Reception"`
	Mail       string        `json:"mail" example:"robin@example.org"`
	Role       policy.Role   `json:"role" enum:"owner,manager,front_desk,provider,biller,viewer"`
	Version    int32         `json:"version"`
	ArchivedAt *Instant      `json:"archived_at,omitempty" doc:"When they left."`
	CreatedAt  Instant       `json:"created_at"`
}

func staffView(m db.Staff) StaffView {
	return StaffView{
		ID: ID[staffKind](m.ID), Name: m.Name, Mail: m.Mail, Role: policy.Role(m.Role), Version: m.Version, ArchivedAt: atOrNil(m.ArchivedAt), CreatedAt: at(m.CreatedAt),
	}
}

func (s *Server) listStaff(ctx context.Context, in *struct{ Page[staffKind] }) (*reply[List[StaffView]], error) {
	practice := callerOf(ctx).Practice
	rows, err := s.deps.Store.In(practice).StaffList(ctx, practice)
	if err != nil {
		return nil, err
	}
	return list(in.Page, rows, func(m db.Staff) policy.ID { return m.ID }, staffView)
}

func (s *Server) getStaff(ctx context.Context, in *byID[staffKind]) (*reply[StaffView], error) {
	practice := callerOf(ctx).Practice
	m, err := s.deps.Store.In(practice).StaffByID(ctx, practice, policy.ID(in.ID))
	return &reply[StaffView]{Body: staffView(m)}, missing(err, "staff")
}

// NewStaff is a person to take on.
type NewStaff struct {
	Name string      `json:"name" example:"Robin Reception"`
	Mail string      `json:"mail" example:"robin@example.org"`
	Role policy.Role `json:"role" enum:"owner,manager,front_desk,provider,biller,viewer" example:"front_desk"`
}

func (s *Server) addStaff(ctx context.Context, in *create[NewStaff]) (*reply[StaffView], error) {
	m, err := s.deps.Desk.AddStaff(ctx, callerOf(ctx).Principal, desk.StaffInput{Name: in.Body.Name, Mail: in.Body.Mail, Role: in.Body.Role})
	return &reply[StaffView]{Body: staffView(m)}, err
}

// StaffChange is a merge patch: what is left out stays.
type StaffChange struct {
	AsRead
	Name *string      `json:"name,omitempty" example:"Robin Reception"`
	Mail *string      `json:"mail,omitempty" example:"robin@example.org"`
	Role *policy.Role `json:"role,omitempty" enum:"owner,manager,front_desk,provider,biller,viewer" example:"front_desk"`
}

func (s *Server) updateStaff(ctx context.Context, in *changeOf[staffKind, StaffChange]) (*reply[StaffView], error) {
	return s.changeStaff(ctx, desk.StaffPatch{ID: policy.ID(in.ID), Version: in.Body.Version, Name: in.Body.Name, Mail: in.Body.Mail, Role: in.Body.Role})
}

func (s *Server) archiveStaff(ctx context.Context, in *changeOf[staffKind, AsRead]) (*reply[StaffView], error) {
	return s.changeStaff(ctx, desk.StaffPatch{ID: policy.ID(in.ID), Version: in.Body.Version, Archived: new(true)})
}

func (s *Server) restoreStaff(ctx context.Context, in *changeOf[staffKind, AsRead]) (*reply[StaffView], error) {
	return s.changeStaff(ctx, desk.StaffPatch{ID: policy.ID(in.ID), Version: in.Body.Version, Archived: new(false)})
}

func (s *Server) changeStaff(ctx context.Context, change desk.StaffPatch) (*reply[StaffView], error) {
	m, err := s.deps.Desk.UpdateStaff(ctx, callerOf(ctx).Principal, change)
	return &reply[StaffView]{Body: staffView(m)}, err
}

// KeyView is an API key without its secret.
type KeyView struct {
	ID         ID[keyKind]    `json:"id"`
	Name       string         `json:"name" example:"Website"`
	Role       policy.Role    `json:"role" enum:"owner,manager,front_desk,provider,biller,viewer"`
	StaffID    *ID[staffKind] `json:"staff_id,omitempty" doc:"Whose key it is; it ends when they leave."`
	LastFour   string         `json:"last_four" example:"7k2m"`
	ExpiresAt  *Instant       `json:"expires_at,omitempty"`
	RevokedAt  *Instant       `json:"revoked_at,omitempty"`
	LastUsedAt *Instant       `json:"last_used_at,omitempty"`
	CreatedAt  Instant        `json:"created_at"`
}

func keyView(k db.APIKeyByIDRow) KeyView {
	return KeyView{
		ID: ID[keyKind](k.ID), Name: k.Name, Role: policy.Role(k.Role), StaffID: idOrNil[staffKind](k.StaffID), LastFour: k.Last4,
		ExpiresAt: atOrNil(k.ExpiresAt), RevokedAt: atOrNil(k.RevokedAt), LastUsedAt: atOrNil(k.LastUsedAt), CreatedAt: at(k.CreatedAt),
	}
}

func (s *Server) listKeys(ctx context.Context, in *struct{ Page[keyKind] }) (*reply[List[KeyView]], error) {
	practice := callerOf(ctx).Practice
	rows, err := s.deps.Store.In(practice).APIKeyList(ctx, practice)
	if err != nil {
		return nil, err
	}
	return list(in.Page, rows, func(k db.APIKeyListRow) policy.ID { return k.ID }, func(k db.APIKeyListRow) KeyView { return keyView(db.APIKeyByIDRow(k)) })
}

// NewAPIKey says what a key may do, for whom and until when.
type NewAPIKey struct {
	Name      string        `json:"name" example:"Website"`
	Role      policy.Role   `json:"role" enum:"owner,manager,front_desk,provider,biller,viewer" example:"front_desk"`
	StaffID   ID[staffKind] `json:"staff_id,omitempty" doc:"The person whose key it is; needed for a provider, who reaches their own visits."`
	ExpiresAt *time.Time    `json:"expires_at,omitempty" example:"2027-01-01T00:00:00Z"`
}

// CreatedKeyView is a new key with its secret.
type CreatedKeyView struct {
	KeyView
	Key string `json:"key" example:"kept_test_…" doc:"Shown this once and kept nowhere."`
}

func (s *Server) createKey(ctx context.Context, in *create[NewAPIKey]) (*reply[CreatedKeyView], error) {
	caller := callerOf(ctx).Principal
	made, err := s.deps.Desk.CreateKey(ctx, caller, desk.KeyInput{
		Name: in.Body.Name, Role: in.Body.Role, Staff: in.Body.StaffID.OrNil(), ExpiresAt: in.Body.ExpiresAt,
	})
	if err != nil {
		return nil, err
	}
	row, err := s.deps.Store.In(caller.Practice).APIKeyByID(ctx, caller.Practice, made.ID)
	return &reply[CreatedKeyView]{Body: CreatedKeyView{KeyView: keyView(row), Key: made.Key.Text}}, err
}

func (s *Server) revokeKey(ctx context.Context, in *byID[keyKind]) (*reply[KeyView], error) {
	caller := callerOf(ctx).Principal
	if err := s.deps.Desk.RevokeKey(ctx, caller, policy.ID(in.ID)); err != nil {
		return nil, err
	}
	row, err := s.deps.Store.In(caller.Practice).APIKeyByID(ctx, caller.Practice, policy.ID(in.ID))
	return &reply[KeyView]{Body: keyView(row)}, err
}
