package policy

import (
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// The whole matrix, written a second time and by hand: a letter per role (owner, manager, front desk, provider, biller, viewer);
// a = all, l = location, o = own, . = denied. A change of rights changes this table on purpose or not at all.
var roleMatrix = map[Permission]string{
	"appointments:override": "aa....",
	"appointments:read":     "aaloaa",
	"appointments:write":    "aalo..",
	"cadences:read":         "aaaaaa",
	"cadences:write":        "aa....",
	"clients:read":          "aaloaa",
	"clients:write":         "aalo..",
	"invoices:read":         "aaloaa",
	"invoices:write":        "aa..a.",
	"journal:read":          "aa....",
	"journeys:act":          "aalo..",
	"journeys:read":         "aaloaa",
	"keys:write":            "a.....",
	"messages:read":         "aaloaa",
	"messages:write":        "aalo..",
	"packets:read":          "aalo.a",
	"packets:write":         "aalo..",
	"payments:write":        "aal.a.",
	"recalls:read":          "aalo.a",
	"recalls:write":         "aalo..",
	"services:read":         "aaaaaa",
	"services:write":        "aa....",
	"settings:read":         "aaaaaa",
	"settings:write":        "aa....",
	"staff:read":            "aaaaaa",
	"staff:write":           "aa....",
	"tasks:read":            "aaloaa",
	"tasks:write":           "aaloa.",
	"test_clocks:write":     "aa....",
}

func TestAllowed_WholeMatrix(t *testing.T) {
	t.Parallel()
	require.Len(t, roleMatrix, len(AllPermissions()))
	for _, p := range AllPermissions() {
		row, ok := roleMatrix[p]
		require.True(t, ok, p)
		for i, role := range AllRoles() {
			scope, allowed := Allowed(role, p)
			want := map[byte]Scope{'a': ScopeAll, 'l': ScopeLocation, 'o': ScopeOwn, '.': ""}[row[i]]
			require.Equal(t, want, scope, "%s %s", role, p)
			require.Equal(t, want != "", allowed, "%s %s", role, p)
		}
	}
}

func TestAllowed_UnknownIsDenied(t *testing.T) {
	t.Parallel()
	for _, role := range []Role{"", "admin", "Owner", "owner "} {
		for _, p := range AllPermissions() {
			_, ok := Allowed(role, p)
			require.False(t, ok, "%q %s", role, p)
		}
		require.False(t, CanGrant(role, RoleViewer))
		require.False(t, CanGrant(RoleOwner, role))
	}
	for _, role := range AllRoles() {
		for _, p := range []Permission{"", "appointments", "appointments:delete", "*"} {
			_, ok := Allowed(role, p)
			require.False(t, ok, "%s %q", role, p)
		}
	}
}

func TestCanGrant_NobodyRaisesARoleAboveTheirOwn(t *testing.T) {
	t.Parallel()
	for _, actor := range AllRoles() {
		for _, target := range AllRoles() {
			want := actor == RoleOwner || (actor == RoleManager && target != RoleOwner)
			require.Equal(t, want, CanGrant(actor, target), "%s grants %s", actor, target)
		}
	}
}

func TestAllPermissions_ListsEveryConstantOnce(t *testing.T) {
	t.Parallel()
	file, err := parser.ParseFile(token.NewFileSet(), "roles.go", nil, 0)
	require.NoError(t, err)
	var written []Permission
	ast.Inspect(file, func(n ast.Node) bool {
		if v, ok := n.(*ast.ValueSpec); ok && len(v.Values) == 1 {
			if id, ok := v.Type.(*ast.Ident); ok && id.Name == "Permission" {
				written = append(written, Permission(strings.Trim(v.Values[0].(*ast.BasicLit).Value, `"`)))
			}
		}
		return true
	})
	slices.Sort(written)
	require.Equal(t, written, AllPermissions())
}

func TestScope_Covers(t *testing.T) {
	t.Parallel()
	order := []Scope{"", ScopeOwn, ScopeLocation, ScopeAll}
	for i, s := range order {
		for j, other := range order {
			require.Equal(t, i >= j, s.Covers(other), "%q %q", s, other)
		}
		require.False(t, s.Covers("everything"))
		require.False(t, Scope("everything").Covers(s))
	}
}
