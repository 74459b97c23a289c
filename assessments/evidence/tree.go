package evidence

import (
	"fmt"

	"golang.org/x/mod/sumdb/tlog"
)

// tileHeight is the C2SP tile height: 256 hashes a full tile.
const (
	tileHeight = 8
	tileWidth  = 1 << tileHeight
)

// tree is the right edge of a log's Merkle tree, and the full tiles that are
// not stored yet.
type tree struct {
	size  uint64
	edge  [][]tlog.Hash // by tile level: the hashes of the open tile, fewer than 256
	full  []tile        // complete, to be stored with the next checkpoint
	load  func(level int, n uint64) ([]tlog.Hash, error)
	cache map[[2]uint64][]tlog.Hash // full tiles read back for proofs
}

type tile struct {
	level  int
	n      uint64
	hashes []tlog.Hash
}

func newTree(load func(level int, n uint64) ([]tlog.Hash, error)) *tree {
	return &tree{load: load, cache: map[[2]uint64][]tlog.Hash{}}
}

// append adds a leaf's hash.
func (t *tree) append(h [32]byte) {
	t.push(0, tlog.Hash(h), t.size/tileWidth)
	t.size++
}

func (t *tree) push(level int, h tlog.Hash, n uint64) {
	for len(t.edge) <= level {
		t.edge = append(t.edge, make([]tlog.Hash, 0, tileWidth))
	}
	t.edge[level] = append(t.edge[level], h)
	if len(t.edge[level]) < tileWidth {
		return
	}
	hashes := t.edge[level]
	t.edge[level] = make([]tlog.Hash, 0, tileWidth)
	t.full = append(t.full, tile{level, n, hashes})
	t.push(level+1, fold(hashes), n/tileWidth)
}

// fold is the root of a perfect tree over hashes (RFC 6962 section 2.1).
func fold(hashes []tlog.Hash) tlog.Hash {
	if len(hashes) == 1 {
		return hashes[0]
	}
	half := len(hashes) / 2
	return tlog.NodeHash(fold(hashes[:half]), fold(hashes[half:]))
}

// ReadHashes implements tlog.HashReader over edge, unstored and stored tiles.
func (t *tree) ReadHashes(indexes []int64) ([]tlog.Hash, error) {
	out := make([]tlog.Hash, len(indexes))
	for i, index := range indexes {
		level, n := tlog.SplitStoredHashIndex(index)
		tileLevel, within := level/tileHeight, level%tileHeight
		first := uint64(n) << within
		hashes, err := t.tile(tileLevel, first/tileWidth)
		if err != nil {
			return nil, err
		}
		from, width := first%tileWidth, uint64(1)<<within
		if from+width > uint64(len(hashes)) {
			return nil, fmt.Errorf("tree has no hash %d at level %d", n, level)
		}
		out[i] = fold(hashes[from : from+width])
	}
	return out, nil
}

func (t *tree) tile(level int, n uint64) ([]tlog.Hash, error) {
	if open := t.size >> (tileHeight * (level + 1)); n == open {
		if level < len(t.edge) {
			return t.edge[level], nil
		}
		return nil, nil
	}
	for i := range t.full {
		if t.full[i].level == level && t.full[i].n == n {
			return t.full[i].hashes, nil
		}
	}
	key := [2]uint64{uint64(level), n}
	if hashes, ok := t.cache[key]; ok {
		return hashes, nil
	}
	hashes, err := t.load(level, n)
	if err != nil {
		return nil, err
	}
	if len(t.cache) > 512 {
		clear(t.cache)
	}
	t.cache[key] = hashes
	return hashes, nil
}

func (t *tree) root() (tlog.Hash, error) { return tlog.TreeHash(int64(t.size), t) }

// openTiles are the tiles of the right edge, to be stored beside a checkpoint.
func (t *tree) openTiles() []tile {
	var out []tile
	for level, hashes := range t.edge {
		if len(hashes) > 0 {
			out = append(out, tile{level, t.size >> (tileHeight * (level + 1)), hashes})
		}
	}
	return out
}
