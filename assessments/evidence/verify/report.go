package verify

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"
)

// The exit codes of a verification.
const (
	OK         = 0 // everything that was shown holds
	Failed     = 1 // something does not hold
	Unreadable = 2 // not a file that can be verified
	NotChecked = 3 // everything shown holds, but the document's hash could not be checked
)

// Options of a verification.
type Options struct {
	Key        string // pinned verifier key; empty: what Store knows, or trust on first use
	Store      string // file of keys and heads seen before; empty: none is kept
	Checkpoint string // an earlier checkpoint of the log, as somebody kept it
}

// Line is one thing that was checked.
type Line struct {
	OK   bool   `json:"ok"`
	Note bool   `json:"note,omitempty"` // said, not checked
	Text string `json:"text"`
}

// Result is the verification of one file or export.
type Result struct {
	File    string `json:"file"`
	Lines   []Line `json:"checks"`
	Code    int    `json:"code"`
	Origin  string `json:"origin,omitempty"`
	Records int    `json:"records"` // whose place in the log was checked
}

func (r *Result) ok(format string, args ...any) {
	r.Lines = append(r.Lines, Line{OK: true, Text: fmt.Sprintf(format, args...)})
}

func (r *Result) note(format string, args ...any) {
	r.Lines = append(r.Lines, Line{OK: true, Note: true, Text: fmt.Sprintf(format, args...)})
}

func (r *Result) fail(code int, format string, args ...any) {
	r.Lines = append(r.Lines, Line{Text: fmt.Sprintf(format, args...)})
	if r.Code == OK || code < r.Code {
		r.Code = code
	}
}

// verdicts are the last lines, by exit code.
var verdicts = map[int]string{OK: "VERIFIED", Failed: "NOT VERIFIED", Unreadable: "UNREADABLE", NotChecked: "DOCUMENT HASH NOT CHECKED"}

// Text is the result as the command prints it: the file, each check, the verdict.
func (r Result) Text() string {
	var b strings.Builder
	b.WriteString(r.File + "\n")
	for _, l := range r.Lines {
		mark := "ok  "
		switch {
		case !l.OK:
			mark = "FAIL"
		case l.Note:
			mark = "note"
		}
		b.WriteString("  " + mark + "  " + l.Text + "\n")
	}
	b.WriteString("  " + verdicts[r.Code] + "\n")
	return b.String()
}

// Files verifies documents, proof files and exports. The code is the worst of the
// results: a failure before an unreadable file before a hash that was not checked.
func Files(paths []string, o Options) ([]Result, int) {
	var out []Result
	code := OK
	for _, path := range paths {
		r := one(path, o)
		out = append(out, r)
		if r.Code != OK && (code == OK || r.Code < code) {
			code = r.Code
		}
	}
	return out, code
}

func one(path string, o Options) Result {
	r := Result{File: path}
	info, err := os.Stat(path)
	switch {
	case err != nil:
		r.fail(Unreadable, "the file could not be read")
	case info.IsDir():
		verifyExport(&r, path, o)
	case strings.HasSuffix(path, ".proof.json"):
		verifyDocument(&r, strings.TrimSuffix(path, ".proof.json"), "", o)
	case strings.HasSuffix(path, ".json"), strings.HasSuffix(path, ".pdf"):
		verifyDocument(&r, strings.TrimSuffix(strings.TrimSuffix(path, ".json"), ".pdf"), path, o)
	default:
		r.fail(Unreadable, "neither a PDF, a JSON, a .proof.json nor the folder of an export")
	}
	return r
}

