/*
 * A stand-in for Kapa's Support Form Deflector, for trying things out without
 * an account at Kapa. It is not Kapa's code, it sends nothing anywhere, and it
 * has one answer for every question.
 *
 * What it does as Kapa documents it: it finds its own script tag by the file's
 * name, reads the data-* attributes there, intercepts the form, lets it go when
 * the question has fewer than 25 characters, holds the submit button while it
 * answers, and sends the form if the answer was no help. When a question is
 * asked it reads window.kapaSettings, takes the e-mail address from the form,
 * and keeps the visitor's id in the cookie kapa_web_id.
 *
 * What it does not do: wait two hours before it answers the same visitor again,
 * load a captcha, take a fingerprint, or follow the styling attributes.
 *
 * What only it does: the box that shows what it was given.
 */
(() => {
	'use strict';

	const FILE_NAME = 'kapa-support-form-deflector.bundle.js';
	const SHORTEST_QUESTION = 25; // characters
	const TIME_TO_ANSWER = 800; // milliseconds
	const COOKIE = 'kapa_web_id';
	const COOKIE_MAX_AGE = 399 * 24 * 60 * 60; // seconds
	const EVENTS = { onSubmit: 'submit', onClick: 'click' };
	const NEEDED = ['main-input', 'submit-element', 'submit-button', 'anchor-element'];

	if (window.KapaSFD) {
		return; // a second tag
	}
	const tag = [...document.scripts].find((script) => script.src.includes(FILE_NAME));
	if (!tag) {
		console.error(`No script element loads a file named ${FILE_NAME}.`);
		return;
	}

	// --- What it was given ---

	const setting = (name) => tag.getAttribute(`data-${name}`);

	function find(name) {
		try {
			return document.querySelector(setting(`${name}-query-selector`));
		} catch {
			return null; // not a selector
		}
	}

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

	function show() {
		attributesShown.replaceChildren(...[...tag.attributes]
			.filter(({ name }) => name.startsWith('data-'))
			.map(({ name, value }) => {
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
		const id = ids()[0] ?? crypto.randomUUID();
		let attributes = `; Path=/; Max-Age=${COOKIE_MAX_AGE}; SameSite=Strict`;
		if (window.isSecureContext) { // https, or localhost and what is under it
			attributes += '; Secure';
		}
		const labels = location.hostname.split('.');
		if (labels.length > 1 && !/^[\d.]+$/.test(location.hostname)) {
			attributes += `; Domain=${labels.slice(-2).join('.')}`; // simply the last two: no list of public suffixes here
		}
		document.cookie = `${COOKIE}=${id}${attributes}`;
	}

	// The form's e-mail address goes before any other; without one there is none.
	function readEmail() {
		if (!setting('user-email-query-selector')) {
			return;
		}
		const field = find('user-email');
		const email = (field instanceof HTMLInputElement ? field.value : field?.textContent ?? '').trim();
		window.kapaSettings = {
			...window.kapaSettings,
			user: { ...window.kapaSettings?.user, email: email || undefined },
		};
	}

	// --- The form ---

	const watched = new WeakSet();
	let answering = false;
	let lettingGo = false;
	let panel;

	function render() {
		const missing = NEEDED.filter((name) => !find(name)).map((name) => `data-${name}-query-selector`);
		const eventType = setting('submit-element-event-type');
		if (missing.length) {
			say(`Not ready: nothing on the page matches ${missing.join(', ')}.`);
			return;
		}
		if (!Object.hasOwn(EVENTS, eventType)) {
			say('Not ready: data-submit-element-event-type must be onSubmit or onClick.');
			return;
		}
		const submitElement = find('submit-element');
		if (!watched.has(submitElement)) {
			watched.add(submitElement);
			submitElement.addEventListener(EVENTS[eventType], intercept, { capture: true });
		}
		say(`Ready: it waits for ${eventType}, and answers from ${SHORTEST_QUESTION} characters on.`);
	}

	function intercept(event) {
		if (lettingGo) {
			return;
		}
		if (answering) {
			hold(event);
			return;
		}
		const input = find('main-input');
		const question = (input?.value ?? input?.textContent ?? '').trim();
		if (question.length < SHORTEST_QUESTION) {
			say(`Let the form go: the question has fewer than ${SHORTEST_QUESTION} characters.`);
			return;
		}
		const { currentTarget, submitter, target, type } = event;
		if (type === 'click' && currentTarget.closest('form')?.checkValidity() === false) {
			return; // the browser says what is missing
		}
		hold(event);
		ask(question, type === 'click' ? () => currentTarget.click() : () => target.requestSubmit(submitter));
	}

	function hold(event) {
		event.preventDefault();
		event.stopImmediatePropagation();
	}

	function ask(question, submit) {
		keepId();
		readEmail();

		const submitButton = find('submit-button');
		const text = element('p', { id: 'kapa-stand-in-answer-text' }, 'Looking for an answer\u2026');
		text.setAttribute('role', 'status');
		const buttons = element('div', { hidden: true },
			button('kapa-stand-in-solved', 'This solved it', () => {
				buttons.remove();
				text.textContent = 'Good to hear. Your ticket was not sent.';
				panel.focus();
				say('Deflected: the form was not sent.');
			}),
			button('kapa-stand-in-send', 'Send my ticket anyway', () => {
				panel.remove();
				say('Sent the form after all.');
				lettingGo = true;
				try {
					submit();
				} finally {
					lettingGo = false;
				}
			}));

		panel?.remove();
		panel = element('section', { id: 'kapa-stand-in-answer', tabIndex: -1 },
			element('h2', { id: 'kapa-stand-in-answer-title' }, 'Before you send: a suggested answer'),
			element('blockquote', {}, question), text, buttons);
		panel.setAttribute('aria-labelledby', 'kapa-stand-in-answer-title');
		(find('anchor-element') ?? submitButton).after(panel);
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
			say('Answered: the visitor decides whether the form is sent.');
		}, TIME_TO_ANSWER);
	}

	// --- The look: no inline style, no markup made from values ---

	const sheet = new CSSStyleSheet();
	sheet.replaceSync(`
		#kapa-stand-in, #kapa-stand-in-answer {
			box-sizing: border-box;
			padding: 1.25rem;
			border-radius: 0.5rem;
			background: #fff8e6;
			color: #2b2412;
			overflow-wrap: anywhere;
		}
		#kapa-stand-in {
			flex: 1 1 18rem;
			min-width: 0;
			border: 2px dashed #8a6a10;
			font-size: 0.9375rem;
		}
		#kapa-stand-in-answer {
			margin-block: 1.5rem;
			border: 2px solid #8a6a10;
		}
		#kapa-stand-in-answer:focus-visible {
			outline: 3px solid #b3400a;
			outline-offset: 2px;
		}
		#kapa-stand-in h2, #kapa-stand-in-answer h2 { margin: 0 0 0.5rem; font-size: 1.125rem; }
		#kapa-stand-in h3 { margin: 1.25rem 0 0.25rem; font-size: 0.9375rem; }
		#kapa-stand-in p { margin: 0 0 0.75rem; }
		#kapa-stand-in-status { font-weight: 600; }
		#kapa-stand-in dl, #kapa-stand-in ul { margin: 0; padding: 0; list-style: none; }
		#kapa-stand-in dl div { padding-block: 0.25rem; }
		#kapa-stand-in dt { font-size: 0.8125rem; }
		#kapa-stand-in :is(dd, li, pre) { margin: 0; font: 0.875rem/1.4 ui-monospace, monospace; }
		#kapa-stand-in pre { padding: 0; background: none; white-space: pre-wrap; }
		#kapa-stand-in-answer blockquote { margin: 0 0 1rem; padding-left: 0.75rem; border-left: 3px solid #8a6a10; white-space: pre-wrap; }
		#kapa-stand-in-answer div:not([hidden]) { display: flex; flex-wrap: wrap; gap: 0.75rem; }
		#kapa-stand-in-answer button {
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
		#kapa-stand-in-answer button:hover { background: #3d2e05; }
		#kapa-stand-in-answer button:focus-visible { outline: 3px solid #b3400a; outline-offset: 2px; }
	`);

	function start() {
		document.adoptedStyleSheets.push(sheet);
		(document.querySelector('main') ?? document.body).append(box);
		if (setting('render-on-load') !== 'false') {
			render();
		} else if (!status.textContent) { // nobody has called render() yet
			say('Waiting: data-render-on-load is "false", so the page has to call KapaSFD.render().');
		}
	}

	window.KapaSFD = { render };
	if (document.readyState === 'loading') {
		document.addEventListener('DOMContentLoaded', start);
	} else {
		start();
	}
})();
