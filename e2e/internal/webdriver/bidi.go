package webdriver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"sync"

	"github.com/chromedp/cdproto/network"
	"github.com/coder/websocket"
	"github.com/coder/websocket/wsjson"
)

// BiDi is a connection to a browser that speaks WebDriver BiDi.
type BiDi struct {
	conn *websocket.Conn

	mu      sync.Mutex
	lastID  int64
	waiting map[int64]chan<- message // for the answer to the command with that id
	tabs    map[string]*bidiTab      // by context
	ended   error                    // no more messages come
}

// message is what the browser sends: the answer to a command, or an event.
type message struct {
	ID      int64 // of the command; an event has none
	Result  json.RawMessage
	Error   string
	Message string // with an error

	Method string // of an event
	Params json.RawMessage
}

// DialBiDi connects to the browser at this host and port.
func DialBiDi(ctx context.Context, address string) (*BiDi, error) {
	conn, _, err := websocket.Dial(ctx, "ws://"+address+"/session", nil)
	if err != nil {
		return nil, err
	}
	conn.SetReadLimit(64 << 20) // a picture comes in one message
	b := &BiDi{conn: conn, waiting: make(map[int64]chan<- message), tabs: make(map[string]*bidiTab)}
	go b.read()

	if err := b.call(ctx, "session.new", map[string]any{"capabilities": map[string]any{}}, nil); err != nil {
		return nil, err
	}
	return b, b.call(ctx, "session.subscribe", map[string]any{"events": []string{
		"log.entryAdded", "network.fetchError", "network.responseCompleted", "browsingContext.userPromptOpened",
	}}, nil)
}

// read reads messages until the connection ends.
func (b *BiDi) read() {
	for {
		var m message
		err := wsjson.Read(context.Background(), b.conn, &m)
		b.mu.Lock()
		switch {
		case err != nil:
			b.ended = fmt.Errorf("the connection to the browser ended: %w", err)
			for id, answer := range b.waiting {
				delete(b.waiting, id)
				close(answer)
			}
		case m.ID != 0:
			if answer, ok := b.waiting[m.ID]; ok {
				delete(b.waiting, m.ID)
				answer <- m
			}
		default:
			b.notice(m)
		}
		b.mu.Unlock()
		if err != nil {
			return
		}
	}
}

// call sends a command, and reads its result, if that is wanted.
func (b *BiDi) call(ctx context.Context, method string, params, result any) error {
	answer := make(chan message, 1)
	b.mu.Lock()
	if b.ended != nil {
		b.mu.Unlock()
		return b.ended
	}
	b.lastID++
	id := b.lastID
	b.waiting[id] = answer
	b.mu.Unlock()
	defer func() {
		b.mu.Lock()
		defer b.mu.Unlock()
		delete(b.waiting, id)
	}()

	if err := wsjson.Write(ctx, b.conn, map[string]any{"id": id, "method": method, "params": params}); err != nil {
		return fmt.Errorf("%s: %w", method, err)
	}
	select {
	case m, ok := <-answer:
		switch {
		case !ok:
			return fmt.Errorf("%s: %w", method, b.ended)
		case m.Error != "":
			return fmt.Errorf("%s: %s: %s", method, m.Error, m.Message)
		case result != nil:
			return json.Unmarshal(m.Result, result)
		}
		return nil
	case <-ctx.Done():
		return fmt.Errorf("%s: %w", method, context.Cause(ctx))
	}
}

// notice tells a tab what went wrong on its page.
func (b *BiDi) notice(event message) {
	var e struct {
		Context string
		Source  struct{ Context string }
		// log.entryAdded
		Level, Text string
		// network
		Request   struct{ URL string }
		Response  struct{ Status int }
		ErrorText string
		// browsingContext.userPromptOpened
		Type, Message string
	}
	if err := json.Unmarshal(event.Params, &e); err != nil {
		return
	}
	tab := b.tabs[e.Context]
	if tab == nil {
		tab = b.tabs[e.Source.Context]
	}
	if tab == nil { // closed
		return
	}
	switch event.Method {
	case "log.entryAdded":
		if e.Level == "error" || e.Level == "warn" {
			tab.report(fmt.Sprintf("%s: %s", e.Level, e.Text))
		}
	case "network.fetchError":
		if e.ErrorText != "NS_BINDING_ABORTED" { // the page was left, or aborted it
			tab.report(fmt.Sprintf("request failed: %s %s", e.Request.URL, e.ErrorText))
		}
	case "network.responseCompleted":
		if e.Response.Status >= 400 {
			tab.report(fmt.Sprintf("status %d: %s", e.Response.Status, e.Request.URL))
		}
	case "browsingContext.userPromptOpened":
		tab.report(fmt.Sprintf("dialog: %s %s", e.Type, e.Message))
	}
}

