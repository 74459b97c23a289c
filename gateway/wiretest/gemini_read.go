package wiretest

func (c *call) readGemini(model string, body node) (*ask, *Answer) {
	a := &ask{}
	a.model = model
	if len(body.at("contents").items()) == 0 {
		return nil, c.fail(400, "* GenerateContentRequest.contents: contents is not specified")
	}
	a.prompt += len(contentText(body.at("systemInstruction", "parts")))
	for _, turn := range body.at("contents").items() {
		if failure := c.readContent(a, turn); failure != nil {
			return nil, failure
		}
	}
	if len(a.open) > 0 {
		return nil, c.fail(400, "Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.")
	}
	for _, t := range body.at("tools").items() {
		for _, f := range t.at("functionDeclarations").items() {
			schema := f.at("parametersJsonSchema")
			if !schema.there() {
				schema = f.at("parameters")
			}
			a.tools = append(a.tools, tool{f.at("name").text(), schema})
		}
	}
	calling := body.at("toolConfig", "functionCallingConfig")
	switch calling.at("mode").text() {
	case "NONE":
		a.noTools = true
	case "ANY":
		a.forced = "*"
		if names := calling.at("allowedFunctionNames").items(); len(names) > 0 {
			a.forced = names[0].text()
		}
	}
	config := body.at("generationConfig")
	if config.at("responseMimeType").text() == "application/json" {
		a.schema = config.at("responseJsonSchema")
		if !a.schema.there() {
			a.schema = config.at("responseSchema")
		}
		if !a.schema.there() {
			a.schema = node{map[string]any{"type": "OBJECT"}}
		}
	}
	a.thinking = config.at("thinkingConfig", "includeThoughts").truth()
	return a, nil
}

// readContent reads one turn. Calls have no ids here: a result belongs to the
// oldest open call of its name.
func (c *call) readContent(a *ask, turn node) *Answer {
	role := turn.at("role").text()
	switch role {
	case "":
		role = "user"
	case "user", "model":
	default:
		return c.fail(400, "Please use a valid role: user, model.")
	}
	a.said(role, turn.at("parts"))
	for _, p := range turn.at("parts").items() {
		if in := p.at("inlineData"); in.there() {
			a.saw("data:" + in.at("mimeType").text() + ";base64," + in.at("data").text())
		}
		if file := p.at("fileData"); file.there() {
			a.saw(file.at("fileUri").text())
		}
		if f := p.at("functionCall"); f.there() {
			if signature := p.at("thoughtSignature").text(); signature != "" && signature != seal(f.at("name").text()) {
				return c.fail(400, "Thought signature is not valid.")
			}
			a.called(f.at("name").text())
		}
		if f := p.at("functionResponse"); f.there() {
			said := f.at("response", "output").text() // the key by which the API knows a plain result
			if said == "" {
				said = string(encode(f.at("response").v))
			}
			if !a.answered(f.at("name").text(), said) {
				return c.fail(400, "Please ensure that function response turn comes immediately after a function call turn.")
			}
		}
	}
	return nil
}

func (c *call) geminiCount(model string) *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "Invalid JSON payload received.")
	}
	if whole := body.at("generateContentRequest"); whole.there() {
		body = whole
	}
	a, failure := c.readGemini(model, body)
	if failure != nil {
		return failure
	}
	n := c.reply(a).input
	return c.whole(object{"totalTokens", n, "promptTokensDetails", list{object{"modality", "TEXT", "tokenCount", n}}})
}

// geminiEmbed answers embedContent and its batch.
func (c *call) geminiEmbed(batch bool) *Answer {
	body, err := decode(c.body)
	if err != nil {
		return c.fail(400, "Invalid JSON payload received.")
	}
	requests := []node{body}
	if batch {
		requests = body.at("requests").items()
	}
	out := list{}
	for _, r := range requests {
		text := contentText(r.at("content", "parts"))
		if text == "" {
			return c.fail(400, "* EmbedContentRequest.content: contents is not specified")
		}
		out = append(out, object{"values", vector(text, r.at("outputDimensionality").number())})
	}
	if batch {
		return c.whole(object{"embeddings", out})
	}
	return c.whole(object{"embedding", out[0]})
}
