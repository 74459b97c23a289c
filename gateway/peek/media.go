package peek

// The states of images, speech and transcripts beyond the shared ones. Their answers
// and the events of their streams have keys of the same names.
const (
	mediaRequest state = lastShared + iota
	mediaFormat        // stream_format of speech
	mediaAnswer        // an answer, or an event
	mediaType          // says what an event is
	mediaDelta         // a piece of a transcript
	mediaAgain         // a text that may have come in pieces before
	mediaSegments
	mediaSegment
	mediaUsage
	mediaInputs
	mediaOutputs
	mediaImageIn
	mediaImageOut
	mediaDrawing // usage of the model that writes a drawing (SVG); billed beside the image
	mediaDrawingIn
	mediaDrawingOut
)

var mediaGrammar = grammar{
	request: mediaRequest, answer: mediaAnswer, next: nextMedia, element: elementMedia,
	onString: onStringMedia, onNumber: onNumberMedia, onLiteral: (*Body).onLiteral, onValue: (*Body).onValue,
	onBegin: (*Body).onBegin, onEnd: (*Body).onElement, finish: finishMedia,
}

func nextMedia(st state, key []byte) state {
	switch st {
	case mediaRequest:
		switch string(key) {
		case "stream_format":
			return mediaFormat
		case "images", "image", "mask":
			return media
		case "background", "complexity", "output_format", "quality", "size", "style", "svg", "voice", "input_fidelity":
			return other
		}
		return next(request, key)
	case mediaAnswer:
		return nextMediaAnswer(key)
	case mediaSegment:
		switch string(key) {
		case "text":
			return mediaAgain
		case "tokens": // the numbers of the text's tokens
			return logprobs
		}
		return other
	case mediaUsage:
		switch string(key) {
		case "input_tokens_details", "input_token_details", "prompt_tokens_details":
			return mediaInputs
		case "output_tokens_details", "output_token_details", "completion_tokens_details":
			return mediaOutputs
		}
		return next(usage, key)
	case mediaInputs:
		if string(key) == "image_tokens" {
			return mediaImageIn
		}
		return next(inputDetails, key)
	case mediaOutputs:
		if string(key) == "image_tokens" {
			return mediaImageOut
		}
		return next(outputDetails, key)
	case mediaDrawing:
		switch string(key) {
		case "input_tokens":
			return mediaDrawingIn
		case "output_tokens":
			return mediaDrawingOut
		}
		return other
	}
	return next(st, key)
}

// nextMediaAnswer: words and tokens say a text once more, cut where it must not be
// for a guard. They go when the text was changed.
func nextMediaAnswer(key []byte) state {
	switch string(key) {
	case "type":
		return mediaType
	case "delta":
		return mediaDelta
	case "text", "revised_prompt":
		return mediaAgain
	case "segments":
		return mediaSegments
	case "words", "logprobs":
		return logprobs
	case "data":
		return items
	case "usage":
		return mediaUsage
	case "svg_usage":
		return mediaDrawing
	case "model":
		return answerModel
	case "error":
		return answerError
	}
	return other
}

func elementMedia(st state) state {
	if st == mediaSegments {
		return mediaSegment
	}
	return element(st)
}

func onStringMedia(p *Body, st state, s Span) {
	switch st {
	case mediaFormat:
		p.Stream = p.Stream || string(p.b[s.Start:s.End]) == "sse"
	case mediaType:
		switch string(p.b[s.Start:s.End]) {
		case "image_generation.completed", "image_edit.completed":
			p.Items, p.Ended = 1, true
		case "transcript.text.done", "speech.audio.done":
			p.Ended = true
		}
	case mediaDelta:
		p.text(s, 0)
	case mediaAgain:
		s.Again = true
		p.text(s, 0)
	default:
		p.onString(st, s)
	}
}

func onNumberMedia(p *Body, st state, digits []byte) {
	switch st {
	case mediaImageIn, mediaImageOut, mediaDrawingIn, mediaDrawingOut:
	default:
		p.onNumber(st, digits)
		return
	}
	n := count(digits)
	switch st {
	case mediaImageIn:
		p.Usage.ImageIn = n
	case mediaImageOut:
		p.Usage.ImageOut = n
	case mediaDrawingIn:
		p.extra = n
	case mediaDrawingOut:
		p.total = n
	}
}

// finishMedia adds what a drawing took, whichever usage came first.
func finishMedia(p *Body) {
	if p.extra > 0 || p.total > 0 {
		p.Usage.Input = max(p.Usage.Input, 0) + p.extra
		p.Usage.Output = max(p.Usage.Output, 0) + p.total
		p.HasUsage = true
	}
}
