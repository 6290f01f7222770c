package api

import (
	"net/http"

	"github.com/kept-practice/kept/internal/policy"
)

// setupRoutes are what a practice is made of: settings, words, people, keys, clients, services, calendars, cadences, messages.
func (s *Server) setupRoutes(r *operations) {
	s.practiceRoutes(r)
	s.clientRoutes(r)
	s.catalogueRoutes(r)
	s.calendarRoutes(r)
	s.cadenceRoutes(r)
}

const created = http.StatusCreated

func (s *Server) practiceRoutes(r *operations) {
	// Everyone reads; managers and owners change.
	operation(r, patch, "/v1/practice", policy.SettingsWrite, spec{ID: "update-practice", Tag: "Practice", Summary: "Change the practice"}, s.updatePractice)
	operation(r, post, "/v1/locations", policy.SettingsWrite, spec{ID: "create-location", Tag: "Practice", Summary: "Add a location", Status: created}, s.createLocation)
	operation(r, patch, "/v1/locations/{id}", policy.SettingsWrite, spec{ID: "update-location", Tag: "Practice", Summary: "Change a location"}, s.updateLocation)
	operation(r, post, "/v1/locations/{id}/archive", policy.SettingsWrite, spec{
		ID: "archive-location", Tag: "Practice", Summary: "Close a location for good", About: "With visits ahead: 409 location_in_use and the list.",
	}, s.archiveLocation)
	operation(r, post, "/v1/locations/{id}/restore", policy.SettingsWrite, spec{ID: "restore-location", Tag: "Practice", Summary: "Bring an archived location back"}, s.restoreLocation)

	operation(r, get, "/v1/settings", policy.SettingsRead, spec{
		ID: "list-settings", Tag: "Settings", Summary: "Read what counts",
		About: "Every setting with its effective value and the level it comes from, for the practice or for a location, service and provider.",
	}, s.listSettings)
	operation(r, get, "/v1/settings/written", policy.SettingsRead, spec{
		ID: "list-written-settings", Tag: "Settings", Summary: "Read what is written", About: "Every value that was written, on every level, with its version.",
	}, s.listWrittenSettings)
	operation(r, put, "/v1/settings/{key}", policy.SettingsWrite, spec{ID: "put-setting", Tag: "Settings", Summary: "Write a setting on a level"}, s.putSetting)
	operation(r, del, "/v1/settings/{key}", policy.SettingsWrite, spec{
		ID: "delete-setting", Tag: "Settings", Summary: "Take a setting back", About: "The level above, or the default, counts again.", Status: http.StatusNoContent,
	}, s.deleteSetting)
	operation(r, get, "/v1/vocabulary", policy.SettingsRead, spec{ID: "list-words", Tag: "Settings", Summary: "List the practice's own words"}, s.listWords)
	operation(r, put, "/v1/vocabulary/{term}", policy.SettingsWrite, spec{ID: "put-word", Tag: "Settings", Summary: "Call something by another word"}, s.putWord)
	operation(r, del, "/v1/vocabulary/{term}", policy.SettingsWrite, spec{ID: "delete-word", Tag: "Settings", Summary: "Take a word back", Status: http.StatusNoContent}, s.deleteWord)

	operation(r, get, "/v1/staff", policy.StaffRead, spec{ID: "list-staff", Tag: "Staff", Summary: "List the staff"}, s.listStaff)
	operation(r, get, "/v1/staff/{id}", policy.StaffRead, spec{ID: "get-staff", Tag: "Staff", Summary: "Read a member of the staff"}, s.getStaff)
	operation(r, post, "/v1/staff", policy.StaffWrite, spec{
		ID: "add-staff", Tag: "Staff", Summary: "Take a person on", About: "Nobody gives a role that can do more than their own: 403.", Status: created,
	}, s.addStaff)
	operation(r, patch, "/v1/staff/{id}", policy.StaffWrite, spec{
		ID: "update-staff", Tag: "Staff", Summary: "Change a member of the staff", About: "The last owner stays one: 403.",
	}, s.updateStaff)
	operation(r, post, "/v1/staff/{id}/archive", policy.StaffWrite, spec{
		ID: "archive-staff", Tag: "Staff", Summary: "Let a person go", About: "Their API keys end at once.",
	}, s.archiveStaff)
	operation(r, post, "/v1/staff/{id}/restore", policy.StaffWrite, spec{ID: "restore-staff", Tag: "Staff", Summary: "Take a person back on"}, s.restoreStaff)

	operation(r, get, "/v1/api-keys", policy.KeysWrite, spec{ID: "list-api-keys", Tag: "API keys", Summary: "List the API keys", About: "Revoked ones included."}, s.listKeys)
	operation(r, post, "/v1/api-keys", policy.KeysWrite, spec{
		ID: "create-api-key", Tag: "API keys", Summary: "Make an API key", About: "The key is in this reply alone.", Status: created, Secret: true,
	}, s.createKey)
	operation(r, post, "/v1/api-keys/{id}/revoke", policy.KeysWrite, spec{ID: "revoke-api-key", Tag: "API keys", Summary: "End an API key at once"}, s.revokeKey)
}

