/*
 * A stand-in for Kapa's Support Form Deflector, for trying things out without
 * an account at Kapa. It is not Kapa's code, it sends nothing anywhere, and it
 * has one answer for every question.
 *
 * What it does as Kapa documents it, or as Kapa's website widget does it:
 *
 * - It looks for its script element once, when it runs, by the file's name in
 *   the attribute src. A second script element has no effect.
 * - It starts when the document is parsed, and renders unless
 *   data-render-on-load is "false"; then it waits for KapaSFD.render().
 * - Each render() works with the elements that the selectors find at that
 *   moment. In a selector, "ifr>>" leads into an iframe's document and any
 *   other "word>>" into a shadow root.
 * - It intercepts the form, but lets it go when the question has fewer than 25
 *   characters. It disables the submit button while it answers, and sends the
 *   form if the answer was no help.
 * - When a question is asked, it keeps the visitor's id in the cookie
 *   kapa_web_id, takes the e-mail address from the form if it was told where,
 *   and reads window.kapaSettings.
 * - What it draws is in a shadow root beside the anchor element: the answer,
 *   and data-pre-submit-info-text from render() on.
 *
 * Kapa does not say what a second render() for the same form does. Here it
 * makes a second deflector, so that a site which calls it too often is found out.
 *
 * What it does not do: wait two hours before it answers the same visitor again,
 * load a captcha, take a fingerprint, or follow the styling attributes.
 *
 * What only it does: the box that shows what it was given, and the list of what
 * happened, window.KapaStandIn.log. Each entry has an event:
 *
 *   start      attributes: those of the script element
 *   ignored    another script element ran this file again
 *   render     elements: what the selectors found; missing: those that found nothing
 *   short      question: what was let go
 *   question   question, id, user: what would be sent to Kapa
 *   answer     the visitor sees it
 *   deflected  the form was not sent
 *   sent       the form was sent after all
 */
