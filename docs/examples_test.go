package docs_test

import (
	"encoding/json"
	"maps"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/caddyserver/caddy/v2"
	"github.com/caddyserver/caddy/v2/caddyconfig"
)

// The example in JSON is valid, has every setting of the handler, and is what
// Caddy makes of the Caddyfile beside it.
func TestTheExampleInJSON(t *testing.T) {
	t.Setenv("KAPA_INTEGRATION_ID", "abc")
	example := []byte(read(t, "../examples/kapa_deflector.json"))
	var config caddy.Config
	if err := json.Unmarshal(example, &config); err != nil {
		t.Fatal(err)
	}
	config.Logging = &caddy.Logging{Logs: map[string]*caddy.CustomLog{
		caddy.DefaultLoggerName: {BaseLog: caddy.BaseLog{WriterRaw: json.RawMessage(`{"output": "discard"}`)}},
	}}
	if err := caddy.Validate(&config); err != nil {
		t.Error(err)
	}
	source := []byte(read(t, "../examples/kapa_deflector.caddyfile"))
	adapted, warnings, err := caddyconfig.GetAdapter("caddyfile").Adapt(source, nil)
	if err != nil || warnings != nil {
		t.Fatal(err, warnings)
	}
	decode := func(raw []byte) (config any, ours map[string]any) {
		if err := json.Unmarshal(raw, &config); err != nil {
			t.Fatal(err)
		}
		return config, rewriteHandler(t, config)
	}
	got, ours := decode(example)
	if want, _ := decode(adapted); !reflect.DeepEqual(got, want) {
		t.Errorf("the example is\n%v\nthe Caddyfile makes\n%v", got, want)
	}
	for field := range reflect.TypeOf(newHandler(t)).Elem().Fields() {
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if _, ok := ours[name]; !ok && field.IsExported() {
			t.Errorf("the example has no %s", name)
		}
	}
}

// newHandler is the handler as Caddy makes it before it reads its settings.
func newHandler(t *testing.T) caddy.Module {
	t.Helper()
	info, err := caddy.GetModule("http.handlers.kapa_deflector")
	if err != nil {
		t.Fatal(err)
	}
	return info.New()
}

// rewriteHandler writes the one handler of ours within v as Go does, so that a
// duration is the same in words and in numbers, and returns it.
func rewriteHandler(t *testing.T, v any) (found map[string]any) {
	t.Helper()
	var members []any
	switch v := v.(type) {
	case []any:
		members = v
	case map[string]any:
		if v["handler"] == "kapa_deflector" {
			raw, _ := json.Marshal(v)
			h := newHandler(t)
			if err := json.Unmarshal(raw, h); err != nil {
				t.Fatal(err)
			}
			raw, _ = json.Marshal(h)
			if err := json.Unmarshal(raw, &v); err != nil { // over what is there
				t.Fatal(err)
			}
			return v
		}
		members = slices.Collect(maps.Values(v))
	}
	for _, member := range members {
		if h := rewriteHandler(t, member); h != nil {
			found = h
		}
	}
	return found
}
