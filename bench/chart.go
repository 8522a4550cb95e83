package main

import (
	"bytes"
	"fmt"
	"html"
	"os"
)

// The chart's measures, in pixels.
const (
	chartMargin  = 20
	labelWidth   = 150
	columnWidth  = 172
	rowHeight    = 24
	barHeight    = 12
	unitWidth    = 58  // of a bar for 1
	longestRatio = 2.0 // longer bars are cut off, and say so
)

// draw writes the chart of what was measured, if one is wanted.
func (b *bench) draw(heats []*heat, note string) error {
	if b.svg == "" {
		return nil
	}
	return os.WriteFile(b.svg, chart(heats, note), 0o644)
}

// chart draws the ratios of CPU time as an SVG: a panel for each field, a
// column for each size, a row for each contender. It takes on the reader's
// light or dark scheme.
func chart(heats []*heat, note string) []byte {
	var panels [][]*heat // the heats of each field
	for _, h := range heats {
		if n := len(panels); n > 0 && panels[n-1][0].field.name == h.field.name {
			panels[n-1] = append(panels[n-1], h)
		} else {
			panels = append(panels, []*heat{h})
		}
	}
	var body bytes.Buffer
	columns := 0
	y := chartMargin + 16
	text(&body, "title", chartMargin, y, "CPU time per request, in proportion to the same Caddy without the directive")
	y += 20
	text(&body, "note", chartMargin, y, note)
	y += 16
	text(&body, "note", chartMargin, y, "Line: plain Caddy = 1. Mark: the most that is aimed at. Whisker: interval of 95 in 100 cases.")
	for _, panel := range panels {
		columns = max(columns, len(panel))
		y = drawPanel(&body, y+34, panel)
	}
	width, height := max(640, 2*chartMargin+labelWidth+columns*columnWidth), y+chartMargin

	var out bytes.Buffer
	fmt.Fprintf(&out, `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 %d %d" width="%d" height="%d" role="img" aria-label="CPU time per request">
<style>
	svg { background: #fff; --ink: #1f2328; --faint: #59636e; --ours: #0969da; --others: #9aa4af; --one: #1f2328; --aim: #bc4c00 }
	@media (prefers-color-scheme: dark) {
		svg { background: #0d1117; --ink: #e6edf3; --faint: #9198a1; --ours: #4493f8; --others: #656c76; --one: #e6edf3; --aim: #f0883e }
	}
	text { font: 12px system-ui, -apple-system, "Segoe UI", Helvetica, Arial, sans-serif; fill: var(--ink) }
	.title { font-size: 15px; font-weight: 600 }
	.panel { font-size: 13px; font-weight: 600 }
	.note, .size { fill: var(--faint) }
	.ours { fill: var(--ours) }
	.others { fill: var(--others) }
	.one { stroke: var(--one); stroke-width: 1 }
	.aim { stroke: var(--aim); stroke-width: 2 }
	.spread { stroke: var(--ink); stroke-width: 1 }
</style>
`, width, height, width, height)
	out.Write(body.Bytes())
	out.WriteString("</svg>\n")
	return out.Bytes()
}

// drawPanel draws a field below y and returns where it ends.
func drawPanel(out *bytes.Buffer, y int, panel []*heat) int {
	text(out, "panel", chartMargin, y, panel[0].field.name)
	for column, h := range panel {
		text(out, "size", chartMargin+labelWidth+column*columnWidth, y, sizeName(h.size))
	}
	top := y + 8
	rows := len(panel[0].field.contenders) - 1
	for row := range rows {
		c := panel[0].field.contenders[row+1]
		middle := top + row*rowHeight + rowHeight/2
		text(out, "", chartMargin, middle+4, c.name)
		for column, h := range panel {
			drawBar(out, chartMargin+labelWidth+column*columnWidth, middle, c, h.size, h.cpu(row+1))
		}
	}
	bottom := top + rows*rowHeight
	for column := range panel {
		x := chartMargin + labelWidth + column*columnWidth + unitWidth
		line(out, "one", float64(x), top, float64(x), bottom)
	}
	return bottom
}

func drawBar(out *bytes.Buffer, x, middle int, c contender, size int, ratio spread) {
	at := func(ratio float64) float64 { return float64(x) + unitWidth*min(ratio, longestRatio) }
	class := "others"
	if c.ours() {
		class = "ours"
	}
	fmt.Fprintf(out, "<rect class=\"%s\" x=\"%d\" y=\"%d\" width=\"%.1f\" height=\"%d\"/>\n",
		class, x, middle-barHeight/2, at(ratio.middle)-float64(x), barHeight)
	line(out, "spread", at(ratio.low), middle, at(ratio.high), middle)
	if c.target != nil {
		line(out, "aim", at(c.target(size)), middle-barHeight/2-2, at(c.target(size)), middle+barHeight/2+2)
	}
	value := fmt.Sprintf("%.3g", ratio.middle)
	if ratio.middle < 10 {
		value = fmt.Sprintf("%.2f", ratio.middle)
	}
	if ratio.middle > longestRatio {
		value += " »"
	}
	text(out, "", x+int(unitWidth*longestRatio)+8, middle+4, value)
}

func text(out *bytes.Buffer, class string, x, y int, s string) {
	fmt.Fprintf(out, "<text class=\"%s\" x=\"%d\" y=\"%d\">%s</text>\n", class, x, y, html.EscapeString(s))
}

func line(out *bytes.Buffer, class string, x1 float64, y1 int, x2 float64, y2 int) {
	fmt.Fprintf(out, "<line class=\"%s\" x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\"/>\n", class, x1, y1, x2, y2)
}
