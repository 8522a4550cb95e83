package fleet

import (
	"context"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/cookiejar"
	"net/url"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/kapadeflector/caddy-kapa-deflector/e2e/internal/testenv"
)

// fleetLives are the kinds of visitors. Each letter is a page; before an "a"
// the visitor accepts, before an "r" refuses or withdraws.
var fleetLives = []struct {
	kind, life string
	id         string // that the visitor brings, from Kapa's own script
}{
	{kind: "consents", life: "..a..........."},
	{kind: "never answers", life: ".............."},
	{kind: "refuses", life: "..r..........."},
	{kind: "withdraws", life: ".a.....r......"},
	{kind: "withdraws and thinks again", life: "a...r...a....."},
	{kind: "comes back", life: "a.............", id: "5E0B1C9A-7A55-4F0B-8C33-0D9E6B7F1A22"},
}

// fleetVisitor is a browser as far as cookies and its cache go.
type fleetVisitor struct {
	t     *testing.T
	fleet *fleet
	count *fleetCount

	client *http.Client // with a jar of its own
	kind   string
	life   string
	answer string                      // of the consent banner
	copies map[string]testenv.Response // of pages, by address
	edge   string                      // that served the last page
}

func newFleetVisitor(t *testing.T, f *fleet, transport http.RoundTripper, count *fleetCount, n int) *fleetVisitor {
	kind := fleetLives[n%len(fleetLives)]
	jar, _ := cookiejar.New(nil)
	v := &fleetVisitor{
		t: t, fleet: f, count: count, kind: kind.kind, life: kind.life, copies: make(map[string]testenv.Response),
		client: &http.Client{Transport: transport, Jar: jar, Timeout: 20 * time.Second},
	}
	if kind.id != "" {
		v.store("kapa_web_id", kind.id)
	}
	return v
}

// store keeps a cookie for both sites, as a script on one of them would.
func (v *fleetVisitor) store(name, value string) {
	v.client.Jar.SetCookies(siteURL(fleetHosts[0], "/"), []*http.Cookie{
		{Name: name, Value: value, Domain: "acme.localhost", Path: "/", MaxAge: 15552000, Secure: true},
	})
}

func siteURL(host, path string) *url.URL { return &url.URL{Scheme: "https", Host: host, Path: path} }

// live opens one page after the other, on either site.
func (v *fleetVisitor) live(ctx context.Context) {
	for _, step := range v.life {
		switch step {
		case 'a':
			v.answer = "accepted"
			v.store("cookie_consent", v.answer)
		case 'r':
			v.answer = "refused"
			v.store("cookie_consent", v.answer)
		}
		v.open(ctx, fleetHosts[rand.IntN(len(fleetHosts))], fleetPages[rand.IntN(len(fleetPages))])
		if v.t.Failed() {
			return
		}
	}
}

// open visits a page and checks what comes of it.
func (v *fleetVisitor) open(ctx context.Context, host, path string) {
	address := siteURL(host, path).String()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, nil)
	if err != nil {
		v.t.Error(err)
		return
	}
	req.Header.Set("Accept", "text/html,*/*;q=0.8")
	req.Header.Set("Sec-Fetch-Dest", "document")
	req.Header.Set("Sec-Fetch-Mode", "navigate")
	req.Header.Set("Sec-Fetch-Site", "same-site")
	kept, has := v.copies[address]
	if has && rand.IntN(2) == 0 {
		req.Header.Set("If-None-Match", kept.Header.Get("Etag"))
	}

	number, before, began := v.fleet.number(req), v.id(), time.Now()
	got, err := v.fetch(req)
	if ctx.Err() != nil {
		return // the test is over
	}
	failed := err != nil || got.Status >= http.StatusInternalServerError
	if got.Status == http.StatusNotModified && req.Header.Get("If-None-Match") != "" {
		got.Body = kept.Body
	}
	tag, rest := testenv.CutTag(got.Body)
	wantTag := v.answer == "accepted" && fleetForm(path)

	fail := func(what string) {
		v.t.Errorf("a visitor who %s, consent %q, on %s from edge %q: %s (status %d, %d bytes, error %v, id %q before and %q after)",
			v.kind, v.answer, address, got.Header.Get("X-Edge"), what, got.Status, len(got.Body), err, before, v.id())
	}
	if !wantTag && strings.Contains(got.Body, "data-integration-id") { // of a page that was cut short too
		fail("there is a tag")
	}
	if err := checkFleetCookies(got.Header); err != nil {
		fail(err.Error())
	}
	v.checkID(before, wantTag && !failed, got.Header != nil && !failed, fail)
	v.count.add(v, got, wantTag, failed)
	if failed {
		lost := time.Now()
		if edge := v.fleet.asked(v.t, number); !v.fleet.wasInFlight(edge, began, lost) {
			fail("no answer by " + strconv.Quote(edge) + ", which was not killed meanwhile")
		}
		return
	}
	switch {
	case rest != fleetPage(host, path):
		fail("not the origin's page")
	case wantTag != (tag != ""):
		fail("no tag")
	case wantTag && !strings.Contains(got.Header.Get("Cache-Control"), "private"):
		fail("a tagged page that caches may share")
	}
	v.edge = got.Header.Get("X-Edge")
	v.copies[address] = got
}

