package web

import (
	"fmt"
	"net/url"
	"strconv"
	"time"

	"plumbline/assessments/projection"
)

// query encodes pairs of name and value; empty values are left out.
func query(pairs ...string) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		if pairs[i+1] != "" {
			v.Set(pairs[i], pairs[i+1])
		}
	}
	return v.Encode()
}

// broken stands in an address for every way in which an answer did not come whole:
// what the counters call failed or incomplete.
const broken = "broken"

var brokenStates = []string{projection.Failed, projection.Blocked, projection.Cut, projection.ClientGone, projection.Incomplete}

// exchangesHref is the address of the list of exchanges that a number counts. Pairs
// of name and value may repeat a name; empty values are left out.
func exchangesHref(pairs ...any) string {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		switch name, value := fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1]); {
		case value == "", name == "days" && value == decimal(standardDays):
		case name == "state" && value == broken:
			v[name] = brokenStates
		default:
			v.Add(name, value)
		}
	}
	if len(v) == 0 {
		return "/exchanges"
	}
	return "/exchanges?" + v.Encode()
}

// dayHref is the list of one day, UTC.
func dayHref(day time.Time, state, system string) string {
	day = day.UTC().Truncate(24 * time.Hour)
	return exchangesHref("from", day.Format(hourLayout), "to", day.AddDate(0, 0, 1).Format(hourLayout), "state", state, "system", system)
}

func plural(n int, noun string) string {
	if n == 1 {
		return "1 " + noun
	}
	return fmt.Sprintf("%d %ss", n, noun)
}

// decimal is a number for a path.
func decimal(n int64) string { return strconv.FormatInt(n, 10) }
