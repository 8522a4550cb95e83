package testenv

import (
	"context"

	"github.com/chromedp/cdproto/network"
	"github.com/chromedp/chromedp"
)

// chromiumTab is the tab that a context of chromedp is about. It is a webdriver.Tab.
type chromiumTab struct{}

func (chromiumTab) Navigate(ctx context.Context, url string) error {
	_, err := chromedp.Run(ctx, chromedp.NavigateResponse(url))
	return err
}

func (chromiumTab) Reload(ctx context.Context) error {
	_, err := chromedp.RunResponse(ctx, chromedp.Reload())
	return err
}

func (chromiumTab) Follow(ctx context.Context, do func(context.Context) error) error {
	_, err := chromedp.RunResponse(ctx, func(ctx context.Context, _ *chromedp.Target) (chromedp.Void, error) {
		return chromedp.Void{}, do(ctx)
	})
	return err
}

func (chromiumTab) Evaluate(ctx context.Context, expression string) ([]byte, error) {
	return chromedp.Run(ctx, chromedp.Evaluate[[]byte](expression, chromedp.EvalAwaitPromise))
}

func (chromiumTab) Click(ctx context.Context, x, y float64) error {
	return chromedp.Do(ctx, chromedp.MouseClickXY(x, y))
}

func (chromiumTab) Type(ctx context.Context, text string) error {
	return chromedp.Do(ctx, chromedp.KeyEvent(text))
}

func (chromiumTab) Cookies(ctx context.Context) ([]*network.Cookie, error) {
	result, err := chromedp.Call(ctx, network.GetCookies, network.GetCookiesParams{
		URLs: []string{"http://localhost/", "http://" + Support + "/", "http://" + Docs + "/"},
	})
	return result.Cookies, err
}

func (chromiumTab) Screenshot(ctx context.Context) ([]byte, error) {
	return chromedp.Run(ctx, chromedp.CaptureScreenshot())
}

func (chromiumTab) Close(ctx context.Context) error { return chromedp.Cancel(ctx) }
