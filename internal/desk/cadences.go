package desk

// States of a cadence's version.
const (
	CadenceDraft     = "draft"
	CadencePublished = "published"
)
