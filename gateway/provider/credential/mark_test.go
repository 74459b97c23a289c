package credential

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"plumbline/inventory"
)

// A marked key is picked whatever its weight, its turn and its health; what is not
// there is not replaced by another account's, but what is not known any more is.
func TestPickMarked(t *testing.T) {
	ctx, now := context.Background(), time.Now()
	env := map[string]string{"env:A": "secret-a", "env:B": "secret-b"}
	_, ring := ringOf(t, env, inventory.ProviderKey{Ref: "env:A", Weight: 99}, inventory.ProviderKey{Ref: "env:B", Weight: 1}, inventory.ProviderKey{Ref: "env:C", Weight: 1})
	marks := map[string]string{}
	for _, h := range ring.keys {
		marks[h.reference] = h.mark()
	}
	b, err := ring.PickMarked(ctx, now, marks["env:B"])
	if err != nil || b.Mark() != marks["env:B"] {
		t.Fatalf("%v, error %v", b, err)
	}
	ring.Report(b, now, http.StatusTooManyRequests, time.Hour)
	var got []string
	for _, mark := range []string{marks["env:B"], marks["env:B"], "", "of a key that is gone"} {
		k, err := ring.PickMarked(ctx, now, mark)
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, k.Token())
	}
	if diff := cmp.Diff([]string{"secret-b", "secret-b", "secret-a", "secret-a"}, got); diff != "" {
		t.Error(diff)
	}
	var unavailable *Unavailable
	if k, err := ring.PickMarked(ctx, now, marks["env:C"]); !errors.As(err, &unavailable) {
		t.Errorf("%v, error %v", k, err)
	}
	if k, err := (*Keyring)(nil).PickMarked(ctx, now, "x"); err != nil || k.Mark() != "" {
		t.Errorf("%v, error %v", k, err)
	}
}
