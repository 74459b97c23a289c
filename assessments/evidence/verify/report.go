package verify

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
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
		verifyExport(&r, os.DirFS(path), o)
	case strings.HasSuffix(path, ".proof.json"):
		verifyDocument(&r, strings.TrimSuffix(path, ".proof.json"), path, o)
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
	for i, k := range keys {
		if v, err := note.NewVerifier(k); err != nil || v.Name() != origin || slices.Contains(keys[:i], k) {
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
	store, err := readStore(o.Store)
	if err != nil {
		return "", err
	}
	if known, ok := store[origin]; ok {
		key, err := follow(known.Key, keys, rotations)
		if err == nil {
			r.ok("the log's key is the one seen before")
		}
		return key, err
	}
	r.note("the key of %s was not known: it is trusted on first use. Ask the issuer for `plumbline ledger key` on another way and give it with --key", origin)
	return follow(keys[0], keys, rotations)
}

// known is what was seen of a log: its key, and heads that verified.
type known struct {
	Key   string `json:"key"`
	Heads []head `json:"heads"` // by size
}

type head struct {
	Size       uint64 `json:"size"`
	Root       string `json:"root"`
	Checkpoint string `json:"checkpoint"`
}

// maxHeads is how many heads of a log are remembered.
const maxHeads = 256

// readStore reads what is known. A file that cannot be read is an error: to take it
// as empty would trust any key on first use again.
func readStore(path string) (map[string]known, error) {
	m := map[string]known{}
	if path == "" {
		return m, nil
	}
	b, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return m, nil
	}
	if err != nil || json.Unmarshal(b, &m) != nil {
		return nil, fmt.Errorf("the file of known logs %s cannot be read", path)
	}
	return m, nil
}

// remember keeps the key and the heads of a log that verified.
func (r *Result) remember(path, key string, keys []string, heads ...checkpoint) {
	if path == "" || r.Code != OK {
		return
	}
	m, err := readStore(path)
	if err == nil {
		k := m[heads[0].origin]
		if k.Key != "" && !slices.Contains(keys, k.Key) {
			k = known{} // the key given now counts, not the one trusted on first use
		}
		k.Key = key
		for _, cp := range heads {
			if !slices.ContainsFunc(k.Heads, func(h head) bool { return h.Size == cp.size }) {
				k.Heads = append(k.Heads, head{cp.size, cp.root.String(), cp.text})
			}
		}
		slices.SortFunc(k.Heads, func(a, b head) int { return cmp.Compare(a.Size, b.Size) })
		k.Heads = k.Heads[max(0, len(k.Heads)-maxHeads):]
		m[heads[0].origin] = k
		err = writeStore(path, m)
	}
	if err != nil {
		r.note("the log's key could not be remembered: %v", err)
	}
}

// writeStore replaces the file whole or not at all.
func writeStore(path string, m map[string]known) error {
	b, err := json.MarshalIndent(m, "", " ")
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return err
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".known-logs-*")
	if err != nil {
		return err
	}
	_, err = tmp.Write(b)
	if err = errors.Join(err, tmp.Close()); err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
	}
	return err
}

// previous sets heads that were seen before against what a file shows: shown[0],
// its newest head, others that it proved to be prefixes of that, and the ways from
// earlier heads to it. The head that was given must be shown to be a prefix; one that
// is remembered must be where the file has the proof.
func (r *Result) previous(o Options, keys []string, shown []checkpoint, ways []Earlier) {
	if o.Checkpoint != "" && !earlierGeneration(o.givenOrigin(), shown[0].origin) { // lineage has set that one against the fork
		given, err := anyKey(o.Checkpoint, keys)
		if err != nil {
			r.fail(Failed, "the earlier checkpoint: %v", err)
			return
		}
		checked, err := since(given, shown, ways)
		switch {
		case err != nil:
			r.fail(Failed, "%v", err)
		case !checked && given.size > shown[0].size:
			r.fail(Failed, "the file rests on a head of %d leaves, older than the earlier checkpoint given, of %d", shown[0].size, given.size)
		case !checked:
			r.fail(Failed, "nothing in the file shows that the log only grew since the checkpoint given, of %d leaves; ask the issuer for an export made with --checkpoint", given.size)
		default:
			r.ok("the log only grew since the checkpoint given, of %d leaves", given.size)
		}
	}
	store, err := readStore(o.Store)
	if err != nil {
		r.fail(Failed, "%v", err)
		return
	}
	k, ok := store[shown[0].origin]
	if !ok || !slices.Contains(keys, k.Key) {
		return
	}
	var newest, compared uint64
	for _, h := range k.Heads {
		root, err := tlog.ParseHash(h.Root)
		if err != nil {
			r.fail(Failed, "the file of known logs cannot be read")
			return
		}
		newest = h.Size
		checked, err := since(checkpoint{origin: shown[0].origin, size: h.Size, root: root}, shown, ways)
		if err != nil {
			r.fail(Failed, "%v", err)
			return
		}
		if checked {
			compared = h.Size
		}
	}
	switch {
	case compared > 0:
		r.ok("the log only grew since the head of %d leaves seen before", compared)
	case newest > shown[0].size:
		r.note("the file is older than the newest head seen before, of %d leaves, and does not show how that grew from it", newest)
	default:
		r.note("not set against the newest head seen before, of %d leaves: the file does not carry that proof", newest)
	}
}

// since checks, where the file makes that possible, that an earlier head is a prefix
// of the file's.
func since(e checkpoint, shown []checkpoint, ways []Earlier) (checked bool, err error) {
	if e.origin != shown[0].origin {
		return false, fmt.Errorf("the earlier checkpoint is of another log: %s", e.origin)
	}
	if e.size == 0 {
		return true, nil
	}
	for _, s := range shown {
		if s.size == e.size {
			if s.root != e.root {
				return true, fmt.Errorf("the log has two different trees of %d leaves: it was rewritten", e.size)
			}
			return true, nil
		}
	}
	for _, w := range ways {
		if w.Size == e.size {
			return true, consistent(e, shown[0], w.Proof)
		}
	}
	return false, nil
}

// anyKey opens a checkpoint that one of a log's keys signed.
func anyKey(text string, keys []string) (cp checkpoint, err error) {
	err = errors.New("the file names no key")
	for _, k := range keys {
		if cp, err = openCheckpoint(text, k, keys); err == nil {
			break
		}
	}
	return cp, err
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
		if len(hashes) != 0 {
			return errors.New("a proof from nothing has hashes")
		}
		return nil
	}
	if err := tlog.CheckTree(hashes, int64(now.size), now.root, int64(old.size), old.root); err != nil {
		return fmt.Errorf("the tree of %d leaves did not grow from that of %d: the log was rewritten", now.size, old.size)
	}
	return nil
}
