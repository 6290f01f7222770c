package main

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"sync"

	"github.com/mattn/go-isatty"
)

// nameWidth fits the longest name of a service, so that the lines behind them align.
const nameWidth = 10

// console is one output shared by several processes: whole lines, each with the name of who wrote it, coloured on a
// terminal unless NO_COLOR is set.
type console struct {
	mu     sync.Mutex
	out    io.Writer
	colour bool
	used   int
}

func newConsole(out io.Writer) *console {
	file, ok := out.(*os.File)
	_, plain := os.LookupEnv("NO_COLOR")
	return &console{out: out, colour: ok && !plain && isatty.IsTerminal(file.Fd())}
}

// say writes a line of the supervisor's own.
func (c *console) say(format string, args ...any) {
	c.lines(c.prefix("kept", 1), fmt.Appendf(nil, format, args...))
}

// writer gives a process its prefix. Flush it after the process has ended, for a last line without an end.
func (c *console) writer(name string) *prefixed {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.used++
	return &prefixed{console: c, prefix: c.prefix(name, 31+c.used%6)}
}

func (c *console) prefix(name string, code int) string {
	if !c.colour {
		return fmt.Sprintf("%-*s | ", nameWidth, name)
	}
	return fmt.Sprintf("\x1b[%dm%-*s |\x1b[0m ", code, nameWidth, name)
}

// lines writes text with the prefix before each line. A console that cannot be written to has nobody to be told.
func (c *console) lines(prefix string, text []byte) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for line := range bytes.Lines(text) {
		_, _ = fmt.Fprintf(c.out, "%s%s\n", prefix, bytes.TrimRight(line, "\r\n"))
	}
}

// prefixed passes on whole lines and keeps the unfinished one.
type prefixed struct {
	console *console
	prefix  string
	mu      sync.Mutex
	rest    []byte
}

// longestLine is passed on even without an end, so that a process cannot fill our memory.
const longestLine = 64 << 10

func (p *prefixed) Write(b []byte) (int, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rest = append(p.rest, b...)
	end := bytes.LastIndexByte(p.rest, '\n') + 1
	if end == 0 && len(p.rest) > longestLine {
		end = len(p.rest)
	}
	p.console.lines(p.prefix, p.rest[:end])
	p.rest = append(p.rest[:0], p.rest[end:]...)
	return len(b), nil
}

func (p *prefixed) flush() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.console.lines(p.prefix, p.rest)
	p.rest = nil
}

// plain writes text without prefixes.
func (c *console) plain(text string) { c.lines("", []byte(text)) }
