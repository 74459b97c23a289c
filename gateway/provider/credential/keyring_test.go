package credential

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/inventory"
)

var start = time.Date(2026, 11, 26, 12, 0, 0, 0, time.UTC)

// ringOf is a source with one provider, whose keys are what env says.
func ringOf(t testing.TB, env map[string]string, keys ...inventory.ProviderKey) (*Source, *Keyring) {
	t.Helper()
	resolve := func(reference string) (string, error) {
		if v := env[reference]; v != "" {
			return v, nil
		}
		return "", errors.New("the environment variable is not set")
	}
	s, err := New(Config{Resolve: resolve, Now: func() time.Time { return start }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close(context.Background()) })
	s.Use(snapshotOf(inventory.Provider{ID: "up", Credentials: keys}))
	return s, s.Keyring("acme", "up")
}

func snapshotOf(p inventory.Provider) *inventory.Snapshot {
	return &inventory.Snapshot{Orgs: map[inventory.OrgID]*inventory.OrgView{"acme": {Providers: map[inventory.ProviderID]*inventory.Provider{p.ID: &p}}}}
}

func key(reference string, weight int) inventory.ProviderKey {
	return inventory.ProviderKey{Ref: reference, Weight: weight}
}

func TestWeights(t *testing.T) {
	_, r := ringOf(t, map[string]string{"env:A": "a", "env:B": "b", "env:C": "c"}, key("env:A", 5), key("env:B", 1), key("env:C", 0))
	got := map[string]int{}
	order := ""
	for range 700 {
		k, err := r.Pick(t.Context(), start)
		if err != nil {
			t.Fatal(err)
		}
		got[k.ID]++
		if len(order) < 7 {
			order += k.ID
		}
	}
	if diff := cmp.Diff(map[string]int{"1": 500, "2": 100, "3": 100}, got); diff != "" {
		t.Error(diff)
	}
	if order != "1121311" {
		t.Errorf("the first seven: %s", order) // smooth: no key rests longer than it must
	}
}

// How long a key is set aside, by what was answered, and what brings it back.
func TestSetAside(t *testing.T) {
	type answer struct {
		status int
		after  time.Duration
	}
	for _, c := range []struct {
		name    string
		answers []answer // to the first key
		want    time.Duration
	}{
		{"accepted", []answer{{200, 0}}, 0},
		{"about the request", []answer{{400, 0}, {404, 0}, {422, 0}}, 0},
		{"upstream's own trouble", []answer{{500, 0}, {503, time.Hour}}, 0},
		{"refused", []answer{{401, 0}}, 30 * time.Second},
		{"forbidden twice", []answer{{403, 0}, {403, 0}}, time.Minute},
		{"refused for good", []answer{{401, 0}, {401, 0}, {401, 0}, {401, 0}, {401, 0}, {401, 0}, {401, 0}, {401, 0}, {401, 0}, {401, 0}}, time.Hour},
		{"refused, then accepted", []answer{{401, 0}, {401, 0}, {200, 0}}, 0},
		{"refused, accepted, refused", []answer{{401, 0}, {401, 0}, {200, 0}, {401, 0}}, 30 * time.Second},
		{"unpaid", []answer{{402, 0}}, 5 * time.Minute},
		{"limited", []answer{{429, 20 * time.Second}}, 20 * time.Second},
		{"limited for a day", []answer{{429, 24 * time.Hour}}, time.Hour},
		{"limited without a time", []answer{{429, 0}}, 5 * time.Second},
		{"limited without a time for long", []answer{{429, 0}, {429, 0}, {429, 0}, {429, 0}, {429, 0}, {429, 0}}, time.Minute},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, r := ringOf(t, map[string]string{"env:A": "a", "env:B": "b"}, key("env:A", 1000), key("env:B", 1))
			k, err := r.Pick(t.Context(), start)
			if err != nil || k.ID != "1" {
				t.Fatal(k, err)
			}
			for _, a := range c.answers {
				r.Report(k, start, a.status, a.after)
			}
			var got time.Duration
			if until := r.keys[0].until; until.After(start) {
				got = until.Sub(start)
			}
			if got != c.want {
				t.Fatalf("%v, not %v", got, c.want)
			}
			if c.want == 0 {
				return
			}
			if k, _ := r.Pick(t.Context(), start.Add(c.want-1)); k.ID != "2" || !r.Another(start) {
				t.Errorf("within that time: %v", k)
			}
			if k, _ := r.Pick(t.Context(), start.Add(c.want)); k.ID != "1" {
				t.Errorf("after it: %v", k)
			}
		})
	}
}

