package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
)

// origin is the site behind the servers. Each answer is made beforehand and
// leaves in one write, so that it costs little, and the same each time.
type origin struct {
	listener net.Listener
	pages    map[string][]byte // by size and type
	answers  map[string]answer // by path
}

// answer is what a path is answered with.
type answer struct{ identity, gzipped []byte }

// The media types of what is served. Their fields are of one length, and a
// plain proxy does not look at them.
const (
	typeHTML  = "text/html; charset=utf-8"
	typeOther = "text/plain;charset=utf-8"
)

// newOrigin listens on loopback. For each size there is a page, the same bytes
// under another media type, and the page of a site that compresses.
func newOrigin(sizes []int) (*origin, error) {
	o := &origin{pages: make(map[string][]byte), answers: make(map[string]answer)}
	for _, size := range sizes {
		page := newPage(size)
		whole := answer{identity: response(typeHTML, "", page)}
		o.answers[path("html", size)] = whole
		o.answers[path("other", size)] = answer{identity: response(typeOther, "", page)}
		o.pages[path("html", size)], o.pages[path("other", size)] = page, page
		for _, level := range levels {
			whole.gzipped = response(typeHTML, "Content-Encoding: gzip\r\nVary: Accept-Encoding\r\n", compress(page, level))
			o.answers[path(gzipped(level), size)] = whole
			o.pages[path(gzipped(level), size)] = page
		}
	}
	var err error
	if o.listener, err = net.Listen("tcp", "127.0.0.1:0"); err != nil {
		return nil, err
	}
	go o.serve()
	return o, nil
}

// levels are those of zlib at which the origin has compressed its pages.
var levels = []int{1, 6, 9}

// gzipped is the kind of the pages that the origin has compressed at a level.
func gzipped(level int) string { return fmt.Sprintf("gzip%d", level) }

// kindFile is the kind of the pages that Caddy serves from files.
const kindFile = "file"

// path is where a page is: kind is html, other, kindFile, or what gzipped returns.
func path(kind string, size int) string { return fmt.Sprintf("/page/%s/%d.html", kind, size) }

// writeFiles writes the pages that Caddy serves, and their gzip, into a folder.
func (o *origin) writeFiles(folder string, sizes []int) error {
	for _, size := range sizes {
		name := filepath.Join(folder, path(kindFile, size))
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			return err
		}
		page := o.pages[path("html", size)]
		o.pages[path(kindFile, size)] = page
		for suffix, content := range map[string][]byte{"": page, ".gz": compress(page, 6)} {
			if err := os.WriteFile(name+suffix, content, 0o600); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *origin) address() string { return o.listener.Addr().String() }

func (o *origin) close() { o.listener.Close() }

func (o *origin) serve() {
	for {
		conn, err := o.listener.Accept()
		if err != nil {
			return // closed
		}
		go o.answer(conn)
	}
}

func (o *origin) answer(conn net.Conn) {
	defer conn.Close()
	in := bufio.NewReader(conn)
	for {
		r, err := http.ReadRequest(in)
		if err != nil {
			return
		}
		a, ok := o.answers[r.URL.Path]
		out := a.identity
		if a.gzipped != nil && strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			out = a.gzipped
		}
		if !ok {
			out = []byte("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")
		}
		if _, err := conn.Write(out); err != nil {
			return
		}
	}
}

// response is an answer as it goes over the wire.
func response(contentType, fields string, body []byte) []byte {
	header := fmt.Sprintf("HTTP/1.1 200 OK\r\nServer: origin\r\nDate: Thu, 01 Jan 2026 00:00:00 GMT\r\n"+
		"Content-Type: %s\r\nContent-Length: %d\r\nEtag: \"5f3c-62a1b0d3\"\r\nCache-Control: max-age=0, must-revalidate\r\n%s\r\n",
		contentType, len(body), fields)
	return append([]byte(header), body...)
}

// newPage is a page of that size: a head of 5 KB dense with tags, and a body
// of words that compresses about as real pages do.
func newPage(size int) []byte {
	random := rand.New(rand.NewPCG(1, uint64(size)))
	var b bytes.Buffer
	b.WriteString("<!doctype html><html lang=en><head><meta charset=utf-8><title>New ticket</title>")
	for i := 0; b.Len() < 5<<10; i++ {
		fmt.Fprintf(&b, `<link rel="preload" href="/assets/chunk-%08x.js" as="script" crossorigin><meta name="p%d" content="v">`, random.Uint32(), i)
	}
	b.WriteString("</head><body>")
	words := strings.Fields("account page team ticket question answer support email password reset invoice plan member " +
		"the a of to and in is it you that for on with as this be at by have from or one not can but all your we our")
	for b.Len() < size {
		b.WriteString(`<p class="article`)
		fmt.Fprintf(&b, `" id="p%x">`, random.Uint32())
		for range 30 {
			b.WriteString(words[random.IntN(len(words))])
			b.WriteByte(' ')
		}
		b.WriteString("</p>\n")
	}
	return b.Bytes()[:size]
}

func compress(b []byte, level int) []byte {
	var out bytes.Buffer
	z, _ := gzip.NewWriterLevel(&out, level) // a level that there is
	_, _ = z.Write(b)
	_ = z.Close()
	return out.Bytes()
}
