package verify

import (
	"errors"

	"golang.org/x/mod/sumdb/tlog"

	"plumbline/assessments/evidence/record"
)

// Included checks that a leaf's hash leads along a path to the root of a
// checkpoint's tree (RFC 6962 section 2.1.1).
func Included(hash [32]byte, leaf uint64, path [][32]byte, cp record.Checkpoint) error {
	proof := make(tlog.RecordProof, len(path))
	for i, h := range path {
		proof[i] = h
	}
	if err := tlog.CheckRecord(proof, int64(cp.Size), cp.Root, int64(leaf), hash); err != nil {
		return errors.New("the record does not lead to the signed root")
	}
	return nil
}

// Signed checks that a checkpoint's note is signed by a key and says what the
// checkpoint says.
func Signed(cp record.Checkpoint, key string) error {
	signed, err := openCheckpoint(string(cp.Note), key, nil)
	if err != nil {
		return err
	}
	if signed.origin != cp.Origin || signed.size != cp.Size || signed.root != cp.Root {
		return errors.New("the checkpoint says something else than its signed text")
	}
	return nil
}
