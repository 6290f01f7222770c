//go:build !linux

package embedded

import (
	"os/exec"
	"syscall"
)

// Tie gives cmd a process group of its own, so that Ctrl-C reaches only the supervisor. This system cannot signal a child
// when its parent is killed; what is left over is found and stopped, or named, by the next start.
func Tie(cmd *exec.Cmd, _ syscall.Signal) {
	attr(cmd).Setpgid = true
}
