package policies

import (
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"reflect"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/chromedp/cdproto/log"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// The page's own scripts, as far as a policy can tell them apart.
const (
	hashedScript = `window.hashed = true`
	bundleStub   = `window.KapaSFD = {}`
)

// The modes, each a site of its own. Under off the browser shows what the page's
// own policy does to the tag.
var cspModes = []string{"off", "reuse", "extend"}

// blocks are the lines of each block of a policyRow but for its mode.
var cspBlocks = map[string]string{
	"":     "script CDN" + testenv.StandIn,
	"own":  "script " + testenv.StandIn,
	"sri":  "script CDN" + testenv.StandIn + " {\n\t\t\tintegrity " + integrityOf([]byte(bundleStub)) + "\n\t\t}",
	"void": "script CDN" + testenv.StandIn + "\n\t\tdata-pre-submit-info-text \"See <Script>\"",
	"user": "script CDN" + testenv.StandIn + "\n\t\tuser {\n\t\t\temail visitor@acme.example\n\t\t}",
}

// ran is what happened on a page.
type ran struct {
	Tag, Nonce, Script bool // there is a tag, it has a nonce, it ran
	Inline, Settings   bool // there is an inline script before it, it ran
	Connect            bool // to where the script would
	Probes             map[string]bool
}

// came is what came of the tag.
func (r ran) came() prediction {
	switch {
	case !r.Tag:
		return blocked
	case r.Nonce:
		return withNonce
	default:
		return runs
	}
}

// What the plugin predicts of a policy is what Chromium does; and what the
// page's own scripts may do is the same in all modes: what was blocked is blocked
// still, and what ran still runs.
func TestPoliciesInTheBrowser(t *testing.T) {
	t.Parallel()
	if len(policyRows) < 60 {
		t.Errorf("only %d policies", len(policyRows))
	}
	rows := append(policyRows, randomPolicies(t)...)
	c, cdn := cspSites(t, rows)
	tab := testenv.Share(func() *policyVisitor { return newPolicyVisitor(t) })
	for i, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			t.Parallel()
			v := tab(t)
			v.T = t
			results := make(map[string]ran)
			for _, mode := range cspModes {
				host := cspHost(row.block, mode)
				v.console.take()
				got := v.visitRow(c.Edge(host, "/"+strconv.Itoa(i)), cdn, row)
				console := v.console.take()
				results[mode] = got
				if mode == "off" {
					continue
				}
				want := map[string]prediction{"reuse": row.reuse, "extend": row.extend}[mode]
				if want == "" {
					want = got.came()
				}
				predicted := outcomeInLog(t, c, host, "/"+strconv.Itoa(i))
				if injected := predicted == "injected"; injected != got.Tag || injected != (want != blocked) || !injected && predicted != "csp_blocked" {
					t.Errorf("%s: outcome %s, tag %t, want %s", mode, predicted, got.Tag, want)
				}
				if got.Script != got.Tag {
					t.Errorf("%s: the tag is there: %t; its script ran: %t", mode, got.Tag, got.Script)
				}
				if got.Nonce != (want == withNonce) {
					t.Errorf("%s: nonce: %t, want %s", mode, got.Nonce, want)
				}
				inline := got.Tag && row.block == "user" && (row.inline == "" || mode == "extend" && row.metas == nil)
				if got.Inline != got.Settings || row.reuse != "" && got.Inline != inline {
					t.Errorf("%s: inline script: %t, ran: %t, want %t", mode, got.Inline, got.Settings, inline)
				}
				script := cdn + testenv.StandIn
				if row.block == "own" {
					script = c.Edge(host, testenv.StandIn)
				}
				for _, line := range console {
					if strings.Contains(line, "script '"+script+"'") && !(row.reported || mode == "reuse" && strings.Contains(line, "report-only")) {
						t.Errorf("%s: in the console: %s", mode, line)
					}
				}
			}
			off, reuse, extend := results["off"], results["reuse"], results["extend"]
			if row.stops != "" && off.Probes[row.stops] {
				t.Logf("nothing to compare with: this browser does not know %s", row.fields)
			} else if off.Script && !reuse.Tag || !off.Script && reuse.Tag && !reuse.Nonce {
				t.Errorf("without a nonce it ran: %t; with reuse it %s", off.Script, reuse.came())
			}
			if p := off.Probes; p["nonced"] && !p["plain"] && p["voided"] {
				t.Error("a nonce counts beside an attribute that holds <script")
			}
			for mode, other := range map[string]ran{"reuse": reuse, "extend": extend} {
				if !reflect.DeepEqual(off.Probes, other.Probes) {
					t.Errorf("the page's own: %v with csp off, %v with csp %s", off.Probes, other.Probes, mode)
				}
			}
			if reuse.Connect != off.Connect {
				t.Errorf("connects: %t with csp off, %t with reuse", off.Connect, reuse.Connect)
			}
			if row.extend != "" && extend.Connect != (off.Connect || extend.Tag && !row.noConnect && row.metas == nil) {
				t.Errorf("connects with extend: %t, with off: %t", extend.Connect, off.Connect)
			}
		})
	}
}

