// Command kept runs a practice's promises: every part of the product is a subcommand of this one binary.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"
	_ "time/tzdata" // zones must resolve on machines and images that carry none

	"github.com/spf13/cobra"
)

// version is set by the linker in releases; otherwise the build's own record of its commit speaks.
var version string

func main() {
	ctx, release := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP)
	context.AfterFunc(ctx, release) // a second Ctrl-C ends at once
	err := newRootCommand().ExecuteContext(ctx)
	release()
	if err != nil {
		fmt.Fprintln(os.Stderr, "kept:", err)
		os.Exit(1)
	}
}

func newRootCommand() *cobra.Command {
	root := &cobra.Command{
		Use:   "kept",
		Short: "kept runs a practice's promises: bookings, intake, reminders, payments and recalls",
		Long: "kept runs a practice's promises: every client journey, from booking to recall, as a durable workflow.\n\n" +
			"`kept up` starts everything on this machine. In production run `kept migrate` once per release, then any\n" +
			"number of `kept api` and `kept worker`. Configuration comes from the environment: see `kept config check`.",
		Version:       buildVersion(),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.AddCommand(
		newAPICommand(),
		newConfigCommand(),
		newDemoCommand(),
		newDoctorCommand(),
		newHealthCommand(),
		newJournalCommand(),
		newMigrateCommand(),
		newPracticeCommand(),
		newRewakeCommand(),
		newSandboxCommand(),
		newScratchCommand(),
		newSeedCommand(),
		newTemporalDevCommand(),
		newUpCommand(),
		newWorkerCommand(),
	)
	return root
}

func buildVersion() string {
	if version != "" {
		return version
	}
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return "development"
	}
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			return "development " + s.Value[:min(12, len(s.Value))]
		}
	}
	return "development"
}
