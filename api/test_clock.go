package api

import (
	"context"

	"github.com/kept-practice/kept/db"
	"github.com/kept-practice/kept/internal/desk"
)

// TestClockView is the clock of a test practice.
type TestClockView struct {
	NowAt    Instant  `json:"now_at"`
	NowLocal string   `json:"now_local" doc:"now_at on the practice's clock." example:"2026-03-09T14:00:00"`
	Zone     string   `json:"zone" example:"America/New_York"`
	Status   string   `json:"status" enum:"ready,advancing,stuck" doc:"ready: it stands and everything due has happened. advancing: writes are refused. stuck: something did not settle in 30 s; advance again to go on."`
	TargetAt *Instant `json:"target_at,omitempty" doc:"Where it is going, while it is not ready."`
	StuckOn  string   `json:"stuck_on,omitempty" doc:"What did not settle."`
	Steps    int32    `json:"steps" doc:"Instants it has stopped at in its life."`
}

// AdvanceInput says how far: give exactly one.
type AdvanceInput struct {
	To      string `json:"to,omitempty" maxLength:"40" example:"2026-09-09T14:00" doc:"RFC 3339 with its offset, or YYYY-MM-DDTHH:MM on the practice's clock."`
	By      string `json:"by,omitempty" maxLength:"40" example:"P6M" doc:"An ISO 8601 period from now: days and longer follow the calendar, hours and shorter elapse."`
	Seconds int64  `json:"seconds,omitempty" minimum:"1" maximum:"100000000"`
}

func (s *Server) getTestClock(ctx context.Context, _ *inputless) (*reply[TestClockView], error) {
	practice := callerOf(ctx).Practice
	row, err := s.deps.Store.In(practice).ClockByPractice(ctx, practice)
	if db.NoRows(err) {
		return nil, desk.NoTestClock()
	}
	if err != nil {
		return nil, err
	}
	return s.testClockReply(ctx, row)
}

func (s *Server) advanceTestClock(ctx context.Context, in *struct{ Body AdvanceInput }) (*reply[TestClockView], error) {
	row, err := s.deps.Desk.AdvanceClock(ctx, callerOf(ctx).Principal, desk.AdvanceInput{To: in.Body.To, By: in.Body.By, Seconds: in.Body.Seconds})
	if err != nil {
		return nil, err
	}
	return s.testClockReply(ctx, row)
}

func (s *Server) testClockReply(ctx context.Context, row db.ClockByPracticeRow) (*reply[TestClockView], error) {
	practice, err := s.deps.Store.In(row.PracticeID).PracticeRead(ctx, row.PracticeID)
	if err != nil {
		return nil, err
	}
	wall, err := local(row.NowAt, practice.Zone)
	if err != nil {
		return nil, err
	}
	view := TestClockView{NowAt: at(row.NowAt), NowLocal: wall, Zone: practice.Zone, Status: row.Status, StuckOn: row.StuckOn, Steps: row.Steps}
	if row.Status != "ready" {
		view.TargetAt = atOrNil(&row.TargetAt)
	}
	return &reply[TestClockView]{Body: view}, nil
}
