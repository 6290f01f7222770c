package embedded

import (
	"errors"
	"fmt"
	"net"
	"strconv"
	"syscall"
)

// FreePort is a TCP port on loopback that nobody listens on now.
func FreePort() (int, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return 0, fmt.Errorf("find a free port: %w", err)
	}
	port := l.Addr().(*net.TCPAddr).Port
	return port, l.Close()
}

// PortTaken tells whether somebody listens on the port of host already; err is set when it cannot be listened on for
// another reason, such as a port below 1024.
func PortTaken(host string, port int) (taken bool, err error) {
	l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(port)))
	if errors.Is(err, syscall.EADDRINUSE) {
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("port %d: %w", port, err)
	}
	return false, l.Close()
}
