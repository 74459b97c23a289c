package gateway

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"plumbline/gateway/dialect"
	"plumbline/gateway/peek"
)

// sealRedactions puts what guards took out of a large body in a file, which is written
// once: a further attempt takes it out again. In memory it would be as much as the body,
// for as long as the provider is waited for.
func (g *Gateway) sealRedactions(x *exchange) (err error) {
	if x.redacted == nil && len(x.guarded) > 0 {
		x.redacted, err = g.c.Bodies.Write(func(w io.Writer) error { return writeEdits(w, x.guarded) })
	}
	x.guarded, x.edits = few(x.guarded), few(x.edits)
	if err != nil {
		return unkept(err)
	}
	return nil
}

// redactions appends what guards took out of the request. Of a large body they come
// into memory, which counts as what is made of it while it is loaded.
func (x *exchange) redactions(dst []peek.Edit) ([]peek.Edit, error) {
	if x.redacted == nil {
		return append(dst, x.guarded...), nil
	}
	r, err := x.redacted.Open()
	if err == nil {
		defer r.Close()
		dst, err = readEdits(dst, r)
	}
	if err != nil {
		return nil, unkept(err)
	}
	return dst, nil
}

// readAgain finds in a large body that is loaded again what was found in it before.
func (x *exchange) readAgain() error {
	switch {
	case x.upload != nil && x.lot != nil:
		return x.readRequests()
	case x.form != nil: // whose texts are kept
		return nil
	case x.call.op == dialect.MessageBatchCreate:
		x.lot = &lot{}
		return x.lot.readBody(x.body, &x.chunk)
	}
	return x.peeked.Request(x.body, x.call.grammar)
}

// writeEdits writes edits one after the other: where each begins, the length of what it
// replaces and of what it puts there as variable integers, and that.
func writeEdits(to io.Writer, edits []peek.Edit) error {
	var head []byte
	for _, e := range edits {
		head = binary.AppendUvarint(head[:0], uint64(e.Start))
		head = binary.AppendUvarint(head, uint64(e.End-e.Start))
		head = binary.AppendUvarint(head, uint64(len(e.With)))
		if _, err := to.Write(head); err != nil {
			return err
		}
		if _, err := to.Write(e.With); err != nil {
			return err
		}
	}
	return nil
}

// readEdits appends what writeEdits wrote. It reads what this process sealed, and
// believes the lengths in it.
func readEdits(dst []peek.Edit, from io.Reader) ([]peek.Edit, error) {
	r := bufio.NewReader(from)
	for {
		start, err := binary.ReadUvarint(r)
		if errors.Is(err, io.EOF) {
			return dst, nil
		}
		length, err2 := binary.ReadUvarint(r)
		size, err3 := binary.ReadUvarint(r)
		if err := errors.Join(err, err2, err3); err != nil {
			return nil, err
		}
		with := make([]byte, size)
		if _, err := io.ReadFull(r, with); err != nil {
			return nil, err
		}
		dst = append(dst, peek.Edit{Start: int(start), End: int(start + length), With: with})
	}
}
