// The watcher of kapa_deflector, which live_consent puts into pages. When the
// cookies change that hold the visitor's consent, it asks the edge, and puts the
// deflector's script in if the answer is yes. It judges nothing itself, stores
// nothing, and sends nothing but that question.
//
// The edge calls it with what these cookies are called, as a regular expression,
// and with 1 on a page that has the deflector's script already, else 0. What it
// sends is live.min.js, which a test makes out of this file:
//
//	go -C e2e test -run TestWatcherIsMinified ./live -args -update
(names, tagged) => {
	const me = document.currentScript;
	const page = location.href;
	const field = "Kapa-Deflector";

	// read returns the cookies whose names match, as they are now.
	const read = wanted => {
		try {
			return document.cookie.split("; ").filter(cookie => RegExp(`^(${wanted})=`).test(cookie)).join();
		} catch { // a sandboxed frame, which has no cookies
			return "";
		}
	};
	const id = "kapa_web_id";
	let knownID = read(id);

	// Browsers hide SameSite=Strict cookies from the edge, but not here, when a
	// link on another site is followed; and some links do not say from where.
	// Hosts that share their last two labels count as one site.
	const site = host => host.split(".").slice(-2).join(".");
	const stranger = site(document.referrer ? new URL(document.referrer).hostname : "") != site(location.hostname);
	// And a page that was fetched ahead, or was in a cache, may be older than they.
	const early = performance.getEntriesByType("navigation")[0]?.deliveryType;
	let known = early || stranger && !tagged ? "" : read(names);

	let asked = 0; // when the last question left
	let busy; // a question is about to leave, or has no answer yet
	let withdrawn; // the page has the script, and the answer was no
	let due; // a question must be asked: 1 at once, 2 at an event of the browser's

	const seen = () => !document.hidden && !document.prerendering;

	// check asks if something has changed, if it must, which is 1, and at an event
	// what is due.
	const check = must => {
		if (must === 1) due = 1;
		if (!busy && seen() && (must && due || read(names) != known || read(id) != knownID)) {
			busy = setTimeout(ask, asked + 1000 - Date.now());
		}
	};

	const ask = async () => {
		try {
			if (seen()) {
				due = 0;
				asked = Date.now();
				known = read(names);
				knownID = read(id); // lest a question without an answer is asked for ever
				const answer = await fetch(page, {
					headers: { [field]: "consent" },
					cache: "no-store",
					redirect: "error",
					keepalive: true,
				});
				// The edge says 200 or 204; this is what stands in for it.
				if (!answer.ok) throw 0;
				// a service worker or a cache may have answered with a page
				if (answer.headers.get(field) == "answer") {
					withdrawn = tagged && answer.status == 204;
					if (answer.status == 200 && !tagged) put(await answer.json());
				}
				knownID = read(id); // the answer may have set or deleted it
			}
		} catch { // no network, no edge, or no answer that could be read
			due = 2;
		}
		busy = 0;
		check(due < 2);
	};

	// put puts the script in as the edge would have.
	const put = tag => {
		tagged = 1;
		if (tag.user) {
			const settings = window.kapaSettings = window.kapaSettings || {};
			const user = settings.user = settings.user || {};
			Object.assign(user, tag.user);
			if (tag.metadata) user.metadata = Object.assign(user.metadata || {}, tag.metadata);
		}
		const script = document.createElement("script");
		for (const [name, value] of tag.script) script.setAttribute(name, value);
		script.nonce = me.nonce;
		if (me.isConnected) me.before(script);
		else document.head.append(script);
	};

	// Capturing, for prerenderingchange does not bubble.
	for (const event of ["focus", "pageshow", "visibilitychange", "prerenderingchange", "online"]) addEventListener(event, check, true);
	if (window.cookieStore) cookieStore.addEventListener("change", check);
	else setInterval(check, 1000);

	// A deflector that runs already may write the id again with its next question.
	addEventListener("submit", () => {
		check();
		if (withdrawn) setTimeout(check, 1500, 1);
	}, true);
	check();
}
