package webdriver

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/chromedp/cdproto/network"
)

// classicTab is the tab of a browser that a driver has started for it, and which ends
// with it. The driver does not tell what goes wrong on the page.
type classicTab struct {
	session string // its address
}

// capabilities are those of a browser that reaches loopback alone: it asks a proxy that
// does not exist for everything else.
const capabilities = `{
	"alwaysMatch": {
		"proxy": {
			"proxyType": "manual",
			"httpProxy": "127.0.0.1:9",
			"sslProxy": "127.0.0.1:9",
			"noProxy": ["127.0.0.1", "localhost", ".localhost"]
		}
	}
}`

// NewClassic has the driver at this host and port start a browser.
func NewClassic(ctx context.Context, address string) (Tab, error) {
	tab := &classicTab{session: "http://" + address + "/session"}
	var session struct{ SessionID string }
	if err := tab.call(ctx, http.MethodPost, "", map[string]any{"capabilities": json.RawMessage(capabilities)}, &session); err != nil {
		return nil, err
	}
	tab.session += "/" + session.SessionID
	return tab, tab.call(ctx, http.MethodPost, "/window/rect", map[string]int{"width": width, "height": height}, nil)
}

// call sends a command, and reads its value, if that is wanted.
func (tab *classicTab) call(ctx context.Context, method, path string, params, value any) error {
	var body bytes.Buffer
	if params != nil {
		if err := json.NewEncoder(&body).Encode(params); err != nil {
			return err
		}
	}
	req, err := http.NewRequestWithContext(ctx, method, tab.session+path, &body)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	var answer struct{ Value json.RawMessage }
	if err := json.NewDecoder(resp.Body).Decode(&answer); err != nil {
		return fmt.Errorf("%s %s: %w", method, path, err)
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("%s %s: %s", method, path, answer.Value)
	}
	if value == nil {
		return nil
	}
	return json.Unmarshal(answer.Value, value)
}

func (tab *classicTab) Navigate(ctx context.Context, url string) error {
	return tab.call(ctx, http.MethodPost, "/url", map[string]any{"url": url}, nil)
}

func (tab *classicTab) Reload(ctx context.Context) error {
	return tab.call(ctx, http.MethodPost, "/refresh", map[string]any{}, nil)
}

func (tab *classicTab) Follow(ctx context.Context, do func(context.Context) error) error {
	return follow(ctx, tab, do)
}

func (tab *classicTab) Evaluate(ctx context.Context, expression string) ([]byte, error) {
	var evaluated struct{ Value, Error string }
	err := tab.call(ctx, http.MethodPost, "/execute/async", map[string]any{
		"script": asJSON(expression) + `.then((value) => arguments[0]({ value }), (error) => arguments[0]({ error: String(error) }))`,
		"args":   []any{},
	}, &evaluated)
	if err == nil && evaluated.Error != "" {
		err = errors.New(evaluated.Error)
	}
	return []byte(evaluated.Value), err
}

func (tab *classicTab) Click(ctx context.Context, x, y float64) error {
	return tab.perform(ctx, clickAt(x, y))
}

func (tab *classicTab) Type(ctx context.Context, text string) error {
	return tab.perform(ctx, typing(text))
}

func (tab *classicTab) perform(ctx context.Context, actions []inputSource) error {
	return tab.call(ctx, http.MethodPost, "/actions", map[string]any{"actions": actions}, nil)
}

func (tab *classicTab) Cookies(ctx context.Context) (cookies []*network.Cookie, err error) {
	var stored []struct {
		Name, Value, Domain, Path, SameSite string
		HTTPOnly, Secure                    bool
		Expiry                              float64
	}
	err = tab.call(ctx, http.MethodGet, "/cookie", nil, &stored)
	for _, c := range stored {
		cookies = append(cookies, &network.Cookie{
			Name: c.Name, Value: c.Value, Domain: c.Domain, Path: c.Path, Expires: c.Expiry, HTTPOnly: c.HTTPOnly, Secure: c.Secure,
			SameSite: network.CookieSameSite(c.SameSite),
		})
	}
	return cookies, err
}

func (tab *classicTab) Screenshot(ctx context.Context) (png []byte, err error) {
	err = tab.call(ctx, http.MethodGet, "/screenshot", nil, &png)
	return png, err
}

func (tab *classicTab) Close(ctx context.Context) error {
	return tab.call(ctx, http.MethodDelete, "", nil, nil)
}
