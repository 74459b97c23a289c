// Package reports writes documents: audit reports, model cards and vendor-risk
// reports. A builder is a pure function from Inputs, a plain picture of an
// organisation as of a checkpoint, to a render.Doc. The Service issues: it signs
// a checkpoint, gathers as of it, builds, renders, records the hashes in the
// ledger and keeps PDF, JSON and proof together.
//
// A kind of document is one line of the table in kind.go.
package reports
