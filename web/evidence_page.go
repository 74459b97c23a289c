package web

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"path"
	"slices"
	"strings"
	"time"

	"plumbline/app/fault"
	"plumbline/assessments"
	"plumbline/frameworks"
	"plumbline/inventory"
)

// control is the control that a form is about, named by its field "control".
func (r *request) control(f *frameworks.Framework) (*frameworks.Control, error) {
	c, err := f.Control(r.value("control"))
	if err != nil {
		return nil, fault.Wrap(fault.NotFound, "not_found", err, "This framework has no such control.")
	}
	return c, nil
}

func (r *request) frameworkControl() (*frameworks.Framework, *frameworks.Control, error) {
	f, err := r.framework()
	if err != nil {
		return nil, nil, err
	}
	c, err := r.control(f)
	return f, c, err
}

// back is where a form about a control came from.
func (r *request) back(f *frameworks.Framework, c *frameworks.Control) string {
	return treeQuery{System: r.value("system")}.href(f.ID, c.ID)
}

func evidenceCrumbs(f *frameworks.Framework, back, title string) page {
	return page{Title: title, Nav: "frameworks", Crumbs: []crumb{{"Frameworks", "/frameworks"}, {f.Title, back}, {Title: title}}}
}

func (r *request) attachForm(f *frameworks.Framework, c *frameworks.Control) *form {
	var types []option
	asked := map[string]bool{}
	add := func(kind, hint string) {
		if kind == "" || asked[kind] {
			return
		}
		asked[kind] = true
		types = append(types, option{Value: kind, Label: kind, Hint: hint})
	}
	for _, h := range c.Human {
		add(h.Type, "asked for: "+h.What)
	}
	for _, v := range r.web.d.Catalog.Vocabulary {
		if v.Kind != "runtime" {
			add(v.Type, v.Shows)
		}
	}
	for i := range types {
		if strings.HasPrefix(types[i].Hint, "asked for: ") {
			types[i].Label += " (" + types[i].Hint + ")"
		}
	}
	systems := append([]option{{Label: "Every AI system"}}, r.systemOptions("")...)
	return &form{Title: "Attach evidence", Intro: c.ID + " " + c.Title + ". It counts once a second person accepted it. The file stays here; its SHA-256, and who attached it, go on record.",
		Action: "/frameworks/" + f.ID + "/evidence", Submit: "Attach", Cancel: r.back(f, c), Upload: true, Hidden: map[string]string{"control": c.ID}, Fields: []field{
			{Name: "title", Label: "What it is", Hint: "Such as: security assessment, revision 3"},
			{Name: "type", Label: "Type", Kind: "select", Value: r.value("type"), Options: types},
			{Name: "system", Label: "AI system", Kind: "select", Value: r.value("system"), Options: systems},
			{Name: "file", Label: "File", Kind: "file", Hint: "At most 10 MiB. Choose it again when this form comes back with an error.", Optional: true},
			{Name: "link", Label: "Or a link", Hint: "Begins with https://. Only its text is hashed, not what it leads to.", Optional: true, Auto: "url"},
			{Name: "from", Label: "In force from", Kind: "date", Hint: "Empty: today", Optional: true},
			{Name: "until", Label: "In force until", Kind: "date", Hint: "With that day, in UTC. Empty: as long as the control accepts its age", Optional: true},
		}}
}

func (r *request) attachPage() error {
	f, c, err := r.frameworkControl()
	if err != nil {
		return err
	}
	return r.formPage(evidenceCrumbs(f, r.back(f, c), "Attach evidence"), r.attachForm(f, c))
}

func (r *request) attach() error {
	f, c, err := r.frameworkControl()
	if err != nil {
		return err
	}
	ev, err := r.givenEvidence(f, c)
	if err == nil {
		ev, err = r.web.d.Engine.Attach(r.ctx(), r.actor, ev)
	}
	if err != nil {
		return r.again(evidenceCrumbs(f, r.back(f, c), "Attach evidence"), r.attachForm(f, c), err)
	}
	return r.done("/evidence/"+ev.ID, "It is attached and on record. A second person decides whether it counts.")
}

// givenEvidence reads the form.
func (r *request) givenEvidence(f *frameworks.Framework, c *frameworks.Control) (ev assessments.Evidence, err error) {
	ev = assessments.Evidence{Framework: f.ID, Control: c.ID, System: inventory.SystemID(r.value("system")), Type: r.value("type"), Title: r.value("title"), Link: r.value("link")}
	if ev.From, err = dateOf("from", r.value("from")); err != nil {
		return ev, err
	}
	if ev.Until, err = throughDay("until", r.value("until")); err != nil {
		return ev, err
	}
	if ev.FileName, ev.Content, err = r.upload("file"); err != nil {
		return ev, err
	}
	return ev, r.checkEvidence(&ev)
}

// checkEvidence refuses what no form and no call of the API may attach; the rest the
// engine checks.
func (r *request) checkEvidence(ev *assessments.Evidence) error {
	if ev.System != "" {
		if _, err := r.state.System(ev.System); err != nil {
			return notListed("system", "AI system", string(ev.System))
		}
	}
	if len(ev.Content) > 0 && ev.Link != "" {
		return fault.Field("link", "give a file or a link, not both")
	}
	return nil
}

// notListed is the error of a field whose value is none of those that there are.
func notListed(field, what, value string) error {
	if value == "" {
		return fault.Field(field, "choose one of the list")
	}
	return fault.Field(field, "choose one of the list; there is no %s %q", what, value)
}

// largestFile of evidence in bytes.
const largestFile = 10 << 20

func tooLarge(field string) error {
	return fault.Field(field, "the file is larger than 10 MiB; attach a link instead")
}