func (s *Server) clientRoutes(r *operations) {
	// Whoever looks after clients; a provider changes those of their own visits.
	operation(r, post, "/v1/clients", policy.ClientsWrite, spec{ID: "create-client", Tag: "Clients", Summary: "Add a client", Status: created}, s.createClient)
	operation(r, post, "/v1/clients/search", policy.ClientsRead, spec{
		ID: "search-clients", Tag: "Clients", Summary: "Find clients",
		About: "By a name as it was heard, a phone, a mail address, a birthday, or one text that may be any of them. Best first; who was shown stands in the journal.",
	}, s.searchClients)
	operation(r, patch, "/v1/clients/{id}", policy.ClientsWrite, spec{ID: "update-client", Tag: "Clients", Summary: "Change a client"}, s.updateClient)
	operation(r, post, "/v1/clients/{id}/archive", policy.ClientsWrite, spec{
		ID: "archive-client", Tag: "Clients", Summary: "Put a client aside", About: "With visits ahead: 409 client_in_use. A PATCH of the status brings them back.",
	}, s.archiveClient)
	operation(r, post, "/v1/clients/{id}/erase", policy.SettingsWrite, spec{
		ID: "erase-client", Tag: "Clients", Summary: "Erase who a client was", Status: http.StatusNoContent,
		About: "Name, birthday, addresses and links go for ever; visits, books and journal keep their rows. With visits ahead: 409 client_in_use.",
	}, s.eraseClient)
	operation(r, post, "/v1/clients/{id}/contact-points", policy.ClientsWrite, spec{
		ID: "add-contact-point", Tag: "Clients", Summary: "Give a client an address", About: "The newest of a channel is the one in use.", Status: created,
	}, s.addContact)
	operation(r, post, "/v1/clients/{id}/contact-points/{contact_point_id}/close", policy.ClientsWrite, spec{
		ID: "close-contact-point", Tag: "Clients", Summary: "Take an address out of use", About: "Links that went to it end.",
	}, s.closeContact)
	operation(r, post, "/v1/clients/{id}/contact-points/{contact_point_id}/opt-out", policy.ClientsWrite, spec{
		ID: "opt-out", Tag: "Clients", Summary: "Stop messages to an address", About: "For everybody in the practice who has it. Saying it again changes nothing.",
	}, s.optOut)
	operation(r, post, "/v1/clients/{id}/contact-points/{contact_point_id}/opt-in", policy.ClientsWrite, spec{
		ID: "opt-in", Tag: "Clients", Summary: "Take every opt-out of an address back",
	}, s.optIn)
	operation(r, post, "/v1/clients/{id}/consents", policy.ClientsWrite, spec{
		ID: "record-consent", Tag: "Clients", Summary: "Record what a client agreed to or withdrew", About: "The latest counts.", Status: http.StatusNoContent,
	}, s.recordConsent)
}

