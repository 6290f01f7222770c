package policy

import "slices"

// Verbs of the journal that name a fact a plan may turn on. Every command writes exactly one entry for each change; verbs
// that ring nobody (a client's new name, a price from next month) are plain strings at their command.
const (
	VisitBooked     = "appointment_booked"
	VisitMoved      = "appointment_moved"
	VisitConfirmed  = "appointment_confirmed"
	VisitArrived    = "appointment_arrived"
	VisitRoomed     = "appointment_roomed"
	VisitStarted    = "appointment_started"
	VisitCompleted  = "appointment_completed"
	VisitNoShow     = "appointment_no_show"
	VisitCancelled  = "appointment_cancelled"
	VisitUndone     = "appointment_undone"
	PacketCompleted = "packet_completed"
	LinkAsked       = "fresh_link_asked"
	InvoiceVoided   = "invoice_voided"
	InvoiceSettled  = "invoice_paid"
	PaymentFailed   = "payment_failed"
	CardStored      = "payment_method_stored"
	OptedOut        = "client_opted_out"
	OptedIn         = "client_opted_in"
	ContactChanged  = "client_contact_changed"
	ClientEnded     = "client_status_changed"
	CadenceAdopted  = "cadence_adopted"
	StepOverridden  = "step_overridden"
	RecallMoved     = "recall_overridden"
	RecallEnded     = "recall_stopped"
	RecallDue       = "recall_started"
	RecallPlanned   = "recall_scheduled"
	FollowUpDue     = "collection_started"
	ChannelResumed  = "channel_resumed"
	EffectSettled   = "effect_settled"
	ZoneRulesMoved  = "zone_rules_changed"
)

// SubjectsOf names the subjects near a fact: a command fills in what it knows, the table picks.
type SubjectsOf struct {
	Practice    ID
	Journeys    []ID
	Collections []ID
	Recalls     []ID
}

// ringsKinds says which kinds of subject look again after a verb. Facts that cannot reopen a closed subject do not ring it;
// the command leaves such ids out.
var ringsKinds = map[string][]string{
	VisitBooked:     {KindJourney, KindRecall},
	VisitMoved:      {KindJourney},
	VisitConfirmed:  {KindJourney},
	VisitArrived:    {KindJourney},
	VisitRoomed:     {KindJourney},
	VisitStarted:    {KindJourney},
	VisitCompleted:  {KindJourney, KindRecall},
	VisitNoShow:     {KindJourney},
	VisitCancelled:  {KindJourney, KindRecall},
	VisitUndone:     {KindJourney, KindRecall},
	PacketCompleted: {KindJourney},
	LinkAsked:       {KindJourney},
	InvoiceVoided:   {KindJourney, KindCollection},
	InvoiceSettled:  {KindJourney, KindCollection},
	PaymentFailed:   {KindJourney, KindCollection},
	CardStored:      {KindJourney, KindCollection},
	OptedOut:        {KindJourney, KindCollection, KindRecall},
	OptedIn:         {KindJourney, KindCollection, KindRecall},
	ContactChanged:  {KindJourney, KindCollection, KindRecall},
	ClientEnded:     {KindJourney, KindCollection, KindRecall},
	CadenceAdopted:  {KindJourney},
	StepOverridden:  {KindJourney, KindCollection, KindRecall},
	RecallMoved:     {KindRecall},
	RecallEnded:     {KindRecall},
	RecallDue:       {KindRecall},
	RecallPlanned:   {KindRecall},
	FollowUpDue:     {KindCollection},
	ChannelResumed:  {KindJourney, KindCollection, KindRecall},
	EffectSettled:   {KindJourney, KindCollection, KindRecall},
	ZoneRulesMoved:  {KindJourney},
}

// Rings is the one table from journal verb to the subjects that get an outbox row.
func Rings(verb string, of SubjectsOf) []Subject {
	var out []Subject
	add := func(kind string, ids []ID) {
		if !slices.Contains(ringsKinds[verb], kind) {
			return
		}
		for _, id := range ids {
			out = append(out, Subject{Practice: of.Practice, Kind: kind, ID: id})
		}
	}
	add(KindJourney, of.Journeys)
	add(KindCollection, of.Collections)
	add(KindRecall, of.Recalls)
	return out
}

// RingingVerbs lists the table's verbs, for tests that walk it.
func RingingVerbs() []string {
	verbs := make([]string, 0, len(ringsKinds))
	for v := range ringsKinds {
		verbs = append(verbs, v)
	}
	slices.Sort(verbs)
	return verbs
}
