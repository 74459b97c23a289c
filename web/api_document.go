package web

import (
	"net/http"
	"time"

	"plumbline/inventory"
	"plumbline/reports"
)

type documentBody struct {
	Kind      reports.Kind       `json:"kind" yaml:"kind"`
	System    inventory.SystemID `json:"system" yaml:"system"`
	Framework string             `json:"framework" yaml:"framework"`
	Vendor    string             `json:"vendor" yaml:"vendor"`
	From      time.Time          `json:"from" yaml:"from"`
	To        time.Time          `json:"to" yaml:"to"`
}

func (r *request) apiDocuments() error {
	list, err := r.web.d.Reports.List(r.ctx(), r.actor.Org)
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, map[string]any{"documents": orEmpty(list)})
}

// apiIssueDocument builds, records and keeps a document, and answers when it can
// be fetched.
func (r *request) apiIssueDocument() error {
	var in documentBody
	if err := r.readJSON(&in); err != nil {
		return err
	}
	d, err := r.web.d.Reports.Issue(r.ctx(), r.actor, reports.Request{Org: r.actor.Org, Kind: in.Kind, System: in.System, Framework: in.Framework, Vendor: in.Vendor, From: in.From, To: in.To})
	if err != nil {
		return err
	}
	return r.answer(http.StatusCreated, d)
}

func (r *request) apiDocument() error {
	d, err := r.web.d.Reports.Get(r.ctx(), r.actor.Org, r.param("id"))
	if err != nil {
		return err
	}
	return r.answer(http.StatusOK, d)
}

// apiDocumentFile gives out a file of a document: pdf, json or proof.
func (r *request) apiDocumentFile() error {
	part := reports.Part(r.param("part"))
	d, err := r.web.d.Reports.Get(r.ctx(), r.actor.Org, r.param("id"))
	if err != nil {
		return err
	}
	f, contentType, err := r.web.d.Reports.Open(r.ctx(), r.actor.Org, d.ID, part)
	if err != nil {
		return err
	}
	defer f.Close()
	h := r.c.Response().Header()
	h.Set("Content-Disposition", `attachment; filename="`+d.FileName(part)+`"`)
	h.Set("Content-Security-Policy", "sandbox; default-src 'none'")
	return r.c.Stream(http.StatusOK, contentType, f)
}
