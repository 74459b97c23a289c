package web

import (
	"encoding/hex"
	"net/http"
	"time"

	"plumbline/assessments/evidence"
)

type checkpointJSON struct {
	Origin string             `json:"origin"`
	Size   uint64             `json:"size"`
	Root   string             `json:"root"`
	At     time.Time          `json:"at"`
	Note   string             `json:"note"` // the signed text
	Keys   []evidence.KeyInfo `json:"keys"`
}

// apiCheckpoint gives the newest signed checkpoint of the organisation's log, and
// the keys that verify it.
func (r *request) apiCheckpoint() error {
	log := string(r.actor.Org)
	cp, err := r.web.d.Ledger.Checkpoint(r.ctx(), log)
	if err != nil {
		return err
	}
	keys, err := r.web.d.Ledger.VerifierKeys(log)
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, checkpointJSON{cp.Origin, cp.Size, hex.EncodeToString(cp.Root[:]), time.UnixMicro(cp.At).UTC(), string(cp.Note), keys})
}
