package server

import (
	"bufio"
	"bytes"
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"plumbline/app/config"
	"plumbline/app/fault"
	"plumbline/app/money"
	"plumbline/app/server/load"
	"plumbline/assessments/evidence"
	"plumbline/assessments/projection"
	"plumbline/gateway/event"
	"plumbline/gateway/wiretest"
)

// The environment of a child: a server that will be killed.
const (
	killDir      = "PLUMBLINE_TEST_KILL_DIR"
	killPostgres = "PLUMBLINE_TEST_KILL_POSTGRES" // DSN; SQLite when empty
	killPoint    = "PLUMBLINE_TEST_KILL_POINT"    // named write at which it kills itself
	killNth      = "PLUMBLINE_TEST_KILL_NTH"      // at which passing of it
	killRuns     = "PLUMBLINE_TEST_KILLS"         // how many runs; 13 when empty, which passes every point
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(killDir); dir != "" {
		child(dir)
		return
	}
	if role := os.Getenv(benchRole); role != "" {
		benchChild(role)
		return
	}
	os.Exit(m.Run())
}

// child serves until it dies.
func child(dir string) {
	nth, _ := strconv.Atoi(os.Getenv(killNth))
	var mu sync.Mutex
	serving := false
	hook := func(point string) error {
		mu.Lock()
		defer mu.Unlock()
		if !serving || point != os.Getenv(killPoint) {
			return nil
		}
		if nth--; nth <= 0 {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
		return nil
	}
	c := testConfig(dir)
	c.Postgres = os.Getenv(killPostgres)
	s, err := New(context.Background(), Options{Config: c, Hook: hook, Env: func(string) string { return wiretest.Key }})
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Println("error", err)
		os.Exit(1)
	}
	mu.Lock()
	serving = true
	mu.Unlock()
	fmt.Println("listening", l.Addr())
	go settleOften(s)
	fmt.Println(s.Run(context.Background(), l))
}

// TestKilledAtAnyMomentNothingIsMissing kills the server again and again on one
// data directory, at each named write and at random moments, under load. What
// clients received, what the provider answered and what is recorded must agree:
// an answered call has its record, a call that reached the provider has its
// intent, and the budget was charged for all of them. Nothing stays open but batches,
// which are known and held until their results arrive or their deadline passes.
func TestKilledAtAnyMomentNothingIsMissing(t *testing.T) {
	runs := 13
	if n, err := strconv.Atoi(os.Getenv(killRuns)); err == nil {
		runs = n
	}
	t.Run("SQLite", func(t *testing.T) { lives(t, runs, "") })
	t.Run("Postgres", func(t *testing.T) { lives(t, runs, database(t)) })
}

func lives(t *testing.T, runs int, postgres string) {
	k := &killing{dir: t.TempDir(), postgres: postgres, reached: map[string]bool{}, made: map[string]string{}}
	k.up = &load.Upstream{Mark: func(request string) {
		k.mu.Lock()
		k.reached[request] = true
		k.mu.Unlock()
	}}
	if err := k.up.Start(); err != nil {
		t.Fatal(err)
	}
	defer k.up.Close()
	s := open(t, Options{Config: k.config()})
	k.key = furnish(t, s, k.up.URL)
	k.wire = k.batchProvider(t, s)
	if err := s.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	points := []string{pointKept, pointKeptDone}
	for _, p := range evidence.Points() {
		switch {
		case strings.HasPrefix(p, "log") || strings.HasPrefix(p, "key"): // not passed under load
		case strings.HasPrefix(p, "sequence") && postgres == "": // PostgreSQL's alone
		default:
			points = append(points, p)
		}
	}
	for i := range runs {
		point := "" // every fourth run dies at a moment of its own
		if i%4 != 3 {
			point = points[(i-i/4)%len(points)]
		}
		answered, reached := len(k.answered), maps.Clone(k.reached)
		k.live(t, point)
		// What earlier lives left is looked at again in the last one: asked for after
		// each, the whole would cost the square of the runs.
		if i == runs-1 {
			answered, reached = 0, nil
		}
		k.check(t, fmt.Sprintf("run %d, killed at %q", i, point), answered, reached)
		if t.Failed() {
			return
		}
	}
	noted, unknown := k.deadlines(t)
	t.Logf("%d kills: %d calls sent, %d reached the providers, %d answered, 0 missing; of %d batches that were made %d were settled by their results; %d submits whose batch nobody noted were charged at their hold",
		runs, k.sent, len(k.reached), len(k.answered), len(k.made), noted, unknown)
}

// killing is a data directory whose server is killed, and what everybody saw.
type killing struct {
	dir, postgres string
	key           string
	up            *load.Upstream
	wire          *wiretest.Server // keeps files and batches

	mu       sync.Mutex
	sent     int
	made     map[string]string     // batches that the provider made, by request id
	costs    map[string]money.Nano // of one batch, by its endpoint
	batches  []knownBatch          // that a client has the id of
	reached  map[string]bool       // request ids that the provider saw
	answered []string              // request ids that a client got a whole answer for
}

