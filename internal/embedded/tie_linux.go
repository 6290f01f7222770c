package embedded

import (
	"os/exec"
	"syscall"
)

// Tie gives cmd a process group of its own, so that Ctrl-C reaches only the supervisor, and lets the kernel send sig to
// it when the process that started it dies, even by SIGKILL.
func Tie(cmd *exec.Cmd, sig syscall.Signal) {
	attr(cmd).Setpgid = true
	attr(cmd).Pdeathsig = sig
}
