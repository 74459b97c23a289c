package web

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/ident"
	"plumbline/app/money"
	"plumbline/assessments/evidence/record"
	"plumbline/gateway/event"
	"plumbline/inventory"
)

func teller() *request {
	return &request{state: &inventory.State{Systems: []inventory.System{{ID: "SYS-001", Name: "Desk"}}, Keys: []inventory.Key{{ID: "k1", Name: "desk, production"}}}}
}

// TestTold: each kind of record says in one line what happened.
func TestTold(t *testing.T) {
	const at = 1_790_000_000_000_000
	for _, c := range []struct {
		body any
		want string
		href string // page of what it is about
	}{
		{&event.Event{Kind: event.Intent, System: "SYS-001", ModelTarget: "gpt-4o", Provider: "openai", Exchange: ident.ID{1}}, "SYS-001 to gpt-4o at openai", "/exchanges/" + (ident.ID{1}).String()},
		{&event.Event{Kind: event.Attempt, Try: 2, Provider: "openai"}, "no registered system, attempt 2 at openai", "/exchanges/" + (ident.ID{}).String()},
		{&event.Event{Kind: event.Outcome, System: "SYS-001", Status: 502, Code: "upstream_error", Charge: 5 * money.Dollar}, "SYS-001: status 502, $5.000 000 000, upstream error", "/exchanges/" + (ident.ID{}).String()},
		{&event.Event{Kind: event.Refused, Code: "budget_exceeded"}, "no registered system: budget exceeded", "/exchanges/" + (ident.ID{}).String()},
		{&record.Refusals{Key: "k1", Code: "rate_limited", Count: 1200}, "1,200 refusals of key desk, production, rate limited", "/exchanges?code=rate_limited&days=all&key=k1"},
		{&record.Started{Version: "1.0", Open: 2}, "version 1.0, found 2 intents without an end", ""},
		{&record.Stopped{Last: 41}, "in order, after its number 41", ""},
		{&record.Outage{From: at, To: at + 60_000_000, Turned: 3, Cause: "full"}, "from 21 Sep 2026 14:13:20 to 21 Sep 2026 14:14:20 UTC; 3 calls turned away; cause: full", ""},
		{&record.Hour{Hour: at / 3_600_000_000}, "the hour 21 Sep 2026 14:00 began", ""},
		{&record.Rotated{Until: at}, "to a key that signs from here on; the old one signs beside it until 21 Sep 2026", ""},
		{&record.Forked{OldOrigin: "i/acme/1", Size: 1000, Found: 990}, "from i/acme/1 of 1,000 leaves; 990 were still there", ""},
		{&record.Forked{OldOrigin: "i/acme/1", Size: 990, Found: 990, Why: "the disk broke"}, "a restored copy of i/acme/1 had 990 leaves; what was signed after them was not known. Reason: the disk broke", ""},
		{&record.Change{Kind: "system.approved", Object: "SYS-001", Version: 3, Imported: true}, "System approved SYS-001, version 3, imported", "/systems/SYS-001"},
		{&record.Change{Kind: "key.created", Object: "k1", Version: 1}, "Key created k1, version 1", "/exchanges?days=all&key=k1"},
		{&record.TestResult{Test: "t.x", System: "SYS-001", Result: "not_satisfied", FirstLeaf: 3, EndLeaf: 9}, "t.x SYS-001: not satisfied", "/exchanges?leaves=3-9&system=SYS-001"},
		{&record.ControlResult{Framework: "eu-ai-act", Control: "12.1", System: "SYS-001", State: "satisfied"}, "eu-ai-act 12.1 SYS-001: satisfied", "/frameworks/eu-ai-act?control=12.1&system=SYS-001"},
		{&record.HumanDecision{Accepted: true, Author: "job:demo"}, "accepted what job demo attached", "/evidence/" + (ident.ID{}).String()},
		{&record.Document{Identifier: "AR-2026-0001", Revision: 2, Kind: "audit"}, "AR-2026-0001, revision 2, audit", "/documents/AR-2026-0001-r2"},
		{&record.Job{Name: "control-tests", Error: "internal"}, "control-tests, failed: internal", ""},
		{record.Opaque("x"), "of a kind that this build does not know", ""},
	} {
		r, rec := teller(), &record.Record{Body: c.body}
		if got := r.told(rec); got != c.want {
			t.Errorf("%T says %q, want %q", c.body, got, c.want)
		}
		href := ""
		if s := r.subject(rec); s != nil {
			href = s.Href
		}
		if c.href != "" && href != c.href {
			t.Errorf("%T leads to %q, want %q", c.body, href, c.href)
		}
	}
}

// TestFieldLines: what a number means stands beside it.
func TestFieldLines(t *testing.T) {
	fields := []record.Field{
		{Number: 2, Name: "system", Value: "SYS-001"}, {Number: 4, Name: "key", Value: "k1"}, {Number: 25, Name: "request", Value: [32]byte{0xab}},
		{Number: 20, Name: "decision", Inner: []record.Field{{Number: 1, Name: "effect", Value: uint8(2)}}},
		{Number: 22, Name: "prompt", Inner: []record.Field{{Number: 1, Inner: []record.Field{{Number: 3, Name: "state", Value: uint8(0)}, {Number: 8, Name: "classes", Value: []string{"email", "iban"}}}}}},
		{Number: 30, Name: "usage", Inner: []record.Field{{Number: 3, Name: "cache_read", Value: int64(-1)}}}, {Number: 32, Name: "charge", Value: money.Nano(1_500_000)},
		{Number: 37, Name: "total", Value: int64(2_114_000)}, {Number: 24, Name: "deadline", Value: int64(1_790_000_000_000_000)}, {Number: 14, Name: "cited", Value: []uint64{7}},
	}
	want := []fieldLine{
		{Number: 2, Name: "System", Value: "SYS-001", Href: "/systems/SYS-001"}, {Number: 4, Name: "Key", Value: "k1", Href: "/exchanges?days=all&key=k1"},
		{Number: 25, Name: "Request", Value: "ab00000000000000000000000000000000000000000000000000000000000000"},
		{Number: 20, Name: "Decision"}, {Number: 1, Name: "Effect", Depth: 1, Value: "2", Note: "deny"},
		{Number: 22, Name: "Prompt"}, {Name: "Prompt 1", Depth: 1}, {Number: 3, Name: "State", Depth: 2, Value: "0", Note: "not run"}, {Number: 8, Name: "Classes", Depth: 2, Value: "email, iban"},
		{Number: 30, Name: "Usage"}, {Number: 3, Name: "Cache read", Depth: 1, Value: "-1", Note: "not known"}, {Number: 32, Name: "Charge", Value: "$0.001 500 000", Note: "1500000 nano-dollars"},
		{Number: 37, Name: "Total", Value: "2114000", Note: "2,114 ms"}, {Number: 24, Name: "Deadline", Value: "1790000000000000", Note: "21 Sep 2026 14:13:20.000000 UTC"},
		{Number: 14, Name: "Cited", Links: []joinItem{{Text: "7", Href: "/ledger/7"}}},
	}
	if d := cmp.Diff(want, teller().fieldLines(fields, "", 0)); d != "" {
		t.Errorf("(-want +got):\n%s", d)
	}
}
