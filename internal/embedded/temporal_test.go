package embedded

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// TestTemporal_KilledAndStartedAgain_Answers uses KEPT_TEMPORAL_DEV, else builds the server into the tree's own .kept/bin.
func TestTemporal_KilledAndStartedAgain_Answers(t *testing.T) {
	binary, err := TemporalBinary(t.Context(), TemporalBuild{
		Override: os.Getenv("KEPT_TEMPORAL_DEV"), Dir: filepath.Join("..", "..", ".kept", "bin"), Progress: os.Stderr,
	})
	require.NoError(t, err)
	p, err := StartPostgres(t.Context(), PostgresOptions{Dir: folder(t), Fast: true})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, p.Remove(context.Background())) })
	server, err := StartTemporal(t.Context(), TemporalOptions{Binary: binary, Postgres: p.URL()})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, server.Stop(context.Background())) })

	require.NoError(t, server.Kill())
	require.NoError(t, server.Start(t.Context()))
	require.NoError(t, server.Ready(t.Context()))
	require.Equal(t, 2, query[int](t, p, `select count(*)::int from pg_database where datname in ('kept_temporal', 'kept_visibility')`))
}

// tree writes a small source tree that looks like ours, with its own go.mod for temporal-dev.
func tree(t *testing.T, program string) string {
	t.Helper()
	root := t.TempDir()
	source := filepath.Join(root, "cmd", "temporal-dev")
	require.NoError(t, os.MkdirAll(source, 0o755))
	for name, content := range map[string]string{
		filepath.Join(root, "go.mod"):    "module github.com/kept-practice/kept\n\ngo 1.26.0\n",
		filepath.Join(source, "go.mod"):  "module github.com/kept-practice/kept/cmd/temporal-dev\n\ngo 1.26.0\n",
		filepath.Join(source, "go.sum"):  "",
		filepath.Join(source, "main.go"): program,
	} {
		require.NoError(t, os.WriteFile(name, []byte(content), 0o644))
	}
	return root
}

func TestTemporalBinary_BuiltOnce_AgainOnlyWhenTheSourceChanged(t *testing.T) {
	root := tree(t, "package main\n\nfunc main() { println(\"one\") }\n")
	b := TemporalBuild{Dir: filepath.Join(root, ".kept", "bin"), Source: filepath.Join(root, "cmd")}
	var said bytes.Buffer
	b.Progress = &said
	path, err := TemporalBinary(t.Context(), b)
	require.NoError(t, err)
	require.Equal(t, filepath.Join(root, ".kept", "bin", "temporal-dev"), path)
	require.Contains(t, said.String(), "compiling Temporal server: done in")

	said.Reset()
	_, err = TemporalBinary(t.Context(), b)
	require.NoError(t, err)
	require.Empty(t, said.String(), "nothing to build, nothing to say")

	changed := filepath.Join(root, "cmd", "temporal-dev", "main.go")
	require.NoError(t, os.WriteFile(changed, []byte("package main\n\nfunc main() { println(\"two\") }\n"), 0o644))
	_, err = TemporalBinary(t.Context(), b)
	require.NoError(t, err)
	out, err := exec.Command(path).CombinedOutput()
	require.NoError(t, err)
	require.Equal(t, "two\n", string(out))
}

func TestTemporalBinary_SourceThatDoesNotCompile_ShowsTheCompilersWords(t *testing.T) {
	root := tree(t, "package main\n\nfunc main() { undefined() }\n")
	_, err := TemporalBinary(t.Context(), TemporalBuild{Dir: filepath.Join(root, "bin"), Source: root})
	require.ErrorContains(t, err, "undefined: undefined")
}

func TestTemporalBinary_WithoutSourceOrBinary_SaysWhatToDo(t *testing.T) {
	_, err := TemporalBinary(t.Context(), TemporalBuild{Dir: t.TempDir(), Source: t.TempDir()})
	require.ErrorContains(t, err, "set TEMPORAL_ADDRESS to a running one")
	_, err = TemporalBinary(t.Context(), TemporalBuild{Override: "/nowhere/temporal-dev"})
	require.ErrorContains(t, err, "/nowhere/temporal-dev")
}

func TestProgress_AwayFromATerminal_ALineEveryTwentieth(t *testing.T) {
	var out bytes.Buffer
	p := newProgress(&out, "compiling", 200)
	for range 200 {
		p.step()
	}
	require.Equal(t, 20, bytes.Count(out.Bytes(), []byte("\n")))
	require.Contains(t, out.String(), "compiling 100/200 ")
}
