package head_test

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/corpus"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/head"
)

// feed scans a document in writes of this size, up to its anchor.
func feed(s *head.Scanner, document []byte, size int) (read int) {
	for ; read+size < len(document); read += size {
		if off, done := s.Feed(document[read : read+size]); done {
			return read + off
		}
	}
	if off, done := s.Feed(document[read:]); done {
		return read + off
	}
	off, _ := s.End()
	return len(document) + off
}

// benchmark scans the document again and again; its speed is that of the bytes
// up to the anchor.
func benchmark(b *testing.B, document string, size int) {
	var s head.Scanner
	data := []byte(document)
	b.SetBytes(int64(feed(&s, data, size)))
	b.ReportAllocs()
	for b.Loop() {
		s.Reset(bundle)
		feed(&s, data, size)
	}
}

// tagDense is a page whose head is nothing but tags, in the mixture that a
// content management system makes.
func tagDense() string {
	var b strings.Builder
	b.WriteString("<!DOCTYPE html>\n<html lang=\"en\" class=\"no-js\">\n<head>\n<meta charset=\"utf-8\">\n")
	b.WriteString("<title>Submit a request &ndash; Example Help Center</title>\n")
	for i := range 40 {
		fmt.Fprintf(&b, `<meta property="og:image:%d" content="https://static.example.com/images/%d/cover.png">
<link rel="alternate" hreflang="x-%d" href="https://support.example.com/hc/%d/requests/new">
<link rel='stylesheet' id='plugin-%d-css' href='https://static.example.com/plugins/%d/style.min.css?ver=6.5' media='all' />
<script defer src="https://static.example.com/assets/application-%d.js" type="text/javascript"></script>
`, i, i, i, i, i, i, i)
	}
	b.WriteString("</head>\n<body>\n<p>Hello.</p>\n</body>\n</html>\n")
	return b.String()
}

func BenchmarkTagDense(b *testing.B) {
	for _, size := range []int{1, 16, 1 << 10, 4 << 10, 32 << 10} {
		b.Run(fmt.Sprintf("writes=%d", size), func(b *testing.B) {
			benchmark(b, tagDense(), size)
		})
	}
}

func BenchmarkInlineScript(b *testing.B) {
	line := "\t(function (i) { if (i < 1 && window.queue) { window.queue.push(\"</\" + \"a>\", i); } })(0);\n"
	script := strings.Repeat(line, 64<<10/len(line))
	benchmark(b, "<!doctype html><title>x</title><script>\n"+script+"</script><body>", 32<<10)
}

func BenchmarkLongPage(b *testing.B) {
	benchmark(b, string(corpus.LongPage(b).HTML), 32<<10)
}

// BenchmarkRealPages times each page by itself, with its bytes in the cache, as
// a server has just put them there. It takes the median of all rounds of a page,
// since a busy machine makes outliers, and reports percentiles of the medians.
func BenchmarkRealPages(b *testing.B) {
	pages := corpus.RealPages(b)
	b.Run("encoding=unknown", func(b *testing.B) {
		benchmarkPages(b, pages, func(s *head.Scanner) {})
	})
	b.Run("encoding=trusted", func(b *testing.B) {
		benchmarkPages(b, pages, (*head.Scanner).TrustEncoding)
	})
}

func benchmarkPages(b *testing.B, pages []corpus.Document, prepare func(*head.Scanner)) {
	times := make([][]time.Duration, len(pages))
	var s head.Scanner
	for b.Loop() {
		for i, page := range pages {
			s.Reset(bundle)
			feed(&s, page.HTML, 32<<10)
			s.Reset(bundle)
			prepare(&s)
			start := time.Now()
			feed(&s, page.HTML, 32<<10)
			times[i] = append(times[i], time.Since(start))
		}
	}
	b.ReportMetric(0, "ns/op") // means nothing here

	medians := make([]time.Duration, len(pages))
	for i, t := range times {
		slices.Sort(t)
		medians[i] = t[len(t)/2]
	}
	slices.Sort(medians)
	for _, percent := range []int{50, 95, 99, 100} {
		rank := (len(medians)*percent + 99) / 100
		b.ReportMetric(float64(medians[rank-1].Nanoseconds())/1e3, fmt.Sprintf("us/page-p%d", percent))
	}
}
