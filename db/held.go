package db

import (
	"context"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/kept-practice/kept/internal/policy"
)

// Held is one transaction that a request keeps open over all its commands, so that what answers the request (its stored reply)
// commits together with what it did, or not at all. It begins with the first command; until then, and after a command that
// failed first, reads are plain ones. For one goroutine at a time.
type Held struct {
	store    *Store
	practice policy.ID
	tx       pgx.Tx
}

type heldKey struct{}

// Hold returns a context under which every InPractice of the practice takes part in one transaction and every statement of In
// sees it. The caller ends it with Commit or Rollback. Nothing under this context may wait for a gateway.
func (s *Store) Hold(ctx context.Context, practice policy.ID) (context.Context, *Held) {
	h := &Held{store: s, practice: practice}
	return context.WithValue(ctx, heldKey{}, h), h
}

// heldIn is the transaction that this context keeps for the practice, nil when there is none.
func heldIn(ctx context.Context, practice policy.ID) *Held {
	if h, ok := ctx.Value(heldKey{}).(*Held); ok && h.practice == practice {
		return h
	}
	return nil
}

// Begun tells whether a command has succeeded, so that there is something to commit.
func (h *Held) Begun() bool { return h.tx != nil }

// Commit runs the last statements and commits. An error means that nothing was kept, unless the connection broke while the
// server committed.
func (h *Held) Commit(ctx context.Context, last func(*Tx) error) error {
	if err := last(&Tx{Queries: New(h.tx), tx: h.tx, Practice: h.practice}); err != nil {
		return classify(err)
	}
	tx := h.tx
	h.tx = nil
	return classify(tx.Commit(ctx))
}

// Rollback undoes every command; it does nothing after Commit.
func (h *Held) Rollback(ctx context.Context) error {
	if h.tx == nil {
		return nil
	}
	tx := h.tx
	h.tx = nil
	if err := tx.Rollback(ctx); err != nil {
		return fmt.Errorf("roll a request back: %w", err)
	}
	return nil
}

// run carries out one command. The first begins the transaction; each later one is a savepoint, so that its failure leaves the
// earlier ones alone.
func (h *Held) run(ctx context.Context, fn func(*Tx) error) error {
	if h.tx != nil {
		return pgx.BeginFunc(ctx, h.tx, func(tx pgx.Tx) error { return fn(&Tx{Queries: New(tx), tx: tx, Practice: h.practice}) })
	}
	tx, err := h.store.app.BeginTx(ctx, beginIn(h.practice))
	if err != nil {
		return err
	}
	defer func() {
		if h.tx == nil {
			_ = tx.Rollback(context.WithoutCancel(ctx)) // the command's own error counts; a broken connection rolls back by itself
		}
	}()
	if err := fn(&Tx{Queries: New(tx), tx: tx, Practice: h.practice}); err != nil {
		return err
	}
	h.tx = tx
	return nil
}
