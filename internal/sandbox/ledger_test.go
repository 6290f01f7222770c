package sandbox_test

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/sandbox"
)

func TestLedger_Reopened_NothingForgotten(t *testing.T) {
	w := newWorld(t)
	customer := w.customer()
	card := w.cardOnFile(customer, "4242424242424242")
	first, out := w.stripe.ChargeOffSession(t.Context(), charge("charge:1", customer, card.Method, "1"))
	require.True(t, out.OK())
	require.True(t, w.mail.Send(t.Context(), letter("msg-1", "gone@bounce.example.org")).OK())
	require.True(t, w.sms.Send(t.Context(), sms.Message{To: client, Body: "Hello", Ref: "msg-2"}).OK())
	w.reply(client, "STOP")
	w.settle()
	book := fmt.Sprint(w.ledger(""))
	delivered := len(w.hooks.stripeTypes())
	w.close()
	w.open()
	require.Equal(t, book, fmt.Sprint(w.ledger("")))
	again, out := w.stripe.ChargeOffSession(t.Context(), charge("charge:1", customer, card.Method, "1"))
	require.True(t, out.Replayed, "keys outlive a restart: %+v", out)
	require.Equal(t, first.ID, again.ID)
	require.Equal(t, sms.CodeOptedOut, w.sms.Send(t.Context(), sms.Message{To: client, Body: "Hello", Ref: "msg-3"}).Code)
	w.settle()
	require.Len(t, w.hooks.stripeTypes(), delivered, "what was taken is not delivered again")
}

func TestLedger_WebhooksOwedAtTheEnd_DeliveredAfterTheStart(t *testing.T) {
	w := newWorld(t)
	w.hooks.mu.Lock()
	w.hooks.refuse = 1 << 30
	w.hooks.mu.Unlock()
	require.True(t, w.mail.Send(t.Context(), letter("msg-1", "ada@client.example")).OK())
	w.close()
	w.hooks.mu.Lock()
	w.hooks.refuse = 0
	w.hooks.mu.Unlock()
	w.open()
	w.settle()
	// at least once, as at the real gateway: a call under way at the end may have arrived too
	require.Equal(t, []string{"delivered", "processed"}, slices.Compact(w.hooks.mailTypes("msg-1")))
}

// A death in the middle of a write leaves any prefix of the last transaction; none of it may count, all before must.
func TestLedger_TornAnywhereInTheLastTransaction_EarlierFactsStand(t *testing.T) {
	w := newWorld(t)
	require.True(t, w.mail.Send(t.Context(), letter("msg-1", "ada@client.example")).OK())
	w.settle()
	path := filepath.Join(w.dir, "ledger.jsonl")
	require.Eventually(t, func() bool { // the ends of the webhooks are written without anyone waiting
		data, err := os.ReadFile(path)
		return err == nil && strings.Count(string(data), `"hook_end"`) == 2
	}, 5*time.Second, time.Millisecond)
	w.close()
	whole, err := os.ReadFile(path)
	require.NoError(t, err)
	w.open()
	require.True(t, w.mail.Send(t.Context(), letter("msg-2", "ada@client.example")).OK())
	w.settle()
	w.close()
	grown, err := os.ReadFile(path)
	require.NoError(t, err)
	added := string(grown[len(whole):])
	lastOfTransaction := strings.Index(added, `"end":true`)
	for cut := 0; cut < lastOfTransaction; cut += 97 {
		dir := t.TempDir()
		require.NoError(t, os.WriteFile(filepath.Join(dir, "ledger.jsonl"), append(whole[:len(whole):len(whole)], added[:cut]...), 0o600))
		s, err := sandbox.New(sandbox.Options{Dir: dir, Logger: slog.New(slog.DiscardHandler)})
		require.NoError(t, err, "cut after %d bytes", cut)
		require.NoError(t, s.Close())
		kept, err := os.ReadFile(filepath.Join(dir, "ledger.jsonl"))
		require.NoError(t, err)
		require.Equal(t, string(whole), string(kept), "cut after %d bytes", cut)
	}
	w.open()
}

