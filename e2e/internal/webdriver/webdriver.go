// Package webdriver drives browsers that do not speak Chromium's protocol, as far as
// visitors need it. Firefox itself speaks WebDriver BiDi
// (https://w3c.github.io/webdriver-bidi/), and WebKit's driver speaks WebDriver
// (https://w3c.github.io/webdriver/).
package webdriver

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/chromedp/cdproto/network"
)

// A Tab is what a visitor needs of a browser. It shares no cookies and no cache with
// other tabs.
type Tab interface {
	// Navigate opens an address, and returns when the page is loaded.
	Navigate(ctx context.Context, url string) error

	// Reload reloads the page, and returns when it is loaded.
	Reload(ctx context.Context) error

	// Follow does something that leads to another page, and returns when that is loaded.
	Follow(ctx context.Context, do func(context.Context) error) error

	// Evaluate returns what a JavaScript expression, or its promise, comes to on the
	// page, as JSON: nothing for undefined. Left tells what an error may mean.
	Evaluate(ctx context.Context, expression string) (json []byte, err error)

	// Click clicks at a point of what is seen of the page, in CSS pixels.
	Click(ctx context.Context, x, y float64) error

	// Type types a text wherever the focus is.
	Type(ctx context.Context, text string) error

	// Cookies are those that pages which the tab has shown can see; in WebKit, the page
	// that it shows now. They have name, value, domain, path, expiry and attributes.
	Cookies(ctx context.Context) ([]*network.Cookie, error)

	// Screenshot is a picture of what is seen of the page, as PNG.
	Screenshot(ctx context.Context) (png []byte, err error)

	// Close closes the tab, and forgets its cookies.
	Close(ctx context.Context) error
}

// Left reports whether an error of Evaluate says that the page was left before the
// expression came to something. The browsers have no code for that, only these words.
func Left(err error) bool {
	return err != nil && slices.ContainsFunc([]string{
		"Inspected target navigated or closed", // Chromium
		"Cannot find context with specified id",
		"Execution context was destroyed",
		"destroyed before query", // Firefox
		"no such frame",
		"Callback was not called before the unload event", // WebKit
	}, func(words string) bool { return strings.Contains(err.Error(), words) })
}

// The size of the page in Firefox, and of the window in WebKit, in CSS pixels.
const (
	width  = 1280
	height = 800
)

// follow is Follow for every tab: the page that was left has a mark. In between, there
// may be an empty page, or none that answers.
func follow(ctx context.Context, tab Tab, do func(context.Context) error) error {
	if _, err := tab.Evaluate(ctx, `window.isLeft = true`); err != nil {
		return err
	}
	if err := do(ctx); err != nil {
		return err
	}
	for ctx.Err() == nil {
		loaded, err := tab.Evaluate(ctx, `!window.isLeft && location.href !== 'about:blank' && document.readyState === 'complete'`)
		if err == nil && string(loaded) == "true" {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
	return fmt.Errorf("no other page has loaded: %w", ctx.Err())
}

// asJSON is the JavaScript for a promise of what an expression comes to, as JSON.
func asJSON(expression string) string {
	return `(async () => JSON.stringify(await (` + expression + `)))()`
}

// The two protocols share their input actions
// (https://w3c.github.io/webdriver/#actions).

type inputSource struct {
	Type    string        `json:"type"`
	ID      string        `json:"id"`
	Actions []inputAction `json:"actions"`
}

type inputAction map[string]any

// clickAt moves the mouse to a point, in CSS pixels, and clicks.
func clickAt(x, y float64) []inputSource {
	return []inputSource{{"pointer", "mouse", []inputAction{
		{"type": "pointerMove", "x": math.Round(x), "y": math.Round(y), "duration": 0},
		{"type": "pointerDown", "button": 0},
		{"type": "pointerUp", "button": 0},
	}}}
}

// typing presses the keys that make a text.
func typing(text string) []inputSource {
	var keys []inputAction
	for _, key := range text {
		keys = append(keys,
			inputAction{"type": "keyDown", "value": string(key)},
			inputAction{"type": "keyUp", "value": string(key)})
	}
	return []inputSource{{"key", "keyboard", keys}}
}
