package proof

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"time"

	"github.com/kept-practice/kept/internal/policy"
)

// ledger is the counterparty's book: what was really taken, given back and sent.
type ledger struct {
	read    bool
	charges []ledgerCharge
	refunds []ledgerRefund
	sent    []ledgerMessage
}

type ledgerCharge struct {
	ID       string
	Paid     bool              `json:"paid"`
	Captured int64             `json:"amount_captured"`
	Currency string            `json:"currency"`
	About    string            `json:"description"`
	Metadata map[string]string `json:"metadata"`
}

type ledgerRefund struct {
	Charge string `json:"charge"`
	Amount int64  `json:"amount"`
	Status string `json:"status"`
}

type ledgerMessage struct {
	ID       string
	At       time.Time
	Channel  string            `json:"channel"`
	Subject  string            `json:"subject"`
	Headers  map[string]string `json:"headers"`
	Args     map[string]string `json:"args"`
	Ref      policy.ID         `json:"-"` // our messages.id; zero when it is not one of ours
	Practice policy.ID         `json:"-"` // zero when the message does not say
}

// readLedger reads the whole book; an empty address is a book that is not compared.
func readLedger(ctx context.Context, base string) (ledger, error) {
	l := ledger{read: base != ""}
	if !l.read {
		return l, nil
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, strings.TrimRight(base, "/")+"/api/ledger", nil)
	if err != nil {
		return l, fmt.Errorf("the sandbox's address: %w", err)
	}
	reply, err := http.DefaultClient.Do(req)
	if err != nil {
		return l, fmt.Errorf("read the sandbox's ledger: %w", err)
	}
	defer func() { _ = reply.Body.Close() }() // read only
	if reply.StatusCode != http.StatusOK {
		return l, fmt.Errorf("read the sandbox's ledger: it answered %s", reply.Status)
	}
	lines := bufio.NewScanner(reply.Body)
	lines.Buffer(nil, 8<<20) // a mail is one line
	for lines.Scan() {
		if err := l.add(lines.Bytes()); err != nil {
			return l, fmt.Errorf("read the sandbox's ledger: %w", err)
		}
	}
	return l, lines.Err()
}

func (l *ledger) add(line []byte) error {
	var fact struct {
		At   time.Time       `json:"at"`
		Kind string          `json:"kind"`
		ID   string          `json:"id"`
		Data json.RawMessage `json:"data"`
	}
	if err := json.Unmarshal(line, &fact); err != nil {
		return err
	}
	switch fact.Kind {
	case "charge":
		c := ledgerCharge{ID: fact.ID}
		if err := json.Unmarshal(fact.Data, &c); err != nil {
			return err
		}
		l.charges = append(l.charges, c)
	case "refund":
		var r ledgerRefund
		if err := json.Unmarshal(fact.Data, &r); err != nil {
			return err
		}
		l.refunds = append(l.refunds, r)
	case "mail", "sms":
		m := ledgerMessage{ID: fact.ID}
		if err := json.Unmarshal(fact.Data, &m); err != nil {
			return err
		}
		m.At, m.Practice, m.Ref = fact.At, idOrZero(m.Args["practice"]), idOrZero(m.Args["message"])
		if m.Channel == policy.ChannelSMS {
			m.Ref = idOrZero(m.Args["ref"])
		}
		l.sent = append(l.sent, m)
	}
	return nil
}

// idOrZero reads one of our ids as the counterparty keeps it; what is none is zero, and judged as such.
func idOrZero(ref string) policy.ID {
	id, err := policy.ParseID(ref)
	if err != nil {
		return policy.ID{}
	}
	return id
}
