package api

import (
	"github.com/kept-practice/kept/internal/desk"
	"github.com/kept-practice/kept/internal/policy"
)

// AffectedView is a visit that a change of the calendar leaves without its hours, room, provider or service.
type AffectedView struct {
	AppointmentID ID[appointmentKind] `json:"appointment_id"`
	ClientID      ID[clientKind]      `json:"client_id"`
	ProviderID    ID[providerKind]    `json:"provider_id"`
	LocationID    ID[locationKind]    `json:"location_id"`
	StartsAt      Instant             `json:"starts_at"`
}

func affectedViews(rows []desk.Affected) []AffectedView {
	return convert(rows, func(a desk.Affected) AffectedView {
		return AffectedView{
			AppointmentID: ID[appointmentKind](a.Appointment), ClientID: ID[clientKind](a.Client), ProviderID: ID[providerKind](a.Provider),
			LocationID: ID[locationKind](a.Location), StartsAt: at(a.StartsAt),
		}
	})
}

// wireFacts gives the facts of a conflict the form that they have on the wire.
func wireFacts(facts map[string]any) map[string]any {
	if facts == nil {
		return nil
	}
	out := make(map[string]any, len(facts))
	for name, fact := range facts {
		out[name] = fact
		switch fact := fact.(type) {
		case []desk.Affected:
			out[name] = affectedViews(fact)
		case *policy.ID:
			if name == "owner" {
				out[name] = idOrNil[staffKind](fact)
			}
		case policy.ID:
			switch name {
			case "shift":
				out[name] = ID[shiftKind](fact)
			case "next_appointment":
				out[name] = ID[appointmentKind](fact)
			case "location":
				out[name] = ID[locationKind](fact)
			case "service":
				out[name] = ID[serviceKind](fact)
			case "version":
				out[name] = ID[cadenceVersionKind](fact)
			}
		}
	}
	return out
}
