package web

import (
	"slices"
	"strconv"

	"plumbline/app/fault"
	"plumbline/inventory"
)

// GuardKind is a guard as people set it in a profile.
type GuardKind struct {
	Name    string
	What    string // it finds, in words
	Classes []string
	Modes   []inventory.GuardMode
}

var modeWords = map[inventory.GuardMode]string{
	inventory.Monitor: "Note it, and let it pass", inventory.Redact: "Put a placeholder in its place", inventory.Block: "Refuse the call, or end the answer",
}

// mebibyte is the unit in which the form has sizes.
const mebibyte = 1 << 20

// profileForm has a section for each guard that there is.
func (r *request) profileForm(p inventory.GuardProfile) *form {
	size := ""
	if p.MaxText != 0 {
		size = strconv.FormatFloat(float64(p.MaxText)/mebibyte, 'f', -1, 64)
	}
	var tiers, classes []string
	for _, c := range p.Tiers {
		tiers = append(tiers, string(c))
	}
	f := &form{Title: "Guard profile", Intro: "What is looked for in prompts and answers, and what follows when it is found. In force within two seconds for every system that has this profile.",
		Action: "/gateway/guard_profiles", Submit: "Save", Cancel: "/gateway", Hidden: seen(p.Version), Fields: []field{
			naming(field{Name: "id", Label: "Id", Value: string(p.ID), Hint: "Small letters, digits and dashes; the one called default is of all systems without another", Mono: true}, p.Version),
		}}
	for _, g := range r.web.d.Guards {
		at := slices.IndexFunc(p.Guards, func(s inventory.GuardSetting) bool { return s.Guard == g.Name })
		s := inventory.GuardSetting{Guard: g.Name, OnFailure: "closed"}
		if at >= 0 {
			s = p.Guards[at]
		}
		modes := []option{{Label: "Do not look"}}
		for _, m := range g.Modes {
			modes = append(modes, option{Value: string(m), Label: modeWords[m]})
		}
		var where []string
		if s.Prompt == nil || *s.Prompt {
			where = append(where, "prompt")
		}
		if s.Answer == nil || *s.Answer {
			where = append(where, "answer")
		}
		classes = s.Classes
		if len(classes) == 0 {
			classes = g.Classes
		}
		var found []option
		for _, c := range g.Classes {
			found = append(found, option{Value: c, Label: words(c)})
		}
		f.Fields = append(f.Fields,
			field{Name: g.Name + "_mode", Label: "On a hit", Kind: "select", Value: string(s.Mode), Options: modes, Section: words(g.Name), Hint: words(g.What)},
			field{Name: g.Name + "_on_failure", Label: "When it cannot run", Kind: "select", Value: s.OnFailure, Options: []option{{Value: "closed", Label: "Refuse the call"}, {Value: "open", Label: "Let the call pass, recorded as not run"}}},
			field{Name: g.Name + "_where", Label: "Where", Kind: "ticks", Values: where, Options: []option{{Value: "prompt", Label: "Prompts"}, {Value: "answer", Label: "Answers"}}},
			field{Name: g.Name + "_classes", Label: "What it looks for", Kind: "ticks", Values: classes, Options: found})
	}
	var required []option
	for _, c := range inventory.RiskClasses {
		required = append(required, option{Value: string(c), Label: className(c)})
	}
	f.Fields = append(f.Fields,
		field{Name: "tiers", Label: "Required for systems of these classes", Kind: "ticks", Values: tiers, Options: required, Section: "Where it holds", Hint: "Systems that name no profile of their own get it"},
		field{Name: "max_text", Label: "Text that is read, in MiB", Value: size, Hint: "Of one request or whole answer; 32 when left out. More is not read at all, and what stands under \"when it cannot run\" follows", Optional: true},
		reasonField("Kept with the change"))
	return f
}

// newProfilePage is an empty form, or that of the profile ?profile=.
func (r *request) newProfilePage() error {
	title, p := "New guard profile", inventory.GuardProfile{}
	if id := r.c.QueryParam("profile"); id != "" {
		found, err := find(r.state.Profiles, "guard profile", id, func(x *inventory.GuardProfile) bool { return string(x.ID) == id })
		if err != nil {
			return err
		}
		if p = *found; p.Origin.FromFile() {
			return readOnly(p.Origin)
		}
		title = "Guard profile " + id
	}
	return r.formPage(gatewayCrumbs(title), r.profileForm(p))
}

// profileEntered reads the form.
func (r *request) profileEntered() (p inventory.GuardProfile, err error) {
	p = inventory.GuardProfile{ID: inventory.ProfileID(r.value("id"))}
	var (
		wrong fault.Fields
		clash error
	)
	p.Version, clash = r.version("id", "guard profile", string(p.ID), deletable["guard_profile"].has(r.state, string(p.ID)))
	for _, c := range r.values("tiers") {
		p.Tiers = append(p.Tiers, inventory.RiskClass(c))
	}
	if text := r.value("max_text"); text != "" {
		if n, err := strconv.ParseFloat(text, 64); err != nil || n*mebibyte < 1 || n > 1<<20 {
			wrong.Add("max_text", "write mebibytes such as 32 or 0.5")
		} else {
			p.MaxText = int64(n * mebibyte)
		}
	}
	for _, g := range r.web.d.Guards {
		s := inventory.GuardSetting{Guard: g.Name, Mode: inventory.GuardMode(r.value(g.Name + "_mode")), OnFailure: r.value(g.Name + "_on_failure")}
		if s.Mode == "" {
			continue
		}
		where, no := r.values(g.Name+"_where"), false
		if !slices.Contains(where, "prompt") {
			s.Prompt = &no
		}
		if !slices.Contains(where, "answer") {
			s.Answer = &no
		}
		if s.Prompt != nil && s.Answer != nil {
			wrong.Add(g.Name+"_where", "tick one, or let the guard look for nothing above")
		}
		if s.Classes = r.values(g.Name + "_classes"); len(s.Classes) == 0 {
			wrong.Add(g.Name+"_classes", "tick at least one, or let the guard look for nothing above")
		} else if len(s.Classes) >= len(g.Classes) {
			s.Classes = nil // also those that a later version knows
		}
		p.Guards = append(p.Guards, s)
	}
	return p, wrong.Join(clash)
}

func (r *request) putProfile() error {
	p, err := r.profileEntered()
	if err == nil {
		err = r.web.d.Register.PutProfile(r.ctx(), r.actor, p, r.value("reason"))
	}
	if err != nil {
		return r.again(gatewayCrumbs("Guard profile"), r.profileForm(p), err)
	}
	return r.done("/gateway", "Guard profile "+string(p.ID)+" is in force.")
}
