package gateway

import "encoding/json"

// formOf is the form that a call's price depends on, in the words of the price
// table: size and quality of images, or how much of the web is searched. Few models
// have forms, so the body is read for it only where the price has some. What cannot
// be read has none, and is held and charged as the dearest.
func formOf(x *exchange) string {
	if !x.rate.HasForms() {
		return ""
	}
	var asked struct {
		Size    string `json:"size"`
		Quality string `json:"quality"`
		Search  struct {
			Context string `json:"search_context_size"`
		} `json:"web_search_options"`
	}
	if x.form != nil {
		return x.rate.Form(x.form.says["size"], x.form.says["quality"])
	}
	if json.Unmarshal(x.body, &asked) != nil {
		return ""
	}
	return x.rate.Form(asked.Size, asked.Quality, asked.Search.Context)
}
