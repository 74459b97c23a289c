package credential

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"time"
)

// Mark tells a key from the others of its provider, as long as its reference stays: a
// short hash of that, which says neither where the secret is nor what it is. It is
// empty for the key of a provider that needs none.
func (k Key) Mark() string {
	if k.of == nil {
		return ""
	}
	return k.of.mark()
}

func (h *held) mark() string {
	sum := sha256.Sum256([]byte(h.reference))
	return hex.EncodeToString(sum[:8])
}

// PickMarked gives the key with a mark, although it is set aside: what one account at
// the provider keeps another does not know. Without that key, and without a mark, it is
// Pick.
func (r *Keyring) PickMarked(ctx context.Context, now time.Time, mark string) (Key, error) {
	if r == nil || mark == "" || len(r.keys) < 2 {
		return r.Pick(ctx, now)
	}
	for _, h := range r.keys {
		if h.mark() == mark {
			one := &Keyring{provider: r.provider, source: r.source, keys: []*held{h}}
			return one.Pick(ctx, now)
		}
	}
	return r.Pick(ctx, now)
}
