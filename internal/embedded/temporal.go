package embedded

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"strconv"
	"syscall"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/health/grpc_health_v1"
)

// TemporalOptions say how a development Temporal runs.
type TemporalOptions struct {
	Binary   string    // what TemporalBinary returned
	Postgres string    // URL of a role that may make databases
	Prefix   string    // of its two databases, <prefix>_temporal and <prefix>_visibility; "kept" when empty
	Port     int       // gRPC on 127.0.0.1; 0 takes a free one
	UIPort   int       // UI on 127.0.0.1; 0 serves none
	Log      io.Writer // the server's output; nil for none
}

// Temporal is a development server in a process of its own. What it knows lies in PostgreSQL.
type Temporal struct {
	opts    TemporalOptions
	running *process
}

// StartTemporal starts a server as a child of this process and waits until it answers.
func StartTemporal(ctx context.Context, o TemporalOptions) (*Temporal, error) {
	t, err := PrepareTemporal(o)
	if err != nil {
		return nil, err
	}
	if err := t.Start(ctx); err != nil {
		return nil, err
	}
	return t, nil
}

// PrepareTemporal settles the ports. Nothing runs yet: use Start, or Command and Ready under a supervisor.
func PrepareTemporal(o TemporalOptions) (*Temporal, error) {
	o.Prefix = cmp.Or(o.Prefix, "kept")
	if o.Binary == "" || o.Postgres == "" {
		return nil, errors.New("Temporal needs its binary and a PostgreSQL URL")
	}
	if o.Port == 0 {
		var err error
		if o.Port, err = FreePort(); err != nil {
			return nil, err
		}
	}
	return &Temporal{opts: o}, nil
}

// Address is the gRPC frontend, as TEMPORAL_ADDRESS wants it.
func (t *Temporal) Address() string { return net.JoinHostPort("127.0.0.1", strconv.Itoa(t.opts.Port)) }

// Command is a fresh server process for each start, tied to the caller. The password travels in the environment, since
// everybody on the machine can read command lines.
func (t *Temporal) Command() *exec.Cmd {
	cmd := exec.Command(t.opts.Binary, "--prefix", t.opts.Prefix,
		"--port", strconv.Itoa(t.opts.Port), "--ui-port", strconv.Itoa(t.opts.UIPort))
	cmd.Env = append(os.Environ(), "TEMPORAL_DEV_POSTGRES="+t.opts.Postgres)
	cmd.Stdout, cmd.Stderr = t.opts.Log, t.opts.Log
	Tie(cmd, syscall.SIGTERM)
	return cmd
}

// Ready waits until the frontend serves.
func (t *Temporal) Ready(ctx context.Context) error { return t.ready(ctx, nil) }

func (t *Temporal) ready(ctx context.Context, stop <-chan struct{}) error {
	conn, err := grpc.NewClient(t.Address(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return fmt.Errorf("dial Temporal: %w", err)
	}
	defer func() { _ = conn.Close() }()
	health := grpc_health_v1.NewHealthClient(conn)
	request := &grpc_health_v1.HealthCheckRequest{Service: "temporal.api.workflowservice.v1.WorkflowService"}
	return poll(ctx, 50*time.Millisecond, stop, func(ctx context.Context) error {
		conn.ResetConnectBackoff()
		reply, err := health.Check(ctx, request)
		if err != nil {
			return fmt.Errorf("Temporal on %s does not answer: %w", t.Address(), err)
		}
		if reply.Status != grpc_health_v1.HealthCheckResponse_SERVING {
			return fmt.Errorf("Temporal on %s is %s", t.Address(), reply.Status)
		}
		return nil
	})
}

// Start runs the server and waits until it answers.
func (t *Temporal) Start(ctx context.Context) error {
	var err error
	if t.running, err = startProcess(t.Command()); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if err := t.ready(ctx, t.running.done); err != nil {
		return errors.Join(fmt.Errorf("Temporal did not start: %w", err), t.running.kill())
	}
	return nil
}

// Stop ends the server cleanly, or kills it when ctx ends first.
func (t *Temporal) Stop(ctx context.Context) error { return t.running.stop(ctx, syscall.SIGTERM) }

// Kill ends the server as a crash would; Start brings it back.
func (t *Temporal) Kill() error { return t.running.kill() }
