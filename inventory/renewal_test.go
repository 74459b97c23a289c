package inventory

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/fault"
)

// renewing is a desk whose system has an approval for ten days, whose renewal ann has
// asked for.
func renewing(d *desk) (id SystemID, granted Approval) {
	d.t.Helper()
	ctx := d.t.Context()
	id, _ = d.furnish(ann, bob)
	d.must(d.RequestApproval(ctx, ann, id, ""))
	d.must(d.DecideApproval(ctx, bob, id, true, d.now.AddDate(0, 0, 10), "for ten days"))
	granted = d.approval(id)
	d.must(d.RequestApproval(ctx, ann, id, "it ends soon"))
	return id, granted
}

// approval is what the gateway obeys.
func (d *desk) approval(id SystemID) Approval {
	d.t.Helper()
	return d.Snapshot().Orgs["acme"].Systems[id].Approval
}

// TestRenewal: the approval in force stands beside the request for the next, and what
// becomes of it.
func TestRenewal(t *testing.T) {
	for _, c := range []struct {
		name string
		then func(d *desk, id SystemID) // after the request
		want func(granted Approval) Approval
		runs bool
		last string // the newest change
	}{
		{"asked for", func(*desk, SystemID) {}, func(g Approval) Approval {
			return Approval{State: Requested, RequestedBy: "p-ann", Standing: &g}
		}, true, "system.renewal_requested"},
		{"asked for again by another", func(d *desk, id SystemID) { d.must(d.RequestApproval(d.t.Context(), bob, id, "")) }, func(g Approval) Approval {
			return Approval{State: Requested, RequestedBy: "p-bob", Standing: &g}
		}, true, "system.renewal_requested"},
		{"granted", func(d *desk, id SystemID) {
			d.must(d.DecideApproval(d.t.Context(), bob, id, true, d.now.AddDate(1, 0, 0), "again"))
		}, func(g Approval) Approval {
			return Approval{State: Approved, RequestedBy: "p-ann", DecidedBy: "p-bob", DecidedAt: g.DecidedAt, Until: g.DecidedAt.AddDate(1, 0, 0), Reason: "again"}
		}, true, "system.approved"},
		{"rejected", func(d *desk, id SystemID) {
			d.must(d.DecideApproval(d.t.Context(), bob, id, false, time.Time{}, "not for a year"))
		}, func(g Approval) Approval {
			return Approval{State: Rejected, RequestedBy: "p-ann", DecidedBy: "p-bob", DecidedAt: g.DecidedAt, Reason: "not for a year", Standing: &g}
		}, true, "system.renewal_rejected"},
		{"rejected and asked for again", func(d *desk, id SystemID) {
			d.must(d.DecideApproval(d.t.Context(), bob, id, false, time.Time{}, "not for a year"))
			d.must(d.RequestApproval(d.t.Context(), ann, id, "for a month then"))
		}, func(g Approval) Approval {
			return Approval{State: Requested, RequestedBy: "p-ann", Standing: &g}
		}, true, "system.renewal_requested"},
		{"rejected after the end", func(d *desk, id SystemID) {
			d.now = d.now.AddDate(0, 0, 10)
			d.must(d.DecideApproval(d.t.Context(), bob, id, false, time.Time{}, "too late"))
		}, func(g Approval) Approval {
			return Approval{State: Rejected, RequestedBy: "p-ann", DecidedBy: "p-bob", DecidedAt: g.DecidedAt.AddDate(0, 0, 10), Reason: "too late"}
		}, false, "system.rejected"},
		{"asked for again after the end", func(d *desk, id SystemID) {
			d.now = d.now.AddDate(0, 0, 10)
			d.must(d.RequestApproval(d.t.Context(), ann, id, ""))
		}, func(Approval) Approval { return Approval{State: Requested, RequestedBy: "p-ann"} }, false, "system.approval_requested"},
		{"another owner", func(d *desk, id SystemID) { d.change(id, func(s *System) { s.Owner = "Claims" }) }, func(g Approval) Approval {
			return Approval{State: Requested, RequestedBy: "p-ann", Standing: &g}
		}, true, "system.changed"},
		{"another purpose", func(d *desk, id SystemID) { d.change(id, func(s *System) { s.Purpose = "Decides on credit." }) },
			func(Approval) Approval { return Approval{State: NotRequested} }, false, "system.changed"},
		{"another class after a rejection", func(d *desk, id SystemID) {
			d.must(d.DecideApproval(d.t.Context(), bob, id, false, time.Time{}, "no"))
			d.change(id, func(s *System) { s.RiskClass, s.RiskReason = HighRiskAnnexIII, "5.b" })
		}, func(g Approval) Approval {
			return Approval{State: Rejected, RequestedBy: "p-ann", DecidedBy: "p-bob", DecidedAt: g.DecidedAt, Reason: "no"}
		}, false, "system.changed"},
		{"withdrawn while it is asked for", func(d *desk, id SystemID) { d.must(d.WithdrawApproval(d.t.Context(), bob, id, "complaints")) },
			func(Approval) Approval { return Approval{State: Requested, RequestedBy: "p-ann"} }, false, "system.approval_withdrawn"},
		{"withdrawn after a rejection", func(d *desk, id SystemID) {
			d.must(d.DecideApproval(d.t.Context(), bob, id, false, time.Time{}, "no"))
			d.must(d.WithdrawApproval(d.t.Context(), bob, id, "complaints"))
		}, func(g Approval) Approval {
			return Approval{State: Withdrawn, DecidedBy: "p-bob", DecidedAt: g.DecidedAt, Reason: "complaints"}
		}, false, "system.approval_withdrawn"},
		{"granted and withdrawn", func(d *desk, id SystemID) {
			d.must(d.DecideApproval(d.t.Context(), bob, id, true, time.Time{}, "again"))
			d.must(d.WithdrawApproval(d.t.Context(), bob, id, "complaints"))
			d.change(id, func(s *System) { s.Purpose = "Something else." }) // a refusal stays
		}, func(g Approval) Approval {
			return Approval{State: Withdrawn, DecidedBy: "p-bob", DecidedAt: g.DecidedAt, Reason: "complaints"}
		}, false, "system.changed"},
	} {
		t.Run(c.name, func(t *testing.T) {
			backends(t, func(t *testing.T, d *desk) {
				id, granted := renewing(d)
				c.then(d, id)
				got := d.approval(id)
				if diff := cmp.Diff(c.want(granted), got); diff != "" {
					t.Error(diff)
				}
				if got.ValidAt(d.now) != c.runs {
					t.Errorf("valid %v, want %v", !c.runs, c.runs)
				}
				if got.State != Approved && got.ValidAt(granted.Until) {
					t.Error("valid beyond the end of what was granted")
				}
				if kinds := d.book.kinds("acme"); kinds[len(kinds)-1] != c.last {
					t.Errorf("recorded %v, want %s as the last", kinds, c.last)
				}
				d.open() // the same from the database
				if diff := cmp.Diff(got, d.approval(id)); diff != "" {
					t.Error(diff)
				}
			})
		})
	}
}

