package demo

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"plumbline/assessments"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// claim is something that a person of the sample attaches to controls, and what
// the second person says to it.
type claim struct {
	framework string
	controls  []string
	system    inventory.SystemID // empty: for every system
	kind      string             // type of evidence
	title     string
	text      string
	link      string
	from      int // months from now; negative: ago
	until     int // months from now; 0: no end
	accept    string
	reject    string // neither: nobody has decided yet
}

// claims are evidence as an insurer might have it: most of it good, one piece out
// of date, one refused, one that the record contradicts, two that wait for the
// second person, and two exceptions that end.
var claims = []claim{
	{framework: frameworks.AIAct, controls: []string{"4.1"}, kind: "attestation", title: "AI literacy 2026: courses and completion by role", text: "Courses held for recruiters, customer service and developers, with completion by role.", from: -3, accept: "roles and completion are complete"},
	{framework: frameworks.AIAct, controls: []string{"5.1.a", "5.1.b", "5.1.c", "5.1.d", "5.1.e", "5.1.f", "5.1.g", "5.1.h"}, system: screener, kind: "assessment.record", title: "Article 5 screen of candidate screening", text: "Each prohibited practice set against purpose, data and output of the system. None found.", from: -2, accept: "each practice is answered with a reason"},
	{framework: frameworks.AIAct, controls: []string{"9.1"}, kind: "document", title: "Procedure RM-04, risk management for AI", text: "How risks of AI systems are found, judged, treated and watched over their life.", from: -6, accept: "in force since spring, covers the whole life cycle"},
	{framework: frameworks.AIAct, controls: []string{"9.2"}, system: screener, kind: "assessment.record", title: "Risk file of candidate screening, issue 2", text: "Twelve risks with measures and what is left of them.", from: -2, accept: "complete for the present purpose"},
	{framework: frameworks.AIAct, controls: []string{"9.5"}, system: screener, kind: "human.approval", title: "Residual risk of candidate screening accepted", text: "The residual risk after the measures of the risk file, issue 2, is acceptable.", from: -2, accept: "agreed with the risk committee"},
	{framework: frameworks.AIAct, controls: []string{"9.6", "9.8"}, system: screener, kind: "document", title: "Test plan TP-11 with thresholds", text: "What is tested before each release, against which thresholds.", from: -4, accept: "thresholds were fixed before the tests"},
	{framework: frameworks.AIAct, controls: []string{"10.2"}, system: screener, kind: "document", title: "Data governance for recruiting", text: "Origin, choice and care of the examples that prompts were tuned with.", from: -4, accept: "origin and choice are described"},
	{framework: frameworks.AIAct, controls: []string{"11.1"}, system: screener, kind: "document", title: "Technical documentation after Annex IV, draft 3", text: "Nine points, six of them filled.", from: 0},
	{framework: frameworks.AIAct, controls: []string{"12.1"}, system: screener, kind: "document", title: "Events outside the model path", text: "Which events the applicant tracking system logs itself and where.", from: -1, accept: "sources and storage are named"},
	{framework: frameworks.AIAct, controls: []string{"13.3"}, system: screener, kind: "document", title: "Instructions for use, issue 1.2", text: "Purpose, limits, oversight and upkeep, for recruiters.", from: -2, accept: "carries the listed content"},
	{framework: frameworks.AIAct, controls: []string{"14.1", "14.4"}, system: screener, kind: "document", title: "Oversight design of candidate screening", text: "Who reads what, who can set a summary aside, and how.", from: -2, accept: "stop and override are described"},
	{framework: frameworks.AIAct, controls: []string{"14.4", "26.2"}, system: screener, kind: "attestation", title: "Overseers named, trained and empowered", text: "Eight recruiters, trained on limits and automation bias, each with the right to set a summary aside.", from: -1, accept: "names, training and authority are there"},
	{framework: frameworks.AIAct, controls: []string{"15.5"}, system: screener, kind: "assessment.record", title: "Security assessment 2025", text: "Penetration test and review of prompt injection, 2025.", from: -16, until: -2, accept: "scope was right at that time"},
	{framework: frameworks.AIAct, controls: []string{"17.1"}, kind: "document", title: "Quality manual, chapter AI", text: "Thirteen aspects of the quality management system; changes are made by two persons.", from: -8, accept: "all thirteen aspects are covered"},
	{framework: frameworks.AIAct, controls: []string{"19.1", "26.6"}, system: screener, kind: "document", title: "Retention of logs: 24 months", text: "Logs of candidate screening are kept for 24 months, for purpose and for claims.", from: -3, accept: "longer than six months and justified"},
	{framework: frameworks.AIAct, controls: []string{"25.4"}, system: screener, kind: "document", link: "https://northwind.example/contracts/model-supply-2026", title: "Written agreement with the supplier of the model", from: -5, accept: "technical access and help are agreed"},
	{framework: frameworks.AIAct, controls: []string{"26.1"}, system: screener, kind: "document", title: "Instructions for use, as received and read", text: "Issue 1.2 as handed to recruiting.", from: -2, accept: "issue 1.2 is the one in force"},
	{framework: frameworks.AIAct, controls: []string{"26.1"}, system: screener, kind: "human.approval", title: "Working instruction matches the instructions for use", text: "Working instruction REC-7 was compared with issue 1.2, point by point.", from: -2, accept: "compared point by point"},
	{framework: frameworks.AIAct, controls: []string{"26.4"}, system: screener, kind: "attestation", title: "Input is relevant and representative", text: "Applications are taken whole; nothing is sampled.", from: -1, accept: "matches the intake process"},
	{framework: frameworks.AIAct, controls: []string{"26.7"}, system: screener, kind: "document", title: "Notice to employees and their representatives", text: "Our recruiting uses modern software.", from: -1, reject: "names neither the system nor a contact"},
	{framework: frameworks.AIAct, controls: []string{"26.9"}, system: screener, kind: "assessment.record", title: "Data protection impact assessment DPIA-31", text: "Processing, necessity, risks, measures.", from: -3, accept: "uses the information of the provider"},
	{framework: frameworks.AIAct, controls: []string{"26.11"}, system: screener, kind: "document", title: "Notice to applicants", text: "Shown before an application is sent, in three languages.", from: -2, accept: "wording and place are shown"},
	{framework: frameworks.AIAct, controls: []string{"27.1"}, system: screener, kind: "assessment.record", title: "Fundamental rights impact assessment, draft", text: "Six elements, two of them open.", from: 0},
	{framework: frameworks.AIAct, controls: []string{"12.1"}, system: screener, kind: "human.approval", title: "Capture is not compared with an invoice until the supplier sends one", text: "Accepted for six months.", from: -1, until: 5, accept: "the supplier's invoices start next quarter"},
	{framework: frameworks.AIAct, controls: []string{"26.6"}, system: screener, kind: "human.approval", title: "The log has no witness outside the company", text: "Accepted until a witness is connected.", from: -1, until: 2, accept: "short, and the chain is checked daily"},

	{framework: frameworks.ISO, controls: []string{"5.2", "A.2.2"}, kind: "document", title: "AI policy, issue 3", text: "What the company uses AI for, what it does not, and who answers for it.", from: -7, accept: "signed by the board"},
	{framework: frameworks.ISO, controls: []string{"5.3", "A.3.2"}, kind: "document", title: "Roles and authorities for AI", text: "Owners, approvers and the AI committee, with their duties.", from: -7, accept: "every role has a holder"},
	{framework: frameworks.ISO, controls: []string{"7.5.2"}, kind: "document", title: "Control of documents and settings", text: "Nothing changes without a second person.", from: -7, accept: "procedure is in force"},
	{framework: frameworks.AIRMF, controls: []string{"GOVERN 1.4"}, kind: "document", title: "Procedure RM-04, risk management for AI", text: "How risks of AI systems are found, judged, treated and watched over their life.", from: -6, accept: "priorities are set"},
	{framework: frameworks.AIRMF, controls: []string{"GOVERN 1.6"}, kind: "attestation", title: "Systems outside the gateway", text: "Two systems run at suppliers and are listed with their owners.", from: -1, accept: "list compared with purchasing"},
}

