package docs_test

import (
	"strings"
	"testing"
)

// The Caddyfile of the Kubernetes file tags a page, and answers the probe. That the
// file is sound otherwise is tested beside it.
func TestTheCaddyfileForKubernetes(t *testing.T) {
	_, text, _ := strings.Cut(read(t, "../packaging/kubernetes/deployment.yaml"), "\n  Caddyfile: |\n")
	text, _, found := strings.Cut(text, "---\n")
	if !found {
		t.Fatal("no Caddyfile")
	}
	var caddyfile strings.Builder
	for line := range strings.Lines(text) {
		caddyfile.WriteString(strings.TrimPrefix(line, "    "))
	}
	s := start(t, caddyfile.String(), pageOrigin)
	if _, body := s.get("/tickets/new", "Cookie: "+granted); !isTagged(body) {
		t.Error(body)
	}
	if _, body := s.get("/tickets/new", "Cookie: "+denied); isTagged(body) {
		t.Error(body)
	}
	if resp, _ := s.get("/healthz"); resp.StatusCode != 200 {
		t.Error(resp.Status)
	}
}
