package server

import (
	"context"
	"net"
	"net/http"
	"testing"

	"plumbline/app/config"
	"plumbline/app/money"
	"plumbline/gateway/wiretest"
	"plumbline/inventory"
)

// batchDesk is a furnished organisation whose message batches go to up.
func batchDesk(t *testing.T, up *wiretest.Server, c *config.Config) (s *Server, key string) {
	t.Helper()
	s = open(t, Options{Config: c, Env: func(string) string { return wiretest.Key }})
	key = furnish(t, s, up.URL+"/v1")
	if err := s.Register.PutProvider(t.Context(), officer, inventory.Provider{ID: "claude", Kind: "anthropic", BaseURL: up.URL + "/v1", CredentialRef: "env:CLAUDE"}, "test"); err != nil {
		t.Fatal(err)
	}
	if err := s.Register.PutRoute(t.Context(), officer, inventory.Route{Model: "claude-haiku-4-5", Provider: "claude"}, "test"); err != nil {
		t.Fatal(err)
	}
	return s, key
}

func heldIn(t *testing.T, s *Server) (held money.Nano) {
	t.Helper()
	state, err := s.Register.State(testOrg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range state.Budgets {
		_, one, _ := s.balance(&state.Budgets[i])
		held += one
	}
	return held
}

// A server that starts takes up the batches that the one before left open: the holds
// stand again, and the results settle them.
func TestOpenBatchesAreReopened(t *testing.T) {
	up := wiretest.Start()
	defer up.Close()
	pending := true
	up.Pending = func() bool { return pending }
	dir := t.TempDir()
	s, key := batchDesk(t, up, testConfig(dir))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- s.Run(ctx, l) }()
	resp, answer := post(t, "http://"+l.Addr().String()+"/anthropic/v1/messages/batches", key, killMessage)
	if resp.StatusCode != http.StatusOK {
		t.Fatalf("%d %s", resp.StatusCode, answer)
	}
	before := heldIn(t, s)
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	s = open(t, Options{Config: testConfig(dir), Env: func(string) string { return wiretest.Key }})
	if after := heldIn(t, s); before <= 0 || after != before || s.Gateway.OpenBatches() != 1 {
		t.Fatalf("held %s before and %s after a restart, which knows %d open batches", before, after, s.Gateway.OpenBatches())
	}
	pending = false
	if n, err := s.Gateway.SettleBatches(t.Context()); n != 1 || err != nil {
		t.Fatalf("%d settled: %v", n, err)
	}
	if err := s.Projection.CatchUp(t.Context()); err != nil {
		t.Fatal(err)
	}
	sum, err := s.Projection.Sum(t.Context(), string(testOrg), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if want := costOfBatch(t, "messages.batches.create"); money.Nano(sum["charge"]) != want || heldIn(t, s) != 0 || sum["intents"] != 1 || sum["closed"] != 1 {
		t.Errorf("charged %d, want %d; %s held: %v", sum["charge"], want, heldIn(t, s), sum)
	}
}
