package kapadeflector

import (
	"errors"
	"fmt"
	"io"
	"net/url"
	"os"

	caddycmd "github.com/caddyserver/caddy/v2/cmd"
	"github.com/spf13/cobra"

	"github.com/kapadeflector/caddy-kapa-deflector/internal/check"
	"github.com/kapadeflector/caddy-kapa-deflector/internal/check/draft"
)

func init() {
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "kapa-check",
		Usage: "[--cookie <name>=<value>]... [--header <name>:<value>]... [--consent-not-required] [--bundle] [--json] [--insecure] <url>",
		Short: "Asks a running site for a page, and says whether Kapa's deflector works there",
		Long: `
Asks a running site for a page, as a browser does when it opens the page: once
without cookies, and once with the given ones, which must be those that your
consent banner sets when a visitor accepts. Then asks again with the ETag of
the response, as a browser does when it has the page. A page that seems to come
from a cache is asked for once more, with kapa-check=... in its query.

Prints what a visitor gets, with consent and without: the tag, or the most
likely reason why there is none; what each selector finds in the page as it was
served; what keeps the deflector from working, such as a framework or an editor;
whether browsers keep the id; what the page's policies block; and whether caches
can give one visitor's page to another. Values of cookies, ids and --header are
never printed.

Several --cookie are sent as one Cookie header, exactly as they are written, to
the host of the URL alone. A URL without a scheme is asked for by https, or by
http on localhost.

--header is for a Referer of your own, for Authorization, and the like.

--consent-not-required is for a site whose directive has consent not_required.
Visitors are then expected to get the tag without the banner's cookie. The page
is asked for once, with the given cookies, such as a session's.

--bundle fetches the deflector's script too, and says how large it is, which
hash it has, and how long browsers keep it.

--json prints one JSON object instead; "findings" and "notes" hold what was
found. docs/kapa-check.md explains the fields and each code.

--insecure accepts any certificate, such as one of Caddy's internal CA on a
staging site.

Exits with 0 if nothing is wrong, with 1 if there are findings, and with 2 if
the site could not be asked.
`,
		CobraFunc: func(cmd *cobra.Command) {
			askingFlags(cmd)
			cmd.Flags().Bool("consent-not-required", false, "Expect the tag without any cookie")
			cmd.Flags().Bool("bundle", false, "Fetch the deflector's script too")
			cmd.Flags().Bool("json", false, "Print JSON")
			runAsking(cmd, 1, kapaCheck)
		},
	})
	caddycmd.RegisterCommand(caddycmd.Command{
		Name:  "kapa-init",
		Usage: "[--cookie <name>=<value>]... [--header <name>:<value>]... [--form <number>] [--insecure] <url>...",
		Short: "Reads the pages of support forms, and writes a Caddyfile for them",
		Long: `
Asks for a page once, and writes a Caddyfile with a kapa_deflector block for its
support form to the standard output. What the page shows, and what it does not,
is written to the standard error. The site need not be behind Caddy yet.

	caddy kapa-init https://support.example.com/tickets/new > Caddyfile

Several pages of one site may be given, each with a form: each form gets a block.

--cookie takes what your consent banner sets when a visitor accepts; it finds the
consent line. It also takes the session's cookie, if the form is behind a login.

--form chooses another form of the page, by its number in what is written to the
standard error.

Exits with 0 if the Caddyfile is complete, with 1 if it has a TODO, and with 2 if
the site could not be asked.
`,
		CobraFunc: func(cmd *cobra.Command) {
			askingFlags(cmd)
			cmd.Flags().IntP("form", "f", 0, "The number of the form, from 1")
			runAsking(cmd, mostPages, kapaInit)
		},
	})
}

// askingFlags adds the flags of all commands that ask a site.
func askingFlags(cmd *cobra.Command) {
	flags := cmd.Flags()
	// array flags, because slice flags split values at commas
	flags.StringArrayP("cookie", "c", nil, "A cookie of a visitor who has consented, as name=value; may be repeated")
	flags.StringArrayP("header", "H", nil, "A header field for every request, as name:value; may be repeated")
	flags.Bool("insecure", false, "Accept any certificate")
}

// Exit codes of the commands.
const (
	exitFound       = 1 // something is wrong, or left to do
	exitCouldNotAsk = 2
)

// mostPages is how many pages kapa-init reads.
const mostPages = 16

// asking is what the flags and arguments of all commands say.
type asking struct {
	survey    check.Survey
	addresses []*url.URL
	cookies   string
}

