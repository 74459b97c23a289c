package web

import (
	"net/http"

	"plumbline/app/authz"
	"plumbline/app/fault"
	"plumbline/inventory"
)

type personBody struct {
	Name  string       `json:"name" yaml:"name"`
	Email string       `json:"email" yaml:"email"`
	Roles []authz.Role `json:"roles" yaml:"roles"`
}

// newPersonJSON is a person with the one-time link to sign in with, which is in this
// answer and nowhere else.
type newPersonJSON struct {
	inventory.Person
	Link string `json:"link,omitempty"`
}

func (r *request) apiPeople() error {
	return r.answer(http.StatusOK, map[string]any{"people": orEmpty(r.state.Members)})
}

// apiAddPerson makes somebody a member. The membership stands also when the link cannot
// be made, as while the ledger cannot write: another is made by apiPersonLink.
func (r *request) apiAddPerson() error {
	var in personBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	made, err := r.web.d.Register.AddAccount(r.ctx(), r.actor, inventory.Person{Name: in.Name, Email: in.Email, Roles: in.Roles})
	if err != nil {
		return err
	}
	link, err := r.signInLink(made)
	if err != nil {
		return err
	}
	return r.answer(http.StatusCreated, newPersonJSON{made, link})
}

type rolesBody struct {
	Roles  []authz.Role `json:"roles" yaml:"roles"`
	Reason string       `json:"reason" yaml:"reason"`
}

// apiPutPerson replaces a member's roles. Name and address are the account's, which
// other organisations may share.
func (r *request) apiPutPerson() error {
	var in rolesBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	p, err := r.member()
	if err != nil {
		return err
	}
	if err := r.web.d.Register.SetRoles(r.ctx(), r.actor, p.ID, in.Roles, in.Reason); err != nil {
		return err
	}
	if err := r.read(); err != nil {
		return err
	}
	if p, err = r.member(); err != nil {
		return err
	}
	return r.answer(http.StatusOK, p)
}

func (r *request) apiRemovePerson() error {
	var in reasonBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	p, err := r.member()
	if err != nil {
		return err
	}
	if err := r.removeMember(p, in.Reason); err != nil {
		return err
	}
	return r.c.NoContent(http.StatusNoContent)
}

// apiPersonLink makes a new one-time link for a member.
func (r *request) apiPersonLink() error {
	if err := r.readJSON(&struct{}{}); err != nil {
		return err
	}
	p, err := r.member()
	if err != nil {
		return err
	}
	link, err := r.signInLink(p)
	if err != nil {
		return err
	}
	if link == "" {
		return fault.New(fault.Forbidden, "not_permitted", "%s belongs to an organisation too whose people you do not administer, and a link signs in to both. The person signs in as there.", p.Name)
	}
	return r.answer(http.StatusCreated, newPersonJSON{p, link})
}
