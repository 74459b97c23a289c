package reports

import (
	"strings"
	"time"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/assessments/evidence/record"
)

// own holds an actor to its own organisation.
func own(actor authz.Actor, org authz.OrgID) error {
	if org == "" || actor.Org != org {
		return fault.New(fault.Forbidden, "other_organisation", "That belongs to another organisation.")
	}
	return nil
}

// Check refuses a request that names no document; the fault names each field that is
// wrong.
func Check(r Request) error {
	_, err := check(r)
	return err
}

func check(r Request) (KindInfo, error) {
	var wrong fault.Fields
	kind, ok := KindOf(r.Kind)
	if r.Org == "" {
		wrong.Add("org", "Name an organisation.")
	}
	if !ok {
		wrong.Add("kind", "There is no kind of document %q.", string(r.Kind))
	}
	if kind.NeedsSystem && r.System == "" {
		wrong.Add("system", "%s is about an AI system: name one.", one(kind.Title))
	}
	if kind.NeedsFramework && r.Framework == "" {
		wrong.Add("framework", "%s needs a framework as its criteria: name one.", one(kind.Title))
	}
	if kind.NeedsVendor && r.Vendor == "" {
		wrong.Add("vendor", "%s is about a vendor: name one.", one(kind.Title))
	}
	return kind, wrong.Err()
}

// one is a title with its article, at the head of a sentence.
func one(title string) string {
	if title != "" && strings.ContainsRune("AEIOU", rune(title[0])) {
		return "An " + lower(title)
	}
	return "A " + lower(title)
}

// period completes the window: to the checkpoint, and as long as the kind says.
func period(r *Request, kind KindInfo, cp record.Checkpoint) error {
	asOf := time.UnixMicro(cp.At).UTC()
	if r.To.IsZero() || r.To.After(asOf) {
		r.To = asOf
	}
	if r.From.IsZero() {
		r.From = r.To.AddDate(0, 0, -kind.Days)
	}
	if !r.From.Before(r.To) {
		return fault.Field("from", "The period must begin before it ends; it ends at %s.", r.To.Format(time.RFC3339))
	}
	r.From, r.To = r.From.UTC(), r.To.UTC()
	return nil
}
