/*
 * A small consent banner: one question, two equal answers, one cookie.
 *
 * Put this file and consent-banner.css on your site, and in every page's head:
 *
 *   <link rel="stylesheet" href="/shared/consent-banner.css">
 *   <script defer src="/shared/consent-banner.js" data-cookie-domain="example.com"></script>
 *
 * and, where the visitor shall find "change my mind" (without it, the end of the page):
 *
 *   <div data-consent-control></div>
 *
 * The choice is kept for six months in the cookie
 *
 *   cookie_consent=accepted    or    cookie_consent=refused
 *
 * With data-cookie-domain="example.com" every host under example.com shares it.
 * On any other host, or without the attribute, it is for the one host alone.
 * In the Caddyfile:  consent cookie cookie_consent accepted
 *
 * The banner is a labelled region, not a dialog: the page stays usable while it
 * asks. A choice takes effect with the next page, and with loader in the
 * Caddyfile at once; nothing is reloaded.
 */
(() => {
	'use strict';

	// CHANGE: say what you ask for, in your visitors' language.
	const TEXT = {
		label: 'Cookie choice',
		question: 'May our support forms suggest an answer before you send them? ' +
			'For that we would load the assistant of our partner Kapa and set a cookie ' +
			'that recognises you on all Acme sites. If you refuse, the forms work as ever.',
		accept: 'Accept',
		refuse: 'Refuse',
		close: 'Close',
		change: 'Change my mind about cookies',
		state: {
			accepted: 'Cookies: accepted.',
			refused: 'Cookies: refused.',
			none: 'Cookies: no choice made yet.',
		},
		saved: {
			accepted: 'Thank you, you have accepted.',
			refused: 'Thank you, you have refused. Pages that are open may keep the assistant until you leave them.',
			none: 'Your browser did not keep your choice, so nothing changes.',
		},
	};

	const NAME = 'cookie_consent';
	const MAX_AGE = 182 * 24 * 60 * 60; // seconds: six months

	const domain = (document.currentScript?.dataset.cookieDomain ?? '').toLowerCase();

	// The visitor's choice: accepted, refused or none. Two cookies that
	// contradict each other are no choice.
	function readChoice() {
		const values = new Set(document.cookie.split('; ')
			.filter((pair) => pair.startsWith(`${NAME}=`))
			.map((pair) => pair.slice(NAME.length + 1)));
		const [value] = values;
		return values.size === 1 && (value === 'accepted' || value === 'refused') ? value : 'none';
	}

	// Writes the choice, and returns what the browser has kept.
	function saveChoice(choice) {
		let attributes = `; Path=/; Max-Age=${MAX_AGE}; SameSite=Lax`;
		if (location.protocol === 'https:') {
			attributes += '; Secure';
		}
		if (domain && `.${location.hostname}`.endsWith(`.${domain}`)) {
			attributes += `; Domain=${domain}`;
			// One that was kept for this host alone would contradict it.
			document.cookie = `${NAME}=; Path=/; Max-Age=0`;
		}
		document.cookie = `${NAME}=${choice}${attributes}`;
		return readChoice() === choice ? choice : 'none';
	}

	function element(name, properties, ...children) {
		const made = Object.assign(document.createElement(name), properties);
		made.append(...children);
		return made;
	}

	function button(className, label, onClick) {
		const made = element('button', { type: 'button', className: `consent-button ${className}` }, label);
		made.addEventListener('click', onClick);
		return made;
	}

	const question = element('p', { className: 'consent-question' }, TEXT.question);
	const status = element('p', { className: 'consent-status' });
	status.setAttribute('role', 'status');
	const accept = button('consent-accept', TEXT.accept, () => choose('accepted'));
	const refuse = button('consent-refuse', TEXT.refuse, () => choose('refused'));
	const close = button('consent-close', TEXT.close, hide);

	const banner = element('section',
		{ id: 'consent-banner', className: 'consent-banner', tabIndex: -1, hidden: true },
		question, status, element('div', { className: 'consent-buttons' }, accept, refuse, close));
	banner.setAttribute('aria-label', TEXT.label);

	const state = element('span', { className: 'consent-state' });
	const change = button('consent-change', TEXT.change, () => {
		openedByVisitor = true;
		ask();
		banner.focus();
	});

	let openedByVisitor = false;

	function ask() {
		const choice = readChoice();
		question.hidden = accept.hidden = refuse.hidden = false;
		close.hidden = choice === 'none'; // the first time there is nothing to go back to
		status.textContent = choice === 'none' ? '' : TEXT.state[choice];
		banner.hidden = false;
	}

	function choose(choice) {
		const kept = saveChoice(choice);
		state.textContent = TEXT.state[kept];
		status.textContent = TEXT.saved[kept];
		close.hidden = false;
		close.focus(); // the button that had the focus goes away
		question.hidden = accept.hidden = refuse.hidden = true;
	}

	function hide() {
		banner.hidden = true;
		if (openedByVisitor) {
			openedByVisitor = false;
			change.focus();
		}
	}

	function start() {
		const choice = readChoice();
		state.textContent = TEXT.state[choice];
		if (choice === 'none') {
			ask();
		} else {
			banner.hidden = true;
		}
	}

	// First in the page, so that the Tab key comes by early.
	document.body.prepend(banner);
	let control = document.querySelector('[data-consent-control]');
	if (!control) {
		control = document.createElement('div');
		document.body.append(control);
	}
	control.classList.add('consent-control');
	control.append(state, change);

	// The page keeps as much room below as the banner covers.
	new ResizeObserver(() => {
		document.documentElement.style.setProperty('--consent-banner-height', `${banner.offsetHeight}px`);
	}).observe(banner);

	// Back to a page that the browser has kept: the choice may be another one by now.
	window.addEventListener('pageshow', (event) => {
		if (event.persisted) {
			start();
		}
	});

	start();
})();
