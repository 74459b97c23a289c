package web_test

import (
	"regexp"
	"testing"
)

// TestAChosenFindingKeepsItsNumber: the number beside a chosen finding is that of
// the rows that it leaves, for one guard and for whichever guard it was.
func TestAChosenFindingKeepsItsNumber(t *testing.T) {
	c := sampleConsole(t)
	for finding, label := range map[string]string{":redacted": "any redacted", "pii:redacted": "pii redacted"} {
		body := c.admin.get(t, "/exchanges?guard="+finding).body
		beside := regexp.MustCompile(`>` + label + `</span><span>([0-9,]+)</span>`).FindStringSubmatch(body)
		listed := regexp.MustCompile(`<span>([0-9,]+) in 30 days</span>`).FindStringSubmatch(body)
		if beside == nil || listed == nil || beside[1] != listed[1] || listed[1] == "0" {
			t.Errorf("%s: %v beside it, %v listed", finding, beside, listed)
		}
	}
}