// bidiTab is a tab with a user context of its own.
type bidiTab struct {
	b                    *BiDi
	userContext, context string
	report               func(problem string)
}

// NewTab opens a tab. It calls report, possibly from another goroutine, with each error
// and warning in the console, failed request, status of 400 or more, and dialog.
func (b *BiDi) NewTab(ctx context.Context, report func(problem string)) (Tab, error) {
	tab := &bidiTab{b: b, report: report}
	var user struct{ UserContext string }
	if err := b.call(ctx, "browser.createUserContext", map[string]any{}, &user); err != nil {
		return nil, err
	}
	tab.userContext = user.UserContext
	var created struct{ Context string }
	// in a window of its own, because the tabs of one window hide each other
	err := b.call(ctx, "browsingContext.create", map[string]any{"type": "window", "userContext": tab.userContext}, &created)
	if err != nil {
		return nil, errors.Join(err, tab.Close(ctx))
	}
	tab.context = created.Context
	b.mu.Lock()
	b.tabs[tab.context] = tab
	b.mu.Unlock()
	return tab, b.call(ctx, "browsingContext.setViewport", map[string]any{
		"context": tab.context, "viewport": map[string]int{"width": width, "height": height},
	}, nil)
}

func (tab *bidiTab) Navigate(ctx context.Context, url string) error {
	return tab.b.call(ctx, "browsingContext.navigate", map[string]any{"context": tab.context, "url": url, "wait": "complete"}, nil)
}

func (tab *bidiTab) Reload(ctx context.Context) error {
	return tab.b.call(ctx, "browsingContext.reload", map[string]any{"context": tab.context, "wait": "complete"}, nil)
}

func (tab *bidiTab) Follow(ctx context.Context, do func(context.Context) error) error {
	return follow(ctx, tab, do)
}

func (tab *bidiTab) Evaluate(ctx context.Context, expression string) ([]byte, error) {
	var evaluated struct {
		Result           struct{ Value string }
		ExceptionDetails *struct{ Text string }
	}
	err := tab.b.call(ctx, "script.evaluate", map[string]any{
		"expression":   asJSON(expression),
		"target":       map[string]string{"context": tab.context},
		"awaitPromise": true,
	}, &evaluated)
	if err == nil && evaluated.ExceptionDetails != nil {
		err = errors.New(evaluated.ExceptionDetails.Text)
	}
	return []byte(evaluated.Result.Value), err
}

func (tab *bidiTab) Click(ctx context.Context, x, y float64) error {
	return tab.perform(ctx, clickAt(x, y))
}

func (tab *bidiTab) Type(ctx context.Context, text string) error {
	return tab.perform(ctx, typing(text))
}

func (tab *bidiTab) perform(ctx context.Context, actions []inputSource) error {
	return tab.b.call(ctx, "input.performActions", map[string]any{"context": tab.context, "actions": actions}, nil)
}

func (tab *bidiTab) Cookies(ctx context.Context) (cookies []*network.Cookie, err error) {
	var stored struct {
		Cookies []struct {
			Name, Domain, Path, SameSite string
			HTTPOnly, Secure             bool
			Expiry                       float64
			Value                        struct{ Value string }
		}
	}
	err = tab.b.call(ctx, "storage.getCookies", map[string]any{
		"partition": map[string]string{"type": "context", "context": tab.context},
	}, &stored)
	for _, c := range stored.Cookies {
		cookies = append(cookies, &network.Cookie{
			Name: c.Name, Value: c.Value.Value, Domain: c.Domain, Path: c.Path, Expires: c.Expiry, HTTPOnly: c.HTTPOnly, Secure: c.Secure,
			SameSite: network.CookieSameSite(strings.ToUpper(c.SameSite[:1]) + c.SameSite[1:]), // Lax, not lax
		})
	}
	return cookies, err
}

func (tab *bidiTab) Screenshot(ctx context.Context) (png []byte, err error) {
	var picture struct{ Data []byte }
	err = tab.b.call(ctx, "browsingContext.captureScreenshot", map[string]any{"context": tab.context}, &picture)
	return picture.Data, err
}

func (tab *bidiTab) Close(ctx context.Context) error {
	tab.b.mu.Lock()
	delete(tab.b.tabs, tab.context)
	tab.b.mu.Unlock()
	return tab.b.call(ctx, "browser.removeUserContext", map[string]any{"userContext": tab.userContext}, nil)
}
