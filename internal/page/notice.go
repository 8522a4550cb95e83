package page

import "github.com/kapadeflector/caddy-kapa-deflector/internal/csp"

// A Notice is something that the operator of the site should know, and that the
// response itself cannot say.
type Notice uint8

// The notices.
const (
	ScriptBlocked      Notice = iota // a policy blocks the deflector's script
	UserBlocked                      // a policy blocks the inline script that hands user over
	WatcherBlocked                   // a policy blocks live_consent
	QuestionsBlocked                 // a policy lets the script in, but not its questions out
	FingerprintBlocked               // a policy blocks the script that takes fingerprints
	TrustedTypes                     // the page requires Trusted Types
	EmbedderPolicy                   // the page takes scripts of other origins only if they say so
	PolicyOverridden                 // a header directive replaced the policies that let the script in
	PrivacyOverridden                // a header directive replaced Cache-Control
	Undecodable                      // the origin's gzip cannot be read
	NoticeCount                      // the number of notices
)

// A Detail is what is particular to the response that a notice is about.
type Detail struct {
	Blocked csp.Verdict // of the policy that blocks, for the notices that say so
	Host    string      // that cannot be reached, "" for none in particular
	Err     error
}
