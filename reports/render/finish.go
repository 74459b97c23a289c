package render

import (
	"bytes"
	"compress/zlib"
	"crypto/sha256"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
)

// EmbeddedName is the name of the file that every PDF carries: its own JSON.
const EmbeddedName = "plumbline.json"

// pdfFile is fpdf's output taken apart at its cross-reference table.
type pdfFile struct {
	objects [][]byte // objects[n-1] is the body of object n, without "n 0 obj" and "endobj"
	root    int
	info    int
}

var errShape = errors.New("fpdf's output has another shape than the post-pass knows")

// parse reads what fpdf v0.9 writes: one xref section, generation 0 everywhere.
func parse(raw []byte) (*pdfFile, error) {
	at := bytes.LastIndex(raw, []byte("startxref\n"))
	if at < 0 {
		return nil, errShape
	}
	var start int
	if _, err := fmt.Sscanf(string(raw[at:]), "startxref\n%d\n", &start); err != nil || start <= 0 || start >= at {
		return nil, errShape
	}
	var count int
	if _, err := fmt.Sscanf(string(raw[start:min(start+40, len(raw))]), "xref\n0 %d\n", &count); err != nil || count < 3 {
		return nil, errShape
	}
	table := raw[start+len("xref\n0 ")+len(strconv.Itoa(count))+1 : at]
	if len(table) < 20*count {
		return nil, errShape
	}
	offsets := make([]int, 0, count)
	for i := 1; i < count; i++ {
		n, err := strconv.Atoi(string(table[20*i : 20*i+10]))
		if err != nil {
			return nil, errShape
		}
		offsets = append(offsets, n)
	}
	sorted := append(slices.Sorted(slices.Values(offsets)), start)
	file := &pdfFile{root: count - 1, info: count - 2}
	for i, from := range offsets {
		k, _ := slices.BinarySearch(sorted, from)
		body := raw[from:sorted[k+1]]
		body, ok := bytes.CutPrefix(body, []byte(fmt.Sprintf("%d 0 obj\n", i+1)))
		end := bytes.LastIndex(body, []byte("endobj"))
		if !ok || end < 0 {
			return nil, errShape
		}
		file.objects = append(file.objects, bytes.TrimRight(body[:end], "\n"))
	}
	return file, nil
}

// add appends an object and returns its number.
func (f *pdfFile) add(body []byte) int {
	f.objects = append(f.objects, body)
	return len(f.objects)
}

// reserve gives n consecutive numbers for objects set later.
func (f *pdfFile) reserve(n int) int {
	first := len(f.objects) + 1
	f.objects = append(f.objects, make([][]byte, n)...)
	return first
}

func (f *pdfFile) set(number int, body []byte) { f.objects[number-1] = body }
func (f *pdfFile) get(number int) []byte       { return f.objects[number-1] }

// bytes writes the file with a new cross-reference table. The file's id is a
// hash of its objects, so it is as reproducible as they are.
func (f *pdfFile) bytes() []byte {
	var out bytes.Buffer
	out.WriteString("%PDF-1.7\n%\xE2\xE3\xCF\xD3\n")
	offsets := make([]int, len(f.objects))
	for i, body := range f.objects {
		offsets[i] = out.Len()
		fmt.Fprintf(&out, "%d 0 obj\n", i+1)
		out.Write(body)
		out.WriteString("\nendobj\n")
	}
	start := out.Len()
	id := sha256.Sum256(out.Bytes())
	fmt.Fprintf(&out, "xref\n0 %d\n0000000000 65535 f \n", len(f.objects)+1)
	for _, o := range offsets {
		fmt.Fprintf(&out, "%010d 00000 n \n", o)
	}
	fmt.Fprintf(&out, "trailer\n<<\n/Size %d\n/Root %d 0 R\n/Info %d 0 R\n/ID [<%x> <%x>]\n>>\nstartxref\n%d\n%%%%EOF\n",
		len(f.objects)+1, f.root, f.info, id[:16], id[:16], start)
	return out.Bytes()
}

// pageObject is the object number that fpdf gives to a page.
func pageObject(n int) int { return 1 + 2*n }

var outlinesRef = regexp.MustCompile(`/Outlines (\d+) 0 R`)
var infoDates = regexp.MustCompile(`\(D:(\d{14})\)`)

