package server

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"runtime/pprof"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"plumbline/app/server/load"
	"plumbline/inventory"
)

// The environment of a child process of a benchmark.
const (
	benchRole     = "PLUMBLINE_BENCH_ROLE" // upstream, silent (an upstream too), yardstick, server
	benchDir      = "PLUMBLINE_BENCH_DIR"  // data directory of a server
	benchUpstream = "PLUMBLINE_BENCH_UPSTREAM"
	benchDelay    = "PLUMBLINE_BENCH_DELAY"   // of the upstream
	benchBurst    = "PLUMBLINE_BENCH_BURST"   // true: its streams come in one piece
	benchProfile  = "PLUMBLINE_BENCH_PROFILE" // where children write CPU profiles, with their role as suffix
	benchBinary   = "PLUMBLINE_BENCH_BINARY"  // the built binary
)

// process is a child. Each line that it gets is a question and each line that it
// prints an answer.
type process struct {
	b    *testing.B
	cmd  *exec.Cmd
	in   io.WriteCloser
	out  *bufio.Reader
	addr string
}

func start(b *testing.B, role string, env ...string) *process {
	b.Helper()
	p := &process{b: b, cmd: exec.Command(os.Args[0])}
	p.cmd.Env = append(os.Environ(), append(env, benchRole+"="+role)...)
	p.cmd.Stderr = os.Stderr
	in, err := p.cmd.StdinPipe()
	if err != nil {
		b.Fatal(err)
	}
	out, err := p.cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	p.in, p.out = in, bufio.NewReader(out)
	if err := p.cmd.Start(); err != nil {
		b.Fatal(err)
	}
	b.Cleanup(p.stop)
	p.addr = p.line()
	return p
}

func (p *process) line() string {
	p.b.Helper()
	line, err := p.out.ReadString('\n')
	if err != nil {
		p.b.Fatalf("a child of the benchmark ended: %v", err)
	}
	return strings.TrimSpace(line)
}

func (p *process) stop() {
	p.in.Close()
	if err := p.cmd.Wait(); err != nil {
		p.b.Errorf("child: %v", err)
	}
}

// cpu is what the process has used so far, by getrusage, once nothing that
// belongs to the exchanges so far is left to do.
func (p *process) cpu() time.Duration {
	p.b.Helper()
	fmt.Fprintln(p.in, "cpu")
	us, err := strconv.ParseInt(p.line(), 10, 64)
	if err != nil {
		p.b.Fatal(err)
	}
	return time.Duration(us) * time.Microsecond
}

// benchChild is the main function of a child.
func benchChild(role string) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	ctx, stop := context.WithCancel(context.Background())
	if path := os.Getenv(benchProfile); path != "" {
		f, err := os.Create(path + "." + role)
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		defer f.Close()
		pprof.StartCPUProfile(f)
		defer pprof.StopCPUProfile()
	}
	settled := func() {}
	ended := make(chan error, 1)
	switch role {
	case "upstream":
		delay, _ := time.ParseDuration(os.Getenv(benchDelay))
		go http.Serve(l, &load.Upstream{Delay: delay, Burst: os.Getenv(benchBurst) == "true"})
	case "silent":
		go http.Serve(l, http.HandlerFunc(load.Silent))
	case "yardstick":
		go http.Serve(l, load.Yardstick(os.Getenv(benchUpstream)))
	case "server":
		s, err := New(ctx, Options{Config: testConfig(os.Getenv(benchDir)), Env: func(string) string { return "upstream-secret" },
			Log: slog.New(slog.NewJSONHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError}))})
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		settled = func() { caughtUp(ctx, s) }
		go func() {
			err := s.Run(ctx, l)
			s.Close(context.Background())
			ended <- err
		}()
	}
	fmt.Println(l.Addr())
	for in := bufio.NewScanner(os.Stdin); in.Scan(); {
		settled()
		fmt.Println(load.CPU().Microseconds())
	}
	stop()
	if role == "server" {
		<-ended
	}
}

