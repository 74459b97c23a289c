package gather

import (
	"cmp"
	"maps"
	"slices"

	"plumbline/assessments/projection"
	"plumbline/reports"
)

// maxExamples is how many records show one class of one guard.
const maxExamples = 2

// found is one data class of one guard in prompts or in answers.
type found struct {
	guard, class string
	answer       bool
}

// verdicts counts what guards found in an exchange.
func (p *picture) verdicts(x *projection.Exchange) error {
	list, err := p.g.d.Projection.Found(p.ctx, string(p.r.Org), x, p.cp.Size)
	for _, f := range list {
		k := found{f.Guard, f.Class, f.Answer}
		g := p.found[k]
		if g == nil {
			g = &reports.Guard{Guard: f.Guard, Class: f.Class, Phase: map[bool]string{false: "prompt", true: "answer"}[f.Answer]}
			p.found[k] = g
		}
		g.Hits++
		switch {
		case f.Redacted:
			g.Redacted++
		case f.Blocked:
			g.Blocked++
		default:
			g.Monitored++
		}
		if len(g.Cites) < maxExamples {
			g.Cites = append(g.Cites, p.cite(int64(f.Leaf))...)
		}
	}
	return err
}

// guards are the counts of all verdicts from the rollups, each guard's classes
// below it.
func (p *picture) guards(sum projection.Counters) {
	names := map[string]bool{}
	for key := range sum {
		for _, kind := range []string{"hit.", "clear.", "not_run."} {
			if len(key) > len(kind) && key[:len(kind)] == kind {
				names[key[len(kind):]] = true
			}
		}
	}
	for _, name := range slices.Sorted(maps.Keys(names)) {
		all := reports.Guard{Guard: name, Phase: "both", Evaluated: sum["hit."+name] + sum["clear."+name], Hits: sum["hit."+name], NotRun: sum["not_run."+name],
			Redacted: sum["redacted."+name], Blocked: sum["blocked."+name]}
		all.Monitored = all.Hits - all.Redacted - all.Blocked
		at := len(p.in.Guards)
		p.in.Guards = append(p.in.Guards, all)
		for _, k := range p.foundBy(name) {
			p.in.Guards = append(p.in.Guards, *p.found[k])
			if c := p.found[k].Cites; len(c) > 0 && len(p.in.Guards[at].Cites) < maxExamples {
				p.in.Guards[at].Cites = append(p.in.Guards[at].Cites, c[0])
			}
		}
	}
}

// foundBy lists a guard's classes, prompts before answers.
func (p *picture) foundBy(guard string) []found {
	var out []found
	for k := range p.found {
		if k.guard == guard {
			out = append(out, k)
		}
	}
	slices.SortFunc(out, func(a, b found) int {
		if a.answer != b.answer {
			return map[bool]int{false: -1, true: 1}[a.answer]
		}
		return cmp.Compare(a.class, b.class)
	})
	return out
}
