package web

import (
	"net/http"

	"plumbline/assessments/projection"
	"plumbline/inventory"
)

type keyBody struct {
	inventory.DeclaredKey `yaml:",inline"`
	change                `yaml:",inline"`
}

// ownKeyJSON is a key for whoever sees only the own ones.
type ownKeyJSON struct {
	inventory.Key
	Use projection.KeyUse `json:"use_30_days"`
}

func (r *request) apiKeys() error {
	if !r.own() {
		return r.answer(http.StatusOK, map[string]any{"keys": orEmpty(r.state.Keys)})
	}
	use, err := r.keyUse()
	if err != nil {
		return err
	}
	out := []ownKeyJSON{}
	for _, k := range r.state.Keys {
		out = append(out, ownKeyJSON{k, use[string(k.ID)]})
	}
	return r.answer(http.StatusOK, map[string]any{"keys": out})
}

type newKeyJSON struct {
	inventory.Key
	Secret string `json:"secret"` // the whole key, this once
}

// apiCreateKey makes a key; its text is in this answer and nowhere else.
func (r *request) apiCreateKey() error {
	var in keyBody
	if err := r.readJSON(&in, "secret", "revoked_at", "version"); err != nil {
		return err
	}
	made, secret, err := r.web.d.Register.CreateKey(r.ctx(), r.actor, in.Key, in.Reason)
	if err != nil {
		return err
	}
	k, err := r.keyNow(made.ID)
	if err != nil {
		return err
	}
	return r.answer(http.StatusCreated, newKeyJSON{*k, secret})
}

// apiPutKey changes a key's name, owner, models, limits and end.
func (r *request) apiPutKey() error {
	var in keyBody
	if err := r.readJSON(&in, "secret", "revoked_at", "system"); err != nil {
		return err
	}
	if err := inPath(r, "id", &in.ID); err != nil {
		return err
	}
	in.Key.Version = in.change.Version
	if err := r.web.d.Register.UpdateKey(r.ctx(), r.actor, in.Key, in.Reason); err != nil {
		return err
	}
	k, err := r.keyNow(in.ID)
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, k)
}

func (r *request) apiRevokeKey() error {
	var in reasonBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	id := inventory.KeyID(r.param("id"))
	if err := r.web.d.Register.RevokeKey(r.ctx(), r.actor, id, in.Reason); err != nil {
		return err
	}
	k, err := r.keyNow(id)
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, k)
}

func (r *request) keyNow(id inventory.KeyID) (*inventory.Key, error) {
	if err := r.read(); err != nil {
		return nil, err
	}
	return find(r.state.Keys, "key", string(id), func(k *inventory.Key) bool { return k.ID == id })
}