// change is an edit of a system by ann.
func (d *desk) change(id SystemID, f func(*System)) {
	d.t.Helper()
	s, err := d.System("acme", id)
	d.must(err)
	changed := *s
	f(&changed)
	d.must(d.UpdateSystem(d.t.Context(), ann, changed, 0, ""))
}

// TestRenewalKeepsFourEyes: an approval that stands makes nobody the second person.
func TestRenewalKeepsFourEyes(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		id, _ := renewing(d)
		ctx := t.Context()
		for _, approve := range []bool{true, false} {
			d.refused(d.DecideApproval(ctx, ann, id, approve, time.Time{}, "mine"), fault.Forbidden, "four_eyes", "second person")
		}
		d.must(d.DecideApproval(ctx, bob, id, false, time.Time{}, "no"))
		d.refused(d.DecideApproval(ctx, bob, id, true, time.Time{}, "yes after all"), fault.Conflict, "not_requested", string(id))
		last := d.book.changes["acme"][len(d.book.changes["acme"])-1]
		if last.Kind != "system.renewal_rejected" || last.Actor != "p-bob" || last.Approver != "p-bob" || !last.Reasoned {
			t.Errorf("recorded %+v", last)
		}
	})
}

// TestRenewalWhileTheLedgerIsDown: a request that waits for its record stops nothing;
// a change of the purpose and a withdrawal stop at once.
func TestRenewalWhileTheLedgerIsDown(t *testing.T) {
	for _, c := range []struct {
		name string
		stop func(d *desk, id SystemID)
	}{
		{"another purpose", func(d *desk, id SystemID) { d.change(id, func(s *System) { s.Purpose = "Decides on credit." }) }},
		{"withdrawn", func(d *desk, id SystemID) { d.must(d.WithdrawApproval(d.t.Context(), bob, id, "complaints")) }},
		{"out of use", func(d *desk, id SystemID) { d.change(id, func(s *System) { s.Lifecycle = Development }) }},
	} {
		t.Run(c.name, func(t *testing.T) {
			backends(t, func(t *testing.T, d *desk) {
				id, _ := renewing(d)
				d.book.set(errDown, nil)
				if err := d.RequestApproval(t.Context(), bob, id, "once more"); !fault.Is(err, fault.Unavailable) {
					t.Errorf("asked for without a record: %v", err)
				}
				if a := d.approval(id); !a.ValidAt(d.now) || a.RequestedBy != "p-ann" {
					t.Errorf("a request that waits is in force: %+v", a)
				}
				c.stop(d, id)
				calls := func() bool {
					s := d.Snapshot().Orgs["acme"].Systems[id]
					return s.Approval.ValidAt(d.now) && inUse(s.Lifecycle)
				}
				if calls() {
					t.Error("it may call although what stops it is saved")
				}
				d.book.set(nil, nil)
				d.must(d.refresh(t.Context()))
				if calls() {
					t.Error("the request that waited undid what stops it")
				}
			})
		})
	}
}