// exclusions are controls that do not concern the screener, with the reason that
// the second person confirmed.
var exclusions = []struct {
	controls []string
	reason   string
}{
	{[]string{"12.3", "14.5", "26.10"}, "no remote biometric identification"},
	{[]string{"22.1"}, "the company is established in the Union"},
	{[]string{"26.8", "49.3"}, "no public authority and no body acting for one"},
	{[]string{"49.5"}, "not a system of Annex III point 2"},
	{[]string{"60.4", "61.1"}, "no testing in real-world conditions"},
	{[]string{"4a.1"}, "no special categories of personal data are processed to find bias"},
	{[]string{"20.1", "20.2", "21.1", "26.12", "73.2", "73.3", "73.4", "73.6"}, "not triggered: no such event in the period"},
}

// plans are corrective actions for what the report finds.
var plans = []struct {
	control string
	plan    assessments.Plan
	days    int
	accept  string // empty: waits for the second person
}{
	{"17.1", assessments.Plan{Cause: "Settings of the gateway were changed by one person while the company was being set up.", Correction: "The changes were read again by Tomas Okafor.",
		Action: "Ask for a second person in the settings (done), and look at the test again when the days of setting up have left its window.", Owner: "Platform engineering"}, 92, "the setting is on, and cannot be turned off by one person"},
	{"26.7", assessments.Plan{Cause: "The notice was written before the system had a name.", Action: "Write it again with system, purpose and contact, and agree it with the employees' representatives.", Owner: "People operations"}, 21, ""},
}

