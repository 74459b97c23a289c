package server

import (
	"crypto/rand"
	"errors"
	"fmt"
	"testing"
	"time"

	"plumbline/app/ident"
	"plumbline/gateway"
)

// Old objects are forgotten by their kind, on a schedule; what is open or young stays.
func TestOldKeptObjectsAreForgotten(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) { forgets(t, "") })
	t.Run("Postgres", func(t *testing.T) { forgets(t, database(t)) })
}

func forgets(t *testing.T, postgres string) {
	c := testConfig(t.TempDir())
	c.Postgres = postgres
	now := time.Now()
	s := open(t, Options{Config: c, Now: func() time.Time { return now }})
	draw := func() ident.ID {
		id, err := ident.New(now, rand.Reader)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	stuck := draw()
	const day = 24 * time.Hour
	var objects []*gateway.Object
	stays := map[string]bool{}
	add := func(kind gateway.ObjectKind, id string, age time.Duration, exchange ident.ID, stay bool) {
		o := &gateway.Object{Org: testOrg, System: "SYS-001", Kind: kind, ID: id, At: now.Add(-age), Exchange: exchange, Said: []byte(`{}`)}
		if err := s.kept.Put(t.Context(), o); err != nil {
			t.Fatal(err)
		}
		objects, stays[id] = append(objects, o), stay
	}
	add(gateway.KeptBatch, "young", 89*day, draw(), true)
	add(gateway.KeptBatch, "old", 91*day, draw(), false)
	add(gateway.KeptFile, "results", 91*day, draw(), false)
	add(gateway.KeptMessageBatch, "messages", 500*day, draw(), false)
	add(gateway.KeptResponse, "response", 91*day, draw(), false)
	add(gateway.KeptBatch, "open", 500*day, stuck, true)
	add(gateway.KeptFile, "upload", 399*day, ident.ID{}, true)
	add(gateway.KeptFile, "old-upload", 401*day, ident.ID{}, false)
	for i := range 2*sweepAtOnce + 1 { // made in one moment
		add(gateway.KeptFile, fmt.Sprintf("many-%d", i), 402*day, ident.ID{}, false)
	}
	swept, err := s.kept.Sweep(t.Context(), now, func(id ident.ID) bool { return id == stuck })
	if want := 2*sweepAtOnce + 1 + 5; err != nil || swept != want {
		t.Errorf("%d forgotten, want %d: %v", swept, want, err)
	}
	for _, o := range objects {
		_, err := s.kept.Find(t.Context(), o.Org, o.System, o.Kind, o.ID)
		if known := err == nil; known != stays[o.ID] || err != nil && !errors.Is(err, gateway.ErrNotKept) {
			t.Errorf("%s is known: %t, %v", o.ID, known, err)
		}
	}
	// Nobody is open now: the server's own sweep takes what was.
	s.jobs.sweepKept()
	if _, err := s.kept.Find(t.Context(), testOrg, "SYS-001", gateway.KeptBatch, "open"); !errors.Is(err, gateway.ErrNotKept) {
		t.Error(err)
	}
}
