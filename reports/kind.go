package reports

import (
	"plumbline/reports/render"
)

// Kind names a kind of document.
type Kind string

// The kinds.
const (
	KindAudit      Kind = "audit"
	KindModelCard  Kind = "model_card"
	KindVendorRisk Kind = "vendor_risk"
)

// KindInfo describes a kind to those who offer it.
type KindInfo struct {
	Kind           Kind
	Title          string
	About          string // one line for whoever chooses
	Prefix         string // of document numbers
	Template       string // name and version of the builder; changes with what it prints
	NeedsSystem    bool
	NeedsFramework bool
	NeedsVendor    bool
	Days           int // period when none is asked for
	build          func(Inputs) *render.Doc
}

// Kinds is the whole list, in the order in which kinds are offered. A kind of
// document is added here and nowhere else.
func Kinds() []KindInfo {
	return []KindInfo{
		{Kind: KindAudit, Title: "Audit report", About: "One AI system against one framework: findings, control matrix, runtime annex", Prefix: "AR", Template: "audit/1", NeedsSystem: true, NeedsFramework: true, Days: 30, build: Audit},
		{Kind: KindModelCard, Title: "Model card", About: "What is declared of one AI system beside what production showed", Prefix: "MC", Template: "model_card/1", NeedsSystem: true, Days: 30, build: ModelCard},
		{Kind: KindVendorRisk, Title: "Vendor-risk report", About: "One vendor: which systems use it, what was sent to it, what was seen of it", Prefix: "VR", Template: "vendor_risk/1", NeedsVendor: true, Days: 90, build: VendorRisk},
	}
}

// KindOf finds a kind.
func KindOf(k Kind) (KindInfo, bool) {
	for _, info := range Kinds() {
		if info.Kind == k {
			return info, true
		}
	}
	return KindInfo{}, false
}
