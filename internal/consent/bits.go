package consent

// IAB's strings are fields of bits, the highest bit first, six to a character
// of base64url (RFC 4648 section 5) without padding. They may
// have any number of characters: IAB pads the last one, not RFC 4648.

const base64URL = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"

// sextets holds the six bits of each character, and notBase64URL for others.
var sextets = func() (table [256]uint8) {
	for i := range table {
		table[i] = notBase64URL
	}
	for i := range len(base64URL) {
		table[base64URL[i]] = uint8(i)
	}
	return table
}()

const notBase64URL = 64

func isBase64URL(s string) bool {
	var all uint8
	for i := range len(s) {
		all |= sextets[s[i]]
	}
	return all < notBase64URL
}

// bits returns n bits of s, at most 24, beginning at index from. They must be
// in s, and s must be base64url.
func bits(s string, from, n int) uint32 {
	var v uint32
	last := from + n - 1
	for i := from / 6; i <= last/6; i++ {
		v = v<<6 | uint32(sextets[s[i]])
	}
	return v >> (5 - last%6) & (1<<n - 1)
}
