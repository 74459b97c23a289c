package record

import (
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"plumbline/app/ident"
	"plumbline/gateway/event"
)

// flat prints fields one a line.
func flat(list []Field, indent string) string {
	var b strings.Builder
	for _, f := range list {
		fmt.Fprintf(&b, "%s%d %s", indent, f.Number, f.Name)
		if f.Value != nil {
			fmt.Fprintf(&b, " %v", f.Value)
		}
		b.WriteByte('\n')
		b.WriteString(flat(f.Inner, indent+"  "))
	}
	return b.String()
}

func TestFields(t *testing.T) {
	env := Envelope{Kind: ExchangeIntent, Version: 1, ID: ident.ID{1}, At: 5, Writer: "w", Number: 1}
	intent := AppendEvent(nil, &env, &event.Event{Exchange: ident.ID{2}, System: "SYS-1", SystemVersion: 3, Decision: event.Decision{Effect: event.EffectAllow, Rule: "r"},
		Prompt: []event.Verdict{{Guard: "pii", State: event.Hit, Classes: []string{"email"}}}, Holds: []event.Hold{{Budget: "org", Amount: 7}}})
	env.Kind = DocumentIssued
	document, err := Append(nil, &Record{Envelope: env, Body: &Document{Kind: "audit", JSON: [32]byte{9}, AsOf: 4}})
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name  string
		bytes []byte
		want  string
	}{
		{"an exchange, its lists and maps", intent, "1 exchange " + (ident.ID{2}).String() + "\n2 system SYS-1\n3 system_version 3\n20 decision\n  1 effect 1\n  2 rule r\n22 prompt\n  1 \n    1 guard pii\n    3 state 2\n    8 classes [email]\n23 holds\n  1 \n    1 budget org\n    2 amount $0.000000007\n"},
		{"what is always written stands there as zero", document, "1 kind audit\n4 pdf " + fmt.Sprint([32]byte{}) + "\n5 json " + fmt.Sprint([32]byte{9}) + "\n6 as_of 4\n7 root " + fmt.Sprint([32]byte{}) + "\n8 template \n9 revision 0\n10 issued_at 0\n11 identifier \n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got, err := Fields(c.bytes)
			if err != nil {
				t.Fatal(err)
			}
			if d := cmp.Diff(c.want, flat(got, "")); d != "" {
				t.Errorf("(-want +got):\n%s", d)
			}
		})
	}
	if _, err := Fields(intent[:len(intent)-1]); err == nil {
		t.Error("a record that is cut was read")
	}
}

// TestFieldsOfEveryKind: every kind's sample shows every field that it stores.
func TestFieldsOfEveryKind(t *testing.T) {
	for k := range kinds {
		_, b, err := sample(k)
		if err != nil {
			t.Fatal(err)
		}
		list, err := Fields(b)
		if err != nil || len(list) == 0 {
			t.Errorf("%s: %d fields, %v", k, len(list), err)
		}
		for i, f := range list {
			if f.Name == "" || i > 0 && f.Number <= list[i-1].Number {
				t.Errorf("%s: field %d %q after %d", k, f.Number, f.Name, list[max(i-1, 0)].Number)
			}
		}
	}
}
