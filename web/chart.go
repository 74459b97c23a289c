package web

import (
	"fmt"
	"html/template"
	"math"
	"strings"
	"time"

	"plumbline/app/money"
	"plumbline/assessments"
)

var stateFills = map[assessments.State]string{
	assessments.Satisfied: `class="f-ok"`, assessments.Partial: `fill="url(#p-warn)"`, assessments.NotSatisfied: `fill="url(#p-bad)"`,
	assessments.NoEvidence: `fill="url(#p-none)"`, assessments.NotYet: `fill="url(#p-later)"`, assessments.NotApplicable: `class="f-sunken"`,
}

// cover is the bar of a framework's states.
func cover(counts map[assessments.State]int, label string) template.HTML {
	total, said := 0, []string{}
	for _, s := range assessments.States() {
		total += counts[s]
		if counts[s] > 0 {
			said = append(said, fmt.Sprintf("%d %s", counts[s], strings.ToLower(lookOf(string(s)).word)))
		}
	}
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="cover" role="img" aria-label="%s: %s of %d">`, template.HTMLEscapeString(label), strings.Join(said, ", "), total)
	x := 0.0
	for _, s := range assessments.States() {
		if counts[s] == 0 {
			continue
		}
		width := 100 * float64(counts[s]) / float64(total)
		fmt.Fprintf(&b, `<rect x="%.2f%%" width="%.2f%%" height="100%%" %s/>`, x, width, stateFills[s])
		if x > 0 {
			fmt.Fprintf(&b, `<rect x="%.2f%%" width="1.5" height="100%%" class="f-surface"/>`, x)
		}
		x += width
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// ring is the small share of a branch of the tree.
func ring(counts map[assessments.State]int) template.HTML {
	const round = 40.84 // 2πr for r = 6.5
	total := 0
	for _, n := range counts {
		total += n
	}
	var b strings.Builder
	b.WriteString(`<svg class="ring" viewBox="0 0 16 16" aria-hidden="true"><circle cx="8" cy="8" r="6.5" fill="none" class="s-line" stroke-width="2.6"/>`)
	at := 0.0
	for _, s := range []struct {
		state assessments.State
		class string
	}{{assessments.Satisfied, "s-ok"}, {assessments.Partial, "s-warn"}, {assessments.NotSatisfied, "s-bad"}} {
		if n := counts[s.state]; n > 0 && total > 0 {
			long := round * float64(n) / float64(total)
			fmt.Fprintf(&b, `<circle cx="8" cy="8" r="6.5" fill="none" class="%s" stroke-width="2.6" stroke-dasharray="%.2f %.2f" stroke-dashoffset="%.2f" transform="rotate(-90 8 8)"/>`, s.class, long, round-long, -at)
			at += long
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// dial draws a share of a whole, in percent, beside its figure.
func dial(percent int) template.HTML {
	const around = 2 * math.Pi * 6.5
	full := around * float64(min(max(percent, 0), 100)) / 100
	return template.HTML(fmt.Sprintf(`<svg class="ring ring-big" viewBox="0 0 16 16" role="img" aria-label="%d percent complete"><circle cx="8" cy="8" r="6.5" fill="none" class="s-line" stroke-width="2.6"/><circle cx="8" cy="8" r="6.5" fill="none" class="s-accent" stroke-width="2.6" stroke-dasharray="%.2f %.2f" transform="rotate(-90 8 8)"/></svg>`, percent, full, around-full))
}

// meter shows what of a budget is spent and held.
func meter(charged, held, limit money.Nano) template.HTML {
	share := func(n money.Nano) float64 {
		if limit <= 0 {
			return 0
		}
		return math.Min(100, 100*float64(n)/float64(limit))
	}
	spent, reserved := share(charged), share(held)
	return template.HTML(fmt.Sprintf(`<svg class="meter" role="img" aria-label="%s spent and %s held of %s"><rect y="2" width="100%%" height="6" rx="3" class="f-sunken"/><rect y="2" width="%.1f%%" height="6" rx="2" class="k1"/><rect x="%.1f%%" y="2" width="%.1f%%" height="6" fill="url(#p-k2)"/></svg>`,
		charged, held, limit, spent, spent, math.Min(reserved, 100-spent)))
}

// dayCount is one day of traffic.
type dayCount struct {
	Day                     time.Time
	Answered, Held, Refused int64 // answered, failed or cut, refused
	Charge                  money.Nano
}

// dayChart stacks a day's exchanges. A day without a record is a flat mark, not a
// bar of height nought.
func dayChart(days []dayCount, wide bool) template.HTML {
	width, height, left, foot := 560.0, 200.0, 44.0, 24.0
	if wide {
		width = 800 // letters keep their size in a wider card
	}
	most := int64(1)
	for _, d := range days {
		most = max(most, d.Answered+d.Held+d.Refused)
	}
	top := niceTop(most)
	plot := height - foot - 10
	y := func(n int64) float64 { return 10 + plot - plot*float64(n)/float64(top) }
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="plot" viewBox="0 0 %.0f %.0f" role="img" aria-label="Exchanges per day, at most %s on one day; the table below has the figures">`, width, height, group(most))
	for i := 0; i <= 2; i++ {
		n := top * int64(i) / 2
		fmt.Fprintf(&b, `<path class="grid" d="M%.0f %.1fH%.0f"/><text x="%.0f" y="%.1f" text-anchor="end">%s</text>`, left, y(n), width, left-8, y(n)+4, group(n))
	}
	step := (width - left) / float64(max(1, len(days)))
	for i, d := range days {
		x, base := left+step*float64(i)+step*.15, int64(0)
		for _, part := range []struct {
			n    int64
			fill string
		}{{d.Answered, `class="k3"`}, {d.Held, `fill="url(#p-k2)"`}, {d.Refused, `class="k1"`}} {
			if part.n > 0 {
				fmt.Fprintf(&b, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" %s/>`, x, y(base+part.n), step*.7, y(base)-y(base+part.n), part.fill)
			}
			base += part.n
		}
		if base == 0 {
			fmt.Fprintf(&b, `<path class="mark" d="M%.1f %.1fh%.1f"/>`, x, y(0)-1, step*.7)
		}
		if (len(days)-1-i)%7 == 0 {
			at, anchor := x+step*.35, "middle"
			if at > width-20 {
				at, anchor = width, "end"
			}
			fmt.Fprintf(&b, `<text x="%.1f" y="%.0f" text-anchor="%s">%s</text>`, at, height-6, anchor, d.Day.Format("2 Jan"))
		}
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

func niceTop(n int64) int64 {
	for unit := int64(1); ; unit *= 10 {
		for _, m := range []int64{2, 4, 10} {
			if n <= m*unit {
				return m * unit
			}
		}
	}
}

// strip draws a test's results, the oldest first: height says the result.
func strip(states []string, label string) template.HTML {
	var b strings.Builder
	fmt.Fprintf(&b, `<svg class="strip" role="img" aria-label="%s, last %d runs">`, template.HTMLEscapeString(label), len(states))
	n := float64(max(12, len(states)))
	for i, s := range states {
		x, w := 100*float64(i)/n, 72/n
		shape := `y="14" height="3" class="f-mute"`
		switch s {
		case "satisfied":
			shape = `y="3" height="14" class="f-ok"`
		case "partially_satisfied":
			shape = `y="10" height="7" class="f-warn"`
		case "not_satisfied":
			shape = `y="3" height="14" fill="url(#p-bad)"`
		case "collector_down":
			shape = `y="3" height="14" fill="url(#p-blind)"`
		}
		fmt.Fprintf(&b, `<rect x="%.2f%%" width="%.2f%%" rx="1.5" %s/>`, x, w, shape)
	}
	b.WriteString(`</svg>`)
	return template.HTML(b.String())
}

// holdBar shows what of a hold was charged and what was let go.
func holdBar(held, charged money.Nano) template.HTML {
	share := 100.0
	if held > 0 {
		share = math.Min(100, 100*float64(charged)/float64(held))
	}
	return template.HTML(fmt.Sprintf(`<svg class="meter" role="img" aria-label="Held %s; %s charged, %s released"><rect y="1" width="100%%" height="8" rx="2" fill="url(#p-later)"/><rect y="1" width="%.1f%%" height="8" rx="2" class="k1"/></svg>`,
		held.Ledger(), charged.Ledger(), max(held-charged, 0).Ledger(), share))
}
