package fault

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/activity"
	"go.temporal.io/sdk/client"
	"go.temporal.io/sdk/interceptor"

	"github.com/kept-practice/kept/activities"
	"github.com/kept-practice/kept/internal/gateway"
	"github.com/kept-practice/kept/internal/gateway/mail"
	"github.com/kept-practice/kept/internal/gateway/sms"
	"github.com/kept-practice/kept/internal/gateway/stripe"
	"github.com/kept-practice/kept/internal/policy"
)

// Moment is what a process is about to do, or has just done, when it reports.
type Moment string

// The moments that a probe reports. Each blocks until the conductor answers.
const (
	AtRequest   Moment = "request"   // method and path of a request that is about to be handled
	AtCommit    Moment = "commit"    // names of the transaction's statements and verbs, about to be committed
	AtCommitted Moment = "committed" // the same, once PostgreSQL has answered
	AtRung      Moment = "rung"      // workflow id, once Temporal has accepted the ring
	AtBegin     Moment = "begin"     // activity, workflow id, step key
	AtCall      Moment = "call"      // the same, about to call the gateway
	AtCalled    Moment = "called"    // the same, once the gateway has answered
	AtReturned  Moment = "returned"  // activity that is over, Temporal not yet told
)

// Hit is one report.
type Hit struct {
	From     Process `json:"from"`
	At       Moment  `json:"at"`
	What     string  `json:"what"`
	Practice string  `json:"practice"` // "" where it is not known
}

// Probe reports a process's moments to a conductor and waits for its leave to go on.
type Probe struct {
	from Process
	url  string
	http *http.Client
}

// NewProbe reports as one process to the conductor at url.
func NewProbe(from Process, url string) *Probe {
	return &Probe{from, url, &http.Client{Timeout: time.Minute}}
}

// hit reports and waits. A conductor that has gone stops nobody.
func (p *Probe) hit(at Moment, practice, what string) {
	body, err := json.Marshal(Hit{p.from, at, what, practice})
	if err != nil {
		panic(err) // strings always marshal
	}
	reply, err := p.http.Post(p.url, "application/json", bytes.NewReader(body))
	if err == nil {
		_ = reply.Body.Close()
	}
}

// Requests reports every request before it is handled.
func (p *Probe) Requests(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		p.hit(AtRequest, "", r.Method+" "+r.URL.Path)
		next.ServeHTTP(w, r)
	})
}

// transaction is what a probe knows of the transaction that is open on a connection.
type transaction struct {
	practice string
	names    []string
}

// Statements is a pgx tracer that reports every commit.
type Statements struct{ probe *Probe }

// Statements reports every commit of a transaction, before and after.
func (p *Probe) Statements() *Statements { return &Statements{p} }

type committing struct{}

var (
	namePattern     = regexp.MustCompile(`^-- name: (\w+)`)
	practicePattern = regexp.MustCompile(`^begin; set local app.practice_id = '([0-9a-f-]+)'`)
)

const openTransaction = "kept.fault.transaction"

// TraceQueryStart notes the statement, or reports the commit that it is.
func (s *Statements) TraceQueryStart(ctx context.Context, conn *pgx.Conn, data pgx.TraceQueryStartData) context.Context {
	held := conn.PgConn().CustomData()
	if begun := practicePattern.FindStringSubmatch(data.SQL); begun != nil {
		held[openTransaction] = &transaction{practice: begun[1]}
		return ctx
	}
	open, ok := held[openTransaction].(*transaction)
	if !ok {
		return ctx
	}
	switch name := namePattern.FindStringSubmatch(data.SQL); {
	case data.SQL == "commit":
		delete(held, openTransaction)
		s.probe.hit(AtCommit, open.practice, open.String())
		return context.WithValue(ctx, committing{}, open)
	case data.SQL == "rollback":
		delete(held, openTransaction)
	case name != nil:
		open.note(name[1], data.Args)
	}
	return ctx
}

// TraceQueryEnd reports a commit that PostgreSQL has answered.
func (s *Statements) TraceQueryEnd(ctx context.Context, _ *pgx.Conn, data pgx.TraceQueryEndData) {
	if open, ok := ctx.Value(committing{}).(*transaction); ok && data.Err == nil {
		s.probe.hit(AtCommitted, open.practice, open.String())
	}
}

func (t *transaction) note(name string, args []any) {
	t.names = append(t.names, name)
	if name == "JournalInsert" {
		for _, a := range args {
			if verb, ok := a.(string); ok && strings.Contains(verb, "_") && !slices.Contains(t.names, verb) {
				t.names = append(t.names, verb)
			}
		}
	}
}

func (t *transaction) String() string { return strings.Join(t.names, " ") }

