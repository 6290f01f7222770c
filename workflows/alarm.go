package workflows

import (
	"time"

	"go.temporal.io/sdk/workflow"

	"github.com/kept-practice/kept/internal/policy"
)

// How long a run leaves alone what just failed; each wait doubles with every failure in a row.
const (
	planRespite     = 30 * time.Second
	planRespiteMost = 5 * time.Minute
	stepRespite     = 30 * time.Second
	stepRespiteMost = 10 * time.Minute

	asksInARow = 5 // looks in a row that one key gets by asking, while it stays due, before it too has to wait
)

// doubling is base, doubled for each time after the first, at most most.
func doubling(base time.Duration, times int, most time.Duration) time.Duration {
	for ; times > 1 && base < most; times-- {
		base *= 2
	}
	return min(base, most)
}

// alarm is a durable timer. Only its newest future is ever looked at, so a timer that was replaced cannot ring.
type alarm struct {
	future workflow.Future // nil when not set, and once it was seen to have rung
	stop   workflow.CancelFunc
	length time.Duration

	until   deadline // what it was last set for, where that is a plan's deadline
	repeats int      // how often in a row it rang for that same deadline and was set for it again
}

func (a *alarm) rang() bool { return a.future != nil && a.future.IsReady() }

func (a *alarm) set(ctx workflow.Context, wait time.Duration, summary string) {
	a.cancel()
	ctx, a.stop = workflow.WithCancel(ctx)
	a.future = workflow.NewTimerWithOptions(ctx, wait, workflow.TimerOptions{Summary: summary})
	a.length = wait
}

// sooner sets the alarm unless one of the same length or shorter is already running.
func (a *alarm) sooner(ctx workflow.Context, wait time.Duration, summary string) {
	if a.future == nil || wait < a.length {
		a.set(ctx, wait, summary)
	}
}

// cancel takes the alarm back, or lets go of one that has rung.
func (a *alarm) cancel() {
	if a.future != nil {
		a.stop()
		a.future = nil
	}
}

// deadline is what a plan waits for: an instant on the practice's clock, one in real time, or both; zero is none.
type deadline struct{ wake, retry time.Time }

func deadlineOf(p policy.Plan) deadline {
	var d deadline
	if p.WakeAt != nil && !p.Unarmed {
		d.wake = *p.WakeAt
	}
	if p.RetryAt != nil {
		d.retry = *p.RetryAt
	}
	return d
}

func (d deadline) equal(other deadline) bool {
	return d.wake.Equal(other.wake) && d.retry.Equal(other.retry)
}