// fetch sends a request; what came of a response that was broken off is
// returned with the error.
func (v *fleetVisitor) fetch(req *http.Request) (testenv.Response, error) {
	resp, err := v.client.Do(req)
	if err != nil {
		return testenv.Response{}, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return testenv.Response{Status: resp.StatusCode, Header: resp.Header, Body: string(body)}, err
}

// checkID compares the id in the jar with the one before the page. tagged says
// that the page was to give one, whole that its answer arrived.
func (v *fleetVisitor) checkID(before string, tagged, whole bool, fail func(string)) {
	after := v.id()
	switch {
	case v.answer == "accepted" && before != "":
		if after != before {
			fail("another id than before")
		}
	case v.answer == "accepted":
		if tagged && after == "" {
			fail("no id")
		}
	case v.answer == "refused":
		if whole && after != "" {
			fail("the id is still there")
		}
	case after != before:
		fail("an id without consent")
	}
}

// id is the visitor's, the same on both sites; "" for none.
func (v *fleetVisitor) id() string {
	var ids []string
	for _, host := range fleetHosts {
		for _, cookie := range v.client.Jar.Cookies(siteURL(host, "/")) {
			if cookie.Name == "kapa_web_id" {
				ids = append(ids, cookie.Value)
			}
		}
	}
	switch {
	case len(ids) == 0:
		return ""
	case len(ids) == len(fleetHosts) && ids[0] == ids[1]:
		return ids[0]
	default:
		v.t.Errorf("a visitor who %s does not have one id on all sites: %q", v.kind, ids)
		return ""
	}
}

// checkFleetCookies finds an id that is not for all sites, or not for HTTPS
// alone: an edge that does not know its visitor from the balancer.
func checkFleetCookies(h http.Header) error {
	for _, cookie := range (&http.Response{Header: h}).Cookies() {
		switch {
		case cookie.Name != "kapa_web_id" || cookie.MaxAge < 0:
		case cookie.Domain != "acme.localhost" || !cookie.Secure || cookie.HttpOnly ||
			cookie.SameSite != http.SameSiteLaxMode || cookie.MaxAge != 34473600:
			return errors.New("the cookie is set wrongly: " + cookie.Raw)
		}
	}
	return nil
}

// add counts a page.
func (c *fleetCount) add(v *fleetVisitor, got testenv.Response, tagged, failed bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.pages++
	if failed {
		c.inFlight++
		return
	}
	if tagged {
		c.tagged++
	}
	if got.Status == http.StatusNotModified {
		c.notModified++
	}
	for _, cookie := range (&http.Response{Header: got.Header}).Cookies() {
		switch {
		case cookie.Name != "kapa_web_id":
		case cookie.Value != "":
			c.minted++
		default:
			c.forgotten++
		}
	}
	edge := got.Header.Get("X-Edge")
	if c.edges == nil {
		c.edges = make(map[string]int)
	}
	c.edges[edge]++
	if v.edge != "" && v.edge[0] != edge[0] {
		c.switched++
	}
}
