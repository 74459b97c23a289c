package projection

import (
	"database/sql"
	"fmt"
	"maps"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

// moment is what the tables said when a log had so many leaves.
type moment struct {
	leaves   uint64
	hours    map[string]map[string]int64
	balances []Balance
}

func (s *stream) moment(p *Store, leaves uint64, asOf bool) moment {
	s.t.Helper()
	ctx := s.t.(*testing.T).Context()
	m := moment{leaves: leaves, hours: map[string]map[string]int64{}}
	for _, system := range []string{"", "chat", "hire"} {
		hours, err := p.Hours(ctx, s.log, system, time.Unix(0, 0), s.now.Add(time.Hour))
		if asOf {
			hours, err = p.HoursAsOf(ctx, s.log, system, time.Unix(0, 0), s.now.Add(time.Hour), leaves)
		}
		if err != nil {
			s.t.Fatal(err)
		}
		for _, h := range hours {
			maps.DeleteFunc(h.Counters, func(_ string, v int64) bool { return v == 0 })
			if len(h.Counters) > 0 {
				m.hours[fmt.Sprintf("%s %d", system, h.Hour)] = h.Counters
			}
		}
	}
	balances, err := p.Balances(ctx, s.log)
	if asOf {
		balances, err = p.BalancesAsOf(ctx, s.log, leaves)
	}
	if err != nil {
		s.t.Fatal(err)
	}
	for _, b := range balances {
		if b.Charged != 0 || b.Overspent != 0 {
			m.balances = append(m.balances, b)
		}
	}
	return m
}

// TestAsOf notes what the tables say at random moments of a random stream and
// asks for it again when the stream has gone on.
func TestAsOf(t *testing.T) {
	backends(t, func(t *testing.T, pool *sql.DB, dialect string) {
		for seed := range uint64(4) {
			t.Run(fmt.Sprint(seed), func(t *testing.T) {
				r := rand.New(rand.NewPCG(seed, 2))
				f := newFeed("acme")
				f.batch = func() int { return 1 + r.IntN(40) }
				p := New(pool, dialect, f, nil)
				if err := p.Rebuild(t.Context()); err != nil {
					t.Fatal(err)
				}
				s := newStream(t, r, f, "acme")
				var moments []moment
				for range 300 {
					s.step()
					if r.IntN(30) != 0 {
						continue
					}
					if err := p.CatchUp(t.Context()); err != nil {
						t.Fatal(err)
					}
					moments = append(moments, s.moment(p, f.Size("acme"), false))
				}
				if err := p.CatchUp(t.Context()); err != nil {
					t.Fatal(err)
				}
				for _, want := range moments {
					if d := cmp.Diff(want, s.moment(p, want.leaves, true), cmp.AllowUnexported(moment{})); d != "" {
						t.Fatalf("as of leaf %d of %d (-then +asked later):\n%s", want.leaves, f.Size("acme"), d)
					}
				}
				marks, err := p.Marks(t.Context(), "acme", 0, f.Size("acme"))
				if err != nil || len(marks) < 2 || marks[0].Leaf >= marks[1].Leaf || marks[0].Hour >= marks[1].Hour {
					t.Errorf("marks %v, %v", marks, err)
				}
				if early, err := p.Marks(t.Context(), "acme", 0, marks[1].Leaf); err != nil || len(early) != 1 {
					t.Errorf("marks before the second: %v, %v", early, err)
				}
			})
		}
	})
}
