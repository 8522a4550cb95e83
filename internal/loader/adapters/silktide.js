// Silktide Consent Manager 2: the visitor's choice about all of these consent types, by
// their ids. A yes to a type that is required, or on unless the visitor turns it off
// (defaultValue), is none.
// https://silktide.com/consent-manager/docs/configuration-options-advanced/
(...types) => changed => {
	// It tells nobody but the functions in its own configuration. Its buttons write the
	// choice down while they are clicked.
	addEventListener("click", () => setTimeout(changed), true);

	return () => {
		try {
			// An element may have this name, but not this function.
			const manager = self.silktideConsentManager;
			if (typeof manager?.getInstance != "function") return "";
			const instance = manager.getInstance();
			if (!instance?.hasConsented()) return "";
			const choices = types.map(id => instance.getConsentChoice(id));
			if (choices.includes(false)) return "no";
			const asks = id => instance.config.consentTypes.some(type => type.id == id && !type.required && !type.defaultValue);
			return types.every(asks) && choices.every(choice => choice === true) ? "yes" : "";
		} catch {
			return "";
		}
	};
}
