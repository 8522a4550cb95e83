package main

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"
)

// visitor asks a site for one page again and again, over connections that are
// kept and that it may share with other visitors. What it sends is made
// beforehand, and what it gets is thrown away, so that the machine's time is
// left to the server.
type visitor struct {
	pool    []*connection
	request []byte
}

type connection struct {
	net.Conn
	in *bufio.Reader
}

// dial opens that many connections.
func dial(address string, connections int) (pool []*connection, err error) {
	for range connections {
		conn, err := net.Dial("tcp", address)
		if err != nil {
			return pool, err
		}
		pool = append(pool, &connection{conn, bufio.NewReaderSize(conn, 64<<10)})
	}
	return pool, nil
}

// newVisitor asks for a page as a browser does that opens it.
func newVisitor(pool []*connection, host, path, cookies string) *visitor {
	return &visitor{pool: pool, request: []byte("GET " + path + " HTTP/1.1\r\n" +
		"Host: " + host + "\r\n" +
		"User-Agent: Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/140.0.0.0 Safari/537.36\r\n" +
		"Accept: text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8\r\n" +
		"Accept-Encoding: gzip, deflate, br, zstd\r\n" +
		"Accept-Language: en-US,en;q=0.9\r\n" +
		"Sec-Fetch-Dest: document\r\nSec-Fetch-Mode: navigate\r\nSec-Fetch-Site: same-origin\r\nSec-Fetch-User: ?1\r\n" +
		"Upgrade-Insecure-Requests: 1\r\n" +
		"Cookie: _ga=GA1.1.1031945731.1767225600; session=4bd3f6a0c1b84e37a3f2d1c0b9a85746; " + cookies + "\r\n\r\n")}
}

// ask sends one request, reads its answer to the end and into body, and
// returns how long the first byte took.
func (v *visitor) ask(c *connection, body io.Writer) (resp *http.Response, firstByte time.Duration, err error) {
	start := time.Now()
	if err = c.SetDeadline(start.Add(time.Minute)); err != nil {
		return nil, 0, err
	}
	if _, err = c.Write(v.request); err != nil {
		return nil, 0, err
	}
	if _, err = c.in.Peek(1); err != nil {
		return nil, 0, err
	}
	firstByte = time.Since(start)
	if resp, err = http.ReadResponse(c.in, nil); err != nil {
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		return nil, 0, fmt.Errorf("status %s", resp.Status)
	}
	_, err = io.Copy(body, resp.Body)
	return resp, firstByte, err
}

// load asks over all connections for about so long, once over each at least,
// and returns how many requests that were and how long they took together.
func (v *visitor) load(about time.Duration) (requests int, took time.Duration, err error) {
	var (
		answered atomic.Int64
		wg       sync.WaitGroup
		failed   atomic.Pointer[error]
	)
	start := time.Now()
	for _, c := range v.pool {
		wg.Go(func() {
			for again := true; again; again = time.Since(start) < about {
				if _, _, err := v.ask(c, io.Discard); err != nil {
					failed.Store(&err)
					return
				}
				answered.Add(1)
			}
		})
	}
	wg.Wait()
	if err := failed.Load(); err != nil {
		return 0, 0, *err
	}
	return int(answered.Load()), time.Since(start), nil
}

// firstBytes asks one by one for about so long, once at least, and returns how
// many microseconds the first byte of each answer took.
func (v *visitor) firstBytes(about time.Duration) (took []float64, err error) {
	for start := time.Now(); took == nil || time.Since(start) < about; {
		_, t, err := v.ask(v.pool[0], io.Discard)
		if err != nil {
			return nil, err
		}
		took = append(took, microseconds(t))
	}
	return took, nil
}

// fetch returns the page as a browser would show it, and the coding that it
// came in.
func (v *visitor) fetch() (page []byte, coding string, header http.Header, err error) {
	var body bytes.Buffer
	resp, _, err := v.ask(v.pool[0], &body)
	if err != nil {
		return nil, "", nil, err
	}
	coding = resp.Header.Get("Content-Encoding")
	switch coding {
	case "":
		return body.Bytes(), "", resp.Header, nil
	case "gzip":
		z, err := gzip.NewReader(&body)
		if err != nil {
			return nil, "", nil, err
		}
		page, err = io.ReadAll(z)
		return page, coding, resp.Header, err
	default:
		return nil, "", nil, fmt.Errorf("content coding %q", coding)
	}
}
