package consent

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

// maxDepth is how deep JSON may nest: far beyond what any platform writes.
const maxDepth = 32

// parseJSON reads a whole value as the browsers' JSON.parse does: the last of
// several members of one name counts, and numbers are floating-point.
func parseJSON(s string) (v any, ok bool) {
	if nesting(s) > maxDepth {
		return nil, false
	}
	err := json.Unmarshal([]byte(s), &v)
	return v, err == nil
}

// nesting returns the greatest depth of the arrays and objects in s.
func nesting(s string) (deepest int) {
	depth, quoted := 0, false
	for i := 0; i < len(s); i++ {
		switch c := s[i]; {
		case quoted && c == '\\':
			i++
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '{' || c == '[':
			depth++
			deepest = max(deepest, depth)
		case c == '}' || c == ']':
			depth--
		}
	}
	return deepest
}

// parseJSONTest is for JSON; see [PackedRule.Compile].
func parseJSONTest(args []string) (test, bool) {
	if len(args) < 2 {
		return nil, false
	}
	path, words := splitPath(args[0]), args[2:]
	takesWords := false
	var wanted func(any) bool
	switch args[1] {
	case "equals":
		takesWords, wanted = true, func(v any) bool { return equalsAny(v, words) }
	case "contains":
		return func(r *reading) (holds bool, doubt Reason) {
			holds = leadsTo(r.json, path, func(v any) bool {
				members, isList := inside(v).([]any)
				if !isList && v != nil { // v says neither yes nor no
					doubt = Malformed
				}
				return isList && containsAll(members, words)
			})
			if holds {
				return true, NoReason
			}
			return false, doubt
		}, len(words) > 0
	case "non_empty":
		wanted = isNonEmpty
	case "exists", "missing":
		wanted = func(v any) bool { return v != nil }
	default:
		return nil, false
	}
	reversed := args[1] == "missing"
	return func(r *reading) (bool, Reason) {
		return leadsTo(r.json, path, wanted) != reversed, NoReason
	}, takesWords == (len(words) > 0)
}

// splitPath splits a path into its keys; "." alone leads to the value itself.
func splitPath(s string) (keys []string) {
	if s == "." {
		return nil
	}
	var key strings.Builder
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s) && s[i+1] == '.':
			i++
			key.WriteByte('.')
		case s[i] == '.':
			keys = append(keys, key.String())
			key.Reset()
		default:
			key.WriteByte(s[i])
		}
	}
	return append(keys, key.String())
}

// escapeKey makes one key of a path out of s.
func escapeKey(s string) string { return strings.ReplaceAll(s, ".", `\.`) }

// leadsTo reports whether the path leads from v to a value that is wanted.
func leadsTo(v any, path []string, wanted func(any) bool) bool {
	if len(path) == 0 {
		return wanted(v)
	}
	members, _ := inside(v).(map[string]any)
	if path[0] == "*" {
		for _, member := range members {
			if leadsTo(member, path[1:], wanted) {
				return true
			}
		}
		return false
	}
	member, ok := members[path[0]]
	return ok && leadsTo(member, path[1:], wanted)
}

// inside returns the value in a string that holds JSON, and any other v as it is.
func inside(v any) any {
	if s, isString := v.(string); isString && (strings.HasPrefix(s, "{") || strings.HasPrefix(s, "[")) {
		if within, ok := parseJSON(s); ok {
			return within
		}
	}
	return v
}

// equalsAny compares a string, a number, true or false with words. A number is
// spelled as JavaScript spells it, without an exponent.
func equalsAny(v any, words []string) bool {
	switch v := v.(type) {
	case string:
		return slices.Contains(words, v)
	case float64:
		var spelled [32]byte
		number := strconv.AppendFloat(spelled[:0], v, 'f', -1, 64)
		return slices.ContainsFunc(words, func(word string) bool { return word == string(number) })
	case bool:
		return slices.Contains(words, strconv.FormatBool(v))
	default:
		return false
	}
}

func containsAll(members []any, words []string) bool {
	for i := range words {
		if !slices.ContainsFunc(members, func(member any) bool { return words[i] == "*" || equalsAny(member, words[i:i+1]) }) {
			return false
		}
	}
	return true
}

func isNonEmpty(v any) bool {
	switch v := inside(v).(type) {
	case string:
		return v != ""
	case []any:
		return len(v) > 0
	case map[string]any:
		return len(v) > 0
	default:
		return false
	}
}
