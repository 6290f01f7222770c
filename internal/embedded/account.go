package embedded

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"syscall"
)

// account is the unprivileged user that PostgreSQL runs as when kept runs as root, since PostgreSQL refuses root.
type account struct {
	name     string
	uid, gid uint32
}

// serverAccount returns nil for an ordinary user. For root it is the owner of existing data, else `postgres`, else `nobody`.
func serverAccount(dataDir string) (*account, error) {
	if os.Geteuid() != 0 {
		return nil, nil
	}
	if info, err := os.Stat(dataDir); err == nil {
		if owner := info.Sys().(*syscall.Stat_t); owner.Uid != 0 {
			return &account{name: userName(owner.Uid), uid: owner.Uid, gid: owner.Gid}, nil
		}
	}
	for _, name := range []string{"postgres", "nobody"} {
		u, err := user.Lookup(name)
		if err != nil {
			continue
		}
		uid, uidErr := strconv.ParseUint(u.Uid, 10, 32)
		gid, gidErr := strconv.ParseUint(u.Gid, 10, 32)
		if err := errors.Join(uidErr, gidErr); err != nil {
			return nil, fmt.Errorf("user %s: %w", name, err)
		}
		return &account{name: name, uid: uint32(uid), gid: uint32(gid)}, nil
	}
	return nil, errors.New("PostgreSQL refuses to run as root and this system has neither a user postgres nor nobody: " +
		"make one with `useradd --system postgres`, or start kept as an ordinary user")
}

func userName(uid uint32) string {
	u, err := user.LookupId(strconv.FormatUint(uint64(uid), 10))
	if err != nil {
		return fmt.Sprintf("with id %d", uid)
	}
	return u.Username
}

// runAs makes cmd run under the account; nil leaves it as it is.
func (a *account) runAs(cmd *exec.Cmd) {
	if a != nil {
		attr(cmd).Credential = &syscall.Credential{Uid: a.uid, Gid: a.gid}
	}
}

// own hands a file or folder over to the account.
func (a *account) own(path string) error {
	if a == nil {
		return nil
	}
	if err := os.Chown(path, int(a.uid), int(a.gid)); err != nil {
		return fmt.Errorf("give %s to user %s: %w", path, a.name, err)
	}
	return nil
}

// reaches tells whether the account may pass through dir and everything above it, by the mode bits alone. Folders that
// are still to be made count as open.
func (a *account) reaches(dir string) bool {
	if a == nil {
		return true
	}
	for at := dir; ; at = filepath.Dir(at) {
		info, err := os.Stat(at)
		if err == nil && !a.enters(info) {
			return false
		}
		if at == filepath.Dir(at) {
			return true
		}
	}
}

func (a *account) enters(info os.FileInfo) bool {
	owner, mode := info.Sys().(*syscall.Stat_t), info.Mode().Perm()
	switch {
	case owner.Uid == a.uid:
		return mode&0o100 != 0
	case owner.Gid == a.gid:
		return mode&0o010 != 0
	default:
		return mode&0o001 != 0
	}
}

func attr(cmd *exec.Cmd) *syscall.SysProcAttr {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	return cmd.SysProcAttr
}
