package policy

// PrincipalKind is who acts: a person of the staff, a program with an API key, a client behind a link, a gateway's event,
// or kept itself. It is also the actor kind of a journal entry.
type PrincipalKind string

const (
	ByStaff   PrincipalKind = "staff"
	ByKey     PrincipalKind = "key"
	ByClient  PrincipalKind = "client"
	ByGateway PrincipalKind = "gateway"
	BySystem  PrincipalKind = "system"
)

// Principal is the caller of a command. Role is empty for clients, gateways and the system: what they may do is bound
// by the link, the event or the step that brought them.
type Principal struct {
	Kind       PrincipalKind
	Practice   ID
	Staff      *ID // set for staff, and for keys that belong to a person
	Key        *ID
	Client     *ID
	Role       Role
	OnBehalfOf *ID
	RequestID  string
}

// System is kept acting for a practice.
func System(practice ID) Principal { return Principal{Kind: BySystem, Practice: practice} }

// Actor is the id that the journal names: the person where known, else the key or the client.
func (p Principal) Actor() *ID {
	switch p.Kind {
	case ByStaff:
		return p.Staff
	case ByKey:
		return p.Key
	case ByClient:
		return p.Client
	default:
		return nil
	}
}
