package render

// Heading is a section (level 2) or a subsection (level 3) of a part.
type Heading struct {
	Level   int    `json:"level"`
	Key     string `json:"key,omitempty"`
	Title   string `json:"title"`
	NewPage bool   `json:"-"`
	// Room begins a new page when less is left of the old one, in millimetres.
	Room float64 `json:"-"`
}

// Lede opens a part with its main statement.
type Lede struct {
	Text Text `json:"text"`
}

// Paragraph is running text.
type Paragraph struct {
	Text Text `json:"text"`
}

// List has dots, or numbers when Numbered.
type List struct {
	Numbered bool   `json:"numbered,omitempty"`
	Items    []Text `json:"items"`
}

// Callout is a box with a title. Tone: note (default) or warning.
type Callout struct {
	Title string `json:"title"`
	Tone  string `json:"tone,omitempty"`
	Body  []Text `json:"body"`
}

// CodeBox is verbatim text in monospace.
type CodeBox struct {
	Lines []string `json:"lines"`
}

// Verdict is a status on a line of its own with what it was computed from.
type Verdict struct {
	Status Status `json:"status"`
	Note   string `json:"note,omitempty"`
}

// KeyValue is a list of labelled values.
type KeyValue struct {
	Rows []Row `json:"rows"`
}

// Row is one labelled value.
type Row struct {
	Label string `json:"label"`
	Value Text   `json:"value"`
}

// Column describes a column of a table. Width is in millimetres; the widths of a
// table are scaled to the width of the text.
type Column struct {
	Title string  `json:"title"`
	Width float64 `json:"-"`
	Right bool    `json:"-"`
	Mono  bool    `json:"-"`
	Key   bool    `json:"-"` // medium weight
}

// TableRow is a row of cells, or with Group a title over the rows that follow.
type TableRow struct {
	Group  string `json:"group,omitempty"`
	Anchor string `json:"anchor,omitempty"`
	Cells  []Text `json:"cells,omitempty"`
}

// Table breaks between rows and repeats its head on each page.
type Table struct {
	Caption string     `json:"caption"`
	Columns []Column   `json:"columns"`
	Rows    []TableRow `json:"rows"`
	Note    Text       `json:"note,omitempty"`
}

// Stats is a row of big figures, four at most.
type Stats struct {
	Items []Stat `json:"items"`
}

// Stat is one big figure. Value is text: "unknown" is a value.
type Stat struct {
	Label string `json:"label"`
	Value string `json:"value"`
	Note  string `json:"note,omitempty"`
}

// Finding is a nonconformity or an observation.
type Finding struct {
	ID          string   `json:"id"`
	Grade       string   `json:"grade"` // major, minor, observation
	Title       string   `json:"title"`
	Requirement Text     `json:"requirement"`
	Observation Text     `json:"observation"`
	Evidence    []string `json:"evidence"`        // ids of the index
	Cause       Text     `json:"cause,omitempty"` // without it and a correction the action stands for all three
	Correction  Text     `json:"correction,omitempty"`
	Action      Text     `json:"corrective_action"`
}

// Contents lists parts and sections with their pages.
type Contents struct{}

// EvidenceIndex lists every record that the document cites. The pages where an
// item is cited are found while the document is laid out.
type EvidenceIndex struct {
	Items []EvidenceItem `json:"items"`
}

// EvidenceItem is one record of the ledger.
type EvidenceItem struct {
	ID      string `json:"id"` // E-0001
	Kind    string `json:"kind"`
	Content string `json:"content"`
	Window  string `json:"window"`
	Leaf    uint64 `json:"leaf"`
	SHA256  string `json:"sha256"` // of the record's bytes, 64 hex digits
	Record  string `json:"record"` // the record's id
}

// Verification tells how to check the document without its issuer.
type Verification struct {
	Note     string   `json:"checkpoint"` // the signed text
	Origin   string   `json:"origin"`
	Size     uint64   `json:"size"`
	SignedAt string   `json:"signed_at"`
	Keys     []string `json:"verifier_keys"`
	File     string   `json:"file"` // name of the files without extension
	Records  int      `json:"records"`
}

// Figure is a chart with its claim as title. Alt describes it to those who do
// not see it.
type Figure struct {
	Claim  string `json:"claim"`
	Alt    string `json:"alt"`
	Source Text   `json:"source,omitempty"`
	Chart  Chart  `json:"chart"`
}

// Chart is drawn in vectors from data. Exactly one of its fields is set.
type Chart struct {
	Bars       *Bars       `json:"bars,omitempty"`
	Columns    *Columns    `json:"columns,omitempty"`
	Cumulative *Cumulative `json:"cumulative,omitempty"`
	Strip      *Strip      `json:"strip,omitempty"`
}

// Bars are horizontal stacked counts by status.
type Bars struct {
	Statuses []Status `json:"statuses"`
	Rows     []BarRow `json:"rows"`
}

// BarRow has one count for each status of its Bars.
type BarRow struct {
	Label  string `json:"label"`
	Counts []int  `json:"counts"`
}

// Columns are stacked vertical bars over time.
type Columns struct {
	Unit   string        `json:"unit"`
	Series []string      `json:"series"`
	Slots  []ColumnsSlot `json:"slots"`
}

// ColumnsSlot is one column. Gap, when set, says why nothing is known: the
// column is hatched and never drawn as zero.
type ColumnsSlot struct {
	Label  string    `json:"label"`
	Note   []string  `json:"note,omitempty"`
	Gap    string    `json:"gap,omitempty"`
	Values []float64 `json:"values"`
}

// Cumulative is a running total over columns, with limits.
type Cumulative struct {
	Unit        string    `json:"unit"`
	ColumnUnit  string    `json:"column_unit"`
	Labels      []string  `json:"labels"`
	Values      []float64 `json:"values"`            // of each column; the line is their sum. Below zero is drawn in outline
	Unknown     []bool    `json:"unknown,omitempty"` // columns of which nothing is known: hatched, never zero
	Limit       float64   `json:"limit,omitempty"`
	LimitLabel  string    `json:"limit_label,omitempty"`
	FinalLabel  string    `json:"final_label,omitempty"`
	FinalDetail string    `json:"final_detail,omitempty"`
}

// Strip is a row of statuses over time.
type Strip struct {
	Labels   []string `json:"labels"`
	Statuses []Status `json:"statuses"`
}

func (*Heading) blockType() string       { return "heading" }
func (*Lede) blockType() string          { return "lede" }
func (*Paragraph) blockType() string     { return "paragraph" }
func (*List) blockType() string          { return "list" }
func (*Callout) blockType() string       { return "callout" }
func (*CodeBox) blockType() string       { return "code" }
func (*Verdict) blockType() string       { return "verdict" }
func (*KeyValue) blockType() string      { return "key_value" }
func (*Table) blockType() string         { return "table" }
func (*Stats) blockType() string         { return "stats" }
func (*Finding) blockType() string       { return "finding" }
func (*Contents) blockType() string      { return "contents" }
func (*EvidenceIndex) blockType() string { return "evidence_index" }
func (*Verification) blockType() string  { return "verification" }
func (*Figure) blockType() string        { return "figure" }
