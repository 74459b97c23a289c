package server

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"maps"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/db"
	"plumbline/app/ident"
	"plumbline/app/server/load"
	"plumbline/assessments"
	"plumbline/assessments/projection"
	"plumbline/gateway"
	"plumbline/inventory"
	"plumbline/reports"
)

const evil inventory.OrgID = "evil"

// TestStoresAcrossOrganisations calls every exported method of the projection, the
// assessments and the documents for an organisation that is not the one whose
// things it names, and for none. Nothing of the other comes back and nothing of it
// changes. A new method fails here until it is in one of the tables. The register
// has the same test beside it.
func TestStoresAcrossOrganisations(t *testing.T) {
	t.Run("sqlite", func(t *testing.T) { acrossOrganisations(t, testConfig(t.TempDir())) })
	t.Run("postgres", func(t *testing.T) {
		c := testConfig(t.TempDir())
		c.Postgres = database(t)
		acrossOrganisations(t, c)
	})
}

// belongings are ids of the first organisation's things.
type belongings struct {
	key, exchange, document, evidence, proposal, schedule string
	x                                                     projection.Exchange
	framework, control                                    string
	stated                                                string // a framework with recorded states
}

// ofStore is what one store's methods do across organisations.
type ofStore struct {
	of       any
	reads    map[string]func(inventory.OrgID) (any, error)
	writes   map[string]func(inventory.OrgID) error // with the first organisation's ids
	refused  map[string]bool                        // writes that must not go through
	instance map[string]string                      // method -> why it belongs to no organisation
}

// quiet reads have nothing to show in a healthy organisation.
var quiet = map[string]bool{"Gaps": true, "Counted": true, "CountedSum": true, "Findings": true, "LedgerEvents": true, "Pending": true, "FirstLeaf": true, "WindowOf": true, "Outages": true, "LastFallback": true}

func acrossOrganisations(t *testing.T, c *config.Config) {
	ctx := t.Context()
	up := &load.Upstream{}
	if err := up.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(up.Close)
	s := open(t, Options{Config: c})
	its := belong(t, s, up.URL)
	if err := s.Register.CreateOrg(ctx, authz.Actor{Org: evil, ID: "p-eve"}, inventory.Org{ID: evil, Name: "Evil"}); err != nil {
		t.Fatal(err)
	}
	if err := s.Projection.CatchUp(ctx); err != nil {
		t.Fatal(err)
	}
	pool, err := sql.Open("sqlite", db.SQLiteDSN(filepath.Join(c.DataDir, "state.db"), "NORMAL"))
	if c.Postgres != "" {
		pool, err = sql.Open("pgx", c.Postgres)
	}
	if err != nil {
		t.Fatal(err)
	}
	defer pool.Close()
	before, leaves := rowsOf(t, pool, c.Postgres != "", testOrg), s.Ledger.Size(string(testOrg))
	if len(before) < 12 {
		t.Fatalf("the first organisation has rows in %d tables alone", len(before))
	}
	marks := []string{string(testOrg), its.key, its.exchange, its.document, its.evidence, its.proposal, its.schedule, "SYS-001", "Acme"}
	stores := []ofStore{ofProjection(ctx, s.Projection, its), ofEngine(ctx, s.Engine, its), ofReports(ctx, s.Reports, its), ofPins(ctx, s.pins.pinStore), ofKept(ctx, s.kept)}
	for _, store := range stores {
		store.complete(t)
		for name, read := range store.reads {
			if out, err := read(testOrg); err != nil || !quiet[name] && empty(out) {
				t.Errorf("%T.%s: its own organisation gets %v, %v: the test shows nothing", store.of, name, out, err)
			}
			for _, other := range []inventory.OrgID{evil, ""} {
				out, err := read(other)
				text, _ := json.Marshal(out)
				for _, mark := range marks {
					if err == nil && strings.Contains(string(text), mark) {
						t.Errorf("%T.%s for %q: gave %s away: %s", store.of, name, other, mark, text)
					}
				}
			}
		}
	}
	for _, store := range stores {
		for _, name := range slices.Sorted(maps.Keys(store.writes)) { // what is deleted is not put before
			write := store.writes[name]
			if err := write(evil); err == nil && store.refused[name] {
				t.Errorf("%T.%s: went through for another organisation", store.of, name)
			}
			if err := write(""); err == nil && name != "RunOnce" { // jobs of the instance have no organisation
				t.Errorf("%T.%s: went through without an organisation", store.of, name)
			}
		}
	}
	if diff := cmp.Diff(before, rowsOf(t, pool, c.Postgres != "", testOrg)); diff != "" {
		t.Errorf("the first organisation's rows changed:\n%s", diff)
	}
	if rows := rowsOf(t, pool, c.Postgres != "", ""); len(rows["human_evidence"])+len(rows["applicability"])+len(rows["documents"])+len(rows["schedules"])+len(rows["chain_checks"]) != 0 {
		t.Errorf("rows of no organisation: %v", rows)
	}
	if n := s.Ledger.Size(string(testOrg)); n != leaves {
		t.Errorf("the first organisation's log grew from %d to %d leaves", leaves, n)
	}
}

