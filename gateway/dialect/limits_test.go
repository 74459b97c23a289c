package dialect

// limits are what does not pass from one dialect into another, with the reason. An
// empty name is every dialect.
var limits = []struct {
	side             side
	name             string
	caller, provider Name
	alike            bool // what arrives says the same in the words that the dialect has
	why              string
}{
	{requests, "stop sequences", "", Responses, false, "Responses take no stop sequences; named as not carried."},
	{requests, "one tool at a time", "", Gemini, false, "Gemini cannot be told to call one tool at a time; named as not carried."},
	{requests, "one tool at a time", "", Converse, false, "Converse cannot be told to call one tool at a time; named as not carried."},
	{requests, "image by link", "", Converse, false, "Converse takes no links: the call is refused, with the field's name."},
	{requests, "file", "", Converse, true, "Converse takes names of files without dots: the file arrives, its name without the ending."},
	{requests, "any JSON", "", Converse, false, "Converse can be told a schema, but not any JSON; named as not carried."},
	{requests, "reasoning", "", Converse, false, "Converse has no word for reasoning that all models take: it is carried to Claude and gpt-oss, and for others named as not carried."},
	{requests, "tool error", "", Chat, false, "Chat has no mark for a tool that failed, only what it said; the mark is named as not carried."},
	{requests, "tool error", "", Responses, false, "Responses have no mark for a tool that failed, only what it said; the mark is named as not carried."},
	{requests, "image by link", "", Gemini, true, "Gemini takes links to images and to other files alike: the link arrives, as a file."},
	{requests, "file", "", Gemini, true, "Gemini has no place for a file's name: the file arrives without."},
	{requests, "any JSON", "", Messages, false, "Messages can be told a schema, but not any JSON; named as not carried."},
	{requests, "signed reasoning", "", "", false, "What one provider signed or sealed no other takes: earlier thoughts stay behind, named as not carried. A provider's own come back to it through an app of any dialect that has a place for signatures."},
	{answers, "refusal", Chat, "", true, "Chat says of a refusal what it says of a filter: the words arrive, with content_filter."},
	{streams, "refusal", Chat, "", true, "Chat says of a refusal what it says of a filter: the words arrive, with content_filter."},
	{answers, "refusal", Messages, "", true, "Messages have no other place for the words of a refusal than the text: they arrive there, with the stop reason refusal."},
	{streams, "refusal", Messages, "", true, "Messages have no other place for the words of a refusal than the text: they arrive there, with the stop reason refusal."},
	{answers, "refusal", Gemini, "", true, "Gemini has no other place for the words of a refusal than the text: they arrive there, with a reason to stop that is a filter's."},
	{streams, "refusal", Gemini, "", true, "Gemini has no other place for the words of a refusal than the text: they arrive there, with a reason to stop that is a filter's."},
	{answers, "refusal", Converse, "", true, "Converse has no other place for the words of a refusal than the text: they arrive there, with content_filtered."},
	{streams, "refusal", Converse, "", true, "Converse has no other place for the words of a refusal than the text: they arrive there, with content_filtered."},
	{answers, "reasoning tokens", Converse, "", true, "Converse has no count of reasoning tokens: they are in the count of the whole output, and in the record."},
	{streams, "reasoning tokens", Converse, "", true, "Converse has no count of reasoning tokens: they are in the count of the whole output, and in the record."},
	{answers, "filtered", Messages, "", true, "Messages say of a filter what they say of a refusal."},
	{streams, "filtered", Messages, "", true, "Messages say of a filter what they say of a refusal."},
	{answers, "cache writes", Gemini, "", true, "Gemini has no count of what was written to a cache: it is in the count of the whole input, and in the record."},
	{streams, "cache writes", Gemini, "", true, "Gemini has no count of what was written to a cache: it is in the count of the whole input, and in the record."},
}

// unsayable is what a dialect has no words for itself.
type unsayable struct {
	side side
	name string
	of   Name
}

var unsaid = map[unsayable]bool{
	{requests, "stop sequences", Responses}:    true,
	{requests, "one tool at a time", Gemini}:   true,
	{requests, "tool error", Chat}:             true,
	{requests, "tool error", Responses}:        true,
	{requests, "image by link", Gemini}:        true,
	{requests, "file", Gemini}:                 true, // with its name
	{requests, "any JSON", Messages}:           true,
	{requests, "signed reasoning", Chat}:       true, // apps give it back, but providers of this dialect are not sent it
	{requests, "one tool at a time", Converse}: true,
	{requests, "image by link", Converse}:      true,
	{requests, "file", Converse}:               true, // with a dot in its name
	{requests, "any JSON", Converse}:           true,
	{requests, "reasoning", Converse}:          true, // of a model that is neither Claude nor gpt-oss
	{answers, "refusal", Converse}:             true,
	{streams, "refusal", Converse}:             true,
	{answers, "reasoning tokens", Converse}:    true,
	{streams, "reasoning tokens", Converse}:    true,
	{answers, "refusal", Chat}:                 true,
	{streams, "refusal", Chat}:                 true,
	{answers, "refusal", Messages}:             true,
	{streams, "refusal", Messages}:             true,
	{answers, "refusal", Gemini}:               true,
	{streams, "refusal", Gemini}:               true,
	{answers, "filtered", Messages}:            true,
	{streams, "filtered", Messages}:            true,
	{answers, "cache writes", Gemini}:          true,
	{streams, "cache writes", Gemini}:          true,
}