// Under COEP: require-corp the browser blocks a script of another origin whose
// server does not say that it may be embedded. That is why there is a warning.
func TestEmbedderPolicyInTheBrowser(t *testing.T) {
	t.Parallel()
	c, cdn := cspSites(t, nil)
	v := newPolicyVisitor(t)
	v.T = t
	const path = "/coep" // see cspOrigin
	got := v.visitRow(c.Edge(cspHost("", "reuse"), path), cdn, policyRow{})
	if !got.Tag || got.Script {
		t.Errorf("tag %t, ran %t", got.Tag, got.Script)
	}
	testenv.Eventually(t, "there is a warning", func() bool {
		return strings.Contains(c.Log(), "Cross-Origin-Embedder-Policy: require-corp")
	})
}

func cspHost(block, mode string) string {
	if block == "" {
		block = "cdn-of"
	}
	return block + "-" + mode + ".acme.localhost"
}

// cspSites runs a Caddy with a site for each block and mode, before an origin
// that has the policies of rows[n] on page /n.
func cspSites(t *testing.T, rows []policyRow) (c *testenv.Caddy, cdn string) {
	t.Helper()
	cdn = testenv.Serve(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/javascript")
		w.Header().Set("Access-Control-Allow-Origin", "*")
		w.Header().Set("Cache-Control", "no-store")
		switch r.URL.Path {
		case testenv.StandIn:
			_, _ = io.WriteString(w, bundleStub)
		case "/other.js":
			_, _ = io.WriteString(w, `window.other = true`)
		}
	}))
	cdn = "http://" + strings.Replace(cdn, "127.0.0.1", "cdn.acme.localhost", 1)
	origin := testenv.Serve(t, cspOrigin(cdn, rows))

	var caddyfile strings.Builder
	for block, lines := range cspBlocks {
		for _, mode := range cspModes {
			if mode == "extend" {
				mode += " {\n\t\t\tconnect-src CDN\n\t\t}"
			}
			host := cspHost(block, strings.Fields(mode)[0])
			caddyfile.WriteString(strings.ReplaceAll(`
http://`+host+`:{$EDGE_PORT} {
	log
	log_append outcome {http.kapa_deflector.outcome}
	kapa_deflector {`+testenv.Required+`
		`+lines+`
		csp `+mode+`
		cookie off
		consent not_required
	}
	reverse_proxy `+origin+`
}
`, "CDN", cdn))
		}
	}
	return testenv.StartCaddy(t, caddyfile.String()), cdn
}

// cspOrigin answers with the page and the policies of a row.
func cspOrigin(cdn string, rows []policyRow) http.HandlerFunc {
	hash := sha256.Sum256([]byte(hashedScript))
	return func(w http.ResponseWriter, r *http.Request) {
		cdnHost := strings.TrimPrefix(cdn, "http://")
		_, cdnPort, _ := strings.Cut(cdnHost, ":")
		fill := strings.NewReplacer(
			"CDNHOST", cdnHost, "CDNPORT", cdnPort, "CDN.ACME", "CDN.ACME", "CDN", cdn,
			"OTHER", strings.Replace(cdn, "cdn.", "other.", 1),
			"SITEHOST", r.Host, "SITE", "http://"+r.Host,
			"HASH", "'sha256-"+base64.StdEncoding.EncodeToString(hash[:])+"'",
			"INTEGRITY", "'"+integrityOf([]byte(bundleStub))+"'",
			"own-reuse.acme.localhost", strings.Split(r.Host, ":")[0],
		).Replace

		h := w.Header()
		switch r.URL.Path {
		case testenv.StandIn:
			h.Set("Content-Type", "text/javascript")
			h.Set("Cache-Control", "no-store")
			_, _ = io.WriteString(w, bundleStub)
			return
		case "/coep":
			h.Set("Cross-Origin-Embedder-Policy", "require-corp")
		}
		var row policyRow
		if n, err := strconv.Atoi(strings.TrimPrefix(r.URL.Path, "/")); err == nil && n < len(rows) {
			row = rows[n]
		}
		for _, line := range row.header {
			if text, only := strings.CutPrefix(line, "report: "); only {
				h.Add("Content-Security-Policy-Report-Only", fill(text))
			} else {
				h.Add("Content-Security-Policy", fill(line))
			}
		}
		for _, field := range row.fields {
			name, value, _ := strings.Cut(field, ": ")
			h.Set(name, value)
		}
		h.Set("Content-Type", "text/html; charset=utf-8")
		var metas strings.Builder
		for _, content := range row.metas {
			fmt.Fprintf(&metas, `<meta http-equiv="Content-Security-Policy" content="%s">`, fill(content))
		}
		_, _ = io.WriteString(w, `<!doctype html><html lang="en"><head><meta charset="utf-8"><title>t</title>`+metas.String()+`</head><body>
<script>window.plain = true</script>
<script nonce="abc">window.nonced = true</script>
<script nonce="abc" data-x="<script">window.voided = true</script>
<script>`+hashedScript+`</script>
<script src="data:text/javascript,window.data=true"></script>
<script src="`+fill("OTHER")+`/other.js"></script>
<button onclick="window.handled = true">b</button>
</body></html>`)
	}
}

