package sandbox

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// fact is one line of the ledger. A transaction is a run of facts closed by one with End; a torn one never happened.
type fact struct {
	Seq  int64           `json:"seq"`
	At   time.Time       `json:"at"`
	Kind string          `json:"kind"`
	ID   string          `json:"id,omitempty"`
	Data json.RawMessage `json:"data,omitempty"`
	End  bool            `json:"end,omitempty"`
}

// ledger is an append-only file. Transactions that arrive while one fsync runs share the next one.
type ledger struct {
	file   *os.File
	unlock func() error

	mu      sync.Mutex
	moved   *sync.Cond // synced or err changed
	pending bytes.Buffer
	last    int64 // last seq handed over
	synced  int64 // last seq on disk
	err     error // the first write error; nothing is accepted after it

	wake    chan struct{}
	stopped chan struct{}
}

const ledgerName = "ledger.jsonl"

// openLedger replays the whole transactions in dir, cuts off a torn end, and starts the writer.
func openLedger(dir string, replay func(fact) error) (*ledger, error) {
	unlock, err := lockDir(dir)
	if err != nil {
		return nil, fmt.Errorf("sandbox: %s is in use by another sandbox; stop it, or choose another folder: %w", dir, err)
	}
	file, err := os.OpenFile(filepath.Join(dir, ledgerName), os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: cannot open the ledger: %w", err), unlock())
	}
	l := &ledger{file: file, unlock: unlock, wake: make(chan struct{}, 1), stopped: make(chan struct{})}
	l.moved = sync.NewCond(&l.mu)
	good, err := l.load(replay)
	if err == nil {
		err = cut(file, good)
	}
	if err == nil {
		err = syncDir(dir)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("sandbox: ledger %s: %w", file.Name(), err), file.Close(), unlock())
	}
	l.synced = l.last
	go l.write()
	return l, nil
}

// load returns the offset behind the last whole transaction. Only the end of the file may be damaged.
func (l *ledger) load(replay func(fact) error) (int64, error) {
	r := bufio.NewReaderSize(l.file, 1<<20)
	var good, offset int64
	var open []fact
	for number := 1; ; number++ {
		line, err := r.ReadBytes('\n')
		if errors.Is(err, io.EOF) {
			return good, nil // what is left has no line end: torn
		}
		if err != nil {
			return 0, err
		}
		offset += int64(len(line))
		var f fact
		if json.Unmarshal(line, &f) != nil {
			if _, err := r.Peek(1); errors.Is(err, io.EOF) {
				return good, nil
			}
			return 0, fmt.Errorf("line %d is damaged and is not the last; restore the file from a copy, or move it away to start empty", number)
		}
		open = append(open, f)
		if !f.End {
			continue
		}
		for _, f := range open {
			if err := replay(f); err != nil {
				return 0, fmt.Errorf("line %d: %w", number, err)
			}
			l.last = f.Seq
		}
		open, good = open[:0], offset
	}
}

func cut(file *os.File, at int64) error {
	if err := file.Truncate(at); err != nil {
		return err
	}
	if err := file.Sync(); err != nil {
		return err
	}
	_, err := file.Seek(at, io.SeekStart)
	return err
}

// syncDir makes a new file's name durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

// append queues one transaction and returns the seq of its last fact, to be waited for before anyone is told.
// The caller holds the state's lock, so facts stand in the file in the order in which they were applied.
func (l *ledger) append(facts []fact) int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.err != nil { // whoever waits for this seq is told
		return facts[len(facts)-1].Seq
	}
	for i := range facts {
		facts[i].End = i == len(facts)-1
		line, err := json.Marshal(facts[i])
		if err != nil {
			l.fail(err)
			return facts[i].Seq
		}
		l.pending.Write(line)
		l.pending.WriteByte('\n')
		l.last = facts[i].Seq
	}
	select {
	case l.wake <- struct{}{}:
	default:
	}
	return l.last
}

// wait returns when seq is on disk, or with the error that keeps it from getting there.
func (l *ledger) wait(seq int64) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for l.synced < seq && l.err == nil {
		l.moved.Wait()
	}
	if l.synced >= seq {
		return nil
	}
	return l.err
}

// lastSeq is the seq of the newest fact, synced or not.
func (l *ledger) lastSeq() int64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.last
}

func (l *ledger) write() {
	defer close(l.stopped)
	var batch []byte
	for range l.wake {
		l.mu.Lock()
		batch = append(batch[:0], l.pending.Bytes()...)
		l.pending.Reset()
		upTo, failed := l.last, l.err != nil
		l.mu.Unlock()
		if failed || len(batch) == 0 {
			continue
		}
		_, err := l.file.Write(batch)
		if err == nil {
			err = l.file.Sync()
		}
		l.mu.Lock()
		if err != nil {
			l.fail(err)
		} else {
			l.synced = upTo
		}
		l.moved.Broadcast()
		l.mu.Unlock()
	}
}

// fail is called with mu held.
func (l *ledger) fail(err error) {
	if l.err == nil {
		l.err = fmt.Errorf("sandbox: the ledger cannot be written: %w", err)
	}
	l.moved.Broadcast()
}

var errClosed = errors.New("sandbox: closed")

// close writes what is queued and closes the file. A later append is not taken; its wait fails.
func (l *ledger) close() error {
	waited := l.wait(l.lastSeq())
	l.mu.Lock()
	if l.err == nil {
		l.err = errClosed
	}
	close(l.wake)
	l.mu.Unlock()
	<-l.stopped
	return errors.Join(waited, l.file.Close(), l.unlock())
}
