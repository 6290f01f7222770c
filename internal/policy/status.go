package policy

import (
	"fmt"
	"strings"
)

// Status is where an appointment stands.
type Status string

const (
	StatusRequested     Status = "requested"     // waits for the practice's yes; holds its slot
	StatusBooked        Status = "booked"        // the practice promised it
	StatusConfirmed     Status = "confirmed"     // the client said they come
	StatusArrived       Status = "arrived"       // checked in
	StatusRoomed        Status = "roomed"        // waits in the room
	StatusWithProvider  Status = "with_provider" // has begun
	StatusCompleted     Status = "completed"     // took place
	StatusNoShow        Status = "no_show"       // nobody came
	StatusCancelled     Status = "cancelled"
	StatusLateCancelled Status = "late_cancelled" // cancelled inside the window that owes a fee
	StatusDeclined      Status = "declined"       // the practice said no to a request
	StatusExpired       Status = "expired"        // nobody answered a request in time
)

// StatusVerb is what someone does to an appointment. Undo is none of them: it restores the status before (see CanUndo).
type StatusVerb string

const (
	VerbApprove      StatusVerb = "approve"
	VerbConfirm      StatusVerb = "confirm"
	VerbArrive       StatusVerb = "arrive"
	VerbRoom         StatusVerb = "room"
	VerbStart        StatusVerb = "start"
	VerbComplete     StatusVerb = "complete"
	VerbNoShow       StatusVerb = "no_show"
	VerbCancel       StatusVerb = "cancel"
	VerbCancelLate   StatusVerb = "cancel_late"
	VerbDecline      StatusVerb = "decline"
	VerbExpire       StatusVerb = "expire"
	VerbMoveByClient StatusVerb = "move_by_client" // the client chose the new time, so a confirmation stands
	VerbMoveByStaff  StatusVerb = "move_by_staff"  // the client has to confirm the new time
)

// statusMoves is the whole table: what is not in it is illegal. A practice without a waiting room may start or complete
// a visit that nobody checked in.
var statusMoves = map[StatusVerb]map[Status]Status{
	VerbApprove: {StatusRequested: StatusBooked},
	VerbDecline: {StatusRequested: StatusDeclined},
	VerbExpire:  {StatusRequested: StatusExpired},
	VerbConfirm: {StatusBooked: StatusConfirmed},
	VerbArrive:  {StatusBooked: StatusArrived, StatusConfirmed: StatusArrived},
	VerbRoom:    {StatusArrived: StatusRoomed},
	VerbStart: {
		StatusBooked: StatusWithProvider, StatusConfirmed: StatusWithProvider, StatusArrived: StatusWithProvider, StatusRoomed: StatusWithProvider,
	},
	VerbComplete: {
		StatusBooked: StatusCompleted, StatusConfirmed: StatusCompleted, StatusArrived: StatusCompleted, StatusRoomed: StatusCompleted,
		StatusWithProvider: StatusCompleted,
	},
	VerbNoShow: {StatusBooked: StatusNoShow, StatusConfirmed: StatusNoShow},
	VerbCancel: {
		StatusRequested: StatusCancelled, StatusBooked: StatusCancelled, StatusConfirmed: StatusCancelled, StatusArrived: StatusCancelled,
		StatusRoomed: StatusCancelled,
	},
	VerbCancelLate:   {StatusBooked: StatusLateCancelled, StatusConfirmed: StatusLateCancelled},
	VerbMoveByClient: {StatusRequested: StatusRequested, StatusBooked: StatusBooked, StatusConfirmed: StatusConfirmed},
	VerbMoveByStaff:  {StatusRequested: StatusRequested, StatusBooked: StatusBooked, StatusConfirmed: StatusBooked},
}

// verbWords are how a refused verb reads in a sentence: "An appointment that is completed cannot be …".
var verbWords = map[StatusVerb]string{
	VerbApprove: "approved", VerbConfirm: "confirmed", VerbArrive: "checked in", VerbRoom: "roomed", VerbStart: "started", VerbComplete: "completed",
	VerbNoShow: "marked as a no-show", VerbCancel: "cancelled", VerbCancelLate: "cancelled late", VerbDecline: "declined", VerbExpire: "expired",
	VerbMoveByClient: "moved", VerbMoveByStaff: "moved",
}

// Move gives the status after a verb. An illegal verb is a Conflict, illegal_status, with the present status and the verbs that are
// possible now in its Facts; a repeat is illegal too, so the caller answers it before asking.
func Move(from Status, verb StatusVerb) (Status, error) {
	if to, ok := statusMoves[verb][from]; ok {
		return to, nil
	}
	word, known := verbWords[verb]
	if !known {
		return "", NewError(Invalid, "unknown_verb", "There is no such step for an appointment.")
	}
	err := NewError(Conflict, "illegal_status", fmt.Sprintf("An appointment that is %s cannot be %s.", from.words(), word))
	err.Facts = map[string]any{"status": from, "possible": StatusVerbsFrom(from)}
	return "", err
}

// StatusVerbsFrom lists the verbs that are legal now, in the order of AllStatusVerbs.
func StatusVerbsFrom(from Status) []StatusVerb {
	possible := []StatusVerb{}
	for _, verb := range AllStatusVerbs() {
		if _, ok := statusMoves[verb][from]; ok {
			possible = append(possible, verb)
		}
	}
	return possible
}

// Live tells a status that holds its slot: the visit is still to come or under way.
func Live(s Status) bool {
	switch s {
	case StatusRequested, StatusBooked, StatusConfirmed, StatusArrived, StatusRoomed, StatusWithProvider:
		return true
	default:
		return false
	}
}

// Terminal tells a status that no verb leaves; undo may, within its window.
func Terminal(s Status) bool {
	switch s {
	case StatusCompleted, StatusNoShow, StatusCancelled, StatusLateCancelled, StatusDeclined, StatusExpired:
		return true
	default:
		return false
	}
}

// CanUndo tells whether the last verb can be taken back from this status: what a person or a rule of the house did. A request and a
// booking are ended by cancelling, and an expired request is asked for again.
func CanUndo(s Status) bool {
	switch s {
	case StatusConfirmed, StatusArrived, StatusRoomed, StatusWithProvider, StatusCompleted, StatusNoShow, StatusCancelled, StatusLateCancelled, StatusDeclined:
		return true
	default:
		return false
	}
}

// words is the status as it reads in a sentence.
func (s Status) words() string {
	if s == StatusNoShow {
		return "a no-show"
	}
	return strings.ReplaceAll(string(s), "_", " ")
}

// AllStatuses lists every status in the order of a visit's life.
func AllStatuses() []Status {
	return []Status{
		StatusRequested, StatusBooked, StatusConfirmed, StatusArrived, StatusRoomed, StatusWithProvider, StatusCompleted, StatusNoShow,
		StatusCancelled, StatusLateCancelled, StatusDeclined, StatusExpired,
	}
}

// AllStatusVerbs lists every verb in the order of a visit's life.
func AllStatusVerbs() []StatusVerb {
	return []StatusVerb{
		VerbApprove, VerbConfirm, VerbArrive, VerbRoom, VerbStart, VerbComplete, VerbNoShow, VerbCancel, VerbCancelLate, VerbDecline, VerbExpire,
		VerbMoveByClient, VerbMoveByStaff,
	}
}
