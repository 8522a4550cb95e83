package check

import "github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"

// Deflector is what the checks must know about the product.
type Deflector struct {
	Script     string              // the address of its script, by default
	ScriptFile string              // its file name, on every host
	Cookie     string              // the name of the visitor's id
	Required   []string            // the attributes that it needs to start
	Words      map[string][]string // the attributes with a fixed set of values
	Connects   []string            // the addresses that its script sends requests to

	// Hint says what is probably wrong with an attribute's name, "" if nothing is.
	Hint func(attribute string) string
}

// Kapa is what Kapa documents about its deflector.
var Kapa = Deflector{
	Script:     kapa.ScriptURL,
	ScriptFile: kapa.ScriptFile,
	Cookie:     kapa.IDCookie,
	Required:   kapa.RequiredAttributes,
	Words:      kapa.AttributeValues,
	// https://docs.kapa.ai/integrations/understanding-csp-cors
	Connects: []string{"https://proxy.kapa.ai/"},
	Hint: func(attribute string) string {
		if meant, ok := kapa.LikelyMeant(attribute); ok {
			return "Kapa does not document this name; did you mean " + meant + "?"
		}
		if kapa.IsWidgetAttribute(attribute) {
			return "this belongs to Kapa's website widget; the deflector does not read it"
		}
		return ""
	},
}
