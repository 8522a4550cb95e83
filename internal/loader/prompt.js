// The question for consent that stands at the form, under `consent ask`. The texts come
// with the edge's answer (internal/prompt). It is called after each answer, and each time
// the loader has looked at the page, with
//
//	content  what to show: { lang, dir, text, accept, refuse, change, yes, no, failed,
//	         policy: [url, label], color, choice }; undefined for nothing
//	form     what the selectors have found: the main input, the submit element, the
//	         submit button and the anchor element; what is no element stands for one
//	         that is not looked for;
//	         undefined if one of them is not there
//	choose   the function that takes the visitor's choice, "yes" or "no"
//
// Sites may style the element kapa-deflector-consent, its parts and its custom
// properties: docs/consent-ask.md.
(() => {
	// No rule may say how accept or refuse looks alone: they are equals. Colours are the
	// page's own, so that their contrast is too. Nothing moves.
	const style = `.box{--accent:currentColor;padding:.25em 1em;border:0 solid var(--kapa-deflector-accent,var(--accent));border-inline-start-width:.25em;color:var(--kapa-deflector-color,inherit);background:var(--kapa-deflector-background,transparent);font-style:normal;font-weight:400;line-height:1.5;letter-spacing:normal;text-align:start;text-indent:0;text-transform:none;white-space:normal;overflow-wrap:anywhere}
:host{display:block;box-sizing:border-box;max-width:100%;margin-block-end:1.5em;grid-column:1/-1}
[hidden]{display:none!important}
p{margin:.5em 0}
.state{display:flex;flex-wrap:wrap;align-items:center;gap:0 1em}
.state p:empty{margin:0}
.title{font-weight:700}
.more{font-size:max(.875em,13px)}
a{color:inherit;text-decoration:underline}
.answers{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,15em),1fr));grid-auto-rows:1fr;gap:.75em;max-width:42em;margin:.75em 0}
button{box-sizing:border-box;min-height:44px;margin:0;padding:.5em 1em;border:2px solid;border-radius:.25em;color:var(--kapa-deflector-button-color,inherit);background:var(--kapa-deflector-button-background,transparent);font:inherit;letter-spacing:inherit;cursor:pointer}
button:hover{text-decoration:underline}
:focus-visible{outline:2px solid;outline-offset:2px}
button:focus-visible{outline-offset:-6px}
[aria-disabled=true]{opacity:.5;cursor:progress}
@media (forced-colors:active){[aria-disabled=true]{opacity:1;color:GrayText}}`;

	const patience = 10000; // how long the edge may take to confirm a choice, in milliseconds

	// A <form name="body"> hides the document's property of that name (HTML,
	// "dom-document-nameditem"), but not the prototype's.
	const page = document;
	const get = name => Reflect.get(Document.prototype, name, page);
	const add = (parent, name, attributes = {}, text = "") => {
		const element = Document.prototype.createElement.call(page, name);
		for (const attribute in attributes) element.setAttribute(attribute, attributes[attribute]);
		element.textContent = text;
		parent?.append(element);
		return element;
	};

	let host, root, sheet, box, status, change, body, question, accept, refuse; // the elements
	let content; // what they show
	let choose;
	let open; // the visitor has asked to see the question again
	let pending; // the choice that the edge has not confirmed yet
	let failed; // it has not confirmed the last one
	let timer;

	let anchor; // at which the prompt stands
	let place; // the element before which it stands
	let found; // the form for which it was put there
	let lost, losses = 0; // an anchor whose form was not found any more with the prompt there, and how often

	const build = () => {
		host = add(null, "kapa-deflector-consent");
		root = host.attachShadow({ mode: "open" });
		box = add(root, "div", { class: "box", role: "group", "aria-labelledby": "title", tabindex: -1 });
		const state = add(box, "div", { class: "state" });
		status = add(state, "p", { role: "status" });
		change = add(state, "button", { type: "button", part: "change", "aria-controls": "body" });
		body = add(box, "div", { id: "body" });
		question = add(body, "div", { part: "question" });
		const answers = add(body, "div", { class: "answers" });
		accept = add(answers, "button", { type: "button", part: "accept" });
		refuse = add(answers, "button", { type: "button", part: "refuse" });
		try {
			sheet = new CSSStyleSheet();
			sheet.replaceSync(style);
			root.adoptedStyleSheets = [sheet];
		} catch { // an old browser, in which the prompt looks plain
			sheet = 0;
		}

		accept.onclick = () => decide("yes");
		refuse.onclick = () => decide("no");
		change.onclick = () => {
			open = !open;
			show();
		};
		// The site's form and its scripts do not hear what happens in here. They do hear
		// Tab and Escape, which a dialog around the form needs.
		for (const type of "click dblclick mousedown mouseup pointerdown pointerup touchstart touchend focusin focusout keydown keypress keyup".split(" ")) {
			box.addEventListener(type, event => {
				if (!/^(Tab|Escape)$/.test(event.key)) event.stopPropagation();
			});
		}
	};

	const decide = choice => {
		if (pending) return;
		pending = choice;
		failed = 0;
		timer = setTimeout(() => {
			pending = 0;
			failed = 1;
			show();
		}, patience);
		show();
		choose(choice);
	};

	// say sets a text if it is another one, lest a screen reader reads it again.
	const say = (element, text) => {
		if (element.textContent != text) element.textContent = text;
	};

	const ask = ({ text, policy: [url, label] }) => {
		const key = text + url + label;
		if (question.key == key) return;
		question.key = key;
		question.textContent = "";
		const [title, ...lines] = text.split("\n").filter(line => line.trim());
		add(question, "p", { id: "title", class: "title" }, title);
		const more = add(question, "div", { class: "more" });
		for (const line of lines) add(more, "p", {}, line);
		// a <base> must not lead to another site
		add(add(more, "p"), "a", { href: new URL(url, location), target: "_blank", rel: "noopener", dir: "auto" }, label);
	};

	// show makes the elements say what they must, and keeps the focus in them if it was there.
	const show = () => {
		const { choice } = content;
		const { activeElement } = root;
		for (const name of ["lang", "dir"]) {
			if (content[name]) box.setAttribute(name, content[name]);
			else box.removeAttribute(name);
		}
		if (sheet && CSS.supports("color", content.color)) sheet.cssRules[0].style.setProperty("--accent", content.color);
		ask(content);
		say(accept, content.accept);
		say(refuse, content.refuse);
		say(change, content.change);
		say(status, failed ? content.failed : choice && !pending ? content[choice] : "");
		for (const button of [accept, refuse]) button.setAttribute("aria-disabled", !!pending);
		change.setAttribute("aria-expanded", !!open);
		change.hidden = !choice;
		const closes = !!choice && !open;
		if (closes && body.contains(activeElement)) change.focus({ preventScroll: true });
		if (!choice && activeElement == change) box.focus({ preventScroll: true });
		body.hidden = closes;
	};

	// Where a div cannot stand, or where a click means something else.
	const around = "a,button,h1,h2,h3,h4,h5,h6,label,legend,p,select,summary";
	const parents = "colgroup,datalist,dl,menu,ol,optgroup,table,tbody,tfoot,thead,tr,ul";

	// placeFor returns the element before which the prompt of an anchor belongs: the
	// anchor, or the nearest element around it before which a div can stand.
	const placeFor = element => {
		while (element.ownerDocument != page) element = element.ownerDocument.defaultView.frameElement;
		for (let parent; parent = element.parentElement;) {
			const style = getComputedStyle(parent);
			const isRow = /flex/.test(style.display) && /^row/.test(style.flexDirection) && style.flexWrap == "nowrap" && parent != get("body");
			parent = parent.closest(around) || (parent.matches(parents) || isRow) && parent;
			if (!parent) break;
			element = parent;
		}
		return element;
	};

	const put = form => {
		const next = [form[3], ...form].find(element => element.nodeType) || get("body");
		const target = lost == next ? losses : 0;
		if (host.isConnected && next == anchor && (host.parentNode == get("body") || host.parentNode == place.parentNode) || target > 1) return;
		anchor = next;
		place = placeFor(anchor);
		found = form;
		if (place.contains(get("body"))) get("body").prepend(host);
		else if (target) place.parentNode.append(host);
		else place.before(host);
	};

	return (now, form, chosen) => {
		if (!now || !form) {
			// A selector that counts siblings, such as form:nth-child(2), finds nothing
			// once the prompt stands there. The next time it stands after the form.
			if (now && found && anchor.isConnected) {
				losses = lost == anchor ? losses + 1 : 1;
				lost = anchor;
			}
			found = 0;
			host?.remove();
			return;
		}
		if (!host) build();
		if (found != form) found = 0;
		choose = chosen;
		if (now != content) {
			const answered = pending && pending == now.choice;
			// The visitor may have gone on to the form in the meantime. Safari does not focus
			// a button that is clicked.
			const focus = answered && get("activeElement") == get("body");
			if (answered || now.choice != content?.choice) open = failed = 0;
			if (answered) {
				clearTimeout(timer);
				pending = 0;
			}
			content = now;
			show();
			if (focus) change.focus({ preventScroll: true });
		}
		put(form);
	};
})()