// runAsking makes a command, which takes at most this many URLs, call run. The command ends
// with the exit code of run, or with 2 for an error, which also mistakes in the command line
// have.
func runAsking(cmd *cobra.Command, urls int, run func(cmd *cobra.Command, fl caddycmd.Flags, a asking) (exit int, err error)) {
	couldNotAsk := func(cmd *cobra.Command, err error) error {
		cmd.PrintErrln(cmd.CommandPath()+":", check.Clean(err.Error()))
		return exitWith(cmd, exitCouldNotAsk)
	}
	cmd.SetFlagErrorFunc(couldNotAsk)
	cmd.Args = func(cmd *cobra.Command, args []string) error {
		if len(args) < 1 || len(args) > urls {
			what := "one URL"
			if urls > 1 {
				what = fmt.Sprintf("1 to %d URLs", urls)
			}
			return couldNotAsk(cmd, fmt.Errorf("%s takes %s; write --cookie in front of each cookie", cmd.Name(), what))
		}
		return nil
	}
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		fl := caddycmd.Flags{FlagSet: cmd.Flags()}
		a, err := newAsking(fl)
		if err != nil {
			return couldNotAsk(cmd, err)
		}
		exit, err := run(cmd, fl, a)
		if err != nil {
			return couldNotAsk(cmd, err)
		}
		return exitWith(cmd, exit)
	}
}

// exitWith returns the error by which Caddy's main exits with a code. It keeps cobra from
// printing it.
func exitWith(cmd *cobra.Command, code int) error {
	cmd.SilenceErrors = true
	if code == exitFound { // Caddy's wrapper returns no error for this one
		return errors.New("exit status 1")
	}
	return caddycmd.WrapCommandFuncForCobra(func(caddycmd.Flags) (int, error) { return code, nil })(cmd, nil)
}

func newAsking(fl caddycmd.Flags) (a asking, err error) {
	for _, arg := range fl.Args() {
		address, err := check.ParseAddress(arg)
		if err != nil {
			return a, err
		}
		a.addresses = append(a.addresses, address)
	}
	cookies, err := fl.GetStringArray("cookie")
	if err != nil {
		return a, err
	}
	if a.cookies, err = check.CookieHeader(cookies); err != nil {
		return a, err
	}
	fields, err := fl.GetStringArray("header")
	if err != nil {
		return a, err
	}
	a.survey = check.NewSurvey(fl.Bool("insecure"))
	a.survey.Header, err = check.HeaderFields(fields)
	return a, err
}

// kapaCheck runs the command and returns its exit code.
func kapaCheck(cmd *cobra.Command, fl caddycmd.Flags, a asking) (int, error) {
	site, err := a.survey.Ask(cmd.Context(), a.addresses[0], a.cookies, fl.Bool("consent-not-required"))
	if err != nil {
		return 0, fmt.Errorf("could not ask %s: %w", a.addresses[0].Host, err)
	}
	if fl.Bool("bundle") {
		a.survey.AskForBundle(cmd.Context(), &site, check.Kapa)
	}
	report := check.Judge(site, check.Kapa)
	out := cmd.OutOrStdout()
	if fl.Bool("json") {
		err = report.WriteJSON(out)
	} else {
		err = report.Print(out, wantsColor(out))
	}
	if err != nil {
		return 0, err
	}
	if len(report.Findings) > 0 {
		return exitFound, nil
	}
	return 0, nil
}

// kapaInit runs the command and returns its exit code.
func kapaInit(cmd *cobra.Command, fl caddycmd.Flags, a asking) (exit int, err error) {
	var drafts []draft.Draft
	for _, address := range a.addresses {
		page, err := a.survey.Open(cmd.Context(), address, a.cookies)
		if err != nil {
			return 0, fmt.Errorf("could not ask %s: %w", address.Host, err)
		}
		d, err := draft.Of(page, a.cookies, fl.Int("form"))
		if err != nil {
			return 0, err
		}
		drafts = append(drafts, d)
	}
	text, err := draft.Caddyfile(drafts)
	if err != nil {
		return 0, err
	}
	if _, err := io.WriteString(cmd.OutOrStdout(), text); err != nil {
		return 0, err
	}
	for i, d := range drafts {
		if err := d.Tell(cmd.ErrOrStderr(), a.survey.Hider(a.addresses[i], a.cookies)); err != nil {
			return 0, err
		}
		if len(d.ToDo) > 0 {
			exit = exitFound
		}
	}
	return exit, nil
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
