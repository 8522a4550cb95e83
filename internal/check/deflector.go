package check

import "github.com/kapadeflector/caddy-kapa-deflector/internal/kapa"

// Deflector is what the checks have to know of the product.
type Deflector struct {
	Script     string              // the address of its script, by default
	ScriptFile string              // the file name that it has wherever it comes from
	Cookie     string              // the name of the visitor's id
	Required   []string            // the attributes that it does not start without
	Words      map[string][]string // the attributes that take one of a few words
	Connects   []string            // the addresses that its script sends requests to

	// Hint says what is odd about an attribute's name, "" for nothing.
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
