// The loader of kapa_deflector. It waits for the support form, asks the edge what
// this visitor gets there, and puts the deflector's script in if the answer is yes.
// It judges nothing itself, stores nothing, and sends nothing but that question.
//
// The edge calls it with
//
//	selectors  what must be on the page before the deflector can start: the main
//	           input, the submit element, the submit button and the anchor element;
//	           "" for one that is not waited for
//	names      the names of the cookies that record consent, as a regular expression
//	key        what the question appends to the page's address
//	start      when Kapa's script may load: 0 after the page has loaded, 1 a second
//	           later when the browser is idle, 2 when the visitor then touches the form
//	gpc        1 if Global Privacy Control is honoured, else 0
//	adapters   by platform, what tells the consent that only the page can see: a
//	           function that gets a function to call after a change, and returns one
//	           that returns yes, no, or "" for no choice
//	prompt     what asks the visitor for consent; see prompt.js. 0 for nothing
//
// What pages get is loader.min.js, or loader-more.min.js if there are adapters or a
// prompt. A test makes both out of this file, with MORE false and true:
//
//	go -C e2e test -run TestScriptsAreMinified ./loader -args -update
(selectors, names, key, start, gpc, adapters, prompt) => {
	const mark = Symbol.for("kapa_deflector");
	// A sandboxed page has no cookies, and may not ask.
	if (self[mark] || origin == "null" || gpc && navigator.globalPrivacyControl) return;
	self[mark] = 1; // a page that a script puts together may have the loader twice

	const page = document;
	const id = "kapa_web_id";

	// An element with a name, such as <form name="hidden">, hides the document's
	// property of that name (HTML, "dom-document-nameditem"), but not the prototype's.
	const prototype = Document.prototype;
	const get = name => Reflect.get(prototype, name, page);
	const me = get("currentScript");
	const seen = () => started && !get("hidden") && !get("prerendering");
	const on = (target, events, listener) => {
		for (const event of events.split(" ")) target.addEventListener(event, listener, true);
	};

	// read returns the cookies whose names match, as they are now.
	const read = wanted => get("cookie").split("; ").filter(cookie => RegExp(`^(${wanted})=`).test(cookie)).join();

	// what the platforms' adapters say, as the question has it
	const reports = MORE && Object.entries(adapters).map(([name, begin]) => [name, begin(() => check())]);
	const report = MORE && (() => reports.map(([name, state]) => `; ${name}=${state()}`).join("") +
		(prompt ? `; lang=${get("documentElement").lang.replace(/[^\w-]/g, "")}` : ""));
	const consent = () => MORE ? read(names) + report() : read(names);

	let started; // the page has loaded
	let timer; // when it is looked at again
	let roots; // the documents in which the form was looked for
	let form; // what the selectors find now; false if one of them finds nothing
	let touched = start < 2; // Kapa's script may load
	let edited; // the visitor has typed something that a reload would lose

	// the last question: when it left, and what it was about
	let asked = 0;
	let askedConsent = consent();
	let askedID = read(id);
	let askedForm = [];
	let askedPath;
	let busy; // it is about to leave, or has no answer yet
	let failed; // it had no answer

	let choice; // what the visitor has chosen at the prompt, until it is sent
	let chosen; // the same, while it is sent

	let kind; // of the last answer: tag, untracked, no-consent or none
	let content; // of the last answer, if it has any
	let given = []; // the values that are in kapaSettings.user because of it

	let script; // Kapa's script element
	let loaded; // it has run
	let tracked; // it may use the id
	const rendered = new WeakMap(); // the forms for which the deflector was started: main input to submit element

	// A form is another one if its main input or its submit element is.
	const differs = other => form[0] != other[0] || form[1] != other[1];

	// findOne returns what one selector finds. Kapa's selectors may reach into
	// frames ("#editor ifr>> body"). They may also reach into shadow roots, which
	// are not searched: there the host is enough. A selector that is not waited for
	// finds selectors, which is no element and always the same.
	const findOne = selector => {
		let root = page, element = selectors;
		const parts = selector.split(/\s+(\w+)>>\s*/);
		for (let i = 0; root; i += 2) {
			try {
				if (selector) element = prototype.querySelector.call(root, parts[i]);
			} catch { // only Kapa can read it, so it is not waited for
			}
			if (parts[i + 1] != "ifr") return element;
			root = element?.contentDocument; // null for another site's frame
			roots.push(root);
		}
	};

	const find = () => {
		roots = [page];
		const found = selectors.map(findOne);
		form = found.every(Boolean) && found;
	};

	// look looks for the form, and again after the page has changed. An observer that
	// sees one change and then rests costs a page that changes all the time no more
	// than a page that rarely does.
	const look = () => {
		timer = clearTimeout(timer);
		if (!seen()) return;
		find();
		for (const root of roots) {
			if (!root) continue;
			observer.observe(root, { childList: true, subtree: true, attributes: true });
			if (root != page) listen(root); // its events do not reach the page
		}
		if (MORE && (!form || location.pathname == askedPath)) show();
		check();
	};
	const later = () => {
		observer.disconnect();
		timer = timer || setTimeout(look, 200);
	};
	const observer = new MutationObserver(later);

	// check asks the edge if there is something to ask: always if must is 1.
	const check = must => {
		if (busy || !seen()) return;
		const now = read(id);
		const moved = location.pathname != askedPath;
		if (kind && !failed && !moved && form && !content?.user) { // what was answered holds for a new form, too
			askedForm = form;
			act();
		}
		const changed = consent() != askedConsent || kind == "no-consent" && now != askedID;
		if (!form && !now) return; // there is nothing to give and nothing to take
		if ((must == 1 || MORE && choice || changed || form && (differs(askedForm) || moved && kind != "tag")) && !isForeign()) {
			busy = setTimeout(ask, asked + 1000 - Date.now());
		}
	};

	// isForeign reports whether the page brings a deflector of its own.
	const isForeign = () => !script && [...get("scripts")].some(({ src }) =>
		/\/kapa-support-form-deflector[^/]*\.bundle\.js/.test(src));

	const ask = async () => {
		if (!seen()) return busy = 0; // asked when the page is seen again
		const address = location.href.split("#")[0];
		const field = "Kapa-Deflector";
		const send = (method, text) => fetch(address + (address.includes("?") ? "&" : "?") + key + Math.random().toString(36).slice(2), {
			method,
			headers: { [field]: text },
			cache: "no-store",
			redirect: "error",
			keepalive: true,
		});
		asked = Date.now();
		askedConsent = consent();
		askedID = read(id); // lest a question without an answer is asked for ever
		askedForm = form || askedForm;
		askedPath = location.pathname;
		failed = 0;
		if (MORE) {
			chosen = choice;
			choice = 0; // it is not sent later, when the prompt has said that it failed
		}
		try {
			let answer = await send("GET", MORE ? "question" + report() : "question");
			// The edge is asked first, because a page may outlive its configuration, and
			// the site itself must not get a POST.
			if (MORE && chosen && answer.ok && answer.headers.has(field)) {
				answer = await send("POST", chosen + report());
				askedConsent = consent();
			}
			const said = answer.ok && answer.headers.get(field);
			// Without the field, a service worker or a cache answered with a page. The last
			// answer does not hold any more.
			if (said) take(said, answer.status == 200 && await answer.json());
			else if (MORE) {
				kind = choice = 0;
				content = { prompt: content?.prompt };
			} else kind = content = 0;
			failed = !answer.ok;
			// The answer may have deleted the id. One that came meanwhile was not asked about.
			askedID = read(id) && askedID;
		} catch { // no network, no edge, or no answer that could be read
			failed = 1;
			if (MORE) choice = 0;
		}
		busy = 0;
		if (!failed) look();
	};

	// take takes an answer.
	const take = (said, json) => {
		busy = 0;
		kind = said;
		content = json;
		// https://docs.kapa.ai/integrations/support-form-deflector/user-tracking
		const each = set => {
			for (const [name, value, group] of given) {
				let target = (self.kapaSettings ||= {}).user ||= {};
				if (group) target = target[group] ||= {};
				if (set) target[name] = value;
				else if (target[name] == value) delete target[name];
			}
		};
		each();
		given = content?.user || [];
		each(1);
		if (tracked && kind != "tag" && kind != "none") {
			content = MORE && { prompt: content.prompt };
			if (!edited) { // a script that runs cannot be stopped otherwise
				history.replaceState(history.state, ""); // lest the answer to a form be a form that is sent again
				location.reload();
			}
		}
		if (MORE) show();
		act();
	};

	// show has the prompt show what the last answer says, at the form as it is now.
	const show = MORE && (() => prompt && prompt(content?.prompt, form, word => {
		choice = word;
		check();
	}));

	// act does what the last answer allows: it puts Kapa's script in, once, and starts
	// the deflector, once for each form. An answer to an earlier question allows nothing,
	// nor does one about another form or an earlier consent.
	const act = () => {
		if (busy || failed || !content?.script || !touched || isForeign()) return;
		find();
		if (!form || differs(askedForm) || consent() != askedConsent) return;
		if (!script) put();
		else if (loaded && content.render && rendered.get(form[0]) != form[1]) {
			rendered.set(form[0], form[1]);
			KapaSFD.render();
		}
	};

	const put = () => {
		script = prototype.createElement.call(page, "script");
		// a <base> must not lead to another site
		for (const [name, value] of content.script) script.setAttribute(name, name == "src" ? new URL(value, location) : value);
		script.nonce = me.nonce;
		script.onload = () => {
			loaded = 1;
			act();
		};
		script.onerror = () => { // the next answer tries again
			script.remove();
			script = tracked = content = 0;
			failed = 1;
		};
		tracked = kind == "tag";
		get("head").append(script);
	};

	// touch notes that the visitor touches the form. A focus is no touch, because the
	// page may have set it.
	const touch = event => {
		const types = event.type == "input";
		if (!event.isTrusted || touched && (edited || !types)) return;
		if (!form) find();
		const path = event.composedPath();
		const inside = form && [form[0], form[0].form, form[1]].some(element => path.includes(element));
		edited ||= types && (inside || event.inputType); // a checkbox elsewhere may be the consent banner's
		if (inside && !touched) {
			touched = 1;
			act();
		}
	};
	const listen = target => on(target, "pointerdown keydown input", touch);
	listen(self);
	on(page, "load", later); // what a frame loads is no change of the page

	// Scripts do not see HttpOnly cookies. Where they see no consent cookie at all, the
	// edge is asked again when the visitor comes back. The events are captured, because
	// prerenderingchange does not bubble.
	on(self, "focus pageshow visibilitychange prerenderingchange online", event => {
		if (event.target.nodeType == 1) return; // the focus of an element
		look();
		check(failed || event.persisted != false && names && !read(names) && Date.now() - asked > 1000 ? 1 : 0);
	});
	if (self.cookieStore?.getAll) on(cookieStore, "change", check);
	else on(self, "click keyup", () => [300, 2000].map(delay => setTimeout(check, delay)));

	const begin = () => {
		started = 1;
		look();
	};
	// Frameworks take over what a server streamed some time after the page has loaded
	// (React's Suspense), and draw it anew if something stands in it by then.
	const idle = () => start ? setTimeout(self.requestIdleCallback || begin, 1000, begin, { timeout: 9000 }) : begin();
	if (get("readyState") == "complete") idle();
	else on(self, "load", idle);
}