// finish is the post-pass: it adds to fpdf's output what fpdf cannot write.
func (l *layout) finish(raw, data []byte) ([]byte, error) {
	f, err := parse(raw)
	if err != nil {
		return nil, err
	}
	for n := range l.pages {
		if !bytes.Contains(f.get(pageObject(n+1)), []byte("/Type /Page\n")) {
			return nil, errShape
		}
	}
	f.set(f.info, infoDates.ReplaceAll(f.get(f.info), []byte("(D:${1}Z)")))
	f.countOutlines(l.marks)
	tree := l.tag(f)
	spec := l.embed(f, data)
	meta := f.add(stream("/Type /Metadata /Subtype /XML", l.xmp()))
	catalog := fmt.Sprintf("<<\n/Type /Catalog\n/Pages 1 0 R\n/Lang %s\n/MarkInfo << /Marked true >>\n/StructTreeRoot %d 0 R\n/Metadata %d 0 R\n"+
		"/ViewerPreferences << /DisplayDocTitle true >>\n/Names << /EmbeddedFiles << /Names [(%s) %d 0 R] >> >>\n/AF [%d 0 R]\n",
		textString(l.doc.Language), tree, meta, EmbeddedName, spec, spec)
	if m := outlinesRef.FindSubmatch(f.get(f.root)); m != nil {
		catalog += fmt.Sprintf("/Outlines %s 0 R\n/PageMode /UseOutlines\n", m[1])
	}
	f.set(f.root, []byte(catalog+">>"))
	return f.bytes(), nil
}

// embed adds the document's JSON. The stream's dictionary is on one line, so
// that a reader without a PDF library finds the file by it.
func (l *layout) embed(f *pdfFile, data []byte) int {
	var z bytes.Buffer
	w := zlib.NewWriter(&z)
	_, _ = w.Write(data) // a buffer takes everything
	_ = w.Close()
	date := l.doc.IssuedAt.UTC().Format("D:20060102150405Z")
	file := f.add(stream(fmt.Sprintf("/Type /EmbeddedFile /Subtype /application#2Fjson /Filter /FlateDecode /Params << /Size %d /ModDate (%s) >>", len(data), date), z.Bytes()))
	return f.add(fmt.Appendf(nil, "<< /Type /Filespec /F (%s) /UF (%s) /AFRelationship /Data /Desc (This document as data, with the evidence it cites) /EF << /F %d 0 R /UF %d 0 R >> >>",
		EmbeddedName, EmbeddedName, file, file))
}

func stream(dict string, body []byte) []byte {
	out := fmt.Appendf(nil, "<< %s /Length %d >>\nstream\n", dict, len(body))
	return append(append(out, body...), "\nendstream"...)
}

func (l *layout) xmp() []byte {
	d := l.doc
	date := d.IssuedAt.UTC().Format("2006-01-02T15:04:05Z")
	return []byte(`<?xpacket begin="` + "\uFEFF" + `" id="W5M0MpCehiHzreSzNTczkc9d"?>
<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description rdf:about="" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:xmp="http://ns.adobe.com/xap/1.0/" xmlns:pdf="http://ns.adobe.com/pdf/1.3/">
<dc:title><rdf:Alt><rdf:li xml:lang="x-default">` + escapeXML(d.Title+": "+d.Subtitle) + `</rdf:li></rdf:Alt></dc:title>
<dc:creator><rdf:Seq><rdf:li>` + escapeXML(d.Organisation) + `</rdf:li></rdf:Seq></dc:creator>
<dc:identifier>` + escapeXML(d.ID) + `</dc:identifier>
<dc:language><rdf:Bag><rdf:li>` + escapeXML(d.Language) + `</rdf:li></rdf:Bag></dc:language>
<pdf:Producer>Plumbline</pdf:Producer>
<xmp:CreatorTool>` + escapeXML(d.Template) + `</xmp:CreatorTool>
<xmp:CreateDate>` + date + `</xmp:CreateDate><xmp:ModifyDate>` + date + `</xmp:ModifyDate>
</rdf:Description></rdf:RDF></x:xmpmeta>
<?xpacket end="r"?>`)
}

func escapeXML(s string) string {
	s = strings.Map(func(r rune) rune {
		if r < ' ' || r == 0xFFFE || r == 0xFFFF {
			return replacement
		}
		return r
	}, s)
	return strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;", `"`, "&quot;").Replace(s)
}

// textString writes a PDF text string: ASCII as it is, the rest in UTF-16.
func textString(s string) string {
	if plainASCII(s) {
		return "(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(s) + ")"
	}
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	return b.String() + ">"
}

// countOutlines replaces fpdf's /Count 0 by how many entries lie open beneath.
// Entries of the first level are open, the others closed.
func (f *pdfFile) countOutlines(marks []bookmark) {
	k := 0
	for n := 1; n <= len(f.objects) && k < len(marks); n++ {
		body := f.get(n)
		if !bytes.HasPrefix(body, []byte("<</Title ")) || !bytes.HasSuffix(body, []byte("/Count 0>>")) {
			continue
		}
		children := 0
		for i := k + 1; i < len(marks) && marks[i].level > marks[k].level; i++ {
			if marks[i].level == marks[k].level+1 {
				children++
			}
		}
		body = bytes.TrimSuffix(body, []byte("/Count 0>>"))
		if children > 0 {
			body = fmt.Appendf(body, "/Count -%d", children)
		}
		f.set(n, append(body, ">>"...))
		k++
	}
}
