package web

import (
	"fmt"
	"strings"

	"plumbline/inventory"
	"plumbline/reports"
)

// firstStep is one step from an empty organisation to a document that verifies.
// Whether it is done is read from what there is, never kept.
type firstStep struct {
	Done, Now       bool
	Title, Sub      string
	Href, Act       string // where it is done; empty for whoever may not
	Post            bool   // Href is done by a form, not a link
	Curl            string
	DoneAs, DoneRef string // what did it, and where that is
}

type firstSteps struct {
	Steps []firstStep
	Done  int
}

func (s *firstSteps) Left() int { return len(s.Steps) - s.Done }

func (s *firstSteps) add(x firstStep) {
	if x.Done {
		s.Done++
	} else {
		x.Now = s.Done == len(s.Steps)
	}
	s.Steps = append(s.Steps, x)
}

func (r *request) firstStepsPage() error {
	steps, err := r.firstSteps()
	if err != nil {
		return err
	}
	return r.ok("first_steps", page{Title: "First steps", Nav: "overview", Crumbs: []crumb{{Title: "First steps"}}}, steps)
}

// firstSteps is the way in its order, with how far the organisation is.
func (r *request) firstSteps() (*firstSteps, error) {
	s, all := &firstSteps{}, r.state
	allowed := func(object, action, href string) string {
		if r.can(object, action) {
			return href
		}
		return ""
	}
	s.add(firstStep{Done: true, Title: "Ledger started", Sub: "Everything from here on is on record. Keep its public key where this machine is not:", DoneAs: "the log's key", DoneRef: allowed("ledger", "read", "/ledger")})
	s.add(firstStep{Done: len(all.Members) > 1, Title: "Invite a second person", Sub: "Who asks for an approval, or attaches evidence, cannot decide on it", Href: allowed("account", "write", "/people/new"), Act: "Add a person"})
	s.add(firstStep{Done: len(all.Providers) > 0, Title: "Connect a provider", Sub: "Its credential is named, or entered and sealed. Without one, take the built-in upstream: what it answers is marked simulated", Href: allowed("gateway", "write", "/gateway/providers/new"), Act: "New provider"})
	s.add(firstStep{Done: len(all.Routes) > 0, Title: "Route a model", Sub: "The name that apps ask for, and what answers", Href: allowed("gateway", "write", "/gateway/routes/new"), Act: "New route"})
	s.add(firstStep{Done: len(all.Systems) > 0, Title: "Register an AI system", Sub: "What it is for, who answers for it, its class under the EU AI Act", Href: allowed("system", "write", "/systems/new"), Act: "Register"})
	s.add(r.approvalStep())
	s.add(r.keyStep(allowed))
	if err := r.evidenceSteps(s, allowed); err != nil {
		return nil, err
	}
	return s, nil
}

// approvalStep is done with the first system that may be called.
func (r *request) approvalStep() firstStep {
	step := firstStep{Title: "Have it approved", Sub: "A second person decides; until then its calls are refused"}
	for i := range r.state.Systems {
		x := &r.state.Systems[i]
		switch {
		case x.Lifecycle == inventory.Retired:
		case x.Approval.ValidAt(r.web.d.Now()):
			step.Done, step.DoneAs, step.DoneRef = true, string(x.ID), "/systems/"+string(x.ID)
			return step
		case x.Approval.State == inventory.Requested:
			step.Sub = string(x.ID) + " waits for the decision of another person than " + r.person(x.Approval.RequestedBy)
			if step.Href = "/systems/" + string(x.ID); r.can("approval", "decide") && x.Approval.RequestedBy != r.actor.ID {
				step.Href += "/decide"
			}
			step.Act = "Open"
		case step.Href == "" && r.can("approval", "request"):
			step.Href, step.Act = "/systems/"+string(x.ID)+"/request", "Ask for approval"
		}
	}
	return step
}

func (r *request) keyStep(allowed func(object, action, href string) string) firstStep {
	step := firstStep{Title: "Make a key", Sub: "An app sends it in place of a provider's; it says which AI system calls", Href: allowed("key", "write", "/keys/new"), Act: "Make a key"}
	all, err := r.web.d.Register.State(r.actor.Org) // how far the organisation is, whosever the key
	if err != nil {
		return step
	}
	for _, k := range all.Keys {
		if k.System != "" && k.RevokedAt.IsZero() {
			if step.Done, step.DoneAs, step.DoneRef = true, k.Name, "/keys"; r.own() {
				step.DoneAs = "made"
			}
		}
	}
	return step
}

// evidenceSteps lead from the first call to the first document.
func (r *request) evidenceSteps(s *firstSteps, allowed func(object, action, href string) string) error {
	used, err := r.web.d.Projection.Observed(r.ctx(), string(r.actor.Org), "")
	if err != nil {
		return err
	}
	calls := int64(0)
	for _, o := range used {
		calls += o.Calls
	}
	call := firstStep{Done: calls > 0, Title: "Send one call through the gateway", Sub: "Any OpenAI SDK works: change the base URL and the key"}
	if call.Done {
		call.DoneAs, call.DoneRef = plural(int(calls), "exchange"), allowed("exchange", "read", "/exchanges")
	} else if len(r.state.Routes) > 0 {
		call.Curl = r.curl(r.state.Routes[0].Model)
	}
	s.add(call)
	last, err := r.web.d.Reports.RunsOf(r.ctx(), r.actor.Org, "control-tests", 1)
	if err != nil {
		return err
	}
	tested := firstStep{Title: "See it meet controls", Sub: "The tests run each hour; now is possible too", Href: allowed("job", "run", "/jobs/control-tests/run"), Act: "Run the tests now", Post: true}
	for _, x := range last {
		if x.State == reports.RunOK && call.Done {
			tested.Done, tested.DoneAs, tested.DoneRef = true, strings.ToLower(x.Detail), allowed("assessment", "read", "/frameworks")
		}
	}
	s.add(tested)
	docs, err := r.web.d.Reports.List(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	doc := firstStep{Done: len(docs) > 0, Title: "Issue a document", Sub: "An audit report that anyone can check without this server, and that says what is missing", Href: allowed("document", "issue", "/documents/new"), Act: "Issue"}
	if doc.Done {
		doc.DoneAs, doc.DoneRef = docs[len(docs)-1].ID, "/documents/"+docs[len(docs)-1].ID
	}
	s.add(doc)
	return nil
}

// curl is a call that works as soon as PLUMBLINE_KEY is set.
func (r *request) curl(model string) string {
	return fmt.Sprintf("curl %s/v1/chat/completions \\\n    -H \"Authorization: Bearer $PLUMBLINE_KEY\" \\\n    -H \"Content-Type: application/json\" \\\n    -d '{\"model\":%q,\"messages\":[{\"role\":\"user\",\"content\":\"Say hello\"}]}'", r.base(), model)
}
