// Termly: the visitor's choice about all of these categories. getConsentState also
// tells what Termly allows unasked, and does not say which it is. So it only counts
// beside a choice: one that the event "consent" tells, or the one that Termly keeps.
// https://support.termly.io/en/articles/9674733-getting-consent-state-and-handling-consent-changes-with-termly
(...categories) => changed => {
	let heard; // the object of Termly's whose events are heard
	let chosen; // what the last event told
	const look = () => [0, 500].map(delay => setTimeout(changed, delay)); // what it keeps may be written later

	const kept = () => {
		try {
			return JSON.parse(localStorage.getItem("TERMLY_API_CACHE")).TERMLY_COOKIE_CONSENT.value;
		} catch { // nothing, or something else
		}
	};

	// Its script may come after the loader, and tells the page when by its load event.
	document.addEventListener("load", look, true);

	return () => {
		try {
			// An element may have this name, but not these functions.
			const termly = self.Termly;
			if (typeof termly?.getConsentState != "function") return "";
			if (heard != termly && typeof termly.on == "function") {
				heard = termly;
				termly.on("initialized", look);
				termly.on("consent", data => {
					chosen = data?.consentState;
					look();
				});
			}
			const choice = kept() || chosen;
			const allowed = termly.getConsentState();
			if (categories.some(category => choice?.[category] === false)) return "no";
			return categories.every(category => choice?.[category] === true && allowed[category] === true) ? "yes" : "";
		} catch {
			return "";
		}
	};
}