func (s *Server) catalogueRoutes(r *operations) {
	operation(r, get, "/v1/services", policy.ServicesRead, spec{ID: "list-services", Tag: "Services", Summary: "List the services in use"}, s.listServices)
	operation(r, get, "/v1/services/{id}", policy.ServicesRead, spec{ID: "get-service", Tag: "Services", Summary: "Read a service"}, s.getService)
	operation(r, post, "/v1/services", policy.ServicesWrite, spec{ID: "create-service", Tag: "Services", Summary: "Add a service", Status: created}, s.createService)
	operation(r, patch, "/v1/services/{id}", policy.ServicesWrite, spec{
		ID: "update-service", Tag: "Services", Summary: "Change a service", About: "Bookings that stand keep their time.",
	}, s.updateService)
	operation(r, post, "/v1/services/{id}/archive", policy.ServicesWrite, spec{
		ID: "archive-service", Tag: "Services", Summary: "Take a service out of the catalogue", About: "With visits ahead: 409 service_in_use and the list.",
	}, s.archiveService)
	operation(r, get, "/v1/services/{id}/prices", policy.ServicesRead, spec{ID: "list-prices", Tag: "Services", Summary: "List a service's prices, past and to come"}, s.listPrices)
	operation(r, post, "/v1/services/{id}/prices", policy.ServicesWrite, spec{
		ID: "set-price", Tag: "Services", Summary: "Set a price from a day on", About: "Prices are dated and never overwritten.", Status: created,
	}, s.setPrice)

	operation(r, get, "/v1/providers", policy.ServicesRead, spec{ID: "list-providers", Tag: "Providers and resources", Summary: "List the providers in use"}, s.listProviders)
	operation(r, get, "/v1/providers/{id}", policy.ServicesRead, spec{ID: "get-provider", Tag: "Providers and resources", Summary: "Read a provider"}, s.getProvider)
	operation(r, post, "/v1/providers", policy.ServicesWrite, spec{ID: "create-provider", Tag: "Providers and resources", Summary: "Add a provider", Status: created}, s.createProvider)
	operation(r, patch, "/v1/providers/{id}", policy.ServicesWrite, spec{ID: "update-provider", Tag: "Providers and resources", Summary: "Change a provider"}, s.updateProvider)
	operation(r, post, "/v1/providers/{id}/archive", policy.ServicesWrite, spec{
		ID: "archive-provider", Tag: "Providers and resources", Summary: "Take a provider out of use", About: "With visits ahead: 409 resource_in_use and the list.",
	}, s.archiveProvider)
	operation(r, get, "/v1/resources", policy.ServicesRead, spec{ID: "list-resources", Tag: "Providers and resources", Summary: "List the rooms and equipment in use"}, s.listResources)
	operation(r, get, "/v1/resources/{id}", policy.ServicesRead, spec{ID: "get-resource", Tag: "Providers and resources", Summary: "Read a room or piece of equipment"}, s.getResource)
	operation(r, post, "/v1/resources", policy.ServicesWrite, spec{
		ID: "create-resource", Tag: "Providers and resources", Summary: "Add a room or piece of equipment", Status: created,
	}, s.createResource)
	operation(r, patch, "/v1/resources/{id}", policy.ServicesWrite, spec{
		ID: "update-resource", Tag: "Providers and resources", Summary: "Change a room or piece of equipment",
	}, s.updateResource)
	operation(r, post, "/v1/resources/{id}/archive", policy.ServicesWrite, spec{
		ID: "archive-resource", Tag: "Providers and resources", Summary: "Take a room or piece of equipment out of use", About: "With visits ahead: 409 resource_in_use and the list.",
	}, s.archiveResource)
}

