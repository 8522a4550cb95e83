module github.com/kapadeflector/caddy-kapa-deflector/e2e

go 1.26.0

require (
	github.com/chromedp/cdproto v0.159.0 // the protocol that chromedp speaks
	github.com/chromedp/chromedp v0.23.0 // Chromium
	github.com/coder/websocket v1.8.15 // the connection to Firefox
	github.com/evanw/esbuild v0.28.2 // minifies the loader
	github.com/kapadeflector/caddy-kapa-deflector v0.0.0
	github.com/prometheus/common v0.71.0 // its durations, in alerts
	github.com/prometheus/prometheus v0.312.0 // reads the documented queries
	go.yaml.in/yaml/v3 v3.0.6 // and the alerts they stand in
)

require (
	github.com/beorn7/perks v1.0.1 // indirect
	github.com/cespare/xxhash/v2 v2.3.0 // indirect
	github.com/dennwc/varint v1.0.0 // indirect
	github.com/go-json-experiment/json v0.0.0-20260213210345-44df1a37e875 // indirect
	github.com/grafana/regexp v0.0.0-20250905093917-f7b3be9d1853 // indirect
	github.com/munnerz/goautoneg v0.0.0-20191010083416-a7dc8b61c822 // indirect
	github.com/prometheus/client_golang v1.24.1 // indirect
	github.com/prometheus/client_model v0.6.3 // indirect
	github.com/prometheus/procfs v0.22.0 // indirect
	go.uber.org/atomic v1.11.0 // indirect
	golang.org/x/sys v0.48.0 // indirect
	golang.org/x/text v0.42.0 // indirect
	google.golang.org/protobuf v1.36.12 // indirect
)

replace github.com/kapadeflector/caddy-kapa-deflector => ../
