// Package demo is the sample organisation: four AI systems, an app that nobody
// registered, real HTTP traffic through the product's own gateway, and the
// documents that come of it. It uses nothing that an operator could not use.
package demo

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/server"
	"plumbline/assessments/evidence/verify"
	"plumbline/reports"
)

// framework is the one that the sample's audit report is about.
const framework = "eu-ai-act"

// Options of a demo.
type Options struct {
	Dir      string // data directory
	Listen   string // host:port; another port when it is taken
	Once     bool   // end when all is done and checked
	Upstream string // base URL of an OpenAI-compatible API, in place of the simulated provider
	Model    string // chat model there
	Version  string
	Env      func(string) string
	Out      io.Writer
	Log      *slog.Logger

	patience time.Duration // with a busy upstream; patience when zero
}

// Run is the whole demo. It fails when a call did not come to what the plan says,
// a document does not verify, or the server cannot start. Without Once it serves
// until ctx ends.
func Run(ctx context.Context, o Options) error {
	up, err := chooseUpstream(o)
	if err != nil {
		return err
	}
	listener, err := listen(o)
	if err != nil {
		return err
	}
	c, err := configuration(o, listener.Addr().String())
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	s, err := server.New(ctx, server.Options{Config: c, Version: o.Version, Env: o.Env, Log: o.Log})
	if err != nil {
		return errors.Join(err, listener.Close())
	}
	serving, stop := context.WithCancel(ctx)
	ended := make(chan error, 1)
	go func() { ended <- s.Run(serving, listener) }()
	err = play(serving, o, s, c, up)
	if err == nil && !o.Once {
		fmt.Fprintln(o.Out, "\nServing until you press Ctrl-C.")
		select {
		case <-ctx.Done():
		case err = <-ended:
			ended <- nil
		}
	}
	stop()
	return errors.Join(err, <-ended, s.Close(context.WithoutCancel(ctx)))
}

// listen takes the address, or a free port of the same host when it is taken.
func listen(o Options) (net.Listener, error) {
	l, err := net.Listen("tcp", o.Listen)
	if err == nil {
		return l, nil
	}
	host, _, bad := net.SplitHostPort(o.Listen)
	if bad != nil {
		return nil, fmt.Errorf("listen on %q: write host:port", o.Listen)
	}
	if l, err = net.Listen("tcp", net.JoinHostPort(host, "0")); err != nil {
		return nil, fmt.Errorf("listen on %s: %w", host, err)
	}
	fmt.Fprintf(o.Out, "%s is taken; using %s\n", o.Listen, l.Addr())
	return l, nil
}