// With every key set aside the one whose time ends first is tried.
func TestLeastBad(t *testing.T) {
	_, r := ringOf(t, map[string]string{"env:A": "a", "env:B": "b", "env:C": "c"}, key("env:A", 1), key("env:B", 1), key("env:C", 1))
	for _, a := range []struct {
		status int
		after  time.Duration
	}{{401, 0}, {429, 10 * time.Second}, {402, 0}} {
		k, err := r.Pick(t.Context(), start)
		if err != nil {
			t.Fatal(err)
		}
		r.Report(k, start, a.status, a.after)
	}
	if r.Another(start) {
		t.Error("another is said to be there")
	}
	for range 3 {
		if k, err := r.Pick(t.Context(), start); k.ID != "2" || err != nil {
			t.Errorf("%v %v", k, err)
		}
	}
	_, one := ringOf(t, map[string]string{"env:A": "a"}, key("env:A", 1))
	k, _ := one.Pick(t.Context(), start)
	one.Report(k, start, 401, 0)
	if k, err := one.Pick(t.Context(), start); k.Token() != "a" || err != nil || one.Another(start) {
		t.Errorf("a single key: %v %v", k, err)
	}
}

// A key that is not there does not keep the others from being used; when none is,
// the error says of each why.
func TestMissingKeys(t *testing.T) {
	_, r := ringOf(t, map[string]string{"env:B": "b"}, key("env:A", 9), key("env:B", 1))
	for range 3 {
		if k, err := r.Pick(t.Context(), start); k.ID != "2" || err != nil {
			t.Errorf("%v %v", k, err)
		}
	}
	_, r = ringOf(t, nil, key("env:A", 1), key("env:B", 1))
	began := time.Now()
	_, err := r.Pick(t.Context(), start)
	var none *Unavailable
	if !errors.As(err, &none) || none.Provider != "up" || len(none.Reasons) != 2 || !strings.Contains(err.Error(), "key 2: the environment variable is not set") {
		t.Errorf("%v", err)
	}
	if d := time.Since(began); d > time.Second {
		t.Errorf("what nobody looks for was waited for: %v", d)
	}
	var without *Keyring
	if k, err := without.Pick(t.Context(), start); k != (Key{}) || err != nil || k.Bearer() != nil {
		t.Errorf("a provider without keys: %v %v", k, err)
	}
	without.Report(Key{}, start, 401, 0)
}

// A secret never shows, in whatever way a key is printed.
func TestKeysDoNotShow(t *testing.T) {
	const secret = "canary-5f1e"
	k, err := Static(secret)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.Marshal(map[string]any{"key": k})
	if err != nil {
		t.Fatal(err)
	}
	out := string(text) + fmt.Sprintf("%v %+v %#v %s %q", k, k, k, k, []Key{k}) + k.LogValue().String() + fmt.Sprint(struct{ K Key }{k})
	if strings.Contains(out, secret) || !strings.Contains(out, "key 1") {
		t.Error(out)
	}
	if k.Token() != secret || k.Bearer()[0] != "Bearer "+secret || k.Plain()[0] != secret {
		t.Error("and is not there either")
	}
}

