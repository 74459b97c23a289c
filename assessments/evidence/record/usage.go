package record

import "plumbline/gateway/event"

// usage is the stored form of an event.Usage. Below the first five counts a field
// that a call does not have is not written.
type usage struct {
	Input      int64 `cbor:"1,keyasint,omitzero"`
	Output     int64 `cbor:"2,keyasint,omitzero"`
	CacheRead  int64 `cbor:"3,keyasint,omitzero"`
	CacheWrite int64 `cbor:"4,keyasint,omitzero"`
	Reasoning  int64 `cbor:"5,keyasint,omitzero"`

	CacheWrite1h int64  `cbor:"6,keyasint,omitzero"`
	AudioIn      int64  `cbor:"7,keyasint,omitzero"`
	CachedAudio  int64  `cbor:"8,keyasint,omitzero"`
	ImageIn      int64  `cbor:"9,keyasint,omitzero"`
	AudioOut     int64  `cbor:"10,keyasint,omitzero"`
	ImageOut     int64  `cbor:"11,keyasint,omitzero"`
	Images       int64  `cbor:"12,keyasint,omitzero"`
	Characters   int64  `cbor:"13,keyasint,omitzero"`
	Seconds      int64  `cbor:"14,keyasint,omitzero"`
	Searches     int64  `cbor:"15,keyasint,omitzero"`
	Requests     int64  `cbor:"16,keyasint,omitzero"`
	Form         string `cbor:"17,keyasint,omitzero"`
	Batch        bool   `cbor:"18,keyasint,omitzero"`
	Tier         string `cbor:"19,keyasint,omitzero"`
}

func (r *reader) usage(u *event.Usage) {
	for n := r.head(0xa0); n > 0 && !r.bad; n-- {
		switch r.uint() {
		case 1:
			u.Input = r.int()
		case 2:
			u.Output = r.int()
		case 3:
			u.CacheRead = r.int()
		case 4:
			u.CacheWrite = r.int()
		case 5:
			u.Reasoning = r.int()
		case 6:
			u.CacheWrite1h = r.int()
		case 7:
			u.AudioIn = r.int()
		case 8:
			u.CachedAudio = r.int()
		case 9:
			u.ImageIn = r.int()
		case 10:
			u.AudioOut = r.int()
		case 11:
			u.ImageOut = r.int()
		case 12:
			u.Images = r.int()
		case 13:
			u.Characters = r.int()
		case 14:
			u.Seconds = r.int()
		case 15:
			u.Searches = r.int()
		case 16:
			u.Requests = r.int()
		case 17:
			u.Form = r.text()
		case 18:
			u.Batch = r.bool()
		case 19:
			u.Tier = r.text()
		default:
			r.bad = true
		}
	}
}
