package embedded

import (
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/mattn/go-isatty"
)

// progress shows how far a long job is: a bar that redraws itself on a terminal, a line every 5 % elsewhere.
type progress struct {
	out     io.Writer
	title   string
	total   int
	done    int
	began   time.Time
	redraws bool
}

func newProgress(out io.Writer, title string, total int) *progress {
	file, ok := out.(*os.File)
	return &progress{
		out: out, title: title, total: max(total, 1), began: time.Now(),
		redraws: ok && isatty.IsTerminal(file.Fd()),
	}
}

func (p *progress) say(words string) { fmt.Fprintf(p.out, "%s: %s\n", p.title, words) }

// step counts one more of total.
func (p *progress) step() {
	before := p.done * 20 / p.total
	p.done++
	elapsed := time.Since(p.began).Round(time.Second)
	if p.redraws {
		width := min(30, p.done*30/p.total)
		fmt.Fprintf(p.out, "\r%s [%s%s] %d/%d %s ", p.title, strings.Repeat("#", width), strings.Repeat(".", 30-width),
			p.done, p.total, elapsed)
	} else if p.done*20/p.total > before {
		fmt.Fprintf(p.out, "%s %d/%d %s\n", p.title, p.done, p.total, elapsed)
	}
}

// end says how long it took. Fewer steps than total is normal: what the build cache holds is not compiled again.
func (p *progress) end() {
	if p.redraws && p.done > 0 {
		fmt.Fprintln(p.out)
	}
	fmt.Fprintf(p.out, "%s: done in %s, %d of %d packages were new\n", p.title, time.Since(p.began).Round(time.Second), p.done, p.total)
}
