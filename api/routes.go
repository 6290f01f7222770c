package api

import (
	"net/http"

	"github.com/kept-practice/kept/internal/policy"
)

const (
	get   = http.MethodGet
	post  = http.MethodPost
	put   = http.MethodPut
	patch = http.MethodPatch
	del   = http.MethodDelete
)

// routes is every operation under /v1, by who may enter. All of them ask for an API key; the permission decides who may go on.
func (s *Server) routes(r *operations) {
	// Everyone on the staff.
	operation(r, get, "/v1/practice", policy.SettingsRead, spec{ID: "get-practice", Tag: "Practice", Summary: "Read the practice"}, s.getPractice)
	operation(r, get, "/v1/locations", policy.SettingsRead, spec{ID: "list-locations", Tag: "Practice", Summary: "List the locations"}, s.listLocations)
	operation(r, get, "/v1/locations/{id}", policy.SettingsRead, spec{ID: "get-location", Tag: "Practice", Summary: "Read a location"}, s.getLocation)

	// Whoever looks after clients; a provider sees those of their own visits. Reading one is noted in the journal.
	operation(r, get, "/v1/clients", policy.ClientsRead, spec{ID: "list-clients", Tag: "Clients", Summary: "List clients"}, s.listClients)
	operation(r, get, "/v1/clients/{id}", policy.ClientsRead, spec{ID: "get-client", Tag: "Clients", Summary: "Read a client"}, s.getClient)

	s.setupRoutes(r)
	s.visitRoutes(r)
}

// publicRoutes are open to everyone and say nothing about any practice.
func (s *Server) publicRoutes() error {
	s.engine.GET("/livez", s.livez)
	s.engine.GET("/readyz", s.readyz)
	return s.docsRoutes()
}
