package policy

import (
	"encoding/json"
	"fmt"
	"slices"
	"time"
)

// Acts a rule can ask for.
const (
	ActMessage = "message"
	ActCharge  = "charge"
	ActTask    = "task"
)

// Rule is one line of a cadence. It keeps its id through all versions of its cadence, because the id stands in effect
// keys: what was sent under a rule is never sent again under its next version.
type Rule struct {
	ID       string   `json:"id"`
	Act      string   `json:"act"`
	When     Lead     `json:"when"`               // from the anchor: start of the visit, issue of the invoice, due day of the recall
	Channels []string `json:"channels,omitempty"` // empty: the one the client prefers, falling back to the other
	Title    string   `json:"title,omitempty"`    // of a task
}

// ParseRules reads and checks the rules of a cadence of the given kind. Errors name the rule by its position.
func ParseRules(kind string, raw []byte) ([]Rule, error) {
	var rules []Rule
	if err := json.Unmarshal(raw, &rules); err != nil {
		return nil, InvalidField("/rules", "invalid_rules", "Rules must be a list of {id, act, when, channels}.")
	}
	return rules, CheckRules(kind, rules)
}

// maxRules bounds one cadence; a longer one would only annoy.
const maxRules = 20

// CheckRules tells the first rule that cannot stand in a cadence of this kind.
func CheckRules(kind string, rules []Rule) error {
	if len(rules) > maxRules {
		return InvalidField("/rules", "too_many_rules", fmt.Sprintf("A cadence has at most %d rules.", maxRules))
	}
	seen := map[string]bool{}
	for i, r := range rules {
		at := func(field string) string { return fmt.Sprintf("/rules/%d/%s", i, field) }
		switch {
		case !ruleID(r.ID):
			return InvalidField(at("id"), "invalid_rule_id", "A rule id is 1 to 40 lower-case letters, digits, _ or -.")
		case seen[r.ID]:
			return InvalidField(at("id"), "duplicate_rule_id", "Two rules have the same id.")
		case !slices.Contains(actsOf[kind], r.Act):
			return InvalidField(at("act"), "invalid_act", fmt.Sprintf("A %s cadence cannot ask for %q.", kind, r.Act))
		case r.Act == ActTask && r.Title == "":
			return InvalidField(at("title"), "missing_title", "A task needs a title.")
		case kind == KindJourney && !r.When.Before():
			return InvalidField(at("when"), "not_before", "A reminder's time lies before the visit, like -1d or -2h.")
		case kind != KindJourney && r.When.Before():
			return InvalidField(at("when"), "not_after", "A follow-up's time lies at or after its anchor, like +3d@10:00.")
		}
		for n, c := range r.Channels {
			if c != ChannelMail && c != ChannelSMS {
				return InvalidField(at("channels"), "invalid_channel", "A channel is mail or sms.")
			}
			if slices.Contains(r.Channels[:n], c) {
				return InvalidField(at("channels"), "duplicate_channel", "A channel stands twice in this rule.")
			}
		}
		seen[r.ID] = true
	}
	return nil
}

var actsOf = map[string][]string{
	KindJourney:    {ActMessage},
	KindCollection: {ActMessage, ActCharge, ActTask},
	KindRecall:     {ActMessage, ActTask},
}

func ruleID(s string) bool {
	for _, c := range s {
		if (c < 'a' || c > 'z') && (c < '0' || c > '9') && c != '_' && c != '-' {
			return false
		}
	}
	return len(s) >= 1 && len(s) <= 40
}

// FirstFollowUp is when an invoice's collection starts: its earliest rule counted from the instant of issue. ok is false
// for a cadence without rules.
func FirstFollowUp(rules []Rule, issuedAt time.Time, zone *time.Location) (first time.Time, ok bool) {
	for _, r := range rules {
		if at := r.When.Instant(issuedAt, zone); !ok || at.Before(first) {
			first, ok = at, true
		}
	}
	return first, ok
}
