package demo

import (
	"context"
	"fmt"
	"io"
	"sort"
	"strings"
	"text/tabwriter"

	"plumbline/app/config"
	"plumbline/app/money"
	"plumbline/assessments/projection"
	"plumbline/frameworks"
)

// report prints what the ledger holds now, which is not what the demo believes:
// every figure is read from the projections.
func (m *sample) report(ctx context.Context, o Options, c *config.Config, files []file) error {
	state, err := m.s.Register.State(orgID)
	if err != nil {
		return err
	}
	w := tabwriter.NewWriter(o.Out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(o.Out)
	fmt.Fprintln(w, "AI system\tclass\trecorded\tanswered\trefused\tfailed\tguard hits\tcost\t")
	rest, err := m.s.Projection.Sum(ctx, string(orgID), "", 0) // of all systems together
	if err != nil {
		return err
	}
	codes := map[string]int64{}
	for name, n := range rest {
		if code, ok := strings.CutPrefix(name, "refused."); ok {
			codes[code] = n
		}
	}
	for _, x := range state.Systems {
		sum, err := m.s.Projection.Sum(ctx, string(orgID), string(x.ID), 0)
		if err != nil {
			return err
		}
		line(w, string(x.ID)+" "+x.Name, frameworks.ClassName(string(x.RiskClass)), sum)
		for name, n := range sum {
			rest[name] -= n
		}
	}
	line(w, "no registered system", "", rest)
	w.Flush()
	fmt.Fprintf(o.Out, "\nRefused: %s\n", counted(codes))
	if err := m.controls(ctx, o); err != nil {
		return err
	}
	fmt.Fprintln(o.Out, "\nDocuments (each with its .json and .proof.json beside it):")
	for _, f := range files {
		fmt.Fprintf(o.Out, "  %-22s %3d pages  %s\n", f.ID, f.Pages, shown(f.pdf))
	}
	if m.up.provider.ID == simulatedID {
		fmt.Fprintln(o.Out, "Answers came from the built-in simulated provider; the documents say so.")
	}
	fmt.Fprintf(o.Out, "\nVerify one without this server: go run ./app verify %s\n", shown(files[0].pdf))
	if o.Once {
		return nil
	}
	officer, err := m.link(ctx, c, m.officer)
	if err != nil {
		return err
	}
	approver, err := m.link(ctx, c, m.approver)
	if err != nil {
		return err
	}
	fmt.Fprintf(o.Out, "\nOpen the console (each link works once):\n  %s, compliance officer: %s\n  %s, approver:           %s\n", m.officer.Name, officer, m.approver.Name, approver)
	fmt.Fprintf(o.Out, "\nCall it as an app does: base URL %s/v1, a key that you make in the console under Keys, and the model assistant.\n", c.PublicURL)
	return nil
}

// line is one row of the table.
func line(w io.Writer, name, class string, sum projection.Counters) {
	hits := int64(0)
	for name, n := range sum {
		if guard, ok := strings.CutPrefix(name, "hit."); ok && !strings.Contains(guard, ".") {
			hits += n
		}
	}
	fmt.Fprintf(w, "%s\t%s\t%d\t%d\t%d\t%d\t%d\t%s\t\n", name, class, sum["closed"]+sum["refused"], sum["ok"], sum["refused"], sum["failed"], hits, money.Nano(sum["charge"]))
}

// controls prints the states of the screener's controls, by framework.
func (m *sample) controls(ctx context.Context, o Options) error {
	fmt.Fprintf(o.Out, "\nControls of %s:\n", screener)
	for _, f := range m.s.Catalog.Frameworks {
		a, err := m.s.Engine.Evaluate(ctx, orgID, screener, f.ID)
		if err != nil {
			return err
		}
		states := map[string]int64{}
		for i := range a.Controls {
			states[strings.ReplaceAll(string(a.Controls[i].State), "_", " ")]++
		}
		fmt.Fprintf(o.Out, "  %-16s %s\n", f.Title, counted(states))
	}
	fmt.Fprintln(o.Out, "No control is satisfied by runtime evidence alone: nobody outside has witnessed the log, and no invoice was compared.")
	return nil
}

func counted(m map[string]int64) string {
	var names []string
	for name := range m {
		names = append(names, name)
	}
	sort.Slice(names, func(i, j int) bool {
		if m[names[i]] != m[names[j]] {
			return m[names[i]] > m[names[j]]
		}
		return names[i] < names[j]
	})
	for i, name := range names {
		names[i] = fmt.Sprintf("%d %s", m[name], name)
	}
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}
