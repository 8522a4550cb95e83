// Usercentrics: the visitor's choice about all of these services, by their ids. A choice
// counts if Usercentrics calls it explicit; what it grants unasked is implicit.
//
// Version 3 answers by promises, so its last answer is kept:
// https://usercentrics.com/docs/web/features/api/control-functionality/#getconsentdetails
// https://usercentrics.com/docs/web/features/api/interfaces/#servicedata
//
// Version 2 answers at once. How a service came to its status is the last entry of its
// history: https://docs.usercentrics.com/cmp_browser_sdk/4.51.0/index.html
//
// Both say whether the visitor must be asked again. Then an earlier yes is over.
(...services) => changed => {
	let asked; // the object of version 3 that was asked last
	let questions = 0;
	let answer = "";

	const judge = (choices, again) => choices.includes(false) ? "no"
		: again === false && choices.every(choice => choice === true) ? "yes" : "";

	const ask = async () => {
		const question = ++questions;
		let now = "";
		try {
			const details = await asked.getConsentDetails();
			now = judge(services.map(id => {
				const consent = details.services[id]?.consent;
				if (consent?.type == "EXPLICIT") return consent.given;
			}), await asked.isConsentRequired());
		} catch { // it is not ready, and says by an event when it is
		}
		if (question == questions && now != answer) {
			answer = now;
			changed();
		}
	};

	const askVersion2 = ui => {
		const known = ui.getServicesBaseInfo();
		return judge(services.map(id => {
			const consent = known.find(service => service.id == id)?.consent;
			const last = consent?.history.slice(-1)[0];
			if (last?.type == "explicit" && last.status === consent.status) return last.status;
		}), ui.isConsentRequired());
	};

	// An element may have the name of either object, but not its functions.
	const state = again => {
		try {
			const { __ucCmp: cmp, UC_UI: ui } = self;
			if (typeof cmp?.getConsentDetails == "function") {
				if (cmp != asked || again) ask(asked = cmp);
				return answer;
			}
			return typeof ui?.getServicesBaseInfo == "function" ? askVersion2(ui) : "";
		} catch {
			return "";
		}
	};

	// https://usercentrics.com/docs/web/features/events/uc-ui-initialized/ and its
	// siblings. The event may come before the choice is saved.
	for (const event of ["UC_UI_INITIALIZED", "UC_UI_CMP_EVENT", "UC_CONSENT"]) {
		addEventListener(event, () => [0, 300, 2000].map(delay => setTimeout(() => {
			state(1);
			changed();
		}, delay)));
	}
	return () => state();
}
