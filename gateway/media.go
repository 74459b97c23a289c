package gateway

import (
	"encoding/json"
	"unicode/utf8"

	"plumbline/gateway/dialect"
	"plumbline/gateway/event"
)

// Images and sound. Guards read the text that goes in and the text that comes out;
// of pictures and sound itself no guard reads anything, and their verdicts say so.

// makesImages reports that the answer is pictures.
func (e *endpoint) makesImages() bool {
	return e.op == dialect.ImagesGenerate || e.op == dialect.ImagesEdit || e.op == dialect.ImagesVary
}

// takesForm reports that the body is a form with a file in it.
func (e *endpoint) takesForm() bool {
	switch e.op {
	case dialect.Transcribe, dialect.TranslateSound, dialect.ImagesEdit, dialect.ImagesVary:
		return true
	}
	return false
}

// answersWhole reports that the vendor's API has no stream of this answer.
func (e *endpoint) answersWhole() bool {
	return e.op == dialect.ImagesVary || e.op == dialect.TranslateSound
}

// unreadAnswer notes what of an answer no guard can read.
func (x *exchange) unreadAnswer() {
	switch {
	case x.answers == nil:
	case x.call.op == dialect.Speech:
		x.answers.NotRun("media")
	case x.call.makesImages():
		x.answers.Unread()
	}
}

// endsStream reports whether the event that says that an answer is whole is the last
// one. Google's streams end with their connection; of several pictures each has such an
// event.
func (x *exchange) endsStream() bool {
	return x.call.api != &geminiAPI && !(x.call.makesImages() && int64(x.images) < x.peeked.Choices)
}

// takeImages counts the pictures of an answer or an event, and takes the usage. Each
// picture of a stream says its own.
func (x *exchange) takeImages(answer []byte) {
	before, more := x.ev.Usage, x.images > 0 && x.ev.Source == event.UsageProvider && x.chunk.HasUsage
	x.images += x.chunk.Items
	if x.takeUsage(answer); !more {
		return
	}
	u, said := &x.ev.Usage, &x.chunk.Usage
	for _, f := range [...]struct {
		to         *int64
		said, less int64 // less is what a usage has that does not say
		before     int64
	}{{&u.Input, said.Input, -1, before.Input}, {&u.Output, said.Output, -1, before.Output}, {&u.ImageIn, said.ImageIn, 0, before.ImageIn}, {&u.ImageOut, said.ImageOut, 0, before.ImageOut}} {
		if f.said > f.less {
			*f.to += max(f.before, 0)
		}
	}
}

// spoken is how many characters of a request shall be spoken. The body was read
// before, so it is JSON; a field of another type is the provider's to refuse.
func (x *exchange) spoken() int64 {
	var asked struct{ Input string }
	json.Unmarshal(x.body, &asked)
	return int64(utf8.RuneCountInString(asked.Input))
}

// mostMedia is the usage that is held for, beside tokens.
func (x *exchange) mostMedia(u *event.Usage) {
	switch x.call.op {
	case dialect.ImagesGenerate, dialect.ImagesEdit, dialect.ImagesVary:
		u.Images = x.peeked.Choices
	case dialect.Speech:
		u.Characters = x.spoken()
	case dialect.Transcribe, dialect.TranslateSound:
		u.Seconds = int64(x.peeked.MediaBytes)/leastPerSecond + 1
	}
}

// What sound takes: the least bytes of a second of speech in a form that vendors take,
// which is what is held for; the bytes of a second at the usual 128 kbit/s, by which it is
// counted where the vendor does not say; and audio tokens for each character that is
// spoken, at 15 characters and 21 tokens a second.
const (
	leastPerSecond = 1000
	usualPerSecond = 16000
)

func spokenTokens(characters int64) int64 { return (characters*7 + 4) / 5 }

// bodyType is the type of a body that is not JSON.
func (x *exchange) bodyType() string {
	if x.form == nil {
		return ""
	}
	return "multipart/form-data; boundary=" + x.form.boundary
}

// countMedia completes usage by what follows from the request and the answer alone.
// reported: the provider said some. What it made before a stream of pictures broke it
// bills, and nobody can count it: that is taken from the hold.
func (x *exchange) countMedia(reported bool) {
	e := &x.ev
	switch e.End {
	case event.EndComplete, event.EndClientGone, event.EndBlocked, event.EndCut:
	default:
		return
	}
	u := &e.Usage
	switch x.call.op {
	case dialect.ImagesGenerate, dialect.ImagesEdit, dialect.ImagesVary:
		if !reported && x.images == 0 && (e.End == event.EndCut || e.End == event.EndClientGone) {
			e.Usage, e.Source = x.most, event.UsageEstimated
			return
		}
		u.Images, u.Form = int64(x.images), x.most.Form
		if u.Output > 0 && u.ImageOut == 0 {
			u.ImageOut = u.Output
		}
	case dialect.Speech:
		if u.Characters = x.most.Characters; !reported {
			u.Output = spokenTokens(u.Characters)
		}
		u.AudioOut = max(u.Output, 0)
	case dialect.Transcribe, dialect.TranslateSound:
		if !reported {
			u.Seconds = int64(x.peeked.MediaBytes)/usualPerSecond + 1
			u.Input = 0
		}
	}
}

// maxPicture is the largest event of a stream that holds a picture, in bytes.
const maxPicture = 32 << 20

// mostFrame is the largest event of the answer's stream, in bytes.
func (x *exchange) mostFrame() int {
	if x.call.makesImages() {
		return maxPicture
	}
	return maxFrame
}