func (s *Server) calendarRoutes(r *operations) {
	operation(r, get, "/v1/shifts", policy.ServicesRead, spec{ID: "list-shifts", Tag: "Working hours", Summary: "List weekly hours"}, s.listShifts)
	operation(r, post, "/v1/shifts", policy.ServicesWrite, spec{ID: "create-shift", Tag: "Working hours", Summary: "Give a provider weekly hours", Status: created}, s.createShift)
	operation(r, post, "/v1/shifts/{id}/change", policy.ServicesWrite, spec{
		ID: "change-shift", Tag: "Working hours", Summary: "Change weekly hours from a day on", About: "Visits left outside hours: 409 hours_in_use and the list, unless force is said.",
	}, s.changeShift)
	operation(r, post, "/v1/shifts/{id}/end", policy.ServicesWrite, spec{
		ID: "end-shift", Tag: "Working hours", Summary: "End weekly hours from a day on", About: "Visits left outside hours: 409 hours_in_use and the list, unless force is said.",
	}, s.endShift)
	operation(r, get, "/v1/closures", policy.ServicesRead, spec{ID: "list-closures", Tag: "Working hours", Summary: "List closures under way and to come"}, s.listClosures)
	operation(r, post, "/v1/closures", policy.ServicesWrite, spec{
		ID: "create-closure", Tag: "Working hours", Summary: "Close a calendar for a while", About: "Visits that stand in it stay; the reply lists them.", Status: created,
	}, s.createClosure)
	operation(r, post, "/v1/closures/{id}/lift", policy.ServicesWrite, spec{
		ID: "lift-closure", Tag: "Working hours", Summary: "Open a calendar again", Status: http.StatusNoContent,
	}, s.liftClosure)
}

func (s *Server) cadenceRoutes(r *operations) {
	operation(r, get, "/v1/cadences", policy.CadencesRead, spec{ID: "list-cadences", Tag: "Cadences", Summary: "List the cadences in use"}, s.listCadences)
	operation(r, get, "/v1/cadences/{id}", policy.CadencesRead, spec{ID: "get-cadence", Tag: "Cadences", Summary: "Read a cadence"}, s.getCadence)
	operation(r, post, "/v1/cadences", policy.CadencesWrite, spec{
		ID: "create-cadence", Tag: "Cadences", Summary: "Make a cadence", About: "Its first version is a draft: nothing follows it until that is published.", Status: created,
	}, s.createCadence)
	operation(r, post, "/v1/cadences/{id}/archive", policy.CadencesWrite, spec{
		ID: "archive-cadence", Tag: "Cadences", Summary: "Take a cadence out of use", About: "For what is booked from now on; the less specific one counts again.",
	}, s.archiveCadence)
	operation(r, get, "/v1/cadences/{id}/versions", policy.CadencesRead, spec{ID: "list-cadence-versions", Tag: "Cadences", Summary: "List a cadence's versions"}, s.listCadenceVersions)
	operation(r, post, "/v1/cadences/{id}/versions", policy.CadencesWrite, spec{
		ID: "draft-cadence-version", Tag: "Cadences", Summary: "Draft the next version", About: "One draft at a time. A rule keeps its id through all versions.", Status: created,
	}, s.draftCadence)
	operation(r, get, "/v1/cadence-versions/{id}", policy.CadencesRead, spec{ID: "get-cadence-version", Tag: "Cadences", Summary: "Read a version"}, s.getCadenceVersion)
	operation(r, put, "/v1/cadence-versions/{id}", policy.CadencesWrite, spec{ID: "edit-cadence-version", Tag: "Cadences", Summary: "Replace the rules of a draft"}, s.editCadence)
	operation(r, get, "/v1/cadence-versions/{id}/preview", policy.CadencesRead, spec{
		ID: "preview-cadence-version", Tag: "Cadences", Summary: "See what journeys under way would do by a version", About: "Nothing is written.",
	}, s.previewCadence)
	operation(r, post, "/v1/cadence-versions/{id}/publish", policy.CadencesWrite, spec{
		ID: "publish-cadence-version", Tag: "Cadences", Summary: "Make a draft count",
		About: "At once for what is booked from now on. Journeys under way are moved afterwards, in batches; the version's adoptions say how far that is.",
	}, s.publishCadence)
	operation(r, get, "/v1/cadence-versions/{id}/adoptions", policy.CadencesRead, spec{
		ID: "list-cadence-adoptions", Tag: "Cadences", Summary: "See how far journeys under way have moved to a version",
	}, s.listAdoptions)

	operation(r, get, "/v1/message-templates", policy.MessagesRead, spec{ID: "list-message-templates", Tag: "Messages", Summary: "List the texts in force"}, s.listTemplates)
	operation(r, post, "/v1/message-templates", policy.SettingsWrite, spec{
		ID: "publish-message-template", Tag: "Messages", Summary: "Publish a text", About: "It counts for every message from now on.", Status: created,
	}, s.publishTemplate)
}