// complete holds the tables to the method set, so that no method is forgotten.
func (o ofStore) complete(t *testing.T) {
	t.Helper()
	typ := reflect.TypeOf(o.of)
	for i := range typ.NumMethod() {
		name, n := typ.Method(i).Name, 0
		for _, in := range []bool{o.reads[name] != nil, o.writes[name] != nil, o.instance[name] != ""} {
			if in {
				n++
			}
		}
		if n != 1 {
			t.Errorf("%v.%s: say in one of the tables what it does across organisations", typ, name)
		}
	}
	if have := len(o.reads) + len(o.writes) + len(o.instance); have != typ.NumMethod() {
		t.Errorf("%v has %d methods, the tables %d", typ, typ.NumMethod(), have)
	}
}

func empty(v any) bool {
	text, _ := json.Marshal(v)
	switch string(text) {
	case "null", "0", "[]", "{}", `""`:
		return true
	}
	return false
}

// belong furnishes the first organisation with one of everything.
func belong(t *testing.T, s *Server, url string) belongings {
	ctx := t.Context()
	its := belongings{key: strings.Split(furnish(t, s, url), "-")[1], framework: s.Catalog.Frameworks[0].ID}
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	_, key, err := s.Register.CreateKey(ctx, officer, inventory.Key{System: "SYS-001", Name: "second"}, "test")
	must(err)
	for _, prompt := range []string{"Hello", "Write to jo@example.com"} {
		req := httptest.NewRequest("POST", "/v1/chat/completions", strings.NewReader(fmt.Sprintf(`{"model":"gpt-4o-mini","max_tokens":16,"messages":[{"role":"user","content":%q}]}`, prompt)))
		req.Header.Set("Authorization", "Bearer "+key)
		w := httptest.NewRecorder()
		s.Handler().ServeHTTP(w, req)
		if w.Code != 200 {
			t.Fatalf("%d %s", w.Code, w.Body)
		}
		its.exchange = w.Result().Header.Get("X-Request-Id")
	}
	// The outcome follows its answer by a moment.
	for range 200 {
		must(s.Projection.CatchUp(ctx))
		if its.x, err = s.Projection.Exchange(ctx, string(testOrg), its.exchange); err == nil && its.x.State == projection.Complete {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	must(err)
	must(s.RunJob(ctx, officer, "control-tests"))
	must(s.Projection.CatchUp(ctx))
	_, _, err = s.Engine.VerifyChain(ctx, testOrg)
	must(err)
	for _, f := range s.Catalog.Frameworks {
		states, err := s.Projection.States(ctx, string(testOrg), f.ID, "SYS-001")
		must(err)
		if len(states) > 0 {
			its.stated = f.ID
		}
	}
	f := s.Catalog.Frameworks[0]
	its.control = f.Controls[0].ID
	ev, err := s.Engine.Attach(ctx, officer, assessments.Evidence{Framework: f.ID, Control: its.control, System: "SYS-001", Type: s.Catalog.Vocabulary[0].Type, Title: "Acme's policy", Content: []byte("text")})
	must(err)
	its.evidence = ev.ID
	_, err = s.Engine.ProposeApplicability(ctx, officer, f.ID, its.control, "SYS-001", false, "Acme has none")
	must(err)
	proposals, err := s.Engine.Proposals(ctx, testOrg, f.ID, its.control, "SYS-001")
	must(err)
	its.proposal = proposals[0].ID
	d, err := s.Reports.Issue(ctx, officer, reports.Request{Org: testOrg, Kind: reports.KindModelCard, System: "SYS-001"})
	must(err)
	its.document = d.ID
	sch, err := s.Reports.PutSchedule(ctx, officer, reports.Schedule{Org: testOrg, Kind: reports.KindModelCard, System: "SYS-001", Cron: "0 6 * * 1"})
	must(err)
	its.schedule = sch.ID
	must(s.pins.Put(ctx, testOrg, []gateway.Pin{{System: "SYS-001", ID: [32]byte{1}, Provider: "up", Target: "gpt-4o-mini", Model: "gpt-4o-mini", At: time.Now()}}))
	must(s.kept.Put(ctx, keptBatch(testOrg)))
	return its
}

func ofProjection(ctx context.Context, p *projection.Store, its belongings) ofStore {
	all, filter := time.Now().Add(time.Hour), projection.Filter{}
	return ofStore{of: p, instance: map[string]string{"CatchUp": "applies every log", "Run": "applies every log", "Rebuild": "applies every log", "Still": "holds every log",
		"Lag": "of every log", "AllBalances": "restores the counters of all"},
		reads: map[string]func(inventory.OrgID) (any, error){
			"Balances":     func(o inventory.OrgID) (any, error) { return p.Balances(ctx, string(o)) },
			"BalancesAsOf": func(o inventory.OrgID) (any, error) { return p.BalancesAsOf(ctx, string(o), 1<<40) },
			"Changes":      func(o inventory.OrgID) (any, error) { return p.Changes(ctx, string(o), 0, 100) },
			"Count":        func(o inventory.OrgID) (any, error) { n, _, err := p.Count(ctx, string(o), filter, 100); return n, err },
			"Counted":      func(o inventory.OrgID) (any, error) { return p.Counted(ctx, string(o), projection.Filter{Limit: 100}) },
			"CountedSum":   func(o inventory.OrgID) (any, error) { return p.CountedSum(ctx, string(o), filter) },
			"UseOfKeys":    func(o inventory.OrgID) (any, error) { return p.UseOfKeys(ctx, string(o), filter) },
			"Exchange":     func(o inventory.OrgID) (any, error) { return p.Exchange(ctx, string(o), its.exchange) },
			"Exchanges": func(o inventory.OrgID) (any, error) {
				out, _, err := p.Exchanges(ctx, string(o), filter)
				return out, err
			},
			"Findings":  func(o inventory.OrgID) (any, error) { return p.Findings(ctx, string(o)) },
			"FirstLeaf": func(o inventory.OrgID) (any, error) { return p.FirstLeaf(ctx, string(o), 0) },
			"Found":     func(o inventory.OrgID) (any, error) { return p.Found(ctx, string(o), &its.x, 1<<40) },
			"Gaps":      func(o inventory.OrgID) (any, error) { return p.Gaps(ctx, string(o)) },
			"Hours":     func(o inventory.OrgID) (any, error) { return p.Hours(ctx, string(o), "", time.Unix(0, 0), all) },
			"Days":      func(o inventory.OrgID) (any, error) { return p.Days(ctx, string(o), "", time.Unix(0, 0)) },
			"HoursAsOf": func(o inventory.OrgID) (any, error) {
				return p.HoursAsOf(ctx, string(o), "", time.Unix(0, 0), all, 1<<40)
			},
			"LastFallback": func(o inventory.OrgID) (any, error) { return p.LastFallback(ctx, string(o), "SYS-001", 0) },
			"LastMark":     func(o inventory.OrgID) (any, error) { return p.LastMark(ctx, string(o)) },
			"Leaves":       func(o inventory.OrgID) (any, error) { return p.Leaves(ctx, string(o), &its.x) },
			"LedgerEvents": func(o inventory.OrgID) (any, error) { return p.LedgerEvents(ctx, string(o), 100) },
			"Marks":        func(o inventory.OrgID) (any, error) { return p.Marks(ctx, string(o), 0, 1<<40) },
			"Observed":     func(o inventory.OrgID) (any, error) { return p.Observed(ctx, string(o), "") },
			"Outages":      func(o inventory.OrgID) (any, error) { return p.Outages(ctx, string(o), 0, 1<<40) },
			"Position":     func(o inventory.OrgID) (any, error) { return p.Position(ctx, string(o)) },
			"Results":      func(o inventory.OrgID) (any, error) { return p.Results(ctx, string(o), "SYS-001", "", 0, 100) },
			"Newest": func(o inventory.OrgID) (any, error) {
				return p.Newest(ctx, string(o), "SYS-001", assessments.ComputedTests(), 0)
			},
			"States":      func(o inventory.OrgID) (any, error) { return p.States(ctx, string(o), its.stated, "SYS-001") },
			"Sum":         func(o inventory.OrgID) (any, error) { return p.Sum(ctx, string(o), "", 0) },
			"SumBySystem": func(o inventory.OrgID) (any, error) { return p.SumBySystem(ctx, string(o), 0, 1<<40) },
			"WindowOf":    func(o inventory.OrgID) (any, error) { return p.WindowOf(ctx, string(o), 0, 0) },
			"WindowOfLeaves": func(o inventory.OrgID) (any, error) {
				w, from, to, err := p.WindowOfLeaves(ctx, string(o), 0, 1<<40)
				return []any{w, from, to}, err
			},
		}}
}

func ofEngine(ctx context.Context, e *assessments.Engine, its belongings) ofStore {
	actor, all := func(o inventory.OrgID) authz.Actor { return authz.Actor{Org: o, ID: "p-eve"} }, time.Now().Add(time.Hour)
	return ofStore{of: e, refused: map[string]bool{"Decide": true, "DecideApplicability": true},
		reads: map[string]func(inventory.OrgID) (any, error){
			"Evaluate":    func(o inventory.OrgID) (any, error) { return e.Evaluate(ctx, o, "SYS-001", its.framework) },
			"EvaluateAll": func(o inventory.OrgID) (any, error) { return e.EvaluateAll(ctx, o, "SYS-001") },
			"Evidence":    func(o inventory.OrgID) (any, error) { return e.Evidence(ctx, o, its.framework, its.control, "SYS-001") },
			"Proposals": func(o inventory.OrgID) (any, error) {
				return e.Proposals(ctx, o, its.framework, its.control, "SYS-001")
			},
			"Attached":          func(o inventory.OrgID) (any, error) { return e.Attached(ctx, o, assessments.Sought{}) },
			"Applicabilities":   func(o inventory.OrgID) (any, error) { return e.Applicabilities(ctx, o, assessments.Sought{}) },
			"ApplicabilityByID": func(o inventory.OrgID) (any, error) { return e.ApplicabilityByID(ctx, o, its.proposal) },
			"Undecided":         func(o inventory.OrgID) (any, error) { a, b, err := e.Undecided(ctx, o); return []any{a, b}, err },
			"EvidenceByID":      func(o inventory.OrgID) (any, error) { return e.EvidenceByID(ctx, o, its.evidence) },
			// A view of one organisation does not open the results of another.
			"EvaluateAt": func(o inventory.OrgID) (any, error) {
				a, err := e.EvaluateAt(ctx, o, "SYS-001", its.framework, assessments.View{State: &inventory.State{Systems: []inventory.System{{ID: "SYS-001"}}}, At: all})
				if err != nil {
					return nil, err
				}
				var results []any
				for _, c := range a.Controls {
					for _, x := range c.Tests {
						if x.Result != nil {
							results = append(results, x.Result)
						}
					}
					for _, h := range c.Human {
						if h.Evidence != nil {
							results = append(results, h.Evidence)
						}
					}
				}
				return results, nil
			},
		},
		writes: map[string]func(inventory.OrgID) error{
			"Attach": func(o inventory.OrgID) error {
				_, err := e.Attach(ctx, actor(o), assessments.Evidence{ID: its.evidence, Org: testOrg, Framework: its.framework, Control: its.control, System: "SYS-001", Type: "document", Title: "Eve's", Link: "https://example.com"})
				return err
			},
			"DecideApplicability": func(o inventory.OrgID) error { return e.DecideApplicability(ctx, actor(o), its.proposal, true, "") },
			"Decide":              func(o inventory.OrgID) error { return e.Decide(ctx, actor(o), its.evidence, true, "fine") },
			"PlanAction": func(o inventory.OrgID) error {
				_, err := e.PlanAction(ctx, actor(o), its.framework, its.control, "SYS-001", assessments.Plan{Cause: "c", Action: "a", Owner: "Eve", Due: all})
				return err
			},
			"ProposeApplicability": func(o inventory.OrgID) error {
				_, err := e.ProposeApplicability(ctx, actor(o), its.framework, its.control, "SYS-001", false, "no")
				return err
			},
			"RunTests":    func(o inventory.OrgID) error { _, err := e.RunTests(ctx, o); return err },
			"VerifyChain": func(o inventory.OrgID) error { _, _, err := e.VerifyChain(ctx, o); return err },
		}}
}

func ofPins(ctx context.Context, p *pinStore) ofStore {
	pin := gateway.Pin{Org: testOrg, System: "SYS-001", ID: [32]byte{1}, Provider: "up", Target: "gpt-4o-mini", Model: "gpt-4o-mini", At: time.Now()}
	return ofStore{of: p,
		reads: map[string]func(inventory.OrgID) (any, error){
			"Find": func(o inventory.OrgID) (any, error) { return p.Find(ctx, o, pin.System, pin.ID) },
		},
		writes: map[string]func(inventory.OrgID) error{
			"Put":    func(o inventory.OrgID) error { return p.Put(ctx, o, []gateway.Pin{pin}) },
			"Expire": func(o inventory.OrgID) error { return p.Expire(ctx, o, time.Now().Add(time.Hour)) },
		}}
}

func keptBatch(o inventory.OrgID) *gateway.Object {
	return &gateway.Object{Org: o, System: "SYS-001", Kind: gateway.KeptBatch, ID: "batch_1", Provider: "up", Target: "gpt-4o-mini", Model: "gpt-4o-mini", At: time.Now(),
		Op: "chat.completions", Lot: gateway.Lot{Requests: 3, Input: 5}, Exchange: ident.ID{1}, Said: []byte(`{"id":"batch_1"}`)}
}

func ofKept(ctx context.Context, k *keptStore) ofStore {
	b := keptBatch(testOrg)
	return ofStore{of: k, instance: map[string]string{"Sweep": "forgets what is old, of each organisation by its own name"},
		reads: map[string]func(inventory.OrgID) (any, error){
			"Find":       func(o inventory.OrgID) (any, error) { return k.Find(ctx, o, b.System, b.Kind, b.ID) },
			"OfExchange": func(o inventory.OrgID) (any, error) { return k.OfExchange(ctx, o, b.Exchange) },
			"List":       func(o inventory.OrgID) (any, error) { return k.List(ctx, o, b.System, b.Kind) },
		},
		writes: map[string]func(inventory.OrgID) error{
			"Put":    func(o inventory.OrgID) error { return k.Put(ctx, keptBatch(o)) },
			"Forget": func(o inventory.OrgID) error { return k.Forget(ctx, o, b.System, b.Kind, b.ID) },
		}}
}

func ofReports(ctx context.Context, r *reports.Service, its belongings) ofStore {
	eve := func(o inventory.OrgID) authz.Actor { return authz.Actor{Org: o, ID: "p-eve"} }
	nothing := func(context.Context) (string, error) { return "", nil }
	// Every write is tried too by an actor of one organisation for another.
	crossed := func(do func(actor authz.Actor, org inventory.OrgID) error) func(inventory.OrgID) error {
		return func(o inventory.OrgID) error {
			if err := do(eve(evil), testOrg); err == nil {
				return nil
			}
			return do(eve(o), o)
		}
	}
	return ofStore{of: r, instance: map[string]string{"AllSchedules": "for the table of jobs", "Resume": "finishes what a crash left of any", "Finish": "finishes what an outage left of any"},
		refused: map[string]bool{"Issue": true, "DeleteSchedule": true},
		reads: map[string]func(inventory.OrgID) (any, error){
			"Cited":     func(o inventory.OrgID) (any, error) { return r.Cited(ctx, reports.Document{Org: o, ID: its.document}) },
			"Content":   func(o inventory.OrgID) (any, error) { return r.Content(ctx, o, its.document) },
			"Get":       func(o inventory.OrgID) (any, error) { return r.Get(ctx, o, its.document) },
			"LastRuns":  func(o inventory.OrgID) (any, error) { return r.LastRuns(ctx, o) },
			"List":      func(o inventory.OrgID) (any, error) { return r.List(ctx, o) },
			"Open":      func(o inventory.OrgID) (any, error) { return opened(r.Open(ctx, o, its.document, reports.PartPDF)) },
			"Path":      func(o inventory.OrgID) (any, error) { return r.Path(ctx, o, its.document, reports.PartPDF) },
			"Pending":   func(o inventory.OrgID) (any, error) { return r.Pending(ctx, o) },
			"Runs":      func(o inventory.OrgID) (any, error) { return r.Runs(ctx, o, 100) },
			"RunsOf":    func(o inventory.OrgID) (any, error) { return r.RunsOf(ctx, o, "control-tests", 100) },
			"Schedules": func(o inventory.OrgID) (any, error) { return r.Schedules(ctx, o) },
		},
		writes: map[string]func(inventory.OrgID) error{
			"DeleteSchedule": crossed(func(a authz.Actor, o inventory.OrgID) error { return r.DeleteSchedule(ctx, a, o, its.schedule) }),
			"Issue": crossed(func(a authz.Actor, o inventory.OrgID) error {
				_, err := r.Issue(ctx, a, reports.Request{Org: o, Kind: reports.KindModelCard, System: "SYS-001"})
				return err
			}),
			"PutSchedule": crossed(func(a authz.Actor, o inventory.OrgID) error {
				_, err := r.PutSchedule(ctx, a, reports.Schedule{ID: its.schedule, Org: o, Kind: reports.KindModelCard, System: "SYS-001", Cron: "0 7 * * 1"})
				return err
			}),
			"RecordDownload": crossed(func(a authz.Actor, o inventory.OrgID) error {
				return r.RecordDownload(ctx, a, reports.Document{Org: o, ID: its.document}, reports.PartPDF)
			}),
			"RunOnce": crossed(func(a authz.Actor, o inventory.OrgID) error {
				_, err := r.RunOnce(ctx, o, "control-tests", time.Now(), a, nothing)
				return err
			}),
		}}
}

func opened(f *os.File, kind string, err error) (any, error) {
	if err != nil {
		return nil, err
	}
	return kind, f.Close()
}

// rowsOf reads an organisation's rows of every table that has organisations.
func rowsOf(t *testing.T, pool *sql.DB, postgres bool, org inventory.OrgID) map[string][]string {
	t.Helper()
	list, dump := `SELECT m.name FROM sqlite_master m WHERE m.type = 'table' AND EXISTS (SELECT 1 FROM pragma_table_info(m.name) WHERE name = 'org')`, `SELECT * FROM %s WHERE org = ?`
	if postgres {
		list, dump = `SELECT table_name FROM information_schema.columns WHERE table_schema = 'public' AND column_name = 'org'`, `SELECT * FROM %s WHERE org = $1`
	}
	out := map[string][]string{}
	for _, table := range query(t, pool, list) {
		if rows := query(t, pool, fmt.Sprintf(dump, table), string(org)); len(rows) > 0 {
			out[table] = rows
		}
	}
	return out
}

// query gives each row as one text, sorted.
func query(t *testing.T, pool *sql.DB, text string, args ...any) (out []string) {
	t.Helper()
	rows, err := pool.Query(text, args...)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	columns, err := rows.Columns()
	if err != nil {
		t.Fatal(err)
	}
	for rows.Next() {
		cells, into := make([]sql.RawBytes, len(columns)), make([]any, len(columns))
		for i := range cells {
			into[i] = &cells[i]
		}
		if err := rows.Scan(into...); err != nil {
			t.Fatal(err)
		}
		var parts []string
		for _, c := range cells {
			parts = append(parts, string(c))
		}
		out = append(out, strings.Join(parts, "|"))
	}
	if err := rows.Err(); err != nil {
		t.Fatal(err)
	}
	sort.Strings(out)
	return out
}