// attach puts people's evidence beside controls, and has the second person decide.
// What nobody has decided is left for whoever tries the UI. What a run that did not come
// to its end attached is not attached twice.
func (m *sample) attach(ctx context.Context) error {
	there, err := m.s.Engine.Attached(ctx, orgID, assessments.Sought{})
	if err != nil {
		return err
	}
	now := time.Now().UTC()
	for _, c := range claims {
		for _, control := range c.controls {
			ev := assessments.Evidence{Framework: c.framework, Control: control, System: c.system, Type: c.kind, Title: c.title, Link: c.link, From: now.AddDate(0, c.from, 0)}
			if c.from == 0 {
				ev.From = now
			}
			if c.until != 0 {
				ev.Until = now.AddDate(0, c.until, 0)
			}
			if c.link == "" {
				ev.FileName, ev.Content = fileName(c.title), []byte(c.title+"\n\n"+c.text+"\n\nSample text of an invented organisation.\n")
			}
			err := m.settle(ctx, there, ev, c.accept, c.reject, func() (assessments.Evidence, error) { return m.s.Engine.Attach(ctx, m.officer, ev) })
			if err != nil {
				return fmt.Errorf("sample evidence for %s %s: %w", c.framework, control, err)
			}
		}
	}
	return errors.Join(m.plan(ctx, there), m.exclude(ctx))
}

// settle attaches what is not there yet, and has the second person accept or reject it
// if one of the two reasons is given.
func (m *sample) settle(ctx context.Context, there []assessments.Evidence, ev assessments.Evidence, accept, reject string, attach func() (assessments.Evidence, error)) error {
	i := slices.IndexFunc(there, func(old assessments.Evidence) bool {
		return old.Framework == ev.Framework && old.Control == ev.Control && old.Title == ev.Title
	})
	if i >= 0 {
		ev = there[i]
	} else {
		var err error
		if ev, err = attach(); err != nil {
			return err
		}
	}
	if ev.Decision != "" || accept+reject == "" {
		return nil
	}
	return m.s.Engine.Decide(ctx, m.approver, ev.ID, accept != "", accept+reject)
}

// plan proposes corrective actions, and has the second person accept some.
func (m *sample) plan(ctx context.Context, there []assessments.Evidence) error {
	for _, x := range plans {
		x.plan.Due = time.Now().UTC().AddDate(0, 0, x.days)
		err := m.settle(ctx, there, assessments.Evidence{Framework: frameworks.AIAct, Control: x.control, Title: x.plan.Title()}, x.accept, "", func() (assessments.Evidence, error) {
			return m.s.Engine.PlanAction(ctx, m.officer, frameworks.AIAct, x.control, screener, x.plan)
		})
		if err != nil {
			return fmt.Errorf("plan for %s: %w", x.control, err)
		}
	}
	return nil
}

// exclude has controls left out by two persons.
func (m *sample) exclude(ctx context.Context) error {
	for _, x := range exclusions {
		for _, control := range x.controls {
			list, err := m.s.Engine.Proposals(ctx, orgID, frameworks.AIAct, control, screener)
			if err == nil && len(list) == 0 {
				var made assessments.Applicability
				made, err = m.s.Engine.ProposeApplicability(ctx, m.officer, frameworks.AIAct, control, screener, false, x.reason)
				list = append(list, made)
			}
			if err != nil {
				return fmt.Errorf("leave out %s: %w", control, err)
			}
			for _, p := range list {
				if p.Approver == "" {
					err = m.s.Engine.DecideApplicability(ctx, m.approver, p.ID, true, "")
				}
			}
			if err != nil {
				return fmt.Errorf("leave out %s: %w", control, err)
			}
		}
	}
	return nil
}

// fileName makes a title a name for a file.
func fileName(title string) string {
	var b strings.Builder
	for _, r := range strings.ToLower(title) {
		if r >= 'a' && r <= 'z' || r >= '0' && r <= '9' {
			b.WriteRune(r)
		} else if s := b.String(); s != "" && !strings.HasSuffix(s, "-") {
			b.WriteByte('-')
		}
	}
	return strings.TrimSuffix(b.String(), "-") + ".txt"
}
