package seal

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
)

func TestSealedValuesOpenOnlyInTheirContext(t *testing.T) {
	s, err := New(bytes.Repeat([]byte{7}, 32), nil)
	if err != nil {
		t.Fatal(err)
	}
	sealed, err := s.Seal([]byte("secret"), "log acme")
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(sealed, []byte("secret")) {
		t.Fatal("sealed in clear")
	}
	if text, err := s.Open(sealed, "log acme"); err != nil || string(text) != "secret" {
		t.Fatalf("open: %q, %v", text, err)
	}
	if _, err := s.Open(sealed, "log other"); err == nil {
		t.Error("opened in another context")
	}
	for i := range sealed {
		bad := bytes.Clone(sealed)
		bad[i] ^= 1
		if _, err := s.Open(bad, "log acme"); err == nil {
			t.Fatalf("byte %d flipped and still opened", i)
		}
	}
}

func TestKeyFileIsMadeOnceAndPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "instance.key")
	a, err := OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	b, err := OpenFile(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	if a.Derive("x") != b.Derive("x") || a.Derive("x") == a.Derive("y") {
		t.Error("derived keys do not follow the file")
	}
	info, _ := os.Stat(path)
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v", info.Mode().Perm())
	}
	os.WriteFile(path, []byte("short"), 0o600)
	if _, err := OpenFile(path, nil); err == nil {
		t.Error("a broken key file was accepted")
	}
}