// pin finds the key that may be trusted for an origin, and says how.
func (r *Result) pin(origin string, keys []string, rotations []Link, o Options) (string, error) {
	if len(keys) == 0 {
		return "", errors.New("the file names no key")
	}
	for _, k := range keys {
		if v, err := note.NewVerifier(k); err != nil || v.Name() != origin {
			return "", errors.New("a verifier key is malformed, or is another log's")
		}
	}
	if o.Key != "" {
		key, err := follow(o.Key, keys, rotations)
		if err == nil {
			r.ok("the log's key is the one given")
		}
		return key, err
	}
	if known, ok := readStore(o.Store)[origin]; ok {
		key, err := follow(known.Key, keys, rotations)
		if err == nil {
			r.ok("the log's key is the one seen before")
		}
		return key, err
	}
	r.note("the key of %s was not known: it is trusted on first use. Ask the issuer for `plumbline ledger key` on another way and give it with --key", origin)
	return follow(keys[0], keys, rotations)
}

// known is what was seen of a log.
type known struct {
	Key  string `json:"key"`
	Size uint64 `json:"size"`
	Root string `json:"root"`
	Note string `json:"checkpoint"`
}

func readStore(path string) map[string]known {
	m := map[string]known{}
	if path == "" {
		return m
	}
	b, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(b, &m) != nil {
		return map[string]known{}
	}
	return m
}

// remember keeps the key and the largest head of a log that verified.
func remember(path string, cp checkpoint, key string) error {
	if path == "" {
		return nil
	}
	m := readStore(path)
	if old, ok := m[cp.origin]; ok && old.Size >= cp.size {
		return nil
	}
	m[cp.origin] = known{key, cp.size, cp.root.String(), cp.text}
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	return os.WriteFile(path, b, 0o600)
}

// previous sets heads seen before against what a file shows: two heads of one size
// must have one root; a proof between heads that the file knows must hold.
func (r *Result) previous(o Options, key string, shown []checkpoint, consistency map[[2]uint64][]string) {
	var earlier []checkpoint
	if o.Checkpoint != "" {
		cp, err := openCheckpoint(o.Checkpoint, key)
		if err != nil {
			r.fail(Failed, "the earlier checkpoint: %v", err)
			return
		}
		earlier = append(earlier, cp)
	}
	if k, ok := readStore(o.Store)[shown[0].origin]; ok {
		if root, err := tlog.ParseHash(k.Root); err == nil {
			earlier = append(earlier, checkpoint{origin: shown[0].origin, size: k.Size, root: root})
		}
	}
	for _, e := range earlier {
		if e.origin != shown[0].origin {
			r.fail(Failed, "the earlier checkpoint is of another log: %s", e.origin)
			continue
		}
		checked := false
		for _, s := range shown {
			switch {
			case s.size == e.size && s.root != e.root:
				r.fail(Failed, "the log has two different trees of %d leaves: it was rewritten", e.size)
				checked = true
			case s.size == e.size:
				r.ok("the head of %d leaves seen before is the same", e.size)
				checked = true
			}
			if checked {
				break
			}
			if path, ok := consistency[[2]uint64{e.size, s.size}]; ok {
				if err := consistent(e, s, path); err != nil {
					r.fail(Failed, "%v", err)
				} else {
					r.ok("the log only grew since the head of %d leaves", e.size)
				}
				checked = true
				break
			}
		}
		if !checked {
			r.note("not set against the head of %d leaves seen before: the file does not carry that proof", e.size)
		}
	}
}

// consistent checks that the tree of old is a prefix of the tree of now.
func consistent(old, now checkpoint, path []string) error {
	if old.size > now.size {
		return fmt.Errorf("the head of %d leaves is older than the one of %d that the document rests on", now.size, old.size)
	}
	if old.size == now.size {
		if old.root != now.root || len(path) != 0 {
			return fmt.Errorf("two different trees of %d leaves", old.size)
		}
		return nil
	}
	hashes, err := fromHex(path)
	if err != nil {
		return err
	}
	if old.size == 0 {
		return nil
	}
	if err := tlog.CheckTree(hashes, int64(now.size), now.root, int64(old.size), old.root); err != nil {
		return fmt.Errorf("the tree of %d leaves did not grow from that of %d", now.size, old.size)
	}
	return nil
}
