package gzsplice

// An Insertion is a text that goes into streams. By itself, it is compressed anew for
// each stream, together with the text behind it.
type Insertion struct {
	Text  []byte // must not change
	block []byte // Text in a block of its own; nil if it was not prepared
	bits  int    // the length of block
}

// Prepare compresses text for all streams that it goes into. A stream then gets some 60
// bytes longer, for the codes of text, but a text of some KB costs next to nothing.
func Prepare(text []byte) Insertion {
	var w bitWriter
	r := recoder{w: &w, insert: Insertion{Text: text}}
	r.compress()
	r.flush(false)
	bits := 8*len(w.bytes) + int(w.count)
	w.align()
	return Insertion{Text: text, block: w.bytes, bits: bits}
}