// baseName is a file's name without the folders that it came from.
func baseName(name string) string { return path.Base(strings.ReplaceAll(name, "\\", "/")) }

// upload reads an uploaded file; an empty name when none was sent.
func (r *request) upload(name string) (string, []byte, error) {
	h, err := r.c.FormFile(name)
	if errors.Is(err, http.ErrMissingFile) || errors.Is(err, http.ErrNotMultipart) {
		return "", nil, nil
	}
	if err != nil {
		return "", nil, err
	}
	if h.Size > largestFile {
		return "", nil, tooLarge(name)
	}
	file, err := h.Open()
	if err != nil {
		return "", nil, err
	}
	defer file.Close()
	b, err := io.ReadAll(file)
	if err == nil && len(b) == 0 {
		return "", nil, fault.Field(name, "the file is empty")
	}
	return baseName(h.Filename), b, err
}

type evidenceData struct {
	assessments.Evidence
	Size      int
	Asked     *frameworks.HumanItem
	Plan      *assessments.Plan // of a corrective action
	Ends      time.Time         // when it stops to count; zero for never
	Control   *frameworks.Control
	Framework *frameworks.Framework
	Back      string
	Status    string
	Blocked   string // why the reader cannot decide
	Form      *form
	Join      []joinItem
}

func (r *request) evidencePage() error {
	p, data, err := r.evidenceData()
	if err != nil {
		return err
	}
	return r.ok("evidence", p, data)
}

func (r *request) evidenceData() (page, *evidenceData, error) {
	ev, err := r.web.d.Engine.EvidenceByID(r.ctx(), r.actor.Org, r.param("id"))
	if err != nil {
		return page{}, nil, err
	}
	f, err := r.web.d.Catalog.Framework(ev.Framework)
	if err != nil {
		return page{}, nil, err
	}
	c, err := f.Control(ev.Control)
	if err != nil {
		return page{}, nil, err
	}
	fresh := r.freshDays(&ev)
	data := &evidenceData{Evidence: ev, Size: len(ev.Content), Control: c, Framework: f, Back: treeQuery{System: string(ev.System)}.href(f.ID, c.ID), Status: evidenceLook(ev.Status(r.web.d.Now(), fresh)), Ends: ev.Ends(fresh), Form: decideForm(ev.ID)}
	if data.Plan, err = ev.Plan(); err != nil {
		return page{}, nil, err
	}
	if i := slices.IndexFunc(c.Human, func(h frameworks.HumanItem) bool { return h.Type == ev.Type }); i >= 0 && data.Plan == nil {
		data.Asked = &c.Human[i]
	}
	switch {
	case ev.Decision != "":
	case !r.can("evidence", "decide"):
		data.Blocked = "Waits for a person who may decide on evidence. Your roles do not include that."
	case ev.Author == r.actor.ID:
		data.Blocked = "You attached it, so a second person decides."
	case ev.Leaf < 0:
		data.Blocked = "It is not on record yet; it can be decided once the ledger has it."
	}
	system := joinItem{Label: "AI system", Text: "every one", Href: "/systems"}
	if ev.System != "" {
		system.Text, system.Href = string(ev.System), "/systems/"+string(ev.System)
	}
	leaf := joinItem{Label: "Leaf", Text: "not on record yet"}
	if ev.Leaf >= 0 {
		leaf.Text, leaf.Href = group(ev.Leaf), "/ledger/"+decimal(ev.Leaf)
	}
	data.Join = []joinItem{system, {Label: "Control", Text: c.ID, Href: data.Back}, {Label: "Evidence", Text: ev.Type, Current: true}, leaf}
	return page{Title: ev.Title, Nav: "evidence", Crumbs: []crumb{{"People's evidence", "/evidence"}, {Title: ev.Title}}}, data, nil
}

func decideForm(id string) *form {
	return &form{Title: "Decide", Action: "/evidence/" + id, Submit: "Accept", Other: "Reject", OtherV: "reject", Fields: []field{reasonField("Kept with the decision. A rejection makes the control not satisfied.")}}
}

func (r *request) decideEvidence() error {
	var err error
	switch r.value("decision") {
	case "accept":
		err = r.web.d.Engine.Decide(r.ctx(), r.actor, r.param("id"), true, r.value("reason"))
	case "reject":
		err = r.web.d.Engine.Decide(r.ctx(), r.actor, r.param("id"), false, r.value("reason"))
	default:
		err = fault.New(fault.Invalid, "decision", "Press accept or reject.")
	}
	if err == nil {
		return r.done("/evidence/"+r.param("id"), "The decision is on record.")
	}
	var known *fault.Error
	if !errors.As(err, &known) || known.Kind != fault.Invalid {
		return err
	}
	p, data, loadErr := r.evidenceData()
	if loadErr != nil {
		return loadErr
	}
	data.Form.Fields[0].Value = r.value("reason")
	if data.Form.Fields[0].Error = known.Fields["reason"]; data.Form.Fields[0].Error == "" {
		data.Form.Error = known.Message
	}
	p.Title = "Error: " + p.Title
	return r.render(known.Kind.Status(), "evidence", p, data)
}

func (r *request) evidenceFile() error {
	ev, err := r.web.d.Engine.EvidenceByID(r.ctx(), r.actor.Org, r.param("id"))
	if err != nil {
		return err
	}
	if ev.Form == "link" || len(ev.Content) == 0 {
		return fault.New(fault.NotFound, "not_found", "This evidence has no file.")
	}
	r.attachment(ev.FileName)
	return r.c.Blob(http.StatusOK, "application/octet-stream", ev.Content)
}

// attachment makes the answer a download: nothing that people uploaded is ever
// opened as a page of this site.
func (r *request) attachment(name string) {
	if name == "" {
		name = "evidence"
	}
	r.c.Response().Header().Set("Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": name}))
}