(() => {
	'use strict';

	const FILE = /kapa-support-form-deflector(\.dev-\w+)?(-v\d+\.\d+\.\d+)?\.bundle\.js/;
	const SHORTEST_QUESTION = 25; // characters
	const TIME_TO_ANSWER = 800; // milliseconds
	const COOKIE = 'kapa_web_id';
	const COOKIE_LIFETIME = 399 * 24 * 60 * 60 * 1000; // milliseconds
	const EVENTS = { onSubmit: 'submit', onClick: 'click' };
	const NEEDED = ['main-input', 'submit-element', 'submit-button', 'anchor-element'];

	if (window.KapaStandIn) {
		window.KapaStandIn.log.push({ event: 'ignored' });
		return;
	}
	const tag = [...document.scripts].find((script) => FILE.test(script.getAttribute('src')));
	if (!tag) {
		console.error(`No script element has an attribute src that matches ${FILE}.`);
		return;
	}

	const log = [];
	const note = (event, details) => log.push({ event, ...details });

	// --- What it was given ---

	const setting = (name) => tag.getAttribute(`data-${name}`);

	// The element that a selector finds by now, across the boundaries in it.
	function find(name) {
		const [first, ...inner] = (setting(`${name}-query-selector`) ?? '').split(/\s+(\w+)>>\s*/);
		try {
			let found = document.querySelector(first);
			for (let i = 0; found && i < inner.length; i += 2) {
				const within = inner[i] === 'ifr' ? found.contentDocument : found.shadowRoot;
				found = within?.querySelector(inner[i + 1]) ?? null;
			}
			return found;
		} catch {
			return null; // not a selector
		}
	}

	const textOf = (element) => (element?.value ?? element?.textContent ?? '').trim();

	const ids = () => document.cookie.split('; ')
		.filter((pair) => pair.startsWith(`${COOKIE}=`))
		.map((pair) => pair.slice(COOKIE.length + 1));

	// --- The box that shows it ---

	function element(name, properties, ...children) {
		const made = Object.assign(document.createElement(name), properties);
		made.append(...children);
		return made;
	}

	function button(id, label, onClick) {
		const made = element('button', { type: 'button', id }, label);
		made.addEventListener('click', onClick);
		return made;
	}

	const attributesShown = element('dl', { id: 'kapa-stand-in-attributes' });
	const settingsShown = element('pre', { id: 'kapa-stand-in-settings' });
	const idsShown = element('ul', { id: 'kapa-stand-in-ids' });
	const status = element('p', { id: 'kapa-stand-in-status' });
	status.setAttribute('role', 'status');

	const box = element('section', { id: 'kapa-stand-in' },
		element('h2', { id: 'kapa-stand-in-title' }, 'A stand-in for Kapa\u2019s bundle'),
		element('p', {}, 'The edge has put the deflector\u2019s script tag into this page. In this example ' +
			'the tag loads a stand-in, which shows here what it was given. It sends nothing anywhere.'),
		status,
		element('h3', {}, 'Attributes of its script tag'), attributesShown,
		element('h3', {}, 'window.kapaSettings'), settingsShown,
		element('h3', {}, `Cookie ${COOKIE}`), idsShown);
	box.setAttribute('aria-labelledby', 'kapa-stand-in-title');

	const attributes = () => [...tag.attributes].filter(({ name }) => name.startsWith('data-'));

	function show() {
		if (!box.isConnected) { // the first time, or the page has a new main element
			document.querySelector(`#${box.id}`)?.remove(); // a copy, in a page that the site has cached
			(document.querySelector('main') ?? document.body)?.append(box);
		}
		attributesShown.replaceChildren(...attributes().map(({ name, value }) => {
			const shown = element('dd', {}, value);
			shown.dataset.of = name;
			return element('div', {}, element('dt', {}, name), shown);
		}));
		settingsShown.textContent = JSON.stringify(window.kapaSettings, null, 2) ?? 'not set';
		const values = ids();
		idsShown.replaceChildren(...(values.length ? values : ['not set']).map((value) => element('li', {}, value || '(empty)')));
	}

	function say(text) {
		status.textContent = text;
		show();
	}

	// --- The visitor ---

	// As Kapa's SDK does it: whatever is there is kept, and written again for
	// another 399 days.
	function keepId() {
		if (setting('user-analytics-cookie-enabled') === 'false' || setting('user-analytics-fingerprint-enabled') === 'true') {
			return;
		}
		let cookie = `${COOKIE}=${ids()[0] ?? crypto.randomUUID()}; path=/`;
		const labels = location.hostname.split('.');
		if (labels.length > 1 && !/^[\d.]+$/.test(location.hostname)) {
			cookie += `; domain=${labels.slice(-2).join('.')}`; // simply the last two: no list of public suffixes here
		}
		if (window.isSecureContext) { // https, or localhost and what is under it
			cookie += '; secure';
		}
		document.cookie = `${cookie}; sameSite=strict; expires=${new Date(Date.now() + COOKIE_LIFETIME).toUTCString()}`;
	}

	// The form's e-mail address goes before any other; without one there is none.
	function readEmail() {
		if (setting('user-email-query-selector')) {
			const email = textOf(find('user-email')) || undefined;
			window.kapaSettings = { ...window.kapaSettings, user: { ...window.kapaSettings?.user, email } };
		}
	}

	// --- The form ---

	function render() {
		const elements = Object.fromEntries(NEEDED.map((name) => [name, find(name)]));
		const missing = NEEDED.filter((name) => !elements[name]).map((name) => `data-${name}-query-selector`);
		const eventType = setting('submit-element-event-type');
		note('render', { elements, missing });
		if (missing.length) {
			say(`Not ready: nothing on the page matches ${missing.join(', ')}.`);
		} else if (!Object.hasOwn(EVENTS, eventType)) {
			say('Not ready: data-submit-element-event-type must be onSubmit or onClick.');
		} else {
			deflect(elements, EVENTS[eventType]);
			say(`Ready: it waits for ${eventType}, and answers from ${SHORTEST_QUESTION} characters on.`);
		}
	}

	// A deflector for these elements, whatever else the selectors find later.
	function deflect({ 'main-input': input, 'submit-element': submitElement, 'submit-button': submitButton, 'anchor-element': anchor }, eventName) {
		const place = element('div', { id: 'kapa-stand-in-answer' });
		const shadow = place.attachShadow({ mode: 'open' });
		shadow.adoptedStyleSheets = [answerSheet];
		let answering = false;
		let lettingGo = false;

		function draw(...content) {
			shadow.replaceChildren(...content);
			if (content.length) {
				anchor.after(place);
			} else {
				place.remove();
			}
		}

		const info = setting('pre-submit-info-text');
		if (info) {
			draw(element('p', { id: 'kapa-stand-in-info' }, info));
		}

		function hold(event) {
			event.preventDefault();
			event.stopImmediatePropagation();
		}

		submitElement.addEventListener(eventName, (event) => {
			if (lettingGo) {
				return;
			}
			if (answering) {
				hold(event);
				return;
			}
			const question = textOf(input);
			if (question.length < SHORTEST_QUESTION) {
				note('short', { question });
				say(`Let the form go: the question has fewer than ${SHORTEST_QUESTION} characters.`);
				return;
			}
			const { submitter, target, type } = event;
			if (type === 'click' && submitElement.closest('form')?.checkValidity() === false) {
				return; // the browser says what is missing
			}
			hold(event);
			ask(question, type === 'click' ? () => submitElement.click() : () => target.requestSubmit(submitter));
		}, { capture: true });

		function ask(question, submit) {
			keepId();
			readEmail();
			note('question', { question, id: ids()[0], user: structuredClone(window.kapaSettings?.user) });

			const text = element('p', { id: 'kapa-stand-in-answer-text' }, 'Looking for an answer\u2026');
			text.setAttribute('role', 'status');
			const buttons = element('div', { hidden: true },
				button('kapa-stand-in-solved', 'This solved it', () => {
					buttons.remove();
					text.textContent = 'Good to hear. Your ticket was not sent.';
					panel.focus();
					note('deflected');
					say('Deflected: the form was not sent.');
				}),
				button('kapa-stand-in-send', 'Send my ticket anyway', () => {
					draw();
					note('sent');
					say('Sent the form after all.');
					lettingGo = true;
					try {
						submit();
					} finally {
						lettingGo = false;
					}
				}));
			const panel = element('section', { tabIndex: -1 },
				element('h2', { id: 'kapa-stand-in-answer-title' }, 'Before you send: a suggested answer'),
				element('blockquote', {}, question), text, buttons);
			panel.setAttribute('aria-labelledby', 'kapa-stand-in-answer-title');
			draw(panel);
			panel.focus();
			say('Answering: the submit button is held.');

			answering = true;
			submitButton.disabled = true;
			setTimeout(() => {
				answering = false;
				submitButton.disabled = false;
				text.textContent = 'This is where Kapa\u2019s answer would stand, written from your documentation. ' +
					'The stand-in only knows one: have you tried turning it off and on again?';
				buttons.hidden = false;
				note('answer');
				say('Answered: the visitor decides whether the form is sent.');
			}, TIME_TO_ANSWER);
		}
	}

	// --- The look: no inline style, no markup made from values ---

	function styleSheet(rules) {
		const sheet = new CSSStyleSheet();
		sheet.replaceSync(rules);
		return sheet;
	}

	const boxSheet = styleSheet(`
		#kapa-stand-in {
			flex: 1 1 18rem;
			box-sizing: border-box;
			min-width: 0;
			padding: 1.25rem;
			border: 2px dashed #8a6a10;
			border-radius: 0.5rem;
			background: #fff8e6;
			color: #2b2412;
			font-size: 0.9375rem;
			overflow-wrap: anywhere;
		}
		#kapa-stand-in h2 { margin: 0 0 0.5rem; font-size: 1.125rem; }
		#kapa-stand-in h3 { margin: 1.25rem 0 0.25rem; font-size: 0.9375rem; }
		#kapa-stand-in p { margin: 0 0 0.75rem; }
		#kapa-stand-in-status { font-weight: 600; }
		#kapa-stand-in dl, #kapa-stand-in ul { margin: 0; padding: 0; list-style: none; }
		#kapa-stand-in dl div { padding-block: 0.25rem; }
		#kapa-stand-in dt { font-size: 0.8125rem; }
		#kapa-stand-in :is(dd, li, pre) { margin: 0; font: 0.875rem/1.4 ui-monospace, monospace; }
		#kapa-stand-in pre { padding: 0; background: none; white-space: pre-wrap; }
	`);

	const answerSheet = styleSheet(`
		section {
			box-sizing: border-box;
			margin-block: 1.5rem;
			padding: 1.25rem;
			border: 2px solid #8a6a10;
			border-radius: 0.5rem;
			background: #fff8e6;
			color: #2b2412;
			overflow-wrap: anywhere;
		}
		section:focus-visible { outline: 3px solid #b3400a; outline-offset: 2px; }
		h2 { margin: 0 0 0.5rem; font-size: 1.125rem; }
		p { margin: 0 0 0.75rem; }
		blockquote { margin: 0 0 1rem; padding-left: 0.75rem; border-left: 3px solid #8a6a10; white-space: pre-wrap; }
		div:not([hidden]) { display: flex; flex-wrap: wrap; gap: 0.75rem; }
		button {
			min-height: 2.75rem;
			padding: 0.5rem 1.25rem;
			border: 2px solid #5f4808;
			border-radius: 0.375rem;
			background: #5f4808;
			color: #ffffff;
			font: inherit;
			font-weight: 600;
			cursor: pointer;
		}
		button:hover { background: #3d2e05; }
		button:focus-visible { outline: 3px solid #b3400a; outline-offset: 2px; }
	`);

	function start() {
		document.adoptedStyleSheets.push(boxSheet);
		note('start', { attributes: Object.fromEntries(attributes().map(({ name, value }) => [name, value])) });
		if (setting('render-on-load') !== 'false') {
			render();
		} else if (!status.textContent) { // nobody has called render() yet
			say('Waiting: data-render-on-load is "false", so the page has to call KapaSFD.render().');
		}
	}

	window.KapaSFD = { render };
	window.KapaStandIn = { log };
	if (document.readyState === 'loading') {
		document.addEventListener('DOMContentLoaded', start);
	} else {
		start();
	}
})();