func (k *killing) config() *config.Config {
	c := testConfig(k.dir)
	c.Postgres = k.postgres
	return c
}

// live starts a child and loads it until it dies.
func (k *killing) live(t *testing.T, point string) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	nth := 1 + rand.IntN(40)
	if strings.HasPrefix(point, "checkpoint") {
		nth = 1
	}
	cmd.Env = append(os.Environ(), killDir+"="+k.dir, killPostgres+"="+k.postgres, killPoint+"="+point, killNth+"="+strconv.Itoa(nth))
	var errs bytes.Buffer
	cmd.Stderr = &errs
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	addr, ok := strings.CutPrefix(strings.TrimSpace(line), "listening ")
	if !ok {
		cmd.Wait()
		t.Fatalf("the server did not start: %s %v\n%s", line, err, errs.String())
	}
	deadline := 20 * time.Second // a point that is never passed is a failure of this test
	if point == "" {
		deadline = time.Duration(20+rand.IntN(700)) * time.Millisecond
	}
	overdue := make(chan struct{})
	late := time.AfterFunc(deadline, func() { close(overdue); cmd.Process.Kill() })
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { k.load(addr) })
	}
	for range 2 {
		wg.Go(func() { k.loadBatches(t, addr) })
	}
	wg.Wait()
	cmd.Wait()
	if !late.Stop() && point != "" {
		<-overdue
		t.Fatalf("the server passed %q less than %d times under load", point, nth)
	}
}

// load sends calls until the server is dead.
func (k *killing) load(addr string) {
	c := load.NewCaller(addr, k.key)
	defer c.Close()
	for {
		k.mu.Lock()
		k.sent++
		n := k.sent
		k.mu.Unlock()
		status, id, err := c.Do(load.Request(fmt.Sprintf("call %d:", n)))
		if err != nil {
			return
		}
		if status == http.StatusOK {
			k.mu.Lock()
			k.answered = append(k.answered, id)
			k.mu.Unlock()
		}
	}
}

// check opens what the dead process left and compares it with what clients were
// answered from the given number on, and with what reached the provider since.
func (k *killing) check(t *testing.T, when string, from int, before map[string]bool) {
	t.Helper()
	ctx := t.Context()
	s, err := New(ctx, Options{Config: k.config(), Env: func(string) string { return wiretest.Key }})
	if err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	defer s.Close(ctx)
	if err := s.Projection.CatchUp(ctx); err != nil {
		t.Fatalf("%s: %v", when, err)
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, id := range k.answered[from:] {
		x, err := s.Projection.Exchange(ctx, string(testOrg), id)
		switch {
		case fault.Is(err, fault.NotFound):
			t.Errorf("%s: the answered exchange %s is not recorded", when, id)
		case err != nil:
			t.Fatal(err)
		case event.MakesBatch(x.Endpoint): // checkBatches does
		case x.State != projection.Complete && x.State != projection.Incomplete:
			t.Errorf("%s: the answered exchange %s is recorded as %s", when, id, x.State)
		case x.State == projection.Incomplete && x.Charge != x.Held:
			t.Errorf("%s: %s is incomplete and charged %s, not its hold of %s", when, id, x.Charge, x.Held)
		}
	}
	for id := range k.reached {
		if before[id] {
			continue
		}
		if _, err := s.Projection.Exchange(ctx, string(testOrg), id); err != nil {
			t.Errorf("%s: the provider got %s, which has no record: %v", when, id, err)
		}
	}
	k.checkSums(t, s, when, k.checkBatches(t, s, when))
}

// checkSums sets the counters against each other: nothing stays open but the given
// batches, which are held, and the budgets were charged for all of the rest.
func (k *killing) checkSums(t *testing.T, s *Server, when string, open openSum) {
	t.Helper()
	sum, err := s.Projection.Sum(t.Context(), string(testOrg), "", 0)
	if err != nil {
		t.Fatal(err)
	}
	if n := k.up.Calls() + int64(len(k.made)); sum["intents"] < n {
		t.Errorf("%s: the providers answered %d calls, only %d intents are recorded", when, n, sum["intents"])
	}
	if sum["intents"] != sum["closed"]+open.count || int64(s.Gateway.OpenBatches()) != open.count {
		t.Errorf("%s: %d intents, %d closed, %d batches open, of which the gateway knows %d", when, sum["intents"], sum["closed"], open.count, s.Gateway.OpenBatches())
	}
	state, err := s.Register.State(testOrg)
	if err != nil {
		t.Fatal(err)
	}
	for i := range state.Budgets {
		if charged, held, _ := s.balance(&state.Budgets[i]); int64(charged) != sum["charge"] || held != open.held {
			t.Errorf("%s: budget %s stands at %s with %s held, the records say %d nano-dollars with %s held", when, state.Budgets[i].ID, charged, held, sum["charge"], open.held)
		}
	}
	if _, err := s.Ledger.Verify(t.Context(), string(testOrg)); err != nil {
		t.Errorf("%s: %v", when, err)
	}
}
