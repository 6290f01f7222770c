package wake

import (
	"context"
	"time"
)

// KeepZones looks whether new rules of time zones have come with this process, and keeps the wall times of visits by them.
type KeepZones func(context.Context) error

// zonesRetry is how long after a failure it is tried again.
const zonesRetry = 30 * time.Second

// keepZones runs until it has succeeded once: rules change with the binary or its system, thus never while a process runs. Asking
// later again would let processes with older and newer rules, side by side in a deploy, move the same visits to and fro.
func keepZones(keep KeepZones) loop {
	done := false
	return loop{"zone_rules", zonesRetry, func(ctx context.Context) error {
		if done {
			return nil
		}
		err := keep(ctx)
		done = err == nil
		return err
	}}
}