// Rings is a client interceptor that reports every ring that Temporal has accepted.
func (p *Probe) Rings() interceptor.ClientInterceptor { return &rings{probe: p} }

type rings struct {
	interceptor.ClientInterceptorBase
	probe *Probe
}

func (r *rings) InterceptClient(next interceptor.ClientOutboundInterceptor) interceptor.ClientOutboundInterceptor {
	return &ringing{interceptor.ClientOutboundInterceptorBase{Next: next}, r.probe}
}

type ringing struct {
	interceptor.ClientOutboundInterceptorBase
	probe *Probe
}

func (r *ringing) SignalWithStartWorkflow(ctx context.Context, in *interceptor.ClientSignalWithStartWorkflowInput) (client.WorkflowRun, error) {
	run, err := r.Next.SignalWithStartWorkflow(ctx, in)
	if s, ok := in.Args[0].(policy.Subject); ok && err == nil {
		r.probe.hit(AtRung, s.Practice.String(), s.WorkflowID())
	}
	return run, err
}

// Steps is a worker interceptor that reports the beginning and the end of every plan and step.
func (p *Probe) Steps() interceptor.WorkerInterceptor { return &steps{probe: p} }

type steps struct {
	interceptor.WorkerInterceptorBase
	probe *Probe
}

func (s *steps) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &stepping{interceptor.ActivityInboundInterceptorBase{Next: next}, s.probe}
}

type stepping struct {
	interceptor.ActivityInboundInterceptorBase
	probe *Probe
}

type stepKey struct{}

func (s *stepping) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (out any, err error) {
	what, practice := activity.GetInfo(ctx).ActivityType.Name, ""
	for _, a := range in.Args {
		switch a := a.(type) {
		case policy.Subject:
			what, practice = what+" "+a.WorkflowID(), a.Practice.String()
		case policy.Step:
			what += " " + a.Key
		}
	}
	err = s.probe.step(ctx, practice, what, func(ctx context.Context) error {
		out, err = s.Next.ExecuteActivity(ctx, in)
		return err
	})
	return out, err
}

// Step reports the beginning and the end of a step that runs without Temporal.
func (p *Probe) Step(ctx context.Context, s policy.Subject, step policy.Step, do func(context.Context) error) error {
	return p.step(ctx, s.Practice.String(), step.Kind+" "+s.WorkflowID()+" "+step.Key, do)
}

func (p *Probe) step(ctx context.Context, practice, what string, do func(context.Context) error) error {
	p.hit(AtBegin, practice, what)
	err := do(context.WithValue(ctx, stepKey{}, [2]string{practice, what}))
	p.hit(AtReturned, practice, what)
	return err
}

// Gateways reports every call that changes something at a gateway, before and after.
func (p *Probe) Gateways(o activities.Options) activities.Options {
	o.Mail, o.SMS, o.Cards = &mails{o.Mail, p}, &texts{o.SMS, p}, &cards{o.Cards, p}
	return o
}

func (p *Probe) around(ctx context.Context, call string, do func() gateway.Outcome) gateway.Outcome {
	practice := ""
	if step, ok := ctx.Value(stepKey{}).([2]string); ok {
		practice, call = step[0], step[1]
	}
	p.hit(AtCall, practice, call)
	out := do()
	p.hit(AtCalled, practice, fmt.Sprintf("%s %s", call, out.State))
	return out
}

type mails struct {
	activities.Mailer
	probe *Probe
}

func (m *mails) Send(ctx context.Context, in mail.Message) gateway.Outcome {
	return m.probe.around(ctx, "SendMail", func() gateway.Outcome { return m.Mailer.Send(ctx, in) })
}

type texts struct {
	activities.Texter
	probe *Probe
}

func (t *texts) Send(ctx context.Context, in sms.Message) gateway.Outcome {
	return t.probe.around(ctx, "SendSMS", func() gateway.Outcome { return t.Texter.Send(ctx, in) })
}

type cards struct {
	activities.Cards
	probe *Probe
}

func (c *cards) ChargeOffSession(ctx context.Context, in stripe.ChargeInput) (paid stripe.Payment, out gateway.Outcome) {
	out = c.probe.around(ctx, "ChargeCard", func() (o gateway.Outcome) {
		paid, o = c.Cards.ChargeOffSession(ctx, in)
		return o
	})
	return paid, out
}

func (c *cards) CreateCheckout(ctx context.Context, in stripe.CheckoutInput) (page stripe.Checkout, out gateway.Outcome) {
	out = c.probe.around(ctx, "CreateCheckout", func() (o gateway.Outcome) {
		page, o = c.Cards.CreateCheckout(ctx, in)
		return o
	})
	return page, out
}
