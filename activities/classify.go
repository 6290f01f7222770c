package activities

import (
	"context"

	"go.temporal.io/sdk/interceptor"
	"go.temporal.io/sdk/temporal"

	"github.com/kept-practice/kept/internal/policy"
)

// Classifier is the one place where an error's kind becomes Temporal's view of it: what the caller must change is not tried
// again, everything else is. It runs last, since a wrapped application error would lose its type. No inner text crosses
// into a history: codes only.
type Classifier struct {
	interceptor.WorkerInterceptorBase
}

// InterceptActivity wraps every activity of a worker.
func (Classifier) InterceptActivity(_ context.Context, next interceptor.ActivityInboundInterceptor) interceptor.ActivityInboundInterceptor {
	return &classifying{interceptor.ActivityInboundInterceptorBase{Next: next}}
}

type classifying struct {
	interceptor.ActivityInboundInterceptorBase
}

func (c *classifying) ExecuteActivity(ctx context.Context, in *interceptor.ExecuteActivityInput) (any, error) {
	out, err := c.Next.ExecuteActivity(ctx, in)
	if err == nil {
		return out, nil
	}
	kind, code := policy.KindOf(err), policy.CodeOf(err)
	if code == "" {
		code = string(kind)
	}
	return out, temporal.NewApplicationErrorWithOptions(code, string(kind), temporal.ApplicationErrorOptions{NonRetryable: !retried[kind]})
}

// retried lists the kinds of error that may pass by themselves.
var retried = map[policy.ErrorKind]bool{policy.Unavailable: true, policy.Throttled: true, policy.Internal: true, policy.Conflict: true}
