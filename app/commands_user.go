package main

import (
	"context"
	"errors"
	"flag"
	"strings"

	"plumbline/app/authz"
	"plumbline/app/config"
	"plumbline/app/server"
	"plumbline/inventory"
)

func prepareUserCreate(fs *flag.FlagSet) action {
	path := configFlag(fs)
	org := fs.String("org", "", "organisation; it is created when there is none of that id; needed")
	orgName := fs.String("org-name", "", "name of a new organisation")
	name := fs.String("name", "", "the person's name; needed")
	email := fs.String("email", "", "e-mail address, which is what one signs in with; needed")
	roles := fs.String("roles", "", "comma-separated: admin, compliance_officer, system_owner, approver, auditor, developer, respondent; needed")
	asJSON := fs.Bool("json", false, "print as JSON")
	return func(ctx context.Context, c *console, _ []string) error {
		if *org == "" || *name == "" || *email == "" || *roles == "" {
			return usageError("--org, --name, --email and --roles are needed")
		}
		cfg, err := config.Load(*path, c.env)
		if err != nil {
			return err
		}
		s, err := server.New(ctx, server.Options{Config: cfg, Version: version, Env: c.env, Log: logger(c, "error")})
		if err != nil {
			return err
		}
		p := inventory.Person{Name: *name, Email: *email}
		for role := range strings.SplitSeq(*roles, ",") {
			p.Roles = append(p.Roles, authz.Role(strings.TrimSpace(role)))
		}
		link, p, err := createUser(ctx, s, inventory.Org{ID: inventory.OrgID(*org), Name: *orgName}, p)
		if err = errors.Join(err, s.Close(ctx)); err != nil {
			return err
		}
		if *asJSON {
			return printJSON(c.out, map[string]string{"id": p.ID, "link": link})
		}
		c.printf("%s may sign in once within a day: %s\n", p.Email, link)
		return nil
	}
}

func createUser(ctx context.Context, s *server.Server, org inventory.Org, p inventory.Person) (string, inventory.Person, error) {
	actor := authz.Actor{Org: org.ID, ID: "cli"}
	if _, err := s.Register.State(org.ID); err != nil {
		if org.Name == "" {
			return "", p, usageError("there is no organisation %q; to create it, give --org-name", org.ID)
		}
		if err := s.Register.CreateOrg(ctx, actor, org); err != nil {
			return "", p, err
		}
	}
	p, err := member(ctx, s, actor, p)
	if err != nil {
		return "", p, err
	}
	token, err := s.Register.LinkFor(ctx, actor, p.ID)
	return s.Config.PublicURL + "/signin/link/" + token, p, err
}

// member adds a person, or gives one who is a member already these roles: the way back
// when nobody may change them any more.
func member(ctx context.Context, s *server.Server, actor authz.Actor, p inventory.Person) (inventory.Person, error) {
	state, err := s.Register.State(actor.Org)
	if err != nil {
		return p, err
	}
	for _, m := range state.Members {
		if strings.EqualFold(m.Email, strings.TrimSpace(p.Email)) {
			return m, s.Register.SetRoles(ctx, actor, m.ID, p.Roles, "")
		}
	}
	return s.Register.AddAccount(ctx, actor, p)
}
