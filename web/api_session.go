package web

import (
	"net/http"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/inventory"
)

type sessionJSON struct {
	Account      accountJSON     `json:"account"`
	Organisation inventory.OrgID `json:"organisation"`
	Roles        []authz.Role    `json:"roles"`
}

type accountJSON struct {
	ID    string `json:"id"`
	Name  string `json:"name"`
	Email string `json:"email"`
}

func (r *request) apiSession() error {
	return r.answer(http.StatusOK, sessionJSON{accountJSON{r.account.ID, r.account.Name, r.account.Email}, r.actor.Org, r.actor.Roles})
}

type signInBody struct {
	Email        string          `json:"email" yaml:"email"`
	Password     string          `json:"password" yaml:"password"`
	Organisation inventory.OrgID `json:"organisation" yaml:"organisation"`
}

// apiSignIn begins a session in an organisation, or in the account's first.
func (r *request) apiSignIn() error {
	var in signInBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	account, err := r.authenticate(in.Email, in.Password)
	if err != nil {
		return err
	}
	memberships := r.web.d.Register.Memberships(account.ID)
	if in.Organisation == "" && len(memberships) > 0 {
		in.Organisation = memberships[0].Org
	}
	actor, err := r.web.d.Register.Actor(in.Organisation, account.ID)
	if err != nil {
		return err
	}
	if err := r.begin(account, in.Organisation); err != nil {
		return err
	}
	r.account, r.actor = account, actor
	return r.apiSession()
}

func (r *request) apiSignOut() error {
	if err := r.web.sessions.Destroy(r.ctx()); err != nil {
		return err
	}
	return r.c.NoContent(http.StatusNoContent)
}

type orgJSON struct {
	inventory.Org
	Roles   []authz.Role `json:"roles"`
	Current bool         `json:"current"` // the session's
}

func (r *request) apiOrgs() error {
	out := []orgJSON{}
	for _, m := range r.web.d.Register.Memberships(r.account.ID) {
		state, err := r.web.d.Register.State(m.Org)
		if err != nil {
			return err
		}
		out = append(out, orgJSON{state.Org, m.Roles, m.Org == r.actor.Org})
	}
	return r.answer(http.StatusOK, map[string]any{"organisations": out})
}

type orgBody struct {
	ID     inventory.OrgID `json:"id" yaml:"id"`
	Name   string          `json:"name" yaml:"name"`
	change `yaml:",inline"`
}

// apiAddOrg opens an organisation and makes whoever did so its administrator. The
// session stays in the one it is in.
func (r *request) apiAddOrg() error {
	var in orgBody
	if err := r.readJSON(&in, "version"); err != nil {
		return err
	}
	reg, actor := r.web.d.Register, r.actor
	org := inventory.Org{ID: in.ID, Name: in.Name}
	if err := reg.CreateOrg(r.ctx(), actor, org); err != nil {
		return err
	}
	actor.Org = in.ID
	me := inventory.Person{Name: r.account.Name, Email: r.account.Email, Roles: []authz.Role{authz.Admin}}
	if _, err := reg.AddAccount(r.ctx(), actor, me); err != nil {
		return err
	}
	return r.answer(http.StatusCreated, orgJSON{org, me.Roles, false})
}

// apiPutOrg changes the name of the session's organisation.
func (r *request) apiPutOrg() error {
	var in orgBody
	if err := r.readJSON(&in, "version"); err != nil {
		return err
	}
	if err := inPath(r, "id", &in.ID); err != nil {
		return err
	}
	if in.ID != r.actor.Org {
		return fault.New(fault.NotFound, "not_found", "the session is not in an organisation %q", in.ID)
	}
	if err := r.web.d.Register.UpdateOrg(r.ctx(), r.actor, in.Name, in.Reason); err != nil {
		return err
	}
	if err := r.read(); err != nil {
		return err
	}
	return r.answer(http.StatusOK, orgJSON{r.state.Org, r.actor.Roles, true})
}