// configuration is the server's with nothing from the outside but secrets. Each
// data directory is an instance of its own name, so that a verifier who keeps the
// key of one sample does not take the next for a forgery of it.
func configuration(o Options, address string) (*config.Config, error) {
	if err := os.MkdirAll(o.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	sealer, err := server.OpenKey(filepath.Join(o.Dir, "instance.key"), o.Dir, nil)
	if err != nil {
		return nil, err
	}
	name := sealer.Derive("name of a sample instance")
	own := map[string]string{"PLUMBLINE_DATA_DIR": o.Dir, "PLUMBLINE_LISTEN": address, "PLUMBLINE_PUBLIC_URL": "http://" + address,
		"PLUMBLINE_INSTANCE": fmt.Sprintf("plumbline-demo-%x", name[:4])}
	return config.Load("", func(name string) string { return own[name] })
}

func play(ctx context.Context, o Options, s *server.Server, c *config.Config, up upstream) error {
	begun := time.Now()
	step := func(format string, args ...any) {
		fmt.Fprintf(o.Out, "%6.1fs  %s\n", time.Since(begun).Seconds(), fmt.Sprintf(format, args...))
	}
	if err := ready(ctx, c.PublicURL); err != nil {
		return err
	}
	step("listening on %s, data in %s", c.PublicURL, o.Dir)
	m := &sample{s: s, up: up, patience: patience}
	if o.patience != 0 {
		m.patience = o.patience
	}
	if err := m.build(ctx); err != nil {
		return fmt.Errorf("build the sample organisation: %w", err)
	}
	step("%s: 4 AI systems, 6 keys, upstream %s", orgName, up.said)
	if err := m.traffic(ctx, c.PublicURL, step); err != nil {
		return err
	}
	if m.begun {
		if err := errors.Join(m.attach(ctx), m.changes(ctx)); err != nil {
			return err
		}
	}
	for _, job := range []string{"verify-ledger", "control-tests"} {
		if err := s.RunJob(ctx, m.officer, job); err != nil {
			return fmt.Errorf("job %s: %w", job, err)
		}
	}
	step("ledger verified, control tests recorded")
	files, err := m.documents(ctx, step)
	if err != nil {
		return err
	}
	return m.report(ctx, o, c, files)
}

// ready waits until the server can record.
func ready(ctx context.Context, base string) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	for {
		req, err := http.NewRequestWithContext(ctx, http.MethodGet, base+"/readyz", nil)
		if err != nil {
			return err
		}
		if resp, err := http.DefaultClient.Do(req); err == nil {
			resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-ctx.Done():
			return errors.New("the server did not become ready within 20 s")
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// tally is what the sample's apps saw.
type tally struct {
	mu       sync.Mutex
	sent     int
	keyless  int // without a valid key: recorded in the instance's own log
	answered int
	refused  int
	lost     int           // not taken for want of a record, and sent anew
	waited   time.Duration // for a busy upstream or a slow disk
	wrong    []error
}

func (t *tally) add(k call, got seen, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	switch {
	case err != nil:
		t.wrong = append(t.wrong, fmt.Errorf("%s asked for %s: %w", k.path, k.model, err))
		return
	case got.status == http.StatusOK:
		t.answered++
	default:
		t.refused++
	}
	if got.status == http.StatusUnauthorized {
		t.keyless++
	}
	if err := k.check(got); err != nil {
		t.wrong = append(t.wrong, err)
	}
}

// again counts a call that the upstream was too busy for and that is sent anew. It
// refuses once the waiting in all came to the limit.
func (t *tally) again(pause, limit time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waited += pause; t.waited > limit {
		return false
	}
	t.sent++
	t.refused++
	return true
}

// lose counts a call that was not taken for want of a record and is sent anew: a record
// of it may be there all the same. It refuses as again does.
func (t *tally) lose(pause, limit time.Duration) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.waited += pause; t.waited > limit {
		return false
	}
	t.lost++
	return true
}

func (t *tally) soFar() int {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.sent
}

// first are the first few of what went wrong.
func (t *tally) first() []error { return slices.Clone(t.wrong[:min(len(t.wrong), 8)]) }

// traffic sends the plan: first what must be refused while the coding assistant
// waits for its approval, then the rest side by side.
func (m *sample) traffic(ctx context.Context, base string, step func(string, ...any)) error {
	p, t := trafficPlan(m.keys), &tally{}
	before, err := m.recorded(ctx)
	if err != nil {
		return err
	}
	c := &caller{base: base, client: &http.Client{Timeout: 2 * time.Minute}}
	if s, err := m.s.Register.System(orgID, coding); err == nil && !s.Approval.ValidAt(time.Now()) {
		for _, k := range p.before {
			m.send(ctx, c, k, t)
		}
		step("coding assistant refused while nobody had approved it")
	}
	if err := errors.Join(m.approve(ctx, coding), m.retire(ctx)); err != nil {
		return err
	}
	var lanes sync.WaitGroup
	for _, lane := range p.lanes {
		lanes.Go(func() {
			for _, k := range lane {
				if ctx.Err() != nil {
					return
				}
				m.send(ctx, c, k, t)
			}
		})
	}
	progress(&lanes, func() { step("%d of %d calls", t.soFar(), p.size()) })
	if err := errors.Join(append(t.first(), ctx.Err())...); err != nil {
		return fmt.Errorf("%d of %d calls came to something else than planned; the first of them: %w", len(t.wrong), t.sent, err)
	}
	if err := m.accounted(ctx, before, t); err != nil {
		return err
	}
	if t.lost > 0 {
		step("%d calls were sent again, for the ledger could not write them in time: a slow disk, or a busy machine", t.lost)
	}
	step("%d calls through the gateway: %d answered, %d refused or failed (%d of them without a valid key, so counted in the instance's log), each as planned and each in the ledger", t.sent, t.answered, t.refused, t.keyless)
	return nil
}

// progress waits for the lanes and says every few seconds how far they are.
func progress(lanes *sync.WaitGroup, say func()) {
	done := make(chan struct{})
	go func() { lanes.Wait(); close(done) }()
	tick := time.NewTicker(3 * time.Second)
	defer tick.Stop()
	for {
		select {
		case <-done:
			return
		case <-tick.C:
			say()
		}
	}
}

// patience is how long its calls wait in all for a real upstream that is busy, or for
// the disk.
const patience = 90 * time.Second

// send sends one call as planned. A real upstream may be too busy for it: then it
// is sent anew after a while, and each attempt is an exchange of its own. So is it where
// the ledger could not write in time, as an app's client does.
func (m *sample) send(ctx context.Context, c *caller, k call, t *tally) {
	for try := 1; ; try++ {
		got, err := c.send(ctx, k)
		pause := time.Duration(try*try) * time.Second
		if err == nil && got.unkept() && t.lose(time.Second, m.patience) {
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Second):
			}
			try--
			continue
		}
		if err != nil || !m.up.real || k.want != answered || !got.busy() || try > 4 || !t.again(pause, m.patience) {
			t.add(k, got, err)
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
	}
}

// accounted waits until as many exchanges ended in the ledger as were sent with a
// key: an outcome follows its answer, so the last few may come a moment later. Where the
// ledger could not write for a while, a call that was lost then may be there too, and a
// refusal may be counted in the outage's record alone; what was answered is there.
func (m *sample) accounted(ctx context.Context, before int64, t *tally) error {
	sent, least := int64(t.sent-t.keyless), int64(t.sent-t.keyless)
	wait := 10 * time.Second
	if t.lost > 0 {
		least, wait = int64(t.answered), 3*time.Second
	}
	for deadline := time.Now().Add(wait); ; {
		after, err := m.recorded(ctx)
		if err != nil {
			return err
		}
		n := after - before
		switch late := time.Now().After(deadline); {
		case n >= sent && n <= sent+int64(t.lost), late && n >= least && n <= sent:
			return nil
		case late:
			return fmt.Errorf("%d calls were sent with a key, %d are in the ledger", sent, n)
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// recorded is how many exchanges of the organisation the ledger holds as ended.
func (m *sample) recorded(ctx context.Context) (int64, error) {
	if err := m.s.Projection.CatchUp(ctx); err != nil {
		return 0, err
	}
	sum, err := m.s.Projection.Sum(ctx, string(orgID), "", 0)
	return sum["closed"] + sum["refused"], err
}

// file is an issued document where it lies.
type file struct {
	reports.Document
	pdf string
}

func (m *sample) documents(ctx context.Context, step func(string, ...any)) ([]file, error) {
	var out []file
	for _, r := range []reports.Request{
		{Org: orgID, Kind: reports.KindAudit, System: screener, Framework: framework},
		{Org: orgID, Kind: reports.KindModelCard, System: screener},
		{Org: orgID, Kind: reports.KindVendorRisk, Vendor: m.up.vendor},
	} {
		d, err := m.s.Reports.Issue(ctx, m.officer, r)
		if err != nil {
			return nil, fmt.Errorf("issue %s: %w", r.Kind, err)
		}
		path, err := m.s.Reports.Path(ctx, orgID, d.ID, reports.PartPDF)
		if err != nil {
			return nil, err
		}
		out = append(out, file{d, path})
		step("%s issued: %d pages", d.ID, d.Pages)
	}
	keys, err := m.s.Ledger.VerifierKeys(string(orgID))
	if err != nil {
		return nil, err
	}
	for _, f := range out {
		results, code := verify.Files([]string{f.pdf}, verify.Options{Key: keys[len(keys)-1].Verifier})
		if code != verify.OK {
			return nil, fmt.Errorf("%s does not verify: %s", f.ID, wrong(results))
		}
	}
	step("%d documents verified offline against the log's key", len(out))
	return out, nil
}

func wrong(results []verify.Result) string {
	var out []string
	for _, r := range results {
		for _, l := range r.Lines {
			if !l.OK {
				out = append(out, l.Text)
			}
		}
	}
	return strings.Join(out, "; ")
}

// link makes a one-time sign-in link.
func (m *sample) link(ctx context.Context, c *config.Config, a authz.Actor) (string, error) {
	token, err := m.s.Register.LinkFor(ctx, authz.Actor{Org: orgID, ID: "job:demo", Name: "demo"}, a.ID)
	return c.PublicURL + "/signin/link/" + token, err
}

func shown(path string) string {
	if rel, err := filepath.Rel(".", path); err == nil && !strings.HasPrefix(rel, "..") {
		return "./" + rel
	}
	return path
}
