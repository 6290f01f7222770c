package main

import (
	"net/http"

	"github.com/jackc/pgx/v5"
	"go.temporal.io/sdk/interceptor"

	"github.com/kept-practice/kept/activities"
)

// seams are where a process can be watched, and stopped, between two of its steps. kept itself leaves them empty; the fault
// tests, whose binary plays kept, fill them before main.
var seams struct {
	statements pgx.QueryTracer
	rings      []interceptor.ClientInterceptor
	steps      []interceptor.WorkerInterceptor
	gateways   func(activities.Options) activities.Options
	requests   func(http.Handler) http.Handler
}