func TestLedger_DamagedInTheMiddle_RefusedWithTheLine(t *testing.T) {
	dir := t.TempDir()
	damaged := `{"seq":1,"kind":"consent","data":{},"end":true}` + "\nrubbish\n" + `{"seq":2,"kind":"consent","data":{},"end":true}` + "\n"
	require.NoError(t, os.WriteFile(filepath.Join(dir, "ledger.jsonl"), []byte(damaged), 0o600))
	_, err := sandbox.New(sandbox.Options{Dir: dir})
	require.ErrorContains(t, err, "line 2 is damaged")
}

func TestLedger_SecondProcessOnOneFolder_Refused(t *testing.T) {
	w := newWorld(t)
	_, err := sandbox.New(sandbox.Options{Dir: w.dir, Logger: slog.New(slog.DiscardHandler)})
	require.ErrorContains(t, err, "in use by another sandbox")
}

const childDir, childAddr = "KEPT_SANDBOX_CHILD_DIR", "KEPT_SANDBOX_CHILD_ADDR"

// TestMain doubles as the process that gets killed.
func TestMain(m *testing.M) {
	if dir := os.Getenv(childDir); dir != "" {
		s, err := sandbox.New(sandbox.Options{Addr: os.Getenv(childAddr), Dir: dir})
		if err == nil {
			err = s.Run(context.Background())
		}
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(m.Run())
}

// Everything that was answered 2xx before kill -9 is in the book afterwards, once.
func TestLedger_KilledUnderLoad_EveryAnsweredFactSurvives(t *testing.T) {
	dir := t.TempDir()
	free, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	addr := free.Addr().String()
	require.NoError(t, free.Close())
	customers, mails := map[string]bool{}, map[string]bool{}
	for round := range 3 {
		child := exec.Command(os.Args[0])
		child.Env = append(os.Environ(), childDir+"="+dir, childAddr+"="+addr)
		require.NoError(t, child.Start())
		stripeClient, err := stripe.New(stripe.Options{Key: "sk_test_1", BaseURL: "http://" + addr + "/stripe"})
		require.NoError(t, err)
		mailClient, err := mail.New(mail.Options{Key: "SG.1", BaseURL: "http://" + addr + "/sendgrid"})
		require.NoError(t, err)
		require.Eventually(t, func() bool {
			return stripeClient.EnsureCustomer(t.Context(), fmt.Sprint("ready", round), nil).OK()
		}, 10*time.Second, 5*time.Millisecond)
		for id := range customers {
			_, _, out := stripeClient.ListEvents(t.Context(), time.Now().Add(-time.Hour), "")
			require.True(t, out.OK())
			_, out = stripeClient.CreateSetup(t.Context(), stripe.SetupInput{IdemKey: "s" + fmt.Sprint(round) + id, Customer: id, SuccessURL: "http://kept.test/"})
			require.True(t, out.OK(), "customer of an earlier life: %+v", out)
			break
		}
		var mu sync.Mutex
		var load sync.WaitGroup
		for worker := range 8 {
			load.Go(func() {
				for i := 0; ; i++ {
					key := fmt.Sprintf("%d-%d-%d", round, worker, i)
					made := stripeClient.EnsureCustomer(t.Context(), key, nil)
					sent := mailClient.Send(t.Context(), letter(key, "ada@client.example"))
					mu.Lock()
					if made.OK() {
						customers[made.Reference] = true
					}
					if sent.OK() {
						mails[sent.Reference] = true
					}
					enough := len(mails) >= 200*(round+1)
					mu.Unlock()
					if enough {
						_ = child.Process.Kill()
					}
					if !made.OK() || !sent.OK() {
						return
					}
				}
			})
		}
		load.Wait()
		_ = child.Wait()
	}
	w := &world{t: t, dir: dir, hooks: newReceiver(t), timeout: 5 * time.Second}
	w.open()
	defer w.close()
	booked := map[string]int{}
	for _, l := range w.ledger("mail") {
		booked[l.ID]++
	}
	for id := range mails {
		require.Equal(t, 1, booked[id])
	}
	for id := range customers {
		_, out := w.stripe.CreateSetup(t.Context(), stripe.SetupInput{IdemKey: "final" + id, Customer: id, SuccessURL: "http://kept.test/"})
		require.True(t, out.OK(), "%+v", out)
	}
	t.Logf("3 kills; %d mails and %d customers were answered, none was lost", len(mails), len(customers))
}
