package kapadeflector

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/caddyserver/caddy/v2"
	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "kapa-check",
		Usage: "[--cookie <name>=<value>]... [--consent-not-required] [--json] [--insecure] <url>",
		Short: "Asks a running site for a page, and says whether Kapa's deflector works there",
		Long: `
Asks a running site for a page, as a browser does when it opens the page: once
without cookies, and once with the given ones, which must be those that your
consent banner sets when a visitor accepts. Then asks again with the ETag of
the response, as a browser does when it has the page. A page that seems to come
from a cache is asked for once more, with kapa-check=... in its query.

Prints what a visitor gets, with consent and without: the tag, or the most
likely reason why there is none; what each selector finds in the page as it was
served; whether browsers keep the id; what the page's Content-Security-Policy
blocks; and whether caches can give one visitor's page to another. Values of
cookies and ids are never printed.

Several --cookie are sent as one Cookie header, exactly as they are written.
A URL without a scheme is asked for by https, or by http on localhost.

--consent-not-required is for a site whose directive has consent not_required.
Visitors are then expected to get the tag without the banner's cookie. The page
is asked for once, with the given cookies, such as a session's.

--json prints one JSON object instead; "findings" and "notes" hold what was
found. docs/kapa-check.md explains the fields and each code.

--insecure accepts any certificate, such as one of Caddy's internal CA on a
staging site.

Exits with 0 if nothing is wrong, with 1 if there are findings, and with 2 if
the site could not be asked.
`,
		CobraFunc: func(cmd *cobra.Command) {
			// an array flag, because a slice flag splits values at commas
			cmd.Flags().StringArrayP("cookie", "c", nil, "A cookie of a visitor who has consented, as name=value; may be repeated")
			cmd.Flags().Bool("consent-not-required", false, "Expect the tag without any cookie")
			cmd.Flags().Bool("json", false, "Print JSON")
			cmd.Flags().Bool("insecure", false, "Accept any certificate")
			cmd.SetFlagErrorFunc(func(cmd *cobra.Command, err error) error { return couldNotAsk(cmd, err) })
			cmd.Args = func(cmd *cobra.Command, args []string) error {
				if len(args) != 1 {
					return couldNotAsk(cmd, errors.New("kapa-check takes one URL; write --cookie in front of each cookie"))
				}
				return nil
			}
			cmd.RunE = func(cmd *cobra.Command, args []string) error {
				return caddycmd.WrapCommandFuncForCobra(func(fl caddycmd.Flags) (int, error) {
					return kapaCheck(cmd.Context(), cmd.OutOrStdout(), fl)
				})(cmd, args)
			}
		},
	})
}

// Exit codes of kapa-check. Caddy's wrapper needs an error beside a code other than
// 0, and exits with 1 for an error without a code.
const (
	exitFindings    = 1
	exitCouldNotAsk = 2
)

// couldNotAsk exits with 2 for a mistake in the command line, because 1 says that
// something is wrong with the site.
func couldNotAsk(cmd *cobra.Command, err error) error {
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return exitCouldNotAsk, err })(cmd, nil)
}

// kapaCheck runs the command and returns its exit code.
func kapaCheck(ctx context.Context, out io.Writer, fl caddycmd.Flags) (int, error) {
	address, err := check.ParseAddress(fl.Arg(0))
	if err != nil {
		return exitCouldNotAsk, err
	}
	typed, err := fl.GetStringArray("cookie")
	if err != nil {
		return exitCouldNotAsk, err
	}
	cookies, err := check.CookieHeader(typed)
	if err != nil {
		return exitCouldNotAsk, err
	}
	site, err := check.NewSurvey(fl.Bool("insecure")).Ask(ctx, address, cookies, fl.Bool("consent-not-required"))
	if err != nil {
		return exitCouldNotAsk, fmt.Errorf("could not ask %s: %w", address.Host, err)
	}
	report := check.Judge(site, check.Kapa)
	if err := printReport(out, report, fl.Bool("json")); err != nil {
		return exitCouldNotAsk, err
	}
	if n := len(report.Findings); n > 0 {
		return exitFindings, fmt.Errorf("findings: %d", n)
	}
	return caddy.ExitCodeSuccess, nil
}

func printReport(out io.Writer, report *check.Report, asJSON bool) error {
	if !asJSON {
		return report.Print(out, wantsColor(out))
	}
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	return encoder.Encode(report)
}

// wantsColor reports whether out is a terminal whose user has not switched colors off
// (https://no-color.org).
func wantsColor(out io.Writer) bool {
	if os.Getenv("NO_COLOR") != "" || os.Getenv("TERM") == "dumb" {
		return false
	}
	file, ok := out.(*os.File)
	if !ok {
		return false
	}
	info, err := file.Stat()
	return err == nil && info.Mode()&os.ModeCharDevice != 0
}