func TestHide(t *testing.T) {
	for _, c := range []struct{ name, secret, text, want string }{
		{"token", "sk-live/12345", `{"message":"Incorrect key sk-live/12345 (sk-live\/12345)"}`, `{"message":"Incorrect key [credential] ([credential])"}`},
		{"elsewhere", "sk-live/12345", `{"message":"sk-live/1234"}`, `{"message":"sk-live/1234"}`},
		{"aws", "AKIAIOSFODNN7EXAMPLE:wJalrXUtnFEMI:session-1", `AKIAIOSFODNN7EXAMPLE wJalrXUtnFEMI session-1`, `AKIAIOSFODNN7EXAMPLE [credential] [credential]`},
		{"a word", "none", `{"param":none}`, `{"param":none}`},
	} {
		k, err := Static(c.secret)
		if got := string(k.Hide([]byte(c.text))); got != c.want || err != nil {
			t.Errorf("%s: %s %v", c.name, got, err)
		}
	}
	if got := string(Key{}.Hide([]byte("x"))); got != "x" {
		t.Errorf("without a key: %q", got)
	}
}

func TestTokens(t *testing.T) {
	for _, c := range []struct {
		name, text string
		token      string
		aws        AWS
		want       string // of the error
	}{
		{"plain", " sk-1\n", "sk-1", AWS{}, ""},
		{"empty", " \n", "", AWS{}, "empty"},
		{"two lines", "sk-1\nsk-2", "", AWS{}, "one line"},
		{"a header of its own", "sk-1\r\nX: y", "", AWS{}, "one line"},
		{"letters that no header holds", "sk-é", "", AWS{}, "one line"},
		{"endless", strings.Repeat("k", 20_000), "", AWS{}, "16 KiB"},
		{"aws", "AKIAIOSFODNN7EXAMPLE:wJalr/X+Y=", "", AWS{"AKIAIOSFODNN7EXAMPLE", "wJalr/X+Y=", ""}, ""},
		{"aws with a session", "ASIAIOSFODNN7EXAMPLE:s:t/o:k", "", AWS{"ASIAIOSFODNN7EXAMPLE", "s", "t/o:k"}, ""},
	} {
		k, err := Static(c.text)
		if c.text == " \n" {
			var v *value
			v, err = newToken(c.text, time.Time{})
			k = Key{value: v}
		}
		aws, signs := k.AWS()
		if k.Token() != c.token || aws != c.aws || signs != (c.aws != AWS{}) || (err == nil) != (c.want == "") || err != nil && (!strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "sk-")) {
			t.Errorf("%s: %q %v %v", c.name, k.Token(), aws, err)
		}
	}
}

func TestPickAllocatesNothing(t *testing.T) {
	ctx := context.Background()
	for _, keys := range [][]inventory.ProviderKey{{key("env:A", 1)}, {key("env:A", 1), key("env:B", 2)}} {
		_, r := ringOf(t, map[string]string{"env:A": "a", "env:B": "b"}, keys...)
		var header []string
		if n := testing.AllocsPerRun(100, func() {
			k, err := r.Pick(ctx, start)
			if err != nil {
				t.Fatal(err)
			}
			header = k.Bearer()
			r.Report(k, start, 200, 0)
		}); n != 0 {
			t.Errorf("%d keys: %v allocations", len(keys), n)
		}
		if header == nil {
			t.Error("no header")
		}
	}
}

// Many calls at once, with keys that come and go.
func TestRingUnderLoad(t *testing.T) {
	s, r := ringOf(t, map[string]string{"env:A": "a", "env:B": "b", "env:C": "c"}, key("env:A", 1), key("env:B", 2), key("env:C", 3))
	var group sync.WaitGroup
	for i := range 8 {
		group.Add(1)
		go func() {
			defer group.Done()
			for n := range 500 {
				k, err := r.Pick(context.Background(), start)
				if err != nil {
					t.Error(err)
					return
				}
				r.Report(k, start, []int{200, 401, 429, 500}[(i+n)%4], 0)
				r.Another(start)
				if n%100 == 0 {
					s.refresh(start)
					s.Health("acme")
				}
			}
		}()
	}
	group.Wait()
}
