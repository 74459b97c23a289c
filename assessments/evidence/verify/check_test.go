package verify

import (
	"crypto/rand"
	"fmt"
	"testing"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"plumbline/assessments/evidence/record"
)

// small is a signed tree of five leaves with the path of leaf 2.
func small(t *testing.T) (cp record.Checkpoint, key string, leaf [32]byte, path [][32]byte) {
	t.Helper()
	var stored []tlog.Hash
	read := tlog.HashReaderFunc(func(at []int64) (out []tlog.Hash, err error) {
		for _, i := range at {
			out = append(out, stored[i])
		}
		return out, nil
	})
	for i := range int64(5) {
		h := record.LeafHash([]byte{byte(i)})
		more, err := tlog.StoredHashesForRecordHash(i, h, read)
		if err != nil {
			t.Fatal(err)
		}
		stored = append(stored, more...)
	}
	root, err := tlog.TreeHash(5, read)
	if err != nil {
		t.Fatal(err)
	}
	proof, err := tlog.ProveRecord(5, 2, read)
	if err != nil {
		t.Fatal(err)
	}
	for _, h := range proof {
		path = append(path, h)
	}
	private, public, err := note.GenerateKey(rand.Reader, "test/acme/1")
	if err != nil {
		t.Fatal(err)
	}
	signer, err := note.NewSigner(private)
	if err != nil {
		t.Fatal(err)
	}
	cp = record.Checkpoint{Origin: "test/acme/1", Size: 5, Root: root}
	if cp.Note, err = note.Sign(&note.Note{Text: fmt.Sprintf("%s\n%d\n%s\n", cp.Origin, cp.Size, root)}, signer); err != nil {
		t.Fatal(err)
	}
	return cp, public, record.LeafHash([]byte{2}), path
}

func TestIncludedAndSigned(t *testing.T) {
	cp, key, leaf, path := small(t)
	if err := Included(leaf, 2, path, cp); err != nil {
		t.Errorf("a leaf of the tree: %v", err)
	}
	if err := Signed(cp, key); err != nil {
		t.Errorf("a checkpoint of the log: %v", err)
	}
	flipped := leaf
	flipped[31] ^= 1
	bent := append([][32]byte{}, path...)
	bent[0][0] ^= 1
	grown, cut := cp, cp
	grown.Size, cut.Size = 6, 4
	for name, err := range map[string]error{
		"another record": Included(flipped, 2, path, cp), "another leaf": Included(leaf, 3, path, cp), "another path": Included(leaf, 2, bent, cp),
		"a short path": Included(leaf, 2, path[1:], cp), "another size": Included(leaf, 2, path, cut), "no such leaf": Included(leaf, 9, path, cp),
	} {
		if err == nil {
			t.Errorf("%s was taken as included", name)
		}
	}
	_, other, _, _ := small(t)
	if Signed(cp, other) == nil {
		t.Error("another log's key was taken")
	}
	if Signed(grown, key) == nil {
		t.Error("a size that was not signed was taken")
	}
	cp.Note = append([]byte{}, cp.Note...)
	cp.Note[len(cp.Note)-5] ^= 1
	if Signed(cp, key) == nil {
		t.Error("a bent signature was taken")
	}
}