// TestWithdrawApproval refuses what is not there to withdraw.
func TestWithdrawApproval(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		ctx := t.Context()
		id, _ := d.furnish(ann, bob)
		d.refused(d.WithdrawApproval(ctx, bob, id, " "), fault.Invalid, "invalid_field", "why")
		d.refused(d.WithdrawApproval(ctx, bob, "SYS-404", "x"), fault.NotFound, "not_found", "SYS-404")
		d.must(d.WithdrawApproval(ctx, ann, id, "complaints")) // who asked may: it permits nothing
		d.refused(d.WithdrawApproval(ctx, bob, id, "again"), fault.Conflict, "not_approved", string(id))
		d.must(d.RequestApproval(ctx, ann, id, ""))
		d.refused(d.WithdrawApproval(ctx, bob, id, "x"), fault.Conflict, "not_approved", string(id))
		d.must(d.DecideApproval(ctx, bob, id, true, d.now.Add(time.Hour), "fine"))
		d.now = d.now.Add(time.Hour)
		d.refused(d.WithdrawApproval(ctx, bob, id, "x"), fault.Conflict, "not_approved", string(id))
		d.must(d.RequestApproval(ctx, ann, id, ""))
		d.must(d.DecideApproval(ctx, bob, id, true, time.Time{}, "fine"))
		d.must(d.Retire(ctx, ann, id, "replaced"))
		d.refused(d.WithdrawApproval(ctx, bob, id, "x"), fault.Conflict, "not_approved", string(id))
	})
}

// TestDeclaredApprovalHasNoStanding: the file says what is approved, and nothing that
// stands beside it; a declared system's approval is withdrawn in the file.
func TestDeclaredApprovalHasNoStanding(t *testing.T) {
	backends(t, func(t *testing.T, d *desk) {
		id, _ := renewing(d)
		text := strings.Replace(house, "state: approved", "state: requested, standing: {state: approved}", 1)
		if text == house {
			t.Fatal("the declaration approves nothing")
		}
		if _, err := ParseDeclaration([]byte(text), "/etc/plumbline/house.yaml"); err == nil || !strings.Contains(err.Error(), "standing") {
			t.Errorf("a standing approval in the file: %v", err)
		}
		// What people's approval let run and the file does not is over at once.
		d.book.set(errDown, nil)
		_, err := d.declare(strings.Replace(house, "state: approved", "state: requested", 1))
		d.must(err)
		if d.approval(id).ValidAt(d.now) {
			t.Error("the file asks for an approval, and the system runs")
		}
		d.book.set(nil, nil)
		_, err = d.declare(house)
		d.must(err)
		if a := d.approval(id); a.Standing != nil || !a.Imported {
			t.Errorf("the file's approval is %+v", a)
		}
		d.refused(d.WithdrawApproval(t.Context(), bob, id, "x"), fault.Conflict, "declared", "house.yaml")
	})
}

// TestRowsOfBefore: a row that an earlier release wrote reads as it was meant and is
// written back byte for byte.
func TestRowsOfBefore(t *testing.T) {
	now := time.Date(2026, 11, 24, 12, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name, approval string
		valid          bool
	}{
		{"approved", `{"state":"approved","requested_by":"p-ann","decided_by":"p-bob","decided_at":"2026-11-20T10:00:00Z","until":"2026-12-20T23:59:59Z","reason":"looked at"}`, true},
		{"ended", `{"state":"approved","requested_by":"p-ann","decided_by":"p-bob","decided_at":"2026-11-20T10:00:00Z","until":"2026-11-23T23:59:59Z","reason":"looked at"}`, false},
		{"imported", `{"state":"approved","imported":true}`, true},
		{"requested", `{"state":"requested","requested_by":"p-ann"}`, false},
		{"rejected", `{"state":"rejected","requested_by":"p-ann","decided_by":"p-bob","decided_at":"2026-11-20T10:00:00Z","reason":"no"}`, false},
		{"not requested", `{"state":"not_requested"}`, false},
	} {
		var a Approval
		if err := json.Unmarshal([]byte(c.approval), &a); err != nil {
			t.Fatal(err)
		}
		if a.ValidAt(now) != c.valid || a.Standing != nil || (a.Grant() != nil) != slices.Contains([]string{"approved", "ended", "imported"}, c.name) {
			t.Errorf("%s reads as %+v", c.name, a)
		}
		again, err := json.Marshal(a)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(c.approval, string(again)); diff != "" {
			t.Errorf("%s: %s", c.name, diff)
		}
	}
}
