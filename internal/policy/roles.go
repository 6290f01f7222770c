package policy

import "slices"

// Permission is what a route asks for, as resource:verb.
type Permission string

const (
	AppointmentsRead     Permission = "appointments:read"
	AppointmentsWrite    Permission = "appointments:write"
	AppointmentsOverride Permission = "appointments:override" // book off the grid or outside hours; the row is marked
	CadencesRead         Permission = "cadences:read"
	CadencesWrite        Permission = "cadences:write"
	ClientsRead          Permission = "clients:read"
	ClientsWrite         Permission = "clients:write"
	InvoicesRead         Permission = "invoices:read"
	InvoicesWrite        Permission = "invoices:write"
	JournalRead          Permission = "journal:read"
	JourneysRead         Permission = "journeys:read"
	JourneysAct          Permission = "journeys:act" // pause, resume, skip, retry, fire now, re-route, send again
	KeysWrite            Permission = "keys:write"
	MessagesRead         Permission = "messages:read"
	MessagesWrite        Permission = "messages:write"
	PacketsRead          Permission = "packets:read"
	PacketsWrite         Permission = "packets:write"
	PaymentsWrite        Permission = "payments:write"
	RecallsRead          Permission = "recalls:read"
	RecallsWrite         Permission = "recalls:write"
	ServicesRead         Permission = "services:read"
	ServicesWrite        Permission = "services:write"
	SettingsRead         Permission = "settings:read"
	SettingsWrite        Permission = "settings:write"
	StaffRead            Permission = "staff:read"
	StaffWrite           Permission = "staff:write"
	TasksRead            Permission = "tasks:read"
	TasksWrite           Permission = "tasks:write"
	TestClocksWrite      Permission = "test_clocks:write"
)

// Scope is how far a permission reaches: what is one's own (a provider's visits and their clients), one's locations, or the
// whole practice. The empty scope reaches nothing.
type Scope string

const (
	ScopeOwn      Scope = "own"
	ScopeLocation Scope = "location"
	ScopeAll      Scope = "all"
)

// Covers tells whether s reaches at least as far as other. An unknown scope neither covers nor is covered.
func (s Scope) Covers(other Scope) bool { return other.reach() >= 0 && s.reach() >= other.reach() }

func (s Scope) reach() int { return slices.Index([]Scope{"", ScopeOwn, ScopeLocation, ScopeAll}, s) }

// Role is a named set of permissions with their scopes.
type Role string

const (
	RoleOwner     Role = "owner"
	RoleManager   Role = "manager"
	RoleFrontDesk Role = "front_desk"
	RoleProvider  Role = "provider"
	RoleBiller    Role = "biller"
	RoleViewer    Role = "viewer"
)

// grant gives every named permission the same scope.
type grant struct {
	scope Scope
	to    []Permission
}

// roleGrants is the whole policy. What is not written here is denied; only the owner is given AllPermissions.
var roleGrants = map[Role][]grant{
	RoleManager: {{ScopeAll, []Permission{
		AppointmentsRead, AppointmentsWrite, AppointmentsOverride, CadencesRead, CadencesWrite, ClientsRead, ClientsWrite, InvoicesRead, InvoicesWrite,
		JournalRead, JourneysRead, JourneysAct, MessagesRead, MessagesWrite, PacketsRead, PacketsWrite, PaymentsWrite, RecallsRead, RecallsWrite,
		ServicesRead, ServicesWrite, SettingsRead, SettingsWrite, StaffRead, StaffWrite, TasksRead, TasksWrite, TestClocksWrite,
	}}},
	RoleFrontDesk: {
		{ScopeLocation, []Permission{
			AppointmentsRead, AppointmentsWrite, ClientsRead, ClientsWrite, InvoicesRead, JourneysRead, JourneysAct, MessagesRead, MessagesWrite,
			PacketsRead, PacketsWrite, PaymentsWrite, RecallsRead, RecallsWrite, TasksRead, TasksWrite,
		}},
		{ScopeAll, []Permission{CadencesRead, ServicesRead, SettingsRead, StaffRead}},
	},
	RoleProvider: {
		{ScopeOwn, []Permission{
			AppointmentsRead, AppointmentsWrite, ClientsRead, ClientsWrite, InvoicesRead, JourneysRead, JourneysAct, MessagesRead, MessagesWrite,
			PacketsRead, PacketsWrite, RecallsRead, RecallsWrite, TasksRead, TasksWrite,
		}},
		{ScopeAll, []Permission{CadencesRead, ServicesRead, SettingsRead, StaffRead}},
	},
	RoleBiller: {{ScopeAll, []Permission{
		AppointmentsRead, CadencesRead, ClientsRead, InvoicesRead, InvoicesWrite, JourneysRead, MessagesRead, PaymentsWrite, ServicesRead,
		SettingsRead, StaffRead, TasksRead, TasksWrite,
	}}},
	RoleViewer: {{ScopeAll, []Permission{
		AppointmentsRead, CadencesRead, ClientsRead, InvoicesRead, JourneysRead, MessagesRead, PacketsRead, RecallsRead, ServicesRead,
		SettingsRead, StaffRead, TasksRead,
	}}},
}

var permissionsByRole = func() map[Role]map[Permission]Scope {
	sets := map[Role]map[Permission]Scope{RoleOwner: {}}
	for _, p := range AllPermissions() {
		sets[RoleOwner][p] = ScopeAll
	}
	for role, grants := range roleGrants {
		sets[role] = map[Permission]Scope{}
		for _, g := range grants {
			for _, p := range g.to {
				sets[role][p] = g.scope
			}
		}
	}
	return sets
}()

// Allowed tells whether a role has a permission, and how far it reaches. Unknown roles and permissions have and reach nothing.
func Allowed(role Role, p Permission) (Scope, bool) {
	scope, ok := permissionsByRole[role][p]
	return scope, ok
}

// CanGrant tells whether a person of role actor may give somebody the role target, or take it away: they manage staff, and the
// target can do nothing that they cannot. So nobody raises a role, their own included, above their own.
func CanGrant(actor, target Role) bool {
	if _, ok := Allowed(actor, StaffWrite); !ok {
		return false
	}
	wanted, known := permissionsByRole[target]
	for p, scope := range wanted {
		if own, ok := Allowed(actor, p); !ok || !own.Covers(scope) {
			return false
		}
	}
	return known
}

// AllRoles lists every role, the widest first.
func AllRoles() []Role {
	return []Role{RoleOwner, RoleManager, RoleFrontDesk, RoleProvider, RoleBiller, RoleViewer}
}

// AllPermissions lists every permission in the order of the alphabet.
func AllPermissions() []Permission {
	return []Permission{
		AppointmentsOverride, AppointmentsRead, AppointmentsWrite, CadencesRead, CadencesWrite, ClientsRead, ClientsWrite, InvoicesRead, InvoicesWrite,
		JournalRead, JourneysAct, JourneysRead, KeysWrite, MessagesRead, MessagesWrite, PacketsRead, PacketsWrite, PaymentsWrite, RecallsRead,
		RecallsWrite, ServicesRead, ServicesWrite, SettingsRead, SettingsWrite, StaffRead, StaffWrite, TasksRead, TasksWrite, TestClocksWrite,
	}
}