// randomPolicies are policies put together by chance, of which nothing is
// predicted but that the browser and the plugin agree. They are the same in each
// run; KAPA_RANDOM_POLICIES says how many.
func randomPolicies(t *testing.T) (rows []policyRow) {
	count := 15
	if env := os.Getenv("KAPA_RANDOM_POLICIES"); env != "" {
		var err error
		if count, err = strconv.Atoi(env); err != nil {
			t.Fatal(err)
		}
	}
	random := rand.New(rand.NewPCG(1, 2))
	pick := func(words ...string) string { return words[random.IntN(len(words))] }
	policy := func() string {
		var b strings.Builder
		for range 1 + random.IntN(3) {
			b.WriteString(pick("default-src", "default-src", "script-src", "script-src", "Script-Src", "script-src-elem", "script-src-attr", "connect-src", "img-src", "x-src"))
			for range random.IntN(4) {
				b.WriteString(" " + pick("'self'", "'none'", "'unsafe-inline'", "'unsafe-eval'", "'strict-dynamic'", "'nonce-abc'", "'nonce-abc'", "'nonce-def'", "'nonce-'", "HASH",
					"INTEGRITY", "'sha256-abc'", "CDN", "CDN/", "CDN"+testenv.StandIn, "CDN/%6Bapa-support-form-deflector.bundle.js#x", "CDN/x", "CDNHOST", "OTHER", "SITEHOST", "*", "*:*", "http:", "https:",
					"data:", "http://*:CDNPORT", "*.acme.localhost:*", "http://cdn.acme.localhost.:CDNPORT", "cdn.acme.localhost:0CDNPORT", "\xc3\xb6", "'report-sample'", "'unsafe-hashes'", "a,b"))
			}
			b.WriteString(pick(";", "; ", " ;\t", ";;"))
		}
		return b.String()
	}
	for i := range count {
		row := policyRow{name: "by chance " + strconv.Itoa(i), block: pick("", "", "", "own", "sri", "user"), reported: true}
		for range 1 + random.IntN(2) {
			row.header = append(row.header, pick("", "", "", "report: ")+policy())
		}
		if random.IntN(4) == 0 {
			row.metas = []string{policy()}
		}
		rows = append(rows, row)
	}
	return rows
}

// policyVisitor is one browser tab for many pages, which may go wrong.
type policyVisitor struct {
	*testenv.Visitor
	console *console
}

// console is what Chromium says there.
type console struct {
	mu    sync.Mutex
	lines []string
}

func (c *console) take() []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	lines := c.lines
	c.lines = nil
	return lines
}

func newPolicyVisitor(t *testing.T) *policyVisitor {
	t.Helper()
	v := &policyVisitor{Visitor: testenv.NewTab(t), console: new(console)}
	v.Listen(func(event any) {
		if e, ok := event.(*log.EventEntryAdded); ok {
			v.console.mu.Lock()
			v.console.lines = append(v.console.lines, e.Entry.Text+" "+e.Entry.URL)
			v.console.mu.Unlock()
		}
	})
	return v
}

// visitRow opens a page and finds out what ran there.
func (v *policyVisitor) visitRow(url, cdn string, row policyRow) ran {
	v.T.Helper()
	v.Open(url) // and all its scripts
	async := `got.Connect = await connects(` + testenv.Quote(cdn) + `);
	got.Probes.connect = await connects(` + testenv.Quote(strings.Replace(cdn, "cdn.", "other.", 1)) + `);
	got.Probes.eval = await new Promise((done) => setTimeout(() => { // not in here, where no policy counts
		try { done(eval('1') === 1) } catch { done(false) }
	}));`
	if row.noScripts {
		async = ""
	}
	return testenv.Eval[ran](v.Visitor, `(async () => {
	document.querySelector('button').click();
	const connects = (url) => fetch(url + '/').then(() => true, () => false);
	const tag = document.querySelector(`+testenv.Quote(testenv.TagSelector)+`);
	const inline = tag?.previousElementSibling;
	const got = {
		Tag: tag !== null,
		Nonce: Boolean(tag?.nonce),
		Script: 'KapaSFD' in window,
		Inline: inline?.localName === 'script' && inline.text.includes('kapaSettings'),
		Settings: window.kapaSettings?.user?.email === 'visitor@acme.example',
		Connect: false,
		Probes: {},
	};
	for (const name of ['plain', 'nonced', 'voided', 'hashed', 'data', 'other', 'handled']) got.Probes[name] = name in window;
	`+async+`
	return got;
})()`)
}

// outcomeInLog is what the access log says became of a page, once it does.
func outcomeInLog(t *testing.T, c *testenv.Caddy, host, path string) (outcome string) {
	t.Helper()
	testenv.Eventually(t, host+path+" is in the access log", func() bool {
		for _, r := range c.Requests(path) {
			if strings.HasPrefix(r.Request.Host, host+":") {
				outcome = r.Outcome
			}
		}
		return outcome != ""
	})
	return outcome
}
