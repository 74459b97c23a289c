package render

import (
	"bytes"
	"fmt"
	"strconv"
	"strings"
)

// tag writes the structure tree, the link annotations and what binds both to the
// pages. It returns the number of the tree's root.
func (l *layout) tag(f *pdfFile) int {
	numbers := make([]int, len(l.elems)) // object of each element
	attached := 0
	for i := range l.elems {
		if l.elems[i].attached || i == 0 {
			attached++
		}
	}
	root := f.reserve(1)
	next := f.reserve(attached)
	for i := range l.elems {
		if l.elems[i].attached || i == 0 {
			numbers[i] = next
			next++
		}
	}
	annots, parents := l.annotate(f, numbers)
	l.elements(f, numbers, annots, root)
	f.set(root, fmt.Appendf(nil, "<< /Type /StructTreeRoot /K [%d 0 R] /ParentTree << /Nums [%s] >> /ParentTreeNextKey %d >>",
		numbers[0], strings.Join(parents, " "), len(parents)))
	return root
}

// annotate writes the links of each page and gives the entries of the parent
// tree: first one for each page, then one for each annotation.
func (l *layout) annotate(f *pdfFile, numbers []int) (annots [][]int, parents []string) {
	marked := l.marked(numbers)
	key := len(l.pages)
	var ofLinks []string
	for i, p := range l.pages {
		var refs []string
		var mine []int
		for _, a := range p.links {
			n := f.add(l.annotation(a, key))
			mine = append(mine, n)
			refs = append(refs, fmt.Sprintf("%d 0 R", n))
			ofLinks = append(ofLinks, fmt.Sprintf("%d %d 0 R", key, numbers[a.elem]))
			key++
		}
		annots = append(annots, mine)
		parents = append(parents, fmt.Sprintf("%d [%s]", i, strings.Join(marked[i], " ")))
		entry := fmt.Sprintf("/Resources 2 0 R\n/StructParents %d\n/Tabs /S", i)
		if len(refs) > 0 {
			entry += "\n/Annots [" + strings.Join(refs, " ") + "]"
		}
		f.set(pageObject(i+1), bytes.Replace(f.get(pageObject(i+1)), []byte("/Resources 2 0 R"), []byte(entry), 1))
	}
	return annots, append(parents, ofLinks...)
}

// marked lists, for each page, the element of each marked-content id.
func (l *layout) marked(numbers []int) [][]string {
	out := make([][]string, len(l.pages))
	for e := range l.elems {
		for _, k := range l.elems[e].kids {
			if k.kind != 'm' {
				continue
			}
			page := out[k.page-1]
			for len(page) <= k.at {
				page = append(page, "null")
			}
			page[k.at] = fmt.Sprintf("%d 0 R", numbers[e])
			out[k.page-1] = page
		}
	}
	return out
}

const pointsPerMM = 72 / 25.4

func (l *layout) annotation(a annotation, key int) []byte {
	x1, y1 := a.x*pointsPerMM, (pageH-a.y-a.h)*pointsPerMM
	out := fmt.Appendf(nil, "<< /Type /Annot /Subtype /Link /Rect [%.2f %.2f %.2f %.2f] /Border [0 0 0] /F 4 /StructParent %d ",
		x1, y1, x1+a.w*pointsPerMM, y1+a.h*pointsPerMM, key)
	if n, ok := strings.CutPrefix(a.target, "#page:"); ok {
		page, _ := strconv.Atoi(n) // written by citedOn
		return fmt.Appendf(out, "/Dest [%d 0 R /XYZ null null null] >>", pageObject(min(max(page, 1), len(l.pages))))
	}
	if name, ok := strings.CutPrefix(a.target, "#"); ok {
		at := l.now.anchors[name]
		return fmt.Appendf(out, "/Dest [%d 0 R /XYZ 0 %.2f null] >>", pageObject(max(at.page, 1)), (pageH-max(at.y-4, 0))*pointsPerMM)
	}
	return fmt.Appendf(out, "/A << /S /URI /URI %s >> >>", textString(l.printable(a.target)))
}

func (l *layout) elements(f *pdfFile, numbers []int, annots [][]int, root int) {
	for i := range l.elems {
		if numbers[i] == 0 {
			continue
		}
		e := &l.elems[i]
		parent := root
		if e.parent >= 0 {
			parent = numbers[e.parent]
		}
		out := fmt.Appendf(nil, "<< /Type /StructElem /S /%s /P %d 0 R", e.typ, parent)
		page := 0
		for _, k := range e.kids {
			if k.page > 0 {
				page = k.page
				out = fmt.Appendf(out, " /Pg %d 0 R", pageObject(page))
				break
			}
		}
		if e.alt != "" {
			out = fmt.Appendf(out, " /Alt %s", textString(e.alt))
		}
		if e.scope != "" {
			out = fmt.Appendf(out, " /A << /O /Table /Scope /%s >>", e.scope)
		}
		out = append(out, " /K ["...)
		for n, k := range e.kids {
			if n > 0 {
				out = append(out, ' ')
			}
			out = l.kid(out, k, page, numbers, annots)
		}
		f.set(numbers[i], append(out, "] >>"...))
	}
}

func (l *layout) kid(out []byte, k kid, page int, numbers []int, annots [][]int) []byte {
	switch {
	case k.kind == 'e':
		return fmt.Appendf(out, "%d 0 R", numbers[k.at])
	case k.kind == 'a':
		return fmt.Appendf(out, "<< /Type /OBJR /Obj %d 0 R /Pg %d 0 R >>", annots[k.page-1][k.at], pageObject(k.page))
	case k.page == page:
		return strconv.AppendInt(out, int64(k.at), 10)
	}
	return fmt.Appendf(out, "<< /Type /MCR /Pg %d 0 R /MCID %d >>", pageObject(k.page), k.at)
}
