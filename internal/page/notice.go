package page

import "github.com/kapadeflector/caddy-kapa-deflector/internal/csp"

// A Notice is something that the site's operator should know about a response.
type Notice uint8

// The notices.
const (
	ScriptBlocked      Notice = iota // a policy blocks the deflector's script
	UserBlocked                      // a policy blocks the inline script that hands user over
	LoaderBlocked                    // a policy blocks the loader
	QuestionsBlocked                 // a policy allows the script, but not the requests with its questions
	FingerprintBlocked               // a policy blocks the script that takes fingerprints
	TrustedTypes                     // the page requires Trusted Types
	EmbedderPolicy                   // browsers load scripts from other origins only if their servers opt in
	PolicyOverridden                 // a header directive replaced the policies that let the script in
	PrivacyOverridden                // a header directive replaced Cache-Control
	Undecodable                      // the origin's gzip cannot be decoded
	NoticeCount                      // the number of notices
)

// A Detail says more about the response that a notice is about. A field that does not
// apply is zero.
type Detail struct {
	Blocked csp.Verdict // the verdict of the policy that blocks
	Host    string      // the host that the policy blocks
	Err     error       // why decoding failed
}
