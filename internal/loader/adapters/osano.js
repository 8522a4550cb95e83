// Osano: the visitor's choice about all of these categories. Its event "initialized"
// tells the consent that the visitor has given, or nothing, and "saved" every later
// one; a listener that comes late is told, too. getConsent would also tell what Osano
// allows unasked. Where it asks for no consent (the model "implicit"), it may save a yes
// because nobody objected. So only a no counts there.
// https://developers.osano.com/cmp/javascript-api/developer-documentation-consent-javascript-api
(...categories) => changed => {
	let heard; // the object of Osano's whose events are heard
	let saved;

	// Its script may come after the loader.
	document.addEventListener("load", () => setTimeout(changed), true);

	return () => {
		try {
			// An element may have this name, but not these functions.
			const cm = self.Osano?.cm;
			if (typeof cm?.getConsent != "function") return "";
			if (heard != cm) {
				heard = cm;
				for (const event of ["osano-cm-initialized", "osano-cm-consent-saved"]) {
					cm.addEventListener(event, consent => {
						saved = consent || saved;
						setTimeout(changed);
					});
				}
			}
			if (categories.some(category => saved?.[category] == "DENY")) return "no";
			return cm.consentModel != "implicit" && categories.every(category => saved?.[category] == "ACCEPT") ? "yes" : "";
		} catch {
			return "";
		}
	};
}