// caughtUp returns once index and rollups have every durable leaf.
func caughtUp(ctx context.Context, s *Server) {
	for _, log := range s.Ledger.Logs() {
		for {
			at, err := s.Projection.Position(ctx, log)
			if err == nil && at >= s.Ledger.Size(log) {
				break
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
}

// bench is an upstream and a server with everything on, each in a process of its
// own; the load comes from this one.
type bench struct {
	b        *testing.B
	upstream *process
	server   *process
	dir      string // of the server's data
	key      string
}

func newBench(b *testing.B, delay time.Duration, commit string, guards ...inventory.GuardSetting) *bench {
	return furnished(b, start(b, "upstream", benchDelay+"="+delay.String()), commit, guards...)
}

// furnished is a bench over an upstream that runs.
func furnished(b *testing.B, up *process, commit string, guards ...inventory.GuardSetting) *bench {
	x := prepare(b, up, commit, guards...)
	x.server = start(b, "server", benchDir+"="+x.dir)
	return x
}

// prepare furnishes a data directory for an upstream. Guards take the place of those
// that furnish sets.
func prepare(b *testing.B, up *process, commit string, guards ...inventory.GuardSetting) *bench {
	dir := b.TempDir()
	s, err := New(b.Context(), Options{Config: testConfig(dir), Env: func(string) string { return "upstream-secret" }})
	if err != nil {
		b.Fatal(err)
	}
	key := furnish(b, s, "http://"+up.addr+"/v1")
	if guards != nil {
		if err := s.Register.PutProfile(b.Context(), officer, inventory.GuardProfile{ID: "all", Guards: guards}, "test"); err != nil {
			b.Fatal(err)
		}
	}
	if commit != "" {
		for _, system := range s.Register.Snapshot().Orgs[testOrg].Systems {
			changed := *system
			changed.Commit = commit
			if err := s.Register.UpdateSystem(b.Context(), officer, changed, system.Version, "test"); err != nil {
				b.Fatal(err)
			}
		}
	}
	if err := s.Close(b.Context()); err != nil {
		b.Fatal(err)
	}
	return &bench{b: b, upstream: up, dir: dir, key: key}
}

// run sends total calls to a process, and says what that cost the process. A run
// with a call that failed is done again: on a busy machine the disk may take longer
// than calls wait for the ledger.
func (x *bench) run(to *process, callers, total, perSecond int) (load.Result, time.Duration) {
	x.b.Helper()
	return x.measure(to, total, func() load.Result {
		return load.Run(x.b.Context(), to.addr, x.key, callers, total, perSecond)
	})
}

func (x *bench) measure(to *process, total int, run func() load.Result) (load.Result, time.Duration) {
	x.b.Helper()
	for range 5 {
		before := to.cpu()
		r := run()
		cost := to.cpu() - before
		if r.Errors == 0 && len(r.Bad) == 0 && r.Calls == total {
			return r, cost
		}
		x.b.Logf("done again: %d of %d calls, %d errors (%v), status %v", r.Calls, total, r.Errors, r.Err, r.Bad)
	}
	x.b.Fatal("too many runs with calls that failed")
	return load.Result{}, 0
}

// spent is a process's CPU per exchange in microseconds.
func (x *bench) spent(p *process, callers, total int) float64 {
	x.b.Helper()
	_, cost := x.run(p, callers, total, 0)
	return float64(cost.Nanoseconds()) / float64(total) / 1000
}

// BenchmarkServerCPU is the CPU of the whole server for one exchange, with
// guards, budgets, policy, ledger, index and rollups, as a ratio to a yardstick
// that only passes calls on, in the same run over the same upstream. The two take
// turns, and the median of the turns' ratios counts, so that a neighbour's load
// falls on both.
func BenchmarkServerCPU(b *testing.B) {
	for _, c := range []struct {
		name    string
		delay   time.Duration
		callers int
	}{{"saturated", 0, 32}, {"upstream20ms", 20 * time.Millisecond, 256}} {
		b.Run(c.name, func(b *testing.B) {
			x := newBench(b, c.delay, "")
			yardstick := start(b, "yardstick", benchUpstream+"=http://"+x.upstream.addr)
			const turns, calls = 7, 10_000
			x.run(yardstick, c.callers, calls, 0)
			x.run(x.server, c.callers, calls, 0)
			var ratios, plain, whole []float64
			for b.Loop() {
				for range turns {
					y, s := x.spent(yardstick, c.callers, calls), x.spent(x.server, c.callers, calls)
					ratios, plain, whole = append(ratios, s/y), append(plain, y), append(whole, s)
				}
			}
			b.ReportMetric(median(ratios), "x-yardstick")
			b.ReportMetric(median(plain), "yardstick-us")
			b.ReportMetric(median(whole), "server-us")
		})
	}
}

// BenchmarkStreamCPU is BenchmarkServerCPU for answers that are streamed, in twenty
// events that the upstream sends one by one: with a guard that redacts, and with the
// same guard watching. In burst they come in one piece, which the yardstick gives on
// as it is, and of which the server looks at each.
func BenchmarkStreamCPU(b *testing.B) {
	for _, c := range []struct {
		name  string
		mode  inventory.GuardMode
		burst bool
	}{{"redact", inventory.Redact, false}, {"monitor", inventory.Monitor, false}, {"burst", inventory.Redact, true}} {
		b.Run(c.name, func(b *testing.B) {
			up := start(b, "upstream", benchBurst+"="+strconv.FormatBool(c.burst))
			x := furnished(b, up, "", inventory.GuardSetting{Guard: "pii", Mode: c.mode})
			yardstick := start(b, "yardstick", benchUpstream+"=http://"+x.upstream.addr)
			const turns, calls, callers = 5, 3_000, 64
			spent := func(p *process) float64 {
				_, cost := x.measure(p, calls, func() load.Result { return load.RunStreams(b.Context(), p.addr, x.key, callers, calls) })
				return float64(cost.Nanoseconds()) / calls / 1000
			}
			spent(yardstick)
			spent(x.server)
			var ratios, plain, whole []float64
			for b.Loop() {
				for range turns {
					y, s := spent(yardstick), spent(x.server)
					ratios, plain, whole = append(ratios, s/y), append(plain, y), append(whole, s)
				}
			}
			b.ReportMetric(median(ratios), "x-yardstick")
			b.ReportMetric(median(plain), "yardstick-us")
			b.ReportMetric(median(whole), "server-us")
		})
	}
}

// BenchmarkAdded is what the whole server adds to a call at 1,000 calls a second,
// for both commit settings: quantiles of calls through it less those of calls that
// go straight to the upstream. Calls start on a schedule, and a latency counts
// from when its call was due.
func BenchmarkAdded(b *testing.B) {
	for _, commit := range []string{"before_send", "before_answer"} {
		b.Run(commit, func(b *testing.B) {
			x := newBench(b, 20*time.Millisecond, commit)
			const turns, calls, perSecond, callers = 5, 2000, 1000, 256
			x.run(x.server, callers, calls, perSecond)
			var p50, p99 []float64
			for b.Loop() {
				for range turns {
					straight, _ := x.run(x.upstream, callers, calls, perSecond)
					through, _ := x.run(x.server, callers, calls, perSecond)
					added := func(q float64) float64 {
						return float64((through.Quantile(q) - straight.Quantile(q)).Microseconds()) / 1000
					}
					p50, p99 = append(p50, added(0.5)), append(p99, added(0.99))
				}
			}
			b.ReportMetric(median(p50), "p50-ms")
			b.ReportMetric(median(p99), "p99-ms")
		})
	}
}

// BenchmarkBinary is the built binary: its memory after 100,000 exchanges, and
// then, on the data directory that they left, the time from its start until it
// says that it is ready. PLUMBLINE_BENCH_BINARY names it.
func BenchmarkBinary(b *testing.B) {
	binary := os.Getenv(benchBinary)
	if binary == "" {
		b.Skip(benchBinary + " is not set")
	}
	x := prepare(b, start(b, "upstream"), "")
	for b.Loop() {
		p, _ := x.serve(binary)
		const callers, total = 64, 100_000
		if r := load.Run(b.Context(), p.addr, x.key, callers, total, 0); r.Errors > 0 || r.Bad[http.StatusServiceUnavailable] > total/20 {
			b.Fatalf("%d errors, status %v", r.Errors, r.Bad)
		}
		b.ReportMetric(memory(b, p.cmd.Process.Pid, "VmRSS"), "rss-MiB")
		b.ReportMetric(memory(b, p.cmd.Process.Pid, "VmHWM"), "peak-rss-MiB")
		p.end()
		var cold []float64
		for range 5 {
			p, took := x.serve(binary)
			cold = append(cold, took.Seconds()*1000)
			p.end()
		}
		b.ReportMetric(median(cold), "cold-start-ms")
	}
}

// BenchmarkIdleStreams is the memory of the built binary while it holds 2,000 streams
// on which nothing comes, after each was kept alive by a comment. The guard redacts.
func BenchmarkIdleStreams(b *testing.B) {
	binary := os.Getenv(benchBinary)
	if binary == "" {
		b.Skip(benchBinary + " is not set")
	}
	const streams = 2000
	x := prepare(b, start(b, "silent"), "", inventory.GuardSetting{Guard: "pii", Mode: inventory.Redact})
	for b.Loop() {
		p, _ := x.serve(binary)
		before := memory(b, p.cmd.Process.Pid, "VmRSS")
		idle, err := load.OpenIdle(b.Context(), p.addr, x.key, streams)
		if err != nil {
			b.Fatal(err)
		}
		if err := idle.Await(time.Minute); err != nil {
			b.Fatal(err)
		}
		rss := memory(b, p.cmd.Process.Pid, "VmRSS")
		b.ReportMetric(rss, "rss-MiB")
		b.ReportMetric((rss-before)*1024/streams, "KiB/stream")
		b.ReportMetric(memory(b, p.cmd.Process.Pid, "VmHWM"), "peak-rss-MiB")
		idle.Close()
		p.end()
	}
}

// serve starts the binary and waits until it is ready, which took so long.
func (x *bench) serve(binary string) (*process, time.Duration) {
	x.b.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		x.b.Fatal(err)
	}
	p := &process{b: x.b, cmd: exec.Command(binary, "serve"), addr: l.Addr().String()}
	l.Close()
	p.cmd.Env = append(os.Environ(), "PLUMBLINE_DATA_DIR="+x.dir, "PLUMBLINE_LISTEN="+p.addr, "PLUMBLINE_INSTANCE=test", "PLUMBLINE_LOG_LEVEL=error", "UP=upstream-secret")
	p.cmd.Stderr = os.Stderr
	began := time.Now()
	if err := p.cmd.Start(); err != nil {
		x.b.Fatal(err)
	}
	for {
		resp, err := http.Get("http://" + p.addr + "/readyz")
		if err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return p, time.Since(began)
			}
		}
		if time.Since(began) > 30*time.Second {
			p.cmd.Process.Kill()
			x.b.Fatal("the binary is not ready after 30 s")
		}
		time.Sleep(2 * time.Millisecond)
	}
}

// end stops a binary as an operator does.
func (p *process) end() {
	p.b.Helper()
	p.cmd.Process.Signal(syscall.SIGTERM)
	if err := p.cmd.Wait(); err != nil {
		p.b.Errorf("the binary ended with %v", err)
	}
}

// memory reads a line of /proc/PID/status, which counts in KiB.
func memory(b *testing.B, pid int, name string) float64 {
	b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		b.Skip(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, name+":"); ok {
			kib, err := strconv.ParseFloat(strings.TrimSuffix(strings.TrimSpace(rest), " kB"), 64)
			if err != nil {
				b.Fatal(err)
			}
			return kib / 1024
		}
	}
	b.Fatalf("no %s", name)
	return 0
}

func median(v []float64) float64 {
	v = slices.Clone(v)
	slices.Sort(v)
	return v[len(v)/2]
}
