package main

import (
	"context"
	"slices"
	"strings"
)

// sendAgain is what the staff do about a message of which nobody knows whether it went out, as after a crash between the
// gateway's answer and its record: they send it again. Without a crash there is none.
func (p *play) sendAgain(ctx context.Context) error {
	var journeys []answer
	for _, status := range []string{"open", "done"} { // a visit's journey may be over before its recall comes
		page, err := p.staff.get(ctx, "/v1/journeys?limit=100&status="+status)
		if err != nil {
			return err
		}
		journeys = append(journeys, page.list("data")...)
	}
	for _, j := range journeys {
		path := "/v1/journeys/" + j.text("id")
		seen, err := p.staff.get(ctx, path)
		if err != nil {
			return err
		}
		for _, key := range unknownSteps(seen) {
			if _, err := p.staff.post(ctx, path+"/verbs", map[string]any{
				"verb": "send_again", "step": key[1], "subject": key[0], "reason": "nobody knows whether it was sent",
			}); err != nil {
				return err
			}
			if err := p.until(ctx, key[1]+" is sent again", func() (bool, error) {
				seen, err := p.staff.get(ctx, path)
				return err == nil && len(unknownSteps(seen)) == 0 && !underWay(seen), err
			}); err != nil {
				return err
			}
			if err := p.say(ctx, "nobody knows whether %s went out; the staff send it again", key[1]); err != nil {
				return err
			}
		}
	}
	return nil
}

// unknownSteps lists kind of subject and key of what ended unknown and was not sent again.
func unknownSteps(journey answer) (keys [][2]string) {
	for _, subject := range journey.list("subjects") {
		past := subject.list("past")
		for _, step := range past {
			repeated := slices.ContainsFunc(past, func(other answer) bool { return strings.HasPrefix(other.text("key"), step.text("key")+"/again") })
			if step.text("state") == "unknown" && !repeated {
				keys = append(keys, [2]string{subject.text("kind"), step.text("key")})
			}
		}
	}
	return keys
}

// underWay tells that some step is due or claimed and not settled yet.
func underWay(journey answer) bool {
	for _, subject := range journey.list("subjects") {
		if len(subject.list("due")) > 0 || slices.ContainsFunc(subject.list("past"), func(s answer) bool { return s.text("state") == "claimed" }) {
			return true
		}
	}
	return false
}
